//! The audit log: which actions there are, as one table, and what a row says (docs/behaviour.md#audit).
//!
//! A new action is a row of the table; a test holds that every operation of the OpenAPI document that is not a read has
//! one. The place of a row in the chain and its hash are made by the store when the row is written.

use std::collections::BTreeMap;

use super::access::{Caller, Tenancy};
use super::command::Command;
use super::id::OperationId;
use super::links::{API, MIRROR};
use super::operation::{FailureSource, Operation, OperationResult, OperationState, ResultSource};
use super::plan::{ActionKind, PlanRef};
use super::words::words;

/// How a row's request stands at the moment that the row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was recorded and is carried out after that; the end of an operation is told by a row of its own.
    Accepted,
    /// What was asked for is done.
    Done,
    /// It was refused, and changed nothing.
    Refused,
    /// An operation ended; the row has the operation's result in this place.
    Ended,
}

/// Action, word, outcome, status of the answer, and the operations of the OpenAPI document that are such an action.
macro_rules! actions {
    ($( $(#[doc = $meaning:literal])+
        $variant:ident = $word:literal, $outcome:ident $($status:literal)?, [$($operation:literal),*]; )+) => {
        words! {
            /// What a row of the audit log is about.
            pub enum AuditAction { $( $(#[doc = $meaning])+ $variant = $word, )+ }
        }

        impl AuditAction {
            /// How its request stands when the row is written.
            #[must_use]
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$variant => Outcome::$outcome,)+ }
            }

            /// The status that acknowledges it; none for what answers no request.
            #[must_use]
            pub const fn status(self) -> Option<u16> {
                match self { $(Self::$variant => actions!(@status $($status)?),)+ }
            }

            /// The operations of the OpenAPI document that are this action. Those of the mirror are not named one by
            /// one: each is [`AuditAction::EmWrite`], or the action on a plan that it stands for.
            #[must_use]
            pub const fn operations(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($operation),*],)+ }
            }
        }
    };
    (@status) => { None };
    (@status $status:literal) => { Some($status) };
}

actions! {
    /// A plan is tested.
    PlanTest = "plan.test", Accepted 202, ["testCloudFailoverPlan"];
    /// A plan is started.
    PlanStart = "plan.start", Accepted 202, ["startCloudFailoverPlan", "startFailoverPlan"];
    /// The failover of a plan is undone.
    PlanUndo = "plan.undo", Accepted 202, ["undoCloudFailoverPlan", "undoFailoverPlan"];
    /// A plan is edited.
    PlanUpdate = "plan.update", Accepted 202, ["updateCloudFailoverPlan", "updateFailoverPlan"];
    /// A plan is deleted.
    PlanDelete = "plan.delete", Accepted 202, ["deleteCloudFailoverPlan"];
    /// Another write goes through the mirror.
    EmWrite = "em.write", Accepted 202, [];
    /// An operation is to be stopped.
    OperationCancel = "operation.cancel", Accepted 202, ["cancelOperation"];
    /// Enterprise Manager did not accept a cancellation; the operation goes on.
    OperationCancelFailed = "operation.cancel.failed", Refused, [];
    /// An operation that waits for approval is approved.
    OperationApprove = "operation.approve", Accepted 202, ["approveOperation"];
    /// An approval came after the plan was changed or removed; the operation ended.
    OperationApproveFailed = "operation.approve.failed", Refused 409, [];
    /// An operation that waits for approval was rejected.
    OperationReject = "operation.reject", Done 200, ["rejectOperation"];
    /// The task of an operation that has ended is removed.
    TaskRemove = "task.remove", Accepted 204, [];
    /// An operation ended, or is unknown. The row tells Enterprise Manager's outcome and answers no request.
    OperationFinished = "operation.finished", Ended, [];
    /// A webhook endpoint was registered.
    EndpointCreate = "webhook.endpoint.create", Done 201, ["createWebhookEndpoint"];
    /// A webhook endpoint was changed.
    EndpointUpdate = "webhook.endpoint.update", Done 200, ["updateWebhookEndpoint", "replaceWebhookEndpoint"];
    /// A webhook endpoint was deleted.
    EndpointDelete = "webhook.endpoint.delete", Done 204, ["deleteWebhookEndpoint"];
    /// A test is sent to a webhook endpoint.
    EndpointTest = "webhook.endpoint.test", Accepted 202, ["testWebhookEndpoint"];
    /// The secret of a webhook endpoint was read.
    EndpointSecretRead = "webhook.endpoint.secret.read", Done 200, [];
    /// The secret of a webhook endpoint was rotated.
    EndpointSecretRotate = "webhook.endpoint.secret.rotate", Done 200, ["rotateWebhookEndpointSecret"];
    /// What was given up for a webhook endpoint is sent again.
    EndpointRecover = "webhook.endpoint.recover", Accepted 202, ["recoverWebhookEndpoint"];
    /// What a webhook endpoint never got is sent.
    EndpointReplay = "webhook.endpoint.replay", Accepted 202, ["replayWebhookEndpoint"];
    /// A delivery is sent again.
    DeliveryRedeliver = "webhook.delivery.redeliver", Accepted 202, ["redeliverWebhookDelivery"];
    /// A ticket for a stream was issued.
    StreamTicket = "stream.ticket", Done 201, ["createStreamTicket"];
    /// A ticket for reading an operation was issued, with the answer to the request for it.
    OperationTicket = "operation.ticket", Done, [];
    /// Somebody logged in to the console.
    ConsoleLogin = "console.login", Done 200, [];
    /// Somebody logged out of the console.
    ConsoleLogout = "console.logout", Done 204, [];
    /// The objectives of a plan were set.
    ObjectivesSet = "plan.objectives", Done 200, ["setCloudFailoverPlanObjectives", "setFailoverPlanObjectives"];
    /// The schedule of a plan was set.
    ScheduleSet = "plan.schedule", Done 200, ["setCloudFailoverPlanSchedule"];
    /// The schedule of a plan was removed.
    ScheduleRemove = "plan.schedule.remove", Done 204, ["removeCloudFailoverPlanSchedule"];
    /// A check was recorded.
    CheckRecord = "report.check", Done 201, ["recordCheck"];
    /// A note was recorded.
    NoteRecord = "report.note", Done 201, ["recordNote"];
    /// A finding was recorded.
    FindingRecord = "report.finding", Done 201, ["recordFinding"];
    /// It was recorded what became of a finding.
    FindingChange = "report.finding.change", Done 200, ["changeFinding"];
    /// A report was reviewed.
    ReportReview = "report.review", Done 201, ["reviewReport"];
    /// A report is held beyond its age.
    ReportHold = "report.hold", Done 200, ["holdReport"];
    /// A report is held no longer.
    ReportRelease = "report.release", Done 204, ["releaseReport"];
    /// A request was refused for lack of a right.
    RequestForbidden = "request.forbidden", Refused 403, [];
    /// A request had no valid token. One row a minute for each address.
    RequestUnauthenticated = "request.unauthenticated", Refused 401, [];
}

