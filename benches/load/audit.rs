//! What the chain of the audit log costs: the store's part of actions (recorded, accepted, ended: three commits) with their
//! rows and without, and a whole action over HTTP to hold the difference against.

use std::time::Instant;

use emgate::clock::SystemClock;
use emgate::domain::audit::{Actor, AuditAction, AuditEntry, Details, target_of};
use emgate::domain::command::{Command, ExpectedReply, MirrorWrite, WriteMethod};
use emgate::domain::id::OperationId;
use emgate::domain::operation::{OperationResult, OperationState};
use emgate::store::{Config, Store};
use futures_util::future::join_all;
use reqwest::Method;

use super::postgres::Server;
use super::world::World;

/// Actions of one round, and rounds with the chain and without in turn.
const ACTIONS: usize = 400;
const ROUNDS: usize = 5;

pub async fn measure() {
    println!("the chain of the audit log: {ACTIONS} actions a round, {ROUNDS} rounds, medians");
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}", directory.path().join("emgate.db").display());
    let file = Config {
        url,
        encryption_key_file: None,
    };
    let store = Store::open(&file, SystemClock::shared()).await.expect("a store");
    let one = of_store("SQLite, one caller", std::slice::from_ref(&store), 1).await;
    of_store("SQLite, 8 callers", &[store], 8).await;
    let server = tokio::task::spawn_blocking(Server::start_durable)
        .await
        .expect("a server");
    let database = server.database().await;
    let shared = Config {
        url: database.url,
        encryption_key_file: Some(database.key_file),
    };
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let replica = Store::open(&shared, SystemClock::shared()).await;
        replicas.push(replica.expect("a replica"));
    }
    of_store("PostgreSQL, one caller", &replicas[..1], 1).await;
    of_store("PostgreSQL, 2 replicas, 16 callers", &replicas, 8).await;
    let whole = whole_action().await;
    println!(
        "  a whole action over HTTP, one caller  {:6.2} ms; the chain is {:4.1} % of it",
        whole * 1e3,
        one / whole * 100.0
    );
}

/// Measures both ways; the seconds that the chain adds to an action.
async fn of_store(name: &str, replicas: &[Store], callers: usize) -> f64 {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    round(replicas, callers, true).await;
    for _ in 0..ROUNDS {
        without.push(round(replicas, callers, false).await);
        with.push(round(replicas, callers, true).await);
    }
    let (with, without) = (median(with), median(without));
    println!(
        "  {name:36}  {:6.0} actions/s without, {:6.0} with: {:+5.1} %",
        1.0 / without,
        1.0 / with,
        (without / with - 1.0) * 100.0
    );
    (with - without).max(0.0)
}

/// The seconds for an action.
async fn round(replicas: &[Store], callers: usize, chain: bool) -> f64 {
    let each = ACTIONS / (callers * replicas.len());
    let begun = Instant::now();
    join_all(replicas.iter().flat_map(|store| {
        (0..callers).map(move |_| async move {
            for _ in 0..each {
                action(store, chain).await;
            }
        })
    }))
    .await;
    begun.elapsed().as_secs_f64() / (each * callers * replicas.len()) as f64
}

/// What the store does for one action. Without the chain a step that is no end takes the place of the end, so that the
/// same statements run but for the chain's.
async fn action(store: &Store, chain: bool) {
    let command = Command::Mirror(MirrorWrite {
        method: WriteMethod::Post,
        path: "/jobs/1".into(),
        target: "jobs/1".into(),
        action: "start".into(),
        body: String::new(),
        reply: ExpectedReply::Task,
    });
    let clock = store.clock();
    let mut operation = command.operation(OperationId::new(clock.id()), clock.now());
    let mut tx = store.begin().await.expect("begun");
    tx.insert_operation(&operation, &command).await.expect("inserted");
    if chain {
        tx.append_audit(AuditEntry {
            actor: Actor {
                subject: Some("bench".to_owned()),
                ..Actor::default()
            },
            action: AuditAction::EmWrite,
            target: target_of(&operation),
            tenant: None,
            operation: Some(operation.id),
            request_id: Some(operation.id.to_string()),
            ended: None,
            details: Details::from([("kind", "em".into())]),
        });
    }
    tx.commit().await.expect("committed");
    operation.step(OperationState::Running, clock.now(), None);
    let mut tx = store.begin().await.expect("begun");
    tx.save_operation(&operation).await.expect("saved");
    tx.commit().await.expect("committed");
    if chain {
        operation.finish(Some(OperationResult::Success), None, clock.now());
    } else {
        operation.step(OperationState::Running, clock.now(), None);
    }
    let mut tx = store.begin().await.expect("begun");
    tx.save_operation(&operation).await.expect("saved");
    tx.commit().await.expect("committed");
}

/// The seconds for a write through the mirror, from the request to its answer.
async fn whole_action() -> f64 {
    const WRITES: usize = 100;
    let world = World::start(&["--speed", "1000"], &[]).await;
    let jobs = world.call(Method::GET, "/api/v1/em/jobs", None).await;
    let job = jobs["items"][0]["id"].as_str().expect("a job").to_owned();
    let path = format!("/api/v1/em/jobs/{job}?action=start");
    let begun = Instant::now();
    for _ in 0..WRITES {
        world.call(Method::POST, &path, None).await;
    }
    begun.elapsed().as_secs_f64() / WRITES as f64
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_unstable_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
