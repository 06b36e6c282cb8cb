//! Events as JSON: the body a webhook receiver gets and the items of the event log (docs/behaviour.md#events).
//!
//! The body is made once, when the event is written; every delivery and every page of the log shows these bytes, with
//! the addresses of that moment.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Moment;
use super::operations::Operation;
use super::sessions::FailoverSession;
use crate::domain::approval::Decision;
use crate::domain::event::{EventType, NewEvent, Routing};
use crate::domain::id::EventId;
use crate::domain::links::Links;
use crate::domain::operation::Operation as DomainOperation;
use crate::domain::session::{MachineFacts, Session, SessionFacts, SessionResult};

/// The body of an event.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Event<D> {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// When the gateway saw it; Enterprise Manager's own times are inside.
    pub timestamp: Moment,
    /// What it is about.
    pub data: D,
}

/// The data of events about failover sessions and operations.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailoverEventData {
    /// The session; null for events about an operation. In `failover.vm.finished` it holds the machine that finished alone.
    #[schema(required)]
    pub session: Option<FailoverSession>,
    /// The operation, without its own copy of the session; null when the session was not started through the gateway.
    #[schema(required)]
    pub operation: Option<Operation>,
    /// The event's number within its session, from 1 and without gaps.
    pub sequence: i64,
    /// The machine that finished; in `failover.vm.finished` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_machine: Option<String>,
    /// How many machines the session has, those that are not shown included; in `failover.vm.finished` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machines: Option<MachineCounts>,
    /// How the wait for approval ended; in `failover.approval.decided` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<ApprovalDecision>,
    /// What is wanted of the recovery; in `failover.session.finished` and `failover.operation.finished` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objectives: Option<EventObjectives>,
    /// The report; in `recovery.report.ready` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportSummary>,
}

/// What is wanted of a recovery, as it was when the failover was requested.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventObjectives {
    /// The most seconds that it may take (RTO); null without a target.
    #[schema(required)]
    pub rto_seconds: Option<i64>,
}

/// A recovery report in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportSummary {
    /// Its id, the same in all its revisions.
    pub id: String,
    /// Which revision.
    pub revision: i64,
    /// `test`, `exercise`, `realFailover` or `unknown`.
    pub kind: String,
    /// `passed`, `failed` or `notMeasured`.
    pub verdict: String,
    /// `sha-256:` and 64 hex digits.
    pub digest: String,
    /// The key that signed it.
    pub key_id: String,
    /// Where it is.
    pub link: String,
}

/// How far the machines of a session have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct MachineCounts {
    /// All of them.
    pub total: usize,
    /// Those that have ended.
    pub ended: usize,
    /// Those that have failed.
    pub failed: usize,
}

impl From<&SessionFacts> for MachineCounts {
    fn from(facts: &SessionFacts) -> Self {
        let count = |is: fn(&MachineFacts) -> bool| facts.machines.iter().filter(|one| is(one)).count();
        Self {
            total: facts.machines.len(),
            ended: count(|machine| machine.state.is_stopped()),
            failed: count(|machine| machine.result == Some(SessionResult::Failed)),
        }
    }
}

/// How an operation's wait for approval ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApprovalDecision {
    /// `approved`, `rejected`, `expired`, `cancelled` or `planChanged`.
    pub outcome: &'static str,
    /// By whom; null when no caller decided.
    #[schema(required)]
    pub by: Option<String>,
    /// When.
    pub at: Moment,
    /// What they said.
    #[schema(required)]
    pub comment: Option<String>,
}

impl From<&Decision> for ApprovalDecision {
    fn from(decision: &Decision) -> Self {
        Self {
            outcome: decision.outcome.as_str(),
            by: decision.by.clone(),
            at: decision.at.into(),
            comment: decision.comment.clone(),
        }
    }
}

/// The data of events about Enterprise Manager's reachability.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UpstreamEventData {
    /// The account whose logon is concerned.
    pub account: String,
    /// Since when.
    pub since: Moment,
    /// Why, for people.
    #[schema(required)]
    pub reason: Option<String>,
}

/// The data of a test.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TestEventData {
    /// For people.
    pub message: String,
    /// To an endpoint with a template, the members of an example of an event that it takes, so that the template shows itself.
    #[serde(flatten)]
    #[schema(ignore)]
    pub example: serde_json::Map<String, serde_json::Value>,
}

