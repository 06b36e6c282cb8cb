//! The tables and how they came to be: numbered steps, each applied once, in one text for both engines.
//!
//! What was released does not change; the program of the version before can live with each step.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, Connection as _, SqlSafeStr as _};

use super::engine::Engine;
use super::place::Place;
use super::{Config, Error};

/// Number, name and statements of one step.
type Step = (i64, &'static str, &'static str);

pub(super) const MIGRATIONS: &[Step] = &[
    (1, "core", include_str!("migrations/0001_core.sql")),
    (2, "webhooks", include_str!("migrations/0002_webhooks.sql")),
    (3, "idempotency", include_str!("migrations/0003_idempotency.sql")),
    (4, "logons", include_str!("migrations/0004_logons.sql")),
    (5, "replicas", include_str!("migrations/0005_replicas.sql")),
    (6, "claims", include_str!("migrations/0006_claims.sql")),
    (7, "greetings", include_str!("migrations/0007_greetings.sql")),
    (8, "submitters", include_str!("migrations/0008_submitters.sql")),
    (9, "upstreams", include_str!("migrations/0009_upstreams.sql")),
    (10, "commands", include_str!("migrations/0010_commands.sql")),
    (11, "tenants", include_str!("migrations/0011_tenants.sql")),
    (12, "approvals", include_str!("migrations/0012_approvals.sql")),
    (13, "audit", include_str!("migrations/0013_audit.sql")),
    (14, "sets", include_str!("migrations/0014_sets.sql")),
    (15, "endpoints", include_str!("migrations/0015_endpoints.sql")),
    (16, "formats", include_str!("migrations/0016_formats.sql")),
    (17, "streams", include_str!("migrations/0017_streams.sql")),
    (18, "attempts", include_str!("migrations/0018_attempts.sql")),
    (19, "waiting", include_str!("migrations/0019_waiting.sql")),
    (20, "notes", include_str!("migrations/0020_notes.sql")),
    (21, "evidence", include_str!("migrations/0021_evidence.sql")),
    (22, "entries", include_str!("migrations/0022_entries.sql")),
    (23, "uniqueness", include_str!("migrations/0023_uniqueness.sql")),
    (24, "console", include_str!("migrations/0024_console.sql")),
    (25, "schedules", include_str!("migrations/0025_schedules.sql")),
    (26, "findings", include_str!("migrations/0026_findings.sql")),
    (27, "traces", include_str!("migrations/0027_traces.sql")),
    (28, "removed", include_str!("migrations/0028_removed.sql")),
    (29, "versions", include_str!("migrations/0029_versions.sql")),
];

/// The store's tables, by the steps that make them: those first that others refer to.
pub(super) fn tables() -> Vec<&'static str> {
    let lines = MIGRATIONS.iter().flat_map(|(_, _, sql)| sql.lines());
    let made = lines.filter_map(|line| line.strip_prefix("create table "));
    made.filter_map(|rest| rest.split([' ', '(']).next()).collect()
}

/// Brings the tables up to date.
///
/// # Errors
/// [`Error::Newer`] when a newer program wrote them, [`Error::Migration`].
pub(super) async fn migrate(pool: &AnyPool, engine: Engine) -> Result<(), Error> {
    apply(pool, engine, MIGRATIONS).await
}

/// The version of this program's tables: the number of its last step.
pub const VERSION: usize = MIGRATIONS.len();

/// Brings a store's tables to where a program of that version has them, and refuses what that program would refuse. For
/// tests of upgrades and of the way back, for which there are no older programs.
///
/// # Errors
/// As [`super::Store::open`].
pub async fn migrate_as_of(config: &Config, version: usize) -> Result<(), Error> {
    sqlx::any::install_default_drivers();
    let place = Place::find(&config.url)?;
    let (pools, workers) = place.connect().await?;
    let migrated = migrate_to(&pools.write, place.engine(), version).await;
    for pool in [pools.write, pools.read, workers.write, workers.read] {
        pool.close().await;
    }
    migrated
}

/// Brings the tables to where a program of that version has them.
pub(super) async fn migrate_to(pool: &AnyPool, engine: Engine, version: usize) -> Result<(), Error> {
    apply(pool, engine, MIGRATIONS.get(..version).unwrap_or(MIGRATIONS)).await
}

