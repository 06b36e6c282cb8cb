//! Thousands of streams on one process: the memory of each, how soon an event reaches all of them, and processor time while
//! nothing happens.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::world::{PATIENCE, World, processor_seconds};
use crate::figures::{Figures, Row};
use crate::process::resident_kib;

/// Both ends of a connection are on this machine; each process needs one descriptor for it.
const STREAMS: usize = 5000;
const EVENTS: usize = 10;
const QUIET: Duration = Duration::from_secs(10);

pub async fn measure(figures: &mut Figures) {
    let most = STREAMS.to_string();
    let world = World::start(&[], &[("EMGATE_LIMITS__STREAMS", &most)]).await;
    let endpoint = json!({"url": "http://127.0.0.1:9/hook", "eventTypes": ["upstream.recovered"]});
    let made = world
        .call(reqwest::Method::POST, "/api/v1/webhook-endpoints", Some(endpoint))
        .await;
    let path = format!(
        "/api/v1/webhook-endpoints/{}/test",
        made["id"].as_str().expect("an id")
    );
    let before = resident_kib(&world.gateway).unwrap_or_default();
    let begun = Instant::now();
    let mut streams = Vec::new();
    while streams.len() < STREAMS {
        let some = (0..100).map(|_| open(world.gateway.addr, world.token()));
        streams.extend(join_all(some).await);
    }
    let opened = begun.elapsed();
    let idle = resident_kib(&world.gateway).unwrap_or_default();
    let mut times = Vec::new();
    for _ in 0..EVENTS {
        let begun = Instant::now();
        let asked = world.call(reqwest::Method::POST, &path, None);
        let (_, ()) = tokio::join!(asked, async {
            join_all(
                streams
                    .iter_mut()
                    .map(|stream| until(stream, b"event: webhook.test")),
            )
            .await;
        });
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let after = resident_kib(&world.gateway).unwrap_or_default();
    let used = processor_seconds(&world.gateway);
    tokio::time::sleep(QUIET).await;
    let used = processor_seconds(&world.gateway) - used;
    let each = |now: u64| now.saturating_sub(before) as f64 / STREAMS as f64;
    figures.begin("streams", format!("{STREAMS} streams of events on one gateway"));
    for row in [
        Row::new("opening all", "s", vec![opened.as_secs_f64()]),
        Row::new("memory of each, idle", "KiB", vec![each(idle)]),
        Row::new(
            format!("memory of each after {EVENTS} events"),
            "KiB",
            vec![each(after)],
        ),
        Row::new("an event to all of them", "ms", times),
        Row::new(
            "processor while nothing happens",
            "%",
            vec![used / QUIET.as_secs_f64() * 100.0],
        ),
    ] {
        figures.add(row);
    }
}

async fn open(addr: SocketAddr, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.expect("connected");
    let head = format!(
        "GET /api/v1/events/stream HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    until(&mut stream, b"retry: 2000").await;
    stream
}

/// Reads up to these bytes, which begin a piece of their own.
async fn until(stream: &mut TcpStream, wanted: &[u8]) {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    let reading = async {
        while !read.windows(wanted.len()).any(|part| part == wanted) {
            let count = stream.read(&mut buffer).await.expect("read");
            assert!(count > 0, "the stream ended: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("in time");
}
