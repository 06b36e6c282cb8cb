//! The rules of docs/behaviour.md#xml-to-json one by one.

use emgate::transcode::{DecodeError, decode, decode_stream};
use rstest::rstest;
use serde_json::{Value, json};

use crate::transcode_decode::value;

pub fn of(xml: &str) -> Value {
    value(xml.as_bytes())
}

pub fn refused(xml: &[u8]) -> DecodeError {
    assert!(
        decode_stream(xml, &mut Vec::new()).is_err(),
        "the stream must be refused as well"
    );
    match decode(xml) {
        Ok(d) => panic!("must be refused: {}", String::from_utf8_lossy(&d.json)),
        Err(e) => e,
    }
}

/// A failover session: the object whose rules are tested.
pub fn session(inside: &str) -> Value {
    of(&format!("<CloudFailoverSession>{inside}</CloudFailoverSession>"))
}

// --- lists

#[test]
fn items_are_items_whatever_they_are_called() {
    let json = session(
        "<CloudFailoverTasks><Renamed VmName='a'/><CloudFailoverTasks VmName='b'/></CloudFailoverTasks>",
    );
    assert_eq!(
        json["cloudFailoverTasks"],
        json!([{"vmName": "a"}, {"vmName": "b"}])
    );
    let json = of("<VAppCdpReplicaVms><Items Name='a'/><VAppCdpReplicaVm Name='b'/></VAppCdpReplicaVms>");
    assert_eq!(json.pointer("/items/1/name"), Some(&json!("b")));
}

#[test]
fn a_list_that_comes_in_two_places_is_one_list() {
    let twice =
        session("<Links><Link Name='a'/></Links><State/><Links><Link Name='b'/><Link Name='c'/></Links>");
    assert_eq!(
        twice["links"],
        json!([{"name": "a"}, {"name": "b"}, {"name": "c"}])
    );
    assert_eq!(twice["state"], Value::Null);
    let late = session("<Links/><Links><Link Name='b'/></Links><Links/>");
    assert_eq!(late["links"], json!([{"name": "b"}]));
    let scattered = of(
        "<Job><JobScheduleOptions><Standart><OptionsDaily><Days>Monday</Days><Time/><Days>Friday</Days><Odd/><Days>Sunday</Days></OptionsDaily></Standart></JobScheduleOptions></Job>",
    );
    assert_eq!(
        scattered.pointer("/jobScheduleOptions/standart/optionsDaily/days"),
        Some(&json!(["Monday", "Friday", "Sunday"]))
    );
}

#[test]
fn any_number_of_machines_gives_the_same_shape() {
    let head = "\u{feff}<CloudFailoverSession Name='P' Href='https://proxy.example:1234/api/cloud/failoverSessions/1'>";
    for count in [0, 1, 2, 90] {
        let mut xml = format!("{head}<Future A='1'/><CloudFailoverTasks>");
        for i in 0..count {
            xml.push_str(&format!(
                "<CloudFailoverTasks VmName='vm{i}'><State>Working</State></CloudFailoverTasks>"
            ));
        }
        xml.push_str("</CloudFailoverTasks></CloudFailoverSession>");
        let json = of(&xml);
        assert_eq!(json["href"], "/api/v1/em/cloud/failoverSessions/1");
        assert_eq!(json["future"], json!({"a": "1"}));
        let tasks = json["cloudFailoverTasks"].as_array().unwrap();
        assert_eq!(tasks.len(), count);
        for (i, task) in tasks.iter().enumerate() {
            assert_eq!(*task, json!({"vmName": format!("vm{i}"), "state": "Working"}));
        }
    }
}

// --- values

