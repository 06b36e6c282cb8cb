//! The socket of the service manager: one datagram for each message.
//!
//! The address is parsed here because `sd-notify` knows paths alone, and containers have abstract names. Each message
//! has a socket of its own, so that a service manager that was started again is found.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(super) use sd_notify::NotifyState as State;

/// How long a message may wait for a service manager that does not read.
const LIMIT: Duration = Duration::from_secs(1);

/// Where the service manager listens.
#[derive(Debug, Clone)]
pub(super) struct Socket {
    address: SocketAddr,
    failed: Arc<AtomicBool>,
}

impl Socket {
    /// A path, or `@` and an abstract name.
    ///
    /// # Errors
    /// It is neither, or too long.
    pub(super) fn named(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is neither an absolute path nor an abstract name",
                ));
            }
        };
        Ok(Self {
            address,
            failed: Arc::default(),
        })
    }

    /// Sends these states as one message.
    pub(super) async fn tell(&self, states: &[State<'_>]) {
        let lines: Vec<String> = states.iter().map(line).collect();
        let sent = tokio::time::timeout(LIMIT, self.send(&lines.join("\n"))).await;
        let error = match sent {
            Ok(Ok(())) => return self.failed.store(false, Ordering::Relaxed),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        if !self.failed.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the service manager cannot be told what the gateway does");
        }
    }

    async fn send(&self, message: &str) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&self.address)?;
        let socket = tokio::net::UnixDatagram::from_std(socket)?;
        socket.send(message.as_bytes()).await.map(drop)
    }
}

/// A state is one line, whatever an error's text holds.
fn line(state: &State<'_>) -> String {
    state.to_string().replace(|c: char| c.is_control(), " ")
}
