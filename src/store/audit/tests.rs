//! Rows and what they tell, on both engines.

use std::time::Duration;

use super::chain::{Break, Walk};
use super::*;
use crate::clock::ManualClock;
use crate::domain::access::Tenancy;
use crate::domain::audit::{Actor, AuditAction, AuditTenant, Details};
use crate::domain::id::OperationId;
use crate::domain::operation::OperationState;
use crate::store::Store;
use crate::store::config::Retention;
use crate::store::cursor::Cursor;
use crate::store::retention::Pruner;
use crate::store::testing::{
    change, new_command, new_operation, pass, temporary, temporary_config, temporary_with,
};

fn entry(subject: &str) -> AuditEntry {
    AuditEntry {
        actor: Actor {
            subject: Some(subject.to_owned()),
            ..Actor::default()
        },
        action: AuditAction::EndpointCreate,
        target: Some("/api/v1/webhook-endpoints/ep_1".to_owned()),
        tenant: None,
        operation: None,
        request_id: Some("a request".to_owned()),
        ended: None,
        details: Details::from([("url", "https://hooks.example/ä\u{1}\"\\\u{7f}".into())]),
    }
}

async fn append(store: &Store, entries: impl IntoIterator<Item = AuditEntry>) {
    let mut tx = store.begin().await.expect("begun");
    entries.into_iter().for_each(|entry| tx.append_audit(entry));
    tx.commit().await.expect("committed");
}

async fn lines(store: &Store) -> Vec<String> {
    let rows = store.audit_lines(0, 10_000).await.expect("read");
    rows.into_iter().map(|(_, line)| line).collect()
}

/// Walks the store's chain.
async fn walk(store: &Store) -> Result<chain::Walked, Break> {
    let mut walk = Walk::of_store(store.audit_key());
    if let Some((_, line)) = store.audit_anchor_line().await.expect("read") {
        walk.line(&line)?;
    }
    for line in lines(store).await {
        walk.line(&line)?;
    }
    walk.end(Some(&store.audit_head().await.expect("read")))
}

#[tokio::test]
async fn a_row_is_there_only_with_the_transaction_that_it_tells() {
    let store = temporary().await;
    let mut tx = store.begin().await.expect("begun");
    tx.append_audit(entry("nobody"));
    drop(tx);
    let mut tx = store.begin().await.expect("begun");
    let mark = tx.mark().await.expect("marked");
    tx.append_audit(entry("undone"));
    tx.undo(mark).await.expect("undone");
    tx.append_audit(entry("somebody"));
    tx.commit().await.expect("committed");
    let found = lines(&store).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("somebody"), "{found:?}");
    assert_eq!(walk(&store).await.map(|walked| walked.rows), Ok(1));
}

#[tokio::test]
async fn the_end_of_an_operation_is_told_once_and_with_its_commit() {
    let store = temporary().await;
    let mut operation = new_operation(&store);
    let mut tx = store.begin().await.expect("begun");
    tx.insert_operation(&operation, &new_command())
        .await
        .expect("inserted");
    tx.commit().await.expect("committed");
    assert!(lines(&store).await.is_empty());
    operation.step(OperationState::Unknown, store.clock().now(), None);
    for _ in 0..2 {
        let mut tx = store.begin().await.expect("begun");
        tx.save_operation(&operation).await.expect("saved");
        tx.commit().await.expect("committed");
    }
    operation.finish(None, None, store.clock().now());
    let mut tx = store.begin().await.expect("begun");
    tx.save_operation(&operation).await.expect("saved");
    tx.commit().await.expect("committed");
    let outcomes: Vec<_> = lines(&store)
        .await
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|row| (row["operationId"].clone(), row["outcome"].clone()))
        .collect();
    let id = serde_json::json!(operation.id.to_string());
    assert_eq!(outcomes, [(id.clone(), "unknown".into()), (id, "none".into())]);
}

