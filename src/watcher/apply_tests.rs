//! Whole turns against a real store: what is written, and that it is written once.

use super::*;
use crate::clock::{Clock as _, ManualClock};
use crate::domain::access::Tenancy;
use crate::domain::command::Command;
use crate::domain::event::{EventType, Routing};
use crate::domain::id::{LogonId, TaskId};
use crate::domain::links::Links;
use crate::domain::operation::{OperationResult, OperationState, OperationTask, TaskState};
use crate::domain::plan::Action;
use crate::domain::plan::{Plan, PlanKind, PlanRef};
use crate::domain::session::{SessionFacts, SessionResult, SessionState};
use crate::store::Revision;
use crate::store::operations::Inserted;
use crate::store::replicas::LeaseName;
use crate::store::testing::{new_command, statements, temporary_with};
use crate::watcher::follow::TaskReport;
use crate::watcher::outage::outage;

const PLAN: &str = "3f56fa52-c902-4655-9774-2022fde214d2";
const PATIENCE: Duration = Duration::from_mins(20);

struct Turns {
    store: Store,
    clock: std::sync::Arc<ManualClock>,
}

impl Turns {
    async fn new() -> Self {
        let clock = ManualClock::at("2026-05-06T20:29:45Z".parse().expect("a moment"));
        Self {
            store: temporary_with(clock.clone()).await,
            clock,
        }
    }

    /// A complete observation two seconds after the last.
    async fn look(&self, sessions: Vec<SessionFacts>) -> BatchOutcome {
        self.look_with(sessions, HashMap::new()).await
    }

    async fn look_with(
        &self,
        sessions: Vec<SessionFacts>,
        tasks: HashMap<OperationId, TaskReport>,
    ) -> BatchOutcome {
        let operations = self.operations().await;
        self.look_after(operations, sessions, tasks).await
    }

    /// One whose operations were read before.
    async fn look_after(
        &self,
        operations: (Revision, Arc<[Operation]>),
        sessions: Vec<SessionFacts>,
        tasks: HashMap<OperationId, TaskReport>,
    ) -> BatchOutcome {
        self.clock.advance(Duration::from_secs(2));
        let look = Batch {
            lease: self.lease().await,
            at: self.clock.now(),
            since: None,
            sessions: sessions.into_iter().map(Arc::new).collect(),
            known: Vec::new(),
            in_step: HashSet::new(),
            tasks,
            plans: [plan()].into(),
            links: Links::default(),
            number: None,
            operations,
            join: true,
            last: Some(Completion {
                unread: HashSet::new(),
                oldest_damaged: None,
                shown: HashSet::new(),
                late_when_active: Duration::from_secs(30),
                late_when_idle: Duration::from_secs(75),
            }),
        };
        apply(&self.store, look, PATIENCE).await.expect("applied")
    }

    async fn operations(&self) -> (Revision, Arc<[Operation]>) {
        let revision = self.store.revision();
        let operations = self.store.unfinished_operations().await.expect("read");
        (revision, operations.into())
    }

    async fn lease(&self) -> Lease {
        let lease = self.store.lease(LeaseName::Watch).await.expect("taken");
        lease.expect("free")
    }

    async fn events(&self) -> Vec<(String, serde_json::Value)> {
        let log = self
            .store
            .events_after(&Tenancy::All, 0, 100)
            .await
            .expect("read");
        log.iter()
            .map(|event| {
                (
                    event.kind.as_str().to_owned(),
                    serde_json::from_str(&event.body).expect("JSON"),
                )
            })
            .collect()
    }

    async fn kinds(&self) -> Vec<String> {
        self.events().await.into_iter().map(|(kind, _)| kind).collect()
    }

    async fn running(&self, action: &str) -> OperationId {
        let id = self.asked(action, Duration::ZERO).await;
        self.taken(id).await;
        id
    }

    /// EM took the operation.
    async fn taken(&self, id: OperationId) {
        let mut tx = self.store.begin().await.expect("begun");
        let mut running = tx
            .operation(id, &Tenancy::All)
            .await
            .expect("read")
            .expect("there");
        running.task = Some(OperationTask {
            id: TaskId("task-1".into()),
            logon: Some(LogonId(uuid::Uuid::nil())),
            state: TaskState::Running,
            message: None,
        });
        running.step(OperationState::Running, self.clock.now(), None);
        tx.save_operation(&running).await.expect("saved");
        tx.commit().await.expect("committed");
    }

