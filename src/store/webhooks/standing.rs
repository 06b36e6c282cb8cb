//! How the endpoints do to which attempts were made: read once a turn and written once, whatever the number of attempts.

use std::collections::HashMap;

use serde::Serialize;

use super::super::engine::Engine;
use super::super::readable::ENDPOINTS;
use super::super::row::{Columns as _, micros};
use super::super::sets::{Shape, parameter};
use super::super::text::opt_kept;
use super::super::{Error, Tx};
use super::endpoints;
use super::fan_out::{KEYS, keys};
use super::receivers::{FACTS_COLUMNS, facts_from};
use crate::domain::id::EndpointId;
use crate::domain::webhook::receiver::ReceiverFacts;
use crate::domain::webhook::rules::EndpointHealth;

/// What an attempt's outcome is judged by, and changes.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Whether deliveries go out.
    pub enabled: bool,
    /// How the endpoint does.
    pub health: EndpointHealth,
    /// What its receiver showed.
    pub facts: ReceiverFacts,
    /// Whether a delivery that has failed keeps others of its session.
    pub has_failing: bool,
}

#[derive(Serialize)]
struct HealthRow {
    endpoint: String,
    failed: i64,
    first_failure: Option<i64>,
    last_success: Option<i64>,
    why: Option<String>,
    down: Option<i64>,
    told: i64,
    paused: Option<i64>,
    next_probe: Option<i64>,
    expires: Option<i64>,
    ahead: Option<i64>,
}

const HEALTH_ROWS: Shape = &[
    ("endpoint", "text"),
    ("failed", "bigint"),
    ("first_failure", "bigint"),
    ("last_success", "bigint"),
    ("why", "text"),
    ("down", "bigint"),
    ("told", "bigint"),
    ("paused", "bigint"),
    ("next_probe", "bigint"),
    ("expires", "bigint"),
    ("ahead", "bigint"),
];

pub(super) fn save_sql(engine: Engine) -> String {
    format!(
        "update webhook_endpoints set failures = r.failed, first_failure_at = r.first_failure, \
             last_success_at = r.last_success, last_error = r.why, down_since = r.down, told_failing = r.told, \
             paused_until = r.paused, next_probe_at = r.next_probe, certificate_not_after = r.expires, \
             clock_skew = r.ahead \
         from {} where id = r.endpoint",
        engine.table("$1", HEALTH_ROWS)
    )
}

impl Tx {
    /// How these endpoints do, which stays so until this transaction ends; deleted ones are missing.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn standings(
        &mut self,
        ids: impl IntoIterator<Item = EndpointId>,
    ) -> Result<HashMap<EndpointId, Standing>, Error> {
        let (table, lock) = (self.engine().table("$1", KEYS), self.engine().for_update_of("e"));
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select e.id, e.enabled, {}, {FACTS_COLUMNS}, \
                 case when exists (select 1 from webhook_deliveries d where d.lane = e.id and d.order_key is not null \
                     and d.state in ('pending', 'sending', 'held') and d.passed = 0 and d.failures > 0) \
                 then 1 else 0 end as has_failing \
             from webhook_endpoints e where e.id in (select r.key from {table}) order by e.id{lock}",
            endpoints::HEALTH_COLUMNS
        )))
        .bind(keys(ids)?)
        .fetch_all(self.connection())
        .await?;
        let standings = self.read_rows(ENDPOINTS, &rows, |row| {
            // Damage to its health alone costs no delivery: that begins anew.
            let health = match endpoints::health_from(row) {
                Err(error) if error.is_unreadable() => EndpointHealth::default(),
                health => health?,
            };
            let standing = Standing {
                enabled: row.flag("enabled")?,
                health,
                facts: facts_from(row)?,
                has_failing: row.flag("has_failing")?,
            };
            Ok((row.parsed("id")?, standing))
        })?;
        Ok(standings.items.into_iter().collect())
    }

    /// Writes how endpoints do.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn save_standings<'a>(
        &mut self,
        changed: impl IntoIterator<Item = (EndpointId, &'a Standing)>,
    ) -> Result<(), Error> {
        let rows = changed
            .into_iter()
            .map(|(id, Standing { health, facts, .. })| HealthRow {
                endpoint: id.to_string(),
                failed: health.failures,
                first_failure: health.first_failure_at.map(micros),
                last_success: health.last_success_at.map(micros),
                why: opt_kept(health.last_error.as_ref()),
                down: health.down_since.map(micros),
                told: i64::from(health.told_failing),
                paused: health.paused_until.map(micros),
                next_probe: health.next_probe_at.map(micros),
                expires: facts.certificate_not_after.map(micros),
                ahead: facts.clock_skew,
            });
        let rows: Vec<HealthRow> = rows.collect();
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(sqlx::AssertSqlSafe(save_sql(self.engine())))
            .bind(parameter(&rows)?)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
