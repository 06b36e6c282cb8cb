//! What is known of one failover, by whose clock: the input of `judge`.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::clocks::{At, Caller, Em, Gateway};
use super::entry::FailedCheck;
use super::objectives::Objectives;
use crate::domain::id::EmId;
use crate::domain::plan::{PlanKind, PlanMachine};
use crate::domain::session::SessionFacts;
use crate::domain::words::words;

words! {
    /// What was done with the plan.
    pub enum RunAction {
        /// It was tested.
        Test = "test",
        /// It was started.
        Start = "start",
        /// One of both: Enterprise Manager does not tell which of a session that was started elsewhere.
        Unknown = "unknown",
    }
}

/// A restore point as it was read at EM, kept since EM may remove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PointFacts {
    /// EM's id of it.
    pub id: EmId,
    /// When it was made, by EM's clock.
    pub created_at: Option<Timestamp>,
    /// `CDP`, `Full`, `Increment`…, in EM's words.
    pub kind: Option<String>,
    /// `Ready`, `Failover`, `Failback`, `PermanentFailover`, in EM's words.
    pub state: Option<String>,
    /// When it was read, by the gateway's clock.
    pub read_at: Timestamp,
}

/// By how much EM's clock is ahead of the gateway's, and how far that may be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockDifference {
    /// How far EM's clock is ahead; negative when it is behind.
    pub ahead: SignedDuration,
    /// One second, since EM tells whole ones, and the round trip of the answer that told it.
    pub tolerance: SignedDuration,
}

/// The course of the operation that asked for it.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// When it was requested.
    pub requested_at: At<Gateway>,
    /// When its last approval was given, if it had to wait for one.
    pub approved_at: Option<At<Gateway>>,
    /// When it was sent; none when it was not.
    pub submitted_at: Option<At<Gateway>>,
    /// When EM's task was first seen done, where there is no session.
    pub work_ended_at: Option<At<Gateway>>,
    /// How often EM is looked at.
    pub look_every: SignedDuration,
    /// Whether its result is success or warning.
    pub went_well: bool,
}

/// The undo that followed.
#[derive(Debug, Clone, Copy)]
pub struct Undo {
    /// When it was requested.
    pub requested_at: At<Gateway>,
    /// When it ended.
    pub finished_at: Option<At<Gateway>>,
}

/// One failover.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// A test or a start.
    pub action: RunAction,
    /// The kind of plan.
    pub kind: PlanKind,
    /// The machines of the plan when the failover was requested; none when the plan is not known.
    pub machines: Option<&'a [PlanMachine]>,
    /// EM's session.
    pub session: Option<&'a SessionFacts>,
    /// Whether EM no longer knows the session although it had not ended.
    pub lost: bool,
    /// Restore points that the session used, by id.
    pub points: &'a HashMap<EmId, PointFacts>,
    /// Of plans without sessions, the newest restore point of each machine at the time of the request, by name.
    pub newest: &'a [(String, PointFacts)],
    /// The bound of the restore points.
    pub before: Option<At<Caller>>,
    /// When the incident began, as the caller says.
    pub incident_at: Option<At<Caller>>,
    /// What is wanted.
    pub objectives: &'a Objectives,
    /// The operation; none when it was started elsewhere.
    pub course: Option<Course>,
    /// The difference of the clocks, if it is known.
    pub clock: Option<ClockDifference>,
    /// When the last check passed.
    pub checked_at: Option<At<Caller>>,
    /// The checks that failed.
    pub failed_checks: &'a [FailedCheck],
    /// The undo that followed.
    pub undo: Option<Undo>,
}

impl Run<'_> {
    /// When EM created the session.
    #[must_use]
    pub fn started(&self) -> Option<At<Em>> {
        self.session?.started_at.map(At::new)
    }
}