/// An item of the event log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EventItem {
    /// The event's id, which is also the `webhook-id` of its deliveries.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When the gateway observed it.
    #[schema(format = DateTime)]
    pub timestamp: String,
    /// The event's data; its shape depends on the type (`GET /event-types`).
    #[schema(value_type = Object)]
    pub data: Box<RawValue>,
}

impl EventItem {
    /// The body as it is delivered, with the event's id beside it; the data stays the bytes that were stored.
    ///
    /// # Errors
    /// When the body is not that of an event.
    pub fn from_body(id: EventId, kind: EventType, body: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Body {
            timestamp: String,
            data: Box<RawValue>,
        }
        let body: Body = serde_json::from_str(body)?;
        Ok(Self {
            id: id.to_string(),
            kind: kind.as_str().to_owned(),
            timestamp: body.timestamp,
            data: body.data,
        })
    }
}

/// What opens one stream, where a request cannot carry a token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamTicket {
    /// To be put into the query of one request for a stream, as `ticket`.
    pub ticket: String,
    /// When it stops to count.
    pub expires_at: Moment,
}

/// A kind of event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeInfo {
    /// Its name.
    #[serde(rename = "type")]
    #[schema(example = "failover.session.finished")]
    pub kind: &'static str,
    /// Its type.
    pub description: &'static str,
    /// Whether an endpoint receives it only when its `eventTypes` name it.
    pub opt_in: bool,
    /// JSON Schema of the body.
    #[schema(value_type = Object)]
    pub schema: Value,
    /// A body.
    #[schema(value_type = Object)]
    pub example: Value,
}

/// The body could not be made; ours always can.
#[derive(Debug, thiserror::Error)]
#[error("an event's body could not be made")]
pub struct Unrepresentable(#[from] serde_json::Error);

/// What an event about a failover begins with.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Its id.
    pub id: EventId,
    /// When the gateway observed it.
    pub at: jiff::Timestamp,
    /// Where its links begin.
    pub links: &'a Links,
}

/// Makes an event about a session; `rto_seconds` is the target of its recovery time, at its end.
///
/// # Errors
/// [`Unrepresentable`] in theory.
pub fn session_event(
    origin: &Origin<'_>,
    kind: EventType,
    session: &Session,
    operation: Option<&DomainOperation>,
    sequence: i64,
    machine: Option<&str>,
    rto_seconds: Option<i64>,
) -> Result<NewEvent, Unrepresentable> {
    let facts = &session.facts;
    // A plan of a thousand machines does not write its session a thousand times.
    let shown = match machine {
        Some(name) => {
            let named = |machine: &&MachineFacts| machine.name == name && machine.state.is_stopped();
            let found = facts.machines.iter().find(named);
            found.map_or_else(Default::default, std::slice::from_ref)
        }
        None => &facts.machines,
    };
    // A filter asks for the result of what the event is about: a machine succeeds in a session that fails, and the reverse.
    let result = match machine {
        Some(_) => shown.first().and_then(|machine| machine.result.as_ref()),
        None => facts.result.as_ref(),
    };
    let result = result.map(SessionResult::word);
    let body = FailoverSession::with_machines(origin.links, session, shown);
    let ends = kind == EventType::SessionFinished;
    let data = FailoverEventData {
        session: Some(body),
        operation: operation.map(|operation| Operation::new(origin.links, operation, None)),
        sequence,
        virtual_machine: machine.map(ToOwned::to_owned),
        machines: machine.map(|_| facts.into()),
        decision: None,
        objectives: ends.then_some(EventObjectives { rto_seconds }),
        report: None,
    };
    let routing = Routing {
        session: Some(session.facts.id.clone()),
        sequence: Some(sequence),
        plan: session.plan.as_ref().map(|plan| plan.id.clone()),
        tenant: session.plan.as_ref().and_then(|plan| plan.tenant.clone()),
        result,
        operation: operation.map(|operation| operation.id),
        ends_operation: ends && operation.is_some(),
        about_endpoint: None,
        endpoint_owner: None,
    };
    event(origin.id, kind, origin.at, data, routing)
}

/// Makes the event that reports the end of an operation that has no session or ended in state `unknown`; `rto_seconds` is the
/// target of its recovery time.
///
/// # Errors
/// [`Unrepresentable`] in theory.
pub fn operation_event(
    origin: &Origin<'_>,
    operation: &DomainOperation,
    rto_seconds: Option<i64>,
) -> Result<NewEvent, Unrepresentable> {
    about_operation(origin, EventType::OperationFinished, operation, None, rto_seconds)
}

