//! Writes what an observation means, or a part of one: sessions, operations and events in one transaction. A row that
//! the database refuses is passed over, so that it takes no other with it.

mod joining;
mod operations;
mod sessions;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

pub use super::batch::{Batch, BatchOutcome, Completion};
use super::observe::{self, Change, Observation, Step};
use super::settled::is_settled;
use super::{Error, follow, plan_match};
use crate::api_types::events::Origin;
use crate::clock::later;
use crate::domain::id::{EmId, EventId, OperationId};
use crate::domain::operation::Operation;
use crate::domain::session::{SessionFacts, SessionPhase, SessionRecord, in_portions};
use crate::store::replicas::Lease;
use crate::store::{Store, Tx};
use crate::telemetry;

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
    turn.found.iter().for_each(operations::tell_found);
    turn.endings.iter().for_each(operations::tell_end);
    let elsewhere = turn.ended_elsewhere.iter();
    elsewhere
        .filter(|facts| !turn.passed_over.contains(&facts.id))
        .for_each(sessions::tell_end);
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
    /// The operations as the store has them.
    as_read: HashMap<OperationId, Operation>,
    told: HashSet<OperationId>,
    /// Sessions that were passed over; what they mean for operations waits with them.
    passed_over: HashSet<EmId>,
    /// The sessions that EM showed in this part, and that could be compared.
    compared: HashSet<EmId>,
    /// The newest unfinished operation that is joined to each session, by its place among `operations`.
    joined: HashMap<EmId, usize>,
    /// The newest operations that are joined to the other sessions that changed.
    behind: HashMap<EmId, Operation>,
    /// The operations that were found to have begun, to be told of once that is committed.
    found: Vec<Operation>,
    /// The operations that ended, to be told of once that is committed.
    endings: Vec<Operation>,
    /// The sessions that ended and that no operation has started, likewise.
    ended_elsewhere: Vec<SessionFacts>,
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
        let (revision, operations) = &look.operations;
        let operations = if look.join || look.last.is_some() {
            if tx.is_still_at(*revision) {
                operations.to_vec()
            } else {
                tx.unfinished_operations().await?
            }
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
            joined: HashMap::new(),
            behind: HashMap::new(),
            found: Vec::new(),
            endings: Vec::new(),
            ended_elsewhere: Vec::new(),
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
        let operations = self.operations.iter().enumerate();
        let joined = operations.filter_map(|(at, operation)| Some((operation.session.clone()?, at)));
        self.joined = joined.collect();
        let changed: Vec<EmId> = changes
            .iter()
            .map(|change| change.record.facts.id.clone())
            .filter(|id| !self.joined.contains_key(id))
            .collect();
        self.behind = tx.newest_operations_of(&changed).await?;
        let mut current = std::mem::take(&mut self.known);
        let mut ending: HashSet<EmId> = HashSet::new();
        let mut by_step: Vec<(SessionRecord, Vec<Step>)> = Vec::with_capacity(changes.len());
        let mut going_on: HashSet<EmId> = HashSet::new();
        let mut elsewhere: Vec<SessionFacts> = Vec::new();
        for Change { mut record, steps } in changes {
            let behind = self.operation_behind(&record);
            if behind.is_none() && steps.contains(&Step::Finished) {
                elsewhere.push(record.facts.clone());
            }
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
        self.ended_elsewhere = elsewhere;
        self.advance_operations(&current, &ending);
        self.save_late_joined(tx, &mut current, &by_step).await?;
        let (going_on, mut others): (Vec<_>, Vec<_>) = by_step
            .into_iter()
            .partition(|(record, _)| going_on.contains(&record.facts.id));
        for some in in_portions(&going_on, MACHINES_TOGETHER, |(record, _)| record) {
            match self.write_together(tx, some).await? {
                Some(sequences) => {
                    for ((record, _), sequence) in some.iter().zip(sequences) {
                        if let Some(written) = current.get_mut(&record.facts.id) {
                            written.sequence = sequence;
                        }
                    }
                }
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
        let unfinished = self.joined.get(id).and_then(|at| self.operations.get(*at));
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
