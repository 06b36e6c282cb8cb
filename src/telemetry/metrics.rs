//! The metrics: one table with name, kind, labels and meaning, and the recorder behind `/metrics`.
//!
//! Call sites use the `metrics` macros with a name from [`names`]. Labels come from closed sets; the one exception,
//! names that EM sent and the catalogue does not know, is capped.

use std::{collections::HashSet, sync::LazyLock};

use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use parking_lot::Mutex;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    /// The labels' names, for whoever writes a dashboard.
    pub labels: &'static [&'static str],
    /// The meaning, with its unit.
    pub help: &'static str,
}

macro_rules! metrics_table {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal)*] $help:literal;)*) => {
        /// The names as constants: a typing error does not compile.
        pub mod names {
            $(#[doc = $help] pub const $constant: &str = $name;)*
        }

        /// Every metric of the program.
        pub const METRICS: &[Metric] = &[
            $(Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help },)*
        ];
    };
}

metrics_table! {
    BUILD_INFO = Gauge "emgate_build_info" ["version"] "Always 1; the label has the version.";
    CONFIG_INFO = Gauge "emgate_config_info" ["store" "tls" "policies"] "Always 1; the labels have what the configuration chose.";
    CERTIFICATE_EXPIRY = Gauge "emgate_certificate_expiry_timestamp_seconds" ["which"] "Until when the certificate is valid that is served (`server`) or that EM presents (`upstream`), in seconds since 1970.";
    STORE_UP = Gauge "emgate_store_up" [] "1 while the store answers and takes writes, else 0.";
    REPLICAS = Gauge "emgate_replicas" [] "Replicas that work on the store, this one included.";
    LEASE_HELD = Gauge "emgate_lease_held" ["lease"] "1 while this replica does what one replica does for all, else 0.";

    AUTH_VERIFICATIONS = Counter "emgate_auth_verifications_total" ["outcome"] "Tokens that were verified, known from before, or refused.";
    KEYS_AGE = Gauge "emgate_jwks_age_seconds" ["issuer"] "Time since the keys of an issuer were fetched, in seconds.";

    HTTP_REQUESTS = Counter "emgate_http_requests_total" ["method" "route" "status"] "Requests answered, by route pattern.";
    HTTP_SECONDS = Histogram "emgate_http_request_duration_seconds" ["method" "route"] "Time from request to answer, in seconds.";
    HTTP_IN_FLIGHT = Gauge "emgate_http_requests_in_flight" [] "Requests in flight.";
    HTTP_PROBLEMS = Counter "emgate_http_problems_total" ["code"] "Problem answers, by code.";

    HTTP_REMEMBERED = Counter "emgate_http_answers_remembered_total" ["outcome"] "Answers that may be remembered: given from memory, or made.";
    HTTP_REMEMBERED_BYTES = Gauge "emgate_http_answers_remembered_bytes" [] "Memory of the answers that are remembered, in bytes.";

    LOG_DROPPED = Counter "emgate_log_lines_dropped_total" [] "Log lines that were dropped, because they came faster than the log was read; those of requests first.";

    UPSTREAM_REQUESTS = Counter "emgate_upstream_requests_total" ["account" "method" "outcome"] "Requests to EM; the outcome is a status or the kind of failure.";
    UPSTREAM_SECONDS = Histogram "emgate_upstream_request_duration_seconds" ["method"] "Time from a request to the end of EM's answer, in seconds.";
    UPSTREAM_SHARED = Counter "emgate_upstream_shared_total" ["by"] "Reads answered without a request to EM, by coalescing or by the cache.";
    UPSTREAM_REMEMBERED_BYTES = Gauge "emgate_upstream_answers_remembered_bytes" [] "Memory of the answers of EM that are remembered, in bytes.";
    UPSTREAM_DOCUMENTS = Counter "emgate_upstream_documents_total" ["outcome"] "Documents of EM: known, since the same bytes came before, or decoded.";
    UPSTREAM_DOCUMENTS_BYTES = Gauge "emgate_upstream_documents_known_bytes" [] "Memory of the documents of EM that are known, in bytes.";
    UPSTREAM_LOGONS = Counter "emgate_upstream_logons_total" ["account" "outcome"] "Attempts to log on to EM.";
    UPSTREAM_LOGOFFS = Counter "emgate_upstream_logoffs_total" ["account" "outcome"] "Attempts to log off from EM.";
    UPSTREAM_SESSIONS = Gauge "emgate_upstream_logon_sessions" ["account"] "Logon sessions held at EM.";
    UPSTREAM_SESSIONS_LIMIT = Gauge "emgate_upstream_logon_sessions_limit" ["account"] "Logon sessions that this replica may hold at EM.";
    UPSTREAM_WAITING = Gauge "emgate_upstream_requests_waiting" ["account"] "Requests that wait for a logon session.";
    UPSTREAM_REFUSED = Gauge "emgate_upstream_logon_refused" [] "1 while EM refuses the credentials of an account, else 0.";
    UPSTREAM_SKEW = Gauge "emgate_upstream_clock_skew_seconds" [] "How far the clock of EM is ahead of this machine's, in seconds; negative when it is behind.";
    UPSTREAM_AVAILABLE = Gauge "emgate_upstream_available" [] "1 while EM answers, else 0.";

    TRANSCODE_UNKNOWN = Counter "emgate_transcode_unknown_total" ["type" "name"] "Elements and attributes that the catalogue does not know, counted when a document of EM is decoded; one that comes again as the same bytes is not counted again.";
    DAMAGED_RECORDS = Counter "emgate_upstream_damaged_records_total" ["type"] "Records of EM that were found damaged, each counted once while it stays damaged.";
    DAMAGED_NOW = Gauge "emgate_upstream_damaged_records" ["type"] "Records of EM that are damaged now.";
    TRANSCODE_UNPARSED = Counter "emgate_transcode_unparsed_total" ["type" "name"] "Values that did not parse as their type and stayed text, counted when a document of EM is decoded; one that comes again as the same bytes is not counted again.";

    OBSERVATIONS = Counter "emgate_observations_total" ["outcome"] "Observations of the failover sessions at EM.";
    OBSERVATION_DURATION = Histogram "emgate_watch_look_duration_seconds" [] "Duration of one observation, in seconds.";
    OBSERVATION_LAST = Gauge "emgate_watch_last_complete_timestamp_seconds" [] "Time of the last complete observation, in seconds since 1970.";
    SESSIONS_ACTIVE = Gauge "emgate_failover_sessions_active" [] "Failover sessions that have not stopped.";

    OPERATIONS_STARTED = Counter "emgate_operations_started_total" ["action"] "Operations accepted.";
    OPERATIONS_ENDED = Counter "emgate_operations_ended_total" ["action" "result"] "Operations ended; the result is unknown where no evidence was found.";
    OPERATIONS_OPEN = Gauge "emgate_operations_open" ["state"] "Operations whose end is awaited.";
    APPROVALS_PENDING = Gauge "emgate_approvals_pending" [] "Operations that wait for approval.";
    STREAMS = Gauge "emgate_streams_open" ["kind"] "Streams of events that are open.";
    STREAMS_DROPPED = Counter "emgate_streams_dropped_total" ["reason"] "Streams that the gateway ended before their reader did: a slow reader, a token that expired, a stop.";
    TICKETS = Counter "emgate_tickets_total" ["for" "outcome"] "Tickets issued, used and refused, for streams and for operations.";
    EVENTS = Counter "emgate_events_total" ["type"] "Events written to the log.";

    PLAN_LAST_TEST = Gauge "emgate_plan_last_test_timestamp_seconds" ["plan_id" "plan" "tenant"] "When the last test of a plan began, in seconds since 1970; 0 when it was never tested.";
    PLAN_RECOVERY_TIME = Gauge "emgate_plan_recovery_time_seconds" ["plan_id" "plan" "tenant"] "Recovery time of the last test of a plan, in seconds.";
    PLAN_DATA_LOSS = Gauge "emgate_plan_data_loss_seconds" ["plan_id" "plan" "tenant"] "Data loss of the last test of a plan, in seconds.";
    PLAN_OBJECTIVE = Gauge "emgate_plan_objective_seconds" ["plan_id" "plan" "tenant" "objective"] "What is wanted of a plan, in seconds: its recovery time, its data loss, the interval of its tests.";

    ENDPOINTS = Gauge "emgate_webhook_endpoints" ["health"] "Webhook endpoints by health; disabled ones apart.";
    WEBHOOK_ATTEMPTS = Counter "emgate_webhook_attempts_total" ["outcome"] "Attempts to deliver; the outcome is delivered or the kind of failure.";
    WEBHOOK_SECONDS = Histogram "emgate_webhook_attempt_duration_seconds" [] "Time of one attempt, in seconds.";
    WEBHOOK_PHASE = Histogram "emgate_webhook_phase_duration_seconds" ["phase"] "Time of each phase of an attempt (dns, connect, tls, firstByte), in seconds.";
    WEBHOOK_LAG = Histogram "emgate_webhook_lag_seconds" [] "Time from an event to its successful delivery, in seconds.";
    WEBHOOK_ENDED = Counter "emgate_webhook_deliveries_total" ["state"] "Deliveries that ended, by state.";
    WEBHOOK_FENCED = Counter "emgate_webhook_fenced_total" [] "Outcomes of attempts that were not written because the delivery had another owner by then.";
    WEBHOOK_FLYING = Gauge "emgate_webhook_deliveries_in_flight" [] "Attempts in flight.";
    WEBHOOK_OLDEST = Gauge "emgate_webhook_oldest_due_seconds" [] "Time since the longest overdue delivery was due, in seconds.";
    WEBHOOK_CERTIFICATES = Gauge "emgate_webhook_certificates_expiring" [] "Enabled endpoints whose receiver's certificate has expired or will within 14 days.";
    WEBHOOK_SKEWED = Gauge "emgate_webhook_clocks_skewed" [] "Enabled endpoints whose receiver's clock differs from this one by more than 60 seconds.";
    WEBHOOK_SKEW = Gauge "emgate_webhook_clock_skew_seconds" [] "The largest difference between a receiver's clock and this one, in seconds.";
    WEBHOOK_WAITING = Gauge "emgate_webhook_deliveries_waiting" [] "Deliveries that are due or wait for their next attempt.";

    STORE_SECONDS = Histogram "emgate_store_transaction_duration_seconds" [] "Time of one writing transaction, in seconds.";
    STORE_UNREADABLE = Counter "emgate_store_unreadable_rows_total" ["table"] "Rows of the store that were found unreadable, each counted once; they are skipped.";
    WORKER_TURNS = Counter "emgate_worker_turns_total" ["worker" "outcome"] "Activations of background workers.";
}

