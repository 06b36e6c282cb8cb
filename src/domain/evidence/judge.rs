//! What follows from a failover's times: the figures of its machines and of the plan, the verdict, and what is found.
//!
//! Definitions: docs/behaviour.md#evidence. Machines are matched with the plan by exact name, since a session names them by
//! nothing else. A figure that cannot be told is absent with its reason and never a guess.

mod findings;
mod plan;

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::clocks::{At, Em, Span, across};
use super::finding::{Finding, Severity};
use super::measure::{Absence, Judged, Measure, Source, Verdict};
use super::run::{PointFacts, Run};
use crate::domain::id::EmId;
use crate::domain::plan::PlanKind;
use crate::domain::session::{MachineFacts, SessionResult};
use crate::domain::words::words;

words! {
    /// Whether a failover showed what was wanted.
    pub enum Outcome {
        /// It went well, every machine recovered and no target was missed.
        Passed = "passed",
        /// It failed, a machine did not recover, or a target was missed.
        Failed = "failed",
        /// Nothing failed, and a figure with a target could not be measured.
        NotMeasured = "notMeasured",
    }
}

words! {
    /// Which figure is held against the target of the recovery time.
    pub enum HeldAgainst {
        /// The plan's recovery time: of tests, and of what was started elsewhere.
        PlanRta = "rta",
        /// From the request to the last machine: of real failovers.
        EndToEnd = "endToEnd",
        /// From the incident to the last machine: of real failovers whose incident is known.
        SinceIncident = "sinceIncident",
    }
}

/// The figures of one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineFigures {
    /// Its name.
    pub name: String,
    /// Its position in the plan's start order.
    pub order: Option<i64>,
    /// Whether the plan has it.
    pub in_plan: bool,
    /// Whether its result is success or warning.
    pub recovered: bool,
    /// EM's result.
    pub result: Option<SessionResult>,
    /// EM's message.
    pub message: Option<String>,
    /// When it was begun, by EM's clock.
    pub started_at: Option<Timestamp>,
    /// When it ended, by EM's clock.
    pub ended_at: Option<Timestamp>,
    /// From the session's start to the machine's.
    pub wait: Measure,
    /// From its start to its end.
    pub time: Measure,
    /// From the session's start to its end, if it recovered.
    pub rta: Judged,
    /// The restore point it was started from.
    pub point_id: Option<EmId>,
    /// The same, as far as it could be read.
    pub point: Option<PointFacts>,
    /// How old that restore point was.
    pub rpa: Judged,
    /// From the restore point to the bound that was given.
    pub bound: Measure,
}

/// The figures of the plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanFigures {
    /// From the session's start to the end of its last machine, if all recovered.
    pub rta: Measure,
    /// The figure that is held against the target.
    pub rto: Judged,
    /// Which one that is.
    pub held: HeldAgainst,
    /// The greatest data loss of a machine.
    pub rpa: Judged,
    /// From the session's start to its end, scripts included.
    pub session_time: Measure,
    /// From the request to its last approval.
    pub approval_wait: Measure,
    /// From the sending to the session's start.
    pub hand_over: Measure,
    /// Approval, hand-over and recovery together.
    pub end_to_end: Measure,
    /// From the incident to the end of the last machine.
    pub since_incident: Measure,
    /// From the session's start to the last check that passed.
    pub application: Measure,
    /// From the end of the last machine to the request of the undo.
    pub on_replica: Measure,
    /// From the request of the undo to its end.
    pub returned: Measure,
    /// How many machines of the plan recovered; none where EM does not show it.
    pub recovered: Option<usize>,
    /// How many machines the plan has.
    pub machines: usize,
    /// When the last machine that recovered ended, by EM's clock.
    pub last_recovered_at: Option<Timestamp>,
}

/// All that follows from a failover.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The machines of the plan in its order, then those that only the session has.
    pub machines: Vec<MachineFigures>,
    /// The plan.
    pub plan: PlanFigures,
    /// The verdict.
    pub outcome: Outcome,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Judgement {
    /// How many findings want something to be done.
    #[must_use]
    pub fn gaps(&self) -> usize {
        let is_gap = |finding: &&Finding| finding.code.severity() != Severity::Info;
        self.findings.iter().filter(is_gap).count()
    }
}

/// A machine of the plan, or one that only the session has.
struct Wanted<'a> {
    name: &'a str,
    order: Option<i64>,
    in_plan: bool,
    /// Its place among those of its name.
    turn: usize,
}

