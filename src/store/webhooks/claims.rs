//! Claims: which lanes have something to send, and what of it is this process' now.
//!
//! A claim sets owner and attempt number; every later write names both ([`super::outcomes`]), so that whoever lost a
//! delivery changes nothing. A lane is what shares a bound on concurrency: an endpoint, or the origin of callbacks.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sqlx::any::AnyRow;

use super::super::readable::{CALLBACK_LANES as CALLBACKS, ENDPOINTS, Unreadable};
use super::super::row::{Columns as _, micros};
use super::super::{Error, Store, Tx};
use super::destination::Destination;
use super::outcomes::{AttemptEnd, Settled};
use crate::domain::event::EventType;
use crate::domain::id::{DeliveryId, EndpointId, EventId};
use crate::domain::webhook::rules::{PASS_AFTER, PASS_FAILURES, earlier};
use crate::domain::webhook::{AttemptError, DeliveryState};

/// How many callbacks to one origin may be under way at once.
const CALLBACK_CONCURRENCY: usize = 4;

/// Something with deliveries that wait.
#[derive(Debug, Clone)]
pub struct Lane {
    /// Its key in the rows.
    pub key: String,
    /// The endpoint; none for callbacks.
    pub endpoint: Option<EndpointId>,
    /// How many deliveries may be in flight at once.
    pub cap: usize,
    /// Whether only a probe may go out.
    pub down: bool,
    /// When something may go out next.
    pub due: Timestamp,
    /// When something may go out that ignores the endpoint's pauses.
    pub urgent: Option<Timestamp>,
    /// Until when the endpoint asked for silence.
    pub paused_until: Option<Timestamp>,
}

/// What a claim of a lane brought.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// What is to be sent.
    pub claimed: Vec<Claimed>,
    /// Whether the lane's endpoint cannot be read, so that it has to be disabled. Nothing of it was claimed.
    pub unreadable: bool,
    /// How many deliveries could not be read and were put into quarantine.
    pub quarantined: usize,
}

/// A delivery that is this process' to send.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The delivery.
    pub id: DeliveryId,
    /// The number of this attempt, which fences off earlier ones.
    pub number: i64,
    /// Its lane.
    pub lane: String,
    /// The event.
    pub event: EventId,
    /// The event's type.
    pub kind: EventType,
    /// The bytes to send.
    pub body: String,
    /// When the delivery was written.
    pub created_at: Timestamp,
    /// Whether it probes an endpoint that is down.
    pub probe: bool,
    /// The receiver's URL.
    pub to: Destination,
}

const ENDPOINT_LANES: &str = "select e.id, e.max_concurrency, e.down_since, e.paused_until, e.next_probe_at, \
     (select min(d.due_at) from webhook_deliveries d where d.lane = e.id and d.state = 'pending' and d.blocked = 0) as due, \
     (select min(u.due_at) from webhook_deliveries u where u.lane = e.id and u.state = 'pending' and u.urgent = 1) as urgent \
     from webhook_endpoints e where e.enabled = 1";

const CALLBACK_LANES: &str = "select lane, min(due_at) as due from webhook_deliveries \
     where endpoint_id is null and state = 'pending' group by lane";

/// Every lane in which something waits, those aside that cannot be read.
fn lanes(known: &Unreadable, endpoints: &[AnyRow], callbacks: &[AnyRow]) -> Result<Vec<Lane>, Error> {
    let of_endpoints = known.read(ENDPOINTS, endpoints, |row| {
        let due = row.opt_at("due")?;
        due.map(|due| endpoint_lane(row, due)).transpose()
    })?;
    let of_callbacks = known.read(CALLBACKS, callbacks, |row| {
        Ok(Lane {
            key: row.text("lane")?,
            endpoint: None,
            cap: CALLBACK_CONCURRENCY,
            down: false,
            due: row.at("due")?,
            urgent: None,
            paused_until: None,
        })
    })?;
    Ok(of_endpoints
        .items
        .into_iter()
        .flatten()
        .chain(of_callbacks.items)
        .collect())
}

fn endpoint_lane(row: &AnyRow, due: Timestamp) -> Result<Lane, Error> {
    let paused_until = row.opt_at("paused_until")?;
    let urgent = row.opt_at("urgent")?;
    let down = row.opt_int("down_since")?.is_some();
    // The probe's time, not the row's, counts for an endpoint that is down.
    let own = if down {
        row.opt_at("next_probe_at")?.unwrap_or(due)
    } else {
        due
    };
    let unhurried = paused_until.map_or(own, |until| until.max(own));
    Ok(Lane {
        key: row.text("id")?,
        endpoint: Some(row.parsed("id")?),
        cap: usize::try_from(row.int("max_concurrency")?).unwrap_or(1),
        down,
        due: urgent.map_or(unhurried, |at| at.min(unhurried)),
        urgent,
        paused_until,
    })
}