#[rstest]
#[case("<EndTimeUTC>1753-01-01T00:00:00</EndTimeUTC>", "endTimeUtc", Value::Null)]
#[case("<EndTimeUTC>1900-01-01T00:00:00Z</EndTimeUTC>", "endTimeUtc", Value::Null)]
#[case("<EndTimeUTC>0001-01-01T00:00:00</EndTimeUTC>", "endTimeUtc", Value::Null)]
#[case("<EndTimeUTC/>", "endTimeUtc", Value::Null)]
#[case("<EndTimeUTC> \n </EndTimeUTC>", "endTimeUtc", Value::Null)]
#[case("<EndTimeUTC>soon</EndTimeUTC>", "endTimeUtc", json!("soon"))]
#[case("<EndTimeUTC>2026-02-03T04:05:06.70</EndTimeUTC>", "endTimeUtc", json!("2026-02-03T04:05:06.700Z"))]
#[case("<Progress/>", "progress", Value::Null)]
#[case("<Progress>  </Progress>", "progress", Value::Null)]
#[case("<Progress>12 %</Progress>", "progress", json!("12 %"))]
#[case("<Progress>99999999999999999999</Progress>", "progress", json!("99999999999999999999"))]
#[case("<Progress>1&#13;\r\n2</Progress>", "progress", json!("1\n\n2"))]
#[case("<State/>", "state", Value::Null)]
#[case("<State> Working\n</State>", "state", json!("Working"))]
#[case("<State>Quiescing</State>", "state", json!("Quiescing"))]
#[case("<JobName/>", "jobName", json!(""))]
#[case("<JobName></JobName>", "jobName", json!(""))]
#[case("<JobName>  </JobName>", "jobName", json!("  "))]
#[case("<JobName> a \r\n b </JobName>", "jobName", json!(" a \n b "))]
#[case("<JobUid/>", "jobUid", json!(""))]
fn the_catalogue_decides_the_type_of_a_value(
    #[case] inside: &str,
    #[case] name: &str,
    #[case] expected: Value,
) {
    assert_eq!(session(inside)[name], expected, "{inside}");
}

#[test]
fn empty_attributes_follow_the_same_rule() {
    assert_eq!(
        of("<Error StatusCode='' Message='' Status=' '/>"),
        json!({"statusCode": null, "message": "", "status": " "})
    );
    assert_eq!(of("<Error StatusCode=' 7 '/>"), json!({"statusCode": 7}));
    assert_eq!(of("<Error StatusCode='x'/>"), json!({"statusCode": "x"}));
}

#[test]
fn an_absent_scalar_is_absent() {
    let json = session("<State>Stopped</State>");
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["state", "links", "cloudFailoverTasks"]);
}

#[test]
fn text_beside_attributes_is_the_value() {
    let xml = "<Job><JobScheduleOptions><Standart><OptionsBackupWindow><TimePeriods><Day Name='Sunday'>1,1<!-- -->,0</Day><Day Name='Monday'/></TimePeriods></OptionsBackupWindow></Standart></JobScheduleOptions></Job>";
    assert_eq!(
        of(xml).pointer("/jobScheduleOptions/standart/optionsBackupWindow/timePeriods"),
        Some(&json!([{"name": "Sunday", "value": "1,1,0"}, {"name": "Monday", "value": ""}]))
    );
}

// --- identity and links

#[rstest]
#[case("urn:veeam:Job:abc", json!({"uid": "urn:veeam:Job:abc", "id": "abc", "links": []}))]
#[case("urn:veeam:CatalogVm:srv:01", json!({"uid": "urn:veeam:CatalogVm:srv:01", "id": "srv:01", "links": []}))]
#[case("3f56fa52", json!({"uid": "3f56fa52", "links": []}))]
#[case("", json!({"uid": "", "links": []}))]
#[case("urn:veeam:Job:", json!({"uid": "urn:veeam:Job:", "links": []}))]
#[case("urn:veeam:A:x&amp;&quot;y", json!({"uid": "urn:veeam:A:x&\"y", "id": "x&\"y", "links": []}))]
fn a_uid_gives_its_id(#[case] uid: &str, #[case] expected: Value) {
    assert_eq!(of(&format!("<EntityRef UID=\"{uid}\"/>")), expected);
}

#[test]
fn a_real_id_beats_the_one_made_from_the_uid() {
    let json = of("<EntityRef UID='urn:veeam:Job:abc' Name='n'><Id>real</Id></EntityRef>");
    assert_eq!(
        json,
        json!({"uid": "urn:veeam:Job:abc", "name": "n", "id": "real", "links": []})
    );
    let json = of("<EntityRef Id='real' UID='urn:veeam:Job:abc'/>");
    assert_eq!(json["id"], "real");
}

#[test]
fn urls_are_rewritten_in_unknown_elements_too() {
    let json = session(
        "<Future Href='https://x/api/futures/1' UID='urn:veeam:Future:1'><Link Rel='QuickBackup' Href='https://y/other'/></Future>",
    );
    assert_eq!(
        json["future"],
        json!({"href": "/api/v1/em/futures/1", "uid": "urn:veeam:Future:1", "id": "1",
               "link": {"rel": "quickBackup", "href": "https://y/other"}})
    );
}

// --- unknown

