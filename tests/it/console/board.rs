//! What the console's pages ask of the API beside the lists that were there: the gateway at one moment, and the log and the
//! deliveries of one failover.

use emgate::store::replicas::LeaseName;
use serde_json::{Value, json};

use crate::support::receiver::WebhookReceiver;
use crate::support::{Client, TestGateway, plan};

/// A gateway that sends webhooks to this machine.
async fn gateway() -> TestGateway {
    let builder = TestGateway::builder().config(|config| {
        config.webhooks.allow_http = true;
        config.webhooks.allow_private_networks = true;
        config.server.shown = json!({"server": {"listen": "127.0.0.1:0"}});
    });
    builder.start().await
}

async fn items(client: &Client, path: &str) -> Vec<Value> {
    let list = client.get(path).send().await.expect(200);
    list.body["items"].as_array().expect("items").clone()
}

fn ids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["id"].as_str().expect("an id"))
        .collect()
}

/// Tests the plan to its end, told of up to its report, which is the last event of a test; the operation.
async fn tested(test: &TestGateway) -> Value {
    let asked = test.client.post(&plan("/test")).send().await.expect(202);
    let path = crate::support::operation(&asked);
    let operation = test
        .until(&path, |operation| operation["state"] == "finished")
        .await;
    let id = operation["id"].as_str().expect("an id");
    let reported = format!("/api/v1/events?operationId={id}&type=recovery.report.ready");
    test.until(&reported, |log| log["items"][0].is_object()).await;
    operation
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_one_failover_is_read_in_either_order() {
    let test = gateway().await;
    let (first, second) = (tested(&test).await, tested(&test).await);
    let session = first["session"]["id"].as_str().expect("a session");
    let of = |operation: &Value| format!("operationId={}", operation["id"].as_str().expect("an id"));
    let whole = items(&test.client, "/api/v1/events?pageSize=100").await;
    let of_first = items(
        &test.client,
        &format!("/api/v1/events?{}&pageSize=100", of(&first)),
    )
    .await;
    let of_second = items(
        &test.client,
        &format!("/api/v1/events?{}&pageSize=100", of(&second)),
    )
    .await;
    assert_eq!(of_first.len() + of_second.len(), whole.len());
    let of_session = items(
        &test.client,
        &format!("/api/v1/events?sessionId={session}&pageSize=100"),
    )
    .await;
    assert!(of_session.len() > 3 && of_session.iter().all(|event| of_first.contains(event)));
    let numbers: Vec<i64> = of_session
        .iter()
        .map(|event| event["data"]["sequence"].as_i64().expect("a number"))
        .collect();
    assert!(numbers.is_sorted(), "{numbers:?}");

    // Newest first, page by page, is the same backwards.
    let mut walked = Vec::new();
    let mut next = Some("/api/v1/events?order=desc&pageSize=2".to_owned());
    while let Some(path) = next {
        let page = test.client.get(&path).send().await.expect(200);
        walked.extend(page.body["items"].as_array().expect("items").clone());
        next = page.body["page"]["next"].as_str().map(ToOwned::to_owned);
        assert!(walked.len() <= whole.len());
    }
    walked.reverse();
    assert_eq!(ids(&walked), ids(&whole));
    test.client
        .get("/api/v1/events?order=down")
        .refused(422, "invalid-request")
        .await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deliveries_of_one_failover_are_found() {
    let test = gateway().await;
    let receiver = WebhookReceiver::start().await;
    let endpoint = json!({"url": receiver.url()});
    let endpoint = test
        .client
        .post("/api/v1/webhook-endpoints")
        .json(&endpoint)
        .send()
        .await
        .expect(201);
    assert_eq!(endpoint.body["pausedUntil"], Value::Null);
    let (first, second) = (tested(&test).await, tested(&test).await);
    for operation in [&first, &second] {
        let (id, session) = (&operation["id"], &operation["session"]["id"]);
        let path = format!(
            "/api/v1/webhook-deliveries?operationId={}&pageSize=100",
            id.as_str().expect("an id")
        );
        let by_operation = items(&test.client, &path).await;
        let path = format!(
            "/api/v1/webhook-deliveries?sessionId={}&pageSize=100",
            session.as_str().expect("an id")
        );
        let by_session = items(&test.client, &path).await;
        assert!(!by_operation.is_empty());
        assert_eq!(
            ids(&by_operation),
            ids(&by_session),
            "every event of a test is its session's"
        );
    }
    let path = format!(
        "/api/v1/webhook-deliveries?sessionId={}&state=cancelled",
        first["session"]["id"].as_str().expect("an id")
    );
    assert_eq!(
        items(&test.client, &path).await,
        Vec::<Value>::new(),
        "filters narrow each other"
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_tells_how_it_is_to_whoever_may_know() {
    let test = gateway().await;
    let asked = test.client.post(&plan("/test")).send().await.expect(202);
    let whole = test.client.get("/api/v1/system").send().await.expect(200).body;
    assert_eq!(whole["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(whole["em"]["reachable"], true);
    assert!(whole["em"]["lastCompleteLookAt"].is_string());
    assert_eq!(whole["em"]["apiVersion"], "v1_7");
    assert_eq!(whole["em"]["breaker"], "closed");
    assert_eq!(whole["em"]["retryAt"], Value::Null);
    assert_eq!(whole["counts"]["operations"], json!({"running": 1}));
    assert_eq!(whole["webhooks"]["pending"], 0);
    assert_eq!(whole["accounts"][0]["name"], "operators");
    assert!(whole["accounts"][0]["sessionsUsed"].as_i64() <= whole["accounts"][0]["sessionsLimit"].as_i64());
    assert_eq!(whole["replicas"][0]["self"], true);
    assert_eq!(whole["replicas"][0]["id"], whole["instance"]);
    let leases: Vec<&str> = LeaseName::ALL.iter().map(|name| name.as_str()).collect();
    assert_eq!(whole["replicas"][0]["leases"], json!(leases));
    assert_eq!(whole["configuration"]["server"]["listen"], "127.0.0.1:0");

    let reader = test
        .client_with(&["operations:read"])
        .get("/api/v1/system")
        .send()
        .await
        .expect(200)
        .body;
    assert_eq!(reader["counts"]["operations"], whole["counts"]["operations"]);
    let confined = json!({"sub": "ann", "scope": "operations:read webhooks:read audit:read", "tenants": ["Nordwind Klinik"]});
    let confined = test
        .client_as(&confined)
        .get("/api/v1/system")
        .send()
        .await
        .expect(200)
        .body;
    assert_eq!(
        confined["counts"]["operations"],
        json!({}),
        "the test is another tenant's"
    );
    let closed: &[&str] = &["accounts", "replicas", "configuration", "instance"];
    for (answer, closed) in [(&confined, closed), (&reader, &[closed, &["webhooks"]].concat())] {
        for member in closed {
            assert_eq!(answer[member], Value::Null, "{member}");
        }
        assert_eq!(answer["counts"]["runningSessions"], Value::Null);
    }
    test.until(&crate::support::operation(&asked), |operation| {
        operation["state"] == "finished"
    })
    .await;
    test.stop().await;
}
