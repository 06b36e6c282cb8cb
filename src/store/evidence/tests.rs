//! What is kept of failovers, on both engines.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use super::{LastFigures, NewReport, Notice, RunRecord, RunState, ScheduleRecord, StoredReport};
use crate::clock::{Clock as _, ManualClock};
use crate::domain::access::Tenancy;
use crate::domain::evidence::asked::Asked;
use crate::domain::evidence::entry::{Content, Entry};
use crate::domain::evidence::hold::Hold;
use crate::domain::evidence::objectives::{MachineObjectives, Objectives};
use crate::domain::evidence::run::{PointFacts, RunAction};
use crate::domain::evidence::schedule::{LastRun, Schedule, SetBy, SkipReason};
use crate::domain::id::{EmId, ReportId};
use crate::domain::plan::{PlanKind, PlanRef, Reference};
use crate::domain::session::{SessionFacts, SessionPhase, SessionRecord, SessionState};
use crate::store::Store;
use crate::store::config::Retention;
use crate::store::retention::Pruner;
use crate::store::testing::{pass, temporary, temporary_with};

fn em_id(last: u32) -> EmId {
    format!("3F56FA52-c902-4655-9774-{last:012}")
        .parse()
        .expect("an id")
}

fn plan(last: u32, tenant: &str) -> PlanRef {
    PlanRef {
        id: em_id(last),
        kind: PlanKind::Cloud,
        name: "ABC Company Failover Plan".to_owned(),
        tenant: Some(Reference {
            id: em_id(last + 1000),
            name: Some(tenant.to_owned()),
        }),
        backup_server: None,
    }
}

fn run(store: &Store, session: u32, started_at: Timestamp) -> RunRecord {
    RunRecord {
        id: ReportId::new(store.clock().id()),
        operation: None,
        session: Some(em_id(session)),
        action: RunAction::Unknown,
        plan: Some(em_id(1)),
        started_at,
        asked: Asked::default(),
        work_ended_at: None,
        newest: None,
        state: RunState::Open,
        revision: 0,
        ended_at: None,
        hold: None,
    }
}

fn report(run: &RunRecord, revision: i64) -> NewReport {
    NewReport {
        run: run.id,
        report: StoredReport {
            revision,
            made_at: run.started_at,
            digest: format!("sha-256:{revision:064}"),
            body: format!("{{\"revision\":{revision}}}"),
        },
        session: run.session.clone(),
        outcome: "passed",
        result: Some("success".to_owned()),
        rta_ms: Some(480_000),
        rpa_ms: None,
        machines: 2,
        findings: 3,
        ended_at: Some(run.started_at),
        entries: 0,
        executed: true,
        returned: false,
        unsettled: false,
        hold: None,
    }
}

async fn insert(store: &Store, run: &RunRecord, plan: &PlanRef) {
    let mut tx = store.begin().await.expect("begun");
    tx.insert_run(run, Some(plan)).await.expect("inserted");
    tx.commit().await.expect("committed");
}

async fn write(store: &Store, new: &NewReport) -> bool {
    let mut tx = store.begin().await.expect("begun");
    let written = tx.insert_report(new).await.expect("written");
    tx.commit().await.expect("committed");
    written
}

#[tokio::test]
async fn objectives_are_those_that_were_set_last() {
    let store = temporary().await;
    let own = MachineObjectives {
        rto_seconds: Some(60),
        rpo_seconds: None,
    };
    let mut objectives = Objectives {
        rto_seconds: Some(3600),
        owner: Some("ann".to_owned()),
        ..Objectives::default()
    };
    objectives.per_machine.insert("a".to_owned(), own);
    for rto in [1, 2] {
        objectives.rto_seconds = Some(rto);
        let mut tx = store.begin().await.expect("begun");
        tx.set_objectives(&em_id(1), &objectives).await.expect("set");
        tx.commit().await.expect("committed");
    }
    let found = store.objectives(&[em_id(1), em_id(2)]).await.expect("read");
    assert_eq!(found.len(), 1);
    assert_eq!(found.get(&em_id(1).key()), Some(&objectives));
}