    /// A request that was sent a moment ago; its answer may come for so long.
    async fn asked(&self, action: &str, answer: Duration) -> OperationId {
        let id = OperationId::new(self.clock.id());
        let now = self.clock.now();
        let command = Command::Act {
            plan: plan().reference(),
            action: Action::Test,
        };
        let operation = Operation {
            action: action.into(),
            requested_by: Some("portal".into()),
            requester_issuer: None,
            on_behalf_of: None,
            traceparent: None,
            reason: None,
            approval: None,
            unsent: false,
            seen_observation: self.store.observation().await.expect("read"),
            answer_due: now + answer,
            evidence_deadline: now + PATIENCE,
            ..command.operation(id, now)
        };
        let mut tx = self.store.begin().await.expect("begun");
        assert_eq!(
            tx.insert_operation(&operation, &command).await.expect("inserted"),
            Inserted::Done
        );
        tx.commit().await.expect("committed");
        id
    }
}

fn plan() -> Plan {
    Plan {
        id: PLAN.parse().expect("an id"),
        uid: None,
        kind: PlanKind::Cloud,
        name: "ABC Company Failover Plan".into(),
        description: None,
        tenant: Some(crate::domain::plan::Reference {
            id: PLAN.parse().expect("an id"),
            name: Some("ABC Company".into()),
        }),
        backup_server: None,
        machines: vec![],
        pre_command: None,
        post_command: None,
    }
}

fn facts(id: u8, state: SessionState, result: Option<SessionResult>) -> SessionFacts {
    SessionFacts {
        id: format!("a986d473-0248-4884-9832-17ec982ee3{id:02x}")
            .parse()
            .expect("an id"),
        uid: None,
        plan_name: "ABC Company Failover Plan".into(),
        job: None,
        job_type: Some("FailoverPlan".into()),
        backup_server: None,
        state,
        result,
        progress: Some(7),
        started_at: Some("2026-05-06T20:29:45Z".parse().expect("a moment")),
        ended_at: None,
        failure_message: None,
        machines: vec![],
    }
}

fn working(id: u8) -> SessionFacts {
    facts(id, SessionState::Working, None)
}

fn done(id: u8) -> SessionFacts {
    facts(id, SessionState::Stopped, Some(SessionResult::Success))
}

#[tokio::test]
async fn the_baseline_is_silent_about_what_had_ended() {
    let turns = Turns::new().await;
    let applied = turns.look(vec![done(1), working(2)]).await;
    assert!(applied.active);
    assert_eq!(turns.kinds().await, ["failover.session.started"]);
    turns.look(vec![done(1), done(2), done(3)]).await;
    assert_eq!(
        turns.kinds().await[1..],
        [
            "failover.session.finished",
            "failover.session.started",
            "failover.session.finished"
        ]
    );
}

#[tokio::test]
async fn a_session_started_elsewhere_has_no_operation() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    turns.look(vec![done(1)]).await;
    let (_, finished) = turns.events().await.pop().expect("an event");
    assert_eq!(finished["data"]["session"]["plan"]["id"], PLAN);
    assert_eq!(finished["data"]["session"]["tenant"]["name"], "ABC Company");
    assert_eq!(finished["data"]["operation"], serde_json::Value::Null);
    assert_eq!(finished["data"]["sequence"], 2);
}

#[tokio::test]
async fn a_session_that_ended_one_operation_is_never_that_of_an_unknown_one() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let lost = turns.running("test").await;
    let mut tx = turns.store.begin().await.expect("begun");
    let mut operation = tx
        .operation(lost, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    operation.step(OperationState::Unknown, turns.clock.now(), None);
    tx.save_operation(&operation).await.expect("saved");
    tx.commit().await.expect("committed");
    let next = turns.running("test").await;
    turns.look(vec![working(1)]).await;
    turns.look(vec![done(1)]).await;
    turns.look(vec![done(1)]).await;
    let read = async |id| {
        turns
            .store
            .operation(id, &Tenancy::All)
            .await
            .expect("read")
            .expect("there")
    };
    assert_eq!(read(next).await.session, Some(working(1).id));
    assert_eq!(read(next).await.state, OperationState::Finished);
    assert_eq!(read(lost).await.session, None);
    assert_eq!(read(lost).await.state, OperationState::Unknown);
}

