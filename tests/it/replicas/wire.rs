//! The wire between a replica and the database: slow, or cut at the worst moment.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::support::postgres::Database;
use crate::waiting::slowly;

/// What becomes of the commit that makes an operation; its connection is cut in any case.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// It never arrives.
    Commit,
    /// It is done, and the answer is lost.
    Answer,
    /// It arrives when the test says so.
    Late,
}

/// The wire; clones share it.
#[derive(Clone)]
pub struct Wire {
    inner: Arc<Inner>,
    database: Database,
}

struct Inner {
    server: SocketAddr,
    /// Milliseconds.
    pace: AtomicU64,
    loss: Mutex<Option<Loss>>,
    arrives: Notify,
}

impl Wire {
    /// A wire to `database`.
    pub async fn before(database: &Database) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut url: url::Url = database.url.parse().expect("a URL");
        let inner = Arc::new(Inner {
            server: SocketAddr::from(([127, 0, 0, 1], url.port().expect("a port"))),
            pace: AtomicU64::new(0),
            loss: Mutex::default(),
            arrives: Notify::new(),
        });
        let port = listener.local_addr().expect("an address").port();
        url.set_port(Some(port)).expect("a port");
        let carrying = inner.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, carrying.clone()));
            }
        });
        Self {
            inner,
            database: Database {
                url: url.into(),
                key_file: database.key_file.clone(),
            },
        }
    }

    /// The database at its end.
    pub fn database(&self) -> Database {
        self.database.clone()
    }

    /// From now on each answer of the server's is so long on its way.
    pub fn slow_down(&self, milliseconds: u64) {
        self.inner.pace.store(milliseconds, Ordering::Relaxed);
    }

    /// Cuts the next connection that commits a new operation.
    pub fn lose(&self, loss: Loss) {
        *self.inner.loss.lock().expect("unpoisoned") = Some(loss);
    }

    /// Whether that has happened.
    pub fn lost(&self) -> bool {
        self.inner.loss.lock().expect("unpoisoned").is_none()
    }

    /// Lets a commit arrive that was held back.
    pub fn arrives(&self) {
        self.inner.arrives.notify_one();
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|some| some == text.as_bytes())
}

async fn carry(mut client: TcpStream, wire: Arc<Inner>) {
    let Ok(mut server) = TcpStream::connect(wire.server).await else {
        return;
    };
    let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
    let mut records = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Some(bytes) = read.ok().filter(|read| *read > 0).map(|read| &up[..read]) else { return };
                records |= holds(bytes, "insert into operations ");
                if records && holds(bytes, "COMMIT") {
                    let loss = wire.loss.lock().expect("unpoisoned").take();
                    if let Some(loss) = loss {
                        drop(client);
                        match loss {
                            Loss::Commit => return,
                            Loss::Answer => {}
                            Loss::Late => wire.arrives.notified().await,
                        }
                        server.write_all(bytes).await.expect("sent");
                        let unheard = server.read(&mut down).await.expect("an answer");
                        assert!(unheard > 0, "the server hung up on it");
                        return;
                    }
                }
                if server.write_all(bytes).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Some(bytes) = read.ok().filter(|read| *read > 0).map(|read| &down[..read]) else { return };
                slowly(Duration::from_millis(wire.pace.load(Ordering::Relaxed))).await;
                if client.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}
