//! Writes what an observation means: sessions, operations and events in one transaction.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::Error;
use super::follow::{self, TaskReport};
use super::observe::{self, Change, Observation, Step};
use crate::api_types::events::{UpstreamEventData, event, operation_event, session_event};
use crate::domain::event::{EventType, Routing};
use crate::domain::id::{EmId, EventId, LogonId, OperationId};
use crate::domain::operation::{Operation, OperationKind, OperationResult, OperationState};
use crate::domain::plan::{Plan, PlanRef};
use crate::domain::session::{Session, SessionFacts, SessionPhase, SessionRecord};
use crate::store::replicas::Lease;
use crate::store::{Store, Tx};
use crate::telemetry::names;

/// What was seen at EM in one turn.
#[derive(Debug, Clone)]
pub struct Look {
    /// What gave the right to look.
    pub lease: Lease,
    /// When, by the gateway's clock.
    pub at: Timestamp,
    /// How far back the query reached; `None` = as far as EM's window.
    pub since: Option<Timestamp>,
    /// All sessions in reach.
    pub sessions: Vec<SessionFacts>,
    /// The tasks that were asked about.
    pub tasks: HashMap<OperationId, TaskReport>,
    /// The cloud plans, for naming the plan of a session.
    pub plans: Vec<Plan>,
}

/// What a turn did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Whether an operation or a session changed.
    pub changed: bool,
    /// Whether something runs that deserves the short interval.
    pub active: bool,
    /// Whether an operation ended.
    pub ended: bool,
    /// How many failover sessions have not stopped.
    pub running: usize,
    /// Logon sessions that no operation of this turn needs any longer, one entry per operation.
    pub released: Vec<LogonId>,
    /// How many events were written.
    pub events: usize,
}

/// Writes what `look` means.
///
/// # Errors
/// [`Error::Store`], [`Error::Displaced`]; nothing was written then.
pub async fn apply(store: &Store, look: Look, patience: Duration) -> Result<Applied, Error> {
    let mut tx = begin_under(&look.lease, store).await?;
    let mut turn = Writing::read(&mut tx, look, patience).await?;
    turn.follow_tasks();
    let changes = turn.compare();
    turn.join(&mut tx, &changes).await?;
    let seen = turn.write_sessions(&mut tx, changes).await?;
    turn.end_operations(&mut tx, &seen).await?;
    if !turn.applied.released.is_empty() {
        tx.forget_unneeded_logons().await?;
    }
    tx.set_observation(turn.observation.number, turn.observation.at)
        .await?;
    tx.commit().await?;
    Ok(turn.applied)
}

/// A transaction in which no other replica observes.
async fn begin_under(lease: &Lease, store: &Store) -> Result<Tx, Error> {
    let mut tx = store.begin().await?;
    if tx.holds(lease).await? {
        Ok(tx)
    } else {
        Err(Error::Displaced)
    }
}

