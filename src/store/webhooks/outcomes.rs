//! Outcomes: what came of an attempt, written by the holder of its claim alone.
//!
//! Order within a session is kept here and where deliveries are made, by `blocked`: of a session's waiting deliveries
//! at an endpoint, all are blocked but those that may be passed and the first of the others.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::AnyRow;

use super::super::readable::DELIVERIES;
use super::super::row::{Columns as _, micros};
use super::super::text::opt_kept;
use super::super::{Error, Tx};
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::webhook::rules::Progress;
use crate::domain::webhook::{AttemptError, DeliveryState};

/// A delivery whose attempt has ended, as its row is.
#[derive(Debug, Clone)]
pub struct Sending {
    /// The delivery.
    pub id: DeliveryId,
    /// The number of the attempt.
    pub number: i64,
    /// The process that claimed it.
    pub owner: String,
    /// Its lane.
    pub lane: String,
    /// The endpoint; none for a callback.
    pub endpoint: Option<EndpointId>,
    /// The session it is ordered in.
    pub order_key: Option<String>,
    /// Whether a later one of its session may go first.
    pub passed: bool,
    /// Whether the attempt was a probe.
    pub probe: bool,
    /// How far it has come.
    pub progress: Progress,
    /// When it was written.
    pub created_at: Timestamp,
}

/// How an attempt ended, for the log of attempts.
#[derive(Debug, Clone, Default)]
pub struct AttemptEnd {
    /// How long it lasted; none when that is not known.
    pub duration: Option<Duration>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why it failed.
    pub error: Option<AttemptError>,
    /// Where the receiver pointed, masked.
    pub location: Option<String>,
    /// The beginning of the answer.
    pub response: Option<String>,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It waits for its next attempt.
    Waits(Timestamp),
    /// It waits until its endpoint is enabled.
    Held,
    /// It reached an end.
    Ended(DeliveryState),
}

fn sending_from(row: &AnyRow, (id, number): (DeliveryId, i64), owner: &str) -> Result<Sending, Error> {
    Ok(Sending {
        id,
        number,
        owner: owner.to_owned(),
        lane: row.text("lane")?,
        endpoint: row.opt_parsed("endpoint_id")?,
        order_key: row.opt_text("order_key")?,
        passed: row.flag("passed")?,
        probe: row.flag("probe")?,
        progress: Progress {
            step: row.int("step")?,
            failures: row.int("failures")?,
            first_failed_at: row.opt_at("first_failed_at")?,
            since: row.at("since")?,
            crashes: row.int("crashes")?,
        },
        created_at: row.at("created_at")?,
    })
}

