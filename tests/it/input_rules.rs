//! What no body, header or token gets past: arrays for objects, names given twice, U+0000, byte order marks, parts that
//! are missing, requests without a host. On both stores where the store could see it.

use emgate::http::headers;
use emgate::store;
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::postgres::database;
use crate::support::{Client, PLAN, TestGateway, plan, token};

const ENDPOINTS: &str = "/api/v1/webhook-endpoints";

fn mirrored_plan() -> String {
    format!("/api/v1/em/cloud/cloudFailoverPlans/{PLAN}")
}

/// A gateway on SQLite, and one on PostgreSQL.
async fn on_both_stores() -> [TestGateway; 2] {
    let database = database().await;
    let postgres = TestGateway::builder().config(move |config| {
        config.store = store::config::Config {
            url: database.url,
            encryption_key_file: Some(database.key_file),
        };
    });
    [TestGateway::start().await, postgres.start().await]
}

async fn send(
    test: &TestGateway,
    method: &str,
    path: &str,
    body: impl Into<Vec<u8>>,
) -> crate::support::client::Answer {
    let request = test.client.request(method, path);
    let request = request.header("content-type", "application/json");
    request.body(body.into()).send().await
}

/// An endpoint to be changed.
async fn endpoint(test: &TestGateway) -> String {
    let made = test
        .client
        .post(ENDPOINTS)
        .json(&json!({"url": "https://hooks.example/"}));
    let made = made.send().await.expect(201);
    format!("{ENDPOINTS}/{}", made.body["id"].as_str().expect("an id"))
}

/// Asserts that Enterprise Manager was sent no change.
async fn nothing_was_sent(test: &TestGateway) {
    let stats = test.sim_control(Method::GET, "stats", Value::Null).await;
    let changes: Vec<&String> = stats["requests"]
        .as_object()
        .expect("counts")
        .keys()
        .filter(|line| !line.starts_with("GET ") && !line.contains("/api/sessionMngr"))
        .filter(|line| !line.contains("/api/logonSessions"))
        .collect();
    assert!(changes.is_empty(), "{changes:?}");
}

