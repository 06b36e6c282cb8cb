//! A receiver on a raw socket: it records every request and gives the scripted answer, however broken.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::waiting::{holds, slowly};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub line: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Verifies the signature with another library than the sender's.
    pub fn verify(&self, secret: &str) {
        let theirs = standardwebhooks::Webhook::new(secret).expect("a secret");
        let mut headers = http::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, self.headers[name].parse().expect("a value"));
        }
        theirs
            .verify(&self.body, &headers)
            .expect("the signature is right");
    }
}

/// What a receiver does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status with no body, and further header lines.
    Status(u16, &'static str),
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// These bytes, then nothing for ever, the connection open.
    Stall(Vec<u8>),
    /// These bytes again and again.
    Flood(Vec<u8>, Vec<u8>),
    /// These bytes, then these one each 20 ms.
    Drip(&'static [u8], Vec<u8>),
    /// The connection is reset.
    Reset,
    /// 204, once this is true.
    Once(Arc<AtomicBool>),
}

pub const OK: Reply = Reply::Status(204, "");

type Script = dyn Fn(&Received) -> Reply + Send + Sync;

/// A receiver; it ends when dropped.
pub struct Peer {
    pub addr: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    script: Arc<Mutex<Arc<Script>>>,
    open: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub async fn start(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Arc<Script>>> = Arc::new(Mutex::new(Arc::new(script)));
        let (open, most_open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (notes, reply, now, most) = (received.clone(), script.clone(), open.clone(), most_open.clone());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (notes, reply, now, most) = (notes.clone(), reply.clone(), now.clone(), most.clone());
                connections.spawn(async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    serve(stream, &notes, &reply).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            addr,
            received,
            script,
            open,
            most_open,
            task,
        }
    }

    /// One that always answers the same.
    pub async fn answering(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    /// Behaves differently from now on.
    pub fn now(&self, script: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        *self.script.lock().expect("the script") = Arc::new(script);
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("the notes").clone()
    }

    pub fn ids(&self) -> Vec<String> {
        self.received()
            .iter()
            .map(|request| request.id().to_owned())
            .collect()
    }

    pub fn count(&self) -> usize {
        self.received.lock().expect("the notes").len()
    }

    /// How many connections were open at once at most.
    pub fn most_open(&self) -> usize {
        self.most_open.load(Ordering::SeqCst)
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, notes: &Mutex<Vec<Received>>, script: &Mutex<Arc<Script>>) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    let script = script.lock().expect("the script").clone();
    let reply = script(&request);
    notes.lock().expect("the notes").push(request);
    // A sender that hangs up early is no fault of the receiver's.
    let _ = answer(&mut stream, reply).await;
}

async fn answer(stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::Status(status, lines) => {
            let text = format!("HTTP/1.1 {status} Word\r\ncontent-length: 0\r\n{lines}\r\n");
            stream.write_all(text.as_bytes()).await
        }
        Reply::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Stall(bytes) => {
            stream.write_all(&bytes).await?;
            // Until the sender gives up.
            let _ = stream.read(&mut [0; 1]).await?;
            Ok(())
        }
        Reply::Flood(first, again) => {
            stream.write_all(&first).await?;
            loop {
                stream.write_all(&again).await?;
            }
        }
        Reply::Drip(first, bytes) => {
            stream.write_all(first).await?;
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                stream.flush().await?;
                slowly(Duration::from_millis(20)).await;
            }
            Ok(())
        }
        Reply::Reset => stream.set_zero_linger(),
        Reply::Once(open) => {
            holds("the gate opens", || open.load(Ordering::SeqCst)).await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).expect("a head");
    let mut lines = text.split("\r\n");
    let line = lines.next().expect("a request line").to_owned();
    let headers: HashMap<String, String> = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").expect("a header");
            (name.to_ascii_lowercase(), value.to_owned())
        })
        .collect();
    let length: usize = headers["content-length"].parse().expect("a length");
    let mut body = bytes[head + 4..].to_vec();
    while body.len() < length {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => body.extend_from_slice(&chunk[..count]),
        }
    }
    Some(Received { line, headers, body })
}
