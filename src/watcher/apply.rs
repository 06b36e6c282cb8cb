//! Writes what an observation means, or a part of one: sessions, operations and events in one transaction. A row that
//! the database refuses is passed over, so that it takes no other with it.

mod joining;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

pub use super::batch::{Batch, BatchOutcome, Completion};
use super::observe::{self, Change, Observation, Step};
use super::settled::is_settled;
use super::{Error, follow, plan_match};
use crate::api_types::events::{Origin, operation_event, session_event};
use crate::clock::later;
use crate::domain::event::{EventType, NewEvent};
use crate::domain::id::{EmId, EventId, OperationId};
use crate::domain::operation::{Operation, OperationKind, OperationResult, OperationState};
use crate::domain::session::{Session, SessionPhase, SessionRecord};
use crate::store::replicas::Lease;
use crate::store::{Store, Tx};
use crate::telemetry::{self, names};

/// How many machines the sessions have at the most that are written together, unless one alone has more.
const MACHINES_TOGETHER: usize = 5_000;

/// Writes what `look` means.
///
/// # Errors
/// [`Error::Store`], [`Error::LeaseLost`]; nothing was written then.
pub async fn apply(store: &Store, look: Batch, unknown_after: Duration) -> Result<BatchOutcome, Error> {
    let mut tx = begin_under(&look.lease, store).await?;
    let mut turn = BatchWriter::read(&mut tx, look, unknown_after).await?;
    turn.follow_tasks();
    let mut changes = turn.compare();
    if turn.look.join {
        changes = turn.join(&mut tx, changes).await?;
    }
    let seen = turn.write_sessions(&mut tx, changes).await?;
    turn.end_operations(&mut tx, &seen).await?;
    if !turn.applied.released.is_empty() {
        tx.forget_unneeded_logons().await?;
    }
    let Observation { number, at } = turn.observation;
    if let Some(last) = &turn.look.last {
        let unknown_after = if turn.applied.active {
            last.late_when_active
        } else {
            last.late_when_idle
        };
        let late_after = later(at, unknown_after);
        tx.set_observation(number, at, late_after).await?;
        if let Some(made) = last.oldest_damaged {
            tx.set_oldest_damaged(made).await?;
        }
        turn.applied.complete = true;
    } else {
        tx.begin_observation(number).await?;
    }
    turn.applied.number = number;
    tx.commit().await?;
    for (action, result) in turn.endings {
        metrics::counter!(names::OPERATIONS_ENDED, "action" => action, "result" => result).increment(1);
    }
    Ok(turn.applied)
}

/// A transaction in which no other replica observes.
pub(super) async fn begin_under(lease: &Lease, store: &Store) -> Result<Tx, Error> {
    let mut tx = store.begin().await?;
    if tx.holds(lease).await? {
        Ok(tx)
    } else {
        Err(Error::LeaseLost)
    }
}

/// One turn's work between the reading and the commit.
struct BatchWriter {
    look: Batch,
    unknown_after: Duration,
    observation: Observation,
    known: HashMap<EmId, SessionRecord>,
    /// The sessions that run by the store, where this is the last part.
    running: HashSet<EmId>,
    /// The keys of sessions whose row cannot be read: what EM shows of them waits until it can be.
    unread: HashSet<String>,
    operations: Vec<Operation>,
    as_read: HashMap<OperationId, Operation>,
    told: HashSet<OperationId>,
    /// Sessions that were passed over; what they mean for operations waits with them.
    passed_over: HashSet<EmId>,
    /// The sessions that EM showed in this part, and that could be compared.
    compared: HashSet<EmId>,
    /// The newest operations that are joined to the sessions that changed, ended ones included.
    behind: HashMap<EmId, Operation>,
    /// Action and result of the operations that ended, to be counted once that is committed.
    endings: Vec<(String, String)>,
    applied: BatchOutcome,
}

