//! Connections: from a socket to the world and back, with every way of breaking off on the way.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::control;
use super::dice::Dice;
use super::faults::{Faults, Kind};
use super::routes;
use super::wire::{self, Request, Response, Unreadable};
use super::world::World;
use super::xml::Style;
use crate::clock::SharedClock;

/// The most connections at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 4_096;
/// How long a `hang` holds a connection that the client does not give up.
const HANG_LIMIT: Duration = Duration::from_mins(10);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// What all connections share.
pub struct Shared {
    pub state: Mutex<State>,
    pub clock: SharedClock,
    pub latency: Duration,
    /// Added to the clock: EM's own idea of the time.
    pub skew: SignedDuration,
    pub plain: bool,
    pub unknown_elements: bool,
}

/// The world and what waits to go wrong in it.
pub struct State {
    pub world: World,
    pub faults: Faults,
    /// Decides the spelling of the next answer.
    pub spelling: Dice,
}

impl Shared {
    /// EM's clock.
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        now.checked_add(self.skew).unwrap_or(now)
    }
}

/// What happens to a connection after a request.
enum Outcome {
    Answer(Response),
    /// The answer's bytes, cut off before their end.
    Cut(Response),
    Hang,
    Reset,
}

/// Accepts connections until it is stopped.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: leave the others time to end.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (tls, shared, stop) = (tls.clone(), Arc::clone(&shared), stop.clone());
        tracker.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection(stream, tls, &shared) => {}
            }
            drop(slot);
        });
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, shared: &Shared) {
    // Without it small answers wait for the peer's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    match tls {
        None => {
            let mut stream = stream;
            if conversation(&mut stream, shared).await {
                reset(&stream);
            }
        }
        Some(tls) => {
            let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, tls.accept(stream));
            if let Ok(Ok(mut stream)) = handshake.await
                && conversation(&mut stream, shared).await
            {
                reset(stream.get_ref().0);
            }
        }
    }
}

/// Makes the close that follows a reset instead of a farewell.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Serves requests until one side ends it; true when the connection is to be reset.
async fn conversation<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, shared: &Shared) -> bool {
    let mut buffer = Vec::new();
    loop {
        let request = match wire::read_request(stream, &mut buffer).await {
            Ok(request) => request,
            Err(Unreadable::Gone) => return false,
            Err(Unreadable::Bad(status)) => {
                let _ = wire::write(stream, &Response::empty(status).bytes(false)).await;
                return false;
            }
        };
        let control = request.path().starts_with("/_sim");
        if !control && !shared.latency.is_zero() {
            tokio::time::sleep(shared.latency).await;
        }
        let outcome = if control {
            Outcome::Answer(shared.control(&request))
        } else {
            shared.answer(&request)
        };
        match outcome {
            Outcome::Answer(response) => {
                let sent = wire::write(stream, &response.bytes(request.keep_alive)).await;
                if sent.is_err() || !request.keep_alive {
                    return false;
                }
            }
            Outcome::Cut(response) => {
                let bytes = response.bytes(request.keep_alive);
                let kept = bytes.len() - response.body.len().div_ceil(2).max(1).min(bytes.len());
                let _ = wire::write(stream, bytes.get(..kept).unwrap_or(&bytes)).await;
                return false;
            }
            Outcome::Reset => return true,
            Outcome::Hang => {
                // Further bytes of the client are ignored; this side closes when the client does.
                let silence = async {
                    while matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                        buffer.clear();
                    }
                };
                let _ = tokio::time::timeout(HANG_LIMIT, silence).await;
                return false;
            }
        }
    }
}

impl Shared {
    fn control(&self, request: &Request) -> Response {
        let now = self.now();
        let mut state = self.state.lock();
        let State { world, faults, .. } = &mut *state;
        control::answer(world, faults, request, now)
    }

    fn answer(&self, request: &Request) -> Outcome {
        let now = self.now();
        let mut state = self.state.lock();
        let State {
            world,
            faults,
            spelling,
        } = &mut *state;
        world.stats.count(&request.method, request.path());
        let fault = faults.take(request);
        if let Some(response) = fault.as_ref().and_then(super::faults::Fault::stand_in) {
            return Outcome::Answer(response);
        }
        let kind = fault.map(|fault| fault.kind);
        match kind {
            Some(Kind::Close) => return Outcome::Reset,
            Some(Kind::Hang) => return Outcome::Hang,
            _ => {}
        }
        let handled = routes::answer(world, request, now);
        if handled
            .as_ref()
            .is_err_and(|refusal| refusal.status == http::StatusCode::UNAUTHORIZED)
        {
            world.stats.count_unauthorized(&request.method, request.path());
        }
        let style = self.style(spelling);
        drop(state);
        let (status, document, bytes, headers) = match handled {
            Ok(answer) => (answer.status, answer.document, answer.bytes, answer.headers),
            Err(refusal) => {
                let header = refusal
                    .header
                    .clone()
                    .map(|(name, value)| (name.to_owned(), value));
                (
                    refusal.status,
                    Some(refusal.document()),
                    None,
                    header.into_iter().collect(),
                )
            }
        };
        let mut response = match (document, bytes) {
            (None, None) => Response::empty(status),
            (None, Some((content_type, bytes))) => Response::with_body(status, content_type, bytes),
            (Some(document), _) => {
                Response::with_body(status, "application/xml; charset=utf-8", document.document(style))
            }
        };
        response.headers.extend(headers);
        let date = httpdate::fmt_http_date(now.into());
        response.headers.push(("Date".to_owned(), date));
        match kind {
            Some(Kind::Truncate) => Outcome::Cut(response),
            Some(Kind::ExecuteThenClose) => Outcome::Reset,
            _ => Outcome::Answer(response),
        }
    }

    fn style(&self, dice: &mut Dice) -> Style {
        if self.plain {
            return Style {
                prolog: true,
                indent: true,
                unknown_element: self.unknown_elements,
                ..Style::default()
            };
        }
        Style {
            bom: dice.below(3) == 0,
            prolog: dice.below(2) == 0,
            schema_prefixes: dice.below(2) == 0,
            rotate: usize::try_from(dice.below(4)).unwrap_or(0),
            references: dice.below(3) == 0,
            indent: dice.below(2) == 0,
            unknown_element: self.unknown_elements,
        }
    }
}