#[tokio::test]
async fn an_operation_ends_with_its_session() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let id = turns.running("test").await;
    turns.look(vec![working(1)]).await;
    let joined = turns
        .store
        .operation(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    assert_eq!((joined.session, joined.progress), (Some(working(1).id), 7));
    let applied = turns.look(vec![done(1)]).await;
    assert_eq!(applied.released.len(), 1, "its logon session is no longer needed");
    let ended = turns
        .store
        .operation(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(ended.state, OperationState::Finished);
    let events = turns.events().await;
    let (kind, finished) = events.last().expect("an event");
    assert_eq!(kind, "failover.session.finished");
    assert_eq!(finished["data"]["operation"]["state"], "finished");
    assert_eq!(finished["data"]["operation"]["session"], serde_json::Value::Null);
    assert_eq!(finished["data"]["session"]["action"], "test");
    let mut changes = turns.store.changes();
    changes.mark_unchanged();
    let applied = turns.look(vec![done(1)]).await;
    assert_eq!((applied.events, applied.active), (0, false));
    assert!(!changes.has_changed().expect("open"), "nothing new was announced");
}

#[tokio::test]
async fn what_was_asked_for_after_the_operations_were_read_is_joined_as_well() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let read = turns.operations().await;
    let id = turns.running("test").await;
    turns.look_after(read, vec![working(1)], HashMap::new()).await;
    let joined = turns.store.operation(id, &Tenancy::All).await.expect("read");
    assert_eq!(joined.expect("there").session, Some(working(1).id));
}

#[tokio::test]
async fn an_operation_that_ends_without_a_session_has_an_event() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let id = turns.running("undo").await;
    let report = TaskReport {
        state: TaskState::Finished,
        success: Some(true),
        message: None,
        session: None,
    };
    turns.look_with(vec![], HashMap::from([(id, report)])).await;
    let events = turns.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].0, "failover.operation.finished");
    assert_eq!(events[0].1["data"]["operation"]["result"], "success");
    assert_eq!(turns.look(vec![]).await.events, 0);
}

#[tokio::test]
async fn a_session_that_vanishes_is_lost_and_its_operation_unknown() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let id = turns.running("start").await;
    turns.look(vec![working(1)]).await;
    turns.look(vec![]).await;
    turns.look(vec![]).await;
    assert_eq!(
        turns.kinds().await,
        [
            "failover.session.started",
            "failover.session.lost",
            "failover.operation.finished"
        ]
    );
    let unknown = turns
        .store
        .operation(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(unknown.state, OperationState::Unknown);
    turns.look(vec![done(1)]).await;
    let found = turns
        .store
        .operation(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(found.state, OperationState::Finished, "it ended after all");
    assert_eq!(
        turns.kinds().await.last().map(String::as_str),
        Some("failover.session.finished")
    );
}

#[tokio::test]
async fn a_session_that_is_joined_late_is_its_tenants_from_then_on() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let id = turns.running("test").await;
    let unresolved = SessionFacts {
        plan_name: "Renamed Since".into(),
        ..working(1)
    };
    turns.look(vec![unresolved.clone()]).await;
    let own = Tenancy::Only(["ABC Company".to_owned()].into());
    let seen = async || {
        let known = turns.store.sessions_known(&[working(1).id], &own).await;
        !known.expect("read").is_empty()
    };
    assert!(!seen().await);
    let linked = TaskReport {
        state: TaskState::Finished,
        success: Some(true),
        message: None,
        session: Some(working(1).id),
    };
    turns
        .look_with(vec![unresolved], HashMap::from([(id, linked)]))
        .await;
    assert!(seen().await);
}

