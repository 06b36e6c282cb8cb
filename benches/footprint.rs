//! What the gateway costs when nothing happens: size of the binary, time from start to ready, idle memory; and what its
//! memory becomes by streams of events that are open, and by answers of Enterprise Manager that pass through.
//!
//! `PROGRAM=file` measures another build of `emgate`, such as that of production, which has no simulator; `STREAMS` and `BYTES`
//! say how many are opened and how much passes. A stream needs a descriptor here and there (`ulimit -n`). Everything is printed
//! and nothing asserted, because machines differ; the goals are printed beside the figures.

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
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

#[path = "process.rs"]
mod process;

use process::{Running, SECRET, figure, instead, is_ready, resident_kib, settings, simulator};

const ROUNDS: usize = 11;
/// Callers that read through the mirror at a time.
const CALLERS: usize = 4;
/// Pages of a hundred plans, each some hundred kilobytes.
const PAGES: usize = 4;

/// What a process has in memory, in KiB.
#[derive(Debug, Clone, Copy)]
struct Memory {
    resident: u64,
    /// Its share of what it has together with other processes, and all of the rest.
    proportional: u64,
    /// Nobody else's, and not to be read from a file again.
    private_dirty: u64,
    /// Heap and stacks; the rest of what is resident is of mapped files.
    anonymous: u64,
}

impl Memory {
    fn of(process: &Running) -> Option<Self> {
        Some(Self {
            resident: resident_kib(process)?,
            proportional: figure(process, "smaps_rollup", "Pss:")?,
            private_dirty: figure(process, "smaps_rollup", "Private_Dirty:")?,
            anonymous: figure(process, "smaps_rollup", "Anonymous:")?,
        })
    }
}

/// A gateway with a store of its own, ready, and how long that took.
struct Ready {
    gateway: Running,
    took: Duration,
    _directory: tempfile::TempDir,
}

impl Ready {
    fn start(upstream: &str, more: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = format!("sqlite://{}", directory.path().join("emgate.db").display());
        let begun = Instant::now();
        let settings = [&settings(upstream, &store)[..], more].concat();
        let gateway = Running::start_by(&instead(&program()), &["serve"], &settings);
        while !is_ready(gateway.addr) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "the gateway did not become ready"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        Self {
            gateway,
            took: begun.elapsed(),
            _directory: directory,
        }
    }

    /// Its memory once what follows the start is done.
    fn idle_memory(&self) -> Memory {
        std::thread::sleep(Duration::from_millis(300));
        self.memory()
    }

    fn memory(&self) -> Memory {
        Memory::of(&self.gateway).expect("on Linux")
    }
}

/// What is measured.
fn program() -> String {
    std::env::var("PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_emgate").to_owned())
}

/// A number that the environment may change.
fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// The cargo features that show in the program's commands.
fn features() -> String {
    let has = |command: &str| {
        let mut help = Command::new(program());
        help.args([command, "--help"]).stdout(Stdio::null());
        help.stderr(Stdio::null()).status().expect("it runs").success()
    };
    let shown = [("demo", "simulate"), ("manual", "man")].map(|(feature, command)| {
        let is_there = if has(command) { "with" } else { "without" };
        format!("{is_there} {feature}")
    });
    shown.join(", ")
}

