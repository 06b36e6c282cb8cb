//! Webhook endpoints, deliveries and attempts.
//!
//! Deliveries are written with their event ([`fan_out`]); due rows are the queue, and there is no other. Who reads and
//! changes endpoints is in [`endpoints`], the lists that people see in [`deliveries`], what the dispatcher does with
//! due rows in [`claims`] and [`outcomes`], and with those of a whole endpoint at once in [`sweep`], and what formats keep in [`formats`]. URLs, header values
//! and secrets are sealed.

pub mod claims;
pub mod deliveries;
pub mod destination;
pub mod endpoints;
pub mod formats;
pub mod outcomes;
pub mod sweep;
#[cfg(test)]
mod tests;

use secrecy::{ExposeSecret as _, SecretString};

use super::readable::ENDPOINTS;
use super::row::{Columns as _, micros};
use super::{Error, Tx, tenants};
use crate::domain::event::{EventType, NewEvent};
use crate::domain::id::{DeliveryId, EmId, EndpointId, OperationId};
use crate::domain::webhook::Subscription;

/// What the sealed columns are sealed for.
mod purpose {
    pub(super) const ENDPOINT_URL: &str = "webhook_endpoints.url";
    pub(super) const ENDPOINT_HEADERS: &str = "webhook_endpoints.headers";
    pub(super) const ENDPOINT_SECRET: &str = "webhook_endpoints.secret";
    pub(super) const FORMAT_OPTIONS: &str = "webhook_endpoints.format_options";
    pub(super) const BODY: &str = "webhook_bodies.body";
    pub(super) const CALLBACK_URL: &str = "webhook_callbacks.url";
    pub(super) const CALLBACK_SECRET: &str = "webhook_callbacks.secret";
}

/// A delivery that waits behind the earlier ones of its session which no later one may pass.
const BEHIND: &str = "case when exists (select 1 from webhook_deliveries e where e.lane = $2 and e.order_key = $7 \
     and e.state in ('pending', 'sending', 'held') and e.passed = 0) then 1 else 0 end";

/// The endpoints that may get an event of the tenant with the id `$1` and the name `$2`, or about an endpoint of an owner `$3`
/// (docs/behaviour.md#tenants): those of owners who see it.
const ADDRESSED: &str = "select id, event_types, filter, enabled, owner_tenants from webhook_endpoints e \
     where owner_tenants is null or owner_tenants = $3 or exists (select 1 from webhook_endpoint_tenants t \
     where t.endpoint_id = e.id and t.tenant in ($1, $2))";

/// Writes a delivery of `event` for every endpoint that wants it, and for the callback of the operation that it ends,
/// within the event's own transaction.
pub(in crate::store) async fn fan_out(tx: &mut Tx, event: &NewEvent) -> Result<(), Error> {
    let routing = &event.routing;
    let (tenant_id, tenant_name) = tenants::columns(routing.tenant.as_ref());
    let rows = sqlx::query(ADDRESSED)
        .bind(tenant_id)
        .bind(tenant_name)
        .bind(tenants::owner_column(routing.endpoint_owner.as_ref())?)
        .fetch_all(tx.connection())
        .await?;
    let subscriptions = tx.read_rows(ENDPOINTS, &rows, |row| {
        let subscription = Subscription {
            endpoint: row.parsed("id")?,
            event_types: endpoints::types_from(row)?,
            filter: endpoints::narrower_filter_from(row)?,
        };
        Ok((subscription, row.opt_text("owner_tenants")?, row.flag("enabled")?))
    })?;
    for (subscription, owner, enabled) in subscriptions.items {
        if subscription.wants(event) {
            let to = Addressee::Endpoint(subscription.endpoint, owner);
            insert(tx, event, &to, enabled).await?;
        }
    }
    if let Some(operation) = event.routing.operation.filter(|_| event.routing.ends_operation) {
        fan_out_callback(tx, event, operation).await?;
    }
    Ok(())
}

enum Addressee {
    /// An endpoint and its `owner_tenants`.
    Endpoint(EndpointId, Option<String>),
    Callback {
        operation: OperationId,
        origin: String,
    },
}

async fn insert(tx: &mut Tx, event: &NewEvent, to: &Addressee, enabled: bool) -> Result<DeliveryId, Error> {
    let clock = tx.clock();
    let id = DeliveryId::new(clock.id());
    let now = micros(clock.now());
    let (lane, endpoint, operation, owner) = match to {
        Addressee::Endpoint(id, owner) => (id.to_string(), Some(id.to_string()), None, owner.clone()),
        Addressee::Callback { operation, origin } => {
            (callback_lane(origin), None, Some(operation.to_string()), None)
        }
    };
    let ordered = endpoint.is_some();
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "insert into webhook_deliveries \
             (id, lane, endpoint_id, operation_id, event_id, event_type, place, order_key, state, due_at, blocked, urgent, \
              since, created_at, owner_tenants) \
         values ($1, $2, $3, $4, $5, $6, (select seq from events where id = $5), $7, $8, $9, {BEHIND}, $10, $11, $11, $12)"
    )))
    .bind(id.to_string())
    .bind(lane)
    .bind(endpoint)
    .bind(operation)
    .bind(event.id.to_string())
    .bind(event.kind.as_str())
    .bind(event.routing.session.as_ref().filter(|_| ordered).map(EmId::key))
    .bind(if enabled { "pending" } else { "held" })
    .bind(enabled.then_some(now))
    .bind(i64::from(event.kind == EventType::WebhookTest))
    .bind(now)
    .bind(owner)
    .execute(tx.connection())
    .await?;
    Ok(id)
}

fn callback_lane(origin: &str) -> String {
    format!("callback {origin}")
}

/// Exactly one delivery: the callback's row remembers it, and a later event of the operation finds it used.
async fn fan_out_callback(tx: &mut Tx, event: &NewEvent, operation: OperationId) -> Result<(), Error> {
    let row =
        sqlx::query("select origin from webhook_callbacks where operation_id = $1 and delivery_id is null")
            .bind(operation.to_string())
            .fetch_optional(tx.connection())
            .await?;
    let Some(row) = row else { return Ok(()) };
    let to = Addressee::Callback {
        operation,
        origin: row.text("origin")?,
    };
    let delivery = insert(tx, event, &to, true).await?;
    sqlx::query("update webhook_callbacks set delivery_id = $1 where operation_id = $2")
        .bind(delivery.to_string())
        .bind(operation.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

impl Tx {
    /// Remembers where the end of an operation is to be reported, once. The URL was checked; it and the secret are sealed.
    ///
    /// # Errors
    /// [`Error::Database`], also for a second callback of the same operation.
    pub async fn add_callback(
        &mut self,
        operation: OperationId,
        url: &url::Url,
        secret: &SecretString,
    ) -> Result<(), Error> {
        let url_text = SecretString::from(url.as_str());
        let sealer = self.sealer();
        let now = micros(self.clock().now());
        sqlx::query(
            "insert into webhook_callbacks (operation_id, url, origin, secret, created_at) values ($1, $2, $3, $4, $5)",
        )
        .bind(operation.to_string())
        .bind(sealer.seal(purpose::CALLBACK_URL, &url_text)?)
        .bind(url.origin().ascii_serialization())
        .bind(sealer.seal(purpose::CALLBACK_SECRET, secret)?)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

/// Opens a sealed column.
fn opened(sealer: &super::seal::Sealer, purpose: &str, sealed: &str) -> Result<String, Error> {
    Ok(sealer.open_sealed(purpose, sealed)?.expose_secret().to_owned())
}
