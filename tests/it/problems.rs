//! The table of problem codes, row by row: status, code and content type over TCP. The client of `support` checks
//! the rest of every problem's shape.

use std::time::Duration;

use emgate::upstream::config::Account;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::client::Request;
use crate::support::{PLAN, TestGateway, plan};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn unknown_things_are_404_whether_the_id_could_exist_or_not() {
    let test = TestGateway::start().await;
    for path in [
        format!("/api/v1/cloud-failover-plans/{NOBODY}"),
        "/api/v1/cloud-failover-plans/7".to_owned(),
        "/api/v1/cloud-failover-plans/..%2f..%2fsessionMngr".to_owned(),
        "/api/v1/cloud-failover-plans/%ff".to_owned(),
        format!("/api/v1/failover-plans/{NOBODY}"),
        format!("/api/v1/failover-sessions/{NOBODY}"),
        format!("/api/v1/operations/{NOBODY}"),
        "/api/v1/operations/latest".to_owned(),
        "/api/v1/cloud-failover-plans/".to_owned(),
        "/problems/nothing".to_owned(),
    ] {
        test.client.get(&path).refused(404, "not-found").await;
    }
    test.client
        .post(&plan("/explode"))
        .refused(404, "not-found")
        .await;
    let path = format!("/api/v1/cloud-failover-plans/{NOBODY}/test");
    test.client.post(&path).refused(404, "not-found").await;
    test.stop().await;
}

