//! Single reads that hang: the query's result is written meanwhile, and theirs once they answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use emgate::clock::Clock as _;
use emgate::domain::command::Command;
use emgate::domain::id::OperationId;
use emgate::domain::operation::{Operation, OperationState, OperationTask, TaskState};
use emgate::domain::plan::{Action, PlanKind};
use emgate::store::operations::Inserted;

use super::Observatory;
use super::damaged::Log;
use crate::support::commands::act;
use crate::support::scripted_server::Reply;

/// Until it is dropped, or until its request is given up.
struct Hanging {
    given_up: Arc<AtomicBool>,
    release: tokio::sync::oneshot::Sender<()>,
}

/// Tells when it is dropped before its time.
struct GivenUp(Option<Arc<AtomicBool>>);

impl GivenUp {
    fn with_timeout(mut self) {
        self.0 = None;
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        if let Some(given_up) = self.0.take() {
            given_up.store(true, Ordering::SeqCst);
        }
    }
}

impl Hanging {
    /// The next request that begins so gets no answer for now.
    fn next(world: &Observatory, request: &str) -> Self {
        let given_up = Arc::new(AtomicBool::new(false));
        let (release, released) = tokio::sync::oneshot::channel();
        let guard = GivenUp(Some(given_up.clone()));
        world.scripted.before(request, 1, async move {
            let _ = released.await;
            guard.with_timeout();
        });
        Self { given_up, release }
    }

    fn still_hangs(&self) -> bool {
        !self.given_up.load(Ordering::SeqCst)
    }
}

/// A test of that plan through the gateway, its task known and its session not.
async fn operation(world: &Observatory, plan: usize) -> OperationId {
    let id = world.plans[plan].parse().expect("an id");
    let plan = world
        .em
        .plan(PlanKind::Cloud, &id)
        .await
        .expect("the plan")
        .reference();
    let accepted = act(&world.em, &plan, Action::Test).await.expect("accepted");
    let now = world.clock.now();
    let command = Command::Act {
        plan,
        action: Action::Test,
    };
    let operation = Operation {
        seen_observation: world.observations().await,
        evidence_deadline: now + Duration::from_mins(20),
        ..command.operation(OperationId::new(world.clock.id()), now)
    };
    let mut tx = world.store.begin().await.expect("begun");
    let inserted = tx.insert_operation(&operation, &command).await.expect("inserted");
    assert_eq!(inserted, Inserted::Done);
    let mut running = operation;
    running.task = Some(OperationTask {
        id: accepted.task,
        logon: Some(accepted.logon),
        state: TaskState::Running,
        message: None,
    });
    running.step(OperationState::Running, now, None);
    tx.save_operation(&running).await.expect("saved");
    tx.commit().await.expect("committed");
    running.id
}

#[tokio::test]
async fn a_task_that_does_not_answer_delays_no_sessions_end() {
    let mut world = Observatory::with(|_| {}).await;
    assert!(world.look().await);
    let other = world.begin(1, 3).await;
    assert!(world.look().await);
    let asked = operation(&world, 0).await;
    let hanging = Hanging::next(&world, "GET /api/tasks/");
    world.clock.advance(Duration::from_secs(3));
    assert!(world.look().await);
    assert!(hanging.still_hangs(), "the look did not wait for it");
    assert_eq!(world.reported().await[&other], ["started", "finished"]);
    // It is not read a second time while it has not answered, and delays no later observation.
    for _ in 0..3 {
        assert!(world.look().await);
    }
    assert!(hanging.still_hangs());
    assert_eq!(world.scripted.seen("GET /api/tasks/").len(), 1);
    hanging.release.send(()).expect("it still hangs");
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.scripted.seen("GET /api/tasks/").len() < 2 {
        assert!(Instant::now() < deadline, "its answer is never taken up");
        assert!(world.look().await);
    }
    let operation = world
        .store
        .operation(asked, &emgate::domain::access::Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    assert!(operation.session.is_some(), "{operation:?}");
}

#[tokio::test]
async fn a_session_that_cannot_be_read_alone_delays_no_others_end() {
    let mut world = Observatory::with(|_| {}).await;
    assert!(world.look().await);
    let early = world.begin(1, 3).await;
    assert!(world.look().await);
    let hanging = Hanging::next(&world, "GET /api/cloud/failoverSessions/");
    let late = world.begin(0, 3).await;
    world.clock.advance(Duration::from_secs(3));
    assert!(world.look().await);
    assert!(hanging.still_hangs(), "the look did not wait for it");
    let reported = world.reported().await;
    assert_eq!(reported[&early], ["started", "finished"]);
    assert_eq!(reported[&late], ["started", "finished"]);
    let finished = |log: &[serde_json::Value], id: &str| {
        let of = |event: &&serde_json::Value| {
            event["type"] == "failover.session.finished"
                && event["data"]["session"]["id"]
                    .as_str()
                    .expect("an id")
                    .to_lowercase()
                    == id
        };
        log.iter().position(|event| of(&event)).expect("reported")
    };
    let log = world.events().await;
    assert!(
        finished(&log, &early) < finished(&log, &late),
        "what waits for nothing is first"
    );
}

#[tokio::test]
async fn an_operation_with_an_unreadable_task_ends_by_its_session() {
    let (log, _guard) = Log::begin();
    let mut world = Observatory::with(|_| {}).await;
    assert!(world.look().await);
    let asked = operation(&world, 0).await;
    let damaged = "<Task xmlns=\"http://www.veeam.com/ent/v1.0\"><State>&x;</State></Task>";
    world
        .scripted
        .answers("GET /api/tasks/*", Reply::xml(200, damaged));
    for _ in 0..60 {
        assert!(world.look().await);
    }
    let operation = world
        .store
        .operation(asked, &emgate::domain::access::Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(operation.state, OperationState::Finished, "{operation:?}");
    assert_eq!(log.warnings("record=\"task-"), 1, "{log:?}");
    assert_eq!(
        world.complaint().await.as_deref(),
        Some("1 task is damaged at Enterprise Manager")
    );
}
