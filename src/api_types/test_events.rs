//! Events about the programme of tests and about the audit log, as JSON (docs/behaviour.md#events).

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;
use super::events::{Origin, Unrepresentable, event};
use super::plans::{PlanReference, plan_link};
use crate::domain::event::{EventType, NewEvent, Routing};
use crate::domain::evidence::objectives::Objectives;
use crate::domain::evidence::schedule::SkipReason;
use crate::domain::plan::PlanRef;

/// The data of an event about a plan that should have been tested.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverdueTestEventData {
    /// The plan.
    pub plan: PlanReference,
    /// The most days between two tests.
    #[schema(required)]
    pub test_every_days: Option<u32>,
    /// When it was tested last; null when the gateway knows of no test.
    #[schema(required)]
    pub last_test_at: Option<Moment>,
    /// Who answers for the plan.
    #[schema(required)]
    pub owner: Option<String>,
    /// Where the plan is.
    pub link: String,
}

/// The data of an event about a scheduled test that was not run.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkippedTestEventData {
    /// The plan.
    pub plan: PlanReference,
    /// When it was due, the first time of several.
    pub due_at: Moment,
    /// How many due times were skipped.
    pub count: u32,
    /// `missed`, `busy`, `unavailable`, `refused`, `policyDenied` or `planGone`.
    pub reason: &'static str,
    /// The same for people.
    pub detail: String,
    /// The operation, where Enterprise Manager refused it.
    #[schema(required)]
    pub operation_id: Option<String>,
    /// When it is due next.
    #[schema(required)]
    pub next_at: Option<Moment>,
    /// Where the plan is.
    pub link: String,
}

/// The data of an event that says where the audit log ends.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheckpointEventData {
    /// The number of the last row.
    pub sequence: i64,
    /// The hash of that row, which all rows before it follow from.
    pub hash: String,
}

/// A scheduled test that was not run.
#[derive(Debug, Clone)]
pub struct Skipped<'a> {
    /// The plan.
    pub plan: &'a PlanRef,
    /// When it was due.
    pub due_at: Timestamp,
    /// How many due times.
    pub count: u32,
    /// Why.
    pub reason: SkipReason,
    /// The same for people.
    pub detail: &'a str,
    /// The operation that was refused.
    pub operation_id: Option<String>,
    /// When it is due next.
    pub next_at: Option<Timestamp>,
}

fn routing(plan: &PlanRef) -> Routing {
    Routing {
        plan: Some(plan.id.clone()),
        tenant: plan.tenant.clone(),
        ..Routing::default()
    }
}

/// Makes the event about a plan that should have been tested.
///
/// # Errors
/// [`Unrepresentable`] in theory.
pub fn overdue(
    origin: &Origin<'_>,
    plan: &PlanRef,
    objectives: &Objectives,
    last: Option<Timestamp>,
) -> Result<NewEvent, Unrepresentable> {
    let data = OverdueTestEventData {
        plan: plan.into(),
        test_every_days: objectives.test_every_days,
        last_test_at: last.map(Moment),
        owner: objectives.owner.clone(),
        link: plan_link(origin.links, plan),
    };
    event(origin.id, EventType::TestOverdue, origin.at, data, routing(plan))
}

/// Makes the event about a scheduled test that was not run.
///
/// # Errors
/// [`Unrepresentable`] in theory.
pub fn skipped(origin: &Origin<'_>, told: &Skipped<'_>) -> Result<NewEvent, Unrepresentable> {
    let data = SkippedTestEventData {
        plan: told.plan.into(),
        due_at: told.due_at.into(),
        count: told.count,
        reason: told.reason.as_str(),
        detail: told.detail.to_owned(),
        operation_id: told.operation_id.clone(),
        next_at: told.next_at.map(Moment),
        link: plan_link(origin.links, told.plan),
    };
    event(
        origin.id,
        EventType::TestSkipped,
        origin.at,
        data,
        routing(told.plan),
    )
}

/// Makes the event that says where the audit log ends.
///
/// # Errors
/// [`Unrepresentable`] in theory.
pub fn checkpoint(origin: &Origin<'_>, sequence: i64, hash: &str) -> Result<NewEvent, Unrepresentable> {
    let data = CheckpointEventData {
        sequence,
        hash: hash.to_owned(),
    };
    event(
        origin.id,
        EventType::AuditCheckpoint,
        origin.at,
        data,
        Routing::default(),
    )
}
