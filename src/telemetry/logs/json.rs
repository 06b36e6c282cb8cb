//! A log line as one flat JSON object: `timestamp`, `level`, `target`, `message`, the event's fields, then the
//! fields of the spans around it, innermost first, so that a request's id is on every line of that request.
//!
//! The subscriber's own JSON nests span fields; flat is what log stores index without set-up.

use std::fmt;

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{JsonFields, Writer},
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// Span fields kept as JSON text; a type of its own, so that no other layer's text is mistaken for it.
#[derive(Default)]
pub(super) struct Fields(JsonFields);

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        let mut all = parsed(&current.fields);
        fields.record(&mut Collected(&mut all));
        current.fields = Value::Object(all).to_string();
        Ok(())
    }
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
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut fields = Map::new();
        event.record(&mut Collected(&mut fields));
        let message = fields.shift_remove("message").unwrap_or_default();

        let mut line = Map::new();
        line.insert("timestamp".to_owned(), timestamp.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        line.insert("message".to_owned(), message);
        let mut add = |more: Map<String, Value>| {
            for (name, value) in more {
                line.entry(name).or_insert(value);
            }
        };
        add(fields);
        for span in context
            .lookup_current()
            .iter()
            .flat_map(tracing_subscriber::registry::SpanRef::scope)
        {
            if let Some(fields) = span.extensions().get::<FormattedFields<Fields>>() {
                add(parsed(&fields.fields));
            }
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn parsed(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

/// Puts the fields it is shown into a map.
struct Collected<'a>(&'a mut Map<String, Value>);

impl Collected<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Collected<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, crate::telemetry::chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

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
