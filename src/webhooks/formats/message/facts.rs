//! The facts of a message, label and value, most important first; and the reason of what failed.

use std::time::Duration;

use super::REASON;
use super::body::Data;
use super::machines::{machine, machine_count};
use super::time::{duration, minute};
use crate::domain::event::EventType;
use crate::webhooks::formats::text::clean;

/// The longest value of a fact, in UTF-16 units.
const VALUE: usize = 120;

/// At most eight.
pub(super) fn facts(
    kind: EventType,
    data: &Data,
    plan: Option<&str>,
    tenant: Option<&str>,
    (failed, good): (usize, usize),
) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut add = |label, value: Option<String>| {
        if let Some(value) = value {
            facts.push((label, clean(&value, VALUE)));
        }
    };
    let (session, operation) = (data.session.as_ref(), data.operation.as_ref());
    let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
    add("Plan", owned(plan));
    add("Tenant", owned(tenant));
    let is_start = kind == EventType::SessionStarted;
    let allowed = data.objectives.as_ref().and_then(|wanted| wanted.rto_seconds);
    let allowed = allowed.map(Duration::from_secs);
    let of_machine = machine(data).filter(|_| kind == EventType::MachineFinished);
    let times = match of_machine {
        Some(machine) => Some((&machine.started_at, &machine.ended_at)),
        None => session
            .filter(|_| !is_start)
            .map(|session| (&session.started_at, &session.ended_at)),
    };
    let took = times
        .and_then(|(started, ended)| duration(started.as_deref(), ended.as_deref(), allowed))
        .or_else(|| {
            let operation = operation.filter(|_| kind == EventType::OperationFinished)?;
            duration(
                operation.requested_at.as_deref(),
                operation.finished_at.as_deref(),
                allowed,
            )
        });
    add("Duration", took);
    let goes_on = matches!(kind, EventType::SessionStarted | EventType::SessionProgressed);
    let started = session.and_then(|session| session.started_at.as_deref());
    add("Started", started.filter(|_| goes_on).map(minute));
    let ended = session.and_then(|session| session.ended_at.as_deref());
    add("Ended", ended.filter(|_| is_start).map(minute));
    add("Machines", machine_count(kind, data, failed, good));
    if let (EventType::ApprovalRequested, Some(approval)) =
        (kind, operation.and_then(|operation| operation.approval.as_ref()))
    {
        let given = format!("{} of {}", approval.given.len(), approval.required);
        add("Approvals", Some(given));
        add("Until", approval.expires_at.as_deref().map(minute));
    }
    add(
        "Asked by",
        owned(operation.and_then(|operation| operation.requested_by.as_deref())),
    );
    if let Some(decision) = &data.decision {
        add("Decided by", decision.by.clone());
        add("Comment", decision.comment.clone());
    }
    add(
        "Purpose",
        owned(operation.and_then(|operation| operation.reason.as_deref())),
    );
    add("Due", data.due_at.as_deref().map(minute));
    add("Next", data.next_at.as_deref().map(minute));
    if kind == EventType::TestOverdue {
        let last = data.last_test_at.as_deref().map(minute);
        add("Last test", last.or_else(|| Some("none".to_owned())));
    }
    add("Owner", data.owner.clone());
    add("Hash", data.hash.clone());
    add("Account", data.account.clone());
    add("Since", data.since.as_deref().map(minute));
    facts.truncate(8);
    facts
}

/// Why it failed, in words of Enterprise Manager or of a person.
pub(super) fn reason(kind: EventType, data: &Data) -> Option<String> {
    if kind == EventType::MachineFinished {
        // Its own or none: why the session failed is no word about a machine that succeeded.
        let reason = machine(data)?.failure_message.as_deref()?;
        return Some(clean(reason, REASON));
    }
    let lost = "Enterprise Manager no longer shows this session; its end is not known.";
    let text = data
        .session
        .as_ref()
        .and_then(|session| session.failure_message.as_deref())
        .or_else(|| data.operation.as_ref()?.failure.as_ref()?.message.as_deref())
        .or_else(|| data.endpoint.as_ref()?.reason.as_deref())
        .or(data.detail.as_deref())
        .or(data.reason.as_deref())
        .or_else(|| (kind == EventType::SessionLost).then_some(lost))?;
    Some(clean(text, REASON))
}
