//! Operations: what the gateway was asked to do, from the request to the outcome.
//!
//! An operation is durable before anything is sent to EM. `Submitting` means that the outcome of the request is
//! not known yet; such an operation is resolved by looking at EM, never by sending again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::id::{EmId, LogonId, OperationId, TaskId};
use super::plan::{ActionKind, PlanRef};
use super::session::SessionResult;

/// What kind of work an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// An action on a failover plan.
    Failover,
    /// A change of a plan.
    Update,
    /// The removal of a plan.
    Delete,
    /// Any other write through the mirror.
    Em,
}

/// The state of an operation (docs/behaviour.md#actions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationState {
    /// Recorded; whether EM took it is not known yet.
    Submitting,
    /// EM took it and works on it.
    Running,
    /// It has ended, and how is known.
    Finished,
    /// Nothing was found at EM that tells how it went.
    Unknown,
}

impl OperationState {
    /// Whether it still keeps its plan busy.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Submitting | Self::Running)
    }
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OperationResult {
    /// It did what was asked.
    Success,
    /// It did, with remarks.
    Warning,
    /// It did not.
    Failed,
    /// It was called off.
    Cancelled,
    /// EM gave the session a result that is not documented.
    Other(String),
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

/// Where the result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResultSource {
    /// The failover session ended.
    Session,
    /// EM finished the task; what the machines do is not known.
    Task,
}

/// Who reports a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureSource {
    /// EM's task.
    Task,
    /// EM's failover session.
    Session,
    /// The gateway.
    Gateway,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For people; EM's words are quoted.
    pub message: String,
    /// Who says so.
    pub source: FailureSource,
}

/// EM's states of a task, and the gateway's word for one that EM no longer knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// The backup server works.
    Running,
    /// Done on the backup server; EM has not collected the outcome yet, which may take 15 minutes.
    OperationFinished,
    /// Done and collected.
    Finished,
    /// It vanished with its logon session, or was removed.
    Lost,
    /// A word of EM's that is not documented.
    Other(String),
}

/// An EM task that an operation follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationTask {
    /// Its id within its logon session.
    pub id: TaskId,
    /// The logon session it lives in; absent once that is gone for good.
    pub logon: Option<LogonId>,
    /// Its last known state.
    pub state: TaskState,
    /// EM's message with its result.
    pub message: Option<String>,
}

/// A step in an operation's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStep {
    /// The state it went into.
    pub state: OperationState,
    /// When.
    pub at: Timestamp,
    /// Why, where that is not plain.
    pub reason: Option<String>,
}

/// Something the gateway was asked to do.
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
    /// Where it stands.
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
    /// Who asked, by the token.
    pub requested_by: Option<String>,
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
    /// Its life so far, oldest first.
    pub history: Vec<HistoryStep>,
}

impl Operation {
    /// Goes into `state` and records the step.
    pub fn step(&mut self, state: OperationState, at: Timestamp, reason: Option<String>) {
        self.state = state;
        self.history.push(HistoryStep { state, at, reason });
    }

    /// Ends with `result`. A result of `None` means that EM told none.
    pub fn finish(&mut self, result: Option<OperationResult>, source: Option<ResultSource>, at: Timestamp) {
        self.step(OperationState::Finished, at, None);
        self.result = result;
        self.result_source = source;
        self.progress = 100;
        self.finished_at = Some(at);
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

    /// Whether its end is an event. Writes through the mirror are not told: receivers wait for failovers, and would
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
        if self.kind == OperationKind::Em && task.state != TaskState::Lost {
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
}

/// The words of the operation's enumerations, in the JSON and in the store.
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// The word in the JSON and in the store.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Reads the word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }
    };
}

words!(OperationKind { Failover = "failover", Update = "update", Delete = "delete", Em = "em" });
words!(OperationState {
    Submitting = "submitting",
    Running = "running",
    Finished = "finished",
    Unknown = "unknown",
});
words!(ResultSource { Session = "session", Task = "task" });
words!(FailureSource { Task = "task", Session = "session", Gateway = "gateway" });

impl OperationResult {
    /// The word in the JSON and in the store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Other(word) => word,
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "success" => Self::Success,
            "warning" => Self::Warning,
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl TaskState {
    /// The word in the JSON and in the store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Running => "running",
            Self::OperationFinished => "operationFinished",
            Self::Finished => "finished",
            Self::Lost => "lost",
            Self::Other(word) => word,
        }
    }

    /// Reads the gateway's word.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "running" => Self::Running,
            "operationFinished" => Self::OperationFinished,
            "finished" => Self::Finished,
            "lost" => Self::Lost,
            other => Self::Other(other.to_owned()),
        }
    }
}
