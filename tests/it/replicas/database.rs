//! The database goes away and comes back: callers get a problem, nothing acknowledged is lost, no process restarts.

use serde_json::json;

use super::world::{Shared, path_of};
use crate::support::PLAN;
use crate::support::postgres::Server;
use crate::support::receiver::WebhookReceiver;
use crate::waiting::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn replicas_recover_by_themselves_from_a_database_that_was_killed_or_frozen() {
    let mut server = tokio::task::spawn_blocking(Server::start)
        .await
        .expect("a server");
    let shared = Shared::on(server.database().await, &["--speed", "20"]);
    let (one, other) = (shared.replica().await, shared.replica().await);
    let mut receiver = WebhookReceiver::start().await;
    let (status, endpoint) = one
        .post("/api/v1/webhook-endpoints", &[], &json!({"url": receiver.url()}))
        .await;
    assert_eq!(status, 201, "{endpoint}");
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let (status, operation) = other.post(&path, &[], &json!({})).await;
    assert_eq!(status, 202, "{operation}");

    server.kill();
    for replica in [&one, &other] {
        let (status, pause, body) = replica.ask("/api/v1/operations").await;
        assert_eq!(
            (status, &body["code"]),
            (503, &json!("store-unavailable")),
            "{body}"
        );
        assert!(pause.is_some(), "it says when to come again");
        let (status, _, body) = replica.ask("/readyz").await;
        assert_eq!(status, 503, "{body}");
        let reason = |check: usize| &body["checks"][check]["reason"];
        assert_eq!(
            (reason(0), reason(1)),
            (
                &json!("it does not answer"),
                &json!("the store cannot be asked for it")
            ),
            "{body}"
        );
    }
    shared.failover_elsewhere().await;
    server.restart();
    for replica in [&one, &other] {
        replica.until_ready().await;
        let finished = replica.events("failover.session.finished", 2).await;
        assert_eq!(finished.len(), 2, "each once: {finished:#?}");
        let ended = replica.get(&path_of(&operation)).await;
        assert_eq!(ended["result"], "success", "{ended}");
    }
    receiver.next_of("failover.session.finished").await;
    receiver.next_of("failover.session.finished").await;

    server.freeze();
    let (status, pause, body) = one.ask("/api/v1/operations").await;
    assert_eq!(
        (status, &body["code"]),
        (503, &json!("store-unavailable")),
        "{body}"
    );
    assert!(pause.is_some(), "it says when to come again");
    shared.failover_elsewhere().await;
    server.thaw();
    assert_eq!(other.events("failover.session.finished", 3).await.len(), 3);
    receiver.next_of("failover.session.finished").await;

    // Read-only, as a standby is: no write is accepted, reads work.
    server
        .execute("postgres", "alter system set default_transaction_read_only = on")
        .await;
    server.execute("postgres", "select pg_reload_conf()").await;
    let red = one
        .until("/readyz", |body| body["checks"][0]["reason"] == "it is read-only")
        .await;
    assert_eq!(red["status"], "unavailable", "{red}");
    let endpoint = json!({"url": receiver.url()});
    let (status, refused) = one.post("/api/v1/webhook-endpoints", &[], &endpoint).await;
    assert_eq!(
        (status, &refused["code"]),
        (503, &json!("store-unavailable")),
        "{refused}"
    );
    let kept = one.get(&path_of(&operation)).await;
    assert_eq!(kept["result"], "success", "{kept}");
    server
        .execute("postgres", "alter system reset default_transaction_read_only")
        .await;
    server.execute("postgres", "select pg_reload_conf()").await;
    one.until_ready().await;
    other.until_ready().await;
    shared.failover_elsewhere().await;
    assert_eq!(other.events("failover.session.finished", 4).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_without_an_answer_is_given_up_before_the_send() {
    use sqlx::Connection as _;
    let server = tokio::task::spawn_blocking(Server::start)
        .await
        .expect("a server");
    let database = server.database().await;
    let mut holder = sqlx::PgConnection::connect(&database.url)
        .await
        .expect("connected");
    let mut observer = sqlx::PgConnection::connect(&database.url)
        .await
        .expect("connected");
    let shared = Shared::on(database, &["--speed", "20"]);
    let replica = shared.replica().await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    // Blocked as it reads the key, and in its transaction as it writes the key.
    for (mode, key) in [("access exclusive", "one"), ("share", "two")] {
        let lock = format!("begin; lock table idempotency_keys in {mode} mode");
        sqlx::raw_sql(sqlx::AssertSqlSafe(lock))
            .execute(&mut holder)
            .await
            .expect("the lock");
        let headers = [("idempotency-key", key)];
        let body = json!({});
        let ask = replica.post(&path, &headers, &body);
        let freeze = async {
            wait_for_waiter(&mut observer).await;
            server.freeze();
        };
        let ((status, answer), ()) = tokio::join!(ask, freeze);
        assert_eq!(
            (status, &answer["code"]),
            (503, &json!("store-unavailable")),
            "{mode}: {answer}"
        );
        server.thaw();
        sqlx::raw_sql("rollback")
            .execute(&mut holder)
            .await
            .expect("let go");
        replica.until_ready().await;
        let operations = replica
            .until("/api/v1/operations", |list| list["items"].is_array())
            .await;
        assert_eq!(
            operations["items"].as_array().map(Vec::len),
            Some(0),
            "{mode}: {operations}"
        );
    }
    let (status, taken) = replica
        .post(&path, &[("idempotency-key", "two")], &json!({}))
        .await;
    assert_eq!(status, 202, "{taken}");
    let counted = crate::support::world::stats(&shared.simulator).await;
    let posts = &counted["requests"][format!("POST /api/cloud/cloudFailoverPlans/{PLAN}")];
    assert_eq!(posts, 1, "{counted}");
}

/// Waits until a statement about the keys waits for the lock.
async fn wait_for_waiter(observer: &mut sqlx::PgConnection) {
    let waiting = async || -> i64 {
        let waiting = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%idempotency_keys%'",
        );
        waiting.fetch_one(&mut *observer).await.expect("a count")
    };
    eventually("a statement that waits", waiting, |waiting| *waiting > 0).await;
}

/// Notes the limits under which tables are made and changed.
const NOTE_LIMITS: &str = "create table limits (statement text, lock text);
    create function note_limits() returns event_trigger language plpgsql as $$ begin
        insert into limits values (current_setting('statement_timeout'), current_setting('lock_timeout'));
    end $$;
    create event trigger note_limits on ddl_command_end execute function note_limits();";

#[tokio::test]
async fn migrations_may_take_longer_than_other_statements() {
    use sqlx::Connection as _;
    let database = crate::support::postgres::database().await;
    let mut connection = sqlx::PgConnection::connect(&database.url)
        .await
        .expect("connected");
    sqlx::raw_sql(NOTE_LIMITS)
        .execute(&mut connection)
        .await
        .expect("noted from now on");
    let config = emgate::store::Config {
        url: database.url.clone(),
        encryption_key_file: Some(database.key_file.clone()),
    };
    let store = emgate::store::Store::open(&config, emgate::clock::SystemClock::shared())
        .await
        .expect("a store");
    let limits: Vec<(String, String)> = sqlx::query_as("select distinct statement, lock from limits")
        .fetch_all(&mut connection)
        .await
        .expect("read");
    assert_eq!(limits, [("30min".to_owned(), "30min".to_owned())]);
    store.close().await;
}
