//! Claims: what of that which is due is this process' to send now, of all lanes at once.
//!
//! A claim sets owner and attempt number; every later write names both ([`super::outcomes`]), so that whoever lost a
//! delivery changes nothing. A turn of claims is a few statements whatever the number of lanes and deliveries.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;

use super::super::engine::Engine;
use super::super::row::{Columns as _, micros};
use super::super::sets::{Shape, checked, parameter};
use super::super::{Error, Tx};
use super::choose::Chosen;
use super::destination::{self, Destination};
use super::fan_out::{KEYS, keys};
use super::lanes::Share;
use super::opened::OpenedDestinations;
use super::outcomes::{Attempt, AttemptEnd, EndedAttempt, Settled, Settlement};
use crate::domain::event::EventType;
use crate::domain::id::{DeliveryId, EndpointId, EventId};
use crate::domain::webhook::{AttemptError, DeliveryState};

/// What a turn of claims brought.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// What is to be sent.
    pub claimed: Vec<Claimed>,
    /// Endpoints that cannot be read, so that they have to be disabled. Nothing of them was claimed.
    pub unreadable: Vec<EndpointId>,
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
    /// The bytes to send, shared by all deliveries of the event.
    pub body: Arc<str>,
    /// When the delivery was written.
    pub created_at: Timestamp,
    /// Whether it probes an endpoint that is down.
    pub probe: bool,
    /// The `traceparent` of the request behind the operation that the event is about.
    pub traceparent: Option<Arc<str>>,
    /// Where it goes.
    pub to: Arc<Destination>,
}

/// What is sent of an event.
struct Sent {
    body: Arc<str>,
    traceparent: Option<Arc<str>>,
}

/// A delivery whose attempt begins.
#[derive(Serialize)]
struct Beginning {
    delivery: String,
    as_probe: i64,
}

const BEGINNINGS: Shape = &[("delivery", "text"), ("as_probe", "bigint")];

/// Makes deliveries `$2`'s. They are found by their ids alone ([`checked`]).
pub(super) fn begin_sql(engine: Engine) -> String {
    let state = checked("state");
    format!(
        "update webhook_deliveries set state = 'sending', due_at = null, urgent = 0, owner = $2, probe = r.as_probe, \
             since = case when attempts = 0 then $3 else since end, attempts = attempts + 1, last_attempt_at = $3 \
         from {} where id = r.delivery and {state} = 'pending' \
         returning id, lane, endpoint_id, attempts, event_id, event_type, operation_id, created_at, probe",
        engine.table("$1", BEGINNINGS)
    )
}