#[tokio::test]
async fn a_restore_point_keeps_what_was_read_first() {
    let store = temporary().await;
    let at = store.clock().now();
    let point = |created_at| PointFacts {
        id: em_id(7),
        created_at,
        kind: None,
        state: None,
        read_at: at,
    };
    for created_at in [Some(at), None] {
        let mut tx = store.begin().await.expect("begun");
        tx.save_points(&[point(created_at)]).await.expect("saved");
        tx.commit().await.expect("committed");
    }
    let found = store.points(&[em_id(7), em_id(8)]).await.expect("read");
    assert_eq!(found.get(&em_id(7)), Some(&point(Some(at))));
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_revision_is_written_once_and_old_ones_stay() {
    let store = temporary().await;
    let run = RunRecord {
        action: RunAction::Test,
        ..run(&store, 1, store.clock().now())
    };
    insert(&store, &run, &plan(1, "ABC")).await;
    assert!(write(&store, &report(&run, 1)).await);
    assert!(!write(&store, &report(&run, 1)).await, "it is there already");
    assert!(write(&store, &report(&run, 2)).await);
    let read = async |revision| store.report(run.id, revision).await.expect("read");
    assert_eq!(read(None).await.map(|one| one.revision), Some(2));
    assert_eq!(
        read(Some(1)).await.map(|one| one.body),
        Some("{\"revision\":1}".to_owned())
    );
    assert_eq!(read(Some(3)).await, None);
    let kept = store.run(run.id).await.expect("read").expect("there");
    assert_eq!((kept.state, kept.revision), (RunState::Reported, 2));
    let past = store
        .past_tests(&em_id(1), Timestamp::MAX, 12)
        .await
        .expect("read");
    assert_eq!(
        past.iter().map(|past| past.rta_ms).collect::<Vec<_>>(),
        [Some(480_000)]
    );
}

#[tokio::test]
async fn a_report_is_seen_by_its_tenant_alone() {
    let store = temporary().await;
    let run = run(&store, 1, store.clock().now());
    insert(&store, &run, &plan(1, "ABC")).await;
    for (tenants, seen) in [(vec!["ABC"], true), (vec!["Nordwind"], false), (vec![], false)] {
        let tenancy = Tenancy::Only(tenants.iter().map(ToString::to_string).collect());
        let found = store.run_of_session(&em_id(1), &tenancy).await.expect("read");
        assert_eq!(found.is_some(), seen, "{tenants:?}");
    }
}

#[tokio::test]
async fn one_key_is_made_and_signs() {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let store = temporary().await;
    let keys = store.report_keys().await.expect("made");
    assert_eq!(store.report_keys().await.expect("read"), keys);
    let [key] = keys.as_slice() else {
        panic!("one key: {keys:?}")
    };
    let signature = store.sign_report(key, b"a digest").await.expect("signed");
    let signature = STANDARD.decode(signature).expect("base64");
    let public = STANDARD.decode(&key.public_key).expect("base64");
    UnparsedPublicKey::new(&ED25519, public)
        .verify(b"a digest", &signature)
        .expect("it verifies");
}

#[tokio::test]
async fn reports_are_kept_for_as_long_as_is_configured() {
    let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().expect("a moment"));
    let store = temporary_with(clock.clone()).await;
    let run = run(&store, 1, store.clock().now());
    insert(&store, &run, &plan(1, "ABC")).await;
    write(&store, &report(&run, 1)).await;
    let retention = Retention {
        reports: Duration::from_hours(24),
        ..Retention::default()
    };
    let pruner = Pruner::new(store.clone(), &retention);
    pass(&store, &clock, Duration::from_hours(23));
    pruner.step().await.expect("a step");
    assert!(store.report(run.id, None).await.expect("read").is_some());
    pass(&store, &clock, Duration::from_hours(2));
    pruner.step().await.expect("a step");
    assert_eq!(store.report(run.id, None).await.expect("read"), None);
    assert_eq!(store.run(run.id).await.expect("read"), None);
}

