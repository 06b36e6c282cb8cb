//! A TCP gate before EM or a gateway that can be closed: for new connections only, or with all open ones broken.
//!
//! While it is closed the port has no listener, so that connections are refused as by a machine whose service is down.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The gate; it closes for good when it is dropped.
pub struct TcpGate {
    address: SocketAddr,
    behind: Arc<Mutex<SocketAddr>>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Drop for TcpGate {
    fn drop(&mut self) {
        if let Some(acceptor) = self.acceptor.lock().expect("unpoisoned").take() {
            acceptor.abort();
        }
        for client in self.connections.lock().expect("unpoisoned").drain(..) {
            client.abort();
        }
    }
}

impl TcpGate {
    /// A gate between the gateway of `config` and its EM.
    pub fn before(config: &mut emgate::upstream::Config) -> Self {
        let behind = config.url.socket_addrs(|| None).expect("an address")[0];
        let gate = Self::to(behind);
        config.url = gate.url().parse().expect("a URL");
        gate
    }

    /// A gate to this address.
    pub fn to(behind: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener for tasks");
        let gate = Self {
            address: listener.local_addr().expect("an address"),
            behind: Arc::new(Mutex::new(behind)),
            acceptor: Mutex::default(),
            connections: Arc::default(),
        };
        gate.accept(TcpListener::from_std(listener).expect("a listener"));
        gate
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leads new connections to this address.
    pub fn lead_to(&self, behind: SocketAddr) {
        *self.behind.lock().expect("unpoisoned") = behind;
    }

    fn accept(&self, listener: TcpListener) {
        let (connections, behind) = (self.connections.clone(), self.behind.clone());
        let acceptor = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let behind = *behind.lock().expect("unpoisoned");
                let copying = tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(behind).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
                connections.lock().expect("unpoisoned").push(copying);
            }
        });
        *self.acceptor.lock().expect("unpoisoned") = Some(acceptor);
    }

    /// Refuses new connections; open ones stay.
    pub async fn refuse(&self) {
        let acceptor = self.acceptor.lock().expect("unpoisoned").take();
        if let Some(acceptor) = acceptor {
            acceptor.abort();
            let _ = acceptor.await;
        }
    }

    /// Refuses new connections and breaks the open ones.
    pub async fn shut(&self) {
        self.refuse().await;
        let connections = std::mem::take(&mut *self.connections.lock().expect("unpoisoned"));
        for client in connections {
            client.abort();
        }
    }

    /// Accepts again, at the same address.
    pub async fn open(&self) {
        let listener = TcpListener::bind(self.address).await.expect("the same port");
        self.accept(listener);
    }
}
