//! What is known of a request from its first layer on: its id, its place in a trace, its arrival, and later its caller.

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::http::{Extensions, HeaderMap, HeaderValue};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::headers::{REQUEST_ID, TRACEPARENT};
use super::standing::{Standing, Standings};
use crate::app::console::ConsoleKey;
use crate::app::{Channel, OperationSlot};
use crate::clock::{Clock, uuid_v7};
use crate::domain::access::Caller;
use crate::telemetry::traces::Span;

/// One request's identity; clones share it.
#[derive(Debug, Clone)]
pub struct RequestContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Arc<str>,
    trace: Trace,
    /// Whether anybody but the gateway's log knows of the trace.
    continues: bool,
    started: Instant,
    client: Option<IpAddr>,
    caller: OnceLock<Arc<Caller>>,
    operation: OperationSlot,
    standings: Mutex<Standings>,
    position: OnceLock<HeaderValue>,
    console: OnceLock<ConsoleKey>,
}

impl RequestContext {
    /// Reads or makes the request's id and trace context.
    pub(super) fn new(headers: &HeaderMap, client: Option<IpAddr>, clock: &dyn Clock, span: &Span) -> Self {
        // One draw for all three: the id is made of a moment and the rest.
        let mut chance = [0; 34];
        clock.random(&mut chance);
        let (of_trace, of_id) = chance.split_at(24);
        let id = request_id(headers).map_or_else(
            || {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                let id = uuid_v7(clock.now(), of_id.first_chunk().copied().unwrap_or_default());
                Arc::from(&*id.hyphenated().encode_lower(&mut text))
            },
            Arc::from,
        );
        Self(Arc::new(Inner {
            id,
            trace: span.traceparent().map_or_else(
                || Trace::continued(headers, of_trace.first_chunk().copied().unwrap_or_default()),
                |traceparent| Trace::of(&traceparent),
            ),
            continues: span.is_some() || given(headers).is_some(),
            started: Instant::now(),
            client,
            caller: OnceLock::new(),
            operation: OperationSlot::default(),
            standings: Mutex::default(),
            position: OnceLock::new(),
            console: OnceLock::new(),
        }))
    }

    /// The context that the outermost layer left with the request.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The id in `x-request-id`, in problems and in the log.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.0.id
    }

    /// The trace it belongs to, 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.0.trace.id()
    }

    /// The span of this request, 16 hex digits.
    #[must_use]
    pub fn span_id(&self) -> &str {
        self.0.trace.span()
    }

    /// The `traceparent` that what comes of the request points to; none where neither the caller nor the gateway traces.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.0.continues.then(|| self.traceparent())
    }

    /// The `traceparent` that names this request as the parent of what follows.
    #[must_use]
    pub fn traceparent(&self) -> &str {
        self.0.trace.parent()
    }

    /// When it came, on the clock that deadlines are measured with.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The address that asks, behind trusted proxies.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        self.0.client
    }

    /// Where the operation is left that the request becomes.
    #[must_use]
    pub fn operation(&self) -> &OperationSlot {
        &self.0.operation
    }

    /// Remembers what is left of a limit, for the answer's headers.
    pub(super) fn add_standing(&self, standing: Standing) {
        self.0.standings.lock().add(standing);
    }

    /// What is left of the limits that the request counted in.
    pub(super) fn standings(&self) -> Standings {
        *self.0.standings.lock()
    }

    /// Remembers the position of the event log that the answer includes, for its header.
    pub(super) fn set_position(&self, position: HeaderValue) {
        let _ = self.0.position.set(position);
    }

    /// The position of the event log that the answer includes.
    pub(super) fn position(&self) -> Option<&HeaderValue> {
        self.0.position.get()
    }

    /// Remembers the session of the console that it came by.
    pub(super) fn set_console(&self, key: ConsoleKey) {
        let _ = self.0.console.set(key);
    }

    /// The session of the console that it came by.
    pub(super) fn console(&self) -> Option<&ConsoleKey> {
        self.0.console.get()
    }

    /// How it came.
    pub(super) fn channel(&self) -> Channel {
        match self.console() {
            Some(_) => Channel::Console,
            None => Channel::Token,
        }
    }

    /// Remembers who asked, for the log and the audit log.
    pub(super) fn set_caller(&self, caller: &Arc<Caller>) {
        let _ = self.0.caller.set(caller.clone());
    }

    /// The caller, once the token was verified.
    pub(super) fn verified(&self) -> Option<&Arc<Caller>> {
        self.0.caller.get()
    }

    /// Who asked, once the token was verified.
    pub(super) fn caller(&self) -> Option<&str> {
        self.0.caller.get()?.name.as_deref()
    }
}

