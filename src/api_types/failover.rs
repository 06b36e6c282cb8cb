//! Plans, operations and failover sessions as JSON (contract section 4, "Failover (the core)").

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{BASE, Moment};
use crate::domain::name::lower_camel;
use crate::domain::operation::{Failure, Operation as DomainOperation, OperationTask};
use crate::domain::plan::{
    Command as DomainCommand, Plan as DomainPlan, PlanRef as DomainPlanRef, Reference,
};
use crate::domain::session::{MachineFacts, Session};

/// An object of Enterprise Manager that is mentioned by another.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NamedReference {
    /// Its id.
    pub id: String,
    /// Its name, where Enterprise Manager tells it.
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
    /// Its place in the start order.
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

/// Where to go from a plan.
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
    /// The free text beside the name.
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
    /// What it can be asked to do: `test`, `start`, `undo`.
    pub actions: Vec<&'static str>,
    /// Where to go from here.
    pub links: PlanLinks,
}

impl From<&DomainPlan> for Plan {
    fn from(plan: &DomainPlan) -> Self {
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
            links: PlanLinks {
                this: format!("{BASE}/{collection}/{}", plan.id),
                operations: format!("{BASE}/operations?planId={}", plan.id),
                sessions: format!("{BASE}/failover-sessions?{}", query("planName", &plan.name)),
                em: format!("{BASE}/em/{}/{}", plan.kind.em_collection(), plan.id),
            },
        }
    }
}

/// What an operation or a session remembers of its plan.
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
    /// When it was begun, by Enterprise Manager's clock.
    #[schema(required)]
    pub started_at: Option<Moment>,
    /// When it ended, by Enterprise Manager's clock.
    #[schema(required)]
    pub ended_at: Option<Moment>,
    /// Why it failed, in Enterprise Manager's words.
    #[schema(required)]
    pub failure_message: Option<String>,
    /// The restore point it came up from.
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

/// Where to go from a failover session.
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
    /// Where to go from here.
    pub links: SessionLinks,
}

impl From<&Session> for FailoverSession {
    fn from(session: &Session) -> Self {
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
            virtual_machines: facts.machines.iter().map(Into::into).collect(),
            action: session.action.map(crate::domain::plan::ActionKind::as_str),
            operation_id: session.operation.map(|id| id.to_string()),
            links: SessionLinks {
                this: format!("{BASE}/failover-sessions/{}", facts.id),
                plan: session.plan.as_ref().map(plan_link),
                operation: session.operation.map(|id| format!("{BASE}/operations/{id}")),
                em: format!("{BASE}/em/cloud/failoverSessions/{}", facts.id),
            },
        }
    }
}

/// Enterprise Manager's task behind an operation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Task {
    /// Its id within its logon session.
    pub id: String,
    /// `running`, `operationFinished`, `finished` or `lost`.
    pub state: String,
    /// Enterprise Manager's message with the task's result.
    #[schema(required)]
    pub message: Option<String>,
}

impl From<&OperationTask> for Task {
    fn from(task: &OperationTask) -> Self {
        Self {
            id: task.id.to_string(),
            state: lower_camel(task.state.as_str()),
            message: task.message.clone(),
        }
    }
}

/// Why an operation failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OperationFailure {
    /// For people; Enterprise Manager's words are quoted.
    pub message: String,
    /// Who says so: `task`, `session` or `gateway`.
    pub source: &'static str,
}

impl From<&Failure> for OperationFailure {
    fn from(failure: &Failure) -> Self {
        Self {
            message: failure.message.clone(),
            source: failure.source.as_str(),
        }
    }
}

/// A step in an operation's life.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HistoryStep {
    /// The state it went into.
    pub state: &'static str,
    /// When.
    pub at: Moment,
    /// Why, where that is not plain.
    #[schema(required)]
    pub reason: Option<String>,
}

/// Where an operation's one-off webhook goes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Callback {
    /// The address, masked where it is a credential.
    pub url: String,
    /// The secret that signs it; only in the answer to the request that left the choice to the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Where to go from an operation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OperationLinks {
    /// The operation itself.
    #[serde(rename = "self")]
    pub this: String,
    /// Its plan.
    #[schema(required)]
    pub plan: Option<String>,
    /// Its failover session.
    #[schema(required)]
    pub session: Option<String>,
    /// Where to stop it, while that is possible.
    #[schema(required)]
    pub cancel: Option<String>,
}