/// A request to start the plan with that text as its body.
fn start_with(test: &TestGateway, body: &str) -> Request {
    let request = test.client.post(&plan("/start"));
    request
        .header("content-type", "application/json")
        .body(body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_read_is_400() {
    let test = TestGateway::start().await;
    let send = |body: &str| start_with(&test, body);
    for body in [
        "{",
        "{\"metadata\":{}} {}",
        "\u{feff}\u{feff}{}",
        "nul",
        "{\"a\":\"\u{1}\"}",
        &"[".repeat(1000),
    ] {
        send(body).refused(400, "malformed-request").await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_fit_is_422_with_pointers() {
    let test = TestGateway::start().await;
    let send = |body: &str| start_with(&test, body);
    for (body, pointer) in [
        ("[]", ""),
        ("\"start\"", ""),
        (r#"{"restorepoint":{}}"#, "/restorepoint"),
        (r#"{"restorePoint":"latest"}"#, "/restorePoint"),
        (
            r#"{"restorePoint":{"before":"yesterday"}}"#,
            "/restorePoint/before",
        ),
        (
            r#"{"restorePoint":{"before":"2999-01-01T00:00:00Z"}}"#,
            "/restorePoint/before",
        ),
        (
            r#"{"restorePoint":{"before":"20260101T000000Z"}}"#,
            "/restorePoint/before",
        ),
        (
            r#"{"restorePoint":{"before":"-000001-01-01T00:00:00Z"}}"#,
            "/restorePoint/before",
        ),
        (
            r#"{"purpose":{"incidentAt":"2026-01-01T00:00:60Z"}}"#,
            "/purpose/incidentAt",
        ),
        (
            r#"{"restorePoint":{"before":"2026-01-01T00:00:00Z","x":1}}"#,
            "/restorePoint/x",
        ),
        (r#"{"metadata":{"n":1}}"#, "/metadata/n"),
    ] {
        let answer = send(body).refused(422, "invalid-request").await;
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    let ahead = "2999-01-01T00:00:00Z";
    let both = json!({"purpose": {"incidentAt": ahead}, "restorePoint": {"before": ahead}});
    let answer = send(&both.to_string()).refused(422, "invalid-request").await;
    assert_eq!(
        answer.pointers(),
        ["/restorePoint/before", "/purpose/incidentAt"],
        "together"
    );
    let notes: serde_json::Map<String, Value> = (0..51).map(|n| (format!("n{n}"), json!(""))).collect();
    let answer = send(&json!({"metadata": notes}).to_string())
        .refused(422, "invalid-request")
        .await;
    assert_eq!(answer.pointers(), ["/metadata"]);
    let body = json!({"restorePoint": {"before": "2026-01-01T00:00:00Z"}});
    let answer = test
        .client
        .post(&plan("/test"))
        .json(&body)
        .refused(422, "invalid-request")
        .await;
    assert_eq!(answer.pointers(), ["/restorePoint"]);
    let answer = test
        .client
        .request("PUT", &plan(""))
        .refused(422, "invalid-request")
        .await;
    assert_eq!(answer.pointers(), [""], "a body that must be there");
    let stats = test.sim_control(reqwest::Method::GET, "stats", Value::Null).await;
    let posts = stats["requests"]
        .as_object()
        .expect("counts")
        .keys()
        .filter(|key| key.starts_with("POST /api/cloud"));
    assert_eq!(
        posts.count(),
        0,
        "nothing of all this may have reached Enterprise Manager"
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_if_match_that_is_no_entity_tag_is_422() {
    let test = TestGateway::start().await;
    let plan = format!("/api/v1/cloud-failover-plans/{PLAN}");
    let mirrored = format!("/api/v1/em/cloud/cloudFailoverPlans/{PLAN}");
    for path in [&plan, &mirrored] {
        for tag in ["", "0", "\"cut", "\"a\" \"b\""] {
            let answer = test
                .client
                .request("DELETE", path)
                .header("if-match", tag)
                .refused(422, "invalid-request")
                .await;
            assert_eq!(answer.pointers(), ["If-Match"], "{path} {tag}");
        }
        test.client.get(path).send().await.expect(200);
    }
    // A fault of the path is reported before one of the method.
    let answer = test
        .client
        .request("PATCH", &mirrored)
        .header("if-match", "0")
        .send()
        .await;
    answer.expect_problem(405, "method-not-allowed");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_are_unknown_double_or_out_of_bounds_are_422_by_name() {
    let test = TestGateway::start().await;
    for (path, name) in [
        ("/api/v1/cloud-failover-plans?pageSize=0", "pageSize"),
        ("/api/v1/cloud-failover-plans?pageSize=101", "pageSize"),
        ("/api/v1/cloud-failover-plans?page=0", "page"),
        ("/api/v1/cloud-failover-plans?page=1&page=2", "page"),
        ("/api/v1/cloud-failover-plans?sortAsc=progress", "sortAsc"),
        (
            "/api/v1/cloud-failover-plans?sortAsc=name&sortDesc=name",
            "sortDesc",
        ),
        ("/api/v1/cloud-failover-plans?filter=1", "filter"),
        ("/api/v1/failover-sessions?state=running", "state"),
        ("/api/v1/failover-sessions?state=working,", "state"),
        ("/api/v1/failover-sessions?result=none", "result"),
        ("/api/v1/failover-sessions?startedAfter=today", "startedAfter"),
        ("/api/v1/operations?planId=7", "planId"),
        ("/api/v1/operations?page=2", "page"),
        ("/api/v1/operations?after=%21", "after"),
        ("/api/v1/operations?after=AAAA", "after"),
        (
            "/api/v1/operations?after=AAAAAAAAAAAAAAAAAAAAAA&before=AAAAAAAAAAAAAAAAAAAAAA",
            "before",
        ),
        ("/api/v1/events?after=evt_7", "after"),
        // Eight bytes, as the places of this log have.
        ("/api/v1/events?after=evt_AAAA", "after"),
        ("/api/v1/operations?result=", "result"),
        (
            "/api/v1/events?after=evt_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
            "after",
        ),
        ("/api/v1/events?type=failover.session", "type"),
        ("/api/v1/events?eventType=failover.session.finished", "eventType"),
        ("/readyz?strict=yes", "strict"),
    ] {
        let answer = test.client.get(path).refused(422, "invalid-request").await;
        assert_eq!(answer.pointers(), [name], "{path}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_cursor_is_told_all_that_the_list_takes() {
    let test = TestGateway::start().await;
    for (list, also) in [
        ("operations", "from the links of another page"),
        ("events", "or give the id of an event, or `start`"),
        ("audit", "or give the `sequence` of a row"),
    ] {
        for cursor in ["%21", "nope", ""] {
            let path = format!("/api/v1/{list}?after={cursor}");
            let answer = test.client.get(&path).refused(422, "invalid-request").await;
            let detail = answer.body["errors"][0]["detail"].as_str().expect("a detail");
            assert!(detail.ends_with(also), "{path}: {detail}");
        }
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_413_with_or_without_a_length() {
    let test = TestGateway::builder()
        .config(|config| config.server.max_body = 2048)
        .start()
        .await;
    let path = plan("/test");
    let large = json!({"metadata": {"note": "x".repeat(4000)}});
    test.client
        .post(&path)
        .json(&large)
        .refused(413, "payload-too-large")
        .await;
    // Without a length, the reading itself has to stop.
    let chunks = futures_util::stream::iter((0..4).map(|_| Ok::<_, std::io::Error>("x".repeat(1000))));
    let chunked = test.client.post(&path).header("content-type", "application/json");
    let answer = chunked.body(reqwest::Body::wrap_stream(chunks)).send().await;
    answer.expect_problem(413, "payload-too-large");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_type_than_json_is_415() {
    let test = TestGateway::start().await;
    let path = plan("/test");
    for kind in [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
    ] {
        let answer = test
            .client
            .post(&path)
            .header("content-type", kind)
            .body("{}")
            .send()
            .await;
        answer.expect_problem(415, "unsupported-media-type");
    }
    let answer = test.client.post(&path).body("{}").send().await;
    answer.expect_problem(415, "unsupported-media-type");
    let packed = test
        .client
        .post(&path)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    packed.body("{}").refused(415, "unsupported-media-type").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_path_does_not_have_is_405_with_those_it_has() {
    let test = TestGateway::start().await;
    let path = plan("/test");
    for (method, path, allowed) in [
        ("GET", path.as_str(), vec!["POST"]),
        ("DELETE", "/api/v1/operations", vec!["GET", "HEAD"]),
        ("PATCH", "/api/v1/events", vec!["GET", "HEAD"]),
        (
            "DELETE",
            "/api/v1/failover-plans/3f56fa52-c902-4655-9774-2022fde214d2",
            vec!["GET", "HEAD", "PUT"],
        ),
        ("POST", "/healthz", vec!["GET", "HEAD"]),
    ] {
        let answer = test
            .client
            .request(method, path)
            .refused(405, "method-not-allowed")
            .await;
        let mut reported: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
        reported.sort_unstable();
        assert_eq!(reported, allowed, "{method} {path}");
    }
    test.stop().await;
}

/// Many clients send all that they have before they read.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_arrives_after_eight_megabytes_were_sent() {
    const BODY: usize = 8_000_000;
    let test = TestGateway::start().await;
    let mut stream = tokio::net::TcpStream::connect(test.addr())
        .await
        .expect("connected");
    let head =
        format!("POST /api/v1/webhook-endpoints HTTP/1.1\r\nhost: x\r\ncontent-length: {BODY}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("taken");
    stream.write_all(&vec![b' '; BODY]).await.expect("taken");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
    drop(stream);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_arrives_although_the_body_was_not_wanted() {
    let test = TestGateway::builder()
        .config(|config| config.server.max_body = 2048)
        .start()
        .await;
    let body = json!({"metadata": {"note": "x".repeat(500_000)}});
    for _ in 0..20 {
        test.client
            .post(&plan("/test"))
            .json(&body)
            .refused(413, "payload-too-large")
            .await;
        test.stranger()
            .post(&plan("/test"))
            .json(&body)
            .refused(413, "payload-too-large")
            .await;
        let chunks = futures_util::stream::iter((0..500).map(|_| Ok::<_, std::io::Error>("x".repeat(1000))));
        let chunked = test
            .stranger()
            .post(&plan("/test"))
            .body(reqwest::Body::wrap_stream(chunks));
        chunked.refused(401, "unauthenticated").await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_empty_is_no_body_whatever_its_type_says() {
    let test = TestGateway::start().await;
    let answer = test
        .client
        .post(&plan("/test"))
        .header("content-type", "text/plain")
        .header("prefer", "wait=20");
    let answer = answer.body("").send().await.expect(200);
    assert_eq!(answer.body["result"], "success");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_runs_is_409_naming_the_holder() {
    let test = TestGateway::builder().sim(|sim| sim.speed = 1.0).start().await;
    let first = test.client.post(&plan("/test")).send().await.expect(202);
    let answer = test.client.post(&plan("/start")).refused(409, "plan-busy").await;
    assert_eq!(answer.body["operationId"], first.body["id"]);
    test.stop().await;

    let test = TestGateway::builder().sim(|sim| sim.speed = 1.0).start().await;
    let failover = json!({"planId": PLAN, "action": "test", "result": "success", "seconds": 60});
    let made = test
        .sim_control(reqwest::Method::POST, "failovers", failover)
        .await;
    let id = made["sessionId"].as_str().expect("an id").to_owned();
    test.until("/api/v1/events", |body| {
        body["items"].as_array().is_some_and(|items| !items.is_empty())
    })
    .await;
    let answer = test.client.post(&plan("/test")).refused(409, "plan-busy").await;
    assert!(
        answer.body["sessionId"]
            .as_str()
            .is_some_and(|reported| reported.eq_ignore_ascii_case(&id)),
        "{}",
        answer.text
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_what_has_changed_is_412() {
    let test = TestGateway::start().await;
    let read = test.client.get(&plan("")).send().await.expect(200);
    let tag = read.header("etag").to_owned();
    assert!(tag.starts_with('"'), "{tag}");
    test.client
        .get(&plan(""))
        .header("if-none-match", &tag)
        .send()
        .await
        .expect(304);
    let stale = test
        .client
        .request("PUT", &plan(""))
        .header("if-match", "\"old\"")
        .json(&read.body);
    stale.refused(412, "precondition-failed").await;
    let stale = test
        .client
        .request("DELETE", &plan(""))
        .header("if-match", "\"old\"");
    stale.refused(412, "precondition-failed").await;

    let mut changed = read.body.clone();
    changed["postFailoverCommand"] = json!({"enabled": true, "command": "C:\\after.cmd"});
    let fresh = test
        .client
        .request("PUT", &plan(""))
        .header("if-match", &tag)
        .header("prefer", "wait=20");
    fresh.json(&changed).send().await.expect(200);
    let again = test
        .client
        .request("PUT", &plan(""))
        .header("if-match", &tag)
        .json(&changed);
    again.refused(412, "precondition-failed").await;

    changed["name"] = json!("Another");
    let answer = test.client.request("PUT", &plan("")).json(&changed).send().await;
    assert_eq!(
        answer.expect_problem(422, "invalid-request").pointers(),
        ["/name"]
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_or_is_not_known_yet_cannot_be_cancelled() {
    let test = TestGateway::start().await;
    let ended = test
        .client
        .post(&plan("/test"))
        .header("prefer", "wait=20")
        .send()
        .await
        .expect(200);
    let cancel = format!("{}/cancel", ended.body["links"]["self"].as_str().expect("a link"));
    let answer = test.client.post(&cancel).refused(409, "operation-finished").await;
    assert_eq!(answer.body["operationId"], ended.body["id"]);
    test.stop().await;

    // Enterprise Manager breaks off before it answers, and did nothing, which the gateway cannot know.
    let test = TestGateway::start().await;
    test.fault(json!({"kind": "close", "count": 1, "method": "POST", "path": "/api/cloud/"}))
        .await;
    let open = test.client.post(&plan("/test")).send().await.expect(202);
    assert_eq!(open.body["state"], "submitting");
    let cancel = format!("{}/cancel", open.body["links"]["self"].as_str().expect("a link"));
    test.client.post(&cancel).refused(409, "not-cancellable").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_good_for_one_request() {
    let test = TestGateway::start().await;
    let path = plan("/test");
    let with = |key: &str, body: &Value| test.client.post(&path).header("idempotency-key", key).json(body);
    let first = with("k-1", &json!({"metadata": {"a": "1"}}))
        .send()
        .await
        .expect(202);
    let again = with("k-1", &json!({"metadata": {"a": "1"}}))
        .send()
        .await
        .expect(200);
    assert_eq!(again.body["id"], first.body["id"]);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.header("idempotency-replayed"), "");
    with("k-1", &json!({"metadata": {"a": "2"}}))
        .refused(422, "idempotency-key-reused")
        .await;
    for bad in ["", "a b", &"x".repeat(256)] {
        let answer = with(bad, &json!({})).refused(422, "invalid-request").await;
        assert_eq!(answer.pointers(), ["Idempotency-Key"], "{bad}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enterprise_managers_faults_on_a_read_become_typed_problems() {
    let test = TestGateway::builder()
        .config(|config| config.upstream.request_timeout = Duration::from_millis(500))
        .start()
        .await;
    let path = "/api/cloud/cloudFailoverPlans";
    for (fault, status, code) in [
        (
            json!({"kind": "status", "status": 403}),
            403,
            "upstream-forbidden",
        ),
        (json!({"kind": "status", "status": 400}), 422, "upstream-rejected"),
        (json!({"kind": "status", "status": 404}), 404, "not-found"),
        (json!({"kind": "status", "status": 409}), 409, "upstream-conflict"),
        (json!({"kind": "status", "status": 405}), 502, "upstream-error"),
        (json!({"kind": "status", "status": 415}), 502, "upstream-error"),
        (json!({"kind": "status", "status": 500}), 502, "upstream-error"),
        (
            json!({"kind": "status", "status": 503}),
            503,
            "upstream-unavailable",
        ),
        (
            json!({"kind": "status", "status": 429}),
            503,
            "upstream-unavailable",
        ),
        (json!({"kind": "html"}), 502, "upstream-invalid-response"),
        (json!({"kind": "garbage"}), 502, "upstream-invalid-response"),
        (json!({"kind": "entityBomb"}), 502, "upstream-invalid-response"),
        (json!({"kind": "deepNesting"}), 502, "upstream-invalid-response"),
        (json!({"kind": "hang"}), 504, "upstream-timeout"),
    ] {
        let mut fault = fault;
        fault.as_object_mut().expect("an object").extend([
            ("count".to_owned(), json!(20)),
            ("method".to_owned(), json!("GET")),
            ("path".to_owned(), json!(path)),
        ]);
        test.fault(fault.clone()).await;
        let answer = test.client.get(&plan("")).send().await;
        test.sim_control(reqwest::Method::DELETE, "faults", Value::Null)
            .await;
        assert_eq!(
            (answer.status, answer.body["code"].as_str()),
            (status, Some(code)),
            "{fault}: {}",
            answer.text
        );
        assert!(
            !answer.text.contains("StackTrace") && !answer.text.contains("   at "),
            "{}",
            answer.text
        );
        test.until(&plan(""), |body| body["id"].is_string()).await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definite_refusal_of_an_action_names_the_operation_that_records_it() {
    let test = TestGateway::start().await;
    for (status, reported, code) in [
        (403, 403, "upstream-forbidden"),
        (400, 422, "upstream-rejected"),
        (409, 409, "upstream-conflict"),
    ] {
        let fault =
            json!({"kind": "status", "status": status, "count": 1, "method": "POST", "path": "/api/cloud/"});
        test.fault(fault).await;
        let answer = test.client.post(&plan("/test")).refused(reported, code).await;
        let id = answer.body["operationId"].as_str().expect("an operation");
        let operation = test
            .client
            .get(&format!("/api/v1/operations/{id}"))
            .send()
            .await
            .expect(200);
        assert_eq!(
            (&operation.body["state"], &operation.body["result"]),
            (&json!("finished"), &json!("failed"))
        );
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_of_unknown_outcome_is_202_never_504() {
    let test = TestGateway::builder()
        .config(|config| config.upstream.request_timeout = Duration::from_millis(500))
        .start()
        .await;
    let hang = |method: &str| json!({"kind": "hang", "count": 20, "method": method, "path": "/api/cloud/cloudFailoverPlans"});
    test.fault(hang("GET")).await;
    test.client
        .post(&plan("/test"))
        .refused(503, "upstream-unavailable")
        .await;
    test.sim_control(reqwest::Method::DELETE, "faults", Value::Null)
        .await;
    test.until(&plan(""), |body| body["id"].is_string()).await;
    test.fault(hang("POST")).await;
    let answer = test.client.post(&plan("/test")).send().await.expect(202);
    assert_eq!(answer.body["state"], "submitting");
    test.sim_control(reqwest::Method::DELETE, "faults", Value::Null)
        .await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_em_that_cannot_be_used_is_502_or_503_by_whose_fault_it_is() {
    let test = TestGateway::builder()
        .config(|config| {
            config.upstream.accounts = vec![Account::new(
                "operators",
                "LAB\\nobody",
                "wrong".to_owned().into(),
            )];
        })
        .unready()
        .start()
        .await;
    test.client
        .get(&plan(""))
        .refused(502, "upstream-auth-failed")
        .await;
    let answer = test
        .client
        .post(&plan("/test"))
        .refused(503, "upstream-unavailable")
        .await;
    assert!(
        answer.body["detail"]
            .as_str()
            .expect("text")
            .contains("not been observed"),
        "{}",
        answer.text
    );
    test.stop().await;

    let test = TestGateway::builder()
        .config(|config| config.upstream.url = "http://127.0.0.1:9".parse().expect("a URL"))
        .unready()
        .start()
        .await;
    test.client
        .get("/api/v1/failover-sessions")
        .refused(503, "upstream-unavailable")
        .await;
    let ready = test.client.get("/readyz").send().await;
    assert_eq!(
        (ready.status, ready.body["status"].as_str()),
        (503, Some("unavailable"))
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_deadline_is_503() {
    let test = TestGateway::builder()
        .config(|config| config.server.request_timeout = Duration::from_secs(1))
        .start()
        .await;
    test.fault(
        json!({"kind": "hang", "count": 20, "method": "GET", "path": "/api/cloud/cloudFailoverPlans"}),
    )
    .await;
    test.client.get(&plan("")).refused(503, "gateway-timeout").await;
    test.sim_control(reqwest::Method::DELETE, "faults", Value::Null)
        .await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_store_is_503_before_anything_is_sent() {
    use sqlx::Connection as _;
    let test = TestGateway::start().await;
    let url = format!("sqlite://{}", test.directory().join("emgate.db").display());
    sqlx::any::install_default_drivers();
    let mut other = sqlx::AnyConnection::connect(&url)
        .await
        .expect("a second connection");
    sqlx::query("begin immediate")
        .execute(&mut other)
        .await
        .expect("the write lock");
    test.client
        .post(&plan("/test"))
        .refused(503, "store-unavailable")
        .await;
    let stats = test.sim_control(reqwest::Method::GET, "stats", Value::Null).await;
    let sent = stats["requests"]
        .as_object()
        .expect("counts")
        .keys()
        .any(|key| key.starts_with("POST /api/cloud"));
    assert!(!sent, "{stats}");
    sqlx::query("rollback")
        .execute(&mut other)
        .await
        .expect("the lock is let go");
    other.close().await.expect("closed");
    let answer = test
        .client
        .post(&plan("/test"))
        .header("prefer", "wait=20")
        .send()
        .await
        .expect(200);
    assert_eq!(answer.body["result"], "success");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_takes_the_parameters_of_get_and_no_others() {
    let test = TestGateway::start().await;
    for (query, status) in [("pageSize=2", 200), ("pageSise=2", 422)] {
        let path = format!("/api/v1/cloud-failover-plans?{query}");
        test.client.request("HEAD", &path).send().await.expect(status);
    }
    test.stop().await;
}
