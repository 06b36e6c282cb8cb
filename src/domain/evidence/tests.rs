//! The definitions, vector by vector, and what holds for every failover.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rstest::rstest;

use super::clocks::{At, Caller, Clocks, Gateway};
use super::finding::FindingCode;
use super::judge::{HeldAgainst, Judgement, Outcome, judge};
use super::measure::{Absence, Judged, Measure, Verdict};
use super::objectives::{MachineObjectives, Objectives};
use super::run::{ClockDifference, Course, PointFacts, Run, RunAction, Undo};
use crate::domain::id::EmId;
use crate::domain::plan::{PlanKind, PlanMachine, Reference};
use crate::domain::session::{MachineFacts, SessionFacts, SessionResult, SessionState};

/// When the session starts, by EM's clock.
fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a moment")
}

fn after(millis: i64) -> Timestamp {
    start() + SignedDuration::from_millis(millis)
}

fn point_id(place: usize) -> EmId {
    format!("c1beab6b-2b18-47f1-9e71-{place:012}")
        .parse()
        .expect("an id")
}

fn machine(name: &str, place: usize, end: Option<i64>, result: &str, point: bool) -> MachineFacts {
    MachineFacts {
        name: name.to_owned(),
        state: SessionState::Stopped,
        result: SessionResult::reported(result),
        progress: None,
        started_at: Some(after(1000)),
        ended_at: end.map(after),
        failure_message: None,
        replica_point: point.then(|| Reference {
            id: point_id(place),
            name: None,
        }),
    }
}

fn session(machines: Vec<MachineFacts>) -> SessionFacts {
    let failed = machines
        .iter()
        .any(|one| one.result == Some(SessionResult::Failed));
    SessionFacts {
        id: "a986d473-0248-4884-9832-17ec982ee393".parse().expect("an id"),
        uid: None,
        plan_name: "ABC Company Failover Plan".to_owned(),
        job: None,
        job_type: None,
        backup_server: None,
        state: SessionState::Stopped,
        result: Some(if failed {
            SessionResult::Failed
        } else {
            SessionResult::Success
        }),
        progress: None,
        started_at: Some(start()),
        ended_at: Some(after(5_000_000)),
        failure_message: None,
        machines,
    }
}

fn planned(names: &[&str]) -> Vec<PlanMachine> {
    let one = |(order, name): (i64, &&str)| PlanMachine {
        id: None,
        name: (*name).to_owned(),
        order: Some(order),
    };
    (0..).zip(names).map(one).collect()
}

fn point(place: usize, age_seconds: i64) -> (EmId, PointFacts) {
    let facts = PointFacts {
        id: point_id(place),
        created_at: Some(after(-1000 * age_seconds)),
        kind: Some("Increment".to_owned()),
        state: Some("Ready".to_owned()),
        read_at: start(),
    };
    (point_id(place), facts)
}

/// A test of a cloud plan, with nothing known beside the session.
struct Scene {
    action: RunAction,
    plan: Vec<PlanMachine>,
    session: SessionFacts,
    points: HashMap<EmId, PointFacts>,
    before: Option<Timestamp>,
    incident_at: Option<Timestamp>,
    objectives: Objectives,
    course: Option<Course>,
    clock: Option<ClockDifference>,
    undo: Option<Undo>,
}

/// A machine of a scene: name, end in milliseconds after the start, result, age of its restore point in seconds.
type Row<'a> = (&'a str, Option<i64>, &'a str, Option<i64>);