#[tokio::test]
async fn an_operation_whose_linked_session_never_appears_ends_unknown() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let id = turns.running("test").await;
    let linked = TaskReport {
        state: TaskState::Finished,
        success: Some(true),
        message: None,
        session: Some(working(1).id),
    };
    turns.look_with(vec![], HashMap::from([(id, linked)])).await;
    turns.clock.advance(PATIENCE);
    let applied = turns.look(vec![]).await;
    assert_eq!(turns.kinds().await, ["failover.operation.finished"]);
    assert_eq!(
        applied.released.len(),
        1,
        "nobody needs its logon session any more"
    );
    turns.look(vec![working(1)]).await;
    let found = turns
        .store
        .operation(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(found.state, OperationState::Running, "it showed after all");
}

#[tokio::test]
async fn the_numbers_of_a_sessions_events_have_no_gaps() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    for progress in 0..5 {
        turns
            .look(vec![SessionFacts {
                progress: Some(progress),
                ..working(1)
            }])
            .await;
    }
    turns.look(vec![done(1)]).await;
    let numbers: Vec<i64> = turns
        .events()
        .await
        .iter()
        .filter_map(|(_, body)| body["data"]["sequence"].as_i64())
        .collect();
    assert_eq!(numbers, (1..=6).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_plan_runs_once_at_a_time() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let first = turns.running("test").await;
    let mut tx = turns.store.begin().await.expect("begun");
    let mut second = tx
        .operation(first, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    second.id = OperationId::new(turns.clock.id());
    assert_eq!(
        tx.insert_operation(&second, &new_command()).await.expect("asked"),
        Inserted::PlanBusy
    );
}

#[tokio::test]
async fn an_outage_has_one_event_at_each_end() {
    let turns = Turns::new().await;
    let since = turns.clock.now();
    for _ in 0..3 {
        outage(
            &turns.store,
            &turns.lease().await,
            "operators",
            since,
            Some("connection refused".into()),
        )
        .await
        .expect("told");
    }
    for _ in 0..3 {
        let lease = turns.lease().await;
        outage(&turns.store, &lease, "operators", turns.clock.now(), None)
            .await
            .expect("told");
    }
    let events = turns.events().await;
    let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["upstream.unavailable", "upstream.recovered"]);
    assert_eq!(events[0].1["data"]["reason"], "connection refused");
    assert_eq!(events[1].1["data"]["since"], events[0].1["data"]["since"]);
}

#[tokio::test]
async fn a_session_that_the_store_refuses_does_not_affect_others() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let id = turns.running("test").await;
    // The number of the first event of session 1 is taken.
    let mut tx = turns.store.begin().await.expect("begun");
    tx.append_event(&crate::domain::event::NewEvent {
        id: EventId::new(turns.clock.id()),
        kind: EventType::WebhookTest,
        at: turns.clock.now(),
        body: "{}".into(),
        routing: Routing {
            session: Some(working(1).id),
            sequence: Some(1),
            ..Routing::default()
        },
    })
    .await
    .expect("appended");
    tx.commit().await.expect("committed");
    let other = SessionFacts {
        plan_name: "another".into(),
        ..done(2)
    };
    for _ in 0..2 {
        let applied = turns.look(vec![done(1), other.clone()]).await;
        assert!(applied.complete);
        assert_eq!(applied.skipped.len(), 1, "{:?}", applied.skipped);
        assert!(applied.skipped[0].0.contains(working(1).id.as_str()));
    }
    assert_eq!(
        turns.kinds().await[1..],
        ["failover.session.started", "failover.session.finished"]
    );
    let waiting = turns
        .store
        .operation(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(
        waiting.state,
        OperationState::Running,
        "its session's end was not told, so it has not ended"
    );
}

#[tokio::test]
async fn an_observation_runs_as_many_statements_for_many_sessions_as_for_few() {
    let mut counts = Vec::new();
    for number in [3, 90] {
        let turns = Turns::new().await;
        turns.look(vec![]).await;
        let with_progress = |progress| -> Vec<SessionFacts> {
            let sessions = (0..number).map(working);
            sessions
                .map(|facts| SessionFacts {
                    progress: Some(progress),
                    ..facts
                })
                .collect()
        };
        turns.look(with_progress(1)).await;
        statements(&turns.store);
        turns.look(with_progress(1)).await;
        let unchanged = statements(&turns.store);
        let moved = turns.look(with_progress(2)).await;
        counts.push((unchanged, statements(&turns.store)));
        assert_eq!(moved.events, usize::from(number));
        assert_eq!(moved.settled.len(), usize::from(number));
        let mut tx = turns.store.begin().await.expect("begun");
        let written = tx.open_sessions().await.expect("read").items;
        assert!(written.iter().all(|record| record.facts.progress == Some(2)));
        let by_id = |records: Vec<SessionRecord>| -> HashMap<EmId, SessionRecord> {
            let records = records.into_iter();
            records.map(|record| (record.facts.id.clone(), record)).collect()
        };
        assert_eq!(
            by_id(moved.settled),
            by_id(written),
            "what is remembered is what was written"
        );
    }
    assert_eq!(counts[0], counts[1]);
}

