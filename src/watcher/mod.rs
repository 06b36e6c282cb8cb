//! Looks at EM, writes what changed.
//!
//! One query per turn observes all failover sessions, whoever started them; each state change and its event are
//! written in one transaction. The room never sends anything that changes EM. Invariant: a session's end is recorded
//! together with its event or not at all, so a crash at any point only means that the next turn finds it again.
//! `observe` and `follow` hold the rules without I/O; `apply` writes what they decide; this file asks EM.

pub mod apply;
pub mod config;
pub mod follow;
pub mod observe;
mod pace;
mod replicas;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;

use crate::clock::SharedClock;
use crate::domain::id::{EmId, LogonId, OperationId};
use crate::domain::operation::Operation;
use crate::domain::plan::{Plan, PlanKind};
use crate::domain::session::SessionFacts;
use crate::runtime::{Turn, Worker};
use crate::store::replicas::Lease;
use crate::store::sessions::WatchState;
use crate::store::{self, Store};
use crate::telemetry::names;
use crate::upstream::{self, Em};
use apply::{Applied, Look};
pub use config::Config;
use follow::TaskReport;
use pace::Pace;

/// How far the query reaches back at the least, and how much EM's clock may be off.
const REACH: Duration = Duration::from_hours(1);
const CLOCK_SLACK: Duration = Duration::from_mins(15);

/// How many single reads run at a time beside the one query.
const SINGLE_READS: usize = 8;

/// How many sessions are asked for once more in a turn, where EM did not tell at first what rows lack.
const MOST_AGAIN: usize = 50;

/// How many looks in a row have to fail before an outage is told.
const FAILURES_UNTIL_TOLD: u32 = 2;

/// How long a list of plans is good for naming the plan of a session.
const PLANS_TTL: Duration = Duration::from_mins(1);

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
    Displaced,
    /// An event's body could not be made.
    #[error(transparent)]
    Event(#[from] crate::api_types::events::Unrepresentable),
}

/// The worker that observes EM.
pub struct Watcher {
    em: Em,
    store: Store,
    clock: SharedClock,
    config: Config,
    patience: Duration,
    changed: tokio::sync::watch::Sender<u64>,
    task_pace: HashMap<OperationId, Pace>,
    plans: Option<(Timestamp, Vec<Plan>)>,
    failures: u32,
    /// Sessions whose backup server could not be read when they came up; none until they were looked for.
    incomplete: Option<HashSet<EmId>>,
    /// Logon sessions of other replicas that were taken up.
    adopted: HashSet<LogonId>,
    /// When EM was asked something while another replica observed.
    greeted: Option<std::time::Instant>,
}

/// How far back the query has to reach: to the oldest session whose end is awaited, to what may have happened since the
/// last observation, and an hour at the least; `None` (all that EM keeps) before the baseline.
fn reach(before: &WatchState, now: Timestamp) -> Option<Timestamp> {
    let last = before.observed_at?.min(now).checked_sub(REACH).ok()?;
    before
        .oldest_open
        .map_or(last, |oldest| oldest.min(last))
        .checked_sub(CLOCK_SLACK)
        .ok()
}

impl Watcher {
    /// A watcher of `em` that writes to `store`. `patience` is how long evidence of an operation is looked for;
    /// `changed` is bumped after every turn that changed an operation or a session.
    #[must_use]
    pub fn new(
        em: Em,
        store: Store,
        clock: SharedClock,
        config: Config,
        patience: Duration,
        changed: tokio::sync::watch::Sender<u64>,
    ) -> Self {
        Self {
            em,
            store,
            clock,
            config,
            patience,
            changed,
            task_pace: HashMap::new(),
            plans: None,
            failures: 0,
            incomplete: None,
            adopted: HashSet::new(),
            greeted: None,
        }
    }

    /// Observes once, as the one replica that does.
    ///
    /// # Errors
    /// [`Error`]; nothing was written then.
    async fn observe(&mut self, lease: Lease) -> Result<Applied, Error> {
        let (asked_at, asked) = (self.clock.now(), std::time::Instant::now());
        let before = store::in_time(self.store.watch_state()).await?;
        self.adopt_logons(&before.operations).await?;
        self.align_pins(&before.operations, asked);
        let since = reach(&before, asked_at);
        let mut sessions = self.em.sessions_since(since).await?;
        let tasks = self.ask_tasks(&before.operations).await;
        self.add_linked(&mut sessions, &tasks, &before.operations).await?;
        let new = self.complete(&mut sessions, before.observed_at.is_some()).await?;
        let plans = if new {
            self.plans_for(&sessions).await
        } else {
            self.known_plans()
        };
        let look = Look {
            lease,
            at: self.clock.now(),
            since,
            sessions,
            tasks,
            plans,
        };
        let applied = store::in_time(apply::apply(&self.store, look, self.patience)).await?;
        for logon in &applied.released {
            self.em.release(*logon);
            if !self.em.holds_logon(*logon) {
                // A guest that left: its replica may start the next task in it at once.
                self.adopted.remove(logon);
            }
        }
        if applied.ended {
            // A task changes things until its end, so what was read before tells nothing.
            self.em.forget_reads();
        }
        if applied.changed {
            self.changed.send_modify(|turn| *turn = turn.wrapping_add(1));
        }
        Ok(applied)
    }

