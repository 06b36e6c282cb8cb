//! The rules of joining and ending, as tables of small cases.

use super::*;
use crate::domain::id::{LogonId, OperationId, TaskId};
use crate::domain::operation::OperationTask;
use crate::domain::plan::{PlanKind, PlanRef};
use crate::domain::session::SessionState;

const PLAN: &str = "3f56fa52-c902-4655-9774-2022fde214d2";
const PATIENCE: Duration = Duration::from_mins(20);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a moment")
}

fn operation(action: &str, name: &str) -> Operation {
    Operation {
        id: OperationId::new(crate::clock::Clock::id(&crate::clock::SystemClock)),
        kind: OperationKind::Failover,
        action: action.into(),
        plan: Some(PlanRef {
            id: PLAN.parse().expect("an id"),
            kind: PlanKind::Cloud,
            name: name.into(),
            tenant: None,
            backup_server: None,
        }),
        target: None,
        state: OperationState::Running,
        result: None,
        result_source: None,
        progress: 0,
        task: Some(OperationTask {
            id: TaskId("task-1".into()),
            logon: Some(LogonId(uuid::Uuid::nil())),
            state: TaskState::Running,
            message: None,
        }),
        session: None,
        failure: None,
        requested_by: None,
        requester_issuer: None,
        on_behalf_of: None,
        traceparent: None,
        reason: None,
        approval: None,
        unsent: false,
        requested_at: at(0),
        finished_at: None,
        cancel_requested_at: None,
        callback_url: None,
        metadata: std::collections::BTreeMap::default(),
        seen_observation: 5,
        answer_due: at(60),
        evidence_deadline: at(1200),
        history: vec![],
    }
}

fn session(id: u8, name: &str, first_observation: i64) -> SessionRecord {
    SessionRecord {
        facts: SessionFacts {
            id: format!("a986d473-0248-4884-9832-17ec982ee3{id:02x}")
                .parse()
                .expect("an id"),
            uid: None,
            plan_name: name.into(),
            job: None,
            job_type: None,
            backup_server: None,
            state: SessionState::Working,
            result: None,
            progress: Some(40),
            started_at: None,
            ended_at: None,
            failure_message: None,
            machines: vec![],
        },
        plan: None,
        first_seen_at: at(1),
        first_observation,
        stopped_seen_at: None,
        missed: 0,
        sequence: 1,
        phase: SessionPhase::Open,
    }
}

fn report(state: TaskState, success: Option<bool>) -> TaskReport {
    TaskReport {
        state,
        success,
        message: Some("EM's words".into()),
        session: None,
    }
}

/// Where no operation that ended has a session.
fn join(operations: &mut [Operation], sessions: &[SessionRecord], now: Timestamp) {
    super::join(operations, sessions, &[], now);
}

#[test]
fn the_only_session_of_the_name_seen_since_the_request_is_joined() {
    let mut operations = [operation("test", "A")];
    join(
        &mut operations,
        &[session(1, "A", 5), session(2, "A", 6), session(3, "B", 6)],
        at(2),
    );
    assert_eq!(operations[0].session, Some(session(2, "A", 6).facts.id));
}

#[test]
fn with_two_candidates_none_is_joined() {
    let mut operations = [operation("test", "A")];
    join(&mut operations, &[session(1, "A", 6), session(2, "A", 7)], at(2));
    assert_eq!(operations[0].session, None);
}

#[test]
fn with_two_operations_for_one_session_none_is_joined() {
    let mut operations = [operation("test", "A"), operation("start", "A")];
    join(&mut operations, &[session(1, "A", 6)], at(2));
    assert_eq!((&operations[0].session, &operations[1].session), (&None, &None));
}

#[test]
fn a_session_stays_with_the_operation_whose_task_links_it() {
    let mut linked = operation("test", "A");
    linked.session = Some(session(1, "A", 6).facts.id);
    let mut operations = [linked, operation("start", "A")];
    join(&mut operations, &[session(1, "A", 6), session(2, "A", 6)], at(2));
    assert_eq!(operations[1].session, Some(session(2, "A", 6).facts.id));
}

#[test]
fn a_request_whose_answer_may_still_come_is_not_joined_by_name() {
    let mut waiting = operation("test", "A");
    waiting.state = OperationState::Submitting;
    waiting.task = None;
    let mut operations = [waiting];
    join(&mut operations, &[session(1, "A", 6)], at(59));
    assert_eq!(operations[0].session, None);
    join(&mut operations, &[session(1, "A", 6)], at(60));
    assert!(operations[0].session.is_some());
}

