//! Lanes: what shares a bound on concurrency, an endpoint or the origin of callbacks, and has something that waits.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;

use super::super::readable::{CALLBACK_LANES as CALLBACKS, ENDPOINTS, Unreadable};
use super::super::row::{Columns as _, micros};
use super::super::sets::{Shape, parameter};
use super::super::{Error, Store, Tx};
use crate::clock::later;
use crate::domain::id::EndpointId;
use crate::domain::webhook::Format;

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
    /// How many attempts are under way, those of other replicas included.
    pub under_way: usize,
    /// Whether only a probe may go out.
    pub down: bool,
    /// When something may go out next.
    pub due: Timestamp,
    /// When something may go out that ignores the endpoint's pauses.
    pub urgent: Option<Timestamp>,
    /// Until when the endpoint asked for silence.
    pub paused_until: Option<Timestamp>,
    /// The format, where its word is known; none for callbacks.
    pub format: Option<Format>,
    /// How many deliveries a second its owner wants.
    pub rate: Option<u32>,
    /// Until when those that went out have used its rate up.
    pub paced_until: Option<Timestamp>,
    /// The time that one delivery uses up; none without a rate.
    pub interval: Option<Duration>,
}

/// What a lane may claim in one turn.
#[derive(Debug, Clone)]
pub struct Share {
    /// The lane.
    pub lane: Lane,
    /// How many deliveries at the most.
    pub limit: usize,
    /// Whether a probe may go out, if its endpoint is down.
    pub probe: bool,
}

/// Every enabled endpoint, and every origin of callbacks for which something waits, with what it has under way in all
/// replicas.
pub(super) const LANES: &str = "select e.id as lane, e.id, e.max_concurrency, e.down_since, e.paused_until, e.next_probe_at, \
         e.format, e.rate, e.paced_until, \
         (select d.due_at from webhook_deliveries d where d.lane = e.id and d.state = 'pending' and d.blocked = 0 \
             order by d.due_at, d.place limit 1) as due, \
         (select u.due_at from webhook_deliveries u where u.lane = e.id and u.state = 'pending' and u.urgent = 1 \
             order by u.due_at limit 1) as urgent, \
         (select count(*) from webhook_deliveries s where s.lane = e.id and s.state = 'sending') as under_way \
     from webhook_endpoints e where e.enabled = 1 \
     union all \
     select c.lane, null, null, null, null, null, null, null, null, c.due, null, \
         (select count(*) from webhook_deliveries s where s.lane = c.lane and s.state = 'sending') \
     from (select lane, min(due_at) as due from webhook_deliveries \
         where endpoint_id is null and state = 'pending' group by lane) as c";

/// Every lane in which something waits, those aside that cannot be read.
fn lanes(known: &Unreadable, rows: &[AnyRow]) -> Result<Vec<Lane>, Error> {
    let of_endpoints = known.read(ENDPOINTS, rows, |row| {
        let (endpoint, due) = (row.opt_text("id")?, row.opt_at("due")?);
        due.filter(|_| endpoint.is_some())
            .map(|due| endpoint_lane(row, due))
            .transpose()
    })?;
    let of_callbacks = known.read(CALLBACKS, rows, |row| {
        if row.opt_text("id")?.is_some() {
            return Ok(None);
        }
        Ok(Some(Lane {
            key: row.text("lane")?,
            endpoint: None,
            cap: CALLBACK_CONCURRENCY,
            under_way: under_way(row)?,
            down: false,
            due: row.at("due")?,
            urgent: None,
            paused_until: None,
            format: None,
            rate: None,
            paced_until: None,
            interval: None,
        }))
    })?;
    let lanes = of_endpoints.items.into_iter().chain(of_callbacks.items);
    Ok(lanes.flatten().collect())
}

fn under_way(row: &AnyRow) -> Result<usize, Error> {
    Ok(usize::try_from(row.int("under_way")?).unwrap_or(0))
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
        under_way: under_way(row)?,
        down,
        due: urgent.map_or(unhurried, |at| at.min(unhurried)),
        urgent,
        paused_until,
        format: Format::parse(&row.text("format")?),
        rate: row.opt_int("rate")?.and_then(|rate| u32::try_from(rate).ok()),
        paced_until: row.opt_at("paced_until")?,
        interval: None,
    })
}

