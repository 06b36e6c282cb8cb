//! Outcomes: what came of attempts, written by the holder of their claims alone, many with one statement.
//!
//! Order within a session is kept here and where deliveries are made, by `blocked`: of a session's waiting deliveries
//! at an endpoint, all are blocked but those that may be passed and the first of the others.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use sqlx::any::AnyRow;

use super::super::engine::Engine;
use super::super::readable::DELIVERIES;
use super::super::row::{Columns as _, micros};
use super::super::sets::{Shape, checked, parameter};
use super::super::text::opt_kept;
use super::super::{Error, Tx};
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::webhook::exchange::{Exchange, TlsVersion};
use crate::domain::webhook::rules::Progress;
use crate::domain::webhook::{AttemptError, DeliveryState};

/// An attempt at a delivery, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Attempt {
    /// The delivery.
    #[serde(serialize_with = "text")]
    pub delivery: DeliveryId,
    /// The number of the attempt.
    pub number: i64,
}

fn text<S: Serializer>(id: &DeliveryId, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(id)
}

/// A delivery whose attempt has ended, as its row is.
#[derive(Debug, Clone)]
pub struct Sending {
    /// The attempt.
    pub attempt: Attempt,
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
    /// When the attempt began.
    pub began_at: Timestamp,
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
    /// What its owner should look at.
    pub warning: Option<String>,
    /// Why nothing was sent, where that is no failure.
    pub note: Option<String>,
    /// What was seen of the connection.
    pub exchange: Exchange,
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

/// What becomes of a delivery whose attempt has ended.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The delivery, with the progress that is to be written.
    pub delivery: Sending,
    /// What becomes of it.
    pub settled: Settled,
    /// Whether a later one of its session may go first from now on.
    pub may_be_passed: bool,
}

/// A session within a lane.
pub(super) type LaneSession = (String, String);

/// A row of `webhook_attempts`. It is written when the attempt has ended: until then the delivery says that one is under way.
#[derive(Debug, Serialize)]
pub struct EndedAttempt {
    delivery: String,
    attempt: i64,
    began: i64,
    took_us: Option<i64>,
    answered: Option<i64>,
    fault: Option<&'static str>,
    pointed: Option<String>,
    said: Option<String>,
    warned: Option<String>,
    noted: Option<String>,
    dns: Option<i64>,
    dialled: Option<i64>,
    shook: Option<i64>,
    first: Option<i64>,
    peer: Option<String>,
    spoke: Option<&'static str>,
    again: Option<i64>,
}

impl Attempt {
    /// It began then, and ended so.
    #[must_use]
    pub fn ended_by(self, began_at: Timestamp, end: &AttemptEnd) -> EndedAttempt {
        let us =
            |time: Option<Duration>| time.map(|time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
        let exchange = &end.exchange;
        EndedAttempt {
            delivery: self.delivery.to_string(),
            attempt: self.number,
            began: micros(began_at),
            took_us: us(end.duration),
            answered: end.status.map(i64::from),
            fault: end.error.map(AttemptError::as_str),
            pointed: opt_kept(end.location.as_ref()),
            said: opt_kept(end.response.as_ref()),
            warned: opt_kept(end.warning.as_ref()),
            noted: opt_kept(end.note.as_ref()),
            dns: us(exchange.dns),
            dialled: us(exchange.connect),
            shook: us(exchange.tls),
            first: us(exchange.first_byte),
            peer: exchange.remote.map(|address| address.to_string()),
            spoke: exchange.tls_version.map(TlsVersion::as_str),
            again: exchange.reused.map(i64::from),
        }
    }
}

const ENDED_ATTEMPTS: Shape = &[
    ("delivery", "text"),
    ("attempt", "bigint"),
    ("began", "bigint"),
    ("took_us", "bigint"),
    ("answered", "bigint"),
    ("fault", "text"),
    ("pointed", "text"),
    ("said", "text"),
    ("warned", "text"),
    ("noted", "text"),
    ("dns", "bigint"),
    ("dialled", "bigint"),
    ("shook", "bigint"),
    ("first", "bigint"),
    ("peer", "text"),
    ("spoke", "text"),
    ("again", "bigint"),
];

/// A row of `webhook_deliveries` as it is settled.
#[derive(Serialize)]
struct SettledRow {
    delivery: String,
    attempt: i64,
    becomes: &'static str,
    due: Option<i64>,
    ended: Option<i64>,
    may_pass: i64,
    at_step: i64,
    failed: i64,
    first_failed: Option<i64>,
    crashed: i64,
}

const SETTLED_ROWS: Shape = &[
    ("delivery", "text"),
    ("attempt", "bigint"),
    ("becomes", "text"),
    ("due", "bigint"),
    ("ended", "bigint"),
    ("may_pass", "bigint"),
    ("at_step", "bigint"),
    ("failed", "bigint"),
    ("first_failed", "bigint"),
    ("crashed", "bigint"),
];

const ATTEMPTS: Shape = &[("delivery", "text"), ("number", "bigint")];
const SESSIONS: Shape = &[("of_lane", "text"), ("session", "text")];

#[derive(Serialize)]
struct SessionRow<'a> {
    of_lane: &'a str,
    session: &'a str,
}

