//! Failover plans as JSON (docs/behaviour.md#plans).

use serde::Serialize;
use utoipa::ToSchema;

use super::objectives::Objectives;
use super::schedules::PlanSchedule;
use crate::domain::evidence::objectives::Objectives as DomainObjectives;
use crate::domain::evidence::schedule::Schedule as DomainSchedule;
use crate::domain::links::Links;
use crate::domain::plan::{
    Plan as DomainPlan, PlanCommand as DomainCommand, PlanRef as DomainPlanRef, Reference,
};

/// An object of Enterprise Manager that another object refers to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NamedReference {
    /// Its id.
    pub id: String,
    /// Its name, if Enterprise Manager gives it.
    #[schema(required)]
    pub name: Option<String>,
}

impl From<&Reference> for NamedReference {
    fn from(reference: &Reference) -> Self {
        Self {
            id: reference.id.to_string(),
            name: reference.name.clone(),
        }
    }
}

/// A machine within a plan.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanVirtualMachine {
    /// Its id within the plan.
    #[schema(required)]
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its position in the start order.
    #[schema(required)]
    pub order: Option<i64>,
}

/// A script that runs before or after the failover.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Command {
    /// Whether it runs.
    pub enabled: bool,
    /// What runs.
    #[schema(required)]
    pub command: Option<String>,
}

impl From<&DomainCommand> for Command {
    fn from(command: &DomainCommand) -> Self {
        Self {
            enabled: command.enabled,
            command: command.command.clone(),
        }
    }
}

/// Links of a plan.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanLinks {
    /// The plan itself.
    #[serde(rename = "self")]
    pub this: String,
    /// Its operations.
    pub operations: String,
    /// The sessions that ran a plan of this name.
    pub sessions: String,
    /// The plan as Enterprise Manager describes it.
    pub em: String,
}

/// A failover plan.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Its id.
    pub id: String,
    /// Enterprise Manager's URN for it.
    #[schema(required)]
    pub uid: Option<String>,
    /// `cloud` or `onPremises`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The plan's description.
    #[schema(required)]
    pub description: Option<String>,
    /// The tenant it belongs to; cloud plans only.
    #[schema(required)]
    pub tenant: Option<NamedReference>,
    /// The backup server that runs it.
    #[schema(required)]
    pub backup_server: Option<NamedReference>,
    /// The machines it fails over.
    pub virtual_machines: Vec<PlanVirtualMachine>,
    /// The script before the failover; cloud plans only.
    #[schema(required)]
    pub pre_failover_command: Option<Command>,
    /// The script after the failover; cloud plans only.
    #[schema(required)]
    pub post_failover_command: Option<Command>,
    /// The actions that it supports: `test`, `start`, `undo`.
    pub actions: Vec<&'static str>,
    /// What is wanted of its recovery, set at `/objectives` or by the gateway's configuration.
    pub objectives: Objectives,
    /// When it is tested by itself, set at `/schedule`; null when it is not.
    #[schema(required)]
    pub schedule: Option<PlanSchedule>,
    /// Related resources.
    pub links: PlanLinks,
}

impl Plan {
    /// The JSON of `plan` with its objectives and its schedule.
    #[must_use]
    pub fn new(
        links: &Links,
        plan: &DomainPlan,
        objectives: &DomainObjectives,
        schedule: Option<&DomainSchedule>,
    ) -> Self {
        let collection = plan.kind.collection();
        Self {
            id: plan.id.to_string(),
            uid: plan.uid.clone(),
            kind: plan.kind.as_str(),
            name: plan.name.clone(),
            description: plan.description.clone(),
            tenant: plan.tenant.as_ref().map(Into::into),
            backup_server: plan.backup_server.as_ref().map(Into::into),
            virtual_machines: plan
                .machines
                .iter()
                .map(|machine| PlanVirtualMachine {
                    id: machine.id.as_ref().map(ToString::to_string),
                    name: machine.name.clone(),
                    order: machine.order,
                })
                .collect(),
            pre_failover_command: plan.pre_command.as_ref().map(Into::into),
            post_failover_command: plan.post_command.as_ref().map(Into::into),
            actions: plan.kind.actions().iter().map(|action| action.as_str()).collect(),
            objectives: objectives.into(),
            schedule: schedule.map(Into::into),
            links: PlanLinks {
                this: links.api(&format!("/{collection}/{}", plan.id)),
                operations: links.api(&format!("/operations?planId={}", plan.id)),
                sessions: links.api(&format!("/failover-sessions?{}", query("planName", &plan.name))),
                em: links.api(&format!("/em/{}/{}", plan.kind.em_collection(), plan.id)),
            },
        }
    }
}

/// The plan of an operation or a session, as it was last read.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanReference {
    /// Its id.
    pub id: String,
    /// `cloud` or `onPremises`.
    pub kind: &'static str,
    /// Its name when it was last read.
    pub name: String,
    /// The tenant it belongs to.
    #[schema(required)]
    pub tenant: Option<NamedReference>,
}

impl From<&DomainPlanRef> for PlanReference {
    fn from(plan: &DomainPlanRef) -> Self {
        Self {
            id: plan.id.to_string(),
            kind: plan.kind.as_str(),
            name: plan.name.clone(),
            tenant: plan.tenant.as_ref().map(Into::into),
        }
    }
}

pub(super) fn plan_link(links: &Links, plan: &DomainPlanRef) -> String {
    links.api(&format!("/{}/{}", plan.kind.collection(), plan.id))
}

fn query(name: &str, value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair(name, value)
        .finish()
}
