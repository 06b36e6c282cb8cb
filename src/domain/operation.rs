//! Operations: what the gateway was asked to do, from the request to the outcome.
//!
//! An operation is durable before anything is sent to EM. `Submitting` means that the outcome of the request is
//! not known yet; such an operation is resolved by looking at EM, never by sending again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::access::{Caller, Principal};
use super::approval::Approval;
use super::id::{EmId, LogonId, OperationId, TaskId};
use super::plan::{ActionKind, PlanRef};
use super::session::SessionResult;
use super::words::words;

words! {
    /// What kind of work an operation is.
    pub enum OperationKind {
        /// An action on a failover plan.
        Failover = "failover",
        /// A change of a plan.
        Update = "update",
        /// The removal of a plan.
        Delete = "delete",
        /// Any other write through the mirror.
        Em = "em",
    }
}

words! {
    /// The state of an operation (docs/behaviour.md#actions).
    pub enum OperationState {
        /// Recorded; a policy holds it back until others have approved it. Nothing was sent.
        AwaitingApproval = "awaitingApproval",
        /// Recorded; whether EM accepted it is not known yet.
        Submitting = "submitting",
        /// EM accepted it and works on it.
        Running = "running",
        /// It has ended, and how is known.
        Finished = "finished",
        /// Nothing was found at EM that shows how it went.
        Unknown = "unknown",
    }
}

impl OperationState {
    /// Whether its end is still awaited.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::AwaitingApproval | Self::Submitting | Self::Running)
    }
}

words! {
    /// How an operation ended.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    open enum OperationResult {
        /// It did what was asked.
        Success = "success",
        /// It did, with remarks.
        Warning = "warning",
        /// It did not.
        Failed = "failed",
        /// It was cancelled.
        Cancelled = "cancelled",
    }
}

impl From<SessionResult> for OperationResult {
    fn from(result: SessionResult) -> Self {
        match result {
            SessionResult::Success => Self::Success,
            SessionResult::Warning => Self::Warning,
            SessionResult::Failed => Self::Failed,
            SessionResult::Other(word) => Self::Other(word),
        }
    }
}

words! {
    /// Where the result comes from.
    pub enum ResultSource {
        /// The failover session ended.
        Session = "session",
        /// EM finished the task; what the machines do is not known.
        Task = "task",
    }
}

words! {
    /// Who reports a failure.
    pub enum FailureSource {
        /// EM's task.
        Task = "task",
        /// EM's failover session.
        Session = "session",
        /// The gateway.
        Gateway = "gateway",
        /// A policy, or those who decide by it.
        Policy = "policy",
    }
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For people; EM's words are quoted.
    pub message: String,
    /// Who says so.
    pub source: FailureSource,
}

words! {
    /// EM's states of a task, and the gateway's words for one that EM no longer has.
    #[derive(Debug, Clone, PartialEq, Eq)]
    open enum TaskState {
        /// The backup server works.
        Running = "running",
        /// Done on the backup server; EM has not collected the outcome yet, which may take 15 minutes.
        OperationFinished = "operationFinished",
        /// Done and collected.
        Finished = "finished",
        /// EM removed it for a cancellation. Work on the backup server may go on.
        Removed = "removed",
        /// EM no longer knows it, and the gateway did not have it removed: it vanished with its logon session, say.
        Lost = "lost",
    }
}

/// An EM task that an operation follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationTask {
    /// Its id within its logon session.
    pub id: TaskId,
    /// The logon session it lives in; absent once that is gone for good.
    pub logon: Option<LogonId>,
    /// Its last known state. Once the operation has ended it is not read any more.
    pub state: TaskState,
    /// EM's message with its result.
    pub message: Option<String>,
}

/// A change of an operation's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStep {
    /// The new state.
    pub state: OperationState,
    /// When.
    pub at: Timestamp,
    /// The reason, where the state alone does not explain it.
    pub reason: Option<String>,
}

