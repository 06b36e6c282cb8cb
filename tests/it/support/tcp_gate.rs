//! A door between gateway and EM that can be closed: to newcomers only, or with everybody inside thrown out.
//!
//! While it is closed nobody listens, so that connections are refused as by a machine whose service is down.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The door; it closes for good when it is dropped.
pub struct Door {
    address: SocketAddr,
    behind: OnceLock<SocketAddr>,
    porter: Mutex<Option<JoinHandle<()>>>,
    guests: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(porter) = self.porter.lock().expect("unpoisoned").take() {
            porter.abort();
        }
        for guest in self.guests.lock().expect("unpoisoned").drain(..) {
            guest.abort();
        }
    }
}

impl Door {
    /// Steps between the gateway that is configured so and the EM it would have asked.
    pub fn before(config: &mut emgate::upstream::Config) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener for tasks");
        let address = listener.local_addr().expect("an address");
        let behind = config.url.socket_addrs(|| None).expect("an address")[0];
        config.url = format!("http://{address}").parse().expect("a URL");
        let door = Self {
            address,
            behind: OnceLock::from(behind),
            porter: Mutex::default(),
            guests: Arc::default(),
        };
        door.let_in(TcpListener::from_std(listener).expect("a listener"));
        door
    }

    fn let_in(&self, listener: TcpListener) {
        let (guests, behind) = (self.guests.clone(), *self.behind.get().expect("somebody behind"));
        let porter = tokio::spawn(async move {
            while let Ok((mut guest, _)) = listener.accept().await {
                let walk = tokio::spawn(async move {
                    if let Ok(mut host) = TcpStream::connect(behind).await {
                        let _ = copy_bidirectional(&mut guest, &mut host).await;
                    }
                });
                guests.lock().expect("unpoisoned").push(walk);
            }
        });
        *self.porter.lock().expect("unpoisoned") = Some(porter);
    }

    /// Lets nobody in any more; who is inside stays.
    pub async fn refuse(&self) {
        let porter = self.porter.lock().expect("unpoisoned").take();
        if let Some(porter) = porter {
            porter.abort();
            let _ = porter.await;
        }
    }

    /// Lets nobody in and throws everybody out.
    pub async fn shut(&self) {
        self.refuse().await;
        let guests = std::mem::take(&mut *self.guests.lock().expect("unpoisoned"));
        for guest in guests {
            guest.abort();
        }
    }

    /// Lets everybody in again, at the same address.
    pub async fn open(&self) {
        let listener = TcpListener::bind(self.address).await.expect("the same port");
        self.let_in(listener);
    }
}
