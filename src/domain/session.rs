//! Failover sessions: what EM says of one, and what it means.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{EmId, OperationId};
use super::plan::{ActionKind, PlanRef, Reference};
use super::words::words;
use crate::text::lower_camel;

words! {
    /// How far a session, or a machine within it, has come (EM page `get_cloudfailoversessions_id`).
    #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
    open enum SessionState {
        /// It was created and does not work yet.
        Starting = "starting",
        /// It works.
        Working = "working",
        /// It is being stopped.
        Stopping = "stopping",
        /// It has ended.
        Stopped = "stopped",
    }
}

impl SessionState {
    /// The word in the JSON and in the store.
    #[must_use]
    pub fn word(&self) -> String {
        lower_camel(self.as_str())
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped)
    }
}

words! {
    /// How a session ended. EM's `None`, and nothing at all, are no result.
    #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
    open enum SessionResult {
        /// All machines came up.
        Success = "success",
        /// It ended with remarks.
        Warning = "warning",
        /// It failed.
        Failed = "failed",
    }
}

impl SessionResult {
    /// Reads EM's word; `None` and empty mean that there is no result yet.
    #[must_use]
    pub fn reported(word: &str) -> Option<Self> {
        let none = word.is_empty() || word.eq_ignore_ascii_case("none");
        (!none).then(|| Self::parse(word))
    }

    /// The word in the JSON and in the store.
    #[must_use]
    pub fn word(&self) -> String {
        lower_camel(self.as_str())
    }
}

/// A failover session as EM described it at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The restore point it was started from.
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

words! {
    /// Whether a session's end is still awaited.
    pub enum SessionPhase {
        /// Its end is awaited.
        Open = "open",
        /// Its end was reported, or belongs to the baseline.
        Ended = "ended",
        /// EM no longer knows it, and it had not ended.
        Lost = "lost",
    }
}

/// What the gateway remembers of a session that it observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// What EM said last.
    pub facts: SessionFacts,
    /// The plan it runs, when that is certain.
    pub plan: Option<PlanRef>,
    /// When the gateway first saw it.
    pub first_seen_at: Timestamp,
    /// In which observation.
    pub first_observation: i64,
    /// When the gateway first saw it stopped.
    pub stopped_seen_at: Option<Timestamp>,
    /// How many complete observations in a row lacked it.
    pub missed: i64,
    /// How many events were made of it.
    pub sequence: i64,
    /// Whether its end is still awaited.
    pub phase: SessionPhase,
}

impl SessionRecord {
    /// Whether the session goes on from what is known of it, in which case nothing else of the record is other than what EM
    /// says, how often it was missed and how many events were made of it.
    #[must_use]
    pub fn goes_on_from(&self, known: &Self) -> bool {
        let phases = [self.phase, known.phase];
        phases == [SessionPhase::Open; 2]
            && self.plan == known.plan
            && self.facts.plan_name == known.facts.plan_name
            && self.facts.started_at == known.facts.started_at
    }

    /// Whether the session keeps `plan` from being run.
    #[must_use]
    pub fn keeps_busy(&self, plan: &PlanRef) -> bool {
        if self.phase != SessionPhase::Open || self.facts.state.is_stopped() {
            return false;
        }
        match &self.plan {
            Some(own) => own.id == plan.id,
            None => self.facts.may_run(plan),
        }
    }
}

/// Sessions in portions that are handled together: each has `most` machines at the most, or is one session. A plan may have
/// thousands of machines.
pub fn in_portions<S>(
    sessions: &[S],
    most: usize,
    record: impl Fn(&S) -> &SessionRecord,
) -> impl Iterator<Item = &[S]> {
    let mut machines = 0;
    sessions.chunk_by(move |one, next| {
        machines += record(one).facts.machines.len();
        let goes_on = machines + record(next).facts.machines.len() <= most;
        if !goes_on {
            machines = 0;
        }
        goes_on
    })
}

impl SessionFacts {
    /// Whether the session may be one of `plan`: of its name, and not known to run on another backup server.
    #[must_use]
    pub fn may_run(&self, plan: &PlanRef) -> bool {
        let same_server = match (&self.backup_server, &plan.backup_server) {
            (Some(own), Some(of_plan)) => own.id == of_plan.id,
            _ => true,
        };
        same_server && self.plan_name == plan.name
    }
}