/// Words of the program's own types, which no caller should read.
const PROGRAM_WORDS: &[&str] = &[
    "a map", "sequence", "struct", "unit", "u32", "i64", "u64", "usize", "enum", "variant", "serde",
    "newtype",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_the_wrong_json_type_is_refused_at_every_depth_in_plain_words() {
    let test = TestGateway::start().await;
    let patched = endpoint(&test).await;
    let (start, undo, test_path) = (plan("/start"), plan("/undo"), plan("/test"));
    let (put, mirrored) = (plan(""), mirrored_plan());
    let mirrored_start = format!("{mirrored}?action=start");
    for (method, path, body, pointer) in [
        ("POST", &start, r#"[["2026-01-01T00:00:00Z"],null,{"k":"v"}]"#, ""),
        ("POST", &start, "[]", ""),
        ("POST", &start, "3", ""),
        ("POST", &start, r#""start""#, ""),
        ("POST", &start, "true", ""),
        ("POST", &test_path, "[null,null]", ""),
        ("POST", &undo, "[null,null]", ""),
        (
            "POST",
            &start,
            r#"{"restorePoint":["2026-01-01T00:00:00Z"]}"#,
            "/restorePoint",
        ),
        ("POST", &start, r#"{"restorePoint":"latest"}"#, "/restorePoint"),
        (
            "POST",
            &start,
            r#"{"restorePoint":{"before":3}}"#,
            "/restorePoint/before",
        ),
        ("POST", &start, r#"{"restorePoint":{}}"#, "/restorePoint/before"),
        (
            "POST",
            &start,
            r#"{"callback":["https://hooks.example/"]}"#,
            "/callback",
        ),
        ("POST", &start, r#"{"callback":{}}"#, "/callback/url"),
        ("POST", &start, r#"{"callback":{"url":["x"]}}"#, "/callback/url"),
        ("POST", &start, r#"{"metadata":[["k","v"]]}"#, "/metadata"),
        ("POST", &start, r#"{"metadata":{"k":["v"]}}"#, "/metadata/k"),
        ("POST", &start, r#"{"metadata":{"k":1}}"#, "/metadata/k"),
        ("PUT", &put, "[]", ""),
        ("POST", &ENDPOINTS.to_owned(), r#"["https://hooks.example/"]"#, ""),
        (
            "POST",
            &ENDPOINTS.to_owned(),
            r#"{"url":"https://hooks.example/","filter":[["x"]]}"#,
            "/filter",
        ),
        (
            "POST",
            &ENDPOINTS.to_owned(),
            r#"{"url":"https://hooks.example/","filter":{"planIds":{}}}"#,
            "/filter/planIds",
        ),
        (
            "POST",
            &ENDPOINTS.to_owned(),
            r#"{"url":"https://hooks.example/","headers":[]}"#,
            "/headers",
        ),
        (
            "POST",
            &ENDPOINTS.to_owned(),
            r#"{"url":"https://hooks.example/","headers":{"x":1}}"#,
            "/headers/x",
        ),
        (
            "POST",
            &ENDPOINTS.to_owned(),
            r#"{"url":"https://hooks.example/","eventTypes":"all"}"#,
            "/eventTypes",
        ),
        (
            "POST",
            &ENDPOINTS.to_owned(),
            r#"{"url":"https://hooks.example/","enabled":"yes"}"#,
            "/enabled",
        ),
        (
            "POST",
            &ENDPOINTS.to_owned(),
            r#"{"url":"https://hooks.example/","maxConcurrency":"4"}"#,
            "/maxConcurrency",
        ),
        (
            "POST",
            &ENDPOINTS.to_owned(),
            r#"{"url":"https://hooks.example/","maxConcurrency":4.5}"#,
            "/maxConcurrency",
        ),
        (
            "POST",
            &ENDPOINTS.to_owned(),
            r#"{"url":"https://hooks.example/","maxConcurrency":1e30}"#,
            "/maxConcurrency",
        ),
        ("POST", &ENDPOINTS.to_owned(), r#"{"url":null}"#, "/url"),
        ("POST", &ENDPOINTS.to_owned(), "{}", "/url"),
        ("PATCH", &patched, "[]", ""),
        ("PATCH", &patched, r#"{"filter":["x"]}"#, "/filter"),
        ("PATCH", &patched, r#"{"headers":["x"]}"#, "/headers"),
        ("PATCH", &patched, r#"{"headers":{"x":{}}}"#, "/headers/x"),
        ("POST", &mirrored_start, "[true]", ""),
        ("PUT", &mirrored, "[]", ""),
        (
            "PUT",
            &mirrored,
            r#"{"cloudFailoverPlanOptions":[true]}"#,
            "/cloudFailoverPlanOptions",
        ),
    ] {
        let place = format!("{method} {path} {body}");
        let answer = send(&test, method, path, body).await;
        assert_eq!(answer.status, 422, "{place}: {}", answer.text);
        assert_eq!(answer.pointers(), [pointer], "{place}: {}", answer.text);
        let detail = answer.body["errors"][0]["detail"].as_str().expect("a detail");
        for word in PROGRAM_WORDS {
            assert!(!detail.contains(word), "{place}: {detail}");
        }
    }
    nothing_was_sent(&test).await;
    let operations = test.client.get("/api/v1/operations").send().await.expect(200);
    assert_eq!(operations.body["items"], json!([]), "nothing may be recorded");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
    let test = TestGateway::start().await;
    let body = r#"{"url":"https://hooks.example/","maxConcurrency":6.0}"#;
    let made = send(&test, "POST", ENDPOINTS, body).await.expect(201);
    assert_eq!(made.body["maxConcurrency"], 6);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_is_told_as_one_fault() {
    let test = TestGateway::start().await;
    let (patched, put) = (endpoint(&test).await, endpoint(&test).await);
    let preview = format!("{patched}/preview");
    for (members, pointer) in [
        (json!({"template": ""}), "/template"),
        (json!({"template": "{{"}), "/template"),
        (json!({"template": "x", "contentType": ""}), "/contentType"),
        (json!({"url": ""}), "/url"),
        (json!({"url": "https://127.0.0.1/"}), "/url"),
        (json!({"description": "x".repeat(501)}), "/description"),
        (json!({"eventTypes": []}), "/eventTypes"),
        (json!({"format": "fax"}), "/format"),
        (json!({"format": "pagerduty", "routingKey": ""}), "/routingKey"),
        (json!({"headers": {"": "x"}}), "/headers/"),
        (json!({"maxConcurrency": 0}), "/maxConcurrency"),
        (json!({"timeout": 0}), "/timeout"),
        (json!({"rate": 0}), "/rate"),
        (json!({"signatures": []}), "/signatures"),
        (json!({"bodySignature": ""}), "/bodySignature"),
        (json!({"caCertificate": ""}), "/caCertificate"),
        (json!({"proxy": ""}), "/proxy"),
        (json!({"filter": {"tenants": [""]}}), "/filter/tenants/0"),
    ] {
        let mut whole = json!({"url": "https://hooks.example/"});
        whole
            .as_object_mut()
            .expect("an object")
            .extend(members.as_object().expect("an object").clone());
        let asked = [
            ("POST", ENDPOINTS, &whole),
            ("PUT", &put, &whole),
            ("PATCH", &patched, &members),
        ];
        let previewed = ["template", "contentType", "format"]
            .iter()
            .any(|name| members.get(name).is_some());
        let previewed = (previewed && members.get("routingKey").is_none()).then_some((
            "POST",
            preview.as_str(),
            &members,
        ));
        for (method, path, body) in asked.into_iter().chain(previewed) {
            let answer = send(&test, method, path, body.to_string()).await;
            assert_eq!(answer.status, 422, "{method} {path} {body}: {}", answer.text);
            assert_eq!(
                answer.pointers(),
                [pointer],
                "{method} {path} {body}: {}",
                answer.text
            );
        }
    }
    test.stop().await;
}

/// The whole numbers of a body's schema, by pointer (`*` for any name), each with its bounds.
fn whole_numbers(
    schema: &Value,
    document: &Value,
    pointer: &str,
    found: &mut Vec<(String, [Option<i64>; 2])>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document
            .pointer(reference.trim_start_matches('#'))
            .expect("a schema");
        return whole_numbers(target, document, pointer, found);
    }
    let kind = &schema["type"];
    if kind == "integer"
        || kind
            .as_array()
            .is_some_and(|kinds| kinds.contains(&json!("integer")))
    {
        let bounds = ["minimum", "maximum"].map(|bound| schema[bound].as_i64());
        found.push((pointer.to_owned(), bounds));
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        whole_numbers(member, document, &format!("{pointer}/{name}"), found);
    }
    for (keyword, below) in [("additionalProperties", "/*"), ("items", "/0")] {
        if schema[keyword].is_object() {
            whole_numbers(&schema[keyword], document, &format!("{pointer}{below}"), found);
        }
    }
    for either in ["allOf", "anyOf", "oneOf"] {
        for part in schema[either].as_array().into_iter().flatten() {
            whole_numbers(part, document, pointer, found);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_number_out_of_bounds_is_refused_with_those_of_the_document() {
    let test = TestGateway::start().await;
    let patched = endpoint(&test).await;
    let document = test.client.get("/openapi.json").send().await.expect(200).body;
    let mut tried = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        // The mirror's bodies are read by the catalogue, and a plan that is sent back is compared with what was read.
        if path.starts_with("/api/v1/em/") || path.ends_with("failover-plans/{planId}") {
            continue;
        }
        for (method, operation) in operations.as_object().expect("operations") {
            let mut numbers = Vec::new();
            for content in operation["requestBody"]["content"]
                .as_object()
                .into_iter()
                .flatten()
            {
                whole_numbers(&content.1["schema"], &document, "", &mut numbers);
            }
            for (pointer, bounds) in numbers {
                let [Some(least), Some(most)] = bounds else {
                    panic!("{method} {path} {pointer}: the document names no bounds");
                };
                let pointer = pointer.replace('*', "a");
                let real = path.replace("{planId}", PLAN);
                let real = real.replace(&format!("{ENDPOINTS}/{{endpointId}}"), &patched);
                let over = format!("{}", i128::from(most) + 1);
                let under = format!("{}", i128::from(least) - 1);
                let beyond = [
                    "4294967296",
                    "-2147483649",
                    "9223372036854775808",
                    "1e30",
                    "-1e300",
                ];
                for number in [over.as_str(), under.as_str()].into_iter().chain(beyond) {
                    let mut body = number.to_owned();
                    for name in pointer.rsplit('/').filter(|name| !name.is_empty()) {
                        body = format!("{{\"{name}\":{body}}}");
                    }
                    if real.starts_with(ENDPOINTS) && method != "patch" {
                        body = body.replacen('{', r#"{"url":"https://hooks.example/","#, 1);
                    }
                    let place = format!("{method} {real} {body}");
                    let answer = send(&test, &method.to_uppercase(), &real, body).await;
                    assert_eq!(answer.status, 422, "{place}: {}", answer.text);
                    assert_eq!(answer.pointers(), [pointer.as_str()], "{place}: {}", answer.text);
                    let detail = answer.body["errors"][0]["detail"].as_str().expect("a detail");
                    let named: Vec<i64> = detail
                        .split(|letter: char| !letter.is_ascii_digit())
                        .filter_map(|word| word.parse().ok())
                        .collect();
                    assert!(named.starts_with(&[least, most]), "{place}: {detail}");
                }
            }
            tried.push(path);
        }
    }
    assert!(tried.len() > 20, "{tried:?}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_given_twice_in_any_object_is_refused_with_its_place() {
    let test = TestGateway::start().await;
    let patched = endpoint(&test).await;
    let (start, put, mirrored) = (plan("/start"), plan(""), mirrored_plan());
    let mirrored_start = format!("{mirrored}?action=start");
    for (method, path, body, pointer) in [
        ("POST", &start, r#"{"metadata":{},"metadata":{}}"#, "/metadata"),
        ("POST", &start, r#"{"metadata":{"k":"a","k":"b"}}"#, "/metadata/k"),
        (
            "POST",
            &start,
            r#"{"metadata":{"k":"a","\u006b":"b"}}"#,
            "/metadata/k",
        ),
        (
            "POST",
            &start,
            r#"{"metadata":{"a/b":"a","a/b":"b"}}"#,
            "/metadata/a~1b",
        ),
        (
            "POST",
            &start,
            r#"{"restorePoint":{"before":"2026-01-01T00:00:00Z","before":"2026-01-01T00:00:00Z"}}"#,
            "/restorePoint/before",
        ),
        (
            "POST",
            &ENDPOINTS.to_owned(),
            r#"{"url":"https://hooks.example/","headers":{"x":"1","x":"2"}}"#,
            "/headers/x",
        ),
        (
            "PATCH",
            &patched,
            r#"{"headers":{"x":"1","x":null}}"#,
            "/headers/x",
        ),
        (
            "PATCH",
            &patched,
            r#"{"filter":{"tenants":[],"tenants":null}}"#,
            "/filter/tenants",
        ),
        (
            "PUT",
            &put,
            r#"{"preFailoverCommand":{"enabled":true,"enabled":false}}"#,
            "/preFailoverCommand/enabled",
        ),
        (
            "POST",
            &mirrored_start,
            r#"{"startNow":true,"startNow":true}"#,
            "/startNow",
        ),
        (
            "PUT",
            &mirrored,
            r#"{"cloudFailoverPlanOptions":{"a":1,"a":2}}"#,
            "/cloudFailoverPlanOptions/a",
        ),
    ] {
        let answer = send(&test, method, path, body).await;
        assert_eq!(answer.status, 422, "{path} {body}: {}", answer.text);
        assert_eq!(answer.pointers(), [pointer], "{path} {body}: {}", answer.text);
        assert!(answer.text.contains("is given more than once"), "{}", answer.text);
    }
    nothing_was_sent(&test).await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u_0000_in_a_body_is_refused_alike_on_both_stores() {
    for test in on_both_stores().await {
        let patched = endpoint(&test).await;
        let (start, put, mirrored) = (plan("/start"), plan(""), mirrored_plan());
        for (method, path, body, pointer) in [
            (
                "POST",
                &ENDPOINTS.to_owned(),
                r#"{"url":"https://hooks.example/","description":"a\u0000b"}"#,
                "/description",
            ),
            (
                "POST",
                &ENDPOINTS.to_owned(),
                r#"{"url":"https://hooks.example/","filter":{"tenants":["x","a\u0000b"]}}"#,
                "/filter/tenants/1",
            ),
            (
                "POST",
                &ENDPOINTS.to_owned(),
                r#"{"url":"https://hooks.example/","headers":{"x":"a\u0000b"}}"#,
                "/headers/x",
            ),
            ("PATCH", &patched, r#"{"description":"a\u0000b"}"#, "/description"),
            (
                "PATCH",
                &patched,
                r#"{"filter":{"tenants":["\u0000"]}}"#,
                "/filter/tenants/0",
            ),
            ("POST", &start, r#"{"metadata":{"k":"a\u0000b"}}"#, "/metadata/k"),
            (
                "POST",
                &start,
                r#"{"metadata":{"a\u0000b":"v"}}"#,
                "/metadata/a\u{0}b",
            ),
            (
                "POST",
                &start,
                r#"{"callback":{"url":"https://hooks.example/\u0000"}}"#,
                "/callback/url",
            ),
            (
                "PUT",
                &put,
                r#"{"preFailoverCommand":{"enabled":true,"command":"a\u0000b"}}"#,
                "/preFailoverCommand/command",
            ),
            (
                "PUT",
                &mirrored,
                r#"{"cloudFailoverPlanOptions":{"preFailoverPlanCommand":"a\u0000b"}}"#,
                "/cloudFailoverPlanOptions/preFailoverPlanCommand",
            ),
        ] {
            let answer = send(&test, method, path, body).await;
            assert_eq!(answer.status, 422, "{path} {body}: {}", answer.text);
            assert_eq!(answer.pointers(), [pointer], "{path} {body}: {}", answer.text);
        }
        let raw = "{\"metadata\":{\"k\":\"a\u{0}b\"}}";
        send(&test, "POST", &start, raw)
            .await
            .expect_problem(400, "malformed-request");
        let half = r#"{"metadata":{"k":"\ud800"}}"#;
        send(&test, "POST", &start, half)
            .await
            .expect_problem(400, "malformed-request");
        nothing_was_sent(&test).await;
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn u_0000_in_a_claim_makes_a_token_invalid_on_both_stores() {
    let scope = "plans:read plans:test operations:read tenants:all";
    for test in on_both_stores().await {
        for claims in [
            json!({"sub": "a\u{0}b", "scope": scope}),
            json!({"client_id": "a\u{0}b", "scope": scope}),
            json!({"azp": "\u{0}", "scope": scope}),
            json!({"iss": "a\u{0}", "sub": "a", "scope": scope}),
            json!({"sub": "a", "scope": format!("{scope} \u{0}")}),
            json!({"sub": "a", "scope": scope, "scp": ["plans:undo", "a\u{0}"]}),
            json!({"sub": "a", "scope": scope, "tenants": ["a\u{0}"]}),
            json!({"sub": "a", "scope": scope, "jti": "a\u{0}"}),
            json!({"sub": "a", "scope": scope, "realm_access": {"roles": ["a\u{0}"]}}),
            json!({"sub": "a", "scope": scope, "a\u{0}": 1}),
        ] {
            let client = Client::new(test.addr(), Some(token(&claims)));
            let answer = client
                .post(&plan("/test"))
                .header("idempotency-key", "k")
                .send()
                .await;
            let answer = answer.expect_problem(401, "unauthenticated");
            let challenge = answer.header("www-authenticate");
            assert!(
                challenge.contains("error=\"invalid_token\""),
                "{claims}: {challenge}"
            );
        }
        nothing_was_sent(&test).await;
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_byte_order_mark_before_a_body_is_skipped() {
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    let test = TestGateway::start().await;
    let keyed = |mark: &[u8]| {
        let request = test.client.post(&plan("/test")).header("idempotency-key", "k");
        let request = request.header("content-type", "application/json");
        request.body([mark, br#"{"metadata":{"k":"v"}}"#].concat())
    };
    let first = keyed(MARK).send().await.expect(202);
    let replayed = keyed(b"").send().await.expect(200);
    assert_eq!(replayed.header("idempotency-replayed"), "true");
    assert_eq!(replayed.body["id"], first.body["id"]);

    let made = [MARK, br#"{"url":"https://hooks.example/"}"#].concat();
    send(&test, "POST", ENDPOINTS, made).await.expect(201);
    let read = test.client.get(&mirrored_plan()).send().await.expect(200);
    let put = [MARK, read.text.as_bytes()].concat();
    let other = TestGateway::start().await;
    send(&other, "PUT", &mirrored_plan(), put).await.expect(202);
    other.stop().await;

    for (method, path) in [
        ("POST", plan("/start")),
        ("POST", ENDPOINTS.to_owned()),
        ("PUT", mirrored_plan()),
    ] {
        let twice = [MARK, MARK, b"{}"].concat();
        send(&test, method, &path, twice)
            .await
            .expect_problem(400, "malformed-request");
        let inside = [b"{", MARK, b"}"].concat();
        send(&test, method, &path, inside)
            .await
            .expect_problem(400, "malformed-request");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_names_every_part_of_the_plan_that_is_missing() {
    let test = TestGateway::start().await;
    for path in [plan(""), on_premises(&test).await] {
        let read = test.client.get(&path).send().await.expect(200).body;
        let all: Vec<String> = read
            .as_object()
            .expect("a plan")
            .keys()
            // Not EM's, and set at their own address.
            .filter(|name| !["objectives", "schedule"].contains(&name.as_str()))
            .map(|name| format!("/{name}"))
            .collect();
        let answer = send(&test, "PUT", &path, "{}")
            .await
            .expect_problem(422, "invalid-request");
        assert_eq!(answer.pointers(), all, "{path}");

        let mut partial = read.clone();
        let fields = partial.as_object_mut().expect("a plan");
        fields.remove("uid");
        fields.remove("description");
        fields["virtualMachines"][0]
            .as_object_mut()
            .expect("a machine")
            .remove("name");
        fields["links"].as_object_mut().expect("links").remove("em");
        let answer = send(&test, "PUT", &path, partial.to_string()).await;
        let answer = answer.expect_problem(422, "invalid-request");
        let mut pointers = answer.pointers();
        pointers.sort_unstable();
        assert_eq!(
            pointers,
            ["/description", "/links/em", "/uid", "/virtualMachines/0/name"],
            "{path}"
        );
    }
    let mut read = test.client.get(&plan("")).send().await.expect(200).body;
    read["preFailoverCommand"] = json!({});
    read["postFailoverCommand"] = json!({"enabled": false});
    let answer = send(&test, "PUT", &plan(""), read.to_string())
        .await
        .expect_problem(422, "invalid-request");
    assert_eq!(
        answer.pointers(),
        [
            "/preFailoverCommand/enabled",
            "/preFailoverCommand/command",
            "/postFailoverCommand/command"
        ]
    );
    let mut read = test.client.get(&plan("")).send().await.expect(200).body;
    read["preFailoverCommand"] = json!({"enabled": true, "command": "a\u{1e}b"});
    let answer = send(&test, "PUT", &plan(""), read.to_string())
        .await
        .expect_problem(422, "invalid-request");
    assert_eq!(answer.pointers(), ["/preFailoverCommand/command"]);
    nothing_was_sent(&test).await;
    test.stop().await;
}

async fn on_premises(test: &TestGateway) -> String {
    let plans = test
        .client
        .get("/api/v1/failover-plans")
        .send()
        .await
        .expect(200)
        .body;
    let id = plans["items"][0]["id"].as_str().expect("a plan");
    format!("/api/v1/failover-plans/{id}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_names_exactly_one_host() {
    let test = TestGateway::start().await;
    for (version, hosts, status) in [
        ("1.1", "", 400),
        ("1.1", "Host: a.example\r\nHost: a.example\r\n", 400),
        ("1.1", "Host: a.example\r\nhost: b.example\r\n", 400),
        ("1.1", "Host:\r\n", 400),
        ("1.1", "Host: a b\r\n", 400),
        ("1.1", "Host: a.example/path\r\n", 400),
        ("1.1", "Host: a.example\r\n", 200),
        ("1.1", "Host: a.example:8080\r\n", 200),
        ("1.1", "Host: [::1]:8080\r\n", 200),
        ("1.1", "Host: a_b.example\r\n", 200),
        ("1.0", "", 200),
        ("1.0", "Host: a.example\r\n", 200),
        ("1.0", "Host: a.example\r\nHost: a.example\r\n", 400),
    ] {
        let place = format!("HTTP/{version} {hosts:?}");
        let request = format!("GET /healthz HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n");
        let answer = raw(&test, &request).await;
        assert!(answer.contains(&format!(" {status} ")), "{place}: {answer}");
        assert_eq!(
            status == 400,
            answer.contains("\"code\":\"malformed-request\""),
            "{place}: {answer}"
        );
    }
    let absolute = "GET http://a.example/healthz HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert!(raw(&test, absolute).await.contains(" 400 "));
    test.stop().await;
}

/// What comes back for these bytes.
async fn raw(test: &TestGateway, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(test.addr())
        .await
        .expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("it ends");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_names_the_host_in_its_authority() {
    let test = TestGateway::start().await;
    let address = test.addr();
    for (uri, hosts, status) in [
        (format!("http://{address}/healthz"), vec![], 200),
        (
            format!("http://{address}/healthz"),
            vec![address.to_string()],
            200,
        ),
        (
            format!("http://{address}/healthz"),
            vec!["a.example".to_owned(); 2],
            400,
        ),
        (
            format!("http://{address}/healthz"),
            vec!["other.example".to_owned()],
            400,
        ),
    ] {
        let stream = tokio::net::TcpStream::connect(address)
            .await
            .expect("a connection");
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut client, connection) = handshake.await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let mut request = hyper::Request::get(&uri).version(hyper::Version::HTTP_2);
        for host in &hosts {
            request = request.header("host", host);
        }
        let request = request.body(String::new()).expect("a request");
        let answer = client.send_request(request).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{uri} {hosts:?}");
        connection.abort();
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_header_of_an_answer_may_be_read_by_a_page_of_a_known_origin() {
    let test = TestGateway::builder()
        .config(|config| config.server.cors_origins = vec!["https://portal.example".to_owned()])
        .start()
        .await;
    let ask = |method: &str, path: &str| {
        test.client
            .request(method, path)
            .header("origin", "https://portal.example")
    };
    let done = ask("POST", &plan("/test"))
        .header("idempotency-key", "k")
        .header("prefer", "wait=30");
    let done = done.send().await.expect(200);
    let mut answers = vec![done];
    for (method, path) in [
        ("GET", plan("")),
        ("GET", "/api/v1/operations".to_owned()),
        ("DELETE", "/api/v1/operations".to_owned()),
        ("GET", mirrored_plan()),
        ("GET", "/openapi.json".to_owned()),
        ("GET", "/problems/plan-busy".to_owned()),
        ("GET", "/docs".to_owned()),
        ("GET", "/readyz".to_owned()),
    ] {
        answers.push(ask(method, &path).send().await);
    }
    for answer in answers {
        let exposed = answer
            .header("access-control-expose-headers")
            .to_ascii_lowercase();
        let exposed: Vec<&str> = exposed.split(',').map(str::trim).collect();
        for name in answer.headers.keys().map(reqwest::header::HeaderName::as_str) {
            let readable = headers::SAFELISTED.contains(&name)
                || name.starts_with("access-control-")
                || name == "transfer-encoding";
            assert!(
                readable || exposed.contains(&name),
                "{name} of {} is not exposed",
                answer.status
            );
        }
        for name in [
            "link",
            "location",
            "retry-after",
            "allow",
            "content-disposition",
            "idempotency-replayed",
        ] {
            assert!(exposed.contains(&name), "{name}");
        }
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_where_none_is_taken_is_refused_unless_it_is_empty() {
    let test = TestGateway::start().await;
    let endpoint = endpoint(&test).await;
    let paths = [
        "/api/v1/stream-tickets".to_owned(),
        format!("{endpoint}/test"),
        format!("/api/v1/operations/{PLAN}/cancel"),
        "/api/v1/webhook-deliveries/dlv_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01/redeliver".to_owned(),
    ];
    for path in &paths {
        for (body, status) in [("{\"x\":1}", 422), ("[]", 422), ("{", 400)] {
            let answer = send(&test, "POST", path, body).await;
            assert_eq!(answer.status, status, "{path} {body}: {}", answer.text);
        }
        let answer = send(&test, "POST", path, "{}").await;
        assert!(
            [201, 202, 404].contains(&answer.status),
            "{path}: {}",
            answer.text
        );
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_is_none_is_refused_by_what_is_expected() {
    let test = TestGateway::start().await;
    let path = format!("{}/recover", endpoint(&test).await);
    let refused = send(&test, "POST", &path, "{\"since\":\"yesterday\"}").await;
    let refused = refused.expect_problem(422, "invalid-request");
    let detail = refused.body["errors"][0]["detail"].as_str().expect("a detail");
    assert!(detail.contains("RFC 3339"), "{detail}");
    test.stop().await;
}