/// What a caller requested, from the request to its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// What kind of work it is.
    pub kind: OperationKind,
    /// `test`, `start`, `undo`, `update`, `delete`, or EM's own word.
    pub action: String,
    /// The plan it acts on.
    pub plan: Option<PlanRef>,
    /// The path it acts on, for writes through the mirror.
    pub target: Option<String>,
    /// Its state.
    pub state: OperationState,
    /// How it ended.
    pub result: Option<OperationResult>,
    /// Where the result comes from.
    pub result_source: Option<ResultSource>,
    /// Percent; the session's, 100 when finished.
    pub progress: i64,
    /// EM's task.
    pub task: Option<OperationTask>,
    /// EM's failover session, once the two are joined.
    pub session: Option<EmId>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The caller, as the token names it.
    pub requested_by: Option<String>,
    /// The issuer of the caller's token.
    pub requester_issuer: Option<String>,
    /// On whose behalf, where the caller is a schedule: who set it.
    pub on_behalf_of: Option<Principal>,
    /// The `traceparent` of its request, which what comes of it points to.
    pub traceparent: Option<String>,
    /// Why the caller asked for it.
    pub reason: Option<String>,
    /// The approvals that it needs, if a policy holds it back or did.
    pub approval: Option<Approval>,
    /// Whether it was approved and its sending has not begun. Found so with its process gone, it was not sent.
    pub unsent: bool,
    /// When the row was written.
    pub requested_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When a caller asked to stop it.
    pub cancel_requested_at: Option<Timestamp>,
    /// The masked address of its one-off callback.
    pub callback_url: Option<String>,
    /// The caller's own notes.
    pub metadata: BTreeMap<String, String>,
    /// The number of the last complete observation when the row was written: a session that was seen by then
    /// was not started by this operation.
    pub seen_observation: i64,
    /// Until when EM's answer to the request may still arrive; passed already where the process that would get it is
    /// gone. Before that, a session that appears is not joined to an operation in `Submitting`: EM may yet refuse the
    /// request because of that very session.
    pub answer_due: Timestamp,
    /// When it is given up as unknown unless something is found at EM.
    pub evidence_deadline: Timestamp,
    /// Its changes of state, oldest first.
    pub history: Vec<HistoryStep>,
}

impl OperationTask {
    /// Whether EM no longer has it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.state, TaskState::Removed | TaskState::Lost)
    }
}

impl Operation {
    /// Goes into `state` and records the step.
    pub fn step(&mut self, state: OperationState, at: Timestamp, reason: Option<String>) {
        self.state = state;
        self.history.push(HistoryStep { state, at, reason });
    }

    /// Ends with `result`. A result of `None` means that EM gave none.
    pub fn finish(&mut self, result: Option<OperationResult>, source: Option<ResultSource>, at: Timestamp) {
        self.step(OperationState::Finished, at, None);
        self.result = result;
        self.result_source = source;
        self.progress = 100;
        self.finished_at = Some(at);
    }

    /// Whether it goes on from what is known of it: it has come to another percentage, and nothing else changed.
    #[must_use]
    pub fn goes_on_from(&self, known: &Self) -> bool {
        let as_far = |percent| Self {
            progress: percent,
            ..self.clone()
        };
        self.progress != known.progress && as_far(known.progress) == *known
    }

    /// What the failover plan was asked to do, if this is an action on one.
    #[must_use]
    pub fn failover_action(&self) -> Option<ActionKind> {
        if self.kind == OperationKind::Failover {
            ActionKind::parse(&self.action)
        } else {
            None
        }
    }

    /// Whether its end is an event. The end of a write through the mirror is no event: receivers wait for failovers, and would
    /// be flooded by every edit of a job.
    #[must_use]
    pub fn emits_event(&self) -> bool {
        self.kind != OperationKind::Em
    }

    /// The logon session that its task needs no longer, now that it has ended. `now`: it ended just now.
    ///
    /// The task of a write through the mirror keeps its address, since callers go on reading it there for as long as
    /// that session happens to live.
    pub fn release_logon(&mut self, now: bool) -> Option<LogonId> {
        let task = self.task.as_mut()?;
        if self.kind == OperationKind::Em && !task.is_gone() {
            task.logon.filter(|_| now)
        } else {
            task.logon.take()
        }
    }

    /// Whether EM records a failover session for it.
    #[must_use]
    pub fn expects_session(&self) -> bool {
        match (&self.plan, self.failover_action()) {
            (Some(plan), Some(action)) => action.has_session(plan.kind),
            _ => false,
        }
    }

    /// Whether this caller may decide on it: neither its requester, nor on whose behalf it is, nor an earlier approver. A caller whose token names
    /// nobody may be either.
    #[must_use]
    pub fn may_be_decided_by(&self, caller: &Caller) -> bool {
        let is =
            |name: &Option<String>, issuer: &Option<String>| *name == caller.name && *issuer == caller.issuer;
        let given = self.approval.iter().flat_map(|approval| &approval.given);
        caller.name.is_some()
            && !is(&self.requested_by, &self.requester_issuer)
            && !self.on_behalf_of.as_ref().is_some_and(|one| one.is(caller))
            && !given.into_iter().any(|one| is(&one.by, &one.issuer))
    }

    /// Whether its last approval was given and its sending has not begun.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.state == OperationState::Submitting && self.unsent
    }

    /// Ends it without having been sent, since a policy did not let it pass.
    pub fn end_by_policy(&mut self, message: &str, at: Timestamp) {
        self.failure = Some(Failure {
            message: message.to_owned(),
            source: FailureSource::Policy,
        });
        self.finish(Some(OperationResult::Cancelled), None, at);
    }
}
