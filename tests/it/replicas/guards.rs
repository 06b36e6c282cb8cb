//! The guards between replicas, each by itself: which counts as alive, what a living one prevents, which counts as dead.
//! Beats and locks are made by the test here, so that nothing depends on how fast a machine is.

use std::time::Duration;

use emgate::store::Store;
use emgate::store::replicas::{Heartbeat, LeaseName};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection};

use super::world::{Replica, Shared, connection_to, store_on};
use crate::support::postgres::{Database, database};
use crate::support::receiver::WebhookReceiver;
use crate::waiting::{eventually, slowly};

/// What the replicas' locks are made of.
const LOCK: &str = "pg_try_advisory_lock(hashtextextended($1, 7310868735))";

async fn run(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .expect("executed");
}

/// Makes a replica, or makes it have beaten so many seconds ago.
async fn beaten(connection: &mut PgConnection, id: &str, seconds: u32) {
    let at = format!("(extract(epoch from clock_timestamp()) * 1000000)::bigint - {seconds} * 1000000");
    run(
        connection,
        format!(
            "insert into replicas (id, started_at, beat_at) values ('{id}', 1, {at}) \
             on conflict (id) do update set beat_at = excluded.beat_at"
        ),
    )
    .await;
}

/// Whether this lock is free, or one's own already.
async fn lock(connection: &mut PgConnection, id: &str) -> bool {
    sqlx::query_scalar(AssertSqlSafe(format!("select {LOCK}")))
        .bind(id)
        .fetch_one(connection)
        .await
        .expect("asked")
}

async fn replicas(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar("select id from replicas order by id")
        .fetch_all(connection)
        .await
        .expect("read")
}

/// Waits until the replica counts as dead.
async fn until_buried(connection: &mut PgConnection, id: &str) {
    let living = async || replicas(&mut *connection).await;
    eventually("it is taken for dead", living, |living| {
        !living.iter().any(|one| one == id)
    })
    .await;
}

async fn stage() -> (Database, Store, PgConnection) {
    let database = database().await;
    let store = store_on(&database).await;
    let connection = connection_to(&database).await;
    (database, store, connection)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_a_beat_for_six_seconds_gets_no_lease() {
    let (_database, store, mut connection) = stage().await;
    beaten(&mut connection, store.replica(), 7).await;
    let mut tx = store.begin().await.expect("begun");
    assert!(!tx.is_alive().await.expect("asked"));
    drop(tx);
    assert_eq!(store.lease(LeaseName::Watch).await.expect("asked"), None);
    beaten(&mut connection, store.replica(), 1).await;
    assert!(store.lease(LeaseName::Watch).await.expect("asked").is_some());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_alive_or_held_stays_so_until_the_transaction_ends() {
    let (_database, store, mut connection) = stage().await;
    let lease = store.lease(LeaseName::Watch).await.expect("asked").expect("free");
    let mut tx = store.begin().await.expect("begun");
    assert!(tx.is_alive().await.expect("asked"));
    assert!(tx.holds(&lease).await.expect("asked"));
    for table in ["replicas", "leases"] {
        let free: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
            "select count(*) from (select 1 from {table} for update skip locked) as free"
        )))
        .fetch_one(&mut connection)
        .await
        .expect("asked");
        assert_eq!(free, 0, "rows of {table} that another may take");
    }
    drop(tx);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_replica_is_dead_after_eight_seconds_or_three_without_its_lock() {
    let (database, store, mut connection) = stage().await;
    for (id, seconds, locks) in [("gone", 4, false), ("silent", 9, true), ("slow", 4, true)] {
        beaten(&mut connection, id, seconds).await;
        assert!(!locks || lock(&mut connection, id).await);
    }
    // A replica that is claiming holds its row: it is skipped, and delays the removal of no other.
    let mut claiming = connection_to(&database).await;
    beaten(&mut claiming, "claiming", 9).await;
    run(
        &mut claiming,
        "begin; select id from replicas where id = 'claiming' for key share".to_owned(),
    )
    .await;
    let heart = tokio::spawn(Heartbeat::new(store.clone(), ()).run());
    let slow_and_steady = async {
        let mut connection = connection_to(&database).await;
        let beat = "update replicas set beat_at = (extract(epoch from clock_timestamp()) * 1000000)::bigint - 3000000 \
             where id = 'slow'";
        loop {
            run(&mut connection, beat.to_owned()).await;
            slowly(Duration::from_millis(100)).await;
        }
    };
    let buried = async {
        until_buried(&mut connection, "gone").await;
        until_buried(&mut connection, "silent").await;
        let left = replicas(&mut connection).await;
        for id in ["slow", "claiming", store.replica()] {
            assert!(left.iter().any(|one| one == id), "{id} is not among {left:?}");
        }
        run(&mut claiming, "rollback".to_owned()).await;
        until_buried(&mut connection, "claiming").await;
        assert!(
            !lock(&mut connection, store.replica()).await,
            "its own lock, by which it is known to live"
        );
    };
    tokio::select! {
        () = slow_and_steady => {}
        () = buried => {}
    }
    heart.abort();
    store.close().await;
}

/// How many turns its dispatcher has done.
async fn turns(replica: &Replica) -> f64 {
    let text = replica.metrics().await;
    text.lines()
        .filter(|line| line.starts_with("emgate_worker_turns_total{") && line.contains("webhooks"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_cannot_beat_sends_nothing_until_it_can() {
    let shared = Shared::start(&[]).await;
    let replica = shared.replica().await;
    let receiver = WebhookReceiver::start().await;
    let (status, endpoint) = replica
        .post("/api/v1/webhook-endpoints", &[], &json!({"url": receiver.url()}))
        .await;
    assert_eq!(status, 201, "{endpoint}");
    let mut connection = shared.connection().await;
    run(
        &mut connection,
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no beat'; end $$; \
         create trigger refuse before update on replicas for each row execute function refuse()"
            .to_owned(),
    )
    .await;
    let silent =
        "select extract(epoch from clock_timestamp()) * 1000000 - max(beat_at) > 6500000 from replicas";
    let is_silent = async || -> bool {
        let silent = sqlx::query_scalar(silent).fetch_one(&mut connection);
        silent.await.expect("asked")
    };
    eventually("it does not beat", is_silent, |silent| *silent).await;
    let id = endpoint["id"].as_str().expect("an id");
    let (status, delivery) = replica
        .post(&format!("/api/v1/webhook-endpoints/{id}/test"), &[], &json!({}))
        .await;
    assert_eq!(status, 202, "{delivery}");
    let before = turns(&replica).await;
    eventually(
        "two turns",
        async || turns(&replica).await,
        |turns| *turns >= before + 2.0,
    )
    .await;
    let list = "/api/v1/webhook-deliveries";
    let waiting = replica.get(list).await;
    assert_eq!(waiting["items"][0]["state"], "pending", "{waiting:#}");
    run(&mut connection, "drop trigger refuse on replicas".to_owned()).await;
    replica
        .until(list, |list| list["items"][0]["state"] == "delivered")
        .await;
}