#[rstest]
#[case("<New>text</New>", json!("text"))]
#[case("<New/>", json!(""))]
#[case("<New xsi:nil='true'/>", Value::Null)]
#[case("<New>  </New>", json!("  "))]
#[case("<New A='1'/>", json!({"a": "1"}))]
#[case("<New A='1'>t</New>", json!({"a": "1", "value": "t"}))]
#[case("<New>t<B>1</B> u</New>", json!({"b": "1", "value": "t u"}))]
#[case("<New><B>1</B><C/><B>2</B></New>", json!({"b": ["1", "2"], "c": ""}))]
#[case("<New>1</New><State/><New>2</New><New/>", json!(["1", "2", ""]))]
#[case("<New><Value>1</Value>t</New>", json!({"value": "1", "valueText": "t"}))]
#[case("<New NAME='a' Name='b'/>", json!({"name": ["a", "b"]}))]
#[case("<New A='1' AAttribute='2'><A>3</A></New>", json!({"aAttributeAttribute": "1", "aAttribute": "2", "a": "3"}))]
#[case("<New><UIDList><ID>007</ID></UIDList></New>", json!({"uidList": {"id": "007"}}))]
fn what_the_catalogue_does_not_know_passes_by_general_rules(#[case] inside: &str, #[case] expected: Value) {
    let json = session(inside);
    assert_eq!(json["new"], expected, "{inside}");
}

#[test]
fn what_a_scalar_should_not_have_is_kept_beside_it() {
    let json = session("<JobName Lang='de'>x<B>1</B>y</JobName><State Since='now'>Working</State>");
    assert_eq!(json["jobName"], "xy");
    assert_eq!(json["jobNameMore"], json!([{"lang": "de"}, {"b": "1"}]));
    assert_eq!(json["state"], "Working");
    assert_eq!(json["stateMore"], json!({"since": "now"}));
}

#[test]
fn text_in_an_element_only_type_becomes_value() {
    let json = session("one <State>Working</State> two");
    assert_eq!(json["value"], "one  two");
    assert_eq!(json["state"], "Working");
    let tenant = of("<CloudTenant><TenantType>Standalone</TenantType></CloudTenant>");
    assert_eq!(tenant["tenantType"], json!({"value": "Standalone"}));
}

#[test]
fn other_spellings_of_a_known_name_are_accepted() {
    let xml = "<CloudTenant><PublicIPCount>3</PublicIPCount></CloudTenant>";
    assert_eq!(of(xml)["publicIpCount"], 3);
    assert_eq!(decode(xml.as_bytes()).unwrap().anomalies.iter().count(), 1);
}

#[test]
fn unknown_elements_are_limited_to_a_mebibyte() {
    let big = |n: usize| format!("<Task><New>{}</New><TaskId>1</TaskId></Task>", "x".repeat(n));
    assert_eq!(of(&big(900_000))["taskId"], "1");
    assert!(matches!(
        refused(big(1_100_000).as_bytes()),
        DecodeError::TooLarge { .. }
    ));
    let many = format!("<Task>{}</Task>", "<N/>".repeat(100_000));
    assert!(matches!(refused(many.as_bytes()), DecodeError::TooLarge { .. }));
    // One after the other they may be more than that.
    let each = format!("<Task><New>{}</New></Task>", "x".repeat(500_000));
    assert_eq!(
        of(&format!("<Tasks>{}</Tasks>", each.repeat(6)))["items"]
            .as_array()
            .map(Vec::len),
        Some(6)
    );
}

#[test]
fn anomalies_are_counted_but_their_names_are_capped() {
    let names: Vec<String> = (0..1000).map(|i| format!("<N{i}/>")).collect();
    let decoded = decode(format!("<Task>{}</Task>", names.concat()).as_bytes()).unwrap();
    assert_eq!(decoded.anomalies.iter().count(), 64);
    assert_eq!(decoded.anomalies.more, 936);
    let long = format!("<Task><N{}/></Task>", "x".repeat(1000));
    let decoded = decode(long.as_bytes()).unwrap();
    assert!(decoded.anomalies.iter().all(|a| a.name.chars().count() <= 41));
}

// --- refused whole

#[test]
fn depth_is_limited_to_sixty_four() {
    let nested = |n: usize| format!("<Task>{}{}</Task>", "<N>".repeat(n - 1), "</N>".repeat(n - 1));
    assert!(decode(nested(64).as_bytes()).is_ok());
    assert!(matches!(
        refused(nested(65).as_bytes()),
        DecodeError::TooDeep { limit: 64, .. }
    ));
    assert!(matches!(
        refused("<Task>".repeat(100_000).as_bytes()),
        DecodeError::TooDeep { .. }
    ));
    let paging = format!("<QueryResult><PagingInfo>{}", "<N>".repeat(100));
    assert!(matches!(refused(paging.as_bytes()), DecodeError::TooDeep { .. }));
}