#[tokio::test]
async fn an_entry_makes_a_new_revision_due_also_while_one_is_made() {
    let store = temporary().await;
    let run = run(&store, 1, store.clock().now());
    insert(&store, &run, &plan(1, "ABC")).await;
    let note = |text: &str| Entry {
        content: Content::Note {
            text: text.to_owned(),
        },
        by: Some("ann".to_owned()),
        at: store.clock().now(),
    };
    let add = async |entry: &Entry| {
        let mut tx = store.begin().await.expect("begun");
        assert!(tx.add_entry(run.id, entry).await.expect("added"));
        tx.commit().await.expect("committed");
    };
    let state = async || store.run(run.id).await.expect("read").expect("there").state;
    add(&note("first")).await;
    assert_eq!(state().await, RunState::Open);
    // The report was put together before the first entry.
    write(&store, &report(&run, 1)).await;
    assert_eq!(state().await, RunState::Due);
    let whole = |revision, entries| NewReport {
        entries,
        ..report(&run, revision)
    };
    write(&store, &whole(2, 1)).await;
    assert_eq!(state().await, RunState::Reported);
    add(&note("second")).await;
    assert_eq!(state().await, RunState::Due);
    let read = store.entries(run.id).await.expect("read");
    let texts: Vec<_> = read.iter().map(|entry| entry.content.clone()).collect();
    assert_eq!(texts, [note("first").content, note("second").content]);
}

#[tokio::test]
async fn the_last_test_of_each_plan_is_found_with_their_number() {
    let store = temporary().await;
    let second = |number: i64| Timestamp::from_second(1_800_000_000 + number).expect("a moment");
    for (session, at, action) in [
        (1, 10, RunAction::Test),
        (2, 20, RunAction::Test),
        (3, 30, RunAction::Test),
        (4, 35, RunAction::Unknown),
    ] {
        let run = RunRecord {
            action,
            ..run(&store, session, second(at))
        };
        insert(&store, &run, &plan(1, "ABC")).await;
        // What was refused is no test.
        let report = NewReport {
            executed: session != 3,
            ..report(&run, 1)
        };
        write(&store, &report).await;
    }
    let found = store.tests_of_plans(second(15), second(40)).await.expect("read");
    let tests = found.get(&em_id(1).key()).expect("the plan");
    let last = tests.last.as_ref().expect("a test");
    assert_eq!((found.len(), last.started_at, last.findings), (1, second(20), 3));
    assert_eq!((tests.count, tests.elsewhere), (1, 1));
    let figures = store.last_figures().await.expect("read");
    let known = LastFigures {
        started_at: second(20),
        rta_ms: Some(480_000),
        rpa_ms: None,
    };
    assert_eq!(figures.get(&em_id(1).key()), Some(&known));
}

#[tokio::test]
async fn a_key_that_cannot_be_opened_is_replaced_and_stays_known() {
    let store = temporary().await;
    let first = store.signing_key().await.expect("made");
    let mut tx = store.begin().await.expect("begun");
    tx.run("update report_keys set seed = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'")
        .await
        .expect("spoilt");
    tx.commit().await.expect("committed");
    let second = store.signing_key().await.expect("another");
    assert_ne!(first.id, second.id);
    let keys = store.report_keys().await.expect("read");
    let known = keys
        .iter()
        .find(|key| key.id == first.id)
        .expect("it verifies what it signed");
    assert_eq!((keys.len(), known.not_after.is_some()), (2, true));
}

fn schedule(last: u32, due_at: Timestamp, set_at: Timestamp) -> ScheduleRecord {
    ScheduleRecord {
        plan: plan(last, "ABC Company"),
        schedule: Schedule {
            cron: "0 3 1 * *".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            ..Schedule::default()
        },
        set_by: SetBy::default(),
        set_at,
        due_at: Some(due_at),
        waiting: None,
        last: None,
    }
}

