//! The course of a failover in a report: how it ran, its moments in their order, and the way back.

use jiff::Timestamp;

use super::{Material, result_of};
use crate::api_types::Moment;
use crate::api_types::reports::{ClockDifference, Execution, ReportUndo, TimelineStep, WayBack};
use crate::domain::evidence::judge::MachineFigures;
use crate::domain::evidence::run::RunAction;
use crate::domain::operation::OperationState;
use crate::domain::session::SessionPhase;
use crate::text::lower_camel;

pub(super) fn execution(material: &Material<'_>) -> Execution {
    let session = material.session;
    let facts = session.map(|session| &session.facts);
    let lost = session.is_some_and(|session| session.phase == SessionPhase::Lost);
    let state = match (material.operation, facts) {
        (_, Some(_)) if lost => "lost".to_owned(),
        (Some(operation), _) => operation.state.as_str().to_owned(),
        (None, Some(facts)) => facts.state.word(),
        (None, None) => OperationState::Unknown.as_str().to_owned(),
    };
    let failure = material
        .operation
        .and_then(|operation| operation.failure.as_ref())
        .map(|failure| failure.message.clone());
    let millis = |length: jiff::SignedDuration| i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    Execution {
        action: (material.action != RunAction::Unknown).then_some(material.action.as_str()),
        restore_point_before: material.asked.before.map(Moment),
        operation_id: material.operation.map(|operation| operation.id.to_string()),
        session_id: facts.map(|facts| facts.id.to_string()),
        state,
        result: result_of(material),
        failure_message: facts.and_then(|facts| facts.failure_message.clone()).or(failure),
        started_at: facts.and_then(|facts| facts.started_at).map(Moment),
        ended_at: facts.and_then(|facts| facts.ended_at).map(Moment),
        clock_difference: material.asked.clock.map(|clock| ClockDifference {
            ahead_ms: millis(clock.ahead),
            tolerance_ms: millis(clock.tolerance),
        }),
        timeline: timeline(material),
    }
}

/// Steps by the moments that are known of them, in the order in which these follow each other if all clocks agree.
fn timeline(material: &Material<'_>) -> Vec<TimelineStep> {
    let mut steps = Vec::new();
    let mut add = |at: Option<Timestamp>, clock: &'static str, event: &str, detail: Option<String>| {
        steps.extend(at.map(|at| TimelineStep {
            at: at.into(),
            clock,
            event: event.to_owned(),
            detail,
        }));
    };
    let incident = material
        .asked
        .purpose
        .as_ref()
        .and_then(|purpose| purpose.incident_at);
    add(incident, "caller", "incident", None);
    let mut endings = Vec::new();
    if let Some(operation) = material.operation {
        add(
            Some(operation.requested_at),
            "gateway",
            "requested",
            operation.requested_by.clone(),
        );
        let given = operation.approval.iter().flat_map(|approval| &approval.given);
        let mut approvals: Vec<_> = given.map(|one| (one.at, one.by.clone())).collect();
        for step in &operation.history {
            if step.state == OperationState::Submitting {
                for (at, by) in approvals.drain(..) {
                    add(Some(at), "gateway", "approved", by);
                }
            }
            let (at, word) = (Some(step.at), step.state.as_str());
            if step.state.is_open() {
                add(at, "gateway", word, step.reason.clone());
            } else {
                endings.push((at, word, step.reason.clone()));
            }
        }
        for (at, by) in approvals {
            add(Some(at), "gateway", "approved", by);
        }
    }
    if let Some(session) = material.session {
        add(session.facts.started_at, "em", "sessionStarted", None);
        let mut ended: Vec<&MachineFigures> = material.judgement.machines.iter().collect();
        ended.sort_by_key(|machine| machine.ended_at);
        // A thousand machines have a line each among the machines.
        if ended.len() <= 50 {
            for machine in ended {
                add(machine.ended_at, "em", "machineEnded", Some(machine.name.clone()));
            }
        }
        add(session.facts.ended_at, "em", "sessionEnded", None);
    }
    add(material.work_ended_at, "gateway", "taskDone", None);
    if let Some(operation) = material.operation {
        add(operation.cancel_requested_at, "gateway", "cancelRequested", None);
    }
    for (at, word, reason) in endings {
        add(at, "gateway", word, reason);
    }
    if let Some(undo) = material.undo {
        add(
            Some(undo.requested_at),
            "gateway",
            "undoRequested",
            undo.requested_by.clone(),
        );
        add(undo.finished_at, "gateway", "undoFinished", None);
    }
    steps
}

pub(super) fn way_back(material: &Material<'_>) -> WayBack {
    WayBack {
        undo: material.undo.map(|undo| ReportUndo {
            operation_id: undo.id.to_string(),
            by: undo.requested_by.clone(),
            requested_at: undo.requested_at.into(),
            finished_at: undo.finished_at.map(Moment),
            result: undo.result.as_ref().map(|result| lower_camel(result.as_str())),
        }),
        cleaned_up: material.clean_up.map(|look| match look.done {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        }),
        looked_at: material.clean_up.map(|look| look.looked_at.into()),
    }
}
