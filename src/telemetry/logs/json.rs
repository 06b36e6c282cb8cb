//! A log line as one flat JSON object: `timestamp`, `level`, `target`, `message`, the event's fields, then the
//! fields of the spans around it, innermost first, so that a request's id is on every line of that request. What is traced adds
//! `trace_id` and `span_id` of what is under way.
//!
//! The subscriber's own JSON nests span fields; flat is what log stores index without set-up. A line is written as it is
//! read, without a tree: every request leaves one.

use std::fmt;
use std::io::Write as _;

use serde::Serialize;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use crate::telemetry::traces;

/// Span fields kept as members of a JSON object, each followed by a line break, which no member contains; a type of its own, so
/// that no other layer's text is mistaken for it.
#[derive(Default)]
pub(super) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut written = Vec::new();
        Members::new(&mut written, "", "\n").record(|members| fields.record(members))?;
        writer.write_str(text(&written)?)
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        // The last value of a name counts.
        let mut written = Vec::new();
        Members::new(&mut written, "", "\n").record(|members| fields.record(members))?;
        let added = text(&written)?;
        let kept = members_of(&current.fields)
            .filter(|(name, _)| !members_of(added).any(|(other, _)| other == *name));
        let mut all = String::new();
        for (_, member) in kept {
            all.push_str(member);
            all.push('\n');
        }
        all.push_str(added);
        current.fields = all;
        Ok(())
    }
}

/// The members of a text of [`Fields`], with their names.
fn members_of(fields: &str) -> impl Iterator<Item = (&str, &str)> {
    fields.lines().filter_map(|member| {
        let (name, _) = member.strip_prefix('"')?.split_once('"')?;
        Some((name, member))
    })
}

/// One object per line.
pub(super) struct Flat;

impl<S> FormatEvent<S, Fields> for Flat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Fields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        let metadata = event.metadata();
        let mut line = Vec::with_capacity(LINE);
        line.extend_from_slice(b"\",\"level\":\"");
        line.extend_from_slice(metadata.level().as_str().as_bytes());
        line.extend_from_slice(b"\",\"target\":");
        string(&mut line, metadata.target())?;
        line.extend_from_slice(b",\"message\":");
        let mut message = Message {
            line: &mut line,
            found: None,
        };
        event.record(&mut message);
        match message.found {
            Some(written) => written?,
            None => line.extend_from_slice(b"null"),
        }
        let mut members = Members::new(&mut line, ",", "");
        members.names.extend(["timestamp", "level", "target", "message"]);
        let mut names = members.record(|members| event.record(members))?;
        if let Some((trace, span)) = traces::ids() {
            for (name, id) in [("trace_id", trace.to_string()), ("span_id", span.to_string())] {
                if !names.contains(&name) {
                    names.push(name);
                    member(&mut line, ",", name, |line| string(line, &id))?;
                }
            }
        }
        for span in context
            .lookup_current()
            .iter()
            .flat_map(tracing_subscriber::registry::SpanRef::scope)
        {
            let extensions = span.extensions();
            let Some(fields) = extensions.get::<FormattedFields<Fields>>() else {
                continue;
            };
            // Names are the program's own, so that they outlive the line.
            let own = span.metadata().fields();
            for (name, member) in members_of(&fields.fields) {
                let Some(name) = own.iter().map(|field| field.name()).find(|own| *own == name) else {
                    continue;
                };
                if !names.contains(&name) {
                    names.push(name);
                    line.push(b',');
                    line.extend_from_slice(member.as_bytes());
                }
            }
        }
        line.extend_from_slice(b"}\n");
        writer.write_str(text(&line)?)
    }
}

/// Bytes that a line of a request fits in.
const LINE: usize = 768;

/// What was written, as text: it is put together as bytes, which costs a check in all and not one for each piece.
fn text(written: &[u8]) -> Result<&str, fmt::Error> {
    std::str::from_utf8(written).map_err(|_| fmt::Error)
}

/// Writes a value as JSON.
fn value(line: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> fmt::Result {
    serde_json::to_writer(line, value).map_err(|_| fmt::Error)
}

/// Writes a text as JSON. Nearly all have nothing to escape, which costs less to see than to escape them byte by byte.
fn string(line: &mut Vec<u8>, text: &str) -> fmt::Result {
    if !is_plain(text.as_bytes()) {
        return value(line, text);
    }
    line.push(b'"');
    line.extend_from_slice(text.as_bytes());
    line.push(b'"');
    Ok(())
}

/// Writes what `Debug` shows, as a JSON string.
fn shown(line: &mut Vec<u8>, value: &dyn fmt::Debug) -> fmt::Result {
    line.push(b'"');
    let start = line.len();
    write!(line, "{value:?}").map_err(|_| fmt::Error)?;
    if line.get(start..).is_some_and(is_plain) {
        line.push(b'"');
        return Ok(());
    }
    let written = line.split_off(start);
    line.pop();
    string(line, text(&written)?)
}

/// Whether JSON has it as it is.
fn is_plain(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| *byte >= b' ' && *byte != b'"' && *byte != b'\\')
}

