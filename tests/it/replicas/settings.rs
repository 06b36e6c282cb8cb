//! What is set about plans, in the memory of several replicas: answers that are made of it are remembered through other commits,
//! and made anew when it is changed, wherever that was.

use reqwest::Method;
use serde_json::{Value, json};

use super::world::{Replica, Shared, answer};
use crate::support::plan;

const MADE: &str = "emgate_http_answers_remembered_total{outcome=\"made\"}";

async fn put(replica: &Replica, path: &str, body: &Value) {
    let (status, body) = answer(replica.request(Method::PUT, path, body)).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn a_remembered_plan_outlives_all_commits_but_those_about_it() {
    let shared = Shared::start(&[]).await;
    let memory = [("EMGATE_UPSTREAM__CACHE_TTL", "10m")];
    let one = shared.replica_with(&memory).await;
    let other = shared.replica_with(&memory).await;
    let path = plan("");
    let first = one.get(&path).await;
    assert_eq!(first["objectives"]["rtoSeconds"], Value::Null);
    let made = one.counter(MADE).await;
    for replica in [&one, &other] {
        let endpoint = json!({"url": "http://127.0.0.1:9/"});
        let (status, body) = replica.post("/api/v1/webhook-endpoints", &[], &endpoint).await;
        assert_eq!(status, 201, "{body}");
        assert_eq!(one.get(&path).await, first);
    }
    assert!((one.counter(MADE).await - made).abs() < 0.5, "it was made once");
    put(&other, &plan("/objectives"), &json!({"rtoSeconds": 60})).await;
    // Who writes reads it at once; the others when they are told.
    assert_eq!(other.get(&path).await["objectives"]["rtoSeconds"], 60);
    one.until(&path, |plan| plan["objectives"]["rtoSeconds"] == 60)
        .await;
    put(
        &one,
        &plan("/schedule"),
        &json!({"cron": "0 3 29 2 *", "timeZone": "UTC"}),
    )
    .await;
    assert_eq!(one.get(&path).await["schedule"]["timeZone"], "UTC");
    other
        .until(&path, |plan| plan["schedule"]["timeZone"] == "UTC")
        .await;
    let list = other.get("/api/v1/cloud-failover-plans").await;
    let plans = list["items"].as_array().expect("plans").iter();
    let own: Vec<&Value> = plans.filter(|plan| plan["id"] == first["id"]).collect();
    assert_eq!(own[0]["schedule"]["timeZone"], "UTC");
}
