//! Streams over several replicas: the order of the log, replicas that are killed in mid-stream, and readers that do not read.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use emgate::clock::{Clock as _, SystemClock};
use emgate::domain::access::Tenancy;
use emgate::domain::event::{EventType, NewEvent, Routing};
use emgate::domain::id::EventId;
use emgate::store::Store;
use serde_json::Value;

use super::world::{Replica, Shared};
use crate::support::sse::{Stream, ids};
use crate::waiting::eventually;

/// How many events a reader follows through kills and changes; `make streams` asks for more.
fn length() -> usize {
    let asked = std::env::var("STREAM_EVENTS").ok();
    asked.map_or(3000, |count| count.parse().expect("a number"))
}

fn event(bytes: usize) -> NewEvent {
    let at = SystemClock.now();
    let text = "x".repeat(bytes);
    NewEvent {
        id: EventId::new(SystemClock.id()),
        kind: EventType::WebhookTest,
        at,
        body: format!(r#"{{"type":"webhook.test","timestamp":"{at}","data":{{"message":"{text}"}}}}"#),
        routing: Routing::default(),
    }
}

/// Writes so many events in one transaction.
async fn write(store: &Store, count: usize, bytes: usize) {
    let mut tx = store.begin().await.expect("begun");
    for _ in 0..count {
        tx.append_event(&event(bytes)).await.expect("appended");
        // Others come between, if anything lets them.
        tokio::task::yield_now().await;
    }
    tx.commit().await.expect("committed");
}

/// The ids of the whole log, in its order.
async fn log(store: &Store) -> Vec<String> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let page = store
            .events_after(&Tenancy::All, after, 1000)
            .await
            .expect("read");
        let Some(last) = page.last() else { return all };
        after = last.seq;
        all.extend(page.iter().map(|event| event.id.to_string()));
    }
}

async fn follow(replica: &Replica, last: Option<&String>) -> Stream {
    let path = "/api/v1/events/stream?after=start";
    let mut request = replica.request(reqwest::Method::GET, path, &Value::Null);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    Stream::open(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_never_passes_an_event_that_commits_later() {
    let shared = Shared::start(&[]).await;
    let replica = shared.replica().await;
    let mut stream = follow(&replica, None).await;
    let stores = [shared.store().await, shared.store().await];
    let writing = stores.iter().flat_map(|store| {
        (0..4).map(move |_| async move {
            for turn in 0..25 {
                write(store, 1 + turn % 5, 10).await;
            }
        })
    });
    let count = 8 * (0..25).map(|turn| 1 + turn % 5).sum::<usize>();
    let (_, events) = tokio::join!(futures_util::future::join_all(writing), stream.events(count));
    assert_eq!(ids(&events), log(&stores[0]).await);
    for store in stores {
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_misses_nothing_through_kills_and_changes_of_replicas() {
    let shared = Shared::start(&[]).await;
    let (length, rounds) = (length(), 6);
    let store = shared.store().await;
    let mut replica = shared.replica().await;
    let mut seen: Vec<String> = Vec::new();
    let writing = async {
        let mut left = length;
        while left > 0 {
            let part = left.min(50);
            write(&store, part, 100).await;
            left -= part;
        }
    };
    let reading = async {
        for round in 1..=rounds {
            let mut stream = follow(&replica, seen.last()).await;
            let enough = length * round / rounds;
            while seen.len() < enough {
                match stream.event().await {
                    Some(event) => seen.push(event.id.expect("an id")),
                    None => stream = follow(&replica, seen.last()).await,
                }
            }
            if round % 2 == 0 {
                // The next one is another process, and this one is gone in the middle of what it sends.
                let next = shared.replica().await;
                std::mem::replace(&mut replica, next).process.kill();
            }
        }
    };
    tokio::join!(writing, reading);
    assert_eq!(seen.len(), length);
    assert_eq!(seen, log(&store).await);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_is_cut_and_others_are_not() {
    let shared = Shared::start(&[]).await;
    let replica = shared.replica().await;
    let store = shared.store().await;
    let request = replica.request(reqwest::Method::GET, "/api/v1/events/stream", &Value::Null);
    let request = request.build().expect("a request");
    let token = request.headers()["authorization"].to_str().expect("text");
    let mut idle = TcpStream::connect(replica.process.addr).expect("connected");
    let head = format!(
        "GET /api/v1/events/stream HTTP/1.1\r\nhost: emgate.example\r\nauthorization: {token}\r\n\r\n"
    );
    idle.write_all(head.as_bytes()).expect("sent");
    let mut first = [0; 12];
    idle.read_exact(&mut first).expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    let mut stream = follow(&replica, None).await;
    let cut = async || {
        replica
            .counter("emgate_streams_dropped_total{reason=\"slow\"}")
            .await
    };
    // More than the buffers of both systems hold, and then more than a reader may be behind.
    let mut written = 0;
    while written < 2400 {
        write(&store, 200, 16 * 1024).await;
        written += 200;
        stream.events(200).await;
    }
    eventually("the end of the reader that takes nothing", cut, |cut| *cut >= 1.0).await;
    // What was in the buffers can be read, and then the connection has ended.
    let mut rest = Vec::new();
    let ended = idle.read_to_end(&mut rest);
    assert!(ended.is_err() || !rest.ends_with(b"0\r\n\r\n"), "an orderly end");
    write(&store, 1, 10).await;
    stream.events(1).await;
    assert!((cut().await - 1.0).abs() < f64::EPSILON, "the other one reads");
    store.close().await;
}
