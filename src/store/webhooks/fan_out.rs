//! Fan-out: a delivery for every endpoint that wants an event, and for the callback of the operation that it ends. The events
//! of a transaction are fanned out together when it commits, by a few statements over all of them.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::super::engine::Engine;
use super::super::readable::ENDPOINTS;
use super::super::row::{Columns as _, micros};
pub(super) use super::super::sets::{KEYS, keys};
use super::super::sets::{Shape, parameter};
use super::super::{Error, Tx, tenants};
use super::endpoints;
use crate::domain::event::{EventType, NewEvent};
use crate::domain::id::{DeliveryId, EmId, EndpointId, OperationId};
use crate::domain::webhook::Subscription;

/// How many deliveries one statement writes.
const ROWS_A_STATEMENT: usize = 1000;

/// An event whose row is written and whose deliveries are not. Its body is left behind.
pub(in crate::store) struct Appended {
    event: NewEvent,
}

impl Appended {
    pub(in crate::store) fn new(event: &NewEvent) -> Self {
        Self {
            event: NewEvent {
                id: event.id,
                kind: event.kind,
                at: event.at,
                body: String::new(),
                routing: event.routing.clone(),
            },
        }
    }

    pub(in crate::store) const fn kind(&self) -> EventType {
        self.event.kind
    }
}

/// An endpoint as fan-out sees it.
struct Addressed {
    subscription: Subscription,
    enabled: bool,
    /// The column `owner_tenants`, and what it says.
    owner_column: Option<String>,
    owner: Option<BTreeSet<String>>,
}

impl Addressed {
    /// Whether its owner sees an event with these columns (docs/behaviour.md#tenants).
    fn is_owned_by(&self, (tenant_id, tenant_name, owner): &EventColumns) -> bool {
        let Some(own) = &self.owner else { return true };
        let belongs = |tenant: &Option<String>| tenant.as_ref().is_some_and(|tenant| own.contains(tenant));
        belongs(tenant_id) || belongs(tenant_name) || (owner.is_some() && *owner == self.owner_column)
    }
}

/// Id and name of an event's tenant, and the owner of the endpoint that it is about.
type EventColumns = (Option<String>, Option<String>, Option<String>);

fn columns_of(event: &NewEvent) -> Result<EventColumns, Error> {
    let (id, name) = tenants::columns(event.routing.tenant.as_ref());
    let owner = tenants::owner_column(event.routing.endpoint_owner.as_ref())?;
    Ok((id, name, owner))
}

/// A row of `webhook_deliveries` to be written.
#[derive(Serialize)]
struct NewDelivery {
    delivery: String,
    in_lane: String,
    endpoint: Option<String>,
    operation: Option<String>,
    event: String,
    kind: &'static str,
    session: Option<String>,
    begins_as: &'static str,
    due: Option<i64>,
    /// 1 when an earlier one of this very set has to go first.
    behind: i64,
    is_test: i64,
    owner: Option<String>,
}

const NEW_DELIVERIES: Shape = &[
    ("delivery", "text"),
    ("in_lane", "text"),
    ("endpoint", "text"),
    ("operation", "text"),
    ("event", "text"),
    ("kind", "text"),
    ("session", "text"),
    ("begins_as", "text"),
    ("due", "bigint"),
    ("behind", "bigint"),
    ("is_test", "bigint"),
    ("owner", "text"),
];

/// The endpoints that may get an event of the tenants `$1` (ids and names), or about an endpoint of the owners `$2`: those of
/// owners who see it.
pub(super) fn addressed_sql(engine: Engine) -> String {
    let (tenants, owners) = (engine.table("$1", KEYS), engine.table("$2", KEYS));
    format!(
        "select id, event_types, filter, enabled, owner_tenants from webhook_endpoints \
         where owner_tenants is null or owner_tenants in (select r.key from {owners}) \
         or id in (select t.endpoint_id from webhook_endpoint_tenants t where t.tenant in (select r.key from {tenants}))"
    )
}

/// A delivery is blocked while one of its session waits which no later one may pass.
pub(super) fn insert_sql(engine: Engine) -> String {
    let rows = engine.table("$1", NEW_DELIVERIES);
    format!(
        "insert into webhook_deliveries \
             (id, lane, endpoint_id, operation_id, event_id, event_type, place, order_key, state, due_at, blocked, urgent, \
              since, created_at, owner_tenants) \
         select r.delivery, r.in_lane, r.endpoint, r.operation, r.event, r.kind, \
             (select l.seq from events l where l.id = r.event), r.session, r.begins_as, r.due, \
             case when r.behind = 1 or exists (select 1 from webhook_deliveries e where e.lane = r.in_lane \
                 and e.order_key = r.session and e.state in ('pending', 'sending', 'held') and e.passed = 0) \
             then 1 else 0 end, r.is_test, $2, $2, r.owner \
         from {rows}"
    )
}

const CALLBACKS: Shape = &[("operation", "text"), ("delivery", "text")];

