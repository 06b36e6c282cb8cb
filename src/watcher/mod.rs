//! Looks at EM, writes what changed.
//!
//! One query per turn observes all failover sessions, whoever started them; each state change and its event are
//! written in one transaction. The room never sends anything that changes EM. Invariant: a session's end is recorded
//! together with its event or not at all, so a crash at any point only means that the next turn finds it again.
//! `observe`, `follow` and `parts` hold the rules without I/O; `look` asks EM; `apply` writes what it means; `tell` says
//! what does not go as it should.

pub mod apply;
mod batch;
mod batches;
pub mod config;
mod damaged;
pub mod follow;
mod look;
mod lookups;
pub mod observe;
pub mod outage;
mod poll_backoff;
mod replicas;
mod report;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::SharedClock;
use crate::domain::id::{EmId, LogonId, OperationId};
use crate::domain::plan::Plan;
use crate::runtime::{Turn, Worker};
use crate::store::replicas::Lease;
use crate::store::{self, Store};
use crate::telemetry::names;
use crate::upstream::{self, EmClient};
use apply::BatchOutcome;
pub use config::Config;
use lookups::Lookups;
use poll_backoff::PollBackoff;

/// How often a replica that does not observe looks whether it has to.
const STAND_BY: Duration = Duration::from_secs(1);

/// Why a turn could not observe.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// EM did not answer as it should.
    #[error("Enterprise Manager could not be observed")]
    Upstream(#[from] upstream::Error),
    /// The store did not take it.
    #[error("the observation could not be stored")]
    Store(#[from] crate::store::Error),
    /// Another replica observes by now.
    #[error("another replica took over the observation")]
    LeaseLost,
    /// An event's body could not be made.
    #[error(transparent)]
    Event(#[from] crate::api_types::events::Unrepresentable),
}

/// The worker that observes EM.
pub struct Watcher {
    em: EmClient,
    store: Store,
    clock: SharedClock,
    config: Config,
    unknown_after: Duration,
    task_backoff: HashMap<OperationId, PollBackoff>,
    plans: Option<(Timestamp, Vec<Plan>)>,
    lookups: Lookups,
    /// Looks that failed in a row, and because of EM among them.
    failures: u32,
    em_failures: u32,
    /// When it was last said in the log that looks fail.
    last_logged_at: Option<std::time::Instant>,
    /// Sessions whose rows cannot be read.
    damaged: damaged::Damaged,
    /// Whether it was said that EM's clock is off.
    skew_logged: bool,
    /// Sessions and operations of which it was said that they cannot be written.
    skipped: HashSet<String>,
    /// When the query last reached back to sessions that were lost.
    lost_checked_at: Option<Timestamp>,
    part_size: batches::Size,
    /// When the observation was last left to another replica.
    handed_over_at: Option<std::time::Instant>,
    /// Sessions whose backup server could not be read when they came up; none until they were looked for.
    incomplete: Option<HashSet<EmId>>,
    /// Logon sessions of other replicas that were taken up.
    adopted: HashSet<LogonId>,
    /// When EM was asked something while another replica observed.
    em_checked_at: Option<std::time::Instant>,
}

impl Watcher {
    /// A watcher of `em` that writes to `store`. `unknown_after` is how long evidence of an operation is looked for.
    #[must_use]
    pub fn new(
        em: EmClient,
        store: Store,
        clock: SharedClock,
        config: Config,
        unknown_after: Duration,
    ) -> Self {
        Self {
            lookups: Lookups::new(em.clone()),
            em,
            store,
            clock,
            config,
            unknown_after,
            task_backoff: HashMap::new(),
            plans: None,
            failures: 0,
            em_failures: 0,
            last_logged_at: None,
            damaged: damaged::Damaged::default(),
            skew_logged: false,
            skipped: HashSet::new(),
            lost_checked_at: None,
            part_size: batches::Size::FULL,
            handed_over_at: None,
            incomplete: None,
            adopted: HashSet::new(),
            em_checked_at: None,
        }
    }

    /// The pause before the next look: `interval`, or less where something is due before.
    fn rest(&self, interval: Duration, applied: &BatchOutcome) -> Duration {
        let now = self.clock.now();
        let handed_over_at = applied.look_again.map(|due| due.duration_since(now));
        let handed_over_at =
            handed_over_at.map(|handed_over_at| Duration::try_from(handed_over_at).unwrap_or_default());
        handed_over_at.map_or(interval, |handed_over_at| handed_over_at.min(interval))
    }

    #[expect(clippy::cast_precision_loss, reason = "counts and seconds, far below 2^52")]
    fn measure(&self, outcome: &Result<BatchOutcome, Error>, took: Duration) {
        let word = match outcome {
            Ok(applied) if applied.complete => "complete",
            Ok(_) => "begun",
            Err(_) => "failed",
        };
        metrics::counter!(names::OBSERVATIONS, "outcome" => word).increment(1);
        metrics::histogram!(names::OBSERVATION_SECONDS).record(took);
        if let Ok(applied) = outcome
            && applied.complete
        {
            metrics::gauge!(names::OBSERVATION_LAST).set(self.clock.now().as_second() as f64);
            metrics::gauge!(names::SESSIONS_ACTIVE).set(applied.running as f64);
        }
    }
}

impl Worker for Watcher {
    const NAME: &'static str = "watcher";

    async fn activate(&mut self) -> Turn {
        let begun = std::time::Instant::now();
        let lease = match store::with_timeout(self.store.lease(Lease::WATCH)).await {
            Ok(Some(lease)) => lease,
            Ok(None) => {
                self.stand_by().await;
                return Turn::Rest(STAND_BY);
            }
            Err(error) => {
                self.log_failure(&error.into());
                return Turn::Rest(STAND_BY);
            }
        };
        let outcome = self.observe(lease).await;
        self.measure(&outcome, begun.elapsed());
        if !matches!(outcome, Err(Error::LeaseLost)) {
            self.record_outcome(lease, &outcome).await;
        }
        match outcome {
            // What is left of it is there already.
            Ok(applied) if !applied.complete => Turn::Again,
            Ok(applied) if applied.active => Turn::Rest(self.rest(self.config.interval, &applied)),
            Ok(applied) => Turn::Rest(self.rest(self.config.idle_interval, &applied)),
            // EM is down or the store is: look again soon, because finding it up ends the wait of many.
            Err(_) => Turn::Rest(self.config.interval.max(Duration::from_secs(1))),
        }
    }
}
