//! How the engines answer the statements of a turn: by indexes, so that a turn costs no more however much was delivered
//! before it.

use sqlx::AssertSqlSafe;

use super::{choose, claims, fan_out, lanes, outcomes, standing, sweep};
use crate::store::Tx;
use crate::store::engine::Engine;
use crate::store::testing::{many_due, temporary};

/// Indexes that hold nothing which has ended: to read one whole is no more than to read what waits.
const WAITING: &[&str] = &[
    "webhook_deliveries_sending",
    "webhook_deliveries_pending",
    "webhook_deliveries_due",
];

fn statements(engine: Engine) -> Vec<(&'static str, String)> {
    vec![
        ("fan-out's endpoints", fan_out::addressed_sql(engine)),
        ("fan-out", fan_out::insert_sql(engine)),
        ("urgent ones", choose::urgent_sql(engine)),
        ("due ones", choose::due_sql(engine)),
        ("probes", choose::probe_sql(engine)),
        ("claims", claims::begin_sql(engine)),
        ("those that are sent", outcomes::sending_sql(engine)),
        ("outcomes", outcomes::settle_sql(engine)),
        ("the next of sessions", outcomes::unblock_sql(engine)),
        ("those that may be passed", sweep::unblock_failing_sql(engine)),
        ("the health of endpoints", standing::save_sql(engine)),
        (
            "what is held",
            "update webhook_deliveries set state = 'held', due_at = null where lane = $2 and state = 'pending' and since > 0".into(),
        ),
        (
            "what waits",
            "select count(*), min(due_at) from webhook_deliveries where state = 'pending' and since > 0".into(),
        ),
        (
            "what is given up",
            "select id from webhook_deliveries where lane = $2 and state = 'pending' and since > 0 and since <= $3".into(),
        ),
    ]
}

/// A statement with values in place of its parameters, as both engines explain it.
fn explained(statement: &str) -> String {
    let literals = statement.replace("$1", "'[]'");
    (2..=4).fold(literals, |text, number| {
        text.replace(&format!("${number}"), "'0'")
    })
}

/// The steps by which an engine answers a statement.
async fn plan(tx: &mut Tx, engine: Engine, what: &str, statement: &str) -> Vec<String> {
    match engine {
        Engine::Sqlite => {
            let rows: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(AssertSqlSafe(format!("explain query plan {statement}")))
                    .fetch_all(tx.connection())
                    .await
                    .expect(what);
            rows.into_iter().map(|row| row.3).collect()
        }
        Engine::Postgres => {
            let rows: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(format!("explain {statement}")))
                .fetch_all(tx.connection())
                .await
                .expect(what);
            rows.into_iter().map(|row| row.0).collect()
        }
    }
}

/// What waits is as much as there is, and no statistics say so: a store that was down for a while.
#[tokio::test]
async fn a_turn_reads_no_more_of_what_waits_than_it_claims() {
    let store = temporary().await;
    let engine = store.0.engine;
    many_due(&store, 1, 30_000).await;
    let mut tx = store.begin().await.expect("begun");
    // An index that is read whole is named as well: what counts is by what it is entered.
    let by_id = ["Index Cond: (id = r.delivery)", "_deliveries_1 (id=?)"];
    let first_due = ["webhook_deliveries_due", "webhook_deliveries_due"];
    for (what, statement, index) in [
        ("claims", claims::begin_sql(engine), by_id),
        ("those that are sent", outcomes::sending_sql(engine), by_id),
        ("outcomes", outcomes::settle_sql(engine), by_id),
        ("lanes", lanes::LANES.into(), first_due),
    ] {
        let plan = plan(&mut tx, engine, what, &explained(&statement)).await;
        assert!(
            plan.iter()
                .any(|step| index.iter().any(|index| step.contains(index))),
            "{what}: {plan:#?}"
        );
    }
}

#[tokio::test]
async fn no_statement_of_a_turn_scans_all_deliveries() {
    let store = temporary().await;
    let engine = store.0.engine;
    let mut tx = store.begin().await.expect("begun");
    for (what, statement) in statements(engine) {
        let plan = plan(&mut tx, engine, what, &explained(&statement)).await;
        let scans = |step: &&String| match engine {
            Engine::Sqlite => {
                let table = step.strip_prefix("SCAN ").unwrap_or_default();
                let table = table.split(' ').next().unwrap_or_default();
                [
                    "webhook_deliveries",
                    "webhook_attempts",
                    "events",
                    "d",
                    "b",
                    "e",
                    "f",
                    "s",
                ]
                .contains(&table)
                    && !WAITING.iter().any(|index| step.contains(index))
            }
            Engine::Postgres => {
                step.contains("Seq Scan on webhook_deliveries")
                    || step.contains("Seq Scan on webhook_attempts")
                    || step.contains("Seq Scan on events")
            }
        };
        assert!(!plan.iter().any(|step| scans(&step)), "{what}: {plan:#?}");
    }
}