impl Store {
    /// Every lane in which something waits, read without a transaction.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn waiting_lanes(&self) -> Result<Vec<Lane>, Error> {
        let endpoints = sqlx::query(ENDPOINT_LANES).fetch_all(self.reader()).await?;
        let callbacks = sqlx::query(CALLBACK_LANES).fetch_all(self.reader()).await?;
        lanes(&self.0.unreadable, &endpoints, &callbacks)
    }
}

impl Tx {
    /// Every lane in which something waits.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn waiting_lanes(&mut self) -> Result<Vec<Lane>, Error> {
        let endpoints = sqlx::query(ENDPOINT_LANES).fetch_all(self.connection()).await?;
        let callbacks = sqlx::query(CALLBACK_LANES).fetch_all(self.connection()).await?;
        lanes(&self.store.unreadable, &endpoints, &callbacks)
    }

    /// How many attempts of each lane are under way, those of other replicas included.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn under_way(&mut self) -> Result<HashMap<String, usize>, Error> {
        let rows = sqlx::query(
            "select lane, count(*) as attempts from webhook_deliveries where state = 'sending' group by lane",
        )
        .fetch_all(self.connection())
        .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.text("lane")?,
                    usize::try_from(row.int("attempts")?).unwrap_or(0),
                ))
            })
            .collect()
    }

    /// Claims up to `limit` deliveries of a lane for `owner` and writes the beginning of an attempt for each. What is
    /// urgent comes first; an endpoint that is down gets one probe, and only when `probe` allows. What cannot be read,
    /// because it was sealed with another key or is damaged, is set aside by itself and stops nothing else.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn claim(
        &mut self,
        lane: &Lane,
        limit: usize,
        probe: bool,
        owner: &str,
    ) -> Result<Claims, Error> {
        let now = self.clock().now();
        let mut chosen: Vec<(String, bool)> = Vec::new();
        if lane.urgent.is_some_and(|at| at <= now) {
            let ids = self.urgent(lane, now, limit).await?;
            chosen.extend(ids.into_iter().map(|id| (id, false)));
        }
        let paused = lane.paused_until.is_some_and(|until| until > now);
        if chosen.len() < limit && !paused {
            if lane.down {
                if probe && chosen.is_empty() {
                    let id = self.probe(lane, now).await?;
                    chosen.extend(id.map(|id| (id, true)));
                }
            } else {
                for id in self.due(lane, now, limit - chosen.len()).await? {
                    if !chosen.iter().any(|(known, _)| *known == id) {
                        chosen.push((id, false));
                    }
                }
            }
        }
        let mut claims = Claims::default();
        let shared = match lane.endpoint {
            Some(endpoint) if !chosen.is_empty() => match self.endpoint_destination(endpoint).await {
                Ok(destination) => Some(destination),
                Err(error) if error.is_unreadable() => {
                    tracing::error!(
                        %endpoint,
                        error = &error as &dyn std::error::Error,
                        "nothing can be sent to a webhook endpoint"
                    );
                    claims.unreadable = true;
                    return Ok(claims);
                }
                Err(error) => return Err(error),
            },
            // Callbacks of one origin differ in path and secret.
            Some(_) | None => None,
        };
        for (id, probe) in chosen {
            let Some(begun) = self.begin_attempt(&id, probe, owner, now).await? else {
                continue;
            };
            match self.claimed(lane, &begun, probe, shared.as_ref()).await {
                Ok(claimed) => claims.claimed.push(claimed),
                Err(error) if error.is_unreadable() => {
                    tracing::error!(
                        delivery = id,
                        error = &error as &dyn std::error::Error,
                        "a delivery cannot be read and is quarantined"
                    );
                    self.quarantine(&begun, owner).await?;
                    claims.quarantined += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(claims)
    }

    async fn urgent(&mut self, lane: &Lane, now: Timestamp, limit: usize) -> Result<Vec<String>, Error> {
        let rows = sqlx::query(
            "select id from webhook_deliveries \
             where lane = $1 and state = 'pending' and urgent = 1 and due_at <= $2 order by due_at, place limit $3",
        )
        .bind(lane.key.clone())
        .bind(micros(now))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.connection())
        .await?;
        rows.iter().map(|row| row.text("id")).collect()
    }

    /// Due deliveries, at most one of each session, and none of a session that has one under way.
    async fn due(&mut self, lane: &Lane, now: Timestamp, limit: usize) -> Result<Vec<String>, Error> {
        let rows = sqlx::query(
            "select d.id, d.order_key, d.place from webhook_deliveries d \
             where d.lane = $1 and d.state = 'pending' and d.blocked = 0 and d.due_at <= $2 \
               and (d.order_key is null or not exists (select 1 from webhook_deliveries s \
                    where s.lane = $1 and s.order_key = d.order_key and s.state = 'sending')) \
             order by d.due_at, d.place limit $3",
        )
        .bind(lane.key.clone())
        .bind(micros(now))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.connection())
        .await?;
        let mut found = rows
            .iter()
            .map(|row| Ok((row.int("place")?, row.opt_text("order_key")?, row.text("id")?)))
            .collect::<Result<Vec<_>, Error>>()?;
        found.sort();
        let mut sessions = HashSet::new();
        found.retain(|(_, session, _)| {
            session
                .as_ref()
                .is_none_or(|session| sessions.insert(session.clone()))
        });
        Ok(found.into_iter().map(|(_, _, id)| id).collect())
    }

    /// The delivery that probes an endpoint which is down: of the first of each session and those without one, the one
    /// that was tried longest ago, so that one poisonous body cannot keep the endpoint down. Where the first of a
    /// session keeps failing, the next of that session takes its turn as well.
    async fn probe(&mut self, lane: &Lane, now: Timestamp) -> Result<Option<String>, Error> {
        let row = sqlx::query(
            "select d.id from webhook_deliveries d \
             where d.lane = $1 and d.state = 'pending' \
               and (d.blocked = 0 or (\
                    not exists (select 1 from webhook_deliveries b where b.lane = $1 and b.order_key = d.order_key \
                         and b.state = 'pending' and b.blocked = 1 and b.place < d.place) \
                    and exists (select 1 from webhook_deliveries p where p.lane = $1 and p.order_key = d.order_key \
                         and p.state = 'pending' and p.blocked = 0 and p.passed = 0 and p.failures >= $2 \
                         and p.first_failed_at <= $3))) \
               and (d.order_key is null or not exists (select 1 from webhook_deliveries s \
                    where s.lane = $1 and s.order_key = d.order_key and s.state = 'sending')) \
             order by coalesce(d.last_attempt_at, 0), d.place limit 1",
        )
        .bind(lane.key.clone())
        .bind(PASS_FAILURES)
        .bind(micros(earlier(now, PASS_AFTER)))
        .fetch_optional(self.connection())
        .await?;
        row.map(|row| row.text("id")).transpose()
    }

    /// Makes a delivery `owner`'s; its row.
    async fn begin_attempt(
        &mut self,
        id: &str,
        probe: bool,
        owner: &str,
        now: Timestamp,
    ) -> Result<Option<AnyRow>, Error> {
        let row = sqlx::query(
            "update webhook_deliveries set state = 'sending', due_at = null, urgent = 0, owner = $1, probe = $2, \
                 since = case when attempts = 0 then $3 else since end, attempts = attempts + 1, last_attempt_at = $3 \
             where id = $4 and state = 'pending' \
             returning id, attempts, event_id, event_type, operation_id, created_at",
        )
        .bind(owner)
        .bind(i64::from(probe))
        .bind(micros(now))
        .bind(id)
        .fetch_optional(self.connection())
        .await?;
        let Some(row) = row else { return Ok(None) };
        sqlx::query("insert into webhook_attempts (delivery_id, number, at) values ($1, $2, $3)")
            .bind(id)
            .bind(row.int("attempts")?)
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        Ok(Some(row))
    }

    async fn claimed(
        &mut self,
        lane: &Lane,
        row: &AnyRow,
        probe: bool,
        shared: Option<&Destination>,
    ) -> Result<Claimed, Error> {
        let event: EventId = row.parsed("event_id")?;
        let body = sqlx::query("select body from events where id = $1")
            .bind(event.to_string())
            .fetch_one(self.connection())
            .await?
            .text("body")?;
        let to = match shared {
            Some(known) => known.clone(),
            None => self.callback_destination(&row.text("operation_id")?).await?,
        };
        Ok(Claimed {
            id: row.parsed("id")?,
            number: row.int("attempts")?,
            lane: lane.key.clone(),
            event,
            kind: EventType::parse(&row.text("event_type")?).ok_or(Error::Corrupt {
                what: "webhook_deliveries.event_type",
            })?,
            body,
            created_at: row.at("created_at")?,
            probe,
            to,
        })
    }

    /// Ends an attempt that cannot be made, and its delivery with it.
    async fn quarantine(&mut self, row: &AnyRow, owner: &str) -> Result<(), Error> {
        let (id, number): (DeliveryId, i64) = (row.parsed("id")?, row.int("attempts")?);
        if let Some(delivery) = self.sending(id, number, owner).await? {
            let end = AttemptEnd {
                error: Some(AttemptError::Unreadable),
                ..AttemptEnd::default()
            };
            self.end_attempt(id, number, &end).await?;
            let settled = Settled::Ended(DeliveryState::Quarantined);
            self.settle(&delivery, settled, false).await?;
        }
        Ok(())
    }
}