impl BatchWriter {
    async fn read(tx: &mut Tx, mut look: Batch, unknown_after: Duration) -> Result<Self, Error> {
        let observation = Observation {
            number: match look.number {
                Some(number) => number,
                None => tx.observation().await? + 1,
            },
            at: look.at,
        };
        let by_id = |record: SessionRecord| (record.facts.id.clone(), record);
        let shown: Vec<EmId> = look.sessions.iter().map(|facts| facts.id.clone()).collect();
        let operations = if look.join || look.last.is_some() {
            tx.unfinished_operations().await?
        } else {
            // A part in the middle is about its own sessions and tasks.
            let tasks: Vec<OperationId> = look.tasks.keys().copied().collect();
            tx.unfinished_operations_of(&shown, &tasks).await?
        };
        let mut unread: HashSet<String> = HashSet::new();
        let mut known: HashMap<EmId, SessionRecord> =
            std::mem::take(&mut look.known).into_iter().map(by_id).collect();
        // Whether a session is the only candidate of an operation shows only among all that are open.
        if look.join && operations.iter().any(follow::lacks_session) {
            let open = tx.open_sessions().await?;
            unread.extend(open.unreadable);
            known.extend(open.items.into_iter().map(by_id));
        }
        let mut others: HashSet<EmId> = shown.into_iter().collect();
        let of_operations = operations
            .iter()
            .filter_map(|operation| operation.session.as_ref());
        others.extend(of_operations.filter(|id| !look.in_step.contains(id)).cloned());
        let mut running = HashSet::new();
        if let Some(last) = &look.last {
            let open = tx.open_session_ids().await?;
            let is_due = |id: &&EmId| !last.shown.contains(*id) || last.unread.contains(*id);
            others.extend(open.stopped.iter().chain(&open.running).filter(is_due).cloned());
            running.extend(open.running);
        }
        let others: Vec<EmId> = others.into_iter().filter(|id| !known.contains_key(id)).collect();
        let others = tx.sessions_known(&others).await?;
        unread.extend(others.unreadable);
        known.extend(others.items.into_iter().map(by_id));
        let as_read = operations
            .iter()
            .map(|operation| (operation.id, operation.clone()))
            .collect();
        Ok(Self {
            look,
            unknown_after,
            observation,
            known,
            running,
            unread,
            operations,
            as_read,
            told: HashSet::new(),
            passed_over: HashSet::new(),
            compared: HashSet::new(),
            behind: HashMap::new(),
            endings: Vec::new(),
            applied: BatchOutcome::default(),
        })
    }

