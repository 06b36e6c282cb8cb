//! Copies of stores: from a file to the engine that the tests run on, and back.

use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::AnyPool;

use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::access::Tenancy;
use crate::domain::event::{EventType, NewEvent, Routing};
use crate::domain::id::EventId;
use crate::store::Store;
use crate::store::testing::{folder, many_due, new_command, new_operation, temporary_config};
use crate::store::webhooks::deliveries::DeliveryFilter;

const SECRET: &str = "text with a 'quote', a \"quote\", a \\ and 日本語 \u{1f4be}";

/// A store in a file.
fn a_file() -> Config {
    Config {
        url: format!("sqlite://{}", folder().join("old.db").display()),
        encryption_key_file: None,
    }
}

/// A store in a file with something of most things, and an empty one to copy it to.
async fn two() -> (Config, Config) {
    let old = a_file();
    let store = Store::open(&old, SystemClock::shared()).await.expect("opened");
    many_due(&store, 3, 500).await;
    let mut tx = store.begin().await.expect("begun");
    tx.insert_operation(&new_operation(&store), &new_command())
        .await
        .expect("inserted");
    tx.append_event(&event(SECRET)).await.expect("appended");
    tx.commit().await.expect("committed");
    store.close().await;
    let mut new = temporary_config().await;
    new.encryption_key_file = None;
    (old, new)
}

fn event(text: &str) -> NewEvent {
    NewEvent {
        id: EventId::new(SystemClock.id()),
        kind: EventType::UpstreamUnavailable,
        at: SystemClock.now(),
        body: serde_json::json!({ "text": text }).to_string(),
        routing: Routing::default(),
    }
}

/// The new store with the key that the copy named.
fn with_key(new: &Config, key: PathBuf) -> Config {
    Config {
        url: new.url.clone(),
        encryption_key_file: Some(key),
    }
}

async fn copied(old: &Config, new: &Config) -> Result<PathBuf, Error> {
    copy(old, new, SystemClock::shared(), |_| {}).await
}

/// A copy that panics when it has come so far.
async fn interrupted(old: &Config, new: &Config, at: impl Fn(&Progress) -> bool + 'static) {
    let (old, new) = (old.clone(), new.clone());
    let tell = move |progress| assert!(!at(&progress), "interrupted");
    let here = tokio::task::LocalSet::new();
    let copying = here.run_until(async move {
        tokio::task::spawn_local(async move { copy(&old, &new, SystemClock::shared(), tell).await }).await
    });
    let ended = copying.await;
    assert!(ended.is_err(), "it came to its end: {ended:?}");
}

fn is_within(progress: &Progress, name: &str) -> bool {
    matches!(progress, Progress::Copied { table, .. } if table == name)
}

async fn change(config: &Config, sql: &'static str) {
    let pool = AnyPool::connect(&config.url).await.expect("connected");
    sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.expect(sql);
    pool.close().await;
}

#[tokio::test]
async fn a_copy_is_used_like_the_store_that_it_was_made_of() {
    let (old, new) = two().await;
    let key = copied(&old, &new).await.expect("copied");
    let new = with_key(&new, key.clone());
    let (filter, limit) = (DeliveryFilter::default(), 2000);
    let mut read = Vec::new();
    for config in [&with_key(&old, key), &new] {
        let store = Store::open(config, SystemClock::shared()).await.expect("opened");
        let deliveries = store.deliveries(&Tenancy::All, &filter, None, limit).await;
        let deliveries = deliveries.expect("read");
        let mut tx = store.begin().await.expect("begun");
        tx.append_event(&event("later")).await.expect("appended");
        tx.commit().await.expect("committed");
        let row = sqlx::query("select max(seq) as last, count(*) as n from events")
            .fetch_one(store.reader())
            .await
            .expect("a row");
        read.push((
            format!("{deliveries:?}"),
            row.int("last").expect("a number"),
            row.int("n").expect("a number"),
        ));
        store.close().await;
    }
    assert_eq!(read[0], read[1]);
    // And back into a file, with what was written since.
    let back = a_file();
    let tables = Arc::new(Mutex::new(Vec::new()));
    let heard = tables.clone();
    let tell = move |progress| {
        if let Progress::Compared {
            table,
            rows,
            done: true,
        } = progress
        {
            heard.lock().push((table, rows));
        }
    };
    copy(&new, &back, SystemClock::shared(), tell)
        .await
        .expect("copied back");
    let tables = tables.lock();
    assert!(tables.contains(&("events".to_owned(), 1502)), "{tables:?}");
}

