//! Deliveries that are made due once more: one that a person asks for, and the batches of jobs.
//!
//! A row is written anew in the place of the old one, under the same event id, so that none is there twice. Order within a
//! session is kept as in [`super::outcomes`]: behind what waits of the session already, and the first of a batch before the others.

use std::collections::HashSet;

use super::super::row::{Columns as _, micros};
use super::super::sql::Sql;
use super::super::{Error, Tx, tenants};
use crate::domain::access::Tenancy;
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::webhook::DeliveryState;

/// An event that is to go to an endpoint again, or for the first time.
#[derive(Debug, Clone)]
pub(super) struct Resent {
    pub event: String,
    pub event_type: String,
    pub place: i64,
    pub session: Option<String>,
}

/// What became of a delivery that a person wants sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivered {
    /// It goes out now, or as soon as its endpoint is enabled.
    Due,
    /// There is no such delivery for this caller.
    Missing,
    /// Its endpoint, or what its callback goes to, is not there any more.
    Homeless,
}

impl Tx {
    /// Makes a delivery that `tenancy` sees due at once, whatever came of it before: it goes through the endpoint's pauses and
    /// past the others of its session. One under way stays as it is, one of a disabled endpoint is held.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn redeliver(&mut self, id: DeliveryId, tenancy: &Tenancy) -> Result<Redelivered, Error> {
        let mut find =
            Sql::new("select state, endpoint_id, operation_id from webhook_deliveries where id = ");
        find.bind(id.to_string()).and_delivery_seen_by(tenancy)?;
        let rows = find.fetch_all(self.connection()).await?;
        let Some(row) = rows.first() else {
            return Ok(Redelivered::Missing);
        };
        let enabled = match row.opt_text("endpoint_id")? {
            Some(endpoint) => {
                sqlx::query("select enabled from webhook_endpoints where id = $1")
                    .bind(endpoint)
                    .fetch_optional(self.connection())
                    .await?
            }
            None => {
                sqlx::query(
                    "select cast(1 as bigint) as enabled from webhook_callbacks where operation_id = $1",
                )
                .bind(row.text("operation_id")?)
                .fetch_optional(self.connection())
                .await?
            }
        };
        let Some(enabled) = enabled else {
            return Ok(Redelivered::Homeless);
        };
        let enabled = enabled.flag("enabled")?;
        let state = DeliveryState::parse(&row.text("state")?).ok_or(Error::Corrupt {
            what: "webhook_deliveries.state",
        })?;
        let fresh = state.is_final();
        let waits = fresh || state == DeliveryState::Pending;
        if !waits {
            return Ok(Redelivered::Due);
        }
        let now = micros(self.clock().now());
        // One that had ended begins its schedule anew; one that waits keeps its place in it, and comes sooner.
        let anew = if fresh {
            ", ended_at = null, step = 0, failures = 0, first_failed_at = null, crashes = 0, since = $2, passed = 1, blocked = 0"
        } else {
            ", since = case when $2 < since then $2 else since end"
        };
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "update webhook_deliveries set state = $3, due_at = $4, urgent = $5{anew} \
             where id = $1 and state not in ('sending', 'held')"
        )))
        .bind(id.to_string())
        .bind(now)
        .bind(if enabled { "pending" } else { "held" })
        .bind(enabled.then_some(now))
        .bind(i64::from(enabled))
        .execute(self.connection())
        .await?;
        self.note_deliveries();
        Ok(Redelivered::Due)
    }

    /// Writes a delivery to the endpoint for each of these events, in their order. What is on its way already, or was
    /// delivered, stays as it is.
    pub(super) async fn resend(
        &mut self,
        endpoint: EndpointId,
        enabled: bool,
        owner: Option<&str>,
        events: &[Resent],
    ) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        let lane = endpoint.to_string();
        let mut taken = self.waiting_sessions(&lane, events).await?;
        let clock = self.clock();
        let now = micros(clock.now());
        let mut sql = Sql::new(
            "insert into webhook_deliveries (id, lane, endpoint_id, event_id, event_type, place, order_key, state, due_at, \
             blocked, since, created_at, owner_tenants) values ",
        );
        for (at, event) in events.iter().enumerate() {
            let behind = event
                .session
                .as_ref()
                .is_some_and(|session| !taken.insert(session.clone()));
            sql.push(if at == 0 { "(" } else { ", (" })
                .bind(DeliveryId::new(clock.id()).to_string());
            sql.push(", ").bind(lane.clone());
            sql.push(", ").bind(lane.clone());
            sql.push(", ").bind(event.event.clone());
            sql.push(", ").bind(event.event_type.clone());
            sql.push(", cast(").bind(event.place);
            sql.push(" as bigint), ").bind(event.session.clone());
            sql.push(if enabled {
                ", 'pending', cast("
            } else {
                ", 'held', cast("
            })
            .bind(enabled.then_some(now));
            sql.push(" as bigint), cast(").bind(i64::from(behind));
            sql.push(" as bigint), cast(").bind(now);
            sql.push(" as bigint), cast(").bind(now);
            sql.push(" as bigint), ").bind(owner.map(ToOwned::to_owned));
            sql.push(")");
        }
        sql.push(
            " on conflict (lane, event_id) do update set state = excluded.state, due_at = excluded.due_at, ended_at = null, \
             blocked = excluded.blocked, passed = 0, urgent = 0, step = 0, failures = 0, first_failed_at = null, crashes = 0, \
             since = excluded.since \
             where webhook_deliveries.state in ('exhausted', 'quarantined', 'cancelled')",
        );
        sql.execute(self.connection()).await?;
        self.note_deliveries();
        Ok(())
    }

    /// The sessions of these events of which something waits at the endpoint that nothing may pass.
    async fn waiting_sessions(&mut self, lane: &str, events: &[Resent]) -> Result<HashSet<String>, Error> {
        let sessions: HashSet<String> = events.iter().filter_map(|event| event.session.clone()).collect();
        if sessions.is_empty() {
            return Ok(HashSet::new());
        }
        let mut sql = Sql::new("select distinct order_key from webhook_deliveries where lane = ");
        sql.bind(lane.to_owned());
        sql.push(" and state in ('pending', 'sending', 'held') and passed = 0");
        sql.and_one_of("order_key", sessions.into_iter().collect::<Vec<_>>().into_iter());
        let rows = sql.fetch_all(self.connection()).await?;
        rows.iter().map(|row| row.text("order_key")).collect()
    }

    /// Deliveries of an endpoint that were given up since `since`, behind `place` in the log, up to `limit`.
    pub(super) async fn given_up(
        &mut self,
        endpoint: EndpointId,
        since: i64,
        (place, last): (i64, i64),
        limit: i64,
    ) -> Result<Vec<Resent>, Error> {
        let rows = sqlx::query(
            "select event_id as event, event_type as kind, place, order_key as session from webhook_deliveries \
             where endpoint_id = $1 and state in ('exhausted', 'quarantined') and ended_at >= $2 and place > $3 \
               and place <= $4 order by place limit $5",
        )
        .bind(endpoint.to_string())
        .bind(since)
        .bind(place)
        .bind(last)
        .bind(limit)
        .fetch_all(self.connection())
        .await?;
        rows.iter().map(resent_from).collect()
    }

    /// What the log holds since `since`, behind `place`, that the endpoint wants and never got, up to `limit`. A test is
    /// for its own moment, and an event about the endpoint is not for itself.
    pub(super) async fn never_got(
        &mut self,
        wanted: &Wanted,
        since: i64,
        (place, last): (i64, i64),
        limit: i64,
    ) -> Result<Vec<Resent>, Error> {
        let mut sql = Sql::new(
            "select id as event, type as kind, seq as place, session_key as session from events where seq > ",
        );
        wanted.conditions(&mut sql, since, (place, last))?;
        sql.push(" order by seq limit ").bind(limit);
        let rows = sql.fetch_all(self.connection()).await?;
        rows.iter().map(resent_from).collect()
    }

    /// How many such events there are.
    pub(super) async fn count_never_got(
        &mut self,
        wanted: &Wanted,
        since: i64,
        bounds: (i64, i64),
    ) -> Result<i64, Error> {
        let mut sql = Sql::new("select count(*) as events from events where seq > ");
        wanted.conditions(&mut sql, since, bounds)?;
        let rows = sql.fetch_all(self.connection()).await?;
        rows.first().map_or(Ok(0), |row| row.int("events"))
    }
}

