//! `emgate store copy` as a process: a file's store on a server, with a kill in the middle, and a gateway that goes on there.

use std::collections::BTreeSet;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use emgate::clock::SystemClock;
use emgate::store::{Config, Store};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

use crate::support::SECRET;
use crate::support::postgres::database;
use crate::support::process::command;
use crate::waiting::{PATIENCE, eventually, output_within};

/// How many events the old store has; `make store-copy` asks for more.
fn rows() -> u64 {
    let asked = std::env::var("STORE_COPY_ROWS").ok();
    asked.map_or(20_000, |count| count.parse().expect("a number"))
}

/// A store in a file with so many events, and the variables of its gateway.
struct Old {
    folder: TempDir,
    url: String,
}

impl Old {
    async fn with_events(count: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("emgate.db").display());
        let config = Config {
            url: url.clone(),
            encryption_key_file: None,
        };
        let store = Store::open(&config, SystemClock::shared()).await.expect("opened");
        store.close().await;
        let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("connected");
        sqlx::query(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < $1) \
             insert into events (id, type, at, body) \
             select 'evt_019c55e5-9d00-7a1c-9f60-' || substr('000000000000' || i, -12), 'webhook.test', i, \
                 '{\"type\":\"webhook.test\",\"data\":{\"message\":\"' || i || ' 日本語\"}}' from n",
        )
        .bind(i64::try_from(count).expect("a count"))
        .execute(&mut connection)
        .await
        .expect("filled");
        connection.close().await.expect("closed");
        Self { folder, url }
    }

    fn copy_to(&self, new: &str) -> std::process::Command {
        let mut copy = command(&[], &["store", "copy", "--to", new]);
        copy.current_dir(self.folder.path());
        let environment = [
            ("EMGATE_UPSTREAM__URL", "https://em.example:9398/api"),
            ("EMGATE_UPSTREAM__ACCOUNTS__0__NAME", "operators"),
            ("EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME", "LAB\\svc-emgate"),
            ("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "pass wörd"),
            ("EMGATE_AUTH__KEYS__0__KIND", "hs256"),
            ("EMGATE_AUTH__KEYS__0__SECRET", SECRET),
            ("EMGATE_STORE__URL", self.url.as_str()),
        ];
        copy.envs(environment)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        copy
    }
}

/// Makes the new store's tables, with one for events that takes no row of that number while the connection holds a lock.
async fn stopping_at(config: &Config, number: u64) -> PgConnection {
    let store = Store::open(config, SystemClock::shared()).await.expect("opened");
    store.close().await;
    let mut server = PgConnection::connect(&config.url).await.expect("connected");
    let sql = format!(
        "create function wait_in_the_middle() returns trigger language plpgsql as \
             $$ begin perform pg_advisory_xact_lock(1); return new; end $$; \
         create trigger middle before insert on events for each row \
             when (new.seq = {number}) execute function wait_in_the_middle(); \
         select pg_advisory_lock(1)"
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut server)
        .await
        .expect("prepared");
    server
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A thousand rows are copied and compared in well under half a second, also beside other work.
fn patience() -> Duration {
    PATIENCE + Duration::from_millis(rows() / 2)
}

fn finished(copy: &mut std::process::Command) -> Output {
    output_within(copy.spawn().expect("started"), patience())
}

#[tokio::test]
async fn a_copy_that_is_killed_in_the_middle_ends_with_every_row_the_same() {
    let count = rows();
    let (old, new) = (Old::with_events(count).await, database().await);
    let key = old.folder.path().join("emgate.db.key");
    let config = Config {
        url: new.url.clone(),
        encryption_key_file: Some(key.clone()),
    };
    let half = count / 2000 * 1000;
    let mut server = stopping_at(&config, half + 1).await;
    let begun = Instant::now();
    let mut first = old.copy_to(&new.url).spawn().expect("started");
    let state = "select (select count(*) from pg_locks where locktype = 'advisory' and not granted \
                     and database = (select oid from pg_database where datname = current_database())) = 1, \
                 coalesce((select max(seq) from events), 0)";
    let mut seen = (false, 0i64);
    while !seen.0 {
        let now = async || sqlx::query_as(state).fetch_one(&mut server).await.expect("a row");
        seen = eventually("the copy goes on to the middle", now, |now| *now != seen).await;
    }
    println!("half of {count} rows copied: {:.1?}", begun.elapsed());
    first.kill().expect("killed");
    first.wait().expect("waited for");
    for sql in [
        "select pg_advisory_unlock_all()",
        "drop trigger middle on events",
        "drop function wait_in_the_middle",
    ] {
        sqlx::raw_sql(sql).execute(&mut server).await.expect(sql);
    }

    let begun = Instant::now();
    let second = finished(&mut old.copy_to(&new.url));
    println!(
        "the second half of {count} rows copied, and all compared: {:.1?}",
        begun.elapsed()
    );
    let told = text(&second.stderr);
    assert!(second.status.success(), "{told}");
    let mut lines = told.lines().filter(|line| !line.ends_with("so far"));
    let resumed = format!("goes on in events, after {half} rows");
    assert_eq!(lines.next(), Some(resumed.as_str()), "{told}");
    let lines: Vec<&str> = lines.collect();
    let tables: BTreeSet<&str> = lines.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(lines.len(), tables.len(), "a line for each table: {told}");
    let events = format!("events: {count} rows copied and the same");
    assert!(lines.contains(&events.as_str()), "{told}");
    let said = text(&second.stdout);
    assert!(
        said.contains(&key.canonicalize().expect("a key").display().to_string()),
        "{said}"
    );

    let again = finished(&mut old.copy_to(&new.url));
    let told = text(&again.stderr);
    assert!(again.status.success(), "{told}");
    assert!(told.contains("the copy was complete"), "{told}");
    assert_eq!(text(&again.stdout), said);

    let store = Store::open(&config, SystemClock::shared()).await.expect("opened");
    let third = finished(&mut old.copy_to(&new.url));
    assert_eq!(third.status.code(), Some(2), "{}", text(&third.stderr));
    assert!(
        text(&third.stderr).contains("in use by 1 running replica\n"),
        "{}",
        text(&third.stderr)
    );
    store.close().await;
    let fourth = finished(&mut old.copy_to(&new.url));
    assert_eq!(fourth.status.code(), Some(2), "{}", text(&fourth.stderr));
    assert!(
        text(&fourth.stderr).contains("not empty"),
        "{}",
        text(&fourth.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_opened_begins_nothing() {
    let old = Old::with_events(1).await;
    let nowhere = format!("sqlite://{}", old.folder.path().join("none/new.db").display());
    let refused = finished(&mut old.copy_to(&nowhere));
    let told = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains("the new store cannot be opened"), "{told}");
}
