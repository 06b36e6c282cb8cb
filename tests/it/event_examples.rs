//! The document's examples of events beside what a gateway sends: what one has and the other has not is seen here.

use std::collections::BTreeSet;
use std::mem::discriminant;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::http::StatusCode;
use emgate::domain::event::EventType;
use emgate::domain::policy::Policies;
use reqwest::Method;
use serde_json::{Value, json};

use crate::approvals::{approver, held_back};
use crate::support::receiver::WebhookReceiver;
use crate::support::schema_check::{SchemaCheck, document};
use crate::support::{TestGateway, operation, plan};

/// Compared where they are provoked (`evidence/schedules.rs`).
const TOLD_DAILY: [&str; 3] = [
    "recovery.test.overdue",
    "recovery.test.skipped",
    "audit.checkpoint",
];

/// Holds an event of the log against its schema and its example in the document.
pub fn expect_documented(event: &Value) {
    let kind = event["type"].as_str().expect("a type");
    let content = &document()["webhooks"][kind]["post"]["requestBody"]["content"]["application/json"];
    let body = json!({"type": kind, "timestamp": event["timestamp"], "data": event["data"]});
    let mut found = BTreeSet::new();
    differences(kind, &content["example"], &body, &mut found);
    assert!(found.is_empty(), "{found:#?}");
    let faults = SchemaCheck::of_the_program().schema_faults(&content["schema"], &body);
    assert!(faults.is_empty(), "{kind}: {faults:#?}");
}

const ENDPOINTS: &str = "/api/v1/webhook-endpoints";

/// An address at which every request gets the same status.
async fn answering(status: Arc<AtomicU16>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = move || {
        let status = StatusCode::from_u16(status.load(Ordering::Relaxed)).expect("a status");
        async move { (status, "ok") }
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
    format!("http://{address}/services/T0/B0/x")
}

/// Where two values differ in members or in kinds. Null stands for anything.
fn differences(place: &str, example: &Value, sent: &Value, found: &mut BTreeSet<String>) {
    match (example, sent) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(example), Value::Object(sent)) => {
            let names: BTreeSet<&String> = example.keys().chain(sent.keys()).collect();
            for name in names {
                let place = format!("{place}/{name}");
                match (example.get(name), sent.get(name)) {
                    (Some(example), Some(sent)) => differences(&place, example, sent, found),
                    (Some(_), None) => drop(found.insert(format!("{place} is not sent"))),
                    (None, _) => drop(found.insert(format!("{place} is not in the example"))),
                }
            }
        }
        (Value::Array(example), Value::Array(sent)) => {
            for (example, sent) in example
                .iter()
                .take(1)
                .flat_map(|first| sent.iter().map(move |one| (first, one)))
            {
                differences(&format!("{place}/0"), example, sent, found);
            }
        }
        _ if discriminant(example) == discriminant(sent) => {}
        _ => drop(found.insert(format!("{place} is {sent}, in the example {example}"))),
    }
}

/// Makes a gateway send every type of event but the loss of a session.
async fn provoke(test: &TestGateway, deaf: &AtomicU16, deaf_link: &str, gone_link: &str) {
    let metadata = json!({"metadata": {"ticket": "DR-1042"}});
    for link in [gone_link, deaf_link] {
        test.client.post(&format!("{link}/test")).send().await.expect(202);
    }
    test.until(deaf_link, |endpoint| endpoint["health"] == "down")
        .await;
    deaf.store(200, Ordering::Relaxed);
    test.client
        .post(&format!("{deaf_link}/test"))
        .send()
        .await
        .expect(202);
    let tested = test
        .client
        .post(&plan("/test"))
        .json(&metadata)
        .send()
        .await
        .expect(202);
    test.until(&operation(&tested), |body| body["state"] == "finished")
        .await;
    let undone = test
        .client
        .post(&plan("/undo"))
        .json(&metadata)
        .send()
        .await
        .expect(202);
    let approve = format!("{}/approve", operation(&undone));
    let comment = json!({"comment": "agreed"});
    let lead = approver(test, "dr-lead");
    lead.post(&approve).json(&comment).send().await.expect(202);
    test.until(&operation(&undone), |body| body["state"] == "finished")
        .await;
    test.fault(json!({"kind": "close", "count": 100_000, "path": "/api/"}))
        .await;
    test.until("/readyz", |body| body["status"] == "degraded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_has_the_members_and_kinds_of_its_example() {
    let test = TestGateway::builder()
        .sim(|sim| sim.speed = 20.0)
        .config(|config| {
            config.webhooks.allow_private_networks = true;
            config.webhooks.allow_http = true;
            config.policies = Policies(vec![held_back(1)]);
        })
        .start()
        .await;
    let mut receiver = WebhookReceiver::start().await;
    let deaf = Arc::new(AtomicU16::new(404));
    let register = async |body: Value| {
        let made = test.client.post(ENDPOINTS).json(&body).send().await.expect(201);
        (made.header("location").to_owned(), made.body["secret"].clone())
    };
    let all: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    let (own, secret) =
        register(json!({"url": receiver.url(), "description": "Portal", "eventTypes": all})).await;
    let only = json!(["webhook.test"]);
    let url = answering(Arc::clone(&deaf)).await;
    let hook = json!({"url": url, "description": "Portal", "format": "slack", "eventTypes": only});
    let (deaf_link, _) = register(hook).await;
    let url = answering(Arc::new(AtomicU16::new(410))).await;
    let (gone_link, _) = register(json!({"url": url, "description": "Portal", "eventTypes": only})).await;
    test.client.post(&format!("{own}/test")).send().await.expect(202);
    provoke(&test, &deaf, &deaf_link, &gone_link).await;

    let webhooks = &document()["webhooks"];
    let mut left: BTreeSet<&str> = all
        .iter()
        .copied()
        .filter(|kind| *kind != "failover.session.lost" && !TOLD_DAILY.contains(kind))
        .collect();
    let mut found = BTreeSet::new();
    while !left.is_empty() {
        let event = receiver.next().await;
        event.verify(secret.as_str().expect("a secret"));
        let content = &webhooks[event.kind()]["post"]["requestBody"]["content"]["application/json"];
        differences(event.kind(), &content["example"], &event.json, &mut found);
        let faults = SchemaCheck::of_the_program().schema_faults(&content["schema"], &event.json);
        assert!(faults.is_empty(), "{}: {faults:#?}", event.kind());
        left.remove(event.kind());
        if event.kind() == "upstream.unavailable" {
            test.sim_control(Method::DELETE, "faults", Value::Null).await;
        }
    }
    // What tells of a lost session is built like what tells of a running one.
    let example =
        |kind: &str| webhooks[kind]["post"]["requestBody"]["content"]["application/json"]["example"].clone();
    let (lost, started) = (
        example("failover.session.lost"),
        example("failover.session.started"),
    );
    differences("failover.session.lost", &lost, &started, &mut found);
    assert!(found.is_empty(), "{found:#?}");
    test.stop().await;
}
