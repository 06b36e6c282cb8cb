//! Whole answers compared with recorded ones: a member that is added, removed or changes its form is seen here.
//!
//! Other tests say why a member has its value. A gateway serves many answers, so that they stay cheap.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::receiver::WebhookReceiver;
use crate::support::snapshot::{assert_answer, assert_delivery, assert_value, at_work};
use crate::support::{PLAN, TestGateway, operation, plan};

/// Reads and compares.
async fn read(test: &TestGateway, name: &str, path: &str) -> Answer {
    let answer = test.client.get(path).send().await.expect(200);
    assert_answer(name, &answer);
    answer
}

async fn gateway() -> TestGateway {
    let builder = TestGateway::builder().config(|config| {
        config.webhooks.allow_private_networks = true;
        config.webhooks.allow_http = true;
    });
    builder.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_answered_as_recorded() {
    let test = gateway().await;
    read(&test, "plan_list", "/api/v1/cloud-failover-plans?pageSize=2").await;
    read(&test, "plan", &plan("")).await;
    let list = read(
        &test,
        "on_premises_plan_list",
        "/api/v1/failover-plans?pageSize=1",
    )
    .await;
    let id = list.body["items"][0]["id"].as_str().expect("a plan");
    read(&test, "on_premises_plan", &format!("/api/v1/failover-plans/{id}")).await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_answered_as_recorded() {
    let test = gateway().await;
    let mut receiver = WebhookReceiver::start().await;
    let hook = json!({"url": receiver.url(), "description": "Portal", "headers": {"X-Site": "7"}});
    let made = test
        .client
        .post("/api/v1/webhook-endpoints")
        .json(&hook)
        .send()
        .await
        .expect(201);
    assert_answer("endpoint_created", &made);
    read(&test, "endpoint", made.header("location")).await;
    read(&test, "endpoint_list", "/api/v1/webhook-endpoints").await;

    let body = json!({"metadata": {"change": "CHG0042"}, "callback": {"url": receiver.url()}});
    let request = test.client.post(&plan("/test")).header("idempotency-key", "k");
    let asked = request.json(&body).send().await.expect(202);
    test.until(&operation(&asked), |body| body["state"] == "finished")
        .await;
    let ended = read(&test, "operation_finished", &operation(&asked)).await;
    read(&test, "operation_list", "/api/v1/operations").await;
    let session = ended.body["session"]["id"].as_str().expect("a session");
    read(&test, "session", &format!("/api/v1/failover-sessions/{session}")).await;

    // The start for the endpoint, the end for both.
    let received = [
        receiver.next().await,
        receiver.next().await,
        receiver.next().await,
    ];
    for one in received
        .iter()
        .filter(|one| one.kind() != "failover.session.started")
    {
        let by = if one.headers.contains_key("x-site") {
            "endpoint"
        } else {
            "callback"
        };
        assert_delivery(&format!("delivered_to_{by}"), one);
    }
    let delivered = |list: &Value| {
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.len() == 3 && items.iter().all(|item| item["state"] == "delivered")
    };
    let list = test
        .until("/api/v1/webhook-deliveries?pageSize=100", delivered)
        .await;
    let mut items = list["items"].as_array().expect("items").iter();
    let end =
        items.find(|item| item["eventType"] == "failover.session.finished" && item["endpointId"].is_string());
    let id = end.expect("the end")["id"].as_str().expect("an id");
    read(&test, "delivery", &format!("/api/v1/webhook-deliveries/{id}")).await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_at_work_is_answered_as_recorded() {
    let test = TestGateway::builder().sim(|sim| sim.speed = 1.0).start().await;
    let asked = test.client.post(&plan("/test")).send().await.expect(202);
    test.until(&operation(&asked), |body| body["session"].is_object())
        .await;
    let read_at_work = async |name: &str, path: &str| {
        let mut answer = test.client.get(path).send().await.expect(200);
        at_work(&mut answer.body);
        assert_answer(name, &answer);
        answer
    };
    let running = read_at_work("operation_running", &operation(&asked)).await;
    let session = running.body["session"]["id"].as_str().expect("an id");
    read_at_work("session_working", &format!("/api/v1/failover-sessions/{session}")).await;
    let busy = test.client.post(&plan("/test")).refused(409, "plan-busy").await;
    assert_answer("problem_plan_busy_with_both", &busy);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_answered_as_recorded() {
    let test = gateway().await;
    read(&test, "readiness", "/readyz").await;
    read(&test, "health", "/healthz").await;
    read(&test, "event_types", "/api/v1/event-types").await;
    read(&test, "problem_page", "/problems/plan-busy").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_answered_as_recorded() {
    let test = gateway().await;
    let fails = async |name: &str, request: crate::support::client::Request| {
        let answer = request.send().await;
        assert!(answer.status >= 400, "{}", answer.text);
        assert_answer(&format!("problem_{name}"), &answer);
        answer
    };
    let client = &test.client;
    let unread = client
        .post(&plan("/test"))
        .header("content-type", "application/json")
        .body("{");
    fails("malformed_request", unread).await;
    let unfit = json!({"metadata": {"n": 1}, "callback": {"url": "ftp://hooks.example"}, "x": 0});
    fails("invalid_request", client.post(&plan("/test")).json(&unfit)).await;
    fails("invalid_query", client.get("/api/v1/operations?pageSize=0")).await;
    fails("unauthenticated", test.stranger().get("/api/v1/operations")).await;
    let confined = test.client_with(&["plans:read"]);
    fails("insufficient_scope", confined.get("/api/v1/operations")).await;
    fails("not_found", client.get("/api/v1/operations/latest")).await;
    fails("method_not_allowed", client.request("PATCH", &plan(""))).await;
    let text = client
        .post(&plan("/test"))
        .header("content-type", "text/plain")
        .body("x");
    fails("unsupported_media_type", text).await;
    let stale = client
        .request("PUT", &plan(""))
        .header("if-match", "\"old\"")
        .json(&json!({}));
    fails("precondition_failed", stale).await;

    let refuse =
        json!({"kind": "status", "status": 400, "count": 1, "method": "POST", "path": "/api/cloud/"});
    test.fault(refuse).await;
    let refused = fails("upstream_rejected", client.post(&plan("/test"))).await;
    read(&test, "operation_failed", &operation(&refused)).await;
    let finished = client.post(&format!("{}/cancel", operation(&refused)));
    fails("operation_finished", finished).await;

    let elsewhere = json!({"planId": PLAN, "action": "test", "result": "success", "seconds": 600});
    test.sim_control(Method::POST, "failovers", elsewhere).await;
    test.until("/api/v1/failover-sessions", |list| {
        list["items"][0]["state"] == "working"
    })
    .await;
    fails("plan_busy_with_a_session", client.post(&plan("/test"))).await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_outcome_is_answered_as_recorded() {
    let builder = TestGateway::builder().config(|config| {
        config.upstream.connect_timeout = Duration::from_millis(500);
        config.upstream.request_timeout = Duration::from_millis(1500);
        config.upstream.unknown_after = Duration::from_secs(3);
    });
    let test = builder.start().await;
    test.fault(json!({"kind": "close", "method": "POST", "path": "/api/cloud/"}))
        .await;
    let request = || test.client.post(&plan("/test")).header("idempotency-key", "k");
    let open = request().send().await.expect(202);
    assert_answer("operation_submitting", &open);
    let busy = test.client.post(&plan("/start")).refused(409, "plan-busy").await;
    assert_answer("problem_plan_busy_with_an_operation", &busy);
    let reused = request().json(&json!({"metadata": {"a": "b"}})).send().await;
    assert_answer("problem_idempotency_key_reused", &reused);
    test.until(&operation(&open), |body| body["state"] == "unknown")
        .await;
    read(&test, "operation_unknown", &operation(&open)).await;
    test.stop().await;
}

/// Events of a session that may still be running.
const DURING: &[&str] = &[
    "failover.session.started",
    "failover.session.progressed",
    "failover.vm.finished",
];

#[tokio::test(flavor = "multi_thread")]
async fn events_are_answered_as_recorded() {
    let test = gateway().await;
    let receiver = WebhookReceiver::start().await;
    let hook = json!({"url": receiver.url()});
    let made = test
        .client
        .post("/api/v1/webhook-endpoints")
        .json(&hook)
        .send()
        .await
        .expect(201);
    let link = made.header("location").to_owned();
    let tested = test.client.post(&format!("{link}/test")).send().await.expect(202);
    assert_answer("endpoint_tested", &tested);
    let first = test.client.post(&plan("/test")).send().await.expect(202);
    test.until(&operation(&first), |body| body["state"] == "finished")
        .await;
    let undo = test.client.post(&plan("/undo")).send().await.expect(202);
    test.until(&operation(&undo), |body| body["state"] == "finished")
        .await;
    let log = test
        .client
        .get("/api/v1/events?pageSize=100")
        .send()
        .await
        .expect(200);
    let mut by_type = BTreeMap::new();
    for event in log.body["items"].as_array().expect("items") {
        let kind = event["type"].as_str().expect("a type").to_owned();
        by_type.insert(kind, event.clone());
    }
    for (kind, mut event) in by_type {
        // Their other members depend on when the watcher observed.
        if DURING.contains(&kind.as_str()) {
            for name in ["state", "result", "endedAt"] {
                event["data"]["session"][name] = json!("[as it goes]");
            }
            event["data"]["session"]["links"]["report"] = json!("[as it goes]");
            event["data"]["operation"] = json!("[as it goes]");
            at_work(&mut event);
        }
        assert_value(&format!("event_{kind}"), &event);
    }
    test.stop().await;
}

/// A collection of each area of the mirror.
const COLLECTIONS: &[(&str, &str)] = &[
    ("agents", "/agents/agentRestorePoints"),
    ("backups", "/backupFiles"),
    ("cdp", "/cdpPolicies"),
    ("cloud", "/cloud/cloudFailoverPlans"),
    ("infrastructure", "/backupServers"),
    ("jobs", "/jobs"),
    ("nas", "/nas/fileServers"),
    ("replicas", "/replicas"),
    ("restore", "/vmRestorePoints"),
    ("security", "/security/accounts"),
    ("selfservice", "/selfService/vSphere/Configs"),
    ("sessions", "/backupSessions"),
];

#[tokio::test(flavor = "multi_thread")]
async fn mirrored_resources_are_answered_as_recorded() {
    let test = TestGateway::builder()
        .sim(|sim| (sim.seed, sim.plain) = (Some(9), true))
        .start()
        .await;
    read(&test, "em_core", "/api/v1/em").await;
    read(&test, "em_reports", "/api/v1/em/reports/summary/overview").await;
    for (area, path) in COLLECTIONS {
        let list = test
            .client
            .get(&format!("/api/v1/em{path}"))
            .send()
            .await
            .expect(200);
        let id = list.body["items"][0]["id"].as_str().expect("an id");
        read(&test, &format!("em_{area}"), &format!("/api/v1/em{path}/{id}")).await;
    }
    read(
        &test,
        "em_query",
        "/api/v1/em/query?type=Job&format=Entities&pageSize=1",
    )
    .await;
    read(&test, "em_collection", "/api/v1/em/backupServers").await;
    test.stop().await;
}
