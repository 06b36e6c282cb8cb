//! The real process, killed again and again in the middle of its sending.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

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
                .post(&format!("/api/v1/webhook-endpoints/{id}/test"), &Value::Null)
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