/// Deliveries that `$2` sends by these attempts.
pub(super) fn sending_sql(engine: Engine) -> String {
    format!(
        "select d.id, d.attempts, d.lane, d.endpoint_id, d.order_key, d.passed, d.probe, d.step, d.failures, \
             d.first_failed_at, d.crashes, d.since, d.last_attempt_at, d.created_at \
         from {} cross join webhook_deliveries d \
         where d.id = r.delivery and d.attempts = r.number and {} = 'sending' and d.owner = $2{}",
        engine.table("$1", ATTEMPTS),
        checked("d.state"),
        engine.for_update_of("d")
    )
}

/// A program of the version before writes the beginnings of attempts as well, which a later one of another replica may end.
pub(super) fn end_attempts_sql(engine: Engine) -> String {
    const FOUND: &str = "duration_us, status, error, location, response, warning, note, dns_us, connect_us, tls_us, \
         first_byte_us, remote, tls_version, reused";
    let again = FOUND
        .split(", ")
        .map(|column| format!("{column} = excluded.{column}"));
    let again = again.collect::<Vec<_>>().join(", ");
    format!(
        "insert into webhook_attempts (delivery_id, number, at, ended, {FOUND}) \
         select r.delivery, r.attempt, r.began, 1, r.took_us, r.answered, r.fault, r.pointed, r.said, r.warned, r.noted, \
             r.dns, r.dialled, r.shook, r.first, r.peer, r.spoke, r.again \
         from {} where 1 = 1 on conflict (delivery_id, number) do update set ended = 1, {again}",
        engine.table("$1", ENDED_ATTEMPTS)
    )
}

pub(super) fn settle_sql(engine: Engine) -> String {
    format!(
        "update webhook_deliveries set state = r.becomes, due_at = r.due, ended_at = r.ended, owner = null, probe = 0, \
             passed = r.may_pass, step = r.at_step, failures = r.failed, first_failed_at = r.first_failed, \
             crashes = r.crashed, blocked = case when r.ended is null and r.may_pass = 0 then blocked else 0 end \
         from {} where id = r.delivery and attempts = r.attempt and {} = 'sending' and owner = $2 \
         returning id",
        engine.table("$1", SETTLED_ROWS),
        checked("state")
    )
}

/// Of each session, the first blocked delivery, unless another one that may not be passed waits before it.
pub(super) fn unblock_sql(engine: Engine) -> String {
    format!(
        "update webhook_deliveries set blocked = 0 where id in (select (\
             select b.id from webhook_deliveries b \
             where b.lane = r.of_lane and b.order_key = r.session and b.blocked = 1 \
               and b.state in ('pending', 'sending', 'held') \
             order by b.place limit 1) \
         from {} where not exists (select 1 from webhook_deliveries f \
             where f.lane = r.of_lane and f.order_key = r.session and f.blocked = 0 and f.passed = 0 \
               and f.state in ('pending', 'sending', 'held')))",
        engine.table("$1", SESSIONS)
    )
}

fn sending_from(row: &AnyRow, owner: &str) -> Result<Sending, Error> {
    Ok(Sending {
        attempt: Attempt {
            delivery: row.parsed("id")?,
            number: row.int("attempts")?,
        },
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
        began_at: row.at("last_attempt_at")?,
        created_at: row.at("created_at")?,
    })
}