impl AuditAction {
    /// The action that sends `command`.
    #[must_use]
    pub const fn of(command: &Command) -> Self {
        match command {
            Command::Act { action, .. } => match action.kind() {
                ActionKind::Test => Self::PlanTest,
                ActionKind::Start => Self::PlanStart,
                ActionKind::Undo => Self::PlanUndo,
            },
            Command::EditPlan { .. } => Self::PlanUpdate,
            Command::DeletePlan { .. } => Self::PlanDelete,
            Command::Mirror(_) => Self::EmWrite,
        }
    }
}

/// Who acted; all four are absent in a row that answers no request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// The token's issuer.
    pub issuer: Option<String>,
    /// The caller's name.
    pub subject: Option<String>,
    /// The token's `jti`.
    pub token_id: Option<String>,
    /// The client's address.
    pub address: Option<String>,
}

impl Actor {
    /// A caller at an address. Without a caller the token was not valid, and nothing in it is told.
    #[must_use]
    pub fn new(caller: Option<&Caller>, address: Option<std::net::IpAddr>) -> Self {
        Self {
            issuer: caller.and_then(|caller| caller.issuer.clone()),
            subject: caller.and_then(|caller| caller.name.clone()),
            token_id: caller.and_then(|caller| caller.token_id.clone()),
            address: address.map(|address| address.to_string()),
        }
    }
}

/// Whose thing a row is about; a confined caller sees the rows of its tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTenant {
    /// The tenant's id, where it is known.
    pub id: Option<String>,
    /// The tenant's name, where it is known.
    pub name: Option<String>,
}

impl AuditTenant {
    /// The tenant of a plan.
    #[must_use]
    pub fn of_plan(plan: Option<&PlanRef>) -> Option<Self> {
        let tenant = plan?.tenant.as_ref()?;
        Some(Self {
            id: Some(tenant.id.as_str().to_owned()),
            name: tenant.name.clone(),
        })
    }

    /// The tenant of a caller that is confined to one, for what belongs to no plan. Tokens confine by id or name; which of
    /// the two it is cannot be told, and both are looked for.
    #[must_use]
    pub fn of_caller(caller: &Caller) -> Option<Self> {
        match &caller.tenancy {
            Tenancy::Only(tenants) if tenants.len() == 1 => Some(Self {
                id: None,
                name: tenants.first().cloned(),
            }),
            Tenancy::Only(_) | Tenancy::All => None,
        }
    }
}