#[rstest]
#[case::two_roots("<Task/><Task/>")]
#[case::text_before("x<Task/>")]
#[case::text_behind("<Task/>x")]
#[case::wrong_end("<Task><TaskId></State></Task>")]
#[case::stray_end("</Task>")]
#[case::twice_the_attribute("<Task Type='a' Type='b'/>")]
#[case::twice_an_unknown_attribute("<Task X='a' X='b'/>")]
#[case::no_blank("<Task Type='a'Href='b'/>")]
#[case::no_quotes("<Task Type=a/>")]
#[case::no_value("<Task Type/>")]
#[case::less_than_in_attribute("<Task Type='<'/>")]
#[case::ampersand("<Task><TaskId>a & b</TaskId></Task>")]
#[case::late_declaration("<!-- --><?xml version='1.0'?><Task/>")]
#[case::declaration_inside("<Task><?xml version='1.0'?></Task>")]
#[case::bad_name("<Task><1a/></Task>")]
#[case::bad_name_in_list("<Tasks><a\"b/></Tasks>")]
#[case::latin1("<?xml version='1.0' encoding='iso-8859-1'?><Task/>")]
#[case::bang("<Task><!ELEMENT x></Task>")]
fn what_is_not_well_formed_is_refused(#[case] xml: &str) {
    refused(xml.as_bytes());
}

#[rstest]
#[case(b"<Task><TaskId>a\x01b</TaskId></Task>")]
#[case(b"<Task Type='\x1f'/>")]
#[case(b"<Task><TaskId>&#xD800;</TaskId></Task>")]
#[case(b"<Task><TaskId>&#x110000;</TaskId></Task>")]
#[case(b"<Task><New>\x0b</New></Task>")]
#[case(b"<CloudFailoverSession><State>a\x02</State></CloudFailoverSession>")]
#[case(b"<CloudFailoverSession><Progress>\x02</Progress></CloudFailoverSession>")]
#[case(b"<Task><TaskId><![CDATA[\x03]]></TaskId></Task>")]
fn characters_that_xml_does_not_allow_are_refused(#[case] xml: &[u8]) {
    let e = refused(xml);
    assert!(matches!(e, DecodeError::Character { .. }), "{e}");
}

/// .NET writes the colours of a script's output as references that XML 1.0 does not have.
#[test]
fn a_reference_to_no_xml_character_is_replaced() {
    let json = session("<FailureMessage>&#x1B;[31mfailed&#x1b;[0m&#0;&#xFFFF;</FailureMessage>");
    assert_eq!(
        json["failureMessage"],
        "\u{fffd}[31mfailed\u{fffd}[0m\u{fffd}\u{fffd}"
    );
    let json = of("<Error Message='a&#8;b'><New>&#1;</New></Error>");
    assert_eq!(
        (&json["message"], &json["new"]),
        (&json!("a\u{fffd}b"), &json!("\u{fffd}"))
    );
}

#[test]
fn invalid_utf8_and_utf16_are_refused() {
    let e = refused(b"<Task><TaskId>\xff\xfe</TaskId></Task>");
    assert!(matches!(e, DecodeError::Encoding { .. }), "{e}");
    let e = refused(b"<Task Type='\xc3'/>");
    assert!(matches!(e, DecodeError::Encoding { .. }), "{e}");
    let mut utf16: Vec<u8> = "<Task/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    utf16.push(b'x');
    assert!(matches!(refused(&utf16), DecodeError::Encoding { .. }));
    assert!(matches!(
        refused(b"\xff\xfe<\0T\0\0\xd8/\0>\0"),
        DecodeError::Encoding { .. }
    ));
}

#[rstest]
#[case(
    "<CloudFailoverSession><State>Working</State><State>Stopped</State></CloudFailoverSession>",
    "State"
)]
#[case("<Task><Result Success='true'/><Result Success='false'/></Task>", "Result")]
fn a_known_single_field_that_repeats_is_refused(#[case] xml: &str, #[case] field: &str) {
    let e = refused(xml.as_bytes());
    assert!(
        matches!(&e, DecodeError::Repeated { field: f, .. } if f == field),
        "{e}"
    );
}