#[test]
fn a_session_waits_for_the_answer_of_the_only_request_that_can_have_started_it() {
    let submitting = |name| Operation {
        state: OperationState::Submitting,
        task: None,
        ..operation("test", name)
    };
    let awaited = |operations: &[Operation], sessions: &[SessionRecord], second| {
        awaiting_answer(operations, sessions, &[], at(second)).len()
    };
    let (own, other) = (session(1, "A", 6), session(2, "A", 7));
    assert_eq!(awaited(&[submitting("A")], std::slice::from_ref(&own), 59), 1);
    let taken = awaiting_answer(
        &[submitting("A")],
        std::slice::from_ref(&own),
        std::slice::from_ref(&own.facts.id),
        at(59),
    );
    assert!(taken.is_empty(), "it is that of an operation that ended");
    for (operations, sessions, second) in [
        (vec![submitting("A")], vec![own.clone()], 60),
        (vec![submitting("A")], vec![own.clone(), other], 59),
        (vec![submitting("A"), submitting("A")], vec![own.clone()], 59),
        (vec![submitting("A")], vec![session(1, "A", 5)], 59),
        (vec![submitting("B")], vec![own.clone()], 59),
        (vec![operation("test", "A")], vec![own.clone()], 59),
        (vec![], vec![own], 59),
    ] {
        assert_eq!(
            awaited(&operations, &sessions, second),
            0,
            "{operations:?} {sessions:?}"
        );
    }
}

#[test]
fn undo_is_never_joined_because_em_records_no_session_for_it() {
    let mut operations = [operation("undo", "A")];
    join(&mut operations, &[session(1, "A", 6)], at(2));
    assert_eq!(operations[0].session, None);
}

#[test]
fn undo_ends_with_its_task() {
    let mut undo = operation("undo", "A");
    assert!(task_seen(
        &mut undo,
        &report(TaskState::OperationFinished, Some(true)),
        at(5),
        PATIENCE
    ));
    assert_eq!(
        undo.state,
        OperationState::Running,
        "EM has not collected the outcome yet"
    );
    task_seen(
        &mut undo,
        &report(TaskState::Finished, Some(true)),
        at(6),
        PATIENCE,
    );
    assert_eq!(
        (undo.state, undo.result),
        (OperationState::Finished, Some(OperationResult::Success))
    );
    assert_eq!(undo.result_source, Some(ResultSource::Task));
}

#[test]
fn a_failed_task_without_a_session_fails_the_operation_in_ems_words() {
    let mut test = operation("test", "A");
    task_seen(
        &mut test,
        &report(TaskState::Finished, Some(false)),
        at(6),
        PATIENCE,
    );
    assert_eq!(test.result, Some(OperationResult::Failed));
    assert_eq!(
        test.failure.map(|failure| failure.message),
        Some("EM's words".into())
    );
}

#[test]
fn a_finished_task_decides_when_its_session_never_appears() {
    let mut test = operation("test", "A");
    task_seen(
        &mut test,
        &report(TaskState::Finished, Some(true)),
        at(6),
        PATIENCE,
    );
    assert_eq!(test.state, OperationState::Running);
    assert!(!expire(&mut test, false, at(1199)));
    assert!(expire(&mut test, false, at(1200)));
    assert_eq!(
        (test.state, test.result_source),
        (OperationState::Finished, Some(ResultSource::Task))
    );
}

#[test]
fn the_session_decides_the_result_whatever_the_task_says() {
    let mut test = operation("test", "A");
    let mut linked = report(TaskState::Finished, Some(true));
    linked.session = Some(session(1, "A", 6).facts.id);
    task_seen(&mut test, &linked, at(6), PATIENCE);
    let mut ended = session(1, "A", 6);
    ended.phase = SessionPhase::Ended;
    ended.facts.result = Some(SessionResult::Failed);
    ended.facts.failure_message = Some("Host is not available".into());
    assert!(session_seen(&mut test, &ended, at(9)));
    assert_eq!(test.result, Some(OperationResult::Failed));
    assert_eq!(
        test.failure,
        Some(Failure {
            message: "Host is not available".into(),
            source: FailureSource::Session
        })
    );
    assert_eq!((test.progress, test.finished_at), (100, Some(at(9))));
}

#[test]
fn a_lost_task_becomes_unknown_at_its_evidence_deadline() {
    let mut undo = operation("undo", "A");
    task_seen(&mut undo, &report(TaskState::Lost, None), at(4000), PATIENCE);
    assert!(!expire(&mut undo, false, at(4000)));
    assert!(expire(&mut undo, false, at(4000 + 1200)));
    assert_eq!(undo.state, OperationState::Unknown);
    assert!(!expire(&mut undo, false, at(9000)), "it is told once");
}

#[test]
fn a_task_that_was_removed_stays_removed_whatever_was_read_of_it() {
    let mut test = operation("test", "A");
    test.session = Some(session(1, "A", 6).facts.id);
    test.task.as_mut().expect("a task").state = TaskState::Removed;
    assert!(!awaits_task(&test));
    for read in [TaskState::Running, TaskState::Lost] {
        let deadline = test.evidence_deadline;
        task_seen(&mut test, &report(read, None), at(9), PATIENCE);
        assert_eq!(test.task.as_ref().expect("a task").state, TaskState::Removed);
        assert_eq!(test.evidence_deadline, deadline);
    }
}

