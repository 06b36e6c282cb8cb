//! The database goes away and comes back: callers are told, nothing that was acknowledged is lost, nobody restarts.

use serde_json::json;

use super::world::{Shared, path_of};
use crate::support::PLAN;
use crate::support::postgres::Server;
use crate::support::receiver::WebhookReceiver;

#[tokio::test(flavor = "multi_thread")]
async fn replicas_go_on_by_themselves_after_the_database_was_killed_and_after_it_was_frozen() {
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
