//! Writes sessions with the events of what happened to them, those that go on together.

use super::{BatchWriter, Step, passed_over};
use crate::api_types::events::session_event;
use crate::domain::event::{EventType, NewEvent};
use crate::domain::operation::Operation;
use crate::domain::session::{Session, SessionFacts, SessionRecord, SessionResult};
use crate::store::Tx;
use crate::watcher::Error;

impl BatchWriter {
    /// Writes sessions that go on together; how many events have been made of each from now on. None where one of them is refused,
    /// and none is written.
    pub(super) async fn write_together(
        &mut self,
        tx: &mut Tx,
        some: &[(SessionRecord, Vec<Step>)],
    ) -> Result<Option<Vec<i64>>, Error> {
        if some.len() < 2 {
            return Ok(None);
        }
        let mark = tx.mark().await?;
        let written = self.try_together(tx, some).await;
        match written {
            Ok(Some((sequences, events))) => {
                tx.keep(mark).await?;
                self.applied.events += events;
                return Ok(Some(sequences));
            }
            Ok(None) => {}
            Err(error) => drop(passed_over(error)?),
        }
        tx.undo(mark).await?;
        Ok(None)
    }

    /// How many events have been made of each, and how many were written; none where a session is not in the store.
    async fn try_together(
        &self,
        tx: &mut Tx,
        some: &[(SessionRecord, Vec<Step>)],
    ) -> Result<Option<(Vec<i64>, usize)>, Error> {
        let (mut sequences, mut events) = (Vec::with_capacity(some.len()), Vec::with_capacity(some.len()));
        for (record, steps) in some {
            let made = self.events_of(tx, record, steps).await?;
            sequences.push(sequence_after(record, &made));
            events.extend(made);
        }
        tx.append_events(&events).await?;
        let records = some.iter().map(|(record, _)| record);
        let written = tx.save_progress(records.zip(sequences.iter().copied())).await?;
        Ok(written.then_some((sequences, events.len())))
    }

    pub(super) async fn write_session(
        &mut self,
        tx: &mut Tx,
        mut record: SessionRecord,
        steps: Vec<Step>,
    ) -> Result<SessionRecord, Error> {
        let events = self.events_of(tx, &record, &steps).await?;
        record.sequence = sequence_after(&record, &events);
        tx.append_events(&events).await?;
        self.applied.events += events.len();
        tx.save_session(&record).await?;
        Ok(record)
    }

    /// The events of what happened to a session, numbered from those on that its record counts.
    async fn events_of(
        &self,
        tx: &mut Tx,
        record: &SessionRecord,
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
        for (step, sequence) in steps.iter().zip(record.sequence + 1..) {
            let (kind, machine) = match step {
                Step::Started => (EventType::SessionStarted, None),
                Step::Progressed => (EventType::SessionProgressed, None),
                Step::MachineFinished(name) => (EventType::MachineFinished, Some(name.as_str())),
                Step::Finished => (EventType::SessionFinished, None),
                Step::Lost => (EventType::SessionLost, None),
            };
            let rto_seconds = match kind {
                EventType::SessionFinished => tx.rto_of(session.operation, Some(&session.facts.id)).await?,
                _ => None,
            };
            events.push(session_event(
                &self.origin(tx),
                kind,
                &session,
                operation,
                sequence,
                machine,
                rto_seconds,
            )?);
        }
        Ok(events)
    }
}

/// How many events have been made of a session with these.
fn sequence_after(record: &SessionRecord, events: &[NewEvent]) -> i64 {
    let last = events.last().and_then(|event| event.routing.sequence);
    last.unwrap_or(record.sequence)
}

/// Tells operators of the end of a session that no operation has started, once it was committed. With an operation, the line of
/// its end says it.
pub(super) fn tell_end(facts: &SessionFacts) {
    let (session, plan_name) = (&facts.id, facts.plan_name.as_str());
    let result = facts.result.as_ref().map_or("none", SessionResult::as_str);
    let reason = facts.failure_message.as_deref();
    match facts.result {
        Some(SessionResult::Success) => {
            tracing::info!(%session, plan_name, result, "a failover that was started elsewhere ended");
        }
        _ => {
            tracing::warn!(%session, plan_name, result, reason, "a failover that was started elsewhere ended");
        }
    }
}
