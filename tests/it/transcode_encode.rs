//! JSON → XML: order, attributes, escapes, null, and every refusal with its JSON pointer.

use emgate::transcode::{ConvertError, EncodeError, Mode, Options, Target, convert, decode, encode};
use rstest::rstest;
use serde_json::{Value, json};

fn xml(root: &str, value: &Value, mode: Mode) -> String {
    let xml = encode(value.to_string().as_bytes(), root, mode).unwrap_or_else(|e| panic!("{e}"));
    let xml = String::from_utf8(xml).unwrap();
    let xml = xml
        .strip_prefix("<?xml version=\"1.0\" encoding=\"utf-8\"?>")
        .unwrap();
    xml.replace(" xmlns=\"http://www.veeam.com/ent/v1.0\"", "")
}

/// The faults as `pointer what`.
fn faults(root: &str, value: &Value, mode: Mode) -> Vec<String> {
    match encode(value.to_string().as_bytes(), root, mode) {
        Err(EncodeError::Invalid(all)) => all.iter().map(|f| format!("{} {}", f.pointer, f.what)).collect(),
        other => panic!("must be refused: {other:?}"),
    }
}

#[test]
fn the_root_has_ems_namespace() {
    let xml = encode(b"{}", "Task", Mode::Request).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&xml),
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Task xmlns=\"http://www.veeam.com/ent/v1.0\" />"
    );
}

#[test]
fn elements_are_written_in_the_schemas_order() {
    let json = json!({
        "result": {"message": "Ok", "success": true},
        "operation": "StartJob", "state": "Finished", "taskId": "task-1",
        "links": [{"rel": "quickBackup", "name": "a"}, {"rel": "novel", "href": "/api/v1/em/jobs?x=1&y=2"}],
        "type": "Task",
    });
    assert_eq!(
        xml("Task", &json, Mode::Document),
        "<Task Type=\"Task\"><Links><Link Name=\"a\" Rel=\"QuickBackup\" /><Link Href=\"/api/jobs?x=1&amp;y=2\" Rel=\"Novel\" /></Links>\
         <TaskId>task-1</TaskId><State>Finished</State><Operation>StartJob</Operation>\
         <Result Success=\"true\"><Message>Ok</Message></Result></Task>"
    );
}

#[test]
fn text_is_escaped_so_that_it_comes_back() {
    let text = "R&D <B> \"q\" 'a' ]]> tab\t line\n return\r end é 😀";
    let json = json!({"message": text, "firstChanceExceptionMessage": text});
    let there = encode(json.to_string().as_bytes(), "Error", Mode::Document).unwrap();
    let back: Value = serde_json::from_slice(&decode(&there).unwrap().json).unwrap();
    assert_eq!(back, json);
}

#[test]
fn null_is_written_by_its_kind() {
    let json = json!({
        "jobName": null, "progress": null, "state": null, "endTimeUtc": null, "name": null, "links": null,
    });
    assert_eq!(
        xml("CloudFailoverSession", &json, Mode::Request),
        "<CloudFailoverSession><JobName xsi:nil=\"true\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" />\
         <EndTimeUTC>1753-01-01T00:00:00Z</EndTimeUTC><State /><Progress /></CloudFailoverSession>"
    );
}

#[test]
fn a_request_leaves_out_what_em_only_ever_returns() {
    let plan = json!({
        "type": "CloudFailoverPlan", "href": "/api/v1/em/cloud/cloudFailoverPlans/1",
        "uid": "urn:veeam:CloudFailoverPlan:1", "id": "1", "name": "P",
        "links": [{"rel": "up", "href": "/api/v1/em/x"}],
        "tenantUid": "t", "tenantName": "T", "description": "d",
        "cloudFailoverPlanOptions": {"preFailoverPlanCommandEnabled": true, "preFailoverPlanCommand": "c:\\a.cmd"},
        "cloudFailoverPlanInfo": {"includes": []},
    });
    assert_eq!(
        xml("CloudFailoverPlan", &plan, Mode::Request),
        "<CloudFailoverPlan><CloudFailoverPlanOptions><PreFailoverPlanCommandEnabled>true</PreFailoverPlanCommandEnabled>\
         <PreFailoverPlanCommand>c:\\a.cmd</PreFailoverPlanCommand></CloudFailoverPlanOptions></CloudFailoverPlan>"
    );
    let document = xml("CloudFailoverPlan", &plan, Mode::Document);
    for part in [
        "Href=\"/api/cloud",
        "UID=\"urn:",
        "Name=\"P\"",
        "<Links>",
        "<TenantUid>t",
        "<CloudFailoverPlanInfo>",
    ] {
        assert!(document.contains(part), "{part} in {document}");
    }
}

#[test]
fn a_real_id_stays_in_a_request() {
    let credentials = json!({"id": "11111111-2222-3333-4444-555555555555", "username": "u"});
    let xml = xml("CredentialsInfo", &credentials, Mode::Request);
    assert!(
        xml.contains("<Id>11111111-2222-3333-4444-555555555555</Id>"),
        "{xml}"
    );
}

