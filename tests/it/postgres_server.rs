//! The PostgreSQL server that tests start: it keeps what was committed, whatever happens to it in between.

use sqlx::Connection as _;

use crate::support::postgres::{Server, database};

async fn count(url: &str) -> Result<i64, sqlx::Error> {
    let mut connection = sqlx::PgConnection::connect(url).await?;
    sqlx::query_scalar("select count(*) from kept")
        .fetch_one(&mut connection)
        .await
}

#[tokio::test]
async fn every_test_gets_its_own_database() {
    let (one, other) = (database().await, database().await);
    assert_ne!(one.url, other.url);
    assert!(one.key_file.exists());
}

#[tokio::test]
async fn a_dedicated_server_keeps_its_data_when_killed_stopped_or_frozen() {
    let mut server = tokio::task::spawn_blocking(Server::start)
        .await
        .expect("a server");
    let url = server.database().await.url;
    let mut connection = sqlx::PgConnection::connect(&url).await.expect("connected");
    sqlx::raw_sql("create table kept (n bigint); insert into kept values (1)")
        .execute(&mut connection)
        .await
        .expect("written");
    server.kill();
    assert!(count(&url).await.is_err(), "nothing answers");
    server.restart();
    assert_eq!(count(&url).await.expect("read"), 1);
    server.crash();
    assert!(count(&url).await.is_err(), "nothing answers");
    server.restart();
    assert_eq!(count(&url).await.expect("read"), 1);
    server.stop();
    server.restart();
    server.freeze();
    let limit = std::time::Duration::from_millis(300);
    assert!(tokio::time::timeout(limit, count(&url)).await.is_err(), "frozen");
    server.thaw();
    assert_eq!(count(&url).await.expect("read"), 1);
}
