//! Every operation of the document is tried with a query parameter that it does not know, and with bodies that cannot be read.
//! They are refused by name, with statuses that the document lists, and nothing is sent or written. A new route is covered by
//! being registered.

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use crate::guard_auth::{Operation, operations};
use crate::support::{PLAN, TestGateway};

/// Requests that the simulator got, without those of the watcher.
async fn asked(test: &TestGateway) -> Vec<String> {
    let stats = test.sim_control(reqwest::Method::GET, "stats", Value::Null).await;
    stats["requests"]
        .as_object()
        .expect("counts")
        .iter()
        .filter(|(line, _)| !line.starts_with("GET /api/query"))
        .map(|(line, count)| format!("{line}: {count}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_refuses_an_unknown_parameter_before_anything_is_done() {
    let test = TestGateway::start().await;
    let all = operations(&test).await;
    let before = asked(&test).await;
    let tried = all
        .iter()
        .filter(|operation| operation.path.starts_with("/api/v1") || operation.path.starts_with("/readyz"))
        .map(|operation| refuses(&test, operation));
    let tried: Vec<()> = stream::iter(tried).buffer_unordered(8).collect().await;
    assert!(tried.len() > 300, "the guard looks in the wrong place");
    assert_eq!(asked(&test).await, before, "nothing may reach Enterprise Manager");
    for path in [
        "/api/v1/operations",
        "/api/v1/webhook-endpoints",
        "/api/v1/webhook-deliveries",
    ] {
        let list = test.client.get(path).send().await.expect(200);
        assert_eq!(list.body["items"], json!([]), "{path}");
    }
    test.stop().await;
}

async fn refuses(test: &TestGateway, operation: &Operation) {
    let Operation { method, path, .. } = operation;
    let mark = if path.contains('?') { '&' } else { '?' };
    let heads = (method == "GET").then_some("HEAD");
    for method in [Some(method.as_str()), heads].into_iter().flatten() {
        let place = format!("{method} {path}{mark}wetRun=true");
        let request = test.client.request(method, &format!("{path}{mark}wetRun=true"));
        let answer = request.send().await;
        assert_eq!(answer.status, 422, "{place}: {}", answer.text);
        if method != "HEAD" {
            let answer = answer.expect_problem(422, "invalid-request");
            assert_eq!(answer.pointers(), ["wetRun"], "{place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_lists_what_a_bad_request_is_answered_with() {
    let test = TestGateway::builder()
        .config(|config| config.server.max_body = 1024)
        .start()
        .await;
    let all = operations(&test).await;
    let tried = all
        .iter()
        .filter(|operation| operation.path.starts_with("/api/v1"))
        .map(|operation| undocumented(&test, operation));
    let failed: Vec<_> = stream::iter(tried).buffer_unordered(8).collect().await;
    assert!(failed.len() > 300, "the guard looks in the wrong place");
    let failed: Vec<String> = failed.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{failed:#?}");
    test.stop().await;
}

/// Bodies that no operation takes, with their types, and what they are refused with.
fn bad_bodies() -> [(&'static str, String, u16); 3] {
    [
        ("application/json", "{".to_owned(), 400),
        ("text/plain", "x".to_owned(), 415),
        ("application/json", " ".repeat(2048), 413),
    ]
}

/// Answers to bad requests that the document does not list, or that are not those of such a request.
async fn undocumented(test: &TestGateway, operation: &Operation) -> Vec<String> {
    let Operation { method, path, .. } = operation;
    let mark = if path.contains('?') { '&' } else { '?' };
    let request = |path: &str| test.client.request(method, path);
    let mut answers = vec![(request(&format!("{path}{mark}wetRun=true")).send().await, 422)];
    if method != "GET" {
        for (kind, body, status) in bad_bodies() {
            let request = request(path).header("content-type", kind).body(body);
            answers.push((request.send().await, status));
        }
    }
    let mut wrong = Vec::new();
    for (answer, expected) in answers {
        // The one deletion that does not read what nobody sends: its id is not there.
        let ignored = method == "DELETE" && path.starts_with("/api/v1/webhook-endpoints/");
        if answer.status != expected && !(ignored && answer.status == 404) {
            wrong.push(format!("{method} {path}: {} for {expected}", answer.status));
        }
        if !operation.statuses.contains(&answer.status) {
            wrong.push(format!("{method} {path}: {} is not listed", answer.status));
        }
    }
    wrong
}

/// What may be empty, and why.
const MAY_BE_EMPTY: [&str; 2] = [
    // Taken instead of a token before the route is known; beside one it is nothing.
    "ticket",
    // As in the header: a reader that has got no event yet has no last one.
    "lastEventId",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_without_a_value_is_refused_by_name() {
    let test = TestGateway::start().await;
    let all = operations(&test).await;
    let of = |operation: &Operation| {
        let Operation { method, path, .. } = operation;
        let mark = if path.contains('?') { '&' } else { '?' };
        let names = operation.optional.iter();
        let names = names.filter(|name| !MAY_BE_EMPTY.contains(&name.as_str()));
        names
            .map(|name| (method.clone(), format!("{path}{mark}{name}="), name.clone()))
            .collect::<Vec<_>>()
    };
    let emptied: Vec<_> = all.iter().flat_map(of).collect();
    assert!(emptied.len() > 300, "the guard looks in the wrong place");
    let tried = emptied.iter().map(async |(method, path, name)| {
        let answer = test.client.request(method, path).send().await;
        let named = answer.status == 422 && answer.pointers().contains(&name.as_str());
        (!named).then(|| format!("{method} {path}: {} {}", answer.status, answer.text))
    });
    let failed: Vec<_> = stream::iter(tried).buffer_unordered(8).collect().await;
    let failed: Vec<String> = failed.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{failed:#?}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_parameter_is_reported_after_authentication_only() {
    let test = TestGateway::start().await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/start?wetRun=true");
    let stranger = test.stranger().post(&path).send().await;
    stranger.expect_problem(401, "unauthenticated");
    let reader = test.client_with(&["plans:read"]).post(&path).send().await;
    reader.expect_problem(403, "insufficient-scope");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_parameters_of_probes_and_pages_are_ignored() {
    let test = TestGateway::start().await;
    for path in [
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/problems/plan-busy",
        "/docs",
    ] {
        let answer = test.stranger().get(&format!("{path}?probe=1&x=%FF")).send().await;
        answer.expect(200);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_not_clean_text_is_refused_by_the_parameters_name() {
    let test = TestGateway::start().await;
    for (query, name) in [
        ("/failover-sessions?planName=%FF", "planName"),
        ("/failover-sessions?planName=a%00b", "planName"),
        ("/failover-sessions?planName=%C3", "planName"),
        ("/failover-sessions?planName=a&planName=b", "planName"),
        ("/failover-sessions?plan%FFName=a", "plan%FFName"),
        ("/failover-sessions?plan%00Name=a", "plan%00Name"),
        ("/operations?planId=%FF", "planId"),
        ("/em/query?type=Job&filter=Name==%22%FF%22", "filter"),
        ("/em/query?type=Job&filter=Name==%22a%00%22", "filter"),
        ("/em/jobs?page=1&page=2", "page"),
        ("/em/jobs?page=1&Page=2", "page"),
    ] {
        let answer = test.client.get(&format!("/api/v1{query}")).send().await;
        let answer = answer.expect_problem(422, "invalid-request");
        assert_eq!(answer.pointers(), [name], "{query}: {}", answer.text);
        assert!(!answer.text.contains('\u{fffd}'), "{query}: {}", answer.text);
    }
    for path in [
        "/cloud-failover-plans/%FF",
        "/cloud-failover-plans/a%00b",
        "/operations/%00",
        "/em/jobs/%FF",
        "/em/jobs/a%00b",
        "/em/vmRestorePoints/1/mounts/2/C:/a%00b",
    ] {
        let answer = test.client.get(&format!("/api/v1{path}")).send().await;
        answer.expect_problem(404, "not-found");
    }
    test.stop().await;
}
