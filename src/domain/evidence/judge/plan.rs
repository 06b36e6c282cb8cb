//! The figures of the whole plan, from those of its machines and from the course of the failover.

use jiff::SignedDuration;

use super::{HeldAgainst, MachineFigures, PlanFigures, without_session};
use crate::domain::evidence::clocks::{At, Em, Span, across};
use crate::domain::evidence::measure::{Absence, Judged, Measure, Source};
use crate::domain::evidence::run::{Run, RunAction};
use crate::domain::plan::PlanKind;

pub(super) fn figures(run: &Run<'_>, machines: &[MachineFigures]) -> PlanFigures {
    let no_time = || {
        run.session
            .map_or_else(|| without_session(run), |_| Absence::NoTime)
    };
    let planned = || machines.iter().filter(|machine| machine.in_plan);
    let recovered = planned().filter(|machine| machine.recovered).count();
    let count = planned().count();
    let last = machines
        .iter()
        .filter(|machine| machine.recovered)
        .filter_map(|machine| machine.ended_at)
        .max();
    let last_at = last.map(At::<Em>::new);
    let rta = plan_rta(run, machines, recovered == count);
    let started = run.started();
    let ended = run
        .session
        .and_then(|session| session.ended_at)
        .map(At::<Em>::new);
    let session_time = started.zip(ended).map(|(started, ended)| ended.since(started));
    let session_time = session_time.ok_or(run.session.map_or_else(
        || without_session(run),
        |session| {
            if session.state.is_stopped() {
                Absence::NoTime
            } else {
                Absence::Running
            }
        },
    ));
    let course = run.course.ok_or(Absence::NoOperation);
    let approval_wait = course.and_then(|course| {
        let approved = course.approved_at.ok_or(Absence::NoApproval)?;
        Ok(approved.since(course.requested_at))
    });
    let hand_over = course.and_then(|course| {
        let submitted = course.submitted_at.ok_or(Absence::NotSent)?;
        let started = started.ok_or_else(no_time)?;
        let clock = run.clock.ok_or(Absence::NoClock)?;
        Ok(across(started, submitted).corrected(clock.ahead))
    });
    let mut handed = Measure::new(hand_over, Source::OperationAndSession);
    if let Some(clock) = run.clock {
        handed = handed.within(clock.tolerance);
    }
    let end_to_end = if run.session.is_none() && run.kind == PlanKind::OnPremises {
        // Its recovery time begins with the request.
        rta.figure()
    } else {
        let wait = match approval_wait {
            Err(Absence::NoApproval) => Ok(None),
            other => other.map(Some),
        };
        wait.and_then(|wait| {
            let rest = hand_over?.plus(rta.figure()?);
            Ok(wait.map_or(rest, |wait| wait.plus(rest)))
        })
    };
    let mut end_to_end = Measure::new(end_to_end, Source::OperationAndSession);
    // It is as exact as its least exact part.
    let tolerance = match run.session {
        Some(_) => run.clock.map(|clock| clock.tolerance),
        None => rta.precision(),
    };
    if let Some(tolerance) = tolerance {
        end_to_end = end_to_end.within(tolerance);
    }
    let since_incident = match (run.incident_at, rta.figure(), last_at) {
        (None, _, _) => Err(Absence::NoIncident),
        (Some(_), Err(reason), _) => Err(reason),
        (Some(incident), Ok(_), Some(last)) => Ok(across(last, incident)),
        (Some(incident), Ok(_), None) => {
            let done = run.course.and_then(|course| course.work_ended_at);
            done.map(|done| across(done, incident)).ok_or(Absence::NoTime)
        }
    };
    let since_incident = Measure::new(since_incident, Source::Machines);
    let application = match (run.checked_at, started) {
        (None, _) => Err(Absence::NoChecks),
        (Some(_), None) => Err(no_time()),
        (Some(checked), Some(started)) => Ok(across(checked, started)),
    };
    let undone = || match run.action {
        RunAction::Test => Absence::TestOnly,
        RunAction::Start => Absence::StillFailedOver,
        RunAction::Unknown => Absence::NoOperation,
    };
    let on_replica = match (run.undo, last_at) {
        (None, _) => Err(undone()),
        (Some(_), None) => Err(no_time()),
        (Some(undo), Some(last)) => Ok(across(undo.requested_at, last)),
    };
    let returned = match run.undo {
        None => Err(undone()),
        Some(undo) => undo
            .finished_at
            .map(|finished| finished.since(undo.requested_at))
            .ok_or(Absence::Running),
    };
    let (held, against) = match (run.action, run.incident_at) {
        (RunAction::Test | RunAction::Unknown, _) => (HeldAgainst::PlanRta, rta),
        (RunAction::Start, Some(_)) => (HeldAgainst::SinceIncident, since_incident),
        (RunAction::Start, None) => (HeldAgainst::EndToEnd, end_to_end),
    };
    PlanFigures {
        rto: Judged::new(against, run.objectives.rto_seconds),
        held,
        rpa: Judged::new(plan_rpa(machines), run.objectives.rpo_seconds),
        rta,
        session_time: Measure::new(session_time, Source::Session),
        approval_wait: Measure::new(approval_wait, Source::Operation),
        hand_over: handed,
        end_to_end,
        since_incident,
        application: Measure::new(application, Source::Checks),
        on_replica: Measure::new(on_replica, Source::OperationAndSession),
        returned: Measure::new(returned, Source::Operation),
        recovered: run.session.map(|_| recovered),
        machines: count,
        last_recovered_at: last,
    }
}

