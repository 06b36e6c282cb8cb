//! Deliveries as they are shown: listed, and read with every attempt.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::any::AnyRow;

use super::super::cursor::{Cursor, Page};
use super::super::readable::DELIVERIES;
use super::super::row::Columns as _;
use super::super::sql::Sql;
use super::super::{Error, Store};
use crate::domain::access::Tenancy;
use crate::domain::event::EventType;
use crate::domain::id::{DeliveryId, EmId, EndpointId, EventId, OperationId};
use crate::domain::webhook::exchange::{Exchange, TlsVersion};
use crate::domain::webhook::rules::Wait;
use crate::domain::webhook::{Attempt, AttemptError, Delivery, DeliveryState};

/// Which deliveries a list shows; empty means all.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// The endpoint.
    pub endpoint: Option<EndpointId>,
    /// The states wanted.
    pub states: Vec<DeliveryState>,
    /// The event types to receive.
    pub event_types: Vec<EventType>,
    /// What their events are about: this operation, its failover session included.
    pub operation: Option<OperationId>,
    /// What their events are about: this failover session.
    pub session: Option<EmId>,
}

impl DeliveryFilter {
    /// Narrows a statement to the deliveries of events about one thing, by the indexes of events.
    fn confine_about(&self, sql: &mut Sql) {
        if let Some(session) = &self.session {
            sql.confine()
                .push(" and event_id in (select id from events where session_key = ")
                .bind(session.key())
                .push(")");
        }
        if let Some(operation) = &self.operation {
            sql.confine()
                .push(" and event_id in (select id from events where operation_id = ")
                .bind(operation.to_string())
                .push(
                    " union select e.id from operations o join events e on e.session_key = o.session_key where o.id = ",
                )
                .bind(operation.to_string())
                .push(")");
        }
    }
}

const COLUMNS: &str = "id, endpoint_id, operation_id, event_id, event_type, state, due_at, blocked, urgent, created_at, \
     (select e.paused_until from webhook_endpoints e where e.id = webhook_deliveries.endpoint_id) as paused_until, \
     (select e.next_probe_at from webhook_endpoints e where e.id = webhook_deliveries.endpoint_id \
          and e.down_since is not null) as probe_at";

impl Store {
    /// A delivery that `tenancy` sees, with every attempt.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn delivery(&self, id: DeliveryId, tenancy: &Tenancy) -> Result<Option<Delivery>, Error> {
        let mut sql = Sql::new(format!("select {COLUMNS} from webhook_deliveries where id = "));
        sql.bind(id.to_string()).and_delivery_seen_by(tenancy)?;
        self.only(sql).await
    }

    /// The delivery of an event to an endpoint, if `tenancy` sees it.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn delivery_of(
        &self,
        event: EventId,
        endpoint: EndpointId,
        tenancy: &Tenancy,
    ) -> Result<Option<Delivery>, Error> {
        let mut sql = Sql::new(format!(
            "select {COLUMNS} from webhook_deliveries where event_id = "
        ));
        sql.bind(event.to_string());
        sql.push(" and endpoint_id = ").bind(endpoint.to_string());
        sql.and_delivery_seen_by(tenancy)?;
        self.only(sql).await
    }

    async fn only(&self, wanted: Sql) -> Result<Option<Delivery>, Error> {
        let (mut found, rows) = self.with_attempts(wanted).await?;
        if found.is_empty() && !rows.is_empty() {
            return Err(Error::Corrupt {
                what: "webhook_deliveries",
            });
        }
        Ok(found.pop())
    }

    /// Up to `limit` deliveries that `tenancy` sees, newest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn deliveries(
        &self,
        tenancy: &Tenancy,
        filter: &DeliveryFilter,
        cursor: Option<Cursor<DeliveryId>>,
        limit: i64,
    ) -> Result<Vec<Delivery>, Error> {
        let mut page = Page::newest_first(cursor, limit);
        loop {
            let mut sql = Sql::new(format!("select {COLUMNS} from webhook_deliveries where 1 = 1"));
            let endpoint: Vec<String> = filter.endpoint.iter().map(ToString::to_string).collect();
            sql.and_one_of("endpoint_id", endpoint.into_iter());
            sql.and_one_of(
                "state",
                filter.states.iter().map(|state| state.as_str().to_owned()),
            );
            let types = filter.event_types.iter().map(|kind| kind.as_str().to_owned());
            sql.and_one_of("event_type", types);
            sql.and_delivery_seen_by(tenancy)?;
            filter.confine_about(&mut sql);
            page.confine(&mut sql);
            let (items, rows) = self.with_attempts(sql).await?;
            if !page.add(items, &rows)? {
                return Ok(page.done());
            }
        }
    }

    /// The deliveries that a statement finds, each with its attempts as they were at that moment, and the rows; those that
    /// cannot be read are left out.
    async fn with_attempts(&self, wanted: Sql) -> Result<(Vec<Delivery>, Vec<AnyRow>), Error> {
        let mut snapshot = self.snapshot().await?;
        let rows = wanted.fetch_all(self.timed(&mut *snapshot)).await?;
        let mut attempts: HashMap<String, Vec<AnyRow>> = HashMap::new();
        if !rows.is_empty() {
            let mut sql = Sql::new(
                "select delivery_id, number, at, duration_us, status, error, location, response, warning, note, dns_us, connect_us, \
                 tls_us, first_byte_us, remote, tls_version, reused from webhook_attempts where 1 = 1",
            );
            let ids = rows
                .iter()
                .map(|row| row.text("id"))
                .collect::<Result<Vec<_>, _>>()?;
            sql.and_one_of("delivery_id", ids.into_iter());
            sql.push(" order by delivery_id, number");
            for row in sql.fetch_all(self.timed(&mut *snapshot)).await? {
                attempts.entry(row.text("delivery_id")?).or_default().push(row);
            }
        }
        drop(snapshot);
        let deliveries = self.read_rows(DELIVERIES, &rows, |row| {
            let own = attempts.get(&row.text("id")?).into_iter().flatten();
            delivery_from(row, own.map(attempt_from).collect::<Result<_, _>>()?)
        })?;
        Ok((deliveries, rows))
    }
}

