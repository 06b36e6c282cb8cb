//! What happens to the deliveries of a whole endpoint at once: held, released, woken, let past, given up.

use std::collections::HashSet;

use jiff::Timestamp;

use super::super::engine::Engine;
use super::super::row::{Columns as _, micros};
use super::super::{Error, Tx};
use super::fan_out::{KEYS, keys};
use crate::domain::id::EndpointId;
use crate::domain::webhook::rules::{PASS_AFTER, PASS_FAILURES, earlier};

/// How many rows one statement of a sweep looks at; the next sweep finds the rest.
const SWEEP_LIMIT: i64 = 500;

/// How much waits, for the gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Deliveries that wait for an attempt.
    pub deliveries: i64,
    /// The moment at which the oldest of them was due; in the past when it is late.
    pub oldest_due: Option<Timestamp>,
}

/// Of each lane, deliveries that keep failing and no longer keep the others of their sessions.
pub(super) fn unblock_failing_sql(engine: Engine) -> String {
    format!(
        "update webhook_deliveries set passed = 1, blocked = 0 where id in (\
             select d.id from {} cross join webhook_deliveries d where d.lane = r.key and d.order_key is not null \
               and d.state in ('pending', 'sending', 'held') and d.passed = 0 and d.failures > 0 \
               and d.failures >= $2 and d.first_failed_at <= $3 limit $4) \
         returning lane, order_key",
        engine.table("$1", KEYS)
    )
}

impl Tx {
    /// Holds what waits for an endpoint that was disabled.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn hold_deliveries(&mut self, endpoint: EndpointId) -> Result<(), Error> {
        sqlx::query(
            "update webhook_deliveries set state = 'held', due_at = null, urgent = 0 \
             where lane = $1 and state = 'pending' and since > 0",
        )
        .bind(endpoint.to_string())
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Makes due what was held for an endpoint that is enabled again; each begins its schedule anew.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn release_deliveries(&mut self, endpoint: EndpointId) -> Result<(), Error> {
        let now = micros(self.clock().now());
        sqlx::query(
            "update webhook_deliveries set state = 'pending', due_at = $1, since = $1, step = 0, failures = 0, \
                 first_failed_at = null \
             where lane = $2 and state = 'held'",
        )
        .bind(now)
        .bind(endpoint.to_string())
        .execute(self.connection())
        .await?;
        self.note_deliveries();
        Ok(())
    }

    /// Makes due what waits for its next attempt, because the endpoint takes deliveries again. What is known to be
    /// refused for itself keeps its own time.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn wake_deliveries(&mut self, endpoint: EndpointId) -> Result<(), Error> {
        let now = micros(self.clock().now());
        sqlx::query(
            "update webhook_deliveries set due_at = $1 \
             where lane = $2 and state = 'pending' and since > 0 and passed = 0 and due_at > $1",
        )
        .bind(now)
        .bind(endpoint.to_string())
        .execute(self.connection())
        .await?;
        self.note_deliveries();
        Ok(())
    }

    /// After successes: deliveries that keep failing although their endpoints take others may be passed by the next of
    /// their sessions.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn unblock_failing(
        &mut self,
        endpoints: impl IntoIterator<Item = EndpointId>,
    ) -> Result<(), Error> {
        let now = self.clock().now();
        let rows = sqlx::query(sqlx::AssertSqlSafe(unblock_failing_sql(self.engine())))
            .bind(keys(endpoints)?)
            .bind(PASS_FAILURES)
            .bind(micros(earlier(now, PASS_AFTER)))
            .bind(SWEEP_LIMIT)
            .fetch_all(self.connection())
            .await?;
        let sessions = rows
            .iter()
            .map(|row| Ok((row.text("lane")?, row.text("order_key")?)));
        let sessions = sessions.collect::<Result<_, Error>>()?;
        self.unblock_next(&sessions).await
    }

    /// Gives up what waited for an endpoint that is down since before `before`. Their number.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn exhaust_deliveries(
        &mut self,
        endpoint: EndpointId,
        before: Timestamp,
    ) -> Result<usize, Error> {
        let now = micros(self.clock().now());
        let rows = sqlx::query(
            "update webhook_deliveries set state = 'exhausted', due_at = null, ended_at = $1, blocked = 0 where id in (\
                 select id from webhook_deliveries where lane = $2 and state = 'pending' and since > 0 and since <= $3 limit $4) \
             returning lane, order_key",
        )
        .bind(now)
        .bind(endpoint.to_string())
        .bind(micros(before))
        .bind(SWEEP_LIMIT)
        .fetch_all(self.connection())
        .await?;
        let mut sessions = HashSet::new();
        for row in &rows {
            if let Some(session) = row.opt_text("order_key")? {
                sessions.insert((row.text("lane")?, session));
            }
        }
        self.unblock_next(&sessions).await?;
        Ok(rows.len())
    }

    /// Takes back what was planned or noted while the clock was ahead: whatever lies beyond `horizon` is due now, and
    /// nothing began later than now.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn forget_the_future(&mut self, horizon: Timestamp) -> Result<(), Error> {
        let (now, horizon) = (micros(self.clock().now()), micros(horizon));
        for sql in [
            "update webhook_deliveries set due_at = $1 where state = 'pending' and since > 0 and due_at > $2",
            // One by one, since each has an index of its own.
            "update webhook_deliveries set since = $1 where state = 'pending' and since > 0 and since > $2",
            "update webhook_deliveries set since = $1 where state = 'sending' and since > $2",
            "update webhook_deliveries set since = $1 where state = 'held' and since > $2",
            "update webhook_deliveries set first_failed_at = $1 where state = 'pending' and since > 0 and first_failed_at > $2",
            "update webhook_deliveries set first_failed_at = $1 where state = 'sending' and first_failed_at > $2",
            "update webhook_deliveries set first_failed_at = $1 where state = 'held' and first_failed_at > $2",
            "update webhook_endpoints set paused_until = $1 where paused_until > $2",
            "update webhook_endpoints set next_probe_at = $1 where next_probe_at > $2",
            "update webhook_endpoints set first_failure_at = $1 where first_failure_at > $2",
            "update webhook_endpoints set down_since = $1 where down_since > $2",
        ] {
            sqlx::query(sql)
                .bind(now)
                .bind(horizon)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// How much waits.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn waiting_deliveries(&mut self) -> Result<Waiting, Error> {
        let row = sqlx::query(
            "select count(*) as deliveries, min(due_at) as oldest from webhook_deliveries \
             where state = 'pending' and since > 0",
        )
        .fetch_one(self.connection())
        .await?;
        Ok(Waiting {
            deliveries: row.int("deliveries")?,
            oldest_due: row.opt_at("oldest")?,
        })
    }
}