/// Makes the event that reports an operation that waits for approval from now on.
///
/// # Errors
/// [`Unrepresentable`] in theory.
pub fn approval_requested(
    origin: &Origin<'_>,
    operation: &DomainOperation,
) -> Result<NewEvent, Unrepresentable> {
    about_operation(origin, EventType::ApprovalRequested, operation, None, None)
}

/// Makes the event that reports how an operation's wait for approval ended.
///
/// # Errors
/// [`Unrepresentable`] in theory.
pub fn approval_decided(
    origin: &Origin<'_>,
    operation: &DomainOperation,
    decision: &Decision,
) -> Result<NewEvent, Unrepresentable> {
    about_operation(
        origin,
        EventType::ApprovalDecided,
        operation,
        Some(decision),
        None,
    )
}

/// Makes the event that a report is there, `report` being its JSON. The session is told without its machines, which the
/// report has.
///
/// # Errors
/// [`Unrepresentable`] in theory.
pub fn report_ready(
    origin: &Origin<'_>,
    session: Option<&Session>,
    operation: Option<&DomainOperation>,
    report: &Value,
) -> Result<NewEvent, Unrepresentable> {
    let text = |pointer: &str| {
        report
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let place = match (operation, session) {
        (Some(operation), _) => format!("/operations/{}/report", operation.id),
        (None, Some(session)) => format!("/failover-sessions/{}/report", session.facts.id),
        (None, None) => String::new(),
    };
    let plan = operation
        .and_then(|operation| operation.plan.as_ref())
        .or_else(|| session?.plan.as_ref());
    let data = FailoverEventData {
        session: session.map(|session| FailoverSession::with_machines(origin.links, session, &[])),
        operation: operation.map(|operation| Operation::new(origin.links, operation, None)),
        sequence: 1,
        virtual_machine: None,
        machines: None,
        decision: None,
        objectives: None,
        report: Some(ReportSummary {
            id: text("/report/id"),
            revision: report
                .pointer("/report/revision")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            kind: text("/summary/kind"),
            verdict: text("/summary/verdict"),
            digest: text("/integrity/digest"),
            key_id: text("/integrity/keyId"),
            link: origin.links.api(&place),
        }),
    };
    let routing = Routing {
        plan: plan.map(|plan| plan.id.clone()),
        tenant: plan.and_then(|plan| plan.tenant.clone()),
        result: Some(text("/execution/result")).filter(|result| !result.is_empty()),
        operation: operation.map(|operation| operation.id),
        ..Routing::default()
    };
    event(origin.id, EventType::ReportReady, origin.at, data, routing)
}

fn about_operation(
    origin: &Origin<'_>,
    kind: EventType,
    operation: &DomainOperation,
    decision: Option<&Decision>,
    rto_seconds: Option<i64>,
) -> Result<NewEvent, Unrepresentable> {
    let body = Operation::new(origin.links, operation, None);
    let ends = kind == EventType::OperationFinished;
    let routing = Routing {
        plan: operation.plan.as_ref().map(|plan| plan.id.clone()),
        tenant: operation.plan.as_ref().and_then(|plan| plan.tenant.clone()),
        result: body.result.clone(),
        operation: Some(operation.id),
        ends_operation: ends,
        ..Routing::default()
    };
    let data = FailoverEventData {
        session: None,
        operation: Some(body),
        sequence: 1,
        virtual_machine: None,
        machines: None,
        decision: decision.map(Into::into),
        objectives: ends.then_some(EventObjectives { rto_seconds }),
        report: None,
    };
    event(origin.id, kind, origin.at, data, routing)
}

/// Makes any other event.
///
/// # Errors
/// [`Unrepresentable`] in theory.
pub fn event<D: Serialize>(
    id: EventId,
    kind: EventType,
    at: jiff::Timestamp,
    data: D,
    routing: Routing,
) -> Result<NewEvent, Unrepresentable> {
    let body = serde_json::to_string(&Event {
        kind: kind.as_str(),
        timestamp: at.into(),
        data,
    })?;
    Ok(NewEvent {
        id,
        kind,
        at,
        body,
        routing,
    })
}
