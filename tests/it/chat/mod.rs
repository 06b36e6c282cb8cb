//! Whole failovers as a chat shows them: real processes, and services that keep what they are sent.

mod service;

use std::time::Duration;

use serde_json::{Value, json};

use self::service::{ALL, Kind, Message, Service};
use crate::support::PLAN;
use crate::support::world::World;
use crate::waiting::eventually;

/// How often a message may change (docs/behaviour.md#formats); the service's own clock counts.
const BETWEEN_EDITS: Duration = Duration::from_millis(4900);

/// A gateway that tells all services of failovers, and a failover that takes 12 seconds and fails.
async fn failing_failover() -> (World, Vec<Service>, Value) {
    let world = World::start(&["--speed", "10"]).await;
    let mut services = Vec::new();
    for kind in ALL {
        let service = Service::start(kind).await;
        let (status, made) = world.post("/api/v1/webhook-endpoints", &service.endpoint()).await;
        assert_eq!(status, 201, "{made}");
        services.push(service);
    }
    let wish =
        json!({"planId": PLAN, "result": "failed", "failureMessage": "no free address", "seconds": 120});
    world.control("outcomes", &wish).await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let (status, operation) = world.post(&path, &json!({})).await;
    assert_eq!(status, 202, "{operation}");
    (world, services, operation)
}

/// Waits until the message of each service was changed once.
async fn changed_once(services: &[Service]) {
    let versions = async || -> Vec<usize> {
        let first = |service: &Service| service.messages().first().map_or(0, |one| one.versions.len());
        services.iter().map(first).collect()
    };
    eventually("a change of each message", versions, |all| {
        all.iter().all(|count| *count >= 2)
    })
    .await;
}

/// What each service has when the failover is over and told.
async fn told(world: &World, services: &[Service], operation: &Value) -> Vec<Vec<Message>> {
    let path = format!("/api/v1/operations/{}", operation["id"].as_str().expect("an id"));
    let ended = world.until(&path, |body| body["state"] == "finished").await;
    assert_eq!(ended["result"], "failed");
    let waiting = async || {
        let mut count = 0;
        for state in ["pending", "sending"] {
            let page = world
                .get(&format!("/api/v1/webhook-deliveries?state={state}&pageSize=1"))
                .await;
            count += page["items"].as_array().expect("items").len();
        }
        count
    };
    eventually("the last delivery", waiting, |count| *count == 0).await;
    for service in services {
        println!("{:?}\n{}\n", service.kind, service.transcript());
    }
    services.iter().map(Service::messages).collect()
}

/// Which messages are in the channel itself, and not in a thread.
fn in_channel(messages: &[Message]) -> Vec<&Message> {
    messages
        .iter()
        .filter(|message| message.thread.is_none())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_one_message_that_is_kept_up_to_date() {
    let (world, services, operation) = failing_failover().await;
    let all = told(&world, &services, &operation).await;
    for (service, messages) in services.iter().zip(&all) {
        let shown = service.transcript();
        let first = &messages[0];
        let count = first.versions.len();
        assert!((3..=6).contains(&count), "{count} texts in 12 seconds\n{shown}");
        assert!(first.versions[0].1.contains("Started"), "{shown}");
        assert!(first.latest().contains("FAILED: test of"), "{shown}");
        for pair in first.versions.windows(2) {
            assert!(pair[1].0 - pair[0].0 >= BETWEEN_EDITS, "too soon\n{shown}");
        }
        let percents: Vec<u64> = first
            .versions
            .iter()
            .filter_map(|(_, text)| percent(text))
            .collect();
        assert!(!percents.is_empty() && percents.is_sorted(), "{shown}");
        let others: Vec<&str> = messages[1..].iter().map(Message::latest).collect();
        assert_eq!(others.len(), 2, "the machine that failed, and the end\n{shown}");
        assert!(others[0].contains("FAILED: filesrv04"), "{shown}");
        assert!(others[1].contains("FAILED: test of"), "{shown}");
        if service.kind == Kind::Discord {
            continue;
        }
        assert_eq!(in_channel(messages).len(), 1, "{shown}");
        let is_reply = |message: &Message| message.thread.as_ref() == Some(&first.id);
        assert!(messages[1..].iter().all(is_reply), "{shown}");
        let loud: Vec<bool> = messages[1..].iter().map(|message| message.broadcast).collect();
        assert_eq!(loud, [false, service.kind == Kind::Slack], "{shown}");
    }
}

/// The progress that a title tells.
fn percent(text: &str) -> Option<u64> {
    let (before, _) = text.split_once(" %")?;
    before.split(' ').next_back()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_goes_on_with_the_same_message() {
    let (world, services, operation) = failing_failover().await;
    changed_once(&services).await;
    let world = world.crash_and_restart().await;
    let all = told(&world, &services, &operation).await;
    for (service, messages) in services.iter().zip(&all) {
        let shown = service.transcript();
        assert!(messages[0].latest().contains("FAILED: test of"), "{shown}");
        let started = messages
            .iter()
            .filter(|one| one.versions[0].1.contains("Started"));
        assert_eq!(started.count(), 1, "{shown}");
        if service.kind != Kind::Discord {
            assert_eq!(in_channel(messages).len(), 1, "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_somebody_deletes_is_posted_anew_and_goes_on() {
    let (world, services, operation) = failing_failover().await;
    changed_once(&services).await;
    for service in &services {
        service.delete(&service.messages()[0].id);
    }
    let all = told(&world, &services, &operation).await;
    for (service, messages) in services.iter().zip(&all) {
        let shown = service.transcript();
        let left: Vec<&Message> = messages.iter().filter(|message| !message.deleted).collect();
        let anew = left[0];
        assert!(anew.thread.is_none(), "{shown}");
        assert!(
            left.iter().any(|one| one.latest().contains("FAILED: test of")),
            "{shown}"
        );
        assert!(
            left.iter().any(|one| one.latest().contains("FAILED: filesrv04")),
            "{shown}"
        );
        if service.kind != Kind::Discord {
            assert!(anew.latest().contains("FAILED"), "{shown}");
        }
    }
}
