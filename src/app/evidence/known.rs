//! What is known of a failover at one moment, and what follows from it: its plan, its end, and the failover as it is judged.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::evidence::clocks::At;
use crate::domain::evidence::run::{Course, PointFacts, Run, Undo};
use crate::domain::id::EmId;
use crate::domain::operation::{Operation, OperationResult, OperationState};
use crate::domain::plan::{PlanKind, PlanRef};
use crate::domain::session::{SessionPhase, SessionRecord, SessionResult};
use crate::store::evidence::RunRecord;
use crate::text::lower_camel;

/// What is known of a failover at this moment.
pub(super) struct Known {
    pub operation: Option<Operation>,
    pub session: Option<SessionRecord>,
    pub undo: Option<Operation>,
}

/// The plan that it was of.
pub(super) fn plan_of(known: &Known) -> Option<&PlanRef> {
    let of_operation = known
        .operation
        .as_ref()
        .and_then(|operation| operation.plan.as_ref());
    of_operation.or_else(|| known.session.as_ref()?.plan.as_ref())
}

/// EM's result.
pub(super) fn result_of(known: &Known) -> Option<String> {
    let session = known
        .session
        .as_ref()
        .and_then(|session| session.facts.result.as_ref());
    session.map(SessionResult::word).or_else(|| {
        let result = known.operation.as_ref()?.result.as_ref()?;
        Some(lower_camel(OperationResult::as_str(result)))
    })
}

/// Whether EM acted on it, or may have.
pub(super) fn is_executed(known: &Known) -> bool {
    known.session.is_some()
        || known.operation.as_ref().is_some_and(|operation| {
            operation.state == OperationState::Unknown || operation.result_source.is_some()
        })
}

/// When it ended; now, where nobody told.
pub(super) fn ended_at(known: &Known, now: Timestamp) -> Timestamp {
    let session = known.session.as_ref().and_then(|session| session.facts.ended_at);
    let operation = known
        .operation
        .as_ref()
        .and_then(|operation| operation.finished_at);
    operation.or(session).unwrap_or(now)
}

/// The failover as it is judged; `points` and what is known outlive it.
pub(super) fn to_judge<'a>(
    run: &'a RunRecord,
    known: &'a Known,
    points: &'a HashMap<EmId, PointFacts>,
    look_every: Duration,
) -> Run<'a> {
    let session = known.session.as_ref();
    let kind = plan_of(known).map_or(PlanKind::Cloud, |plan| plan.kind);
    Run {
        action: run.action,
        kind,
        machines: run.asked.plan.as_ref().map(|plan| plan.machines.as_slice()),
        session: session.map(|session| &session.facts),
        lost: session.is_some_and(|session| session.phase == SessionPhase::Lost),
        points,
        newest: run.newest.as_deref().unwrap_or_default(),
        before: run.asked.before.map(At::new),
        incident_at: run
            .asked
            .purpose
            .as_ref()
            .and_then(|purpose| purpose.incident_at)
            .map(At::new),
        objectives: &run.asked.objectives,
        course: known
            .operation
            .as_ref()
            .map(|operation| course(run, operation, look_every)),
        clock: run.asked.clock,
        checked_at: None,
        failed_checks: &[],
        undo: known.undo.as_ref().map(|undo| Undo {
            requested_at: At::new(undo.requested_at),
            finished_at: undo.finished_at.map(At::new),
        }),
    }
}

fn course(run: &RunRecord, operation: &Operation, look_every: Duration) -> Course {
    let approval = operation.approval.as_ref();
    let approved = approval
        .filter(|approval| approval.given.len() >= approval.required)
        .and_then(|approval| approval.given.last());
    let submitted = operation
        .history
        .iter()
        .find(|step| step.state == OperationState::Submitting);
    Course {
        requested_at: At::new(operation.requested_at),
        approved_at: approved.map(|approval| At::new(approval.at)),
        submitted_at: submitted.map(|step| At::new(step.at)),
        work_ended_at: run.work_ended_at.or(operation.finished_at).map(At::new),
        look_every: SignedDuration::try_from(look_every).unwrap_or(SignedDuration::MAX),
        went_well: matches!(
            operation.result,
            Some(OperationResult::Success | OperationResult::Warning)
        ),
    }
}
