//! Reads that share one request to Enterprise Manager, and writes after which no read is stale.

use std::time::Duration;

use serde_json::{Value, json};

use super::{asked, first};
use crate::support::{PLAN, TestGateway};
use crate::waiting::eventually;

/// A gateway that remembers answers for long.
async fn remembering(latency: u64) -> TestGateway {
    TestGateway::builder()
        .sim(move |sim| sim.latency = latency)
        .config(|config| config.upstream.cache_ttl = Duration::from_mins(10))
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_of_one_document_cost_em_one_request() {
    let test = remembering(200).await;
    let path = format!("/api/v1/em/cloud/cloudFailoverPlans/{PLAN}/includes");
    let readers = (0..40).map(|_| test.client.get(&path).send());
    for answer in futures_util::future::join_all(readers).await {
        answer.expect(200);
    }
    let tagged = test.client.get(&path).send().await.expect(200);
    let known = test
        .client
        .get(&path)
        .header("if-none-match", tagged.header("etag"));
    assert_eq!(known.send().await.expect(304).text, "");
    assert_eq!(asked(&test, "GET", "ncludes").await, 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_hangs_up_does_not_take_the_answer_from_the_others() {
    let test = remembering(400).await;
    let path = format!("/api/v1/em/cloud/cloudFailoverPlans/{PLAN}/includes");
    let first = tokio::spawn(test.client.get(&path).send());
    let count = async || asked(&test, "GET", "ncludes").await;
    eventually("the first request", count, |count| *count > 0).await;
    let others: Vec<_> = (0..5)
        .map(|_| tokio::spawn(test.client.get(&path).send()))
        .collect();
    first.abort();
    for other in others {
        other.await.expect("an answer").expect(200);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_write_the_new_state_is_read_however_long_answers_are_remembered() {
    let test = remembering(0).await;
    let job = format!("/api/v1/em/jobs/{}", first(&test, "/jobs").await);
    let before = test.client.get(&job).send().await.expect(200).body;
    let toggle = format!("{job}?action=toggleScheduleEnabled");
    test.client.post(&toggle).send().await.expect(202);
    let after = test.client.get(&job).send().await.expect(200).body;
    // A job may not say; that is off too.
    let on = |job: &Value| job["scheduleEnabled"] == true;
    assert_ne!(on(&before), on(&after));
    // Also where the outcome of the write is unknown: Enterprise Manager acted.
    test.fault(json!({"kind": "executeThenClose", "path": "/api/jobs/", "method": "POST"}))
        .await;
    let unknown = test.client.post(&toggle).send().await.expect(202);
    assert_eq!(unknown.body["state"], "submitting");
    let again = test.client.get(&job).send().await.expect(200).body;
    assert_eq!(on(&before), on(&again));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_task_ends_the_memory_of_what_was_read_while_it_ran() {
    let test = TestGateway::builder()
        // The task lasts a second, so that it still runs at the first read.
        .sim(|sim| sim.speed = 1.0)
        .config(|config| config.upstream.cache_ttl = Duration::from_mins(10))
        .start()
        .await;
    let job = format!("/api/v1/em/jobs/{}", first(&test, "/jobs").await);
    let made = test
        .client
        .post(&format!("{job}?action=toggleScheduleEnabled"))
        .send()
        .await
        .expect(202);
    let path = format!("{job}/includes");
    test.client.get(&path).send().await.expect(200);
    let count = asked(&test, "GET", "/includes").await;
    test.until(made.header("location"), |operation| {
        operation["state"] == "finished"
    })
    .await;
    test.client.get(&path).send().await.expect(200);
    assert_eq!(asked(&test, "GET", "/includes").await, count + 1);
    test.stop().await;
}