fn token() -> String {
    let claims =
        json!({"sub": "bench", "scope": "events:read em:read tenants:all", "exp": 4_102_444_800_u64});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("signed")
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

/// The memory of a gateway with so many streams, and how many KiB of it each costs.
fn memory_of_streams(upstream: &str, count: usize) -> (Memory, f64) {
    let limit = (count + 100).to_string();
    let ready = Ready::start(upstream, &[("EMGATE_LIMITS__STREAMS", limit.as_str())]);
    let token = token();
    let open = |count: usize| -> Vec<TcpStream> {
        let one = |_| stream(ready.gateway.addr, &token);
        (0..count).map(one).collect()
    };
    // What the first ones allocate for all is not a stream's.
    let first = open(50.min(count));
    let before = ready.memory();
    let streams = open(count - first.len());
    let after = ready.memory();
    let each = after.resident.saturating_sub(before.resident) as f64 / streams.len().max(1) as f64;
    (after, each)
}

/// Lets answers of Enterprise Manager's pass through the mirror, until so many bytes of JSON have (the XML is more), none of them
/// remembered or shared: the memory after the first tenth, at the end, and the highest that the system saw.
fn memory_of_passing(bytes: usize) -> (Memory, Memory, u64) {
    let simulator = simulator(&["--plans", "400", "--vms", "20"]);
    let nothing_kept = [
        ("EMGATE_UPSTREAM__CACHE_TTL", "0s"),
        ("EMGATE_UPSTREAM__COALESCE", "false"),
    ];
    let ready = Ready::start(&format!("http://{}", simulator.addr), &nothing_kept);
    let token = token();
    let (passed, addr) = (AtomicUsize::new(0), ready.gateway.addr);
    let pass = |until: usize| {
        std::thread::scope(|scope| {
            for caller in 0..CALLERS {
                let (passed, token) = (&passed, &token);
                scope.spawn(move || {
                    let mut stream = TcpStream::connect(addr).expect("a connection");
                    for page in (0..PAGES).cycle().skip(caller) {
                        if passed.load(Ordering::Relaxed) >= until {
                            return;
                        }
                        passed.fetch_add(read_page(&mut stream, page + 1, token), Ordering::Relaxed);
                    }
                });
            }
        });
        ready.memory()
    };
    let warm = pass(bytes / 10);
    let after = pass(bytes);
    (
        warm,
        after,
        figure(&ready.gateway, "status", "VmHWM:").expect("on Linux"),
    )
}

/// Reads a page of plans through the mirror; gives the length of its body.
fn read_page(stream: &mut TcpStream, page: usize, token: &str) -> usize {
    let request = format!(
        "GET /api/v1/em/query?type=CloudFailoverPlan&format=Entities&pageSize=100&page={page} HTTP/1.1\r\n\
         host: bench.example\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let (mut answer, mut part) = (Vec::new(), vec![0; 64 * 1024]);
    let (head, length) = loop {
        let count = stream.read(&mut part).expect("an answer");
        assert_ne!(count, 0, "no answer: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..count]);
        if let Some(head) = answer.windows(4).position(|part| part == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
            assert!(text.starts_with("http/1.1 200"), "{text}");
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            break (
                head + 4,
                length.expect("a length").parse::<usize>().expect("a number"),
            );
        }
    };
    let mut left = length - (answer.len() - head);
    while left > 0 {
        let most = left.min(part.len());
        let count = stream.read(&mut part[..most]).expect("a body");
        assert_ne!(count, 0, "the connection was closed");
        left -= count;
    }
    length
}

fn median<T: Copy + Ord>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

fn main() {
    let simulator = simulator(&[]);
    let upstream = format!("http://{}", simulator.addr);
    let size = std::fs::metadata(program()).map_or(0, |file| file.len());
    println!("{} ({})", program(), features());
    println!(
        "binary size            {:>8.1} MB; goal 20 MB or less without demo",
        size as f64 / 1e6
    );
    let started = (0..ROUNDS).map(|_| {
        let ready = Ready::start(&upstream, &[]);
        (ready.took, ready.idle_memory())
    });
    let (times, memory): (Vec<Duration>, Vec<Memory>) = started.unzip();
    let of = |value: fn(&Memory) -> u64| megabytes(median(memory.iter().map(value).collect()));
    println!(
        "start to ready         {:>8.0} ms  median of {ROUNDS}, fresh store, baseline observed; goal 60 ms or less",
        median(times).as_secs_f64() * 1e3
    );
    println!(
        "idle memory (resident) {:>8.1} MB  median of {ROUNDS}; goal 15 MB or less without demo",
        of(|memory| memory.resident)
    );
    println!(
        "  heap and stacks {:.1} MB, mapped files {:.1} MB; private and written {:.1} MB, proportional share {:.1} MB",
        of(|memory| memory.anonymous),
        of(|memory| memory.resident - memory.anonymous),
        of(|memory| memory.private_dirty),
        of(|memory| memory.proportional),
    );
    let count = number("STREAMS", 5_000);
    let (whole, each) = memory_of_streams(&upstream, count);
    println!(
        "memory with {count} streams {:>6.1} MB, the whole process; goal 100 MB or less with 5,000; {each:.1} KiB for each; goal 20 KiB or less",
        megabytes(whole.resident)
    );
    let bytes = number("BYTES", 1_000_000_000);
    let (warm, after, peak) = memory_of_passing(bytes);
    println!(
        "{:.1} GB of answers pass  {:>6.1} MB after a tenth, {:.1} MB at the end, {:.1} MB at the most; goal: no growth",
        bytes as f64 / 1e9,
        megabytes(warm.resident),
        megabytes(after.resident),
        megabytes(peak)
    );
}
