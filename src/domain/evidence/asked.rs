//! What is kept of a failover when it is requested, since it may change or be gone by its end: the plan, the objectives in
//! force, who asked and why, and how far the clocks were apart.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::objectives::Objectives;
use super::run::ClockDifference;
use crate::domain::plan::Plan;
use crate::domain::words::words;

words! {
    /// What a failover is for.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub enum PurposeKind {
        /// Systems are recovered to see whether that works.
        Test = "test",
        /// People, processes and systems practise together.
        Exercise = "exercise",
        /// Something happened.
        RealFailover = "realFailover",
    }
}

/// Why a failover was requested, in the caller's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Purpose {
    /// The reason.
    pub reason: Option<String>,
    /// The ticket or change that it belongs to.
    pub ticket: Option<String>,
    /// The scenario that is tested.
    pub scenario: Option<String>,
    /// What it is for.
    pub kind: Option<PurposeKind>,
    /// When the incident began, by the caller's clock.
    pub incident_at: Option<Timestamp>,
    /// Who takes part.
    pub participants: Vec<String>,
}

/// Who asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Requester {
    /// The caller, as the token names it.
    pub by: Option<String>,
    /// The token's issuer.
    pub issuer: Option<String>,
    /// The token's `jti`.
    pub token_id: Option<String>,
    /// The client's address.
    pub address: Option<String>,
    /// The idempotency key of the request.
    pub idempotency_key: Option<String>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Asked {
    /// The plan as EM had it.
    pub plan: Option<Plan>,
    /// When it was read.
    pub plan_read_at: Option<Timestamp>,
    /// The objectives in force.
    pub objectives: Objectives,
    /// Who asked; none when it was started elsewhere.
    pub requester: Option<Requester>,
    /// Why.
    pub purpose: Option<Purpose>,
    /// The bound of the restore points.
    pub before: Option<Timestamp>,
    /// By how much EM's clock was ahead.
    pub clock: Option<ClockDifference>,
}