/// Operations that were requested for plans of their own and are joined with these sessions.
async fn joined_with(turns: &Turns, sessions: &[SessionFacts]) -> Vec<OperationId> {
    let mut tx = turns.store.begin().await.expect("begun");
    let mut ids = Vec::new();
    for facts in sessions {
        let plan = PlanRef {
            id: facts.id.clone(),
            ..plan().reference()
        };
        let command = Command::Act {
            plan,
            action: Action::Test,
        };
        let mut operation = command.operation(OperationId::new(turns.clock.id()), turns.clock.now());
        operation.evidence_deadline = turns.clock.now() + PATIENCE;
        let inserted = tx.insert_operation(&operation, &command).await.expect("inserted");
        assert_eq!(inserted, Inserted::Done);
        operation.session = Some(facts.id.clone());
        operation.step(OperationState::Running, turns.clock.now(), None);
        tx.save_operation(&operation).await.expect("saved");
        ids.push(operation.id);
    }
    tx.commit().await.expect("committed");
    ids
}

async fn progress_of(turns: &Turns, id: OperationId) -> i64 {
    let operation = turns.store.operation(id, &Tenancy::All).await.expect("read");
    operation.expect("there").progress
}

#[tokio::test]
async fn operations_that_go_on_are_written_by_as_many_statements_as_a_few() {
    let mut counts = Vec::new();
    for number in [3, 90] {
        let turns = Turns::new().await;
        turns.look(vec![]).await;
        let with_progress = |progress| -> Vec<SessionFacts> {
            let facts = (0..number).map(working);
            let moved = facts.map(|facts| SessionFacts {
                progress: Some(progress),
                ..facts
            });
            moved.collect()
        };
        let ids = joined_with(&turns, &with_progress(0)).await;
        turns.look(with_progress(1)).await;
        statements(&turns.store);
        turns.look(with_progress(2)).await;
        counts.push(statements(&turns.store));
        for id in ids {
            assert_eq!(progress_of(&turns, id).await, 2);
        }
    }
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test]
async fn an_operation_that_the_store_refuses_takes_none_with_it_that_goes_on() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let sessions = [1, 2, 3].map(working);
    let ids = joined_with(&turns, &sessions).await;
    turns.look(sessions.to_vec()).await;
    // The first two cannot come as far as each other.
    let [first, second] = [ids[0], ids[1]];
    let index = format!(
        "create unique index refused on operations (progress) where (id = '{first}' or id = '{second}') and progress = 50"
    );
    damage(&turns, &index).await;
    let later = sessions.map(|facts| SessionFacts {
        progress: Some(50),
        ..facts
    });
    let applied = turns.look(later.to_vec()).await;
    assert_eq!(applied.skipped.len(), 1, "{:?}", applied.skipped);
    assert!(applied.complete);
    let mut progress = Vec::new();
    for id in ids {
        progress.push(progress_of(&turns, id).await);
    }
    assert_eq!(progress.pop(), Some(50));
    progress.sort_unstable();
    assert_eq!(progress, [7, 50]);
}

