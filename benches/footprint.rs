//! What the gateway costs when nothing happens: size of the binary, time from start to ready, idle memory, and the memory of
//! streams of events that are open (`STREAMS` of them; each needs a descriptor here and there).
//!
//! Everything is printed and nothing asserted, because machines differ; the goals are printed beside the figures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measurement that meets the unexpected shall end loudly"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

#[path = "process.rs"]
mod process;

use process::{Running, SECRET, is_ready, resident_kib, settings, simulator, start};

const ROUNDS: usize = 11;

/// A gateway with a store of its own, ready, and how long that took.
struct Ready {
    gateway: Running,
    took: Duration,
    directory: std::path::PathBuf,
}

impl Drop for Ready {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Ready {
    fn start(upstream: &str, more: &[(&str, &str)]) -> Self {
        let directory = std::env::temp_dir().join(format!("emgate-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let store = format!("sqlite://{}", directory.join("emgate.db").display());
        let begun = Instant::now();
        let gateway = start(&["serve"], &[&settings(upstream, &store)[..], more].concat());
        while !is_ready(gateway.addr) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "the gateway did not become ready"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = begun.elapsed();
        std::thread::sleep(Duration::from_millis(300));
        Self {
            gateway,
            took,
            directory,
        }
    }
}

/// A stream of events whose first lines have come.
fn stream(addr: SocketAddr, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).expect("a connection");
    let request = format!(
        "GET /api/v1/events/stream HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    while !answer.windows(6).any(|part| part == b"retry:") {
        let count = stream.read(&mut part).expect("an answer");
        assert_ne!(count, 0, "no stream: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..count]);
    }
    stream
}

/// How many KiB each of so many streams costs.
fn memory_of_streams(upstream: &str, count: usize) -> f64 {
    let limit = (count + 100).to_string();
    let ready = Ready::start(upstream, &[("EMGATE_LIMITS__STREAMS", limit.as_str())]);
    let claims = json!({"sub": "bench", "scope": "events:read tenants:all", "exp": 4_102_444_800_u64});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("signed");
    let open = |count: usize| -> Vec<TcpStream> {
        let one = |_| stream(ready.gateway.addr, &token);
        (0..count).map(one).collect()
    };
    let resident = || resident_kib(&ready.gateway).expect("on Linux");
    // What the first ones allocate for all is not counted.
    let first = open(50);
    let before = resident();
    let streams = open(count);
    let after = resident();
    drop((first, streams));
    after.saturating_sub(before) as f64 / count as f64
}

fn main() {
    let simulator = simulator(&[]);
    let upstream = format!("http://{}", simulator.addr);
    let mut times = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..ROUNDS {
        let ready = Ready::start(&upstream, &[]);
        times.push(ready.took);
        memory.extend(resident_kib(&ready.gateway));
    }
    times.sort_unstable();
    memory.sort_unstable();
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_emgate")).map_or(0, |file| file.len());
    println!(
        "binary size            {:>8.1} MB  (simulator and demo included)",
        size as f64 / 1e6
    );
    println!(
        "start to ready         {:>8.0} ms  median of {ROUNDS}, fresh store, baseline observed; goal 150 ms or less",
        times.get(ROUNDS / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    );
    println!(
        "idle memory (resident) {:>8.1} MB  median of {ROUNDS}; goal 25 MB or less",
        memory
            .get(memory.len() / 2)
            .map_or(0.0, |kib| *kib as f64 * 1024.0 / 1e6)
    );
    let count = std::env::var("STREAMS").map_or(800, |count| count.parse().expect("a number"));
    println!(
        "memory of a stream     {:>8.1} KiB, {count} of them open; goal 20 KiB or less",
        memory_of_streams(&upstream, count)
    );
}
