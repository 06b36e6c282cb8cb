//! Says what does not go as it should: in the log, in the event log, and by leaving the observation to a replica that
//! can do it.

use std::time::{Duration, Instant};

use super::apply::BatchOutcome;
use super::look::CLOCK_SLACK;
use super::outage::outage;
use super::{Error, Watcher};
use crate::store::{self, replicas::Lease};

/// How many looks in a row have to fail before an outage is told.
const FAILURES_UNTIL_EVENT: u32 = 2;

/// How many looks in a row have to fail before another replica is asked to observe.
const FAILURES_UNTIL_HAND_OVER: u32 = 3;

/// How long it is not left once more: what EM answers to others may be no more than what it answers this one.
const HAND_OVER_PAUSE: Duration = Duration::from_mins(1);

/// How often it is said again that looks fail.
const REMINDER: Duration = Duration::from_mins(1);

impl Watcher {
    /// Tells how a look went, where that is worth a word.
    pub(super) async fn record_outcome(&mut self, lease: Lease, outcome: &Result<BatchOutcome, Error>) {
        match outcome {
            Ok(applied) => {
                if std::mem::take(&mut self.failures) > 0 {
                    tracing::info!("Enterprise Manager is observed again");
                }
                self.em_failures = 0;
                self.last_logged_at = None;
                self.note_skipped(applied);
                self.note_skew();
                self.report_outage(lease, None).await;
            }
            Err(error) => {
                self.log_failure(error);
                let Error::Upstream(cause) = error else {
                    return;
                };
                self.em_failures += 1;
                if self.em_failures >= FAILURES_UNTIL_EVENT {
                    self.report_outage(lease, Some(cause.public_message())).await;
                }
                if self.em_failures >= FAILURES_UNTIL_HAND_OVER {
                    self.hand_over(lease).await;
                }
            }
        }
    }

    /// Says in the log why nothing is observed, and says it again from time to time.
    pub(super) fn log_failure(&mut self, error: &Error) {
        self.failures += 1;
        if self.last_logged_at.is_some_and(|at| at.elapsed() < REMINDER) {
            return;
        }
        self.last_logged_at = Some(Instant::now());
        let (cause, looks) = (error as &dyn std::error::Error, self.failures);
        match error {
            Error::Upstream(_) => {
                tracing::warn!(error = cause, looks, "Enterprise Manager cannot be observed");
            }
            Error::Store(_) | Error::Event(_) => {
                tracing::warn!(
                    error = cause,
                    looks,
                    "what is observed cannot be stored; Enterprise Manager is not the reason"
                );
            }
            Error::LeaseLost => tracing::debug!(
                error = cause,
                "the observation is handed_over_at to another replica"
            ),
        }
    }

    /// Names, once each, what could not be written.
    fn note_skipped(&mut self, applied: &BatchOutcome) {
        for (what, error) in &applied.skipped {
            if self.skipped.insert(what.clone()) {
                tracing::error!(
                    what,
                    error,
                    "one thing that was observed cannot be stored and is passed over; the others are not affected"
                );
            }
        }
        if applied.complete {
            let still = |what: &String| applied.skipped.iter().any(|(skipped, _)| skipped == what);
            self.skipped.retain(still);
        }
    }

    /// Says once that EM's clock is off, and again when it was well in between.
    fn note_skew(&mut self) {
        let Some(skew) = self.em.clock_skew() else { return };
        let off = skew.unsigned_abs() > CLOCK_SLACK;
        if off && !self.skew_logged {
            tracing::warn!(
                seconds = skew.as_secs(),
                "Enterprise Manager's clock and this machine's differ by more than 15 minutes; is one of them set \
                 wrong, or in the wrong time zone? Sessions are looked for that much further back"
            );
        }
        self.skew_logged = off;
    }

    async fn report_outage(&self, lease: Lease, reason: Option<String>) {
        let health = self.em.health();
        // An EM that answers nonsense is there, and since when it is says nothing about the nonsense.
        let away = health.since.filter(|_| !health.up);
        let since = away.unwrap_or_else(|| self.clock.now());
        let telling = outage(&self.store, &lease, self.em.default_account(), since, reason);
        if let Err(error) = store::with_timeout(telling).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an event about Enterprise Manager could not be stored"
            );
        }
    }

    /// Gives the observation to a replica that had an answer from EM a moment ago, if there is one.
    async fn hand_over(&mut self, lease: Lease) {
        if self
            .handed_over_at
            .is_some_and(|at| at.elapsed() < HAND_OVER_PAUSE)
        {
            return;
        }
        match store::with_timeout(self.store.hand_over(lease)).await {
            Ok(true) => {
                self.handed_over_at = Some(Instant::now());
                self.em_failures = 0;
                tracing::warn!(
                    "Enterprise Manager answers another replica and not this one; that one observes from now on"
                );
            }
            Ok(false) => {}
            Err(error) => tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the observation could not be handed_over_at to another replica"
            ),
        }
    }
}