/// Fine enough to tell 5 from 10 ms, wide enough for a webhook that took days.
const BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0,
];

/// Most pairs of type and name that get labels of their own.
const MOST_UNKNOWN: usize = 200;

static RECORDER: LazyLock<Option<PrometheusHandle>> = LazyLock::new(install);

/// The recorder is one per process. `None` means that another one is in place, and `/metrics` is then empty.
fn install() -> Option<PrometheusHandle> {
    let lag = Matcher::Suffix("_seconds".to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(lag, BUCKETS)
        .ok()?;
    let handle = builder.install_recorder().ok()?;
    for metric in METRICS {
        let unit = if metric.name.ends_with("_seconds") {
            Unit::Seconds
        } else {
            Unit::Count
        };
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, unit, metric.help),
        }
    }
    metrics::gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    PROCESS.describe();
    Some(handle)
}

/// `process_*`: memory, processor time, open files, start, as the conventions of Prometheus name them.
static PROCESS: LazyLock<Collector> = LazyLock::new(Collector::default);

/// What was recorded, in Prometheus' text format. The first call, or [`upkeep`], starts the recording.
#[must_use]
pub(super) fn recorded() -> String {
    let Some(handle) = RECORDER.as_ref() else {
        return String::new();
    };
    PROCESS.collect();
    handle.render()
}