    /// What an event of this turn begins with.
    fn origin(&self, tx: &Tx) -> Origin<'_> {
        Origin {
            id: EventId::new(tx.clock().id()),
            at: self.observation.at,
            links: &self.look.links,
        }
    }

    fn follow_tasks(&mut self) {
        for operation in &mut self.operations {
            if let Some(report) = self.look.tasks.get(&operation.id) {
                follow::task_seen(operation, report, self.observation.at, self.unknown_after);
            }
        }
    }

    fn compare(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut in_reach: HashSet<EmId> = HashSet::new();
        for facts in std::mem::take(&mut self.look.sessions) {
            if in_reach.insert(facts.id.clone()) && !self.unread.contains(&facts.id.key()) {
                self.compared.insert(facts.id.clone());
                let facts = Arc::unwrap_or_clone(facts);
                changes.extend(observe::seen(self.known.get(&facts.id), facts, self.observation));
            }
        }
        changes.extend(self.absent(&in_reach));
        changes.sort_by_cached_key(|change| (change.record.facts.started_at, change.record.facts.id.key()));
        changes
    }

    /// What it means that all parts together lack sessions that are awaited.
    fn absent(&self, in_this_part: &HashSet<EmId>) -> Vec<Change> {
        let (since, mut changes) = (self.look.since, Vec::new());
        let Some(last) = &self.look.last else {
            return changes;
        };
        for record in self
            .known
            .values()
            .filter(|record| record.phase == SessionPhase::Open)
        {
            let covered =
                since.is_none_or(|since| record.facts.started_at.is_some_and(|started| started >= since));
            let id = &record.facts.id;
            // The wait for the result of one that had stopped continues although it cannot be read any more.
            let due = record.stopped_seen_at.is_some() && last.unread.contains(id);
            let missed = covered && !last.shown.contains(id);
            if !in_this_part.contains(id) && (missed || due) {
                changes.push(observe::absent(record, self.observation.at));
            }
        }
        changes
    }

    /// Writes what changed and what it means for operations; the sessions that have been observed, now or before.
    async fn write_sessions(&mut self, tx: &mut Tx, changes: Vec<Change>) -> Result<HashSet<EmId>, Error> {
        let changed: Vec<EmId> = changes
            .iter()
            .map(|change| change.record.facts.id.clone())
            .collect();
        self.behind = tx.newest_operations_of(&changed).await?;
        let mut current = std::mem::take(&mut self.known);
        let mut ending: HashSet<EmId> = HashSet::new();
        let mut by_step: Vec<(SessionRecord, Vec<Step>)> = Vec::with_capacity(changes.len());
        let mut going_on: HashSet<EmId> = HashSet::new();
        for Change { mut record, steps } in changes {
            let behind = self.operation_behind(&record);
            record.plan = behind
                .and_then(|operation| operation.plan.clone())
                .or_else(|| record.plan.take())
                .or_else(|| plan_match::resolve(&record.facts, &self.look.plans));
            if record.facts.backup_server.is_none() {
                record.facts.backup_server = record.plan.as_ref().and_then(|plan| plan.backup_server.clone());
            }
            let known = current.insert(record.facts.id.clone(), record.clone());
            if known.is_some_and(|known| record.goes_on_from(&known)) {
                going_on.insert(record.facts.id.clone());
            }
            if steps.contains(&Step::Finished) {
                ending.insert(record.facts.id.clone());
            }
            by_step.push((record, steps));
        }
        self.advance_operations(&current, &ending);
        self.save_late_joined(tx, &mut current, &by_step).await?;
        let (going_on, mut others): (Vec<_>, Vec<_>) = by_step
            .into_iter()
            .partition(|(record, _)| going_on.contains(&record.facts.id));
        let by_id = |record: SessionRecord| (record.facts.id.clone(), record);
        for some in in_portions(&going_on) {
            match self.write_together(tx, some).await? {
                Some(written) => current.extend(written.into_iter().map(by_id)),
                None => others.extend_from_slice(some),
            }
        }
        for (record, steps) in others {
            let (id, events) = (record.facts.id.clone(), self.applied.events);
            let mark = tx.mark().await?;
            match self.write_session(tx, record, steps).await {
                Ok(written) => {
                    tx.keep(mark).await?;
                    current.insert(id, written);
                }
                Err(error) => {
                    let reason = passed_over(error)?;
                    tx.undo(mark).await?;
                    self.applied.events = events;
                    self.applied.skipped.push((format!("session {id}"), reason));
                    self.passed_over.insert(id);
                }
            }
        }
        for record in current.values() {
            let runs = record.phase == SessionPhase::Open && !record.facts.state.is_stopped();
            if runs {
                self.running.insert(record.facts.id.clone());
            } else {
                self.running.remove(&record.facts.id);
            }
        }
        self.applied.active |= !self.running.is_empty();
        self.applied.running = self.running.len();
        let seen = current.keys().cloned().collect();
        let settled = current.into_values().filter(|record| {
            let id = &record.facts.id;
            is_settled(record) && self.compared.contains(id) && !self.passed_over.contains(id)
        });
        self.applied.settled = settled.collect();
        Ok(seen)
    }

    /// Writes the plan of the operation, and with it the tenant, to sessions that nothing else changed in this turn: one that
    /// was recorded without its plan may be joined later, when the task links it.
    async fn save_late_joined(
        &mut self,
        tx: &mut Tx,
        current: &mut HashMap<EmId, SessionRecord>,
        changed: &[(SessionRecord, Vec<Step>)],
    ) -> Result<(), Error> {
        for operation in &self.operations {
            let (Some(id), Some(plan)) = (&operation.session, &operation.plan) else {
                continue;
            };
            let record = current.get_mut(id).filter(|record| record.plan.is_none());
            if let Some(record) = record
                && !changed.iter().any(|(one, _)| one.facts.id == *id)
            {
                record.plan = Some(plan.clone());
                tx.save_session(record).await?;
            }
        }
        Ok(())
    }

    /// The newest operation that is joined to the session, ended ones included.
    fn operation_behind(&self, record: &SessionRecord) -> Option<&Operation> {
        let id = &record.facts.id;
        let unfinished = self
            .operations
            .iter()
            .rev()
            .find(|operation| operation.session.as_ref() == Some(id));
        unfinished.or_else(|| self.behind.get(id))
    }

    fn advance_operations(&mut self, current: &HashMap<EmId, SessionRecord>, ending: &HashSet<EmId>) {
        for operation in &mut self.operations {
            let Some(record) = operation.session.as_ref().and_then(|id| current.get(id)) else {
                continue;
            };
            follow::session_seen(operation, record, self.observation.at);
            if ending.contains(&record.facts.id) {
                // The session's own event reports the end; one that was written before the two were joined did not.
                self.told.insert(operation.id);
            }
        }
    }

    /// Writes sessions that go on together, as they are from now on; none where one of them is refused, and none is written.
    async fn write_together(
        &mut self,
        tx: &mut Tx,
        some: &[(SessionRecord, Vec<Step>)],
    ) -> Result<Option<Vec<SessionRecord>>, Error> {
        if some.len() < 2 {
            return Ok(None);
        }
        let mark = tx.mark().await?;
        let written = self.try_together(tx, some).await;
        match written {
            Ok(Some((records, events))) => {
                tx.keep(mark).await?;
                self.applied.events += events;
                return Ok(Some(records));
            }
            Ok(None) => {}
            Err(error) => drop(passed_over(error)?),
        }
        tx.undo(mark).await?;
        Ok(None)
    }

    /// The sessions as they were written, and how many events were; none where a session is not in the store.
    async fn try_together(
        &self,
        tx: &mut Tx,
        some: &[(SessionRecord, Vec<Step>)],
    ) -> Result<Option<(Vec<SessionRecord>, usize)>, Error> {
        let (mut records, mut events) = (Vec::with_capacity(some.len()), Vec::with_capacity(some.len()));
        for (record, steps) in some {
            let mut record = record.clone();
            events.extend(self.events_of(tx, &mut record, steps).await?);
            records.push(record);
        }
        tx.append_events(&events).await?;
        let written = tx.save_progress(records.iter()).await?;
        Ok(written.then_some((records, events.len())))
    }

    async fn write_session(
        &mut self,
        tx: &mut Tx,
        mut record: SessionRecord,
        steps: Vec<Step>,
    ) -> Result<SessionRecord, Error> {
        let events = self.events_of(tx, &mut record, &steps).await?;
        tx.append_events(&events).await?;
        self.applied.events += events.len();
        tx.save_session(&record).await?;
        Ok(record)
    }

    /// The events of what happened to a session, counted in its record.
    async fn events_of(
        &self,
        tx: &mut Tx,
        record: &mut SessionRecord,
        steps: &[Step],
    ) -> Result<Vec<NewEvent>, Error> {
        let mut events = Vec::with_capacity(steps.len());
        if steps.is_empty() {
            return Ok(events);
        }
        let operation = self.operation_behind(record);
        let session = Session {
            facts: record.facts.clone(),
            plan: record.plan.clone(),
            action: operation.and_then(Operation::failover_action),
            operation: operation.map(|operation| operation.id),
        };
        for step in steps {
            let (kind, machine) = match step {
                Step::Started => (EventType::SessionStarted, None),
                Step::Progressed => (EventType::SessionProgressed, None),
                Step::MachineFinished(name) => (EventType::MachineFinished, Some(name.as_str())),
                Step::Finished => (EventType::SessionFinished, None),
                Step::Lost => (EventType::SessionLost, None),
            };
            record.sequence += 1;
            let rto_seconds = match kind {
                EventType::SessionFinished => tx.rto_of(session.operation, Some(&session.facts.id)).await?,
                _ => None,
            };
            events.push(session_event(
                &self.origin(tx),
                kind,
                &session,
                operation,
                record.sequence,
                machine,
                rto_seconds,
            )?);
        }
        Ok(events)
    }

    async fn end_operations(&mut self, tx: &mut Tx, seen: &HashSet<EmId>) -> Result<(), Error> {
        let now = self.observation.at;
        for mut operation in std::mem::take(&mut self.operations) {
            let session = operation.session.as_ref();
            if session.is_some_and(|id| self.passed_over.contains(id)) {
                continue;
            }
            if let Some(last) = &self.look.last {
                let session_seen = session.is_some_and(|id| {
                    seen.contains(id) || last.shown.contains(id) || self.unread.contains(&id.key())
                });
                follow::expire(&mut operation, session_seen, now);
            }
            self.end_operation(tx, operation).await?;
        }
        Ok(())
    }

    async fn end_operation(&mut self, tx: &mut Tx, mut operation: Operation) -> Result<(), Error> {
        let before = self.as_read.get(&operation.id);
        let was_open = before.is_some_and(|before| before.state.is_open());
        let ended = was_open && !operation.state.is_open();
        let released = (!operation.state.is_open())
            .then(|| operation.release_logon(was_open))
            .flatten();
        let tells = ended && operation.emits_event() && !self.told.contains(&operation.id);
        if tells || before != Some(&operation) {
            let mark = tx.mark().await?;
            match self.write_operation(tx, &operation, tells).await {
                Ok(()) => tx.keep(mark).await?,
                Err(error) => {
                    let reason = passed_over(error)?;
                    tx.undo(mark).await?;
                    let what = format!("operation {}", operation.id);
                    self.applied.skipped.push((what, reason));
                    return Ok(());
                }
            }
        }
        if ended {
            let result = operation.result.as_ref();
            let result = result.map_or("unknown", OperationResult::as_str).to_owned();
            self.endings.push((operation.action.clone(), result));
        }
        self.applied.ended |= ended;
        self.applied.events += usize::from(tells);
        self.applied.released.extend(released);
        self.applied.active |= match operation.state {
            OperationState::Running => true,
            // Nothing at EM shows how a write through the mirror went: there is nothing to be quick about.
            OperationState::Submitting => operation.kind != OperationKind::Em,
            OperationState::AwaitingApproval | OperationState::Finished | OperationState::Unknown => false,
        };
        Ok(())
    }

    async fn write_operation(&self, tx: &mut Tx, operation: &Operation, tells: bool) -> Result<(), Error> {
        if tells {
            let rto_seconds = tx.rto_of(Some(operation.id), None).await?;
            let event = operation_event(&self.origin(tx), operation, rto_seconds)?;
            tx.append_event(&event).await?;
        }
        if self.as_read.get(&operation.id) != Some(operation) {
            tx.save_operation(operation).await?;
        }
        Ok(())
    }
}

/// Sessions that are written together; a plan may have thousands of machines.
fn in_portions(
    sessions: &[(SessionRecord, Vec<Step>)],
) -> impl Iterator<Item = &[(SessionRecord, Vec<Step>)]> {
    let mut machines = 0;
    sessions.chunk_by(move |(record, _), (next, _)| {
        machines += record.facts.machines.len();
        let goes_on = machines + next.facts.machines.len() <= MACHINES_TOGETHER;
        if !goes_on {
            machines = 0;
        }
        goes_on
    })
}

/// Why a row is passed over; an error that is not about the row alone ends the turn.
fn passed_over(error: Error) -> Result<String, Error> {
    let about_the_row = match &error {
        Error::Store(error) => error.is_about_the_row(),
        Error::Event(_) => true,
        Error::Upstream(_) | Error::LeaseLost => false,
    };
    if about_the_row {
        Ok(telemetry::chain(&error))
    } else {
        Err(error)
    }
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