impl Scene {
    fn of(plan: &[&str], rows: &[Row<'_>]) -> Self {
        let machines = rows
            .iter()
            .enumerate()
            .map(|(place, (name, end, result, age))| machine(name, place, *end, result, age.is_some()));
        let points = rows
            .iter()
            .enumerate()
            .filter_map(|(place, row)| Some(point(place, row.3?)));
        Self {
            action: RunAction::Test,
            plan: planned(plan),
            session: session(machines.collect()),
            points: points.collect(),
            before: None,
            incident_at: None,
            objectives: Objectives {
                rto_seconds: Some(3600),
                rpo_seconds: Some(86400),
                ..Objectives::default()
            },
            course: None,
            clock: None,
            undo: None,
        }
    }

    fn judged(&self) -> Judgement {
        judge(&Run {
            action: self.action,
            kind: PlanKind::Cloud,
            machines: Some(&self.plan),
            session: Some(&self.session),
            lost: false,
            points: &self.points,
            newest: &[],
            before: self.before.map(At::<Caller>::new),
            incident_at: self.incident_at.map(At::<Caller>::new),
            objectives: &self.objectives,
            course: self.course,
            clock: self.clock,
            checked_at: None,
            failed_checks: &[],
            undo: self.undo,
        })
    }
}

fn millis(measure: &Measure) -> Result<i64, Absence> {
    measure.figure().map(super::clocks::Span::millis)
}

fn codes(judgement: &Judgement) -> Vec<FindingCode> {
    judgement.findings.iter().map(|finding| finding.code).collect()
}

const OK: &str = "Success";

#[rstest]
#[case::one_all_well(&["a", "b"], &[("a", Some(120_000), OK, Some(3600)), ("b", Some(480_000), OK, Some(7200))],
    Ok(480_000), Some(Ok(7_200_000)), Verdict::Met, Outcome::Passed)]
#[case::two_exactly_the_target(&["a", "b"], &[("a", Some(3_600_000), OK, Some(60)), ("b", Some(10_000), OK, Some(60))],
    Ok(3_600_000), None, Verdict::Met, Outcome::Passed)]
#[case::three_a_millisecond_more(&["a"], &[("a", Some(3_600_001), OK, Some(60))],
    Ok(3_600_001), None, Verdict::Missed, Outcome::Failed)]
#[case::four_a_warning(&["a"], &[("a", Some(100_000), "Warning", Some(60))],
    Ok(100_000), None, Verdict::Met, Outcome::Passed)]
#[case::five_one_failed(&["a", "b"], &[("a", Some(100_000), OK, Some(60)), ("b", Some(90_000), "Failed", Some(60))],
    Err(Absence::NotRecovered), None, Verdict::NotMeasured, Outcome::Failed)]
#[case::six_one_missing(&["a", "b"], &[("a", Some(100_000), OK, Some(60))],
    Err(Absence::NotRecovered), Some(Err(Absence::NoPoint)), Verdict::NotMeasured, Outcome::Failed)]
#[case::seven_no_time(&["a"], &[("a", None, OK, Some(60))],
    Err(Absence::NoTime), None, Verdict::NotMeasured, Outcome::NotMeasured)]
fn the_recovery_time_of_a_plan_is_that_of_its_last_machine_or_none(
    #[case] plan: &[&str],
    #[case] rows: &[Row<'_>],
    #[case] rta: Result<i64, Absence>,
    #[case] rpa: Option<Result<i64, Absence>>,
    #[case] verdict: Verdict,
    #[case] outcome: Outcome,
) {
    let judged = Scene::of(plan, rows).judged();
    assert_eq!(millis(&judged.plan.rta), rta);
    if let Some(rpa) = rpa {
        assert_eq!(millis(judged.plan.rpa.measure()), rpa);
    }
    assert_eq!(judged.plan.rto.verdict(), verdict);
    assert_eq!(judged.outcome, outcome);
}

#[test]
fn what_did_not_recover_is_counted_with_the_time_of_the_last_that_did() {
    let rows = [
        ("a", Some(100_000), OK, Some(60)),
        ("b", Some(190_000), "Failed", Some(60)),
    ];
    let judged = Scene::of(&["a", "b"], &rows).judged();
    assert_eq!((judged.plan.recovered, judged.plan.machines), (Some(1), 2));
    assert_eq!(judged.plan.last_recovered_at, Some(after(100_000)));
    assert!(codes(&judged).contains(&FindingCode::MachineFailed));
}

#[test]
fn a_warning_is_a_finding() {
    let judged = Scene::of(&["a"], &[("a", Some(100_000), "Warning", Some(60))]).judged();
    assert_eq!(codes(&judged), [FindingCode::MachineWarning]);
}