/// From the session's start to the end of its last machine, only if all of the plan recovered. Without a session, from the
/// request to the first look at which EM's task was done.
fn plan_rta(run: &Run<'_>, machines: &[MachineFigures], all_recovered: bool) -> Measure {
    let Some(session) = run.session else {
        let figure = match run.course {
            Some(course) if course.submitted_at.is_none() => Err(Absence::NotSent),
            Some(course) if run.kind == PlanKind::OnPremises && !course.went_well => {
                Err(Absence::NotRecovered)
            }
            Some(course) if run.kind == PlanKind::OnPremises => course
                .work_ended_at
                .map(|done| done.since(course.requested_at))
                .ok_or(Absence::NoTime),
            Some(_) | None => Err(without_session(run)),
        };
        let precision = run
            .course
            .map_or(SignedDuration::ZERO, |course| course.look_every);
        return Measure::new(figure, Source::Task).within(precision);
    };
    let times = machines.iter().filter(|machine| machine.recovered);
    let mut longest: Result<Option<Span>, Absence> = Ok(None);
    for machine in times {
        longest = match (longest, machine.rta.measure().figure()) {
            (Ok(before), Ok(span)) => Ok(Some(before.map_or(span, |before| before.longest(span)))),
            (Err(reason), _) | (Ok(_), Err(reason)) => Err(reason),
        };
    }
    let figure = match (
        machines.is_empty() && session.machines.is_empty(),
        all_recovered,
        longest,
    ) {
        (true, _, _) => Err(Absence::NoMachines),
        (false, false, _) => Err(Absence::NotRecovered),
        (false, true, Ok(Some(span))) => Ok(span),
        (false, true, Ok(None)) => Err(Absence::NoMachines),
        (false, true, Err(reason)) => Err(reason),
    };
    Measure::new(figure, Source::Machines)
}

/// The greatest data loss, if that of every machine is known.
fn plan_rpa(machines: &[MachineFigures]) -> Measure {
    let mut greatest: Result<Option<Span>, Absence> = Ok(None);
    let mut estimated = false;
    for machine in machines {
        let own = machine.rpa.measure();
        estimated |= own.is_estimated();
        greatest = match (greatest, own.figure()) {
            (Ok(before), Ok(span)) => Ok(Some(before.map_or(span, |before| before.longest(span)))),
            (Err(reason), _) | (Ok(_), Err(reason)) => Err(reason),
        };
    }
    let figure = greatest.and_then(|span| span.ok_or(Absence::NoMachines));
    let measure = Measure::new(figure, Source::ReplicaPoints);
    if estimated { measure.estimated() } else { measure }
}