    /// Asks EM about the tasks that are due for a look.
    async fn ask_tasks(&mut self, operations: &[Operation]) -> HashMap<OperationId, TaskReport> {
        let now = self.clock.now();
        let awaited: Vec<&Operation> = operations
            .iter()
            .filter(|operation| follow::awaits_task(operation))
            .collect();
        let still: HashSet<OperationId> = awaited.iter().map(|operation| operation.id).collect();
        self.task_pace.retain(|id, _| still.contains(id));
        let mut questions = Vec::new();
        for operation in awaited {
            let first = Pace::new(self.config.interval, now);
            let pace = self.task_pace.entry(operation.id).or_insert(first);
            let Some((task, logon)) = operation.task.as_ref().and_then(|task| Some((task, task.logon?)))
            else {
                continue;
            };
            if pace.is_due(now) {
                questions.push((operation.id, logon, task.id.clone()));
            }
        }
        let em = &self.em;
        futures_util::stream::iter(questions)
            .map(|(operation, logon, task)| async move {
                match em.task(logon, &task).await {
                    Ok(view) => Some((
                        operation,
                        TaskReport {
                            state: view.state,
                            success: view.success,
                            message: view.message,
                            session: view.session,
                        },
                    )),
                    Err(error) => {
                        tracing::debug!(%operation, error = &error as &dyn std::error::Error, "a task could not be read");
                        None
                    }
                }
            })
            .buffer_unordered(SINGLE_READS)
            .filter_map(std::future::ready)
            .collect()
            .await
    }

    /// Adds sessions that tasks link and the query did not show: those linked now, and those linked before that could
    /// not be read then.
    async fn add_linked(
        &self,
        sessions: &mut Vec<SessionFacts>,
        tasks: &HashMap<OperationId, TaskReport>,
        operations: &[Operation],
    ) -> Result<(), Error> {
        let seen: HashSet<&EmId> = sessions.iter().map(|facts| &facts.id).collect();
        let mut missing: HashSet<EmId> = operations
            .iter()
            .filter(|operation| operation.state.is_open())
            .filter_map(|operation| operation.session.clone())
            .filter(|id| !seen.contains(id))
            .collect();
        if !missing.is_empty() {
            let awaited: Vec<EmId> = missing.iter().cloned().collect();
            for record in self.store.sessions_known(&awaited).await? {
                missing.remove(&record.facts.id);
            }
        }
        let linked = tasks.values().filter_map(|task| task.session.clone());
        missing.extend(linked.filter(|id| !seen.contains(id)));
        for id in missing {
            match self.em.session(&id).await {
                Ok(facts) => sessions.push(facts),
                Err(error) => {
                    tracing::debug!(session = %id, error = &error as &dyn std::error::Error, "a linked session could not be read");
                }
            }
        }
        Ok(())
    }

    /// Reads by a GET of their own what rows of the query lack, the backup server: once of each session not known yet,
    /// and again where that failed. True when there are any such sessions. The baseline's stopped sessions are left as
    /// they are.
    async fn complete(&mut self, sessions: &mut [SessionFacts], baseline_done: bool) -> Result<bool, Error> {
        let ids: Vec<EmId> = sessions.iter().map(|facts| facts.id.clone()).collect();
        let known = self.store.session_keys_known(&ids).await?;
        let mut again = match self.incomplete.take() {
            Some(incomplete) => incomplete,
            // Left behind by the process before, or by the replica that observed until now.
            None => self.store.open_sessions_without_server().await?,
        };
        let new = |facts: &SessionFacts| {
            !known.contains(&facts.id.key()) && (baseline_done || !facts.state.is_stopped())
        };
        let any_new = sessions.iter().any(new);
        let lacking = |facts: &&SessionFacts| facts.backup_server.is_none();
        let failed_before = sessions
            .iter()
            .filter(lacking)
            .filter(|facts| !new(facts) && again.contains(&facts.id))
            .take(MOST_AGAIN);
        let wanted: Vec<EmId> = sessions
            .iter()
            .filter(lacking)
            .filter(|facts| new(facts))
            .chain(failed_before)
            .map(|facts| facts.id.clone())
            .collect();
        let any = any_new || !wanted.is_empty();
        let em = &self.em;
        let mut whole: HashMap<EmId, SessionFacts> = HashMap::new();
        let mut answers = futures_util::stream::iter(wanted)
            .map(|id| async move { (em.session(&id).await, id) })
            .buffer_unordered(SINGLE_READS);
        while let Some((answer, id)) = answers.next().await {
            match answer {
                Err(error) if !error.is_not_found() => {
                    again.insert(id);
                }
                Err(_) => {
                    again.remove(&id);
                }
                Ok(facts) => {
                    again.remove(&id);
                    whole.insert(id, facts);
                }
            }
        }
        drop(answers);
        for facts in sessions.iter_mut() {
            if let Some(whole) = whole.remove(&facts.id) {
                facts.backup_server = whole.backup_server;
                facts.job = facts.job.take().or(whole.job);
            }
        }
        let shown: HashSet<&EmId> = ids.iter().collect();
        again.retain(|id| shown.contains(id));
        self.incomplete = Some(again);
        Ok(any)
    }

