//! Operations as JSON (docs/behaviour.md#actions).

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;
use super::plans::{PlanReference, plan_link};
use super::sessions::FailoverSession;
use crate::domain::approval as domain;
use crate::domain::links::Links;
use crate::domain::operation::{Failure, Operation as DomainOperation, OperationTask};
use crate::domain::plan::ActionKind;
use crate::domain::session::Session;
use crate::text::lower_camel;

/// Enterprise Manager's task behind an operation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Task {
    /// Its id within its logon session.
    pub id: String,
    /// `running`, `operationFinished`, `finished`, `removed` (for a cancellation) or `lost` (Enterprise Manager no longer knows it), as
    /// it was read last: once the operation has ended it is not read any more.
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
    /// What reported the failure: `task`, `session`, `gateway` or `policy`.
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

/// The approvals that an operation needs.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// How many.
    pub required: usize,
    /// Those that were given, oldest first.
    pub given: Vec<GivenApproval>,
    /// Until when they may be given.
    pub expires_at: Moment,
}

/// An approval that was given.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GivenApproval {
    /// The approver, as the token names it.
    #[schema(required)]
    pub by: Option<String>,
    /// When.
    pub at: Moment,
    /// What the approver said.
    #[schema(required)]
    pub comment: Option<String>,
}

impl From<&domain::Approval> for Approval {
    fn from(approval: &domain::Approval) -> Self {
        let given = approval.given.iter().map(|one| GivenApproval {
            by: one.by.clone(),
            at: one.at.into(),
            comment: one.comment.clone(),
        });
        Self {
            required: approval.required,
            given: given.collect(),
            expires_at: approval.expires_at.into(),
        }
    }
}

/// A change of an operation's state.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HistoryStep {
    /// The new state.
    pub state: &'static str,
    /// When.
    pub at: Moment,
    /// The reason, where the state alone does not explain it.
    #[schema(required)]
    pub reason: Option<String>,
}

/// The receiver of an operation's one-off webhook.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Callback {
    /// The URL, masked where it is a credential.
    pub url: String,
    /// The secret that signs it; present only in the answer to a request that gave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Links of an operation.
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
    /// Where its result is waited for: 202 while it is open.
    pub result: String,
    /// Its recovery report, once it has ended; tests and starts have one.
    #[schema(required)]
    pub report: Option<String>,
    /// The address that cancels it, while that is possible.
    #[schema(required)]
    pub cancel: Option<String>,
    /// Its page in the console, for people; null where the console is off, and for writes through the mirror.
    #[schema(required)]
    pub console: Option<String>,
}

/// What a caller requested, from the request to its outcome.
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
    /// `awaitingApproval`, `submitting`, `running`, `finished` or `unknown`.
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
    /// The caller, as the token names it.
    #[schema(required)]
    pub requested_by: Option<String>,
    /// Who set the schedule, where it is a scheduled test.
    #[schema(required)]
    pub on_behalf_of: Option<String>,
    /// Why the caller asked for it.
    #[schema(required)]
    pub reason: Option<String>,
    /// The approvals that it needs, if a policy holds it back or did.
    #[schema(required)]
    pub approval: Option<Approval>,
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
    /// Its changes of state, oldest first.
    pub history: Vec<HistoryStep>,
    /// Related resources.
    pub links: OperationLinks,
}

impl Operation {
    /// The JSON of `operation`; `session` is the joined session, where the reader is to get it.
    #[must_use]
    pub fn new(links: &Links, operation: &DomainOperation, session: Option<&Session>) -> Self {
        let this = links.api(&format!("/operations/{}", operation.id));
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
            session: session.map(|session| FailoverSession::new(links, session)),
            failure: operation.failure.as_ref().map(Into::into),
            requested_by: operation.requested_by.clone(),
            on_behalf_of: operation.on_behalf_of.as_ref().and_then(|who| who.name.clone()),
            reason: operation.reason.clone(),
            approval: operation.approval.as_ref().map(Into::into),
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
                plan: operation.plan.as_ref().map(|plan| plan_link(links, plan)),
                session: operation
                    .session
                    .as_ref()
                    .map(|id| links.api(&format!("/failover-sessions/{id}"))),
                result: format!("{this}/result"),
                report: has_report(operation).then(|| format!("{this}/report")),
                cancel: operation.state.is_open().then(|| format!("{this}/cancel")),
                console: operation
                    .plan
                    .as_ref()
                    .and_then(|_| links.console(&format!("/failovers/{}", operation.id))),
                this,
            },
        }
    }
}

/// Whether there is a report of it: of what was asked of a plan and ended, but for an undo.
fn has_report(operation: &DomainOperation) -> bool {
    let reported = matches!(
        operation.failover_action(),
        Some(ActionKind::Test | ActionKind::Start)
    );
    reported && !operation.state.is_open()
}