#[tokio::test]
async fn a_copy_that_was_interrupted_goes_on_after_its_last_commit() {
    let (old, new) = two().await;
    interrupted(&old, &new, |progress| is_within(progress, "webhook_deliveries")).await;
    let key = PathBuf::from(old.url.trim_start_matches("sqlite://").to_owned() + ".key");
    let half = Store::open(&with_key(&new, key), SystemClock::shared()).await;
    let refused = half.err().map(|error| crate::telemetry::chain(&error));
    assert!(
        refused
            .as_ref()
            .is_some_and(|text| text.contains("an unfinished copy")),
        "{refused:?}"
    );
    let first = Arc::new(Mutex::new(None));
    let told = first.clone();
    let tell = move |progress| {
        told.lock().get_or_insert(progress);
    };
    copy(&old, &new, SystemClock::shared(), tell)
        .await
        .expect("finished");
    let first = first.lock().clone();
    let table = "webhook_deliveries".to_owned();
    assert_eq!(first, Some(Progress::Resumed { table, rows: 1000 }));
}

#[tokio::test]
async fn a_copy_that_was_interrupted_before_its_first_batch_goes_on() {
    let (old, new) = two().await;
    let [source, target] = [(Side::Old, &old), (Side::New, &new)].map(|(side, config)| {
        let place = place(side, config).expect("a place");
        async move { Opened::open(side, &place).await.expect("opened") }
    });
    let (source, target) = (source.await, target.await);
    let tables = tables(&source, &target).await.expect("the same tables");
    target.begin(&tables).await.expect("begun");
    for opened in [source, target] {
        opened.pool.close().await;
    }
    copied(&old, &new).await.expect("finished");
}

#[tokio::test]
async fn a_copy_that_came_to_its_end_says_so_when_it_is_run_again() {
    let (old, new) = two().await;
    let key = copied(&old, &new).await.expect("copied");
    let last = Arc::new(Mutex::new(None));
    let told = last.clone();
    let tell = move |progress| *told.lock() = Some(progress);
    let again = copy(&old, &new, SystemClock::shared(), tell).await;
    assert_eq!(again.expect("complete"), key);
    assert_eq!(*last.lock(), Some(Progress::Complete));
    change(&old, "delete from operation_history").await;
    let again = copied(&old, &new).await;
    assert!(matches!(again, Err(Error::NotEmpty(_))), "{again:?}");
}

#[tokio::test]
async fn a_row_that_is_not_what_it_was_is_found() {
    for (fault, what) in [
        ("update webhook_endpoints set max_concurrency = 31", "another"),
        ("delete from operation_history", "missing"),
    ] {
        let (old, new) = two().await;
        interrupted(&old, &new, |progress| is_within(progress, "webhook_deliveries")).await;
        change(&new, fault).await;
        let ended = copied(&old, &new).await;
        match ended {
            Err(Error::Differs { how, .. }) => assert_eq!(how, what, "{fault}"),
            other => panic!("{fault}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_store_that_holds_something_is_not_copied_into() {
    let (old, new) = two().await;
    let key = copied(&old, &new).await.expect("copied");
    let new = with_key(&new, key);
    let store = Store::open(&new, SystemClock::shared()).await.expect("opened");
    let mut tx = store.begin().await.expect("begun");
    tx.append_event(&event("of its own")).await.expect("appended");
    tx.commit().await.expect("committed");
    store.close().await;
    drop(store);
    let again = copied(&old, &new).await;
    assert!(matches!(again, Err(Error::NotEmpty(_))), "{again:?}");
    let itself = copied(&old, &old).await;
    assert!(matches!(itself, Err(Error::Same)), "{itself:?}");
}

#[tokio::test]
async fn a_key_that_is_not_the_old_stores_ends_before_anything_is_written() {
    let (old, new) = two().await;
    let other = folder().join("key");
    std::fs::write(&other, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").expect("a key");
    let refused = copied(&old, &with_key(&new, other)).await;
    let source = match refused {
        Err(Error::Store { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    assert!(matches!(source, StoreError::WrongKey { .. }), "{source:?}");
    copied(&old, &new).await.expect("nothing was begun");
}