#[tokio::test]
async fn a_due_time_is_done_with_once() {
    let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().expect("a moment"));
    let store = temporary_with(clock.clone()).await;
    let now = store.clock().now();
    let due = now + Duration::from_secs(60);
    let mut tx = store.begin().await.expect("begun");
    tx.set_schedule(&schedule(1, due, now)).await.expect("set");
    tx.set_schedule(&schedule(2, due + Duration::from_hours(1), now))
        .await
        .expect("set");
    tx.commit().await.expect("committed");
    assert!(store.schedules_due(now, 10).await.expect("read").is_empty());
    clock.advance(Duration::from_secs(60));
    let found = store.schedules_due(clock.now(), 10).await.expect("read");
    assert_eq!(found.len(), 1);
    let found = found.into_iter().next().expect("one");
    let mut tx = store.begin().await.expect("begun");
    tx.note_waiting_schedule(&found, SkipReason::Busy)
        .await
        .expect("noted");
    tx.commit().await.expect("committed");
    let last = LastRun {
        due_at: due,
        operation_id: Some("an operation".to_owned()),
        skipped: None,
    };
    let next = due + Duration::from_hours(24);
    for done in [true, false] {
        let mut tx = store.begin().await.expect("begun");
        let advanced = tx.advance_schedule(&found, Some(next), &last).await;
        assert_eq!(advanced.expect("written"), done);
        tx.commit().await.expect("committed");
    }
    let kept = store.schedule(&em_id(1), &Tenancy::All).await.expect("read");
    let kept = kept.expect("there");
    assert_eq!(
        (kept.due_at, kept.waiting, kept.last),
        (Some(next), None, Some(last.clone()))
    );
    let times = store.due_times().await.expect("read");
    assert_eq!(times.get(&em_id(1).key()), Some(&next));
    // One that was set anew meanwhile is not the one that was looked at.
    let mut tx = store.begin().await.expect("begun");
    let again = schedule(1, due, now + Duration::from_secs(1));
    tx.set_schedule(&again).await.expect("set");
    let advanced = tx.advance_schedule(&found, None, &last).await;
    assert!(!advanced.expect("written"));
}

#[tokio::test]
async fn a_schedule_is_its_tenants() {
    let store = temporary().await;
    let now = store.clock().now();
    let mut tx = store.begin().await.expect("begun");
    tx.set_schedule(&schedule(1, now, now)).await.expect("set");
    tx.commit().await.expect("committed");
    let only = |tenant: &str| Tenancy::Only([tenant.to_owned()].into());
    let seen = async |tenancy: &Tenancy| store.schedule(&em_id(1), tenancy).await.expect("read").is_some();
    assert!(seen(&only("ABC Company")).await && seen(&Tenancy::All).await);
    assert!(!seen(&only("Nordwind")).await);
    for (tenancy, removed) in [(only("Nordwind"), false), (only("ABC Company"), true)] {
        let mut tx = store.begin().await.expect("begun");
        let found = tx.remove_schedule(&em_id(1), &tenancy).await;
        assert_eq!(found.expect("tried"), removed);
        tx.commit().await.expect("committed");
    }
}

#[tokio::test]
async fn each_change_of_what_is_set_about_plans_is_counted() {
    let store = temporary().await;
    let now = store.clock().now();
    assert_eq!(store.settings().await.expect("read").version, 0);
    let objectives = Objectives {
        rto_seconds: Some(60),
        ..Objectives::default()
    };
    let mut tx = store.begin().await.expect("begun");
    tx.set_objectives(&em_id(1), &objectives).await.expect("set");
    tx.set_schedule(&schedule(2, now, now)).await.expect("set");
    tx.commit().await.expect("committed");
    let set = store.settings().await.expect("read");
    assert_eq!(set.version, 2);
    assert_eq!(set.objectives.get(&em_id(1).key()), Some(&objectives));
    assert!(set.schedules.contains_key(&em_id(2).key()));
    assert_eq!(store.settings_version().await.expect("read"), 2);
}

#[tokio::test]
async fn a_notice_is_told_once_a_day() {
    let store = temporary().await;
    let at = |hours: i64| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(hours);
    for (name, hours, expected) in [
        ("a", 100, Notice::First),
        ("a", 123, Notice::Told),
        ("b", 123, Notice::First),
        ("a", 124, Notice::Again),
        ("a", 147, Notice::Told),
        // A clock that was far ahead when it was told silences nothing.
        ("a", 50, Notice::Again),
    ] {
        let mut tx = store.begin().await.expect("begun");
        let told = tx.tell_daily(name, at(hours)).await.expect("told");
        assert_eq!(told, expected, "{name} {hours}");
        tx.commit().await.expect("committed");
    }
    let told = store.told_within_a_day(at(60)).await.expect("read");
    assert!(told.contains("a"));
}

