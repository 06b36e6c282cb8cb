//! Traces: spans of what the gateway does, for a collector that speaks OTLP (docs/operations.md#traces).
//!
//! Without a collector nothing is recorded, and a span costs a look at a flag. Traces begin with requests, looks at Enterprise
//! Manager, deliveries and scheduled tests; everything else is a part of what is under way, or no span at all. Names and
//! attributes are the program's own and the catalogue's: no body, token, address or name of a plan is in them.

mod export;

use std::borrow::Cow;
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use futures_util::future::Either;
use opentelemetry::context::{FutureExt as _, WithContext};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

pub use self::export::{Traces, start};

/// Where spans go; nothing while traces are off.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// The most links of one span.
const MOST_LINKS: usize = 100;

/// Whose part in a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It answers somebody.
    Server,
    /// It waits for somebody's answer.
    Client,
    /// Neither.
    Internal,
}

/// Something under way; it ends when it is dropped. Nothing while traces are off.
#[derive(Debug, Default)]
#[must_use = "it ends when it is dropped"]
pub struct Span(Option<Context>);

impl Span {
    /// A trace of its own, or the continuation of the one that `parent`, a `traceparent`, names.
    /// `name` is asked for only then, and says nothing that differs from one call to the next.
    pub fn root<N: Into<Cow<'static, str>>>(
        kind: Kind,
        parent: Option<&str>,
        name: impl FnOnce() -> N,
    ) -> Self {
        let Some(tracer) = TRACER.get() else {
            return Self(None);
        };
        let parent = parent.and_then(context_of);
        let around = parent.map_or_else(Context::new, |parent| {
            Context::new().with_remote_span_context(parent)
        });
        Self(Some(begin(tracer, name().into(), kind, &around)))
    }

    /// A part of what is under way here; nothing where nothing is.
    pub fn child<N: Into<Cow<'static, str>>>(kind: Kind, name: impl FnOnce() -> N) -> Self {
        let Some(tracer) = TRACER.get() else {
            return Self(None);
        };
        Self(Context::map_current(|around| {
            around
                .has_active_span()
                .then(|| begin(tracer, name().into(), kind, around))
        }))
    }

    /// Whether there is one at all: not while traces are off.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Whether anything is recorded, for what would be costly to find out.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.0.as_ref().is_some_and(|own| own.span().is_recording())
    }

    /// Notes an attribute.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(own) = &self.0 {
            own.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Notes that it failed, by a word of the program.
    pub fn failed(&self, why: impl Into<Cow<'static, str>>) {
        if let Some(own) = &self.0 {
            let why = why.into();
            own.span().set_attribute(KeyValue::new("error.type", why.clone()));
            own.span().set_status(Status::error(why));
        }
    }

    /// Points to the spans that these `traceparent`s name, a hundred at the most.
    pub fn link<'t>(&self, to: impl IntoIterator<Item = &'t str>) {
        if let Some(own) = &self.0 {
            add_links(own, to);
        }
    }

    /// The `traceparent` that names it.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        self.0.as_ref().map(|own| written(own.span().span_context()))
    }

    /// The work, as a part of which everything in it counts.
    pub fn around<F: Future>(&self, work: F) -> Carried<F> {
        match &self.0 {
            Some(own) => Either::Right(work.with_context(own.clone())),
            None => Either::Left(work),
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // What was spawned in it may hold it for longer.
        if let Some(own) = &self.0 {
            own.span().end();
        }
    }
}

/// Work that may be a part of a span.
pub type Carried<F> = Either<F, WithContext<F>>;

/// The work, as a part of what is under way here, wherever it runs.
pub fn carried<F: Future>(work: F) -> Carried<F> {
    match current() {
        Some(around) => Either::Right(work.with_context(around)),
        None => Either::Left(work),
    }
}

/// Points what is under way here to the spans that these `traceparent`s name, a hundred at the most.
pub fn link<'t>(to: impl IntoIterator<Item = &'t str>) {
    if let Some(around) = current() {
        add_links(&around, to);
    }
}

/// Notes phases that followed one another and ended now, as events at their ends of what is under way here, each with how long it
/// took.
#[expect(
    clippy::disallowed_methods,
    reason = "events have the wall clock of their spans, which is the library's"
)]
pub fn phases(phases: impl IntoIterator<Item = (&'static str, Option<Duration>)>, total: Duration) {
    let Some(around) = current() else {
        return;
    };
    let now = SystemTime::now();
    let mut at = now.checked_sub(total).unwrap_or(now);
    for (phase, took) in phases {
        let Some(took) = took else { continue };
        at += took;
        let millis = KeyValue::new("emgate.duration_ms", took.as_secs_f64() * 1000.0);
        let at = at.min(now);
        around.span().add_event_with_timestamp(phase, at, vec![millis]);
    }
}

/// The `traceparent` of what is under way here, for whoever is asked next.
#[must_use]
pub fn traceparent() -> Option<String> {
    current().map(|around| written(around.span().span_context()))
}

/// Trace and span of what is under way here, for the log.
pub(super) fn ids() -> Option<(TraceId, SpanId)> {
    let around = current()?;
    let span = around.span();
    let context = span.span_context();
    Some((context.trace_id(), context.span_id()))
}

fn add_links<'t>(to: &Context, spans: impl IntoIterator<Item = &'t str>) {
    for linked in spans.into_iter().filter_map(context_of).take(MOST_LINKS) {
        to.span().add_link(linked, Vec::new());
    }
}

fn current() -> Option<Context> {
    TRACER.get()?;
    Context::map_current(|around| around.has_active_span().then(|| around.clone()))
}

fn begin(tracer: &SdkTracer, name: Cow<'static, str>, kind: Kind, around: &Context) -> Context {
    let kind = match kind {
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Internal => SpanKind::Internal,
    };
    let builder = tracer.span_builder(name).with_kind(kind);
    around.with_span(tracer.build_with_context(builder, around))
}

fn written(context: &SpanContext) -> String {
    format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        u8::from(context.is_sampled())
    )
}

fn context_of(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1),
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_and_written_alike() {
        let context = context_of(GIVEN).expect("valid");
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(written(&context), GIVEN);
        for broken in [
            "",
            "00-0-0-00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        ] {
            assert!(context_of(broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn without_a_collector_there_are_no_spans() {
        let span = Span::root(Kind::Server, Some(GIVEN), || "request");
        assert_eq!((span.traceparent(), span.is_recording()), (None, false));
        assert!(traceparent().is_none() && ids().is_none());
    }
}