impl Tx {
    /// The deliveries that `owner` sends by these attempts; those are missing that have another owner by now, and those
    /// whose row cannot be read, which stays as it is.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn sending(&mut self, attempts: &[Attempt], owner: &str) -> Result<Vec<Sending>, Error> {
        if attempts.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(sqlx::AssertSqlSafe(sending_sql(self.engine())))
            .bind(parameter(attempts)?)
            .bind(owner)
            .fetch_all(self.connection())
            .await?;
        Ok(self
            .read_rows(DELIVERIES, &rows, |row| sending_from(row, owner))?
            .items)
    }

    /// Writes attempts that have ended. Their deliveries are settled before: a row that its own transaction has changed is
    /// cheaper for a server to refer to.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn end_attempts(&mut self, ended: &[EndedAttempt]) -> Result<(), Error> {
        if ended.is_empty() {
            return Ok(());
        }
        sqlx::query(sqlx::AssertSqlSafe(end_attempts_sql(self.engine())))
            .bind(parameter(ended)?)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Writes what becomes of deliveries, and lets the next of their sessions go where that is due. The deliveries that
    /// were written; the others have another owner by now.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn settle(&mut self, settlements: &[Settlement]) -> Result<HashSet<DeliveryId>, Error> {
        let now = micros(self.clock().now());
        let mut by_owner: HashMap<&str, Vec<SettledRow>> = HashMap::new();
        for settlement in settlements {
            let owner = settlement.delivery.owner.as_str();
            by_owner
                .entry(owner)
                .or_default()
                .push(settled_row(settlement, now));
        }
        let mut written = HashSet::with_capacity(settlements.len());
        for (owner, rows) in by_owner {
            let changed = sqlx::query(sqlx::AssertSqlSafe(settle_sql(self.engine())))
                .bind(parameter(&rows)?)
                .bind(owner)
                .fetch_all(self.connection())
                .await?;
            for row in &changed {
                written.insert(row.parsed("id")?);
            }
        }
        let makes_way = |settlement: &&Settlement| {
            let ended = matches!(settlement.settled, Settled::Ended(_));
            !settlement.delivery.passed && (settlement.may_be_passed || ended)
        };
        let sessions: HashSet<LaneSession> = settlements
            .iter()
            .filter(makes_way)
            .filter(|settlement| written.contains(&settlement.delivery.attempt.delivery))
            .filter_map(|Settlement { delivery, .. }| {
                Some((delivery.lane.clone(), delivery.order_key.clone()?))
            })
            .collect();
        self.unblock_next(&sessions).await?;
        Ok(written)
    }

    /// Lets the first blocked delivery of each session go, unless another of the session that may not be passed waits
    /// before it.
    pub(super) async fn unblock_next(&mut self, sessions: &HashSet<LaneSession>) -> Result<(), Error> {
        if sessions.is_empty() {
            return Ok(());
        }
        // An event that is being written at this moment may have found this session still waiting; what it wrote has
        // to be seen here, or it would stay blocked.
        self.lock_event_log().await?;
        let rows = sessions
            .iter()
            .map(|(of_lane, session)| SessionRow { of_lane, session });
        sqlx::query(sqlx::AssertSqlSafe(unblock_sql(self.engine())))
            .bind(parameter(&rows.collect::<Vec<_>>())?)
            .execute(self.connection())
            .await?;
        self.note_deliveries();
        Ok(())
    }
}

fn settled_row(settlement: &Settlement, now: i64) -> SettledRow {
    let Settlement {
        delivery,
        settled,
        may_be_passed,
    } = settlement;
    let (state, due, ended) = match settled {
        Settled::Waits(due) => (DeliveryState::Pending, Some(micros(*due)), None),
        Settled::Held => (DeliveryState::Held, None, None),
        Settled::Ended(state) => (*state, None, Some(now)),
    };
    let progress = &delivery.progress;
    SettledRow {
        delivery: delivery.attempt.delivery.to_string(),
        attempt: delivery.attempt.number,
        becomes: state.as_str(),
        due,
        ended,
        may_pass: i64::from(delivery.passed || *may_be_passed),
        at_step: progress.step,
        failed: progress.failures,
        first_failed: progress.first_failed_at.map(micros),
        crashed: progress.crashes,
    }
}