#[test]
fn data_loss_counts_from_the_incident_where_there_was_one() {
    let mut scene = Scene::of(&["a"], &[("a", Some(100_000), OK, Some(7200))]);
    scene.incident_at = Some(after(-1_800_000));
    let judged = scene.judged();
    let rpa = judged.plan.rpa;
    assert_eq!(millis(rpa.measure()), Ok(5_400_000));
    assert_eq!(rpa.verdict(), Verdict::Met);
    let clocks = rpa.measure().figure().map(super::clocks::Span::clocks);
    assert_eq!(clocks, Ok(Clocks::EmAndCaller));
}

#[test]
fn a_restore_point_after_the_bound_is_a_finding() {
    let mut scene = Scene::of(&["a"], &[("a", Some(100_000), OK, Some(3000))]);
    scene.before = Some(after(-3_600_000));
    let judged = scene.judged();
    assert_eq!(codes(&judged), [FindingCode::PointAfterBound]);
    assert_eq!(millis(&judged.machines[0].bound), Ok(-600_000));
}

#[test]
fn machines_of_one_name_recover_together_or_not_at_all() {
    let rows = [
        ("a", Some(100_000), OK, Some(60)),
        ("a", Some(200_000), OK, Some(60)),
    ];
    let both = Scene::of(&["a", "a"], &rows).judged();
    assert_eq!(millis(&both.plan.rta), Ok(200_000));
    assert!(codes(&both).contains(&FindingCode::AmbiguousName));
    let rows = [
        ("a", Some(100_000), OK, Some(60)),
        ("a", Some(200_000), "Failed", Some(60)),
    ];
    let one = Scene::of(&["a", "a"], &rows).judged();
    assert_eq!(one.plan.recovered, Some(0));
    assert!(
        one.machines
            .iter()
            .all(|machine| millis(machine.rta.measure()) == Err(Absence::AmbiguousName))
    );
}

#[test]
fn a_machine_has_its_own_targets_and_else_those_of_the_plan() {
    let rows = [
        ("a", Some(100_000), OK, Some(60)),
        ("b", Some(100_000), OK, Some(60)),
    ];
    let mut scene = Scene::of(&["a", "b"], &rows);
    let own = MachineObjectives {
        rto_seconds: Some(99),
        rpo_seconds: None,
    };
    scene.objectives.per_machine.insert("a".to_owned(), own);
    let judged = scene.judged();
    let verdicts: Vec<_> = judged
        .machines
        .iter()
        .map(|machine| machine.rta.verdict())
        .collect();
    assert_eq!(verdicts, [Verdict::Missed, Verdict::Met]);
    assert_eq!(
        (judged.plan.rto.verdict(), judged.outcome),
        (Verdict::Met, Outcome::Failed)
    );
    assert_eq!(codes(&judged), [FindingCode::RtoMissed]);
}

#[test]
fn a_target_of_a_machine_that_is_not_there_is_never_met() {
    let mut scene = Scene::of(&["a"], &[("a", Some(100_000), OK, Some(60))]);
    let own = MachineObjectives {
        rto_seconds: Some(600),
        rpo_seconds: None,
    };
    scene.objectives.per_machine.insert("A".to_owned(), own);
    let judged = scene.judged();
    assert_eq!(judged.outcome, Outcome::NotMeasured);
    assert_eq!(codes(&judged), [FindingCode::TargetWithoutMachine]);
    assert_eq!(judged.findings[0].machine.as_deref(), Some("A"));
    scene.plan = planned(&["a", "A"]);
    assert_eq!(
        codes(&scene.judged()),
        [
            FindingCode::RtoNotMeasured,
            FindingCode::RpoNotMeasured,
            FindingCode::MachineMissing
        ]
    );
}