/// Records that EM is away (`reason`) or back (`None`), and tells each once, also across restarts.
///
/// # Errors
/// [`Error::Store`], [`Error::Displaced`].
pub async fn outage(
    store: &Store,
    lease: &Lease,
    account: &str,
    since: Timestamp,
    reason: Option<String>,
) -> Result<(), Error> {
    if store.outage().await?.is_some() == reason.is_some() {
        return Ok(());
    }
    let mut tx = begin_under(lease, store).await?;
    // Read again: what was read without the lease may have been told by another replica since.
    let told = tx.outage().await?;
    if told.is_some() == reason.is_some() {
        return Ok(());
    }
    let (kind, since) = match (&reason, told) {
        (Some(_), _) => (EventType::UpstreamUnavailable, since),
        (None, began) => (EventType::UpstreamRecovered, began.unwrap_or(since)),
    };
    tx.set_outage(reason.is_some().then_some(since)).await?;
    let data = UpstreamEventData {
        account: account.to_owned(),
        since: since.into(),
        reason,
    };
    let clock = tx.clock();
    tx.append_event(&event(
        EventId::new(clock.id()),
        kind,
        clock.now(),
        data,
        Routing::default(),
    )?)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// One turn's work between the reading and the commit.
struct Writing {
    look: Look,
    patience: Duration,
    observation: Observation,
    known: HashMap<EmId, SessionRecord>,
    operations: Vec<Operation>,
    as_read: HashMap<OperationId, Operation>,
    told: HashSet<OperationId>,
    applied: Applied,
}

impl Writing {
    async fn read(tx: &mut Tx, look: Look, patience: Duration) -> Result<Self, Error> {
        let observation = Observation {
            number: tx.observation().await? + 1,
            at: look.at,
        };
        let by_id = |record: SessionRecord| (record.facts.id.clone(), record);
        let mut known: HashMap<EmId, SessionRecord> =
            tx.open_sessions().await?.into_iter().map(by_id).collect();
        let others: Vec<EmId> = look
            .sessions
            .iter()
            .map(|facts| &facts.id)
            .filter(|id| !known.contains_key(*id))
            .cloned()
            .collect();
        known.extend(tx.sessions_known(&others).await?.into_iter().map(by_id));
        let operations = tx.unfinished_operations().await?;
        let as_read = operations
            .iter()
            .map(|operation| (operation.id, operation.clone()))
            .collect();
        Ok(Self {
            look,
            patience,
            observation,
            known,
            operations,
            as_read,
            told: HashSet::new(),
            applied: Applied::default(),
        })
    }

    fn follow_tasks(&mut self) {
        for operation in &mut self.operations {
            if let Some(report) = self.look.tasks.get(&operation.id) {
                follow::task_seen(operation, report, self.observation.at, self.patience);
            }
        }
    }

    fn compare(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut in_reach: HashSet<EmId> = HashSet::new();
        for facts in std::mem::take(&mut self.look.sessions) {
            if in_reach.insert(facts.id.clone()) {
                changes.extend(observe::seen(self.known.get(&facts.id), facts, self.observation));
            }
        }
        let since = self.look.since;
        for record in self
            .known
            .values()
            .filter(|record| record.phase == SessionPhase::Open)
        {
            let covered =
                since.is_none_or(|since| record.facts.started_at.is_some_and(|started| started >= since));
            if covered && !in_reach.contains(&record.facts.id) {
                changes.push(observe::absent(record, self.observation.at));
            }
        }
        changes.sort_by(|one, other| {
            let key = |change: &Change| (change.record.facts.started_at, change.record.facts.id.key());
            key(one).cmp(&key(other))
        });
        changes
    }

    async fn join(&mut self, tx: &mut Tx, changes: &[Change]) -> Result<(), Error> {
        let now = self.observation.at;
        let plans: HashSet<&EmId> = self
            .operations
            .iter()
            .filter(|operation| follow::waits_for_session(operation, now))
            .filter_map(|operation| Some(&operation.plan.as_ref()?.id))
            .collect();
        let mut had = Vec::new();
        for plan in plans {
            had.extend(tx.sessions_of_plan(plan).await?);
        }
        let mut sessions: HashMap<&EmId, &SessionRecord> = self.known.iter().collect();
        sessions.extend(
            changes
                .iter()
                .map(|change| (&change.record.facts.id, &change.record)),
        );
        let sessions: Vec<&SessionRecord> = sessions
            .into_values()
            .filter(|record| !self.is_anybodys(record))
            .collect();
        follow::join(&mut self.operations, &sessions, &had, now);
        Ok(())
    }

    /// Whether the session's name is all that is known of its plan, and several plans have it.
    fn is_anybodys(&self, record: &SessionRecord) -> bool {
        let facts = &record.facts;
        record.plan.is_none()
            && facts.backup_server.is_none()
            && self
                .look
                .plans
                .iter()
                .filter(|plan| plan.name == facts.plan_name)
                .count()
                > 1
            && !self
                .look
                .plans
                .iter()
                .any(|plan| facts.job.as_ref() == Some(&plan.id))
    }

    /// Writes what changed and what it means for operations; the sessions that have been observed, now or before.
    async fn write_sessions(&mut self, tx: &mut Tx, changes: Vec<Change>) -> Result<HashSet<EmId>, Error> {
        let mut current = std::mem::take(&mut self.known);
        let mut ending: HashSet<EmId> = HashSet::new();
        let mut by_step: Vec<(SessionRecord, Vec<Step>)> = Vec::with_capacity(changes.len());
        for Change { mut record, steps } in changes {
            let behind = self.operation_behind(tx, &record).await?;
            record.plan = behind
                .as_ref()
                .and_then(|operation| operation.plan.clone())
                .or_else(|| record.plan.take())
                .or_else(|| resolve(&record.facts, &self.look.plans));
            if record.facts.backup_server.is_none() {
                record.facts.backup_server = record.plan.as_ref().and_then(|plan| plan.backup_server.clone());
            }
            current.insert(record.facts.id.clone(), record.clone());
            if steps.contains(&Step::Finished) {
                ending.insert(record.facts.id.clone());
            }
            by_step.push((record, steps));
        }
        self.advance_operations(&current, &ending);
        for (record, steps) in by_step {
            self.write_session(tx, record, steps).await?;
        }
        let running = current
            .values()
            .filter(|record| record.phase == SessionPhase::Open && !record.facts.state.is_stopped())
            .count();
        self.applied.active |= running > 0;
        self.applied.running = running;
        Ok(current.into_keys().collect())
    }

    /// The newest operation that is joined to the session, ended ones included.
    async fn operation_behind(
        &self,
        tx: &mut Tx,
        record: &SessionRecord,
    ) -> Result<Option<Operation>, Error> {
        let id = &record.facts.id;
        let unfinished = self
            .operations
            .iter()
            .rev()
            .find(|operation| operation.session.as_ref() == Some(id));
        match unfinished {
            Some(operation) => Ok(Some(operation.clone())),
            None => Ok(tx.operations_of_session(id).await?.into_iter().next()),
        }
    }

    fn advance_operations(&mut self, current: &HashMap<EmId, SessionRecord>, ending: &HashSet<EmId>) {
        for operation in &mut self.operations {
            let Some(record) = operation.session.as_ref().and_then(|id| current.get(id)) else {
                continue;
            };
            follow::session_seen(operation, record, self.observation.at);
            if ending.contains(&record.facts.id) {
                // The session's own event tells the end; one that was told before the two were joined did not.
                self.told.insert(operation.id);
            }
        }
    }

    async fn write_session(
        &mut self,
        tx: &mut Tx,
        mut record: SessionRecord,
        steps: Vec<Step>,
    ) -> Result<(), Error> {
        let operation = self.operation_behind(tx, &record).await?;
        let session = Session {
            facts: record.facts.clone(),
            plan: record.plan.clone(),
            action: operation.as_ref().and_then(Operation::failover_action),
            operation: operation.as_ref().map(|operation| operation.id),
        };
        for step in steps {
            let (kind, machine) = match &step {
                Step::Started => (EventType::SessionStarted, None),
                Step::Progressed => (EventType::SessionProgressed, None),
                Step::MachineFinished(name) => (EventType::MachineFinished, Some(name.as_str())),
                Step::Finished => (EventType::SessionFinished, None),
                Step::Lost => (EventType::SessionLost, None),
            };
            record.sequence += 1;
            let id = EventId::new(tx.clock().id());
            let event = session_event(
                id,
                kind,
                self.observation.at,
                &session,
                operation.as_ref(),
                record.sequence,
                machine,
            )?;
            tx.append_event(&event).await?;
            self.applied.events += 1;
        }
        tx.save_session(&record).await?;
        self.applied.changed = true;
        Ok(())
    }

    async fn end_operations(&mut self, tx: &mut Tx, seen: &HashSet<EmId>) -> Result<(), Error> {
        let now = self.observation.at;
        for mut operation in std::mem::take(&mut self.operations) {
            let session_seen = operation.session.as_ref().is_some_and(|id| seen.contains(id));
            follow::out_of_time(&mut operation, session_seen, now);
            let before = self.as_read.get(&operation.id);
            let was_open = before.is_some_and(|before| before.state.is_open());
            let ended = was_open && !operation.state.is_open();
            if ended {
                let result = operation
                    .result
                    .as_ref()
                    .map_or("unknown", OperationResult::as_str)
                    .to_owned();
                let action = operation.action.clone();
                metrics::counter!(names::OPERATIONS_ENDED, "action" => action, "result" => result)
                    .increment(1);
            }
            self.applied.ended |= ended;
            if ended && operation.is_told() && !self.told.contains(&operation.id) {
                let event = operation_event(EventId::new(tx.clock().id()), now, &operation)?;
                tx.append_event(&event).await?;
                self.applied.events += 1;
            }
            if !operation.state.is_open()
                && let Some(logon) = operation.leave_logon(was_open)
            {
                self.applied.released.push(logon);
            }
            if before != Some(&operation) {
                tx.save_operation(&operation).await?;
                self.applied.changed = true;
            }
            self.applied.active |= match operation.state {
                OperationState::Running => true,
                // Nothing at EM tells how a write through the mirror went: there is nothing to be quick about.
                OperationState::Submitting => operation.kind != OperationKind::Em,
                OperationState::Finished | OperationState::Unknown => false,
            };
        }
        Ok(())
    }
}

/// The plan of a session that no operation asked for: the one its job names, else the only one of its name on its
/// backup server.
fn resolve(facts: &SessionFacts, plans: &[Plan]) -> Option<PlanRef> {
    if let Some(job) = &facts.job
        && let Some(plan) = plans.iter().find(|plan| plan.id == *job)
    {
        return Some(plan.reference());
    }
    let mut namesakes = plans
        .iter()
        .map(Plan::reference)
        .filter(|plan| facts.may_run(plan));
    namesakes.next().filter(|_| namesakes.next().is_none())
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
