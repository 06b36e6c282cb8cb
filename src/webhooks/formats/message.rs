//! A message: what a person wants to know of an event, result first, out of the event's stored body. Pure; how it looks is
//! each service's own file. Its parts are files of their own: `body` is what is read, the others what is made of it.

mod alert;
mod body;
mod facts;
mod machines;
mod time;
mod title;
mod tone;

pub(super) use self::alert::Alert;
pub(super) use self::machines::FailedMachine;
pub(super) use self::tone::Tone;

use self::body::{Body, sample};
use super::pages::{About, Pages};
use super::text::clean;
use crate::domain::event::EventType;
use crate::domain::links::Links;

/// The longest name of a machine.
pub(super) const NAME: usize = 80;
/// The longest id.
const ID: usize = 200;
/// The longest reason that is kept.
const REASON: usize = 1000;

/// A message, of text that is cleaned and not yet escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// The event's type.
    pub(super) kind: EventType,
    /// How good the news is.
    pub(super) tone: Tone,
    /// Result, plan and tenant in a line of at most 150 UTF-16 units.
    pub(super) title: String,
    /// Label and value, most important first; 8 at most.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Why it failed, in EM's or a person's words.
    pub(super) reason: Option<String>,
    /// Machines that failed.
    pub(super) failed: Vec<FailedMachine>,
    /// Machines that succeeded.
    pub(super) good: Vec<String>,
    /// Where to look.
    pub(super) pages: Pages,
    /// The failover that it belongs to: its session, or else its operation.
    pub(super) failover: Option<String>,
    /// The session alone.
    pub(super) session: Option<String>,
    /// The plan's name, as far as it is about one.
    pub(super) plan: Option<String>,
    /// The backup server, as far as it is about one.
    pub(super) server: Option<String>,
    /// When it was seen, RFC 3339.
    pub(super) at: String,
    /// For alerting.
    pub(super) alert: Alert,
}

impl Message {
    /// What people want to know of an event with this stored body.
    pub(super) fn of(kind: EventType, id: &str, body: &str, links: &Links) -> Self {
        let body: Body = serde_json::from_str(body).unwrap_or_default();
        let at = body.timestamp.unwrap_or_default();
        let data = if kind == EventType::WebhookTest {
            sample()
        } else {
            body.data
        };
        let (tone, word) = title::headline(kind, &data);
        let (session, operation) = (data.session.as_ref(), data.operation.as_ref());
        let session_id = session.and_then(|session| session.id.clone());
        let operation_id = operation.and_then(|operation| operation.id.clone());
        let plan = session
            .and_then(|session| session.plan_name.as_deref())
            .or_else(|| operation?.plan.as_ref()?.name.as_deref())
            .or_else(|| data.plan.as_ref()?.name.as_deref());
        let tenant = session
            .and_then(|session| session.tenant.as_ref()?.name.as_deref())
            .or_else(|| operation?.plan.as_ref()?.tenant.as_ref()?.name.as_deref())
            .or_else(|| data.plan.as_ref()?.tenant.as_ref()?.name.as_deref());
        let ended = matches!(
            kind,
            EventType::SessionFinished | EventType::OperationFinished | EventType::ReportReady
        );
        let sample = kind == EventType::WebhookTest;
        let pages = Pages::of(
            links,
            About {
                operation: operation_id.as_deref(),
                session: session_id.as_deref(),
                plan: data
                    .plan
                    .as_ref()
                    .and_then(|plan| Some((plan.kind.as_deref()?, plan.id.as_deref()?))),
                ended,
                waits: kind == EventType::ApprovalRequested,
            },
        );
        let (failed, good) = machines::machines(kind, &data);
        Self {
            kind,
            tone,
            title: title::title(kind, &word, &data, plan, tenant, failed.len()),
            facts: facts::facts(kind, &data, plan, tenant, (failed.len(), good.len())),
            reason: facts::reason(kind, &data),
            failed,
            good,
            pages: if sample { Pages::default() } else { pages },
            failover: session_id
                .as_deref()
                .or(operation_id.as_deref())
                .filter(|_| !sample)
                .map(|id| clean(id, ID)),
            alert: alert::alert(kind, id, &data, session_id.as_deref(), operation_id.as_deref()),
            session: session_id.filter(|_| !sample).map(|id| clean(&id, ID)),
            plan: plan.map(|name| clean(name, NAME)),
            server: session
                .and_then(|session| session.backup_server.as_ref()?.name.as_deref())
                .map(|name| clean(name, NAME)),
            at,
        }
    }
}
