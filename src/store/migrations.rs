//! The tables and how they came to be: numbered steps, each applied once, in one text for both engines.
//!
//! What was released does not change; the program of the version before can live with each step.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, Connection as _, SqlSafeStr as _};

use super::Error;
use super::engine::Engine;

pub(super) const MIGRATIONS: &[(i64, &str, &str)] = &[
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
];

/// Brings the tables up to date.
///
/// # Errors
/// [`Error::Newer`] when a newer program wrote them, [`Error::Migration`].
pub(super) async fn migrate(pool: &AnyPool, engine: Engine) -> Result<(), Error> {
    let migrations = MIGRATIONS
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