impl Tx {
    /// A delivery that `owner` sends by this attempt. None when it has another owner by now.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn sending(
        &mut self,
        id: DeliveryId,
        number: i64,
        owner: &str,
    ) -> Result<Option<Sending>, Error> {
        let lock = self.engine().for_update();
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select id, lane, endpoint_id, order_key, passed, probe, step, failures, first_failed_at, crashes, since, created_at \
             from webhook_deliveries where id = $1 and state = 'sending' and owner = $2 and attempts = $3{lock}",
        )))
        .bind(id.to_string())
        .bind(owner)
        .bind(number)
        .fetch_optional(self.connection())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let read = sending_from(&row, (id, number), owner);
        self.store.unreadable.note(DELIVERIES, &row, read).map(Some)
    }

    /// Writes how an attempt ended.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn end_attempt(&mut self, id: DeliveryId, number: i64, end: &AttemptEnd) -> Result<(), Error> {
        sqlx::query(
            "update webhook_attempts set ended = 1, duration_us = $1, status = $2, error = $3, location = $4, response = $5 \
             where delivery_id = $6 and number = $7 and ended = 0",
        )
        .bind(end.duration.map(|time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX)))
        .bind(end.status.map(i64::from))
        .bind(end.error.map(AttemptError::as_str))
        .bind(opt_kept(end.location.as_ref()))
        .bind(opt_kept(end.response.as_ref()))
        .bind(id.to_string())
        .bind(number)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Writes what becomes of a delivery, and lets the next of its session go where that is due. `may_be_passed` says
    /// that a later one may go first from now on. False when it has another owner by now, and nothing was written.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn settle(
        &mut self,
        delivery: &Sending,
        settled: Settled,
        may_be_passed: bool,
    ) -> Result<bool, Error> {
        let now = micros(self.clock().now());
        let (state, due, ended) = match settled {
            Settled::Waits(due) => (DeliveryState::Pending, Some(micros(due)), None),
            Settled::Held => (DeliveryState::Held, None, None),
            Settled::Ended(state) => (state, None, Some(now)),
        };
        let passed = delivery.passed || may_be_passed;
        let progress = &delivery.progress;
        let changed = sqlx::query(
            "update webhook_deliveries set state = $1, due_at = $2, ended_at = $3, owner = null, probe = 0, passed = $4, \
                 step = $5, failures = $6, first_failed_at = $7, crashes = $8, \
                 blocked = case when $3 is null and $4 = 0 then blocked else 0 end \
             where id = $9 and state = 'sending' and owner = $10 and attempts = $11",
        )
        .bind(state.as_str())
        .bind(due)
        .bind(ended)
        .bind(i64::from(passed))
        .bind(progress.step)
        .bind(progress.failures)
        .bind(progress.first_failed_at.map(micros))
        .bind(progress.crashes)
        .bind(delivery.id.to_string())
        .bind(delivery.owner.clone())
        .bind(delivery.number)
        .execute(self.connection())
        .await?
        .rows_affected();
        let makes_way = !delivery.passed && (passed || matches!(settled, Settled::Ended(_)));
        if let Some(session) = delivery.order_key.as_ref().filter(|_| changed > 0 && makes_way) {
            self.unblock_next(&delivery.lane, session).await?;
        }
        Ok(changed > 0)
    }

    /// Lets the first blocked delivery of a session go, unless another of the session that may not be passed waits
    /// before it.
    pub(super) async fn unblock_next(&mut self, lane: &str, session: &str) -> Result<(), Error> {
        // An event that is being written at this moment may have found this session still waiting; what it wrote has
        // to be seen here, or it would stay blocked.
        self.lock_event_log().await?;
        sqlx::query(
            "update webhook_deliveries set blocked = 0 where id = (\
                 select b.id from webhook_deliveries b \
                 where b.lane = $1 and b.order_key = $2 and b.blocked = 1 and b.state in ('pending', 'sending', 'held') \
                 order by b.place limit 1) \
               and not exists (select 1 from webhook_deliveries f \
                 where f.lane = $1 and f.order_key = $2 and f.blocked = 0 and f.passed = 0 \
                   and f.state in ('pending', 'sending', 'held'))",
        )
        .bind(lane)
        .bind(session)
        .execute(self.connection())
        .await?;
        self.note_deliveries();
        Ok(())
    }

    /// Releases every delivery that this process, or one that is no more, has claimed and that is not among `alive`.
    /// The attempt's end is not known, so it may have arrived; it goes out again at once under the same id. Their
    /// number. Of a file, where no replica is registered, all that is claimed is this process' or has no living owner.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn reclaim(&mut self, alive: &HashSet<(DeliveryId, i64)>) -> Result<usize, Error> {
        let own = self.replica().to_owned();
        self.reclaim_of(&own, alive).await
    }

    /// The same with another process' claims in place of the own ones.
    pub(in crate::store) async fn reclaim_of(
        &mut self,
        replica: &str,
        alive: &HashSet<(DeliveryId, i64)>,
    ) -> Result<usize, Error> {
        let rows = sqlx::query(
            "select d.id, d.attempts, d.owner, e.enabled, d.endpoint_id from webhook_deliveries d \
             left join webhook_endpoints e on e.id = d.endpoint_id \
             where d.state = 'sending' and (d.owner = $1 or d.owner not in (select id from replicas))",
        )
        .bind(replica)
        .fetch_all(self.connection())
        .await?;
        let now = self.clock().now();
        let mut released = 0;
        let claimed = self.read_rows(DELIVERIES, &rows, |row| {
            let claim: (DeliveryId, i64) = (row.parsed("id")?, row.int("attempts")?);
            let endpoint = (row.opt_text("endpoint_id")?, row.opt_int("enabled")?);
            Ok((claim, row.text("owner")?, endpoint))
        })?;
        for ((id, number), owner, endpoint) in claimed.items {
            if alive.contains(&(id, number)) {
                continue;
            }
            let delivery = match self.sending(id, number, &owner).await {
                Ok(Some(delivery)) => delivery,
                Ok(None) => continue,
                // It stays as it is; the other claims are given back all the same.
                Err(error) if error.is_unreadable() => continue,
                Err(error) => return Err(error),
            };
            let end = AttemptEnd {
                error: Some(AttemptError::Interrupted),
                ..AttemptEnd::default()
            };
            self.end_attempt(id, number, &end).await?;
            let settled = match endpoint {
                (Some(_), None) => Settled::Ended(DeliveryState::Cancelled),
                (Some(_), Some(0)) => Settled::Held,
                _ => Settled::Waits(now),
            };
            released += usize::from(self.settle(&delivery, settled, false).await?);
        }
        Ok(released)
    }
}