#[test]
fn an_empty_list_is_said_only_where_a_request_may_mean_it() {
    let document = xml(
        "CloudFailoverSession",
        &json!({"links": [], "cloudFailoverTasks": []}),
        Mode::Document,
    );
    assert_eq!(
        document,
        "<CloudFailoverSession><Links /><CloudFailoverTasks /></CloudFailoverSession>"
    );
    let request = xml(
        "CloudFailoverSession",
        &json!({"links": [], "cloudFailoverTasks": []}),
        Mode::Request,
    );
    assert_eq!(request, "<CloudFailoverSession />");
}

#[rstest]
#[case("Task", json!([]), " must be an object")]
#[case("Task", json!({"taskID": "x"}), "/taskID EM's TaskType has no such field")]
#[case("Task", json!({"a/b~c": 1}), "/a~1b~0c EM's TaskType has no such field")]
#[case("Task", json!({"taskId": 5}), "/taskId must be a string")]
#[case("Task", json!({"result": {"success": "true"}}), "/result/success must be true or false")]
#[case("Task", json!({"result": []}), "/result must be an object")]
#[case("Task", json!({"state": "Done"}), "/state must be one of Running, OperationFinished, Finished")]
#[case("Task", json!({"taskId": "a\u{1}b"}), "/taskId holds a character that XML does not allow")]
#[case("Error", json!({"statusCode": "404"}), "/statusCode must be a whole number")]
#[case("Error", json!({"statusCode": 4.5}), "/statusCode must be a whole number of at most 64 bits")]
#[case("Error", json!({"statusCode": 1e30}), "/statusCode must be a whole number of at most 64 bits")]
#[case("CloudFailoverSession", json!({"endTimeUtc": "yesterday"}), "/endTimeUtc must be a date-time such as 2026-01-31T12:00:00Z")]
#[case("CloudFailoverSession", json!({"endTimeUtc": 5}), "/endTimeUtc must be a string")]
#[case("CloudFailoverPlanManagementSpec", json!({"startNow": true, "startDate": "2026-01-31T12:00:00Z"}), "/startDate cannot be given together with startNow")]
#[case("BackupServerSpec", json!({}), "/dnsNameOrIpAddress is required")]
#[case("Jobs", json!({}), "/items is required")]
#[case("Tasks", json!({"items": [{}, {"state": "Nope"}]}), "/items/1/state must be one of")]
#[case("Jobs", json!({"items": [], "more": 1}), "/more EM's JobEntityListType has no such field")]
#[case("QueryResult", json!({"items": [{"what": 1}]}), "/items/0 needs a member \"type\" that says what it is")]
#[case("QueryResult", json!({"items": [], "page": {"size": "1"}}), "/page/size must be a whole number")]
#[case("QueryResult", json!({"items": [], "page": {"pages": 1}}), "/page/pages EM's PagingInfoType has no such field")]
fn what_does_not_fit_is_refused_with_its_pointer(#[case] root: &str, #[case] json: Value, #[case] why: &str) {
    for mode in [Mode::Document, Mode::Request] {
        let all = faults(root, &json, mode);
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].starts_with(why), "{all:?}");
    }
}

#[test]
fn required_parts_are_checked_in_documents_only() {
    for (json, why) in [
        (json!({"links": {"rel": "up"}}), "/links must be an array"),
        (
            json!({"links": [{}, {"rel": 1}]}),
            "/links/1/rel must be a string",
        ),
    ] {
        assert_eq!(faults("Task", &json, Mode::Document), [why]);
        assert_eq!(xml("Task", &json, Mode::Request), "<Task />");
    }
}

#[test]
fn all_faults_are_reported_together() {
    let json = json!({"bad": 1, "taskId": 2, "state": "x", "result": {"success": 0}});
    assert_eq!(faults("Task", &json, Mode::Request).len(), 4);
}

#[test]
fn what_a_put_needs_is_required_in_a_request_only() {
    let gateway = json!({"name": "g"});
    assert!(encode(gateway.to_string().as_bytes(), "CloudGateway", Mode::Document).is_ok());
    let all = faults("CloudGateway", &gateway, Mode::Request);
    assert_eq!(all, ["/networkMode is required", "/externalIp is required"]);
}

#[test]
fn null_is_no_value_for_what_a_request_must_have() {
    let gateway = json!({"name": "g", "networkMode": "Direct", "externalIp": null});
    assert!(encode(gateway.to_string().as_bytes(), "CloudGateway", Mode::Document).is_ok());
    assert_eq!(
        faults("CloudGateway", &gateway, Mode::Request),
        ["/externalIp is required"]
    );
}

#[test]
fn a_choice_accepts_one_value_beside_nulls() {
    let json = json!({"startNow": null, "startDate": "2026-01-31T12:00:00+01:00"});
    assert_eq!(
        xml("CloudFailoverPlanManagementSpec", &json, Mode::Request),
        "<CloudFailoverPlanManagementSpec><StartDate>2026-01-31T11:00:00Z</StartDate></CloudFailoverPlanManagementSpec>"
    );
}