/// The rows of one name.
#[derive(Default)]
struct Namesakes<'a> {
    planned: usize,
    rows: Vec<&'a MachineFacts>,
}

impl<'a> Namesakes<'a> {
    fn is_ambiguous(&self) -> bool {
        self.planned > 1 || self.rows.len() > 1
    }

    fn all_recovered(&self) -> bool {
        self.rows.len() >= self.planned.max(1) && self.rows.iter().all(|row| went_well(row))
    }

    /// The row of the machine whose turn it is; the latest where the plan has one of the name and the session several.
    fn row(&self, turn: usize) -> Option<&'a MachineFacts> {
        if self.planned <= 1 {
            self.rows.iter().copied().max_by_key(|row| row.ended_at)
        } else {
            self.rows.get(turn).copied()
        }
    }
}

fn went_well(row: &MachineFacts) -> bool {
    matches!(row.result, Some(SessionResult::Success | SessionResult::Warning))
}

/// What follows from a failover.
#[must_use]
pub fn judge(run: &Run<'_>) -> Judgement {
    let rows: &[MachineFacts] = run.session.map_or(&[], |session| &session.machines);
    let mut names: HashMap<&str, Namesakes<'_>> = HashMap::new();
    for row in rows {
        names.entry(&row.name).or_default().rows.push(row);
    }
    let mut wanted: Vec<Wanted<'_>> = Vec::with_capacity(rows.len());
    for machine in run.machines.unwrap_or_default() {
        let namesakes = names.entry(&machine.name).or_default();
        wanted.push(Wanted {
            name: &machine.name,
            order: machine.order,
            in_plan: true,
            turn: namesakes.planned,
        });
        namesakes.planned += 1;
    }
    // Without a plan the session's own rows are what was to recover.
    for row in rows {
        let Some(namesakes) = names.get_mut(row.name.as_str()) else {
            continue;
        };
        if namesakes.planned == 0 {
            wanted.push(Wanted {
                name: &row.name,
                order: None,
                in_plan: run.machines.is_none(),
                turn: 0,
            });
            namesakes.planned = 1;
        }
    }
    let machines: Vec<MachineFigures> = wanted
        .iter()
        .map(|machine| figures_of(run, machine, names.get(machine.name)))
        .collect();
    let plan = plan::figures(run, &machines);
    let absent = targets_without_machine(run, &machines);
    let findings = findings::all(run, &machines, &plan, &names, &absent);
    let outcome = outcome(run, &machines, &plan, &absent);
    Judgement {
        machines,
        plan,
        outcome,
        findings,
    }
}

/// Why there is no figure that comes from a session.
fn without_session(run: &Run<'_>) -> Absence {
    match (run.kind, &run.course) {
        (_, Some(course)) if course.submitted_at.is_none() => Absence::NotSent,
        (PlanKind::OnPremises, _) => Absence::EmHasNoSession,
        (PlanKind::Cloud, _) => Absence::NoSession,
    }
}