/// Requested 60 s before the session by the gateway's clock, approved after 20 s, sent at once.
fn course(ahead_seconds: i64) -> Course {
    let gateway = |millis: i64| At::<Gateway>::new(after(millis - 1000 * ahead_seconds));
    Course {
        requested_at: gateway(-60_000),
        approved_at: Some(gateway(-40_000)),
        submitted_at: Some(gateway(-40_000)),
        work_ended_at: None,
        look_every: SignedDuration::from_secs(2),
        went_well: true,
    }
}

#[rstest]
#[case(0)]
#[case(3600)]
#[case(-3600)]
fn a_clock_that_is_off_changes_no_recovery_time(#[case] ahead: i64) {
    let mut scene = Scene::of(&["a"], &[("a", Some(100_000), OK, Some(60))]);
    scene.action = RunAction::Start;
    scene.course = Some(course(ahead));
    scene.clock = Some(ClockDifference {
        ahead: SignedDuration::from_secs(ahead),
        tolerance: SignedDuration::from_millis(1020),
    });
    let plan = scene.judged().plan;
    assert_eq!(millis(&plan.rta), Ok(100_000));
    assert_eq!(millis(&plan.approval_wait), Ok(20_000));
    assert_eq!(millis(&plan.hand_over), Ok(40_000));
    assert_eq!(
        plan.hand_over.precision(),
        Some(SignedDuration::from_millis(1020))
    );
    assert_eq!(millis(&plan.end_to_end), Ok(160_000));
    assert_eq!(plan.end_to_end.precision(), plan.hand_over.precision());
    assert_eq!(plan.held, HeldAgainst::EndToEnd);
    let clocks = plan.end_to_end.figure().map(super::clocks::Span::clocks);
    assert_eq!(clocks, Ok(Clocks::EmAndGateway));
    scene.clock = None;
    assert_eq!(millis(&scene.judged().plan.hand_over), Err(Absence::NoClock));
}

#[test]
fn the_way_back_is_measured_by_the_undo() {
    let mut scene = Scene::of(&["a"], &[("a", Some(100_000), OK, Some(60))]);
    scene.action = RunAction::Start;
    assert_eq!(
        millis(&scene.judged().plan.returned),
        Err(Absence::StillFailedOver)
    );
    scene.undo = Some(Undo {
        requested_at: At::new(after(400_000)),
        finished_at: Some(At::new(after(430_000))),
    });
    let plan = scene.judged().plan;
    assert_eq!(millis(&plan.on_replica), Ok(300_000));
    assert_eq!(millis(&plan.returned), Ok(30_000));
}

#[test]
fn an_on_premises_plan_is_measured_by_its_task() {
    let newest = [("a".to_owned(), point(0, 600).1)];
    let objectives = Objectives::default();
    let plan = planned(&["a"]);
    let done = At::<Gateway>::new(after(30_000));
    let judged = judge(&Run {
        action: RunAction::Start,
        kind: PlanKind::OnPremises,
        machines: Some(&plan),
        session: None,
        lost: false,
        points: &HashMap::new(),
        newest: &newest,
        before: None,
        incident_at: None,
        objectives: &objectives,
        course: Some(Course {
            work_ended_at: Some(done),
            ..course(0)
        }),
        clock: None,
        checked_at: None,
        failed_checks: &[],
        undo: None,
    });
    assert_eq!(millis(&judged.plan.rta), Ok(90_000));
    assert_eq!(judged.plan.rta.precision(), Some(SignedDuration::from_secs(2)));
    assert_eq!(
        millis(judged.machines[0].rta.measure()),
        Err(Absence::EmHasNoSession)
    );
    assert!(judged.machines[0].rpa.measure().is_estimated());
    assert_eq!(millis(judged.plan.rpa.measure()), Ok(540_000));
    assert_eq!((judged.plan.recovered, judged.outcome), (None, Outcome::Passed));
}

#[test]
fn a_begun_millisecond_counts_whole() {
    let mut scene = Scene::of(&["a"], &[("a", Some(3_600_000), OK, Some(60))]);
    scene.session.machines[0].ended_at = Some(after(3_600_000) + SignedDuration::from_nanos(100));
    let judged = scene.judged();
    assert_eq!(millis(&judged.plan.rta), Ok(3_600_001));
    assert_eq!(judged.plan.rto.verdict(), Verdict::Missed);
}