    fn known_plans(&self) -> Vec<Plan> {
        self.plans
            .as_ref()
            .map(|(_, plans)| plans.clone())
            .unwrap_or_default()
    }

    /// The cloud plans, read anew when the list is old or lacks a name that is asked for.
    async fn plans_for(&mut self, sessions: &[SessionFacts]) -> Vec<Plan> {
        let now = self.clock.now();
        let fresh = self.plans.as_ref().is_some_and(|(read_at, plans)| {
            now.duration_since(*read_at).unsigned_abs() < PLANS_TTL
                && sessions
                    .iter()
                    .all(|facts| plans.iter().any(|plan| plan.name == facts.plan_name))
        });
        if !fresh {
            match self.em.all_plans(PlanKind::Cloud).await {
                Ok(plans) => self.plans = Some((now, plans)),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the failover plans could not be read; sessions are reported without their plan"
                    );
                }
            }
        }
        self.known_plans()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts and seconds, far below 2^52")]
    fn measure(&self, outcome: &Result<Applied, Error>, took: Duration) {
        let word = if outcome.is_ok() { "complete" } else { "failed" };
        metrics::counter!(names::WATCH_LOOKS, "outcome" => word).increment(1);
        metrics::histogram!(names::WATCH_SECONDS).record(took);
        if let Ok(applied) = outcome {
            metrics::gauge!(names::WATCH_LAST).set(self.clock.now().as_second() as f64);
            metrics::gauge!(names::SESSIONS_ACTIVE).set(applied.running as f64);
        }
    }

    /// Tells an outage of EM once it is more than a hiccup, and its end.
    async fn note(&mut self, lease: Lease, outcome: &Result<Applied, Error>) {
        match outcome {
            Ok(_) => {
                if std::mem::take(&mut self.failures) > 0 {
                    tracing::info!("Enterprise Manager is observed again");
                }
                self.tell_outage(lease, None).await;
            }
            Err(error) => {
                self.failures += 1;
                if self.failures == 1 {
                    tracing::warn!(
                        error = error as &dyn std::error::Error,
                        "Enterprise Manager cannot be observed"
                    );
                }
                if let Error::Upstream(cause) = error
                    && self.failures >= FAILURES_UNTIL_TOLD
                {
                    self.tell_outage(lease, Some(cause.public_message())).await;
                }
            }
        }
    }

    async fn tell_outage(&self, lease: Lease, reason: Option<String>) {
        let health = self.em.health();
        // An EM that answers nonsense is there, and since when it is says nothing about the nonsense.
        let away = health.since.filter(|_| !health.up);
        let since = away.unwrap_or_else(|| self.clock.now());
        if let Err(error) = apply::outage(&self.store, &lease, self.em.default_account(), since, reason).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an event about Enterprise Manager could not be stored"
            );
        }
    }
}

impl Worker for Watcher {
    const NAME: &'static str = "watcher";

    async fn activate(&mut self) -> Turn {
        let begun = std::time::Instant::now();
        let lease = match store::in_time(self.store.lease(Lease::WATCH)).await {
            Ok(Some(lease)) => lease,
            Ok(None) => {
                self.stand_by().await;
                return Turn::Rest(STAND_BY);
            }
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the observation waits for the store"
                );
                return Turn::Rest(STAND_BY);
            }
        };
        let outcome = self.observe(lease).await;
        self.measure(&outcome, begun.elapsed());
        if !matches!(outcome, Err(Error::Displaced)) {
            self.note(lease, &outcome).await;
        }
        match outcome {
            Ok(applied) if applied.active => Turn::Rest(self.config.interval),
            Ok(_) => Turn::Rest(self.config.idle_interval),
            // EM is down or the store is: look again soon, because finding it up ends the wait of many.
            Err(_) => Turn::Rest(self.config.interval.max(Duration::from_secs(1))),
        }
    }
}