#[test]
fn errors_quote_little_of_the_document() {
    let e = refused(format!("<Task><TaskId></{}></Task>", "x\n".repeat(500)).as_bytes()).to_string();
    assert!(e.contains("byte 14") && e.len() < 200 && !e.contains('\n'), "{e}");
    let secret = "<Task><TaskId>hunter2</TaskID></Task>";
    assert!(!refused(secret.as_bytes()).to_string().contains("hunter2"));
}

// --- documents

#[test]
fn list_roots_and_query_results_carry_items_and_page() {
    let page = json!({"size": 2, "next": null, "previous": null});
    let jobs = of("<Jobs><Job Name='a'/><Job Name='b'/></Jobs>");
    assert_eq!(jobs["page"], page);
    assert_eq!(jobs.as_object().unwrap().len(), 2);
    let refs = of(
        "<QueryResult><Refs><Ref Name='a'/><Ref Name='b'/></Refs><Links><Link Rel='Up'/></Links></QueryResult>",
    );
    assert_eq!(
        refs,
        json!({"items": [{"name": "a", "links": []}, {"name": "b", "links": []}], "page": page})
    );
    let mixed = of(
        "<QueryResult><Entities><Repositories><Repository Name='r'/></Repositories><WanAccelerators/><BackupFiles><BackupFile Name='f'/></BackupFiles></Entities><Resources><Tasks><Task Type='Task'/></Tasks></Resources></QueryResult>",
    );
    let names: Vec<&Value> = mixed["items"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 3);
    assert_eq!(mixed["page"]["size"], 3);
}

#[test]
fn a_page_has_numbers_and_links() {
    let json = of(
        "<QueryResult><PagingInfo PageNum='2' PageSize='50' PagesCount='9'><Links><Link Rel='Next' Href='https://x/api/query?page=3'/><Link Rel='previous' Href='http://y:9399/api/query?page=1'/><Link Rel='Last' Href='z'/></Links></PagingInfo></QueryResult>",
    );
    assert_eq!(
        json["page"],
        json!({"size": 50, "next": "/api/v1/em/query?page=3", "previous": "/api/v1/em/query?page=1", "number": 2, "total": 9})
    );
    let files = of(
        "<FileSystemEntries><Files><FileEntry/></Files><PagingInfo PageNum='1' PageSize='10'/></FileSystemEntries>",
    );
    assert_eq!(
        files["pagingInfo"],
        json!({"size": 10, "next": null, "previous": null, "number": 1})
    );
}

#[test]
fn a_query_result_of_a_kind_to_come_still_gives_its_items() {
    let json = of(
        "<QueryResult><Entities><Futures><Future Name='a'/><Future><N>1</N></Future></Futures></Entities><Extra>1</Extra></QueryResult>",
    );
    assert_eq!(json["items"], json!([{"name": "a"}, {"n": "1"}]));
    assert_eq!(json["page"]["size"], 2);
    assert_eq!(json["extra"], "1");
}

#[test]
fn a_large_document_streams_with_little_memory() {
    // Two hundred thousand items; the reader makes them up as it goes.
    struct Endless {
        piece: Vec<u8>,
        left: usize,
        at: usize,
    }
    impl std::io::Read for Endless {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            if self.at == self.piece.len() {
                if self.left == 0 {
                    return Ok(0);
                }
                self.at = 0;
                self.left -= 1;
                self.piece = if self.left == 0 {
                    b"</Tasks>".to_vec()
                } else {
                    b"<Task Type='Task'><TaskId>task-1</TaskId></Task>".to_vec()
                };
            }
            let n = buf.len().min(self.piece.len() - self.at);
            buf[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
            self.at += n;
            Ok(n)
        }
    }
    struct Largest {
        total: usize,
        piece: usize,
    }
    impl std::io::Write for Largest {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.total += buf.len();
            self.piece = self.piece.max(buf.len());
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let source = Endless {
        piece: b"<Tasks>".to_vec(),
        left: 200_000,
        at: 0,
    };
    let mut sink = Largest { total: 0, piece: 0 };
    decode_stream(std::io::BufReader::new(source), &mut sink).unwrap();
    assert!(sink.total > 8_000_000, "{}", sink.total);
    assert!(sink.piece < 300_000, "{}", sink.piece);
}

#[test]
fn a_single_piece_of_a_stream_is_limited() {
    let xml = format!("<Task><TaskId>{}</TaskId></Task>", "x".repeat(17 * 1024 * 1024));
    let e = decode_stream(std::io::BufReader::new(xml.as_bytes()), &mut Vec::new())
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(e, DecodeError::TooLarge { .. }), "{e}");
    assert!(
        decode(xml.as_bytes()).is_ok(),
        "in memory only the caller's limit counts"
    );
}
