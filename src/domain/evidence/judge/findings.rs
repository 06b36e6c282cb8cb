//! What is found in a failover that was judged: each missed target, each machine that is not as the plan wanted it, each check that
//! failed. In the order in which a report shows them.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{MachineFigures, Namesakes, PlanFigures, is_successful};
use crate::domain::evidence::entry::FailedCheck;
use crate::domain::evidence::finding::{Finding, FindingCode};
use crate::domain::evidence::measure::{Absence, Verdict};
use crate::domain::evidence::run::Run;
use crate::domain::plan::PlanKind;
use crate::domain::session::SessionResult;

pub(super) fn all(
    run: &Run<'_>,
    machines: &[MachineFigures],
    plan: &PlanFigures,
    names: &HashMap<&str, Namesakes<'_>>,
    absent: &[&str],
) -> Vec<Finding> {
    let mut found = Vec::new();
    if run.lost {
        found.push(Finding::of_plan(FindingCode::SessionLost));
    } else if !is_successful(run) {
        found.push(Finding {
            detail: run.session.and_then(|session| session.failure_message.clone()),
            ..Finding::of_plan(FindingCode::NotSuccessful)
        });
    }
    if run.machines.is_none() {
        found.push(Finding::of_plan(FindingCode::PlanUnknown));
    }
    if run.session.is_none() && run.kind == PlanKind::OnPremises {
        found.push(Finding::of_plan(FindingCode::MachinesNotObserved));
    }
    for (judged, missed, unmeasured) in [
        (&plan.rto, FindingCode::RtoMissed, FindingCode::RtoNotMeasured),
        (&plan.rpa, FindingCode::RpoMissed, FindingCode::RpoNotMeasured),
    ] {
        match judged.verdict() {
            Verdict::Missed => found.push(Finding::of_plan(missed)),
            Verdict::NotMeasured => found.push(Finding {
                reason: judged.measure().figure().err(),
                ..Finding::of_plan(unmeasured)
            }),
            Verdict::Met | Verdict::NoTarget => {}
        }
    }
    if run.session.is_some() {
        for machine in machines {
            found.extend(machine_findings(run, machine, names.get(machine.name.as_str())));
        }
    }
    if let Some((early, _)) = out_of_order(machines) {
        found.push(Finding::of_machine(FindingCode::StartOrder, early, None));
    }
    let of_nobody = |name: &&str| Finding::of_machine(FindingCode::TargetWithoutMachine, name, None);
    found.extend(absent.iter().map(of_nobody));
    found.extend(run.failed_checks.iter().map(failed_check));
    found
}

fn failed_check(check: &FailedCheck) -> Finding {
    let detail = match &check.detail {
        Some(detail) => format!("{}: {detail}", check.name),
        None => check.name.clone(),
    };
    Finding {
        machine: check.machine.clone(),
        detail: Some(detail),
        ..Finding::of_plan(FindingCode::CheckFailed)
    }
}

fn machine_findings(
    run: &Run<'_>,
    machine: &MachineFigures,
    namesakes: Option<&Namesakes<'_>>,
) -> Vec<Finding> {
    let mut codes = Vec::new();
    let shown = namesakes.is_some_and(|namesakes| !namesakes.rows.is_empty());
    match (&machine.result, shown) {
        (_, false) => codes.push(FindingCode::MachineMissing),
        (Some(SessionResult::Success), true) => {}
        (Some(SessionResult::Warning), true) => codes.push(FindingCode::MachineWarning),
        (Some(SessionResult::Failed | SessionResult::Other(_)) | None, true) => {
            codes.push(FindingCode::MachineFailed)
        }
    }
    if !machine.in_plan {
        codes.push(FindingCode::NotInPlan);
    }
    if namesakes.is_some_and(Namesakes::is_ambiguous) {
        codes.push(FindingCode::AmbiguousName);
    }
    if machine
        .bound
        .figure()
        .is_ok_and(|span| span.length().is_negative())
    {
        codes.push(FindingCode::PointAfterBound);
    }
    if machine.rpa.measure().figure() == Err(Absence::PointGone) {
        codes.push(FindingCode::PointGone);
    }
    // A target of the machine's own; that of the plan is a finding about the plan.
    let own = run
        .objectives
        .per_machine
        .get(&machine.name)
        .copied()
        .unwrap_or_default();
    if own.rto_seconds.is_some() && machine.rta.verdict() == Verdict::Missed {
        codes.push(FindingCode::RtoMissed);
    }
    if own.rpo_seconds.is_some() && machine.rpa.verdict() == Verdict::Missed {
        codes.push(FindingCode::RpoMissed);
    }
    let detail = |code| match code {
        FindingCode::MachineFailed | FindingCode::MachineWarning => machine.message.clone(),
        _ => None,
    };
    codes
        .into_iter()
        .map(|code| Finding::of_machine(code, &machine.name, detail(code)))
        .collect()
}

/// A machine that began before one that comes earlier in the plan's order, and that other one.
fn out_of_order(machines: &[MachineFigures]) -> Option<(&str, &str)> {
    let mut begun: Vec<(i64, Timestamp, &str)> = machines
        .iter()
        .filter_map(|machine| Some((machine.order?, machine.started_at?, machine.name.as_str())))
        .collect();
    begun.sort_by_key(|(order, at, _)| (*order, *at));
    let mut latest: Option<(i64, Timestamp, &str)> = None;
    for (order, at, name) in begun {
        if let Some((before, last, other)) = latest
            && before < order
            && at < last
        {
            return Some((name, other));
        }
        if latest.is_none_or(|(_, last, _)| at > last) {
            latest = Some((order, at, name));
        }
    }
    None
}