#[test]
fn numbers_keep_their_digits() {
    let xml = |text: &str| {
        let json = format!("{{\"fileEntry\":{{\"size\":{text}}}}}");
        String::from_utf8(encode(json.as_bytes(), "FileSystemEntry", Mode::Document).unwrap()).unwrap()
    };
    assert!(xml("9007199254740993").contains("<Size>9007199254740993</Size>"));
    assert!(xml("6.0").contains("<Size>6</Size>"));
}

#[test]
fn enumerations_are_accepted_in_any_case() {
    let xml = xml("Task", &json!({"state": "operationFinished"}), Mode::Request);
    assert!(xml.contains("<State>OperationFinished</State>"), "{xml}");
}

#[test]
fn a_type_names_the_document_as_well() {
    let by_type = encode(b"{\"taskId\":\"1\"}", "TaskType", Mode::Document).unwrap();
    assert_eq!(
        by_type,
        encode(b"{\"taskId\":\"1\"}", "Task", Mode::Document).unwrap()
    );
    assert_eq!(
        encode(b"{}", "Nonsense", Mode::Document),
        Err(EncodeError::UnknownRoot("Nonsense".into()))
    );
}

#[rstest]
#[case("{\"taskId\":", "the end where")]
#[case("{\"taskId\":\"1\",\"taskId\":\"2\"}", "a member twice")]
#[case("{} {}", "text behind")]
fn what_is_no_json_is_refused_with_its_place(#[case] json: &str, #[case] why: &str) {
    let e = encode(json.as_bytes(), "Task", Mode::Request).unwrap_err();
    assert!(
        matches!(&e, EncodeError::Syntax { what, .. } if what.starts_with(why)),
        "{e}"
    );
}

#[test]
fn what_is_read_can_be_put_back_unchanged() {
    let read = "<CloudGateway xmlns=\"http://www.veeam.com/ent/v1.0\" Type=\"CloudGateway\" Href=\"https://em:9398/api/cloud/gateways/1?format=Entity\" Name=\"g\" UID=\"urn:veeam:CloudGateway:1\"><Links><Link Rel=\"Up\" Href=\"https://em:9398/api/backupServers/1\" /></Links><Enabled>True</Enabled><NetworkMode>NAT</NetworkMode><ExternalIP>10.0.0.1</ExternalIP></CloudGateway>";
    let json = decode(read.as_bytes()).unwrap().json;
    let body = encode(&json, "CloudGateway", Mode::Request).unwrap();
    let body = String::from_utf8(body).unwrap();
    assert!(
        !body.contains("Href") && !body.contains("UID") && !body.contains("Links"),
        "{body}"
    );
    assert!(body.contains("<NetworkMode>NAT</NetworkMode>"), "{body}");
}

#[test]
fn convert_indents_both_formats_by_two() {
    let mut json = Vec::new();
    let options = Options::default();
    let done = convert(
        b"<Task Type='Task'><TaskId>1</TaskId></Task>".as_slice(),
        &mut json,
        options,
    )
    .unwrap();
    assert_eq!((done.to, done.root), (Target::Json, "Task"));
    let json = String::from_utf8(json).unwrap();
    assert_eq!(
        json,
        "{\n  \"type\": \"Task\",\n  \"taskId\": \"1\",\n  \"links\": []\n}\n"
    );
    // Back again, its own `type` saying what it is.
    let mut xml = Vec::new();
    let done = convert(json.as_bytes(), &mut xml, options).unwrap();
    assert_eq!((done.to, done.root), (Target::Xml, "Task"));
    assert_eq!(
        String::from_utf8(xml).unwrap(),
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Task xmlns=\"http://www.veeam.com/ent/v1.0\" Type=\"Task\">\n  <Links />\n  <TaskId>1</TaskId>\n</Task>\n"
    );
}

#[test]
fn convert_asks_for_a_type_where_json_does_not_say_it() {
    let e = convert(b"{}".as_slice(), Vec::new(), Options::default()).unwrap_err();
    assert_eq!(e, ConvertError::NoRoot);
}

#[rstest]
#[case("{\"items\":[{\"taskId\":1}]}", "/items/0/taskId must be a string")]
#[case("{\"page\":{}}", "/items is required")]
#[case("{\"items\":[],\"items\":[]}", "/items is given twice")]
#[case("{\"items\":[],\"x\":1}", "/x EM's TaskListType has no such field")]
#[case("{\"items\":5}", "/items must be an array")]
#[case("{\"items\":[{}, \u{feff}{}]}", "no JSON value (byte 14)")]
#[case("{\"items\":[{},{\"taskId\":\"1}]}", "a string without its end (byte 28)")]
#[case("[]", "the document must be an object")]
fn convert_refuses_lists_item_by_item_with_their_pointers(#[case] json: &str, #[case] why: &str) {
    let options = Options {
        to: Some(Target::Xml),
        root: Some("Tasks"),
        compact: true,
    };
    let e = convert(json.as_bytes(), Vec::new(), options)
        .unwrap_err()
        .to_string();
    assert!(e.contains(why), "{e}");
}