fn figures_of(run: &Run<'_>, wanted: &Wanted<'_>, namesakes: Option<&Namesakes<'_>>) -> MachineFigures {
    let (rto, rpo) = run.objectives.of_machine(wanted.name);
    let row = namesakes.and_then(|namesakes| namesakes.row(wanted.turn));
    let ambiguous = namesakes.is_some_and(Namesakes::is_ambiguous);
    let recovered = if ambiguous {
        namesakes.is_some_and(Namesakes::all_recovered)
    } else {
        row.is_some_and(went_well)
    };
    let absent = |reason| run.session.map_or_else(|| without_session(run), |_| reason);
    let started = run.started();
    let at = |moment: Option<Timestamp>| moment.map(At::<Em>::new);
    let begun = at(row.and_then(|row| row.started_at));
    let ended = at(row.and_then(|row| row.ended_at));
    let wait = started
        .zip(begun)
        .map(|(started, begun)| begun.since(started))
        .ok_or_else(|| absent(Absence::NoTime));
    let time = begun
        .zip(ended)
        .map(|(begun, ended)| ended.since(begun))
        .ok_or_else(|| {
            let stopped = row.is_none_or(|row| row.state.is_stopped());
            absent(if stopped {
                Absence::NoTime
            } else {
                Absence::Running
            })
        });
    let rta = match (recovered, started.zip(ended)) {
        (true, Some((started, ended))) => Ok(ended.since(started)),
        (true, None) => Err(Absence::NoTime),
        (false, _) if ambiguous => Err(Absence::AmbiguousName),
        (false, _) => Err(absent(Absence::NotRecovered)),
    };
    let point_id = row
        .and_then(|row| row.replica_point.as_ref())
        .map(|point| point.id.clone());
    let (point, estimated) = match (&point_id, run.session) {
        (Some(id), _) => (run.points.get(id), false),
        (None, Some(_)) => (None, false),
        (None, None) => (newest_of(run, wanted.name), true),
    };
    let made: Result<At<Em>, Absence> = match (point.and_then(|point| point.created_at), &point_id) {
        (Some(made), _) => Ok(At::new(made)),
        (None, Some(_)) => Err(Absence::PointGone),
        (None, None) => Err(Absence::NoPoint),
    };
    let rpa = made.and_then(|made| loss(run, made));
    let bound = match run.before {
        Some(before) => made.map(|made| across(before, made)),
        None => Err(Absence::NoBound),
    };
    let rpa = Measure::new(rpa, Source::ReplicaPoints);
    MachineFigures {
        name: wanted.name.to_owned(),
        order: wanted.order,
        in_plan: wanted.in_plan,
        recovered,
        result: row.and_then(|row| row.result.clone()),
        message: row.and_then(|row| row.failure_message.clone()),
        started_at: row.and_then(|row| row.started_at),
        ended_at: row.and_then(|row| row.ended_at),
        wait: Measure::new(wait, Source::Machines),
        time: Measure::new(time, Source::Machines),
        rta: Judged::new(Measure::new(rta, Source::Machines), rto),
        point: point.cloned(),
        point_id: point_id.or_else(|| point.map(|point| point.id.clone())),
        rpa: Judged::new(if estimated { rpa.estimated() } else { rpa }, rpo),
        bound: Measure::new(bound, Source::ReplicaPoints),
    }
}

fn newest_of<'a>(run: &Run<'a>, name: &str) -> Option<&'a PointFacts> {
    let found = run.newest.iter().find(|(own, _)| own == name);
    found.map(|(_, point)| point)
}

/// How old a restore point was when it was needed: at the incident, else at the start.
fn loss(run: &Run<'_>, made: At<Em>) -> Result<Span, Absence> {
    match (run.incident_at, run.started(), &run.course) {
        (Some(incident), _, _) => Ok(across(incident, made)),
        (None, Some(started), _) => Ok(started.since(made)),
        (None, None, Some(course)) if run.session.is_none() => Ok(across(course.requested_at, made)),
        (None, None, _) => Err(Absence::NoTime),
    }
}

fn is_successful(run: &Run<'_>) -> bool {
    match (run.session, &run.course) {
        (Some(session), _) => matches!(
            session.result,
            Some(SessionResult::Success | SessionResult::Warning)
        ),
        (None, Some(course)) => course.went_well,
        (None, None) => false,
    }
}

/// The machines with a target of their own that neither the plan nor the session has: what was wanted of them was not measured.
fn targets_without_machine<'a>(run: &Run<'a>, machines: &[MachineFigures]) -> Vec<&'a str> {
    if machines.is_empty() {
        return Vec::new();
    }
    let known: HashSet<&str> = machines.iter().map(|machine| machine.name.as_str()).collect();
    let wanted = run.objectives.per_machine.iter();
    wanted
        .filter(|(_, own)| own.rto_seconds.is_some() || own.rpo_seconds.is_some())
        .map(|(name, _)| name.as_str())
        .filter(|name| !known.contains(name))
        .collect()
}

fn outcome(run: &Run<'_>, machines: &[MachineFigures], plan: &PlanFigures, absent: &[&str]) -> Outcome {
    let verdicts = || {
        let of_machines = machines
            .iter()
            // Where EM shows no machines, that none was measured is no fault of theirs.
            .filter(|_| run.session.is_some())
            .flat_map(|machine| [machine.rta.verdict(), machine.rpa.verdict()]);
        [plan.rto.verdict(), plan.rpa.verdict()]
            .into_iter()
            .chain(of_machines)
    };
    let unrecovered = plan
        .recovered
        .is_some_and(|recovered| recovered < plan.machines || plan.machines == 0);
    if !is_successful(run) || unrecovered || verdicts().any(|verdict| verdict == Verdict::Missed) {
        Outcome::Failed
    } else if !absent.is_empty() || verdicts().any(|verdict| verdict == Verdict::NotMeasured) {
        Outcome::NotMeasured
    } else {
        Outcome::Passed
    }
}