/// Writes a member of an object.
fn member(
    line: &mut Vec<u8>,
    before: &str,
    name: &str,
    write: impl FnOnce(&mut Vec<u8>) -> fmt::Result,
) -> fmt::Result {
    for piece in [before, "\"", name, "\":"] {
        line.extend_from_slice(piece.as_bytes());
    }
    write(line)
}

/// Writes the fields it is shown as members, each name once.
struct Members<'l> {
    line: &'l mut Vec<u8>,
    before: &'static str,
    after: &'static str,
    names: Vec<&'static str>,
    result: fmt::Result,
}

impl<'l> Members<'l> {
    fn new(line: &'l mut Vec<u8>, before: &'static str, after: &'static str) -> Self {
        Self {
            line,
            before,
            after,
            names: Vec::with_capacity(16),
            result: Ok(()),
        }
    }

    /// The names of what `show` showed.
    fn record(mut self, show: impl FnOnce(&mut Self)) -> Result<Vec<&'static str>, fmt::Error> {
        show(&mut self);
        self.result.map(|()| self.names)
    }

    fn put(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>) -> fmt::Result) {
        let name = field.name();
        if self.result.is_err() || self.names.contains(&name) {
            return;
        }
        self.names.push(name);
        self.result = member(self.line, self.before, name, write);
        self.line.extend_from_slice(self.after.as_bytes());
    }
}

/// Writes the message alone.
struct Message<'l> {
    line: &'l mut Vec<u8>,
    found: Option<fmt::Result>,
}

impl Message<'_> {
    fn put(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>) -> fmt::Result) {
        if field.name() == "message" {
            self.found = Some(write(self.line));
        }
    }
}

/// A value of a field as JSON has it; both visitors show them alike.
macro_rules! shows_values {
    ($visitor:ty) => {
        impl Visit for $visitor {
            fn record_f64(&mut self, field: &Field, number: f64) {
                self.put(field, |line| value(line, &number));
            }

            fn record_i64(&mut self, field: &Field, number: i64) {
                self.put(field, |line| value(line, &number));
            }

            fn record_u64(&mut self, field: &Field, number: u64) {
                self.put(field, |line| value(line, &number));
            }

            fn record_bool(&mut self, field: &Field, flag: bool) {
                self.put(field, |line| value(line, &flag));
            }

            fn record_str(&mut self, field: &Field, text: &str) {
                self.put(field, |line| string(line, text));
            }

            fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
                self.put(field, |line| string(line, &crate::telemetry::chain(error)));
            }

            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                self.put(field, |line| shown(line, value));
            }
        }
    };
}

shows_values!(Members<'_>);
shows_values!(Message<'_>);

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use std::sync::Arc;

    use serde_json::{Map, Value};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::{shown, string};

    #[test]
    fn every_text_is_written_as_serde_writes_it() {
        for letter in (0..=0x100).filter_map(char::from_u32).chain(['\u{2028}', '🏔']) {
            for text in [
                format!("{letter}"),
                format!("before{letter}"),
                format!("{letter}after"),
            ] {
                let expected = serde_json::to_string(&text).expect("a text");
                let (mut given, mut debugged) = (b"x".to_vec(), b"x".to_vec());
                string(&mut given, &text).expect("written");
                shown(&mut debugged, &format_args!("{text}")).expect("written");
                assert_eq!(String::from_utf8(given), Ok(format!("x{expected}")));
                assert_eq!(String::from_utf8(debugged), Ok(format!("x{expected}")));
            }
        }
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_flat_object_with_the_fields_of_its_spans() {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = super::super::layer(move || writer.clone(), false);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("request", request_id = "r-1", status = tracing::field::Empty);
            outer.record("status", 202);
            let _outer = outer.enter();
            let _inner = tracing::info_span!("inner", request_id = "r-2").entered();
            tracing::info!(listen = "127.0.0.1:1", attempts = 3, "two\nlines");
        });
        let written = String::from_utf8(sink.0.lock().clone()).unwrap();
        assert_eq!(written.matches('\n').count(), 1, "{written}");
        let line: Map<String, Value> = serde_json::from_str(&written).unwrap();
        let names: Vec<&str> = line.keys().map(String::as_str).collect();
        let expected = [
            "timestamp",
            "level",
            "target",
            "message",
            "listen",
            "attempts",
            "request_id",
            "status",
        ];
        assert_eq!(names, expected);
        assert_eq!(line["message"], "two\nlines");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["attempts"], 3);
        assert_eq!(line["request_id"], "r-2", "the innermost counts");
        assert_eq!(line["status"], 202);
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