/// One member of a row's details. Bodies, tokens and secrets are none: there is no way to put a document here.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// A word or a name.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// Names.
    Names(Vec<String>),
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// What a row says beside its fixed members.
pub type Details = BTreeMap<&'static str, Detail>;

/// A row before it has its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who acted.
    pub actor: Actor,
    /// What it is about.
    pub action: AuditAction,
    /// The path of the thing that it is about.
    pub target: Option<String>,
    /// Whose thing that is.
    pub tenant: Option<AuditTenant>,
    /// The operation concerned.
    pub operation: Option<OperationId>,
    /// The request's id.
    pub request_id: Option<String>,
    /// How the operation ended; for [`Outcome::Ended`] alone.
    pub ended: Option<String>,
    /// Whatever else there is to say.
    pub details: Details,
}

impl AuditEntry {
    /// The outcome's word in the row.
    #[must_use]
    pub fn outcome(&self) -> &str {
        match self.action.outcome() {
            Outcome::Accepted => "accepted",
            Outcome::Done => "done",
            Outcome::Refused => "refused",
            Outcome::Ended => self.ended.as_deref().unwrap_or("none"),
        }
    }

    /// The row about the end of `operation`. EM's own words stay in the operation: they may quote what it was sent.
    #[must_use]
    pub fn of_end(operation: &Operation) -> Self {
        let mut details = Details::from([
            ("kind", operation.kind.as_str().into()),
            ("action", operation.action.as_str().into()),
        ]);
        let known = [
            ("resultSource", operation.result_source.map(ResultSource::as_str)),
            (
                "failureSource",
                operation
                    .failure
                    .as_ref()
                    .map(|failure| FailureSource::as_str(failure.source)),
            ),
            (
                "sessionId",
                operation.session.as_ref().map(super::id::EmId::as_str),
            ),
        ];
        details.extend(
            known
                .into_iter()
                .filter_map(|(name, word)| Some((name, word?.into()))),
        );
        let ended = match (&operation.state, &operation.result) {
            (OperationState::Unknown, _) => "unknown".to_owned(),
            (_, Some(result)) => OperationResult::as_str(result).to_owned(),
            (_, None) => "none".to_owned(),
        };
        Self {
            actor: Actor::default(),
            action: AuditAction::OperationFinished,
            target: target_of(operation),
            tenant: AuditTenant::of_plan(operation.plan.as_ref()),
            operation: Some(operation.id),
            request_id: None,
            ended: Some(ended),
            details,
        }
    }
}

/// The path of what an operation acts on.
#[must_use]
pub fn target_of(operation: &Operation) -> Option<String> {
    let plan = operation
        .plan
        .as_ref()
        .map(|plan| format!("{API}/{}/{}", plan.kind.collection(), plan.id));
    plan.or_else(|| {
        let path = operation.target.as_ref()?;
        Some(shown_path(&format!("{MIRROR}{path}")))
    })
}

/// How many bytes of a path are told.
const PATH_LIMIT: usize = 512;

/// What takes the place of a part that may be a secret.
const MASK: &str = "***";

/// A request's path as it is told: cut to size, and without parts that look like a token or a signing secret. The query
/// is never told.
#[must_use]
pub fn shown_path(path: &str) -> String {
    let is_secret = |part: &str| {
        part.contains("whsec_") || part.contains("whsk_") || (part.contains("eyJ") && part.contains('.'))
    };
    let shown: Vec<&str> = path
        .split('/')
        .map(|part| if is_secret(part) { MASK } else { part })
        .collect();
    let mut shown = shown.join("/");
    let end = (0..=PATH_LIMIT.min(shown.len()))
        .rev()
        .find(|end| shown.is_char_boundary(*end));
    shown.truncate(end.unwrap_or_default());
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/api/v1/webhook-endpoints/ep_1", "/api/v1/webhook-endpoints/ep_1")]
    #[case("/api/v1/x/whsec_C2FVsBQIhrscChlQ", "/api/v1/x/***")]
    #[case("/api/v1/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", "/api/v1/***")]
    fn a_path_is_told_without_what_looks_like_a_secret(#[case] path: &str, #[case] shown: &str) {
        assert_eq!(shown_path(path), shown);
    }

    #[test]
    fn a_long_path_is_cut_at_a_character() {
        let shown = shown_path(&"ä".repeat(600));
        assert_eq!(shown.len(), PATH_LIMIT);
    }

    #[test]
    fn each_operation_of_the_document_is_one_action() {
        let mut named: Vec<&str> = AuditAction::ALL
            .iter()
            .flat_map(|action| action.operations())
            .copied()
            .collect();
        let all = named.len();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named.len(), all);
    }
}
