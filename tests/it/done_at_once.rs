//! A write that EM completes at once, without a task: its operation ends with the answer, and that end is reported.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::scripted_server::{Reply, ScriptedServer};
use crate::support::{TestGateway, plan};

/// The events of that type in the log.
async fn events(test: &TestGateway, kind: &str) -> Vec<Value> {
    let log = test.client.get("/api/v1/events").send().await.expect(200);
    let items = log.body["items"].as_array().expect("items");
    items
        .iter()
        .filter(|event| event["type"] == kind)
        .cloned()
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_edit_that_is_done_at_once_is_reported_by_one_event() {
    let server = ScriptedServer::start().await;
    let between = server.clone();
    let test = TestGateway::builder()
        .config(move |config| {
            between.put_before(&mut config.upstream);
            config.watch.idle_interval = Duration::from_millis(20);
        })
        .start()
        .await;
    server.answers("PUT /api/cloud/*", Reply::xml(204, ""));
    let read = test.client.get(&plan("")).send().await.expect(200);
    let mut wanted = read.body.clone();
    wanted["preFailoverCommand"] = json!({"enabled": true, "command": "prepare.cmd"});
    let edit = test.client.request("PUT", &plan("")).json(&wanted);
    let answer = edit.send().await.expect(200);
    assert_eq!(
        (&answer.body["state"], &answer.body["result"]),
        (&json!("finished"), &json!("success"))
    );
    let reported = events(&test, "failover.operation.finished").await;
    let [event] = reported.as_slice() else {
        panic!("one event, not {reported:?}")
    };
    assert_eq!(event["data"]["operation"]["id"], answer.body["id"]);
    assert_eq!(event["data"]["operation"]["result"], "success");
    test.stop().await;
}