/// The caller's id, if it is valid: up to 128 letters, digits, dots, hyphens and underscores.
fn request_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let sane = (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    sane.then_some(text)
}

/// W3C trace context, level 1: the `traceparent` that names this request, with version, trace, span and flags.
#[derive(Debug)]
struct Trace([u8; 55]);

impl Trace {
    /// Continues the caller's trace with a span of our own, or begins one; `chance` is what new ids are made of.
    fn continued(headers: &HeaderMap, chance: [u8; 24]) -> Self {
        let parent = given(headers).and_then(parse_traceparent);
        let (of_trace, of_span) = chance.split_at(16);
        // Never zero, which the standard forbids for both ids.
        let trace = u128::from_be_bytes(of_trace.try_into().unwrap_or_default()) | 1 << 127;
        let span = u64::from_be_bytes(of_span.try_into().unwrap_or_default()) | 1 << 63;
        let mut text = [b'0'; 55];
        // It fits: every part has its length.
        let _ = match parent {
            Some((trace, flags)) => write!(text.as_mut_slice(), "00-{trace}-{span:016x}-{flags:02x}"),
            None => write!(text.as_mut_slice(), "00-{trace:032x}-{span:016x}-00"),
        };
        Self(text)
    }

    /// The span that is recorded.
    fn of(traceparent: &str) -> Self {
        let mut text = [b'0'; 55];
        for (to, byte) in text.iter_mut().zip(traceparent.bytes()) {
            *to = byte;
        }
        Self(text)
    }

    fn span(&self) -> &str {
        self.parent().get(36..52).unwrap_or_default()
    }

    fn parent(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn id(&self) -> &str {
        self.parent().get(3..35).unwrap_or_default()
    }
}

/// The caller's `traceparent`, if there is one alone and it is valid.
pub(super) fn given(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let only = given.next()?.to_str().ok()?;
    (given.next().is_none() && parse_traceparent(only).is_some()).then_some(only)
}

/// Trace id and flags of a `traceparent`; versions above 00 may carry more, which is not ours to read.
fn parse_traceparent(text: &str) -> Option<(&str, u8)> {
    let hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let mut parts = text.split('-');
    let (version, trace_id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let sound = hex(version, 2)
        && version != "ff"
        && hex(trace_id, 32)
        && trace_id.bytes().any(|b| b != b'0')
        && hex(parent, 16)
        && parent.bytes().any(|b| b != b'0')
        && hex(flags, 2)
        && (version != "00" || parts.next().is_none());
    // Of the flags only `sampled` is known; the others must not be passed on.
    sound.then_some((trace_id, u8::from_str_radix(flags, 16).ok()? & 1))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clock::SystemClock;

    fn context(name: &'static str, value: &str) -> RequestContext {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header value"));
        RequestContext::new(&headers, None, &SystemClock, &Span::default())
    }

    #[test]
    fn a_sane_request_id_is_kept_and_any_other_replaced() {
        assert_eq!(&**context("x-request-id", "portal-7.A_b").id(), "portal-7.A_b");
        for insane in ["", "a b", "a/b", "ä", "a;b", &"x".repeat(129)] {
            assert!(
                Uuid::try_parse(context("x-request-id", insane).id()).is_ok(),
                "{insane}"
            );
        }
    }

    #[test]
    fn a_callers_trace_continues_with_a_new_span() {
        let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = context("traceparent", given);
        let sent = context.traceparent();
        assert!(
            sent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && sent.ends_with("-01"),
            "{sent}"
        );
        assert_ne!(sent, given);
        assert!(parse_traceparent(sent).is_some());
    }

    #[test]
    fn a_broken_trace_context_is_replaced_by_a_new_trace() {
        for broken in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            let sent = context("traceparent", broken);
            assert_ne!(
                sent.trace_id().to_lowercase(),
                "0af7651916cd43dd8448eb211c80319c",
                "{broken}"
            );
            assert!(parse_traceparent(sent.traceparent()).is_some());
        }
        assert!(parse_traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more").is_some());
    }
}
