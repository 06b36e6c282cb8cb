//! Temporary stores for tests of this room and of those above it.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use sqlx::{AnyPool, AssertSqlSafe};
use tempfile::TempDir;

use super::{Config, Store};
use crate::clock::{ManualClock, SharedClock, SystemClock};
use crate::domain::command::{Command, ExpectedReply, MirrorWrite, WriteMethod};
use crate::domain::id::{EndpointId, OperationId};
use crate::domain::operation::Operation;
use crate::domain::webhook::Owner;
use crate::domain::webhook::endpoint::{Settings, SigningSecret};
use crate::domain::webhook::target::TargetUrl;

/// Names a PostgreSQL server on which tests make databases of their own; without it they use SQLite. `make test`
/// runs the suite on both.
const SERVER: &str = "EMGATE_TEST_POSTGRES";

/// A fresh store, in a folder that is there until the test ends.
pub async fn temporary() -> Store {
    temporary_with(SystemClock::shared()).await
}

/// The same with a clock of one's own.
pub async fn temporary_with(clock: SharedClock) -> Store {
    Store::open(&temporary_config().await, clock)
        .await
        .expect("a fresh store")
}

/// How many statements were run since this was asked last.
pub fn statements(store: &Store) -> usize {
    store
        .0
        .health
        .statements
        .swap(0, std::sync::atomic::Ordering::SeqCst)
}

/// Changes a store behind its back.
pub async fn change(store: &Store, statement: &'static str) {
    sqlx::query(statement)
        .execute(store.writer())
        .await
        .expect(statement);
}

/// Lets time pass as it does: in steps that the store takes note of.
pub fn pass(store: &Store, clock: &ManualClock, time: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let step = left.min(Duration::from_mins(30));
        clock.advance(step);
        let _ = store.trusted_now();
        left -= step;
    }
}

/// An operation to be written, of a write through the mirror.
pub fn new_operation(store: &Store) -> Operation {
    new_command().operation(OperationId::new(store.clock().id()), store.clock().now())
}

/// What such an operation sends.
pub fn new_command() -> Command {
    Command::Mirror(MirrorWrite {
        method: WriteMethod::Post,
        path: "/jobs".into(),
        target: "jobs".into(),
        action: "post".into(),
        body: "<Spec/>".into(),
        reply: ExpectedReply::Task,
    })
}

thread_local! {
    /// Those of the test that this thread runs; its end removes them.
    static FOLDERS: RefCell<Vec<TempDir>> = const { RefCell::new(Vec::new()) };
}

/// A folder that is there until the test ends.
pub fn folder() -> PathBuf {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().to_owned();
    FOLDERS.with_borrow_mut(|folders| folders.push(folder));
    path
}

/// The configuration of a fresh store, to open it more than once.
#[expect(clippy::disallowed_methods, reason = "the tests' only switch")]
pub async fn temporary_config() -> Config {
    let directory = folder();
    let Ok(server) = std::env::var(SERVER) else {
        let url = format!("sqlite://{}", directory.join("emgate.db").display());
        return Config {
            url,
            encryption_key_file: None,
        };
    };
    sqlx::any::install_default_drivers();
    let name = format!("emgate_{}", uuid::Uuid::now_v7().simple());
    let admin = AnyPool::connect(&format!("{server}/postgres"))
        .await
        .expect("the server answers");
    let sql = AssertSqlSafe(format!("create database {name}"));
    sqlx::query(sql).execute(&admin).await.expect("a database");
    let key = directory.join("key");
    std::fs::write(&key, base64::engine::general_purpose::STANDARD.encode([7u8; 32])).expect("a key");
    Config {
        url: format!("{server}/{name}"),
        encryption_key_file: Some(key),
    }
}

/// Writes so many endpoints with so many due deliveries each, a statement for all of one kind.
pub async fn many_due(store: &Store, endpoints: i64, each: i64) {
    let id = |number: &str| {
        format!("substr('000000000000' || cast({number} as text), length(cast({number} as text)) + 1)")
    };
    let (of_endpoint, of_event) = (id("i"), id("j"));
    let target = TargetUrl::parse("https://receiver.example/", false).expect("a URL");
    let secret = SigningSecret::from_key(&[1; 32]);
    let mut tx = store.begin().await.expect("begun");
    for number in 0..endpoints {
        let id: EndpointId = format!("ep_019c55e5-9d00-7a1c-9f60-{number:012}")
            .parse()
            .expect("an id");
        tx.insert_endpoint(id, &Owner::default(), &target, &secret, &Settings::default())
            .await
            .expect("inserted");
    }
    let numbers = |name: &str, most: i64| {
        format!(
            "with recursive n({name}) as (select 0 union all select {name} + 1 from n where {name} < {most} - 1)"
        )
    };
    let all = endpoints * each;
    tx.run(&format!(
        "insert into events (id, type, at, body) {} \
         select 'evt_019c55e5-9d00-7a1c-9f60-' || {of_event}, 'upstream.unavailable', 1, '{{}}' from n",
        numbers("j", all)
    ))
    .await
    .expect("events");
    let now = store.clock().now().as_microsecond();
    tx.run(&format!(
        "insert into webhook_deliveries (id, lane, endpoint_id, event_id, event_type, place, state, due_at, since, created_at) \
         {} select 'dlv_019c55e5-9d00-7a1c-9f60-' || {of_event}, 'ep_019c55e5-9d00-7a1c-9f60-' || {of_endpoint}, \
             'ep_019c55e5-9d00-7a1c-9f60-' || {of_endpoint}, 'evt_019c55e5-9d00-7a1c-9f60-' || {of_event}, \
             'upstream.unavailable', j + 1, 'pending', {now}, {now}, {now} \
         from (select j, j % {endpoints} as i from n) as m",
        numbers("j", all)
    ))
    .await
    .expect("deliveries");
    tx.commit().await.expect("committed");
}