#[tokio::test]
async fn a_session_that_the_store_refuses_takes_none_with_it_that_goes_on() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    turns.look(vec![working(1), working(2), working(3)]).await;
    // The next number of the second is taken.
    let mut tx = turns.store.begin().await.expect("begun");
    tx.run("update events set sequence = 2 where session_key like '%02'")
        .await
        .expect("changed");
    tx.commit().await.expect("committed");
    let on = |id| SessionFacts {
        progress: Some(50),
        ..working(id)
    };
    let applied = turns.look(vec![on(1), on(2), on(3)]).await;
    assert_eq!((applied.events, applied.skipped.len()), (2, 1));
    assert_eq!(applied.settled.len(), 2, "one is looked at again");
    let mut tx = turns.store.begin().await.expect("begun");
    let written = tx.open_sessions().await.expect("read").items;
    let progress = |id: u8| {
        let record = written.iter().find(|record| record.facts.id == working(id).id);
        record.and_then(|record| record.facts.progress)
    };
    assert_eq!([1, 2, 3].map(progress), [Some(50), Some(7), Some(50)]);
}

#[tokio::test]
async fn an_observation_in_batches_is_complete_with_its_last() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let part = async |sessions: Vec<SessionFacts>, number, last| {
        let look = Batch {
            lease: turns.lease().await,
            at: turns.clock.now(),
            since: None,
            sessions: sessions.into_iter().map(Arc::new).collect(),
            known: Vec::new(),
            in_step: HashSet::new(),
            tasks: HashMap::new(),
            plans: [plan()].into(),
            links: Links::default(),
            number,
            operations: (Revision::default(), Arc::default()),
            join: false,
            last,
        };
        apply(&turns.store, look, PATIENCE).await.expect("applied")
    };
    turns.look(vec![working(1), working(3)]).await;
    let first = part(vec![working(1), working(2)], None, None).await;
    assert!(!first.complete);
    assert_eq!(turns.store.observation().await.expect("read"), 2);
    let mut tx = turns.store.begin().await.expect("begun");
    assert_eq!(
        tx.observation().await.expect("read"),
        3,
        "whoever asks from now on asks after what was seen"
    );
    drop(tx);
    let last = Completion {
        unread: HashSet::new(),
        oldest_damaged: None,
        shown: HashSet::from([working(1).id, working(2).id]),
        late_when_active: Duration::from_secs(30),
        late_when_idle: Duration::from_secs(75),
    };
    let second = part(vec![], Some(first.number), Some(last)).await;
    assert!(second.complete && second.active);
    assert_eq!((first.number, second.number, second.running), (3, 3, 3));
    assert_eq!(turns.store.observation().await.expect("read"), 3);
    let mut tx = turns.store.begin().await.expect("begun");
    let missed: Vec<i64> = tx
        .open_sessions()
        .await
        .expect("read")
        .iter()
        .map(|record| record.missed)
        .collect();
    assert_eq!(
        missed.iter().sum::<i64>(),
        1,
        "only what no part showed was missed"
    );
}

/// A session of a plan with one machine, stopped.
fn done_with_machine() -> SessionFacts {
    let machine = crate::domain::session::MachineFacts {
        name: "srv1".into(),
        state: SessionState::Stopped,
        result: Some(SessionResult::Success),
        progress: Some(100),
        started_at: None,
        ended_at: None,
        failure_message: None,
        replica_point: None,
    };
    SessionFacts {
        machines: vec![machine],
        ..done(1)
    }
}

/// Whether the event carries that operation.
fn carries(event: &serde_json::Value, id: OperationId) -> bool {
    event["data"]["operation"]["id"] == id.to_string()
}

#[tokio::test]
async fn a_session_first_seen_finished_is_reported_together_with_its_operation() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let id = turns.asked("test", PATIENCE).await;
    for _ in 0..3 {
        let applied = turns.look(vec![done_with_machine()]).await;
        assert_eq!((applied.events, applied.active), (0, true));
        let due = applied
            .look_again
            .expect("a moment")
            .duration_since(turns.clock.now());
        assert!(due.as_secs() <= 10, "{due}");
    }
    turns.taken(id).await;
    let applied = turns.look(vec![done_with_machine()]).await;
    assert_eq!(applied.look_again, None);
    let events = turns.events().await;
    let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "failover.session.started",
            "failover.vm.finished",
            "failover.session.finished"
        ]
    );
    for (number, (_, event)) in (1..).zip(&events) {
        assert!(carries(event, id), "{event}");
        assert_eq!(event["data"]["sequence"], number);
    }
    let ended = turns
        .store
        .operation(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(ended.state, OperationState::Finished);
    assert_eq!(turns.look(vec![done_with_machine()]).await.events, 0);
}

