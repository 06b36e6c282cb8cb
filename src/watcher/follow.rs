//! What an observation means for operations: joins them with sessions, follows their tasks, ends them. Pure.
//!
//! Rules: docs/behaviour.md#joining and #actions. EM's clock is not used: a session belongs to an operation
//! by the task's link, else by the plan's name when exactly one session came up since the request.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::later;
use crate::domain::id::EmId;
use crate::domain::operation::{
    Failure, FailureSource, Operation, OperationKind, OperationResult, OperationState, ResultSource,
    TaskState,
};
use crate::domain::session::{SessionFacts, SessionPhase, SessionRecord, SessionResult};

/// How long after its time for evidence an operation may still be joined by name. What comes up later than that was
/// started by another client.
const LATE: Duration = Duration::from_hours(24);

/// What EM says of an operation's task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskReport {
    /// Its state; lost when EM does not know it any more.
    pub state: TaskState,
    /// Whether it went well, once EM says so.
    pub success: Option<bool>,
    /// EM's message.
    pub message: Option<String>,
    /// The session it links.
    pub session: Option<EmId>,
}

/// Takes over what EM says of the operation's task; true when anything changed.
pub fn task_seen(
    operation: &mut Operation,
    report: &TaskReport,
    now: Timestamp,
    unknown_after: Duration,
) -> bool {
    if operation.state == OperationState::Finished {
        return false;
    }
    let before = operation.clone();
    let Some(task) = operation.task.as_mut() else {
        return false;
    };
    let lost_now = report.state == TaskState::Lost && !task.is_gone();
    // What was read before the removal is older than it, and what is read after it is what the removal made.
    if task.state != TaskState::Removed {
        task.state = report.state.clone();
    }
    task.message = report.message.clone().or(task.message.take());
    if lost_now {
        operation.evidence_deadline = later(now, unknown_after);
    }
    if let Some(session) = &report.session {
        if operation.session.is_none() {
            // From here on the session is the evidence, and it has to show itself in time.
            operation.evidence_deadline = operation.evidence_deadline.max(later(now, unknown_after));
        }
        operation.session = Some(session.clone());
    }
    if report.state == TaskState::Finished && operation.session.is_none() {
        match report.success {
            Some(false) => {
                operation.failure = Some(Failure {
                    message: report
                        .message
                        .clone()
                        .unwrap_or_else(|| "Enterprise Manager reported the task as failed".to_owned()),
                    source: FailureSource::Task,
                });
                operation.finish(Some(OperationResult::Failed), Some(ResultSource::Task), now);
            }
            _ if !operation.expects_session() => {
                operation.finish(Some(OperationResult::Success), Some(ResultSource::Task), now);
            }
            // The link may still come, or the session be seen; the deadline decides otherwise.
            _ => {}
        }
    }
    *operation != before
}

/// Joins operations without a session with the sessions that may be theirs. A pair is made only when neither
/// side has a second candidate. An operation that was called unknown is no rival of one that still waits: it had its
/// time, and would else keep every later request of that plan from being found. `had`: the sessions that operations
/// have which are not among `operations`, because they ended.
pub(super) fn join<S: Borrow<SessionRecord>>(
    operations: &mut [Operation],
    sessions: &[S],
    had: &[EmId],
    now: Timestamp,
) {
    let waiting = |operation: &Operation| waits_for_session(operation, now);
    for (at, session) in pairs(operations, sessions, had, waiting) {
        if let Some(operation) = operations.get_mut(at) {
            operation.session = Some(session);
        }
    }
}

/// The sessions that only one operation can have started, one whose answer may still come: they would be joined with it
/// if it could not.
pub(super) fn awaiting_answer<S: Borrow<SessionRecord>>(
    operations: &[Operation],
    sessions: &[S],
    had: &[EmId],
    now: Timestamp,
) -> HashSet<EmId> {
    let pairs = pairs(operations, sessions, had, lacks_session).into_iter();
    pairs
        .filter(|(at, _)| operations.get(*at).is_some_and(|one| awaits_answer(one, now)))
        .map(|(_, session)| session)
        .collect()
}

/// The pairs of an operation, by its place, and a session: those `waiting` whose only candidate has no other.
fn pairs<S: Borrow<SessionRecord>>(
    operations: &[Operation],
    sessions: &[S],
    had: &[EmId],
    waiting: impl Fn(&Operation) -> bool,
) -> Vec<(usize, EmId)> {
    // What was called unknown would run again and keep its plan busy, which another may be doing at this moment.
    let busy: HashSet<EmId> = operations
        .iter()
        .filter(|operation| operation.state.is_open())
        .filter_map(|operation| Some(operation.plan.as_ref()?.id.clone()))
        .collect();
    let may_run = |operation: &Operation| {
        operation.state.is_open()
            || operation
                .plan
                .as_ref()
                .is_none_or(|plan| !busy.contains(&plan.id))
    };
    let mut taken = had.to_vec();
    taken.extend(
        operations
            .iter()
            .filter_map(|operation| operation.session.clone()),
    );
    let fits = |operation: &Operation, session: &SessionRecord| {
        session.first_observation > operation.seen_observation
            && !taken.contains(&session.facts.id)
            && operation.plan.as_ref().is_some_and(|plan| match &session.plan {
                Some(own) => own.id == plan.id,
                None => session.facts.may_run(plan),
            })
            && (operation.state.is_open()
                || session.first_seen_at <= later(operation.evidence_deadline, LATE))
    };
    operations
        .iter()
        .enumerate()
        .filter(|(_, operation)| waiting(operation) && may_run(operation))
        .filter_map(|(at, operation)| {
            let sessions = sessions.iter().map(Borrow::borrow);
            let mut candidates = sessions.filter(|session| fits(operation, session));
            let only = candidates.next()?;
            let rivals = operations
                .iter()
                .filter(|other| waiting(other) && fits(other, only))
                .filter(|other| other.state.is_open() || !operation.state.is_open())
                .count();
            (candidates.next().is_none() && rivals == 1).then(|| (at, only.facts.id.clone()))
        })
        .collect()
}