#[test]
fn an_unknown_operation_runs_again_when_its_session_appears() {
    let mut lost = operation("test", "A");
    lost.state = OperationState::Submitting;
    lost.task = None;
    assert!(expire(&mut lost, false, at(1200)));
    assert_eq!(lost.state, OperationState::Unknown);
    let mut operations = [lost];
    join(&mut operations, &[session(1, "A", 6)], at(1300));
    let [mut found] = operations;
    assert!(!session_seen(&mut found, &session(1, "A", 6), at(1300)));
    assert_eq!((found.state, found.progress), (OperationState::Running, 40));
}

#[test]
fn a_lost_session_makes_the_operation_unknown_once() {
    let mut test = operation("test", "A");
    let mut lost = session(1, "A", 6);
    lost.phase = SessionPhase::Lost;
    assert!(session_seen(&mut test, &lost, at(9)));
    assert!(!session_seen(&mut test, &lost, at(11)));
    assert_eq!(test.state, OperationState::Unknown);
}

#[test]
fn a_write_through_the_mirror_is_never_joined_with_a_session() {
    let write = || Operation {
        kind: OperationKind::Em,
        plan: None,
        target: Some("/jobs/1".into()),
        ..operation("edit", "A")
    };
    for (success, result) in [
        (Some(true), OperationResult::Success),
        (Some(false), OperationResult::Failed),
    ] {
        let mut done = write();
        assert!(awaits_task(&done));
        task_seen(&mut done, &report(TaskState::Finished, success), at(6), PATIENCE);
        assert_eq!(
            (done.result.clone(), done.result_source),
            (Some(result), Some(ResultSource::Task))
        );
        assert!(!done.emits_event());
        // Its task can still be read, but holds the logon session no longer.
        assert!(done.release_logon(true).is_some() && done.release_logon(false).is_none());
        assert!(done.task.is_some_and(|task| task.logon.is_some()));
    }
    let mut lost = write();
    lost.state = OperationState::Submitting;
    lost.task = None;
    let mut operations = [lost];
    join(&mut operations, &[session(1, "A", 6)], at(100));
    let [mut lost] = operations;
    assert_eq!(lost.session, None);
    assert!(!expire(&mut lost, false, at(1199)));
    assert!(expire(&mut lost, false, at(1200)));
    assert_eq!(lost.state, OperationState::Unknown);
    assert!(
        lost.failure
            .is_some_and(|failure| failure.message.contains("only reading what"))
    );
}

#[test]
fn an_operation_that_was_called_unknown_is_no_rival_of_one_that_waits() {
    let mut old = operation("test", "A");
    old.state = OperationState::Unknown;
    let mut new = operation("test", "A");
    new.state = OperationState::Submitting;
    let mut operations = [old, new];
    join(&mut operations, &[session(1, "A", 6)], at(100));
    assert_eq!(operations[0].session, None);
    assert_eq!(operations[1].session, Some(session(1, "A", 6).facts.id));
}

#[test]
fn an_unknown_operation_does_not_run_again_beside_another_of_its_plan() {
    let mut old = operation("test", "A");
    old.state = OperationState::Unknown;
    let mut new = operation("test", "A");
    new.session = Some(session(2, "A", 7).facts.id);
    let sessions = [session(1, "A", 6), session(2, "A", 7)];
    let mut operations = [old, new];
    join(&mut operations, &sessions, at(100));
    assert_eq!(operations[0].session, None, "its plan is busy");
    let had = [session(2, "A", 7).facts.id];
    super::join(&mut operations[..1], &sessions, &had, at(200));
    assert_eq!(operations[0].session, Some(session(1, "A", 6).facts.id));
}

#[test]
fn a_session_that_comes_up_days_later_is_not_that_of_an_unknown_operation() {
    let mut lost = operation("test", "A");
    lost.state = OperationState::Unknown;
    let mut day_later = session(1, "A", 6);
    day_later.first_seen_at = at(1200 + 24 * 3600);
    let mut much_later = day_later.clone();
    much_later.first_seen_at = at(1201 + 24 * 3600);
    let mut operations = [lost];
    join(&mut operations, &[much_later], at(200_000));
    assert_eq!(operations[0].session, None);
    join(&mut operations, &[day_later], at(200_000));
    assert!(operations[0].session.is_some());
}

#[test]
fn a_session_that_a_task_named_has_to_show_itself_in_time() {
    let mut test = operation("test", "A");
    let mut linked = report(TaskState::Finished, Some(true));
    linked.session = Some(session(1, "A", 6).facts.id);
    task_seen(&mut test, &linked, at(4000), PATIENCE);
    assert!(!expire(&mut test, true, at(9000)), "the session decides");
    assert!(!expire(&mut test, false, at(4000 + 1199)));
    assert!(expire(&mut test, false, at(4000 + 1200)));
    assert_eq!(test.state, OperationState::Unknown);
    assert!(!expire(&mut test, false, at(9999)), "it is told once");
}