#[tokio::test]
async fn the_end_of_a_session_waits_for_ems_answer_to_its_request() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let id = turns.asked("test", PATIENCE).await;
    turns.look(vec![working(1)]).await;
    turns.look(vec![done_with_machine()]).await;
    assert_eq!(
        turns.kinds().await,
        ["failover.session.started", "failover.vm.finished"]
    );
    turns.taken(id).await;
    turns.look(vec![done_with_machine()]).await;
    let events = turns.events().await;
    let (kind, finished) = events.last().expect("an event");
    assert_eq!((events.len(), kind.as_str()), (3, "failover.session.finished"));
    assert!(carries(finished, id), "{finished}");
    assert_eq!(finished["data"]["sequence"], 3);
}

#[tokio::test]
async fn an_end_goes_out_without_its_operation_after_ten_seconds_without_an_answer() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let id = turns.asked("test", PATIENCE).await;
    // First seen at second 2, looked at every 2 seconds.
    for _ in 0..5 {
        assert_eq!(turns.look(vec![done(1)]).await.events, 0);
    }
    assert_eq!(turns.look(vec![done(1)]).await.events, 2);
    let events = turns.events().await;
    assert!(
        events
            .iter()
            .all(|(_, event)| event["data"]["operation"].is_null())
    );
    // Its own end is told by an event of its own once the answer is there.
    turns.taken(id).await;
    turns.look(vec![done(1)]).await;
    let kinds = turns.kinds().await;
    assert_eq!(
        kinds,
        [
            "failover.session.started",
            "failover.session.finished",
            "failover.operation.finished"
        ]
    );
}

#[tokio::test]
async fn an_end_is_reported_at_once_when_em_refused_the_request() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let id = turns.asked("test", PATIENCE).await;
    assert_eq!(turns.look(vec![done(1)]).await.events, 0);
    let mut tx = turns.store.begin().await.expect("begun");
    let mut refused = tx
        .operation(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    refused.finish(Some(OperationResult::Failed), None, turns.clock.now());
    tx.save_operation(&refused).await.expect("saved");
    tx.commit().await.expect("committed");
    assert_eq!(turns.look(vec![done(1)]).await.events, 2);
    let events = turns.events().await;
    assert!(
        events
            .iter()
            .all(|(_, event)| event["data"]["operation"].is_null())
    );
}

#[tokio::test]
async fn an_operation_whose_process_is_gone_is_joined_as_soon_as_its_session_shows() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    let id = turns.asked("test", PATIENCE).await;
    let mut tx = turns.store.begin().await.expect("begun");
    tx.leave_to("a process that is gone").await.expect("left");
    tx.commit().await.expect("committed");
    turns.look(vec![done_with_machine()]).await;
    let events = turns.events().await;
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|(_, event)| carries(event, id)), "{events:?}");
    let ended = turns
        .store
        .operation(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(ended.state, OperationState::Finished);
}

/// Changes the store behind the gateway's back.
async fn damage(turns: &Turns, sql: &str) {
    let mut tx = turns.store.begin().await.expect("begun");
    tx.run(sql).await.expect("changed");
    tx.commit().await.expect("committed");
}

fn elsewhere(id: u8) -> SessionFacts {
    SessionFacts {
        plan_name: "another".into(),
        ..done(id)
    }
}

#[tokio::test]
async fn an_unreadable_session_is_observed_again_once_it_can_be_read() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    turns.look(vec![working(1)]).await;
    for what in [
        "facts = '{'",
        "plan = '7'",
        "phase = 'open', first_seen_at = 9223372036854775807",
    ] {
        damage(&turns, "create table kept as select * from failover_sessions").await;
        damage(&turns, &format!("update failover_sessions set {what}")).await;
        let before = turns.kinds().await.len();
        let applied = turns.look(vec![done(1), elsewhere(2)]).await;
        assert!(applied.complete, "{what}");
        turns.look(vec![]).await;
        turns.look(vec![]).await;
        assert!(turns.store.unreadable_since().is_some(), "{what}");
        let of_other = &turns.kinds().await[before..];
        assert_eq!(
            of_other,
            ["failover.session.started", "failover.session.finished"],
            "{what}: neither told twice nor lost"
        );
        damage(&turns, "delete from failover_sessions").await;
        damage(&turns, "insert into failover_sessions select * from kept").await;
        damage(&turns, "drop table kept").await;
        damage(&turns, "delete from events").await;
        turns.look(vec![working(1)]).await;
        assert_eq!(turns.store.unreadable_since(), None, "{what}");
    }
    turns.look(vec![done(1)]).await;
    assert_eq!(
        turns.kinds().await.last().map(String::as_str),
        Some("failover.session.finished")
    );
}

