//! Failover sessions: what EM says of one, and what it means.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{EmId, OperationId};
use super::name::lower_camel;
use super::plan::{ActionKind, PlanRef, Reference};

/// How far a session, or a machine within it, has come (EM page `get_cloudfailoversessions_id`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionState {
    /// It was created and does not work yet.
    Starting,
    /// It works.
    Working,
    /// It is being stopped.
    Stopping,
    /// It has ended.
    Stopped,
    /// A word of EM's that is not documented; taken as not ended.
    Other(String),
}

impl SessionState {
    /// Reads EM's word.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "starting" => Self::Starting,
            "working" => Self::Working,
            "stopping" => Self::Stopping,
            "stopped" => Self::Stopped,
            _ => Self::Other(word.to_owned()),
        }
    }

    /// The word in the JSON and in the store.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Starting => "starting".to_owned(),
            Self::Working => "working".to_owned(),
            Self::Stopping => "stopping".to_owned(),
            Self::Stopped => "stopped".to_owned(),
            Self::Other(word) => lower_camel(word),
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped)
    }
}

/// How a session ended. EM's `None`, and nothing at all, are no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionResult {
    /// All machines came up.
    Success,
    /// It ended with remarks.
    Warning,
    /// It failed.
    Failed,
    /// A word of EM's that is not documented.
    Other(String),
}

impl SessionResult {
    /// Reads EM's word; `None` and empty mean that there is no result yet.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "" | "none" => None,
            "success" => Some(Self::Success),
            "warning" => Some(Self::Warning),
            "failed" => Some(Self::Failed),
            _ => Some(Self::Other(word.to_owned())),
        }
    }

    /// The word in the JSON and in the store.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Success => "success".to_owned(),
            Self::Warning => "warning".to_owned(),
            Self::Failed => "failed".to_owned(),
            Self::Other(word) => lower_camel(word),
        }
    }
}

/// A failover session as EM described it at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFacts {
    /// The session's id.
    pub id: EmId,
    /// EM's URN for it.
    pub uid: Option<String>,
    /// The name of the plan it runs: the session's own name at EM.
    pub plan_name: String,
    /// EM's `JobUid`, which names the plan where EM sends it.
    pub job: Option<EmId>,
    /// EM's `JobType`, as EM spells it.
    pub job_type: Option<String>,
    /// The backup server it runs on; the query's rows lack it.
    pub backup_server: Option<Reference>,
    /// How far it has come.
    pub state: SessionState,
    /// How it ended.
    pub result: Option<SessionResult>,
    /// Percent; may stay 0 to the end, so nothing depends on it.
    pub progress: Option<i64>,
    /// When EM created it, by EM's clock.
    pub started_at: Option<Timestamp>,
    /// When it ended, by EM's clock.
    pub ended_at: Option<Timestamp>,
    /// Why it failed, in EM's words.
    pub failure_message: Option<String>,
    /// Its machines.
    pub machines: Vec<MachineFacts>,
}

/// One machine within a failover session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFacts {
    /// The machine's name.
    pub name: String,
    /// How far it has come.
    pub state: SessionState,
    /// How it ended.
    pub result: Option<SessionResult>,
    /// Percent.
    pub progress: Option<i64>,
    /// When it was begun, by EM's clock.
    pub started_at: Option<Timestamp>,
    /// When it ended, by EM's clock.
    pub ended_at: Option<Timestamp>,
    /// Why it failed, in EM's words.
    pub failure_message: Option<String>,
    /// The restore point it came up from.
    pub replica_point: Option<Reference>,
}

/// A failover session with what the gateway knows beside EM's facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What EM says.
    pub facts: SessionFacts,
    /// The plan it runs, when that is certain.
    pub plan: Option<PlanRef>,
    /// What was asked, when it was asked through the gateway.
    pub action: Option<ActionKind>,
    /// The operation that asked for it.
    pub operation: Option<OperationId>,
}
