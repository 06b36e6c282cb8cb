//! What is said of observations that do not go as they should: in the log, in the event log, and to the other replicas.
//!
//! [`Report`] remembers what was said, so that a fault that lasts is neither repeated at every turn nor forgotten.

use std::collections::HashSet;
use std::time::Duration;

use jiff::SignedDuration;

use super::apply::BatchOutcome;
use super::lookback::CLOCK_SLACK;
use super::outage::outage;
use super::{Error, Watcher};
use crate::store::{self, replicas::Lease};
use crate::telemetry::Throttle;

/// How many observations in a row have to fail before an outage is reported.
const FAILURES_UNTIL_EVENT: u32 = 2;

/// How many observations in a row have to fail before another replica is asked to observe.
const FAILURES_UNTIL_HAND_OVER: u32 = 3;

/// The pause before the lease is handed over once more: what EM answers to others may be no more than what it answers
/// this one.
const HAND_OVER_PAUSE: Duration = Duration::from_mins(1);

/// How often a replica that does not observe asks EM something, to know whether it answers.
const CONTACT_INTERVAL: Duration = Duration::from_secs(15);

/// What was said so far.
#[derive(Debug)]
pub(super) struct Report {
    /// Observations that failed in a row.
    failures: u32,
    /// Those among them that failed because of EM.
    em_failures: u32,
    /// When it is due again to log that observations fail.
    reminder: Throttle,
    /// Whether it was logged that EM's clock is off.
    skew_logged: bool,
    /// Sessions and operations of which it was logged that they cannot be written.
    skipped: HashSet<String>,
    /// When the lease may be handed over again.
    hand_over: Throttle,
    /// When EM is to be asked something while another replica observes.
    pub(super) contact: Throttle,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            failures: 0,
            em_failures: 0,
            reminder: Throttle::reminder(),
            skew_logged: false,
            skipped: HashSet::new(),
            hand_over: Throttle::every(HAND_OVER_PAUSE),
            contact: Throttle::every(CONTACT_INTERVAL),
        }
    }
}

impl Report {
    /// Another replica observes: what failed here before counts no longer.
    pub(super) fn stand_by(&mut self) {
        (self.failures, self.em_failures) = (0, 0);
        self.reminder.reset();
    }

    /// Logs why nothing is observed, and again from time to time.
    pub(super) fn failed(&mut self, error: &Error) {
        self.failures += 1;
        if matches!(error, Error::Upstream(_)) {
            self.em_failures += 1;
        }
        if !self.reminder.due() {
            return;
        }
        let (cause, observations) = (error as &dyn std::error::Error, self.failures);
        match error {
            Error::Upstream(_) => {
                tracing::warn!(
                    error = cause,
                    observations,
                    "Enterprise Manager cannot be observed"
                );
            }
            Error::Store(_) | Error::Event(_) => {
                tracing::warn!(
                    error = cause,
                    observations,
                    "observations cannot be stored; Enterprise Manager is not the cause"
                );
            }
            Error::LeaseLost => {
                tracing::debug!(error = cause, "another replica took over the observation");
            }
        }
    }

    fn succeeded(&mut self, applied: &BatchOutcome, skew: Option<SignedDuration>) {
        if std::mem::take(&mut self.failures) > 0 {
            tracing::info!("Enterprise Manager is observed again");
        }
        self.em_failures = 0;
        self.reminder.reset();
        self.log_skipped(applied);
        self.log_skew(skew);
    }

    /// Names, once each, what could not be written.
    fn log_skipped(&mut self, applied: &BatchOutcome) {
        for (what, error) in &applied.skipped {
            if self.skipped.insert(what.clone()) {
                tracing::error!(
                    what,
                    error,
                    "one observed item cannot be stored and is skipped; the others are not affected"
                );
            }
        }
        if applied.complete {
            let still = |what: &String| applied.skipped.iter().any(|(skipped, _)| skipped == what);
            self.skipped.retain(still);
        }
    }

    /// Logs once that EM's clock is off, and again when it was right in between.
    fn log_skew(&mut self, skew: Option<SignedDuration>) {
        let Some(skew) = skew else { return };
        let off = skew.unsigned_abs() > CLOCK_SLACK;
        if off && !self.skew_logged {
            tracing::warn!(
                seconds = skew.as_secs(),
                "Enterprise Manager's clock and this machine's differ by more than 15 minutes; check both \
                 clocks and time zones. Sessions are searched that much further back"
            );
        }
        self.skew_logged = off;
    }
}

impl Watcher {
    /// Reports how an observation went, where that is worth a word.
    pub(super) async fn record_outcome(&mut self, lease: Lease, outcome: &Result<BatchOutcome, Error>) {
        match outcome {
            Ok(applied) => {
                self.report.succeeded(applied, self.em.clock_skew());
                self.report_outage(lease, None).await;
            }
            Err(error) => {
                self.report.failed(error);
                let Error::Upstream(cause) = error else {
                    return;
                };
                if self.report.em_failures >= FAILURES_UNTIL_EVENT {
                    self.report_outage(lease, Some(cause.public_message())).await;
                }
                if self.report.em_failures >= FAILURES_UNTIL_HAND_OVER {
                    self.hand_over(lease).await;
                }
            }
        }
    }

    async fn report_outage(&self, lease: Lease, reason: Option<String>) {
        let health = self.em.health();
        // An EM that answers nonsense is there, and since when it is says nothing about the nonsense.
        let away = health.since.filter(|_| !health.up);
        let since = away.unwrap_or_else(|| self.clock.now());
        let reporting = outage(&self.store, &lease, self.em.default_account(), since, reason);
        if let Err(error) = store::with_timeout(reporting).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an event about Enterprise Manager could not be stored"
            );
        }
    }

    /// Hands the lease over to a replica that had an answer from EM a moment ago, if there is one.
    async fn hand_over(&mut self, lease: Lease) {
        if !self.report.hand_over.is_open() {
            return;
        }
        match store::with_timeout(self.store.hand_over(lease)).await {
            Ok(true) => {
                self.report.hand_over.begin();
                self.report.em_failures = 0;
                tracing::warn!(
                    "Enterprise Manager answers another replica but not this one; the other one observes from now on"
                );
            }
            Ok(false) => {}
            Err(error) => tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the observation could not be handed over to another replica"
            ),
        }
    }
}
