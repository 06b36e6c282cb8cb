//! Callers that cost little themselves: the bytes of a request are made once, and of an answer its status, its length and its end
//! are read. One thread has all connections, as one worker of a proxy would.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub const CONNECTIONS: usize = 64;

/// A request as it is sent, and the status that it is answered with.
pub struct Asked {
    bytes: Arc<[u8]>,
    status: u16,
}

impl Asked {
    pub fn new(path: &str, headers: &str, status: u16) -> Self {
        let text = format!("GET {path} HTTP/1.1\r\nhost: bench.example\r\n{headers}\r\n");
        let bytes = text.into_bytes().into();
        Self { bytes, status }
    }
}

/// Asks over all connections for so long: how many answers came, and in what time.
pub fn ask(addr: SocketAddr, asked: &Asked, time: Duration) -> (u64, Duration) {
    let (bytes, status) = (asked.bytes.clone(), asked.status);
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async move {
            let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
            let begun = Instant::now();
            let callers: Vec<_> = (0..CONNECTIONS)
                .map(|_| tokio::spawn(call(addr, bytes.clone(), status, over.clone(), count.clone())))
                .collect();
            tokio::time::sleep(time).await;
            over.store(true, Ordering::Relaxed);
            let (counted, took) = (count.load(Ordering::Relaxed), begun.elapsed());
            for caller in callers {
                caller.await.expect("no panic");
            }
            (counted, took)
        })
    });
    asking.join().expect("no panic")
}

async fn call(addr: SocketAddr, bytes: Arc<[u8]>, status: u16, over: Arc<AtomicBool>, count: Arc<AtomicU64>) {
    let mut stream = tokio::net::TcpStream::connect(addr).await.expect("a connection");
    stream.set_nodelay(true).expect("set");
    let mut buffer = vec![0; 256 * 1024];
    while !over.load(Ordering::Relaxed) {
        stream.write_all(&bytes).await.expect("sent");
        let mut held = 0;
        let whole = loop {
            let read = stream.read(&mut buffer[held..]).await.expect("an answer");
            assert_ne!(read, 0, "the connection was closed");
            held += read;
            if let Some(whole) = length(&buffer[..held]) {
                break whole;
            }
        };
        assert_eq!(status_of(&buffer), status);
        match whole {
            Length::Bytes(whole) => {
                while held < whole {
                    let read = stream.read(&mut buffer[held..]).await.expect("a body");
                    assert_ne!(read, 0, "the connection was closed");
                    held += read;
                }
            }
            Length::Chunks => {
                while !buffer[..held].ends_with(b"\r\n0\r\n\r\n") {
                    let read = stream.read(&mut buffer[held..]).await.expect("a body");
                    assert_ne!(read, 0, "the connection was closed");
                    held += read;
                }
            }
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
}

enum Length {
    /// Of head and body together.
    Bytes(usize),
    Chunks,
}

fn status_of(answer: &[u8]) -> u16 {
    let digits = std::str::from_utf8(&answer[9..12]).expect("text");
    digits.parse().expect("a status")
}

/// How long the answer is, once its head is there.
fn length(answer: &[u8]) -> Option<Length> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    if matches!(status_of(answer), 204 | 304) {
        return Some(Length::Bytes(head));
    }
    for line in answer[..head].split(|byte| *byte == b'\n') {
        let Some((name, value)) = line.split_at_checked(15) else {
            continue;
        };
        if name.eq_ignore_ascii_case(b"content-length:") {
            let digits = std::str::from_utf8(value).expect("text").trim();
            return Some(Length::Bytes(head + digits.parse::<usize>().expect("a length")));
        }
    }
    Some(Length::Chunks)
}

/// One answer: its status, its head in lower case but for the entity tag, and its body.
pub fn once(addr: SocketAddr, asked: &Asked) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(addr).expect("a connection");
    let text = String::from_utf8_lossy(&asked.bytes).replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = (answer.windows(4).position(|four| four == b"\r\n\r\n")).expect("a head") + 4;
    let head = String::from_utf8_lossy(&answer[..end]).replace("ETag:", "etag:");
    (status_of(&answer), head, answer[end..].to_vec())
}

/// The processor time that a process has used, in microseconds; hundredths of a second where the kernel says no more.
pub fn processor_micros(id: u32) -> f64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{id}/task")) else {
        return 0.0;
    };
    let nanos = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e3
}