/// Any row that EM may send.
fn any_row() -> impl Strategy<Value = (u8, Option<i64>, Option<i64>, u8, Option<i64>)> {
    (
        0..4u8,
        proptest::option::of(-10_000..10_000_000i64),
        proptest::option::of(-10_000..10_000_000i64),
        0..4u8,
        proptest::option::of(-1000..1_000_000i64),
    )
}

fn is_consistent(judged: &Judged) -> bool {
    match (judged.verdict(), judged.target(), millis(judged.measure())) {
        (Verdict::Met, Some(target), Ok(value)) => value <= i64::from(target) * 1000,
        (Verdict::Missed, Some(target), Ok(value)) => value > i64::from(target) * 1000,
        (Verdict::NotMeasured, Some(_), Err(_)) | (Verdict::NoTarget, None, _) => true,
        _ => false,
    }
}

proptest! {
    #[test]
    fn whatever_passes_recovered_whole_and_in_time(
        plan in proptest::collection::vec(0..4u8, 0..5),
        rows in proptest::collection::vec(any_row(), 0..6),
        rto in proptest::option::of(0..10_000u32),
        rpo in proptest::option::of(0..1_000_000u32),
        started in proptest::option::of(Just(())),
        incident in proptest::option::of(-1_000_000..1_000_000i64),
        ahead in -7200..7200i64,
        is_test in any::<bool>(),
    ) {
        let names = ["a", "b", "c", "d"];
        let plan: Vec<&str> = plan.iter().map(|name| names[usize::from(*name)]).collect();
        let mut scene = Scene::of(&plan, &[]);
        scene.session.started_at = started.map(|()| start());
        for (place, (name, begin, end, result, age)) in rows.into_iter().enumerate() {
            let result = ["Success", "Warning", "Failed", "None"][usize::from(result)];
            let mut row = machine(names[usize::from(name)], place, end, result, age.is_some());
            row.started_at = begin.map(after);
            scene.session.machines.push(row);
            scene.points.extend(age.map(|age| point(place, age)));
        }
        scene.action = if is_test { RunAction::Test } else { RunAction::Start };
        scene.incident_at = incident.map(after);
        scene.objectives = Objectives { rto_seconds: rto, rpo_seconds: rpo, ..Objectives::default() };
        scene.course = Some(course(ahead));
        scene.clock = Some(ClockDifference {
            ahead: SignedDuration::from_secs(ahead),
            tolerance: SignedDuration::from_secs(1),
        });
        let judged = scene.judged();
        prop_assert!(is_consistent(&judged.plan.rto) && is_consistent(&judged.plan.rpa));
        for machine in &judged.machines {
            prop_assert!(is_consistent(&machine.rta) && is_consistent(&machine.rpa));
            for measure in [&machine.wait, &machine.time, machine.rta.measure()] {
                prop_assert!(measure.figure().map_or(true, |span| span.clocks() == Clocks::Em));
            }
            prop_assert!(machine.rta.measure().figure().is_err() || machine.recovered);
        }
        if let Ok(span) = judged.plan.rta.figure() {
            prop_assert_eq!(span.clocks(), Clocks::Em);
            prop_assert_eq!(judged.plan.recovered, Some(judged.plan.machines));
        }
        if let Ok(span) = judged.plan.rpa.measure().figure() {
            let by = if incident.is_some() { Clocks::EmAndCaller } else { Clocks::Em };
            prop_assert_eq!(span.clocks(), by);
        }
        if let Ok(span) = judged.plan.hand_over.figure() {
            prop_assert_eq!(span.clocks(), Clocks::EmAndGateway);
        }
        if judged.outcome == Outcome::Passed {
            prop_assert_eq!(judged.plan.recovered, Some(judged.plan.machines));
            let verdicts = [judged.plan.rto.verdict(), judged.plan.rpa.verdict()];
            prop_assert!(!verdicts.contains(&Verdict::Missed) && !verdicts.contains(&Verdict::NotMeasured));
        }
    }
}