impl Tx {
    /// Claims for `owner` what the lanes may send, each within its share: an attempt at each is under way from now on.
    /// What is urgent comes first; an endpoint that is down gets one probe, and only when its share allows one. What cannot
    /// be read, because it was sealed with another key or is damaged, is set aside by itself and stops nothing else.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn claim(
        &mut self,
        shares: &[Share],
        owner: &str,
        opened: &OpenedDestinations,
    ) -> Result<Claims, Error> {
        let now = self.clock().now();
        let mut claims = Claims::default();
        let mut chosen = self.choose(shares, now).await?;
        if chosen.is_empty() {
            return Ok(claims);
        }
        let destinations = self
            .readable_destinations(&chosen, opened, &mut claims.unreadable)
            .await?;
        // Callbacks of one origin differ in path and secret.
        chosen.retain(|one| one.endpoint.is_none_or(|id| destinations.contains_key(&id)));
        let begun = self.begin_attempts(&chosen, owner, now).await?;
        if begun.is_empty() {
            return Ok(claims);
        }
        // Edits of one message keep to a pace of their own, and most are overtaken before they are sent.
        let edits = |lane: &str| {
            let share = shares.iter().find(|share| share.lane.key == lane);
            share.is_some_and(|share| share.lane.rate.is_none())
                && lane.parse().is_ok_and(|id: EndpointId| {
                    destinations.get(&id).is_some_and(|to| to.keeps_one_message())
                })
        };
        let mut of_lanes: HashMap<String, u32> = HashMap::new();
        for row in &begun {
            let lane = row.text("lane")?;
            if !edits(&lane) {
                *of_lanes.entry(lane).or_default() += 1;
            }
        }
        self.use_up_rates(shares, &of_lanes, now).await?;
        let bodies = self.bodies(&begun).await?;
        let callbacks = self.callback_destinations(&begun).await?;
        let mut unreadable = Vec::new();
        for row in &begun {
            let id: DeliveryId = row.parsed("id")?;
            match claimed(row, &bodies, &destinations, &callbacks) {
                Ok(claimed) => claims.claimed.push(claimed),
                Err(error) if error.is_unreadable() => {
                    tracing::error!(
                        delivery = %id,
                        error = &error as &dyn std::error::Error,
                        "a delivery cannot be read and is quarantined"
                    );
                    unreadable.push(Attempt {
                        delivery: id,
                        number: row.int("attempts")?,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        claims.quarantined = unreadable.len();
        self.quarantine(&unreadable, owner).await?;
        let order: HashMap<&str, usize> = chosen.iter().map(|one| one.id.as_str()).zip(0..).collect();
        claims
            .claimed
            .sort_by_cached_key(|claimed| order.get(claimed.id.to_string().as_str()).copied());
        Ok(claims)
    }

    async fn readable_destinations(
        &mut self,
        chosen: &[Chosen],
        opened: &OpenedDestinations,
        unreadable: &mut Vec<EndpointId>,
    ) -> Result<HashMap<EndpointId, Arc<Destination>>, Error> {
        let endpoints: HashSet<EndpointId> = chosen.iter().filter_map(|one| one.endpoint).collect();
        let mut readable = HashMap::new();
        if endpoints.is_empty() {
            return Ok(readable);
        }
        for (endpoint, destination) in self.endpoint_destinations(endpoints, opened).await? {
            match destination {
                Ok(destination) => {
                    readable.insert(endpoint, destination);
                }
                Err(error) => {
                    tracing::error!(
                        %endpoint,
                        error = &error as &dyn std::error::Error,
                        "nothing can be sent to a webhook endpoint"
                    );
                    unreadable.push(endpoint);
                }
            }
        }
        Ok(readable)
    }

    /// Makes deliveries `owner`'s; their rows.
    async fn begin_attempts(
        &mut self,
        chosen: &[Chosen],
        owner: &str,
        now: Timestamp,
    ) -> Result<Vec<AnyRow>, Error> {
        let beginnings = chosen.iter().map(|one| Beginning {
            delivery: one.id.clone(),
            as_probe: i64::from(one.probe),
        });
        let rows = sqlx::query(sqlx::AssertSqlSafe(begin_sql(self.engine())))
            .bind(parameter(&beginnings.collect::<Vec<_>>())?)
            .bind(owner)
            .bind(micros(now))
            .fetch_all(self.connection())
            .await?;
        Ok(rows)
    }

    /// The bodies of the events that are sent, and the traces that they belong to; those that cannot be read are missing.
    async fn bodies(&mut self, begun: &[AnyRow]) -> Result<HashMap<String, Sent>, Error> {
        let events = begun.iter().map(|row| row.text("event_id"));
        let events = events.collect::<Result<HashSet<_>, _>>()?;
        let table = self.engine().table("$1", KEYS);
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select e.id, e.body, o.traceparent from events e left join operations o on o.id = e.operation_id \
             where e.id in (select r.key from {table})"
        )))
        .bind(keys(events)?)
        .fetch_all(self.connection())
        .await?;
        let mut bodies = HashMap::with_capacity(rows.len());
        for row in &rows {
            match row.text("body") {
                Ok(body) => {
                    let sent = Sent {
                        body: body.into(),
                        traceparent: row.opt_text("traceparent")?.map(Into::into),
                    };
                    bodies.insert(row.text("id")?, sent);
                }
                Err(error) if error.is_unreadable() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(bodies)
    }

    /// Where the callbacks go that are sent; those that cannot be read have an error in its place.
    async fn callback_destinations(
        &mut self,
        begun: &[AnyRow],
    ) -> Result<HashMap<String, Result<Arc<Destination>, Error>>, Error> {
        let operations = begun.iter().map(|row| row.opt_text("operation_id"));
        let operations = operations.collect::<Result<Vec<_>, _>>()?;
        let operations: Vec<String> = operations.into_iter().flatten().collect();
        if operations.is_empty() {
            return Ok(HashMap::new());
        }
        let table = self.engine().table("$1", KEYS);
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select operation_id, url, secret from webhook_callbacks where operation_id in (select r.key from {table})"
        )))
        .bind(keys(operations)?)
        .fetch_all(self.connection())
        .await?;
        let sealer = self.sealer();
        let opened = rows.iter().map(|row| {
            let destination = destination::of_callback(row, &sealer).map(Arc::new);
            Ok((row.text("operation_id")?, destination))
        });
        opened.collect()
    }

    /// Ends attempts that cannot be made, and their deliveries with them.
    async fn quarantine(&mut self, attempts: &[Attempt], owner: &str) -> Result<(), Error> {
        if attempts.is_empty() {
            return Ok(());
        }
        let end = AttemptEnd {
            error: Some(AttemptError::Unreadable),
            ..AttemptEnd::default()
        };
        let sending = self.sending(attempts, owner).await?;
        let ended: Vec<EndedAttempt> = sending
            .iter()
            .map(|one| one.attempt.ended_by(one.began_at, &end))
            .collect();
        let settlements = sending.into_iter().map(|delivery| Settlement {
            delivery,
            settled: Settled::Ended(DeliveryState::Quarantined),
            may_be_passed: false,
        });
        self.settle(&settlements.collect::<Vec<_>>()).await?;
        self.end_attempts(&ended).await
    }
}

fn claimed(
    row: &AnyRow,
    bodies: &HashMap<String, Sent>,
    endpoints: &HashMap<EndpointId, Arc<Destination>>,
    callbacks: &HashMap<String, Result<Arc<Destination>, Error>>,
) -> Result<Claimed, Error> {
    let corrupt = |what| Error::Corrupt { what };
    let lost = || corrupt("webhook_deliveries.operation_id");
    let to = match row.opt_parsed::<EndpointId>("endpoint_id")? {
        Some(endpoint) => endpoints.get(&endpoint).ok_or_else(lost)?.clone(),
        None => match callbacks.get(&row.text("operation_id")?).ok_or_else(lost)? {
            Ok(destination) => destination.clone(),
            Err(Error::Corrupt { what }) => return Err(corrupt(what)),
            Err(_) => return Err(Error::Unsealable),
        },
    };
    let sent = bodies.get(&row.text("event_id")?).ok_or(corrupt("events.body"))?;
    Ok(Claimed {
        id: row.parsed("id")?,
        number: row.int("attempts")?,
        lane: row.text("lane")?,
        event: row.parsed("event_id")?,
        kind: EventType::parse(&row.text("event_type")?).ok_or(corrupt("webhook_deliveries.event_type"))?,
        body: sent.body.clone(),
        traceparent: sent.traceparent.clone(),
        created_at: row.at("created_at")?,
        probe: row.flag("probe")?,
        to,
    })
}