#[tokio::test]
async fn many_rows_of_one_transaction_are_one_chain() {
    let store = temporary().await;
    append(&store, (0..ROWS_A_STATEMENT + 3).map(|n| entry(&n.to_string()))).await;
    append(&store, [entry("one more")]).await;
    let walked = walk(&store).await.expect("unbroken");
    assert_eq!((walked.first, walked.last), (1, 504));
}

#[tokio::test]
async fn stores_that_write_at_once_write_one_chain() {
    let config = temporary_config().await;
    let clock = crate::clock::SystemClock::shared();
    let mut stores = vec![Store::open(&config, clock.clone()).await.expect("a store")];
    if stores[0].is_shared() {
        stores.push(Store::open(&config, clock).await.expect("a second replica"));
    }
    let writers = stores
        .iter()
        .flat_map(|store| [store.clone(), store.for_workers()]);
    let writing: Vec<_> = writers
        .enumerate()
        .map(async |(writer, store)| {
            for n in 0..25 {
                append(&store, [entry(&format!("{writer}.{n}")), entry("again")]).await;
            }
        })
        .collect();
    let writers = i64::try_from(writing.len()).expect("few");
    futures_util::future::join_all(writing).await;
    let walked = walk(&stores[0]).await.expect("unbroken");
    assert_eq!((walked.first, walked.last), (1, writers * 50));
}

#[tokio::test]
async fn a_break_is_named_with_its_place_and_what_is_wrong() {
    for (statement, expected) in [
        (
            "update audit set actor_subject = 'me' where sequence = 3",
            Break::Changed(3),
        ),
        (
            "update audit set at = at + 1 where sequence = 2",
            Break::Changed(2),
        ),
        (
            "update audit set details = '{}' where sequence = 5",
            Break::Changed(5),
        ),
        (
            "delete from audit where sequence = 3",
            Break::Gap { last: 2, found: 4 },
        ),
        (
            "delete from audit where sequence = 5",
            Break::End { last: 4, head: 5 },
        ),
        (
            "update audit set sequence = 9 where sequence = 5",
            Break::Changed(9),
        ),
    ] {
        let store = temporary().await;
        append(&store, (0..5).map(|n| entry(&n.to_string()))).await;
        change(&store, statement).await;
        assert_eq!(walk(&store).await, Err(expected), "{statement}");
    }
}

#[tokio::test]
async fn a_row_that_was_forged_with_its_hash_breaks_the_chain_behind_it() {
    let store = temporary().await;
    append(&store, (0..3).map(|n| entry(&n.to_string()))).await;
    let mut walk = Walk::default();
    let found = lines(&store).await;
    walk.line(&found[0]).expect("the first");
    let head = Link {
        sequence: 1,
        hash: store.audit_head().await.expect("read").hash,
    };
    let forged = linked(entry("forged"), &head, shown(store.clock().now())).expect("a row");
    let forged = forged.line().expect("a line");
    assert_eq!(walk.line(&forged), Err(Break::Unlinked(2)));
}

#[tokio::test]
async fn retention_leaves_an_anchor_by_which_the_rest_verifies() {
    let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().expect("a moment"));
    let store = temporary_with(clock.clone()).await;
    let retention = Retention {
        audit: Duration::from_hours(48),
        ..Retention::default()
    };
    let pruner = Pruner::new(store.clone(), &retention);
    append(&store, (0..505).map(|n| entry(&n.to_string()))).await;
    pass(&store, &clock, Duration::from_hours(24));
    append(&store, [entry("younger")]).await;
    pass(&store, &clock, Duration::from_hours(25));
    assert!(pruner.step().await.expect("a step"), "more is left");
    let walked = walk(&store).await.expect("unbroken");
    assert_eq!((walked.first, walked.last, walked.rows), (501, 506, 6));
    assert!(!pruner.step().await.expect("a step"));
    assert_eq!(walk(&store).await.expect("unbroken").first, 506);
    pass(&store, &clock, Duration::from_hours(48));
    pruner.step().await.expect("a step");
    let walked = walk(&store).await.expect("unbroken");
    assert_eq!((walked.rows, walked.last), (0, 506), "the anchor alone is left");
    append(&store, [entry("new")]).await;
    assert_eq!(walk(&store).await.expect("unbroken").first, 507);

    change(&store, "update audit_anchor set sequence = 505").await;
    assert_eq!(walk(&store).await, Err(Break::AnchorChanged(505)));
}

