//! Observes EM and writes what changed.
//!
//! One query per turn shows all failover sessions, whoever started them (`observation`); what rows lack is read beside
//! it (`enrichment`); each state change and its event are written in one transaction (`apply`). The rules have no I/O:
//! `observe` compares a session with its record, `follow` joins operations with sessions, `lookback` and `batches`
//! say how far back and in which parts. `report` keeps what was logged, and hands over where EM does not answer.
//!
//! The room never sends anything that changes EM. Invariant: a session's end is recorded together with its event or not
//! at all, so a crash at any point only means that the next turn finds it again. Tests: beside the rules,
//! `tests/it/observation`, `tests/it/replicas`.

pub mod apply;
mod batch;
mod batches;
pub mod config;
mod damaged;
mod enrichment;
pub mod follow;
mod lookback;
mod lookups;
mod observation;
pub mod observe;
pub mod outage;
mod plan_match;
mod poll_backoff;
mod replicas;
mod report;
mod settled;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::SharedClock;
use crate::domain::id::{EmId, LogonId, OperationId};
use crate::domain::plan::Plan;
use crate::runtime::{Turn, Worker};
use crate::store::replicas::LeaseName;
use crate::store::{self, Store};
use crate::telemetry::names;
use crate::telemetry::traces::{Kind, Span};
use crate::upstream::{self, EmClient};
use apply::BatchOutcome;
pub use config::Config;
use lookups::Lookups;
use poll_backoff::PollBackoff;
use report::Report;

/// How often a replica that does not observe asks for the lease.
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
    plans: Option<(Timestamp, Arc<[Plan]>)>,
    lookups: Lookups,
    report: Report,
    /// Sessions whose rows cannot be read.
    damaged: damaged::Damaged,
    /// When the query last reached back to sessions that were lost.
    lost_checked_at: Option<Timestamp>,
    part_size: batches::Size,
    settled: settled::Settled,
    /// Sessions whose backup server could not be read when they came up; none until they were searched for.
    incomplete: Option<HashSet<EmId>>,
    /// Logon sessions of other replicas that were resumed.
    adopted: HashSet<LogonId>,
}

impl Watcher {
    /// A watcher of `em` that writes to `store`. `unknown_after` is how long evidence of an operation is searched for.
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
            report: Report::default(),
            damaged: damaged::Damaged::default(),
            lost_checked_at: None,
            part_size: batches::Size::FULL,
            settled: settled::Settled::default(),
            incomplete: None,
            adopted: HashSet::new(),
        }
    }

    /// The pause before the next observation: `interval`, or less where something is due before.
    fn rest(&self, interval: Duration, applied: &BatchOutcome) -> Duration {
        let now = self.clock.now();
        let due = applied.look_again.map(|due| due.duration_since(now));
        let due = due.map(|due| Duration::try_from(due).unwrap_or_default());
        due.map_or(interval, |due| due.min(interval))
    }

    #[expect(clippy::cast_precision_loss, reason = "counts and seconds, far below 2^52")]
    fn measure(&self, outcome: &Result<BatchOutcome, Error>, took: Duration) {
        let word = match outcome {
            Ok(applied) if applied.complete => "complete",
            Ok(_) => "begun",
            Err(_) => "failed",
        };
        metrics::counter!(names::OBSERVATIONS, "outcome" => word).increment(1);
        metrics::histogram!(names::OBSERVATION_DURATION).record(took);
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
        let lease = store::with_timeout(self.store.lease(LeaseName::Watch)).await;
        let holds = f64::from(u8::from(matches!(lease, Ok(Some(_)))));
        metrics::gauge!(names::LEASE_HELD, "lease" => LeaseName::Watch.as_str()).set(holds);
        let lease = match lease {
            Ok(Some(lease)) => lease,
            Ok(None) => {
                self.stand_by().await;
                return Turn::Rest(STAND_BY);
            }
            Err(error) => {
                self.report.failed(&error.into());
                return Turn::Rest(STAND_BY);
            }
        };
        let span = Span::root(Kind::Internal, None, || "look");
        let outcome = span.around(self.observe(lease)).await;
        if outcome.is_err() {
            span.failed("incomplete");
        }
        drop(span);
        self.measure(&outcome, begun.elapsed());
        if !matches!(outcome, Err(Error::LeaseLost)) {
            self.record_outcome(lease, &outcome).await;
        }
        match outcome {
            // The rest of the observation is due already.
            Ok(applied) if !applied.complete => Turn::Again,
            Ok(applied) if applied.active => Turn::Rest(self.rest(self.config.interval, &applied)),
            Ok(applied) => Turn::Rest(self.rest(self.config.idle_interval, &applied)),
            // EM is down or the store is: observe again soon, because finding it up ends the wait of many.
            Err(_) => Turn::Rest(self.config.interval.max(Duration::from_secs(1))),
        }
    }
}
