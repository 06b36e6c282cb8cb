//! What the service manager is told, by the protocol of systemd (`sd_notify(3)`): ready, reloading, stopping, alive.
//!
//! Without `NOTIFY_SOCKET`, and on systems other than Linux, nothing is sent. A message that cannot be sent is logged
//! once and fails nothing: the gateway's work does not depend on who watches it.

#[cfg(target_os = "linux")]
mod socket;

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

/// How much more time is asked for at once; it is asked for again at a third of that.
#[cfg(target_os = "linux")]
const EXTENSION: Duration = Duration::from_secs(30);

/// The service manager that started this process, if one did.
#[derive(Debug, Clone, Default)]
pub struct ServiceManager {
    #[cfg(target_os = "linux")]
    socket: Option<socket::Socket>,
    #[cfg(target_os = "linux")]
    watchdog: Option<Duration>,
}

#[cfg(target_os = "linux")]
impl ServiceManager {
    /// The one that listens at `socket`, the value of `NOTIFY_SOCKET`: a path, or `@` and an abstract name. `watchdog` is
    /// the time within which it wants a sign of life.
    #[must_use]
    pub fn new(socket: Option<&OsStr>, watchdog: Option<Duration>) -> Self {
        let socket = socket.and_then(|name| {
            let socket = socket::Socket::named(name);
            if let Err(error) = &socket {
                tracing::warn!(%error, "NOTIFY_SOCKET cannot be used; the service manager is told nothing");
            }
            socket.ok()
        });
        Self {
            socket,
            watchdog: watchdog.filter(|limit| !limit.is_zero()),
        }
    }

    /// Gives a sign of life at half of the watchdog's time, as a task among the others: a runtime that is stuck gives
    /// none. It ends with the handle.
    #[expect(
        clippy::disallowed_methods,
        reason = "it must outlive the tracked tasks, whose end the watchdog watches as well"
    )]
    pub(super) fn keep_alive(&self) -> Option<AbortOnDropHandle<()>> {
        let (socket, limit) = (self.socket.clone()?, self.watchdog?);
        let alive = async move {
            let mut turns = tokio::time::interval(limit / 2);
            turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                turns.tick().await;
                socket.tell(&[socket::State::Watchdog]).await;
            }
        };
        Some(AbortOnDropHandle::new(tokio::spawn(alive)))
    }

    /// Does `work`, and asks for more time for as long as it takes.
    pub(super) async fn patiently<T>(&self, work: impl Future<Output = T>) -> T {
        let Some(socket) = &self.socket else {
            return work.await;
        };
        let micros = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
        // Asked before the work, which may be over at its first step.
        let ask = async || socket.tell(&[socket::State::ExtendTimeoutUsec(micros)]).await;
        ask().await;
        let extend = async {
            loop {
                tokio::time::sleep(EXTENSION / 3).await;
                ask().await;
            }
        };
        tokio::select! {
            done = work => done,
            never = extend => never,
        }
    }

    async fn tell(&self, states: &[socket::State<'_>]) {
        if let Some(socket) = &self.socket {
            socket.tell(states).await;
        }
    }

    /// What it does, in words for a person.
    pub(super) async fn status(&self, words: &str) {
        self.tell(&[socket::State::Status(words)]).await;
    }

    /// Requests are accepted.
    pub(super) async fn ready(&self, addr: SocketAddr) {
        let words = format!("accepts requests on {addr}");
        self.tell(&[socket::State::Ready, socket::State::Status(&words)])
            .await;
    }

    /// Files are read again; [`ServiceManager::ready`] says when that is over.
    pub(super) async fn reloading(&self) {
        use socket::State;
        // A reload without the time of its begin is refused by systemd 253 and newer.
        if let Ok(now) = State::monotonic_usec_now() {
            self.tell(&[
                State::Reloading,
                now,
                State::Status("reads the files of server.tls again"),
            ])
            .await;
        }
    }

    /// The stop has begun.
    pub(super) async fn stopping(&self, words: &str) {
        self.tell(&[socket::State::Stopping, socket::State::Status(words)])
            .await;
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unused_async, reason = "the shape of the form for Linux")]
impl ServiceManager {
    /// None: the protocol is of Linux.
    #[must_use]
    pub fn new(_: Option<&OsStr>, _: Option<Duration>) -> Self {
        Self::default()
    }

    pub(super) fn keep_alive(&self) -> Option<AbortOnDropHandle<()>> {
        None
    }

    pub(super) async fn patiently<T>(&self, work: impl Future<Output = T>) -> T {
        work.await
    }

    pub(super) async fn status(&self, _: &str) {}

    pub(super) async fn ready(&self, _: SocketAddr) {}

    pub(super) async fn reloading(&self) {}

    pub(super) async fn stopping(&self, _: &str) {}
}
