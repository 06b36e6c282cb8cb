//! What a request would become, as JSON (docs/behaviour.md#dry-runs).

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Moment;
use super::operations::Operation;
use super::plans::Plan;
use crate::domain::plan;

/// What a request would become, and what stands in its way.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// `submitted`, `awaitingApproval` or `refused`.
    pub would_be: &'static str,
    /// Everything that it would be refused for, each as the problem that would be answered.
    #[schema(value_type = Vec<Object>)]
    pub problems: Vec<Value>,
    /// The plan as Enterprise Manager has it now.
    pub plan: Plan,
    /// The machines of the plan, in its order.
    pub machines: Vec<MachineRehearsal>,
    /// The policies that apply, by name.
    pub policies: Vec<String>,
    /// How many others would have to approve.
    pub approvers: usize,
}

/// An operation, or with `dryRun=true` what it would be.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "only its description is used")]
pub enum OperationOrDryRun {
    /// The operation.
    Operation(Operation),
    /// What the request would become.
    DryRun(DryRun),
}

/// A machine of the plan.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineRehearsal {
    /// Its name.
    pub name: String,
    /// Its newest restore point, with `restorePoint.before` the newest before that; null when Enterprise Manager shows none,
    /// and for callers who are confined to tenants.
    #[schema(required)]
    pub newest_point: Option<NewestPoint>,
}

/// A restore point of a machine.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewestPoint {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created_at: Moment,
}

impl From<&plan::RestorePoint> for NewestPoint {
    fn from(point: &plan::RestorePoint) -> Self {
        Self {
            id: point.id.to_string(),
            created_at: point.created_at.into(),
        }
    }
}