/// Something the gateway was asked to do.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Its id, a UUID version 7.
    pub id: String,
    /// `failover`, `update`, `delete` or `em`.
    pub kind: &'static str,
    /// `test`, `start`, `undo`, `update`, `delete`, or Enterprise Manager's own word.
    pub action: String,
    /// The plan it acts on.
    #[schema(required)]
    pub plan: Option<PlanReference>,
    /// The path it acts on, for writes through the mirror.
    #[schema(required)]
    pub target: Option<String>,
    /// `submitting`, `running`, `finished` or `unknown`.
    pub state: &'static str,
    /// `success`, `warning`, `failed` or `cancelled`; null until finished.
    #[schema(required)]
    pub result: Option<String>,
    /// `session` (the failover ended) or `task` (Enterprise Manager finished the task; what the machines do is not known).
    #[schema(required)]
    pub result_source: Option<&'static str>,
    /// Percent; the session's, 100 when finished.
    pub progress: i64,
    /// Enterprise Manager's task.
    #[schema(required)]
    pub task: Option<Task>,
    /// The failover session, once the two are joined.
    #[schema(required)]
    pub session: Option<FailoverSession>,
    /// Why it failed.
    #[schema(required)]
    pub failure: Option<OperationFailure>,
    /// Who asked, by the token.
    #[schema(required)]
    pub requested_by: Option<String>,
    /// When.
    pub requested_at: Moment,
    /// When it ended.
    #[schema(required)]
    pub finished_at: Option<Moment>,
    /// When a caller asked to stop it.
    #[schema(required)]
    pub cancel_requested_at: Option<Moment>,
    /// Its one-off webhook.
    #[schema(required)]
    pub callback: Option<Callback>,
    /// The caller's own notes.
    pub metadata: BTreeMap<String, String>,
    /// Its life so far, oldest first.
    pub history: Vec<HistoryStep>,
    /// Where to go from here.
    pub links: OperationLinks,
}

impl Operation {
    /// The JSON of `operation`; `session` is the joined session, where the reader is to get it.
    #[must_use]
    pub fn new(operation: &DomainOperation, session: Option<&Session>) -> Self {
        let this = format!("{BASE}/operations/{}", operation.id);
        Self {
            id: operation.id.to_string(),
            kind: operation.kind.as_str(),
            action: operation.action.clone(),
            plan: operation.plan.as_ref().map(Into::into),
            target: operation.target.clone(),
            state: operation.state.as_str(),
            result: operation
                .result
                .as_ref()
                .map(|result| lower_camel(result.as_str())),
            result_source: operation
                .result_source
                .map(crate::domain::operation::ResultSource::as_str),
            progress: operation.progress,
            task: operation.task.as_ref().map(Into::into),
            session: session.map(Into::into),
            failure: operation.failure.as_ref().map(Into::into),
            requested_by: operation.requested_by.clone(),
            requested_at: operation.requested_at.into(),
            finished_at: operation.finished_at.map(Moment),
            cancel_requested_at: operation.cancel_requested_at.map(Moment),
            callback: operation
                .callback_url
                .clone()
                .map(|url| Callback { url, secret: None }),
            metadata: operation.metadata.clone(),
            history: operation
                .history
                .iter()
                .map(|step| HistoryStep {
                    state: step.state.as_str(),
                    at: step.at.into(),
                    reason: step.reason.clone(),
                })
                .collect(),
            links: OperationLinks {
                plan: operation.plan.as_ref().map(plan_link),
                session: operation
                    .session
                    .as_ref()
                    .map(|id| format!("{BASE}/failover-sessions/{id}")),
                cancel: operation.state.is_open().then(|| format!("{this}/cancel")),
                this,
            },
        }
    }
}

fn plan_link(plan: &DomainPlanRef) -> String {
    format!("{BASE}/{}/{}", plan.kind.collection(), plan.id)
}

fn query(name: &str, value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair(name, value)
        .finish()
}

/// A page's place among the others; follow `next` until it is null.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PageInfo {
    /// How many items a page holds at most.
    pub size: u64,
    /// The next page.
    #[schema(required)]
    pub next: Option<String>,
    /// The page before.
    #[schema(required)]
    pub previous: Option<String>,
    /// This page's number, where Enterprise Manager numbers them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// How many pages there are, where Enterprise Manager numbers them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Its place among the others.
    pub page: PageInfo,
}
