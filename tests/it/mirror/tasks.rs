//! Tasks through the mirror: listed, read and removed by their callers.

use serde_json::json;

use super::{first, plan_path};
use crate::support::{Client, TestGateway, token};

fn other(test: &TestGateway) -> Client {
    let claims = json!({"sub": "somebody else", "scope": "em:read em:write tenants:all"});
    Client::new(test.addr(), Some(token(&claims)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_reaches_only_tasks_of_their_operations() {
    let test = TestGateway::builder().sim(|sim| sim.speed = 0.05).start().await;
    let job = first(&test, "/jobs").await;
    let start = format!("/api/v1/em/jobs/{job}?action=start");
    let made = test.client.post(&start).send().await.expect(202);
    let href = made.body["href"].as_str().expect("an address").to_owned();
    let stranger = other(&test);

    let read = test.client.get(&href).send().await.expect(200);
    assert_eq!(read.body["taskId"], made.body["taskId"]);
    assert_eq!(read.body["href"], href.as_str());
    let delete = |link: &&serde_json::Value| link["rel"] == "delete";
    let links = read.body["links"].as_array().expect("links");
    assert_eq!(links.iter().find(delete).expect("a link")["href"], href.as_str());
    for address in ["/api/v1/em/tasks", "/api/v1/em/query?type=Task&format=Entities"] {
        let own = test.client.get(address).send().await.expect(200);
        assert_eq!(own.body["items"], json!([read.body]), "{address}");
        let none = stranger.get(address).send().await.expect(200);
        assert_eq!(none.body["items"], json!([]), "{address}");
    }
    let references = test
        .client
        .get("/api/v1/em/query?type=Task")
        .send()
        .await
        .expect(200);
    assert_eq!(references.body["items"][0]["href"], href.as_str());
    assert_eq!(references.body["page"]["total"], 1);

    stranger.get(&href).refused(404, "not-found").await;
    let refused = stranger.request("DELETE", &href).send().await;
    refused.expect_problem(404, "not-found");
    let without = href.split('?').next().expect("a path");
    let refused = test.client.get(without).send().await;
    assert_eq!(
        refused.expect_problem(422, "invalid-request").pointers(),
        ["operation"]
    );

    let removed = test.client.request("DELETE", &href).send().await.expect(204);
    let operation = test
        .client
        .get(removed.header("location"))
        .send()
        .await
        .expect(200);
    assert_eq!(operation.body["result"], "cancelled");
    test.client.get(&href).refused(404, "not-found").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_ended_can_still_be_read_where_it_was() {
    let test = TestGateway::start().await;
    let job = first(&test, "/jobs").await;
    let start = format!("/api/v1/em/jobs/{job}?action=toggleScheduleEnabled");
    let made = test.client.post(&start).send().await.expect(202);
    test.until(made.header("location"), |operation| {
        operation["state"] == "finished"
    })
    .await;
    let href = made.body["href"].as_str().expect("an address");
    let ended = test.client.get(href).send().await.expect(200);
    assert_eq!(ended.body["state"], "Finished");
    assert_eq!(ended.body["result"]["success"], true);
    test.client.request("DELETE", href).send().await.expect(204);
    test.client.get(href).refused(404, "not-found").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_a_failover_is_removed_by_those_only_who_may_stop_operations() {
    let test = TestGateway::builder().sim(|sim| sim.speed = 0.05).start().await;
    let run = format!("{}?action=test", plan_path());
    let made = test.client.post(&run).send().await.expect(202);
    let href = made.body["href"].as_str().expect("an address");
    let writer = test.client_with(&["em:write"]);
    let refused = writer.request("DELETE", href).send().await;
    let refused = refused.expect_problem(403, "insufficient-scope");
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("scope=\"operations:cancel\""), "{challenge}");
    let running = test.client.get(made.header("location")).send().await.expect(200);
    assert_eq!(running.body["cancelRequestedAt"], serde_json::Value::Null);

    let both = test.client_with(&["em:write", "operations:cancel"]);
    both.request("DELETE", href).send().await.expect(204);
    let asked = test.client.get(made.header("location")).send().await.expect(200);
    assert_ne!(asked.body["cancelRequestedAt"], serde_json::Value::Null);

    // What the mirror's scope could start by itself, it can stop.
    let job = first(&test, "/jobs").await;
    let start = format!("/api/v1/em/jobs/{job}?action=start");
    let made = writer.post(&start).send().await.expect(202);
    let href = made.body["href"].as_str().expect("an address");
    writer.request("DELETE", href).send().await.expect(204);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_without_a_name_have_no_tasks_in_common() {
    let test = TestGateway::builder().sim(|sim| sim.speed = 0.05).start().await;
    let nameless = |scopes: &str| {
        let claims = json!({"scope": format!("{scopes} tenants:all")});
        Client::new(test.addr(), Some(token(&claims)))
    };
    let job = first(&test, "/jobs").await;
    let start = format!("/api/v1/em/jobs/{job}?action=start");
    let mirror = nameless("em:read em:write");
    let made = mirror.post(&start).send().await.expect(202);
    let href = made.body["href"].as_str().expect("an address");
    for list in ["/api/v1/em/tasks", "/api/v1/em/query?type=Task"] {
        let none = mirror.get(list).send().await.expect(200);
        assert_eq!(none.body["items"], json!([]), "{list}");
    }
    mirror.get(href).refused(404, "not-found").await;
    let refused = mirror.request("DELETE", href).send().await;
    refused.expect_problem(404, "not-found");
    test.client.get(href).refused(404, "not-found").await;

    // Who may read and stop any operation may do so by this address too.
    let operator = nameless("em:read em:write operations:read operations:cancel");
    operator.get(href).send().await.expect(200);
    operator.request("DELETE", href).send().await.expect(204);
    test.stop().await;
}
