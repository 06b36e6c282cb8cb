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
use crate::figures::{Figures, Row};

/// Actions of one round, and rounds with the chain and without in turn.
const ACTIONS: usize = 400;
const ROUNDS: usize = 5;

pub async fn measure(figures: &mut Figures) {
    figures.begin(
        "audit",
        format!("actions a second at the store with the chain of the audit log, {ACTIONS} a round, beside the same without"),
    );
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}", directory.path().join("emgate.db").display());
    let file = Config {
        url,
        encryption_key_file: None,
    };
    let store = Store::open(&file, SystemClock::shared()).await.expect("a store");
    of_store(figures, "SQLite, one caller", std::slice::from_ref(&store), 1).await;
    of_store(figures, "SQLite, 8 callers", &[store], 8).await;
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
    of_store(figures, "PostgreSQL, one caller", &replicas[..1], 1).await;
    of_store(figures, "PostgreSQL, 2 replicas, 16 callers", &replicas, 8).await;
    let whole = whole_action().await;
    figures.add(Row::new(
        "a whole action over HTTP, one caller",
        "ms",
        vec![whole * 1e3],
    ));
}

/// Measures both ways in turn.
async fn of_store(figures: &mut Figures, name: &str, replicas: &[Store], callers: usize) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    round(replicas, callers, true).await;
    for _ in 0..ROUNDS {
        without.push(1.0 / round(replicas, callers, false).await);
        with.push(1.0 / round(replicas, callers, true).await);
    }
    figures.add(Row::new(name, "/s", with).beside("without", without));
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
    let command = a_command();
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

/// What an operation at the store needs.
pub fn a_command() -> Command {
    Command::Mirror(MirrorWrite {
        method: WriteMethod::Post,
        path: "/jobs/1".into(),
        target: "jobs/1".into(),
        action: "start".into(),
        body: String::new(),
        reply: ExpectedReply::Task,
    })
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