/// A callback's row remembers its one delivery, and a later event of the operation finds it used.
#[derive(Serialize)]
struct UsedCallback {
    operation: String,
    delivery: String,
}

impl Tx {
    /// Writes the deliveries of events that this transaction appended, in the order of the log.
    pub(in crate::store) async fn fan_out(&mut self, events: &[Appended]) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        let endpoints = self.addressed(events).await?;
        let mut origins = self.unused_callbacks(events).await?;
        let clock = self.clock();
        let now = micros(clock.now());
        let (mut rows, mut used) = (Vec::new(), Vec::new());
        let mut waiting: HashSet<(EndpointId, String)> = HashSet::new();
        for Appended { event } in events {
            let row = |delivery: &DeliveryId| NewDelivery {
                delivery: delivery.to_string(),
                in_lane: String::new(),
                endpoint: None,
                operation: None,
                event: event.id.to_string(),
                kind: event.kind.as_str(),
                session: None,
                begins_as: "pending",
                due: Some(now),
                behind: 0,
                is_test: i64::from(event.kind == EventType::WebhookTest),
                owner: None,
            };
            let columns = columns_of(event)?;
            let wanting = endpoints
                .iter()
                .filter(|endpoint| endpoint.is_owned_by(&columns) && endpoint.subscription.wants(event));
            for endpoint in wanting {
                let id = endpoint.subscription.endpoint;
                let session = event.routing.session.as_ref().map(EmId::key);
                let behind = session
                    .as_ref()
                    .is_some_and(|session| !waiting.insert((id, session.clone())));
                rows.push(NewDelivery {
                    in_lane: id.to_string(),
                    endpoint: Some(id.to_string()),
                    session,
                    begins_as: if endpoint.enabled { "pending" } else { "held" },
                    due: endpoint.enabled.then_some(now),
                    behind: i64::from(behind),
                    owner: endpoint.owner_column.clone(),
                    ..row(&DeliveryId::new(clock.id()))
                });
            }
            let ended = event.routing.operation.filter(|_| event.routing.ends_operation);
            if let Some((operation, origin)) =
                ended.and_then(|operation| Some((operation, origins.remove(&operation)?)))
            {
                let row = row(&DeliveryId::new(clock.id()));
                used.push(UsedCallback {
                    operation: operation.to_string(),
                    delivery: row.delivery.clone(),
                });
                rows.push(NewDelivery {
                    in_lane: format!("callback {origin}"),
                    operation: Some(operation.to_string()),
                    ..row
                });
            }
        }
        for rows in rows.chunks(ROWS_A_STATEMENT) {
            sqlx::query(sqlx::AssertSqlSafe(insert_sql(self.engine())))
                .bind(parameter(rows)?)
                .bind(now)
                .execute(self.connection())
                .await?;
        }
        self.use_callbacks(&used).await
    }

    async fn addressed(&mut self, events: &[Appended]) -> Result<Vec<Addressed>, Error> {
        let (mut tenants, mut owners) = (BTreeSet::new(), BTreeSet::new());
        for Appended { event, .. } in events {
            let (id, name, owner) = columns_of(event)?;
            tenants.extend(id.into_iter().chain(name));
            owners.extend(owner);
        }
        let rows = sqlx::query(sqlx::AssertSqlSafe(addressed_sql(self.engine())))
            .bind(keys(tenants)?)
            .bind(keys(owners)?)
            .fetch_all(self.connection())
            .await?;
        let endpoints = self.read_rows(ENDPOINTS, &rows, |row| {
            Ok(Addressed {
                subscription: Subscription {
                    endpoint: row.parsed("id")?,
                    event_types: endpoints::types_from(row)?,
                    filter: endpoints::narrower_filter_from(row)?,
                },
                enabled: row.flag("enabled")?,
                owner_column: row.opt_text("owner_tenants")?,
                owner: tenants::owner_from(row)?,
            })
        })?;
        Ok(endpoints.items)
    }

    /// The origins of the callbacks that wait for the end of these operations.
    async fn unused_callbacks(&mut self, events: &[Appended]) -> Result<HashMap<OperationId, String>, Error> {
        let ended = events.iter().filter(|one| one.event.routing.ends_operation);
        let operations: Vec<OperationId> = ended.filter_map(|one| one.event.routing.operation).collect();
        if operations.is_empty() {
            return Ok(HashMap::new());
        }
        let table = self.engine().table("$1", KEYS);
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select operation_id, origin from webhook_callbacks \
             where delivery_id is null and operation_id in (select r.key from {table})"
        )))
        .bind(keys(operations)?)
        .fetch_all(self.connection())
        .await?;
        rows.iter()
            .map(|row| Ok((row.parsed("operation_id")?, row.text("origin")?)))
            .collect()
    }

    async fn use_callbacks(&mut self, used: &[UsedCallback]) -> Result<(), Error> {
        if used.is_empty() {
            return Ok(());
        }
        let table = self.engine().table("$1", CALLBACKS);
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "update webhook_callbacks set delivery_id = r.delivery from {table} where operation_id = r.operation"
        )))
        .bind(parameter(used)?)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