async fn apply(pool: &AnyPool, engine: Engine, steps: &[Step]) -> Result<(), Error> {
    let migrations = steps
        .iter()
        .map(|(version, name, sql)| {
            Migration::new(
                *version,
                (*name).into(),
                MigrationType::Simple,
                sqlx::AssertSqlSafe(engine.dialect(sql)).into_sql_str(),
                false,
            )
        })
        .collect::<Vec<_>>();
    let mut connection = engine.migrating(pool).await?;
    Migrator::with_migrations(migrations)
        .run(&mut connection)
        .await
        .map_err(Error::from)?;
    connection.close().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine as _;
    use secrecy::{ExposeSecret as _, SecretString};

    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::access::Tenancy;
    use crate::domain::id::{DeliveryId, OperationId};
    use crate::domain::operation::TaskState;
    use crate::domain::webhook::AttemptError;
    use crate::domain::webhook::connection::Connection;
    use crate::domain::webhook::endpoint::SigningSecret;
    use crate::domain::webhook::exchange::Exchange;
    use crate::domain::webhook::receiver::ReceiverFacts;
    use crate::store::Store;
    use crate::store::seal::Sealer;
    use crate::store::testing::{folder, temporary, temporary_config};

    const OPERATION: &str = "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01";
    const DELIVERY: &str = "dlv_019c55e5-9d00-7a1c-9f60-2f3f1d0c000d";

    /// What a program of version 8 left behind: an operation that runs, and a delivery whose attempt failed.
    const ROWS: &[&str] = &[
        "insert into operations (id, kind, action, plan_key, state, requested_at, seen_observation, answer_due, \
         evidence_deadline) values ('0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01', 'failover', 'test', \
         '3f56fa52-c902-4655-9774-2022fde214d2', 'running', 1, 1, 1, 1)",
        "insert into events (id, type, at, body) values ('evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c000e', 'webhook.test', 1, '{}')",
        "insert into webhook_deliveries (id, lane, operation_id, event_id, event_type, place, state, since, created_at, \
         ended_at, attempts) values ('dlv_019c55e5-9d00-7a1c-9f60-2f3f1d0c000d', 'https://portal.example', \
         '0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01', 'evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c000e', 'webhook.test', 1, \
         'exhausted', 1, 1, 1, 1)",
        "insert into webhook_attempts (delivery_id, number, at, ended, error) values \
         ('dlv_019c55e5-9d00-7a1c-9f60-2f3f1d0c000d', 1, 1, 1, 'refusedAddress')",
    ];

    /// A store that a program of that version left with these rows, opened by this one.
    async fn opened_after(version: usize, rows: &[&'static str]) -> Store {
        sqlx::any::install_default_drivers();
        let mut config = temporary_config().await;
        let key = folder().join("key");
        let text = base64::engine::general_purpose::STANDARD.encode([7u8; 32]);
        std::fs::write(&key, text).expect("a key");
        config.encryption_key_file = Some(key);
        let place = Place::find(&config.url).expect("a place");
        let (pools, workers) = place.connect().await.expect("connected");
        migrate_to(&pools.write, place.engine(), version)
            .await
            .expect("migrated");
        let sealer = Sealer::read(config.encryption_key_file.as_ref().expect("a key")).expect("a key");
        let sealed = |column: &str, text: &str| {
            let sealed = sealer.seal(&format!("webhook_endpoints.{column}"), &SecretString::from(text));
            sealed.expect("sealed")
        };
        for row in rows {
            let row = row
                .replace("<url>", &sealed("url", "https://portal.example/"))
                .replace(
                    "<secret>",
                    &sealed("secret", SigningSecret::from_key(&[1; 32]).text().expose_secret()),
                )
                .replace("<headers>", &sealed("headers", "{}"));
            let statement = sqlx::AssertSqlSafe(row.clone());
            sqlx::query(statement).execute(&pools.write).await.expect(&row);
        }
        for pool in [pools.write, pools.read, workers.write, workers.read] {
            pool.close().await;
        }
        Store::open(&config, SystemClock::shared()).await.expect("opened")
    }

    #[tokio::test]
    async fn rows_of_version_8_are_read_after_the_later_steps() {
        let store = opened_after(8, ROWS).await;
        let id: OperationId = OPERATION.parse().expect("an id");
        let operation = store
            .operation(id, &Tenancy::All)
            .await
            .expect("read")
            .expect("there");
        assert_eq!(operation.action, "test");
        assert_eq!(store.command(id).await.expect("read"), None);
        assert_eq!((&operation.approval, operation.unsent), (&None, false));
        assert_eq!(store.unfinished_operations().await.expect("read").len(), 1);
        let delivery: DeliveryId = DELIVERY.parse().expect("an id");
        let delivery = store
            .delivery(delivery, &Tenancy::All)
            .await
            .expect("read")
            .expect("there");
        let attempt = delivery.attempts.first().expect("an attempt");
        assert_eq!(attempt.error, Some(AttemptError::BlockedAddress));
    }

    /// What a program of version 17 left behind: an endpoint, and an attempt that was answered.
    const ROWS_OF_17: &[&str] = &[
        "insert into webhook_endpoints (id, url, shown_url, secret, filter, format, headers, max_concurrency, enabled, \
         created_at, updated_at, failures, first_failure_at) values ('ep_019c55e5-9d00-7a1c-9f60-2f3f1d0c000a', '<url>', 'https://portal.example', \
         '<secret>', '{\"plans\":[],\"tenants\":[],\"results\":[]}', 'standard', '<headers>', 4, 1, 1, 1, 2, 1)",
        "insert into events (id, type, at, body) values ('evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c000e', 'webhook.test', 1, '{}')",
        "insert into webhook_deliveries (id, lane, endpoint_id, event_id, event_type, place, state, since, created_at, \
         ended_at, attempts) values ('dlv_019c55e5-9d00-7a1c-9f60-2f3f1d0c000d', 'ep_019c55e5-9d00-7a1c-9f60-2f3f1d0c000a', \
         'ep_019c55e5-9d00-7a1c-9f60-2f3f1d0c000a', 'evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c000e', 'webhook.test', 1, \
         'delivered', 1, 1, 1, 1)",
        "insert into webhook_attempts (delivery_id, number, at, ended, duration_us, status) values \
         ('dlv_019c55e5-9d00-7a1c-9f60-2f3f1d0c000d', 1, 1, 1, 1500, 204)",
    ];

    #[tokio::test]
    async fn endpoints_and_attempts_of_version_17_are_read_after_the_later_steps() {
        let store = opened_after(17, ROWS_OF_17).await;
        let delivery: DeliveryId = DELIVERY.parse().expect("an id");
        let delivery = store.delivery(delivery, &Tenancy::All).await.expect("read");
        let attempt = delivery.expect("there").attempts.remove(0);
        assert_eq!(attempt.duration, Some(Duration::from_micros(1500)));
        assert_eq!(attempt.exchange, Exchange::default());
        let endpoint = "ep_019c55e5-9d00-7a1c-9f60-2f3f1d0c000a".parse().expect("an id");
        let endpoint = store
            .endpoint(endpoint, &Tenancy::All)
            .await
            .expect("read")
            .expect("there");
        assert_eq!(endpoint.receiver, ReceiverFacts::default());
        assert_eq!((endpoint.health.failures, endpoint.readable), (2, true));
        let settings = &endpoint.settings;
        assert_eq!(
            (settings.rate, &settings.connection),
            (None, &Connection::default())
        );
        let lanes = store.waiting_lanes().await.expect("read");
        assert!(lanes.is_empty(), "{lanes:?}");
    }

    /// What a program of version 27 left behind: an operation that a cancellation ended, and one that its session ended.
    const ROWS_OF_27: &[&str] = &[
        "insert into operations (id, kind, action, state, requested_at, seen_observation, answer_due, evidence_deadline, \
         tenant_read, task_id, task_state, finished_at, result, result_source, cancel_requested_at) values \
         ('0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01', 'failover', 'undo', 'finished', 1, 1, 1, 1, 1, 'task-1', 'running', 1, \
         'cancelled', 'task', 1)",
        "insert into operations (id, kind, action, state, requested_at, seen_observation, answer_due, evidence_deadline, \
         tenant_read, task_id, task_state, finished_at, result, result_source, cancel_requested_at) values \
         ('0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e02', 'failover', 'test', 'finished', 1, 1, 1, 1, 1, 'task-2', 'running', 1, \
         'failed', 'session', 1)",
    ];

    #[tokio::test]
    async fn the_tasks_of_operations_that_were_cancelled_in_version_27_are_told_as_removed() {
        let store = opened_after(27, ROWS_OF_27).await;
        for (id, state) in [
            (OPERATION, TaskState::Removed),
            ("0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e02", TaskState::Running),
        ] {
            let id: OperationId = id.parse().expect("an id");
            let operation = store.operation(id, &Tenancy::All).await.expect("read");
            let task = operation.and_then(|operation| operation.task);
            assert_eq!(task.expect("a task").state, state);
        }
    }

    #[tokio::test]
    async fn checks_of_operations_refuse_other_words_than_those_of_the_states() {
        let store = temporary().await;
        for (state, source, taken) in [
            ("awaitingApproval", "policy", true),
            ("submitting", "gateway", true),
            ("waiting", "policy", false),
            ("submitting", "nobody", false),
        ] {
            let mut tx = store.begin().await.expect("begun");
            let insert = format!(
                "insert into operations (id, kind, action, state, requested_at, seen_observation, answer_due, \
                 evidence_deadline, failure_message, failure_source) values \
                 ('{OPERATION}', 'failover', 'test', '{state}', 1, 1, 1, 1, 'x', '{source}')"
            );
            assert_eq!(tx.run(&insert).await.is_ok(), taken, "{state} {source}");
        }
    }
}