fn resent_from(row: &sqlx::any::AnyRow) -> Result<Resent, Error> {
    Ok(Resent {
        event: row.text("event")?,
        event_type: row.text("kind")?,
        place: row.int("place")?,
        session: row.opt_text("session")?,
    })
}

/// Which events an endpoint wants, as conditions of a statement; the same as `Subscription::wants` decides one by one.
pub(super) struct Wanted {
    pub endpoint: EndpointId,
    pub types: Vec<&'static str>,
    pub plans: Vec<String>,
    pub results: Vec<String>,
    /// The filter's tenants, where it restricts beyond the owner's own.
    pub tenants: Option<Tenancy>,
    pub owner: Tenancy,
}

impl Wanted {
    fn conditions(&self, sql: &mut Sql, since: i64, (place, last): (i64, i64)) -> Result<(), Error> {
        sql.bind(place);
        sql.push(" and seq <= ").bind(last);
        sql.push(" and at >= ").bind(since);
        if self.types.is_empty() {
            sql.push(" and 1 = 0");
        }
        sql.and_one_of("type", self.types.iter().map(|word| (*word).to_owned()));
        sql.and_one_of("plan_key", self.plans.iter().cloned());
        sql.and_one_of("result", self.results.iter().cloned());
        if let Some(tenants) = &self.tenants {
            sql.and_seen_by(tenants);
        }
        sql.and_event_seen_by(&self.owner)?;
        let id = self.endpoint.to_string();
        sql.push(" and (type not like 'webhook.endpoint.%' or body not like ")
            .bind(format!("%\"{id}\"%"));
        sql.push(") and not exists (select 1 from webhook_deliveries d where d.lane = ")
            .bind(id);
        sql.push(" and d.event_id = events.id and d.state in ('pending', 'sending', 'held', 'delivered'))");
        Ok(())
    }
}

/// The owner's column for rows of an endpoint.
pub(super) fn owner_text(owner: &Tenancy) -> Result<Option<String>, Error> {
    tenants::owner_column(owner.confinement().as_ref())
}