/// Folds what histograms collected into their buckets; to be called every few seconds, since otherwise they grow
/// until the next scrape.
pub fn upkeep() {
    if let Some(handle) = RECORDER.as_ref() {
        handle.run_upkeep();
    }
}

/// Counts something EM sent that we do not understand: `metric` is [`names::TRANSCODE_UNKNOWN`] or
/// [`names::TRANSCODE_UNPARSED`]. The first 200 pairs get labels of their own, all others share `other`: the names
/// come from outside, and labels are memory.
pub fn count_unknown(metric: &'static str, type_name: &str, name: &str) {
    static SEEN: LazyLock<Mutex<HashSet<(String, String)>>> = LazyLock::new(Mutex::default);
    let pair = (type_name.to_owned(), name.to_owned());
    let known = {
        let mut seen = SEEN.lock();
        seen.contains(&pair) || (seen.len() < MOST_UNKNOWN && name.len() <= 100 && seen.insert(pair.clone()))
    };
    let (type_name, name) = if known {
        pair
    } else {
        ("other".to_owned(), "other".to_owned())
    };
    metrics::counter!(metric, "type" => type_name, "name" => name).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_follow_prometheus_conventions() {
        let mut seen = HashSet::new();
        for metric in METRICS {
            assert!(
                seen.insert(metric.name),
                "{} is given more than once",
                metric.name
            );
            assert!(metric.name.starts_with("emgate_"), "{}", metric.name);
            assert_eq!(
                metric.kind == Kind::Counter,
                metric.name.ends_with("_total"),
                "{}",
                metric.name
            );
            assert!(
                metric.kind != Kind::Histogram || metric.name.ends_with("_seconds"),
                "{}",
                metric.name
            );
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    #[test]
    fn what_is_counted_is_rendered_with_its_help() {
        upkeep();
        metrics::histogram!(names::OBSERVATION_DURATION).record(0.003);
        for n in 0..2 * MOST_UNKNOWN {
            count_unknown(names::TRANSCODE_UNKNOWN, "Job", &format!("Field{n}"));
        }
        let text = recorded();
        assert!(text.contains("# HELP emgate_build_info"), "{text}");
        assert!(
            text.contains("emgate_watch_look_duration_seconds_bucket{le=\"0.005\"} 1"),
            "{text}"
        );
        let labelled = text
            .lines()
            .filter(|line| line.starts_with("emgate_transcode_unknown_total{"))
            .count();
        assert!(labelled <= MOST_UNKNOWN + 1, "{labelled}");
        assert!(text.contains("type=\"other\""), "{text}");
    }
}
