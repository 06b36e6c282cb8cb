//! What operators see: log lines, metrics and their names, traces, and how a URL is shown without its secrets.
//!
//! Logs go to stderr, readable on a terminal and flat JSON otherwise; stdout stays free for output. Every metric
//! that the program writes is in [`METRICS`], with its labels. What all rooms share of logging is here: an error with its
//! causes ([`chain`]) and how often a lasting fault is logged ([`Throttle`]). Nothing here may carry a token, a body, a
//! password or the id of a logon session.

mod endings;
mod logs;
mod metrics;
mod plans;
mod throttle;
pub mod traces;
pub mod x509;

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};
use url::Url;

pub use self::endings::{Ending, operation_ended};
pub use self::logs::BadFilter;
pub use self::metrics::{Kind, METRICS, Metric, count_unknown, names, upkeep};
pub use self::plans::{MOST_PLANS, PlanFigures, show_plans};
pub use self::throttle::Throttle;

/// Starts what watches the program, a layer each: logs to stderr, by now. `filter` is the content of `EMGATE_LOG`,
/// `default` counts when that is absent or empty. Called a second time in one process it changes nothing. What it returns is to
/// be kept until the end of the program.
///
/// # Errors
/// [`BadFilter`] when the filter cannot be read.
pub fn init(filter: Option<&str>, default: &str) -> Result<Logs, BadFilter> {
    let filter = logs::filter(filter, default)?;
    let queue = logs::Queue::written_to(std::io::stderr());
    let writers = logs::Writers(queue.clone());
    let is_first = tracing_subscriber::registry()
        .with(filter)
        .with(logs::layer(writers, std::io::stderr().is_terminal()))
        .try_init()
        .is_ok();
    if is_first {
        let _ = QUEUE.set(queue.clone());
        std::panic::set_hook(Box::new(logs::log_panic));
    }
    Ok(Logs(queue))
}

/// The logs of a program that runs; the lines that still wait are written when it is dropped.
#[must_use = "what still waits is written when it is dropped"]
pub struct Logs(logs::Queue);

impl Drop for Logs {
    fn drop(&mut self) {
        self.0.finish();
    }
}

static QUEUE: OnceLock<logs::Queue> = OnceLock::new();

/// How many lines were dropped, because they came faster than the log was read.
#[must_use]
pub fn dropped_lines() -> u64 {
    QUEUE.get().map_or(0, logs::Queue::dropped)
}

/// All metrics in Prometheus' text format. The first call, or [`upkeep`], starts the recording.
#[must_use]
pub fn render() -> String {
    let mut scrape = metrics::recorded();
    plans::render(&mut scrape);
    scrape
}

/// A URL as a log line may show it: no user, no password, and of the query the names alone.
#[must_use]
pub fn shown_url(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for URLs that cannot have a user, which then have none to hide.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    if url.query().is_some() {
        let names: Vec<String> = url.query_pairs().map(|(name, _)| format!("{name}=…")).collect();
        shown.set_query(None);
        return format!("{shown}?{}", names.join("&"));
    }
    shown.into()
}

/// An error with its causes in one line; an error's own text does not repeat its source.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let texts: Vec<String> = std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect();
    texts.join(": ")
}

/// Scheme, host and port of a URL: all that may be shown of one that is itself a credential.
#[must_use]
pub fn shown_origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_credentials() {
        let url = Url::parse("https://user:word@hooks.example:8443/a/b?token=abc&x=1#frag").unwrap();
        assert_eq!(shown_url(&url), "https://hooks.example:8443/a/b?token=…&x=…");
        assert_eq!(shown_origin(&url), "https://hooks.example:8443");
        let plain = Url::parse("https://hooks.example/a").unwrap();
        assert_eq!(shown_url(&plain), "https://hooks.example/a");
    }

    #[test]
    fn a_chain_names_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("the outer one")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("the inner one"));
        assert_eq!(chain(&error), "the outer one: the inner one");
    }
}
