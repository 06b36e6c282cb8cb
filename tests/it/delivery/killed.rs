//! The real process, killed again and again in the middle of its sending.

use std::collections::{HashMap, HashSet};

use emgate::clock::{Clock as _, SystemClock};
use emgate::domain::event::{EventType, NewEvent, Routing};
use emgate::domain::id::EventId;
use serde_json::json;

use super::peer::{Peer, Reply};
use crate::support::world::World;
use crate::waiting::holds;

const ROUNDS: usize = 5;
const EVENTS: usize = 8;
const CONCURRENCY: usize = 4;

#[tokio::test]
async fn what_was_acknowledged_arrives_however_often_the_process_is_killed() {
    // Slow enough that every kill meets some under way.
    let slowly = Reply::Drip(b"HTTP/1.1 200", b" OK\r\n\r\n".to_vec());
    let peer = Peer::answering(slowly).await;
    let mut world = World::start(&["--speed", "1"]).await;
    let wanted = json!({"url": peer.url(), "maxConcurrency": CONCURRENCY});
    let (status, endpoint) = world.post("/api/v1/webhook-endpoints", &wanted).await;
    assert_eq!(status, 201, "{endpoint}");
    let id = endpoint["id"].as_str().expect("an id").to_owned();
    let mut acknowledged = HashSet::new();
    for _ in 0..ROUNDS {
        let before = peer.count();
        for _ in 0..EVENTS {
            let (status, delivery) = world
                .post(&format!("/api/v1/webhook-endpoints/{id}/test"), &json!({}))
                .await;
            assert_eq!(status, 202, "{delivery}");
            acknowledged.insert(delivery["eventId"].as_str().expect("an event").to_owned());
        }
        holds("some to be under way", || peer.count() > before).await;
        world = world.crash_and_restart().await;
    }
    world
        .until("/api/v1/webhook-deliveries?state=pending,sending", |page| {
            page["items"].as_array().is_some_and(Vec::is_empty)
        })
        .await;
    let mut times: HashMap<String, usize> = HashMap::new();
    for id in peer.ids() {
        *times.entry(id).or_default() += 1;
    }
    assert_eq!(times.keys().cloned().collect::<HashSet<_>>(), acknowledged);
    let twice = times.values().map(|count| count - 1).sum::<usize>();
    assert!(
        twice <= ROUNDS * CONCURRENCY,
        "{twice} more than were under way at the kills"
    );
    for request in peer.received() {
        request.verify(endpoint["secret"].as_str().expect("the secret, once"));
    }
    let (status, _) = world.stop_gateway();
    assert!(status.success());
}

/// Writes events into the store of a gateway that does not run: what happened before the endpoint was there.
async fn past(folder: &std::path::Path, count: usize) -> Vec<String> {
    let config = emgate::store::Config {
        url: format!("sqlite://{}", folder.join("emgate.db").display()),
        encryption_key_file: None,
    };
    let store = emgate::store::Store::open(&config, SystemClock::shared())
        .await
        .expect("the store of no process");
    let mut tx = store.begin().await.expect("begun");
    let mut ids = Vec::new();
    for _ in 0..count {
        let id = EventId::new(SystemClock.id());
        let event = NewEvent {
            id,
            kind: EventType::UpstreamRecovered,
            at: SystemClock.now(),
            body: r#"{"type":"upstream.recovered","timestamp":"2026-01-01T00:00:00Z","data":{}}"#.into(),
            routing: Routing::default(),
        };
        tx.append_event(&event).await.expect("appended");
        ids.push(id.to_string());
    }
    tx.commit().await.expect("committed");
    store.close().await;
    ids
}

#[tokio::test]
async fn a_replay_goes_on_where_a_killed_process_left_it() {
    const PAST: usize = 3000;
    let since = "2026-01-01T00:00:00Z";
    let world = World::start(&["--speed", "1"]).await;
    let folder = world.folder().to_owned();
    let (wanted, world) = world.crash_around(past(&folder, PAST)).await;
    let peer = Peer::answering(super::peer::OK).await;
    // Disabled at first, so that what the job has made is counted while nothing goes out.
    let endpoint = json!({"url": peer.url(), "enabled": false, "eventTypes": ["upstream.recovered"], "maxConcurrency": 32});
    let (status, endpoint) = world.post("/api/v1/webhook-endpoints", &endpoint).await;
    assert_eq!(status, 201, "{endpoint}");
    let path = format!(
        "/api/v1/webhook-endpoints/{}",
        endpoint["id"].as_str().expect("an id")
    );
    let (status, job) = world
        .post(&format!("{path}/replay"), &json!({"since": since}))
        .await;
    assert_eq!((status, job["total"].as_u64()), (202, Some(PAST as u64)), "{job}");
    let job = format!("{path}/jobs/{}", job["id"].as_str().expect("an id"));
    let seen = world.until(&job, |job| job["done"].as_u64() > Some(0)).await;
    assert_eq!(
        seen["state"], "running",
        "the kill comes too late to show anything"
    );
    let world = world.crash_and_restart().await;
    let seen = world.until(&job, |job| job["state"] == "finished").await;
    assert_eq!(
        (seen["done"].as_u64(), seen["total"].as_u64()),
        (Some(PAST as u64), Some(PAST as u64))
    );
    let mut made = Vec::new();
    let mut next = Some("/api/v1/webhook-deliveries?pageSize=100".to_owned());
    while let Some(page) = next {
        let page = world.get(&page).await;
        for delivery in page["items"].as_array().expect("items") {
            made.push(delivery["eventId"].as_str().expect("an event").to_owned());
        }
        next = page["page"]["next"].as_str().map(ToOwned::to_owned);
    }
    made.reverse();
    assert_eq!(made.len(), PAST);
    // Ids of one batch may be of one millisecond, and then sort by chance.
    for (batch, wanted) in made.chunks_mut(100).zip(wanted.chunks(100)) {
        batch.sort();
        let mut wanted = wanted.to_vec();
        wanted.sort();
        assert!(*batch == *wanted, "each once, and batch after batch in order");
    }
    let (status, _) = world.stop_gateway();
    assert!(status.success());
}