/// Whether an operation may be joined with a session by name.
pub fn waits_for_session(operation: &Operation, now: Timestamp) -> bool {
    lacks_session(operation) && !awaits_answer(operation, now)
}

/// Whether EM's answer to its request may still come.
pub fn awaits_answer(operation: &Operation, now: Timestamp) -> bool {
    operation.state == OperationState::Submitting && now < operation.answer_due
}

/// Whether it is to have a session and has none.
pub fn lacks_session(operation: &Operation) -> bool {
    // What was approved and not sent yet has started nothing.
    operation.session.is_none()
        && !operation.is_unsent()
        && operation.expects_session()
        && operation.state != OperationState::Finished
}

/// Takes over what its session says; true when the operation ended by it.
pub fn session_seen(operation: &mut Operation, session: &SessionRecord, now: Timestamp) -> bool {
    let facts = &session.facts;
    match operation.state {
        OperationState::Finished | OperationState::AwaitingApproval => return false,
        OperationState::Submitting => {
            operation.step(
                OperationState::Running,
                now,
                Some("its session was found at Enterprise Manager".to_owned()),
            );
        }
        OperationState::Unknown if session.phase != SessionPhase::Lost => {
            operation.step(
                OperationState::Running,
                now,
                Some("its session appeared after all".to_owned()),
            );
        }
        OperationState::Running | OperationState::Unknown => {}
    }
    match session.phase {
        SessionPhase::Open => {
            operation.progress = progress_of(facts);
            false
        }
        SessionPhase::Ended => {
            operation.failure = failure_of(facts);
            operation.finish(
                facts.result.clone().map(Into::into),
                Some(ResultSource::Session),
                now,
            );
            true
        }
        SessionPhase::Lost => give_up(
            operation,
            now,
            "Enterprise Manager no longer knows the failover session; how it ended is not known",
        ),
    }
}

/// Whether a session that runs has nothing more to say to an operation that is joined with it: [`session_seen`] would change
/// nothing.
pub(super) fn is_in_step(operation: &Operation, facts: &SessionFacts) -> bool {
    operation.state == OperationState::Running
        && !facts.state.is_stopped()
        && operation.progress == progress_of(facts)
}

fn progress_of(facts: &SessionFacts) -> i64 {
    facts.progress.unwrap_or(0).clamp(0, 100)
}

fn failure_of(facts: &SessionFacts) -> Option<Failure> {
    let failed = matches!(facts.result, Some(SessionResult::Failed));
    let message = match &facts.failure_message {
        Some(message) if !message.is_empty() => message.clone(),
        _ if failed => "the failover session failed and Enterprise Manager gave no reason".to_owned(),
        _ => return None,
    };
    Some(Failure {
        message,
        source: FailureSource::Session,
    })
}

/// Ends what no evidence was found for in time; true when the operation's end is to be reported. `seen`: the session it is
/// joined with has been observed, so that the session decides.
pub fn expire(operation: &mut Operation, seen: bool, now: Timestamp) -> bool {
    if seen || operation.is_unsent() || now < operation.evidence_deadline {
        return false;
    }
    if operation.session.is_some() && operation.state.is_open() {
        return give_up(
            operation,
            now,
            "its task named a failover session that Enterprise Manager does not show; how it ended is not known",
        );
    }
    match (operation.state, operation.task.as_ref().map(|task| &task.state)) {
        (OperationState::Submitting, _) if operation.kind == OperationKind::Em => give_up(
            operation,
            now,
            "Enterprise Manager's answer to the request was lost; only reading what it was to change shows whether it acted",
        ),
        (OperationState::Submitting, _) => give_up(
            operation,
            now,
            "Enterprise Manager's answer to the request was lost and nothing was found there that shows whether it acted",
        ),
        (OperationState::Running, Some(TaskState::Lost)) => give_up(
            operation,
            now,
            "the task was lost with its logon session before it reported how the work ended",
        ),
        (OperationState::Running, Some(TaskState::Finished)) => {
            operation.finish(Some(OperationResult::Success), Some(ResultSource::Task), now);
            true
        }
        _ => false,
    }
}

fn give_up(operation: &mut Operation, now: Timestamp, reason: &str) -> bool {
    if operation.state == OperationState::Unknown {
        return false;
    }
    operation.failure = Some(Failure {
        message: reason.to_owned(),
        source: FailureSource::Gateway,
    });
    operation.step(OperationState::Unknown, now, Some(reason.to_owned()));
    true
}

/// Whether the operation's task is still worth asking EM about.
#[must_use]
pub fn awaits_task(operation: &Operation) -> bool {
    operation.state == OperationState::Running
        && operation
            .task
            .as_ref()
            .is_some_and(|task| task.logon.is_some() && !task.is_gone() && task.state != TaskState::Finished)
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
