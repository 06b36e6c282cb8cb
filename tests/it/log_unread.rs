//! A log that nobody reads, as behind a log driver that hangs: the gateway works on, and ends when it is asked to.

use serde_json::json;

use crate::support::PLAN;
use crate::support::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_holds_up_nothing() {
    let world = World::start(&["--speed", "100"]).await;
    let reader = world.gateway.log_reader();
    let unread = reader.lock().await;
    // Far more than a pipe and the buffer before it take.
    for _ in 0..600 {
        world.get("/api/v1/me").await;
    }
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let (status, operation) = world.post(&path, &json!({})).await;
    assert_eq!(status, 202, "{operation}");
    let path = format!("/api/v1/operations/{}", operation["id"].as_str().expect("an id"));
    let ended = world
        .until(&path, |operation| operation["state"] == "finished")
        .await;
    assert_eq!(ended["result"], "success", "{ended}");
    let (status, _) = world.stop_gateway();
    assert!(status.success(), "{status}");
    drop(unread);
}
