//! How log lines leave the process: which are kept, and in which of two forms.
//!
//! A terminal gets lines to read, all else one flat JSON object a line (`telemetry/logs/json.rs`).

mod json;
mod writer;

pub(super) use writer::{Queue, Writers};

use tracing::Subscriber;
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{self, MakeWriter},
    registry::LookupSpan,
};

/// A log filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("EMGATE_LOG is not a filter such as \"info\" or \"emgate=debug,info\"")]
pub struct BadFilter(#[source] tracing_subscriber::filter::ParseError);

/// The filter that `text` describes; `default` counts when it is absent or empty.
///
/// # Errors
/// [`BadFilter`] when it cannot be read.
pub(super) fn filter(text: Option<&str>, default: &str) -> Result<Targets, BadFilter> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.unwrap_or(default).parse().map_err(BadFilter)
}

/// Writes events with the fields of their spans, as lines to read or as JSON.
pub(super) fn layer<S, W>(writer: W, for_reading: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // An event that cannot be written, on a full disk for example, would be reported where writing failed, and end the
    // process.
    let layer = fmt::layer().log_internal_errors(false).with_writer(writer);
    if for_reading {
        layer.compact().boxed()
    } else {
        layer
            .with_ansi(false)
            .fmt_fields(json::Fields)
            .event_format(json::Flat)
            .boxed()
    }
}

/// A panic is a log line like any other, so that it reaches whoever reads the others.
pub(super) fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let words = panic.payload_as_str().unwrap_or("no message");
    tracing::error!(place, "a part of the program panicked: {words}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        assert!(filter(Some("emgate=loud"), "info").is_err());
    }

    #[test]
    fn a_log_filter_has_levels_for_targets_and_one_for_all_others() {
        let filter = filter(Some("emgate=debug,info"), "warn").expect("a filter");
        let is_kept = |target, level| filter.would_enable(target, &level);
        assert!(is_kept("emgate::store", tracing::Level::DEBUG));
        assert!(!is_kept("hyper", tracing::Level::DEBUG));
        assert!(is_kept("hyper", tracing::Level::INFO));
    }

    #[test]
    fn an_empty_log_filter_means_the_default() {
        assert_eq!(filter(Some("  "), "warn").unwrap().to_string(), "warn");
        assert_eq!(filter(Some("debug"), "warn").unwrap().to_string(), "debug");
    }
}
