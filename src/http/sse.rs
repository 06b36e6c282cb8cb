//! Streams of events as Server-Sent Events (the HTML standard, section 9.2; docs/streams.md).
//!
//! A body is made of what is ready, piece by piece as the connection takes it: nothing is held for a reader but its place in
//! the log. An event's bytes are made once and shared by all streams.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::HttpState;
use super::context::RequestContext;
use super::extract::position_text;
use super::headers::ACCEL_BUFFERING;
use super::idle::ConnectionHandle;
use super::layers::NoCompression;
use super::problem::Problem;
use super::stream_slots::{Slot, StreamKind};
use crate::app::console::ConsoleKey;
use crate::app::streams::{Cut, Entry, EventStream, LogPosition, OpenStream, Step};
use crate::app::{App, OpContext};
use crate::clock::SharedClock;
use crate::telemetry::names;

/// How often a comment is sent, so that proxies and readers see that the connection lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often a stream of the console looks whether its session has ended.
const LOOK: Duration = Duration::from_secs(2);
/// The longest that a timer runs; a token may be valid for years.
const LONGEST_TIMER: Duration = Duration::from_hours(24);
/// A reader waits 2 s before it comes back; with this all of a gateway's readers do not come at once when it stops.
const RETRY: &str = "retry: 2000\n";
const STOPPING: &str = "retry: 1000\n\n";
const COMMENT: &str = ":\n\n";
const END: &str = "event: end\ndata: {}\n\n";
const UNAUTHORIZED: &str = "event: unauthorized\ndata: {}\n\n";

/// What is left of opening a stream once it is counted: the request's connection, and the stream's place in the count.
pub(super) struct Seat {
    connection: Option<ConnectionHandle>,
    slot: Slot,
    console: Option<ConsoleKey>,
}

impl Seat {
    /// What closes the stream's connection.
    pub(super) fn cut(&self) -> Cut {
        let connection = self.connection.clone();
        Box::new(move || {
            if let Some(connection) = &connection {
                connection.close();
            }
        })
    }

    /// The stream, of this kind, as the answer.
    pub(super) fn answer(
        mut self,
        state: &HttpState,
        context: &OpContext,
        kind: StreamKind,
        open: OpenStream,
    ) -> Response {
        self.slot.count_as(kind);
        let sending = Sending {
            first: Some(preamble(open.position, open.is_reset)),
            stream: open.stream,
            heartbeat: {
                let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
                heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
                heartbeat
            },
            expires_at: context.caller.expires_at,
            clock: state.clock().clone(),
            stopping: state.app().stopping(),
            login: (self.console).map(|key| Box::new(LoginWatch::new(state.app().clone(), key))),
            is_over: false,
            _slot: self.slot,
        };
        let body = Body::from_stream(stream::unfold(sending, Sending::next));
        let headers = [
            (CONTENT_TYPE, "text/event-stream"),
            (CACHE_CONTROL, "no-store, no-transform"),
            (ACCEL_BUFFERING, "no"),
        ];
        let mut response = (headers, body).into_response();
        response.extensions_mut().insert(NoCompression);
        response
    }
}

impl FromRequestParts<HttpState> for Seat {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        let context = OpContext::from_request_parts(parts, state).await?;
        Ok(Self {
            connection: parts.extensions.get().cloned(),
            slot: state.streams().take(&context.caller)?,
            console: RequestContext::of(&parts.extensions).and_then(|request| request.console().cloned()),
        })
    }
}

/// What every stream begins with. A reader that gave no place gets one, so that it can come back even before the first event.
fn preamble(position: Option<LogPosition>, is_reset: bool) -> Bytes {
    let mut text = RETRY.to_owned();
    if let Some(position) = position {
        text.push_str(&format!("id: {}\n", position_text(position)));
    }
    if is_reset {
        text.push_str("event: reset\ndata: {}\n");
    }
    text.push('\n');
    text.into()
}

fn frame(entry: &Entry) -> Bytes {
    entry.frame(|json| {
        let head = format!("id: {}\nevent: {}\ndata: ", entry.id(), entry.kind().as_str());
        [head.as_bytes(), json, b"\n\n"].concat().into()
    })
}

fn count_dropped(reason: &'static str) {
    metrics::counter!(names::STREAMS_DROPPED, "reason" => reason).increment(1);
}

/// A stream on its way to its reader.
struct Sending {
    first: Option<Bytes>,
    stream: EventStream,
    heartbeat: tokio::time::Interval,
    expires_at: Timestamp,
    clock: SharedClock,
    stopping: CancellationToken,
    login: Option<Box<LoginWatch>>,
    is_over: bool,
    _slot: Slot,
}

/// Looks again and again whether the session of the console that a stream was opened by has ended, here or on another replica.
struct LoginWatch {
    app: App,
    key: ConsoleKey,
    looks: tokio::time::Interval,
}

impl LoginWatch {
    fn new(app: App, key: ConsoleKey) -> Self {
        let mut looks = interval_at(Instant::now() + LOOK, LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { app, key, looks }
    }

    /// Resolves when a look is due; never without a session.
    async fn due(watch: Option<&mut Self>) {
        match watch {
            Some(watch) => drop(watch.looks.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Whether the session has ended. A store that does not answer says nothing.
    async fn has_ended(&self) -> bool {
        // Apart, since each stream has room for what it may wait for.
        matches!(Box::pin(self.app.console_token(&self.key)).await, Ok(None))
    }
}

impl Sending {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.is_over {
            return None;
        }
        if let Some(first) = self.first.take() {
            return Some((Ok(first), self));
        }
        let piece = loop {
            let valid = self.clock.now().duration_until(self.expires_at);
            let Ok(valid) = Duration::try_from(valid) else {
                self.is_over = true;
                count_dropped("expired");
                break UNAUTHORIZED.into();
            };
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => {
                    self.is_over = true;
                    count_dropped("stopping");
                    break STOPPING.into();
                }
                // Compared again with the clock, which may have been set.
                () = tokio::time::sleep(valid.min(LONGEST_TIMER)) => {}
                () = LoginWatch::due(self.login.as_deref_mut()) => {
                    if let Some(login) = &self.login
                        && login.has_ended().await
                    {
                        self.is_over = true;
                        count_dropped("loggedOut");
                        break UNAUTHORIZED.into();
                    }
                }
                _ = self.heartbeat.tick() => break COMMENT.into(),
                step = self.stream.next() => match step {
                    Ok(Step::Event(entry)) => break frame(&entry),
                    Ok(Step::End) => {
                        self.is_over = true;
                        break END.into();
                    }
                    // Counted where it was cut: a reader that takes nothing never comes here.
                    Ok(Step::Cut) => return None,
                    Err(error) => {
                        // The reader comes back with the id of its last event, here or to another replica.
                        tracing::debug!(
                            error = &error as &dyn std::error::Error,
                            "a stream ends because the event log cannot be read"
                        );
                        count_dropped("store");
                        return None;
                    }
                },
            }
        };
        Some((Ok(piece), self))
    }
}