fn delivery_from(row: &AnyRow, attempts: Vec<Attempt>) -> Result<Delivery, Error> {
    let blocked = row.flag("blocked")?;
    let wait = Wait {
        is_urgent: row.flag("urgent")?,
        paused_until: row.opt_at("paused_until")?,
        probe_at: row.opt_at("probe_at")?,
    };
    Ok(Delivery {
        id: row.parsed("id")?,
        endpoint: row.opt_parsed("endpoint_id")?,
        operation: row.opt_parsed("operation_id")?,
        event: row.parsed("event_id")?,
        event_type: EventType::parse(&row.text("event_type")?).ok_or(Error::Corrupt {
            what: "webhook_deliveries.event_type",
        })?,
        state: DeliveryState::parse(&row.text("state")?).ok_or(Error::Corrupt {
            what: "webhook_deliveries.state",
        })?,
        next_attempt_at: row
            .opt_at("due_at")?
            .filter(|_| !blocked)
            .map(|due| wait.next_attempt(due)),
        created_at: row.at("created_at")?,
        attempts,
    })
}

/// The words of earlier versions are read too: while replicas are updated one by one, some still write them.
fn attempt_error(word: &str) -> Option<AttemptError> {
    match word {
        "headTooLarge" => Some(AttemptError::HeadersTooLarge),
        "unknownEnd" => Some(AttemptError::Interrupted),
        "refusedAddress" => Some(AttemptError::BlockedAddress),
        word => AttemptError::parse(word),
    }
}

fn attempt_from(row: &AnyRow) -> Result<Attempt, Error> {
    let corrupt = |what| Error::Corrupt { what };
    Ok(Attempt {
        number: row.int("number")?,
        at: row.at("at")?,
        status: row
            .opt_int("status")?
            .map(|status| u16::try_from(status).map_err(|_| corrupt("webhook_attempts.status")))
            .transpose()?,
        duration: time(row, "duration_us")?,
        error: row
            .opt_text("error")?
            .map(|word| attempt_error(&word).ok_or(corrupt("webhook_attempts.error")))
            .transpose()?,
        location: row.opt_text("location")?,
        response: row.opt_text("response")?,
        warning: row.opt_text("warning")?,
        note: row.opt_text("note")?,
        // What a later program wrote here, or damage, costs no more than itself.
        exchange: Exchange {
            dns: time(row, "dns_us")?,
            connect: time(row, "connect_us")?,
            tls: time(row, "tls_us")?,
            first_byte: time(row, "first_byte_us")?,
            remote: row.opt_text("remote")?.and_then(|text| text.parse().ok()),
            tls_version: row
                .opt_text("tls_version")?
                .and_then(|word| TlsVersion::parse(&word)),
            reused: row.opt_int("reused")?.map(|flag| flag == 1),
        },
    })
}

fn time(row: &AnyRow, column: &'static str) -> Result<Option<Duration>, Error> {
    let micros = row.opt_int(column)?;
    Ok(micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or_default())))
}
