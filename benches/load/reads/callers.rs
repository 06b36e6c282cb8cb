//! Callers that cost little themselves: the bytes of a request are made once, and of an answer its status, its length and its end
//! are read. One thread has all connections, as one worker of a proxy would.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::PATIENCE;

pub const CONNECTIONS: usize = 64;

/// A request as it is sent, and the status that it is answered with.
#[derive(Clone)]
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

/// What came of it.
pub struct Answered {
    /// Answers in the time, and how long that was.
    pub count: u64,
    pub took: Duration,
    /// With those that were under way when it was over.
    pub all: u64,
}

/// Asks over all connections for so long.
pub fn ask(addr: SocketAddr, asked: &Asked, time: Duration) -> Answered {
    let asked = asked.clone();
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async move {
            let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
            let begun = Instant::now();
            let callers: Vec<_> = (0..CONNECTIONS)
                .map(|_| tokio::spawn(call(addr, asked.clone(), over.clone(), count.clone())))
                .collect();
            tokio::time::sleep(time).await;
            over.store(true, Ordering::Relaxed);
            let (in_time, took) = (count.load(Ordering::Relaxed), begun.elapsed());
            for caller in callers {
                caller.await.expect("no panic");
            }
            Answered {
                count: in_time,
                took,
                all: count.load(Ordering::Relaxed),
            }
        })
    });
    asking.join().expect("no panic")
}

async fn call(addr: SocketAddr, asked: Asked, over: Arc<AtomicBool>, count: Arc<AtomicU64>) {
    let mut connection = Kept::open(addr).await;
    while !over.load(Ordering::Relaxed) {
        connection.ask(&asked).await;
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection that is kept, for a task.
pub struct Kept {
    stream: tokio::net::TcpStream,
    answer: Answer,
}

impl Kept {
    pub async fn open(addr: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(addr).await.expect("a connection");
        stream.set_nodelay(true).expect("set");
        let answer = Answer::default();
        Self { stream, answer }
    }

    /// Sends it, and reads the whole answer.
    pub async fn ask(&mut self, asked: &Asked) {
        self.answer.held = 0;
        self.stream.write_all(&asked.bytes).await.expect("sent");
        while !self.answer.is_whole(asked.status) {
            let read = self.stream.read(self.answer.room()).await.expect("an answer");
            self.answer.came(read);
        }
    }
}

/// A connection that is kept, for a thread.
pub struct Blocking {
    stream: TcpStream,
    answer: Answer,
}

impl Blocking {
    pub fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("a connection");
        stream.set_nodelay(true).expect("set");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let answer = Answer::default();
        Self { stream, answer }
    }

    /// Sends it, and reads the whole answer.
    pub fn ask(&mut self, asked: &Asked) {
        self.answer.held = 0;
        self.stream.write_all(&asked.bytes).expect("sent");
        while !self.answer.is_whole(asked.status) {
            let read = self.stream.read(self.answer.room()).expect("an answer");
            self.answer.came(read);
        }
    }
}

/// What has come of an answer. The memory stays for the next one.
#[derive(Default)]
struct Answer {
    buffer: Vec<u8>,
    held: usize,
}

impl Answer {
    fn room(&mut self) -> &mut [u8] {
        if self.buffer.len() - self.held < 4096 {
            self.buffer.resize((self.buffer.len() * 2).max(16 * 1024), 0);
        }
        &mut self.buffer[self.held..]
    }

    fn came(&mut self, bytes: usize) {
        assert_ne!(bytes, 0, "the connection was closed");
        self.held += bytes;
    }

    /// Whether all of it is there.
    fn is_whole(&self, status: u16) -> bool {
        let here = &self.buffer[..self.held];
        let Some(length) = length(here) else {
            return false;
        };
        assert_eq!(status_of(here), status);
        match length {
            Length::Bytes(whole) => self.held >= whole,
            Length::Chunks => here.ends_with(b"\r\n0\r\n\r\n"),
        }
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
