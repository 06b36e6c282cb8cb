//! Failover sessions as JSON (docs/behaviour.md#observation).

use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;
use super::plans::{NamedReference, PlanReference, plan_link};
use crate::domain::links::Links;
use crate::domain::session::{MachineFacts, Session};
use crate::text::lower_camel;

/// One machine within a failover session.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionVirtualMachine {
    /// Its name.
    pub name: String,
    /// `starting`, `working`, `stopping` or `stopped`.
    pub state: String,
    /// `success`, `warning` or `failed`; null until it ended.
    #[schema(required)]
    pub result: Option<String>,
    /// Percent.
    #[schema(required)]
    pub progress: Option<i64>,
    /// When it was started, by Enterprise Manager's clock.
    #[schema(required)]
    pub started_at: Option<Moment>,
    /// When it ended, by Enterprise Manager's clock.
    #[schema(required)]
    pub ended_at: Option<Moment>,
    /// Why it failed, in Enterprise Manager's words.
    #[schema(required)]
    pub failure_message: Option<String>,
    /// The restore point it was started from.
    #[schema(required)]
    pub replica_point: Option<NamedReference>,
}

impl From<&MachineFacts> for SessionVirtualMachine {
    fn from(machine: &MachineFacts) -> Self {
        Self {
            name: machine.name.clone(),
            state: machine.state.word(),
            result: machine
                .result
                .as_ref()
                .map(crate::domain::session::SessionResult::word),
            progress: machine.progress,
            started_at: machine.started_at.map(Moment),
            ended_at: machine.ended_at.map(Moment),
            failure_message: machine.failure_message.clone(),
            replica_point: machine.replica_point.as_ref().map(Into::into),
        }
    }
}

/// Links of a failover session.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionLinks {
    /// The session itself.
    #[serde(rename = "self")]
    pub this: String,
    /// Its plan.
    #[schema(required)]
    pub plan: Option<String>,
    /// The operation that asked for it.
    #[schema(required)]
    pub operation: Option<String>,
    /// Its recovery report, once it has ended.
    #[schema(required)]
    pub report: Option<String>,
    /// The session as Enterprise Manager describes it.
    pub em: String,
}

/// A failover session, wherever it was started.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailoverSession {
    /// Its id.
    pub id: String,
    /// Enterprise Manager's URN for it.
    #[schema(required)]
    pub uid: Option<String>,
    /// The name of the plan it runs.
    pub plan_name: String,
    /// The plan it runs, when that is certain.
    #[schema(required)]
    pub plan: Option<PlanReference>,
    /// The tenant it belongs to; follows the plan.
    #[schema(required)]
    pub tenant: Option<NamedReference>,
    /// The backup server it runs on.
    #[schema(required)]
    pub backup_server: Option<NamedReference>,
    /// Enterprise Manager's kind of job: `failoverPlan`.
    #[schema(required)]
    pub job_type: Option<String>,
    /// `starting`, `working`, `stopping` or `stopped`.
    pub state: String,
    /// `success`, `warning` or `failed`; null until it ended.
    #[schema(required)]
    pub result: Option<String>,
    /// Percent; may stay 0 to the end.
    #[schema(required)]
    pub progress: Option<i64>,
    /// When it was created, by Enterprise Manager's clock.
    #[schema(required)]
    pub started_at: Option<Moment>,
    /// When it ended, by Enterprise Manager's clock.
    #[schema(required)]
    pub ended_at: Option<Moment>,
    /// Why it failed, in Enterprise Manager's words.
    #[schema(required)]
    pub failure_message: Option<String>,
    /// Its machines.
    pub virtual_machines: Vec<SessionVirtualMachine>,
    /// `test` or `start`; null when it was not started through the gateway.
    #[schema(required)]
    pub action: Option<&'static str>,
    /// The operation that asked for it.
    #[schema(required)]
    pub operation_id: Option<String>,
    /// Related resources.
    pub links: SessionLinks,
}

impl FailoverSession {
    /// The JSON of `session`.
    #[must_use]
    pub fn new(links: &Links, session: &Session) -> Self {
        Self::with_machines(links, session, &session.facts.machines)
    }

    /// The JSON of `session` with these of its machines alone.
    #[must_use]
    pub fn with_machines(links: &Links, session: &Session, machines: &[MachineFacts]) -> Self {
        let facts = &session.facts;
        Self {
            id: facts.id.to_string(),
            uid: facts.uid.clone(),
            plan_name: facts.plan_name.clone(),
            plan: session.plan.as_ref().map(Into::into),
            tenant: session
                .plan
                .as_ref()
                .and_then(|plan| plan.tenant.as_ref())
                .map(Into::into),
            backup_server: facts.backup_server.as_ref().map(Into::into),
            job_type: facts.job_type.as_deref().map(lower_camel),
            state: facts.state.word(),
            result: facts
                .result
                .as_ref()
                .map(crate::domain::session::SessionResult::word),
            progress: facts.progress,
            started_at: facts.started_at.map(Moment),
            ended_at: facts.ended_at.map(Moment),
            failure_message: facts.failure_message.clone(),
            virtual_machines: machines.iter().map(Into::into).collect(),
            action: session.action.map(crate::domain::plan::ActionKind::as_str),
            operation_id: session.operation.map(|id| id.to_string()),
            links: SessionLinks {
                this: links.api(&format!("/failover-sessions/{}", facts.id)),
                plan: session.plan.as_ref().map(|plan| plan_link(links, plan)),
                operation: session
                    .operation
                    .map(|id| links.api(&format!("/operations/{id}"))),
                report: facts
                    .state
                    .is_stopped()
                    .then(|| links.api(&format!("/failover-sessions/{}/report", facts.id))),
                em: links.api(&format!("/em/cloud/failoverSessions/{}", facts.id)),
            },
        }
    }
}