/// The pace of an endpoint, as it is after what was claimed.
#[derive(Serialize)]
struct Paced {
    endpoint: String,
    until: i64,
}

const PACED: Shape = &[("endpoint", "text"), ("until", "bigint")];

impl Store {
    /// Every lane in which something waits, read without a transaction.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn waiting_lanes(&self) -> Result<Vec<Lane>, Error> {
        let rows = sqlx::query(LANES).fetch_all(self.reader()).await?;
        lanes(&self.0.unreadable, &rows)
    }
}

impl Tx {
    /// Every lane in which something waits.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn waiting_lanes(&mut self) -> Result<Vec<Lane>, Error> {
        let rows = sqlx::query(LANES).fetch_all(self.connection()).await?;
        lanes(&self.store.unreadable, &rows)
    }

    /// Uses up the rates of lanes by what was claimed of each, so that no replica and no next start sends more.
    pub(super) async fn use_up_rates(
        &mut self,
        shares: &[Share],
        claimed: &HashMap<String, u32>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let paced = shares.iter().filter_map(|Share { lane, .. }| {
            let (interval, claimed) = (lane.interval?, *claimed.get(&lane.key)?);
            let from = lane.paced_until.map_or(now, |until| until.max(now));
            Some(Paced {
                endpoint: lane.key.clone(),
                until: micros(later(from, interval.saturating_mul(claimed))),
            })
        });
        let paced: Vec<Paced> = paced.collect();
        if paced.is_empty() {
            return Ok(());
        }
        let table = self.engine().table("$1", PACED);
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "update webhook_endpoints set paced_until = r.until from {table} where id = r.endpoint"
        )))
        .bind(parameter(&paced)?)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock, SystemClock};
    use crate::domain::event::{EventType, NewEvent, Routing};
    use crate::domain::id::EventId;
    use crate::domain::webhook::Owner;
    use crate::domain::webhook::endpoint::{Settings, SigningSecret};
    use crate::domain::webhook::target::TargetUrl;
    use crate::store::testing::temporary_with;
    use crate::store::webhooks::opened::OpenedDestinations;

    #[tokio::test]
    async fn what_is_claimed_uses_up_the_rate_of_its_endpoint() {
        let clock = ManualClock::at(SystemClock.now());
        let store = temporary_with(clock.clone()).await;
        let mut tx = store.begin().await.expect("begun");
        let target = TargetUrl::parse("https://receiver.example/", false).expect("a URL");
        let secret = SigningSecret::from_key(&[1; 32]);
        let settings = Settings {
            rate: Some(4),
            ..Settings::default()
        };
        let id = EndpointId::new(clock.id());
        tx.insert_endpoint(id, &Owner::default(), &target, &secret, &settings)
            .await
            .expect("inserted");
        for _ in 0..3 {
            let event = NewEvent {
                id: EventId::new(clock.id()),
                kind: EventType::UpstreamUnavailable,
                at: clock.now(),
                body: "{}".into(),
                routing: Routing::default(),
            };
            tx.append_event(&event).await.expect("appended");
        }
        tx.commit().await.expect("committed");
        let interval = Duration::from_millis(250);
        let mut until = Vec::new();
        for limit in [2, 1] {
            let mut tx = store.begin().await.expect("begun");
            let mut lane = tx.waiting_lanes().await.expect("lanes").remove(0);
            assert_eq!((lane.rate, lane.format), (Some(4), Some(Format::Standard)));
            lane.interval = Some(interval);
            let share = Share {
                lane,
                limit,
                probe: true,
            };
            let claims = tx.claim(&[share], "me", &OpenedDestinations::default()).await;
            assert_eq!(claims.expect("claimed").claimed.len(), limit);
            let row = sqlx::query("select paced_until from webhook_endpoints")
                .fetch_one(tx.connection())
                .await
                .expect("a row");
            until.push(row.int("paced_until").expect("a moment"));
            tx.commit().await.expect("committed");
        }
        let now = micros(clock.now());
        assert_eq!(until, [now + 500_000, now + 750_000]);
    }
}