#[tokio::test]
async fn an_unreadable_operation_keeps_its_plan_busy() {
    for what in [
        "metadata = '{'",
        "plan = '{}'",
        "requested_at = 9223372036854775807",
    ] {
        let turns = Turns::new().await;
        turns.look(vec![]).await;
        let old = turns.running("test").await;
        let mut tx = turns.store.begin().await.expect("begun");
        let mut unknown = tx
            .operation(old, &Tenancy::All)
            .await
            .expect("read")
            .expect("there");
        unknown.step(OperationState::Unknown, turns.clock.now(), None);
        tx.save_operation(&unknown).await.expect("saved");
        tx.commit().await.expect("committed");
        let bad = turns.running("test").await;
        damage(
            &turns,
            &format!("update operations set {what} where id = '{bad}'"),
        )
        .await;
        let applied = turns.look(vec![working(1), elsewhere(2)]).await;
        assert!(applied.complete, "{what}");
        let other = turns
            .store
            .operation(old, &Tenancy::All)
            .await
            .expect("read")
            .expect("there");
        assert_eq!(other.session, None, "{what}: the session may be the other's");
        let read = turns.store.operation(bad, &Tenancy::All).await;
        assert!(read.is_err_and(|error| error.is_unreadable()), "{what}");
        let mut tx = turns.store.begin().await.expect("begun");
        assert_eq!(
            tx.busy_operation(&other.plan.clone().expect("a plan").id)
                .await
                .expect("read"),
            Some(bad)
        );
        let mut second = other.clone();
        second.id = OperationId::new(turns.clock.id());
        second.state = OperationState::Submitting;
        assert_eq!(
            tx.insert_operation(&second, &new_command()).await.expect("asked"),
            Inserted::PlanBusy
        );
        drop(tx);
        let filter = crate::store::operations::OperationFilter::default();
        let list = turns
            .store
            .operations(&Tenancy::All, &filter, None, 1)
            .await
            .expect("listed");
        assert_eq!(list.iter().map(|one| one.id).collect::<Vec<_>>(), [old], "{what}");
        assert!(turns.store.unreadable_since().is_some());
        assert_eq!(turns.kinds().await.len(), 3, "{what}");
    }
}

#[tokio::test]
async fn unreadable_events_and_endpoints_are_skipped() {
    let turns = Turns::new().await;
    turns.look(vec![]).await;
    for id in 1..=4 {
        turns.look(vec![elsewhere(id)]).await;
    }
    damage(
        &turns,
        "update events set type = 'of a later program' where seq in (2, 3)",
    )
    .await;
    damage(&turns, "update events set body = '{' where seq = 5").await;
    let places = async |after, limit| {
        let events = turns
            .store
            .events_after(&Tenancy::All, after, limit)
            .await
            .expect("read");
        events.iter().map(|event| event.seq).collect::<Vec<_>>()
    };
    assert_eq!(places(0, 2).await, [1, 4]);
    assert_eq!(places(4, 3).await, [6, 7, 8]);
    let before = turns
        .store
        .events_before(&Tenancy::All, 7, 3)
        .await
        .expect("read");
    assert_eq!(
        before.iter().map(|event| event.seq).collect::<Vec<_>>(),
        [1, 4, 6]
    );
    damage(
        &turns,
        "insert into webhook_endpoints (id, url, shown_url, secret, filter, format, headers, max_concurrency, enabled, \
         created_at, updated_at) values ('ep_1', '', '', '', '{', 'standard', '', 1, 1, 1, 1)",
    )
    .await;
    assert_eq!(turns.look(vec![elsewhere(5)]).await.events, 2);
    assert!(
        turns
            .store
            .endpoints(&Tenancy::All, None, 10)
            .await
            .expect("listed")
            .is_empty()
    );
}
