//! A simulated Enterprise Manager, for tests, demonstrations and development.
//!
//! It speaks EM's documented XML over HTTP/1.1 and is strict where EM is known to be strict, so that a wrong
//! client fails here rather than on the day of the disaster. It never shares code with the program but the clock
//! and the catalogue's names and shapes, so that a mistake of the program cannot cancel itself out here.
//! Invariant: every state is computed from the clock and what requests changed; nothing runs in the background.
//!
//! | file | holds |
//! |---|---|
//! | `options` | the command line |
//! | `inventory`, `world`, `changes`, `seed`, `failover`, `logon` | the state of EM; everything computed from the clock |
//! | `exchange`, `routes` | a request and its answer; the table of handlers |
//! | `generic` | all resources beyond failover, computed from the catalogue |
//! | `scene`, `render`, `times`, `query`, `paging`, `xml` | documents, the query service, angle brackets |
//! | `faults`, `damage`, `marks`, `control` | what a test may request (`/_sim`) |
//! | `server`, `wire`, `tls` | sockets |
//!
//! Where EM's manual is silent, this is what the simulator does: a plan at work refuses every action with 400
//! (EM documents no 409); one logon session more than `--max-sessions` is refused with 503; a logon session can
//! end itself only (403 otherwise); deleting a task stops what it works on; a start with a date before the
//! oldest replica point is accepted, and its task fails. A tenant logs on by its name, with `--tenant-password` in a
//! `LoginSpec`, and reaches its own plans, tasks and logon session; all else is refused with 403. Its tests are in `tests/it/simulator.rs`.

mod changes;
mod control;
mod damage;
mod dice;
mod exchange;
mod failover;
mod faults;
mod generic;
mod inventory;
mod logon;
mod marks;
mod options;
mod paging;
mod query;
mod render;
mod routes;
mod scene;
mod seed;
mod server;
mod times;
mod tls;
mod wire;
mod world;
mod xml;

use parking_lot::Mutex;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::dice::Dice;
use self::faults::Faults;
pub use self::options::{ExpiredStatus, Options};
use self::server::{Shared, State};
use self::world::World;
use crate::clock::{SharedClock, SystemClock};

/// The plan of the manual's examples, in every simulated EM.
pub const FIRST_PLAN: uuid::Uuid = inventory::FIRST_PLAN;

/// How long connections may take to end when the simulator stops.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option has a value that cannot be used.
    #[error("{0}")]
    Option(String),
    /// The address could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// No TLS configuration could be made.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// A signal handler or the output failed.
    #[error("cannot run in the foreground")]
    Foreground(#[source] io::Error),
}

/// Starts simulators.
#[derive(Debug, Clone, Copy)]
pub struct Simulator;

impl Simulator {
    /// Starts one on the machine's clock. It serves until it is stopped or dropped.
    pub async fn start(options: Options) -> Result<Running, Error> {
        Self::start_at(options, SystemClock::shared()).await
    }

    /// Starts one on a clock of the caller's.
    pub async fn start_at(options: Options, clock: SharedClock) -> Result<Running, Error> {
        if let Some(fault) = options.fault() {
            return Err(Error::Option(fault));
        }
        let listen = |source| Error::Listen {
            address: options.listen,
            source,
        };
        let listener = TcpListener::bind(options.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let tls = if options.tls { Some(tls::identity()?) } else { None };
        let seed = options.seed.unwrap_or_else(|| {
            let mut bytes = [0; 8];
            clock.random(&mut bytes);
            u64::from_le_bytes(bytes)
        });
        let skew = SignedDuration::from_secs(options.clock_skew);
        let now = clock.now().checked_add(skew).unwrap_or(clock.now());
        let shared = Arc::new(Shared {
            clock,
            skew,
            latency: Duration::from_millis(options.latency),
            plain: options.plain,
            unknown_elements: options.unknown_elements,
            state: Mutex::new(State {
                world: World::new(options, seed, now),
                faults: Faults::default(),
                spelling: Dice::new(seed ^ 0x5e11),
            }),
        });
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let (acceptor, pin, pem) = match tls {
            Some(tls) => (Some(tls.acceptor), Some(tls.pin), Some(tls.pem)),
            None => (None, None, None),
        };
        tracker.spawn(server::serve(
            listener,
            acceptor,
            shared,
            tracker.clone(),
            stop.clone(),
        ));
        Ok(Running {
            address,
            pin,
            pem,
            tracker,
            stop,
        })
    }
}

/// A simulator that serves; dropping it stops it without waiting.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    pin: Option<String>,
    pem: Option<String>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://…` or `https://…`, without a slash or `/api` at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        let scheme = if self.pin.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// With `--tls`: the certificate's SHA-256 in hexadecimal, as `upstream.pin_sha256` takes it.
    #[must_use]
    pub fn pin(&self) -> Option<&str> {
        self.pin.as_deref()
    }

    /// With `--tls`: the certificate as PEM, as `upstream.ca_file` takes it.
    #[must_use]
    pub fn certificate_pem(&self) -> Option<&str> {
        self.pem.as_deref()
    }

    /// Closes all connections and waits, for a limited time, until they are gone.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        let _ = tokio::time::timeout(STOP_LIMIT, self.tracker.wait()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// `emgate simulate`: serves until SIGINT or SIGTERM, after saying on stdout how to reach it.
pub async fn run(options: Options) -> Result<(), Error> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt()).map_err(Error::Foreground)?,
        signal(SignalKind::terminate()).map_err(Error::Foreground)?,
    );
    let user = options.user.clone();
    // A password of one's own is not repeated on a screen.
    let password = if options.password == options::DEFAULT_PASSWORD {
        options::DEFAULT_PASSWORD
    } else {
        "(the one given)"
    };
    let plan = (options.plans > 0).then_some(FIRST_PLAN);
    let running = Simulator::start(options).await?;
    tracing::info!(listen = %running.addr(), "listening");
    let text = introduction(&running.base_url(), running.pin(), (&user, password), plan);
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    drop(out);
    written.map_err(Error::Foreground)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    running.stop().await;
    Ok(())
}

/// How to reach it, and the plan to begin with.
fn introduction(
    url: &str,
    pin: Option<&str>,
    (user, password): (&str, &str),
    plan: Option<uuid::Uuid>,
) -> String {
    let pin = pin.map(|pin| format!("  pin      {pin}\n")).unwrap_or_default();
    let plan = plan.map_or_else(|| "none".to_owned(), |plan| plan.to_string());
    format!(
        "Simulated Enterprise Manager at {url}/api/\n  user     {user}\n  password {password}\n{pin}  plan     {plan}\n  \
         control  {url}/_sim/stats\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_introduction_names_a_plan_that_there_is() {
        let of = |plan| introduction("http://127.0.0.1:9399", None, ("u", "p"), plan);
        assert!(of(Some(FIRST_PLAN)).contains(&format!("\n  plan     {FIRST_PLAN}\n  control  http://")));
        assert!(of(None).contains("\n  plan     none\n"));
        let pinned = introduction("https://127.0.0.1:9398", Some("ab"), ("u", "p"), None);
        assert!(
            pinned.starts_with("Simulated Enterprise Manager at https://127.0.0.1:9398/api/\n  user     u\n")
        );
        assert!(pinned.contains("\n  password p\n  pin      ab\n"), "{pinned}");
    }
}