#[tokio::test]
async fn an_anchor_of_another_key_is_refused() {
    let (store, other) = (temporary().await, temporary().await);
    append(&store, [entry("one"), entry("two")]).await;
    let limit = store.clock().now() + Duration::from_hours(1);
    assert_eq!(store.prune_audit(limit, 1).await.expect("pruned"), 1);
    let (_, line) = store.audit_anchor_line().await.expect("read").expect("an anchor");
    assert_eq!(Walk::default().line(&line), Ok(()));
    let walked = Walk::of_store(other.audit_key()).line(&line);
    // On PostgreSQL the test stores have one key.
    let expected = if store.is_shared() {
        Ok(())
    } else {
        Err(Break::AnchorKey(1))
    };
    assert_eq!(walked, expected);
}

#[tokio::test]
async fn filters_find_the_rows_that_they_name() {
    let store = temporary().await;
    let operation = OperationId::new(store.clock().id());
    let of_plan = AuditEntry {
        tenant: Some(AuditTenant {
            id: Some("id-of-abc".into()),
            name: Some("ABC Company".into()),
        }),
        operation: Some(operation),
        action: AuditAction::PlanTest,
        ..entry("portal")
    };
    append(&store, [entry("portal"), of_plan, entry("other")]).await;
    let only = |tenants: &[&str]| Tenancy::Only(tenants.iter().map(|tenant| (*tenant).to_owned()).collect());
    let all = AuditFilter::default;
    for (filter, expected) in [
        (all(), &[1, 2, 3][..]),
        (
            AuditFilter {
                actor: Some("portal".into()),
                ..all()
            },
            &[1, 2],
        ),
        (
            AuditFilter {
                actions: vec![AuditAction::PlanTest, AuditAction::PlanUndo],
                ..all()
            },
            &[2],
        ),
        (
            AuditFilter {
                operation: Some(operation),
                ..all()
            },
            &[2],
        ),
        (
            AuditFilter {
                to: Some(jiff::Timestamp::UNIX_EPOCH),
                ..all()
            },
            &[],
        ),
        (
            AuditFilter {
                from: Some(jiff::Timestamp::UNIX_EPOCH),
                ..all()
            },
            &[1, 2, 3],
        ),
        (
            AuditFilter {
                tenancy: only(&["ABC Company", "x"]),
                ..all()
            },
            &[2],
        ),
        (
            AuditFilter {
                tenancy: only(&["id-of-abc"]),
                ..all()
            },
            &[2],
        ),
        (
            AuditFilter {
                tenancy: only(&["abc company"]),
                ..all()
            },
            &[],
        ),
        (
            AuditFilter {
                tenancy: only(&[]),
                ..all()
            },
            &[],
        ),
    ] {
        let found = store.audit(&filter, None, 10).await.expect("read");
        let found: Vec<i64> = found.iter().map(|row| row.sequence).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    for (cursor, expected) in [(Cursor::After(1), [2, 3]), (Cursor::Before(3), [1, 2])] {
        let found = store.audit(&all(), Some(cursor), 2).await.expect("read");
        let found: Vec<i64> = found.iter().map(|row| row.sequence).collect();
        assert_eq!(found, expected, "{cursor:?}");
    }
}

#[tokio::test]
async fn a_moment_in_a_row_has_six_digits_on_both_engines() {
    let at = "2026-01-01T00:00:00.123456789Z".parse().expect("a moment");
    let store = temporary_with(ManualClock::at(at)).await;
    append(&store, [entry("one")]).await;
    let found = lines(&store).await;
    assert!(
        found[0].contains("\"at\":\"2026-01-01T00:00:00.123456Z\""),
        "{found:?}"
    );
    assert!(walk(&store).await.is_ok());
}
