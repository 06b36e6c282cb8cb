//! A webhook receiver that fails now and then: 500, no answer, a reset, a slow one. It keeps every request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::dice::Dice;

/// A request that was answered with success.
#[derive(Clone)]
pub struct Taken {
    pub path: String,
    pub id: String,
    pub body: Vec<u8>,
}

/// Listens until the test ends.
pub struct Receiver {
    address: SocketAddr,
    behaves: AtomicBool,
    dice: Mutex<Dice>,
    secrets: Mutex<HashMap<String, String>>,
    taken: Mutex<Vec<Taken>>,
    faults: Mutex<Vec<String>>,
}

impl Receiver {
    pub async fn start(dice: Dice) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let receiver = Arc::new(Self {
            address: listener.local_addr().expect("an address"),
            behaves: AtomicBool::new(false),
            dice: Mutex::new(dice),
            secrets: Mutex::default(),
            taken: Mutex::default(),
            faults: Mutex::default(),
        });
        let here = Arc::clone(&receiver);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let here = Arc::clone(&here);
                tokio::spawn(async move { here.serve(stream).await });
            }
        });
        receiver
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What is sent to `path` has to be signed with `secret`.
    pub fn expect_signature(&self, path: &str, secret: &str) {
        let mut secrets = self.secrets.lock().unwrap();
        secrets.insert(path.to_owned(), secret.to_owned());
    }

    /// From now on every request is answered well.
    pub fn behave(&self) {
        self.behaves.store(true, Ordering::Relaxed);
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    /// Signatures that were wrong.
    pub fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap().clone()
    }

    async fn serve(&self, mut stream: TcpStream) {
        let Some((path, headers, body)) = read(&mut stream).await else {
            return;
        };
        self.verify(&path, &headers, &body);
        let mood = if self.behaves.load(Ordering::Relaxed) {
            99
        } else {
            self.dice.lock().unwrap().below(40)
        };
        let answer = match mood {
            0 | 1 => "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            2 => return self.hang(stream).await,
            3 => {
                let _ = stream.set_zero_linger();
                return;
            }
            4..=8 => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                OK
            }
            _ => OK,
        };
        if answer == OK {
            let id = headers["webhook-id"].to_str().unwrap_or_default().to_owned();
            self.taken.lock().unwrap().push(Taken { path, id, body });
        }
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    /// Says nothing until the sender gives up.
    async fn hang(&self, mut stream: TcpStream) {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
    }

    fn verify(&self, path: &str, headers: &HeaderMap, body: &[u8]) {
        let secret = self.secrets.lock().unwrap().get(path).cloned();
        let verified = secret
            .ok_or_else(|| "no endpoint of the test".to_owned())
            .and_then(|secret| standardwebhooks::Webhook::new(&secret).map_err(|error| error.to_string()))
            .and_then(|webhook| webhook.verify(body, headers).map_err(|error| error.to_string()));
        if let Err(fault) = verified {
            self.faults.lock().unwrap().push(format!("{path}: {fault}"));
        }
    }
}

const OK: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";

/// One whole request; `None` when the sender went away before its end.
async fn read(stream: &mut TcpStream) -> Option<(String, HeaderMap, Vec<u8>)> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name: axum::http::HeaderName = name.parse().ok()?;
        headers.insert(name, value.trim().parse().ok()?);
    }
    let length: usize = headers.get("content-length")?.to_str().ok()?.parse().ok()?;
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some((path, headers, bytes[head..head + length].to_vec()))
}