#[tokio::test]
async fn a_report_that_is_held_outlives_its_age() {
    let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().expect("a moment"));
    let store = temporary_with(clock.clone()).await;
    let (held, other) = (run(&store, 1, clock.now()), run(&store, 2, clock.now()));
    for one in [&held, &other] {
        insert(&store, one, &plan(1, "ABC Company")).await;
        assert!(write(&store, &report(one, 1)).await);
    }
    let hold = Hold {
        reason: "litigation".to_owned(),
        by: Some("counsel".to_owned()),
        at: clock.now(),
    };
    let mut tx = store.begin().await.expect("begun");
    tx.set_hold(held.id, Some(&hold)).await.expect("held");
    assert_eq!(tx.locked_hold(held.id).await.expect("read").as_ref(), Some(&hold));
    tx.commit().await.expect("committed");
    let kept = store.run(held.id).await.expect("read").expect("there");
    assert_eq!((kept.state, kept.hold.as_ref()), (RunState::Due, Some(&hold)));
    // A revision that was made without it is not the last one.
    assert!(write(&store, &report(&held, 2)).await);
    assert_eq!(
        store.run(held.id).await.expect("read").expect("there").state,
        RunState::Due
    );
    let with_hold = NewReport {
        hold: Some(hold),
        ..report(&held, 3)
    };
    assert!(write(&store, &with_hold).await);
    assert_eq!(
        store.run(held.id).await.expect("read").expect("there").state,
        RunState::Reported
    );
    let retention = Retention {
        reports: Duration::from_hours(24),
        ..Retention::default()
    };
    pass(&store, &clock, Duration::from_hours(49));
    let pruner = Pruner::new(store.clone(), &retention);
    pruner.step().await.expect("a step");
    assert!(store.run(other.id).await.expect("read").is_none());
    assert!(store.report(held.id, None).await.expect("read").is_some());
    let mut tx = store.begin().await.expect("begun");
    tx.set_hold(held.id, None).await.expect("released");
    tx.commit().await.expect("committed");
    pruner.step().await.expect("a step");
    assert!(store.run(held.id).await.expect("read").is_none());
}

#[tokio::test]
async fn what_is_kept_of_many_sessions_is_asked_for_at_once() {
    let store = temporary().await;
    let now = store.clock().now();
    let ids: Vec<EmId> = (1..=4).map(em_id).collect();
    let keys = |of: &[u32]| of.iter().map(|last| em_id(*last).key()).collect();
    let mut tx = store.begin().await.expect("begun");
    for (at, phase) in [
        (2, SessionPhase::Open),
        (1, SessionPhase::Open),
        (3, SessionPhase::Ended),
    ] {
        let seen = now + Duration::from_secs(u64::from(10 - at));
        tx.save_session(&observed(at, seen, phase)).await.expect("saved");
    }
    tx.insert_run(&run(&store, 2, now), None).await.expect("kept");
    let point = PointFacts {
        id: em_id(4),
        created_at: None,
        kind: None,
        state: None,
        read_at: now,
    };
    tx.save_points(&[point]).await.expect("saved");
    tx.commit().await.expect("committed");
    let running = store.sessions_under_way().await.expect("read");
    assert_eq!(running, [(em_id(2), 2), (em_id(1), 1)], "the oldest first");
    let kept: HashSet<String> = store.sessions_with_runs(&ids).await.expect("read");
    assert_eq!(kept, keys(&[2]));
    let known: HashSet<String> = store.points_known(&ids).await.expect("read");
    assert_eq!(known, keys(&[4]));
    assert!(store.points_known(&[]).await.expect("read").is_empty());
}

fn observed(last: u32, seen: Timestamp, phase: SessionPhase) -> SessionRecord {
    SessionRecord {
        facts: SessionFacts {
            id: em_id(last),
            uid: None,
            plan_name: "a plan".to_owned(),
            job: None,
            job_type: None,
            backup_server: None,
            state: SessionState::Working,
            result: None,
            progress: None,
            started_at: None,
            ended_at: None,
            failure_message: None,
            machines: Vec::new(),
        },
        plan: None,
        first_seen_at: seen,
        first_observation: 1,
        stopped_seen_at: None,
        missed: 0,
        sequence: i64::from(last),
        phase,
    }
}
