//! Endpoints in the store: made, read, changed, disabled, deleted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::super::cursor::{Cursor, Page};
use super::super::readable::ENDPOINTS;
use super::super::row::{Columns as _, json, micros};
use super::super::seal::Sealer;
use super::super::sql::Sql;
use super::super::text::{checked, opt_checked, opt_kept};
use super::super::{Error, Store, Tx, tenants};
use super::receivers::facts_from;
use super::{connections, destination, formats, purpose};
use crate::domain::access::Tenancy;
use crate::domain::event::EventType;
use crate::domain::id::{EmId, EndpointId};
use crate::domain::webhook::endpoint::{Headers, Settings, Signer, SigningSecret};
use crate::domain::webhook::rules::EndpointHealth;
use crate::domain::webhook::signing::BodySignature;
use crate::domain::webhook::target::TargetUrl;
use crate::domain::webhook::{DisabledReason, Endpoint, Filter, Format, Owner, Sealed};

const COLUMNS: &str = "id, url, secret, shown_url, description, event_types, filter, format, format_options, headers, max_concurrency, enabled, \
     disabled_reason, created_at, updated_at, failures, first_failure_at, last_success_at, last_error, down_since, \
     told_failing, paused_until, next_probe_at, owner_issuer, owner_subject, owner_tenants, signing_key, signs_v1a, \
     previous_secret, previous_signing_key, rotated_at, body_signature, certificate_not_after, clock_skew, \
     rate, connection";

/// The columns of how an endpoint does.
pub(in crate::store) const HEALTH_COLUMNS: &str = "failures, first_failure_at, last_success_at, last_error, down_since, told_failing, \
     paused_until, next_probe_at";

/// The form in which a filter is kept.
#[derive(Serialize, Deserialize)]
struct StoredFilter {
    plans: Vec<EmId>,
    tenants: Vec<String>,
    results: Vec<String>,
}

impl Tx {
    /// Writes a new endpoint.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn insert_endpoint(
        &mut self,
        id: EndpointId,
        owner: &Owner,
        target: &TargetUrl,
        secret: &SigningSecret,
        settings: &Settings,
    ) -> Result<(), Error> {
        let sealer = self.sealer();
        let now = micros(self.clock().now());
        sqlx::query(
            "insert into webhook_endpoints (id, url, shown_url, secret, description, event_types, filter, format, headers, \
                 max_concurrency, enabled, created_at, updated_at, owner_issuer, owner_subject, owner_tenants, signs_v1a, \
                 body_signature, format_options, rate, connection) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
        )
        .bind(id.to_string())
        .bind(sealer.seal(purpose::ENDPOINT_URL, &SecretString::from(target.url().as_str()))?)
        .bind(target.shown(settings.format))
        .bind(sealer.seal(purpose::ENDPOINT_SECRET, secret.text())?)
        .bind(opt_checked(settings.description.as_deref())?)
        .bind(types_text(settings)?)
        .bind(filter_text(&settings.filter)?)
        .bind(settings.format.as_str())
        .bind(sealed_headers(&sealer, &settings.headers)?)
        .bind(i64::from(settings.max_concurrency))
        .bind(i64::from(settings.enabled))
        .bind(now)
        .bind(opt_checked(owner.issuer.as_deref())?)
        .bind(opt_checked(owner.subject.as_deref())?)
        .bind(tenants::owner_column(owner.tenants.as_ref())?)
        .bind(i64::from(settings.signs_v1a))
        .bind(settings.body_signature.map(BodySignature::as_str))
        .bind(formats::sealed_options(&sealer, &settings.options)?)
        .bind(settings.rate.map(i64::from))
        .bind(connections::sealed(&sealer, &settings.connection)?)
        .execute(self.connection())
        .await?;
        for tenant in owner.tenants.iter().flatten() {
            sqlx::query("insert into webhook_endpoint_tenants (endpoint_id, tenant) values ($1, $2)")
                .bind(id.to_string())
                .bind(checked(tenant)?)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// Writes what its owner changed. `target` is its address, new or not. The caller decides what becomes of
    /// waiting deliveries ([`Tx::hold_deliveries`], [`Tx::release_deliveries`]).
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn update_endpoint(&mut self, endpoint: &Endpoint, target: &TargetUrl) -> Result<(), Error> {
        let sealer = self.sealer();
        let now = micros(self.clock().now());
        let settings = &endpoint.settings;
        let url = SecretString::from(target.url().as_str());
        sqlx::query(
            "update webhook_endpoints set url = $1, shown_url = $2, description = $3, \
                 event_types = $4, filter = $5, format = $6, headers = $7, max_concurrency = $8, enabled = $9, \
                 disabled_reason = $10, updated_at = $11, signs_v1a = $12, body_signature = $13, format_options = $15, \
                 rate = $16, connection = $17 \
             where id = $14",
        )
        .bind(sealer.seal(purpose::ENDPOINT_URL, &url)?)
        .bind(target.shown(settings.format))
        .bind(opt_checked(settings.description.as_deref())?)
        .bind(types_text(settings)?)
        .bind(filter_text(&settings.filter)?)
        .bind(settings.format.as_str())
        .bind(sealed_headers(&sealer, &settings.headers)?)
        .bind(i64::from(settings.max_concurrency))
        .bind(i64::from(settings.enabled))
        .bind(endpoint.disabled_reason.map(DisabledReason::as_str))
        .bind(now)
        .bind(i64::from(settings.signs_v1a))
        .bind(settings.body_signature.map(BodySignature::as_str))
        .bind(endpoint.id.to_string())
        .bind(formats::sealed_options(&sealer, &settings.options)?)
        .bind(settings.rate.map(i64::from))
        .bind(connections::sealed(&sealer, &settings.connection)?)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Writes how an endpoint does.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn save_health(&mut self, id: EndpointId, health: &EndpointHealth) -> Result<(), Error> {
        sqlx::query(
            "update webhook_endpoints set failures = $1, first_failure_at = $2, last_success_at = $3, last_error = $4, \
                 down_since = $5, told_failing = $6, paused_until = $7, next_probe_at = $8 \
             where id = $9",
        )
        .bind(health.failures)
        .bind(health.first_failure_at.map(micros))
        .bind(health.last_success_at.map(micros))
        .bind(opt_kept(health.last_error.as_ref()))
        .bind(health.down_since.map(micros))
        .bind(i64::from(health.told_failing))
        .bind(health.paused_until.map(micros))
        .bind(health.next_probe_at.map(micros))
        .bind(id.to_string())
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Disables an endpoint for a reason of the gateway's own; what waits is held.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn disable_endpoint(&mut self, id: EndpointId, reason: DisabledReason) -> Result<(), Error> {
        sqlx::query("update webhook_endpoints set enabled = 0, disabled_reason = $1 where id = $2")
            .bind(reason.as_str())
            .bind(id.to_string())
            .execute(self.connection())
            .await?;
        self.hold_deliveries(id).await
    }

    /// Removes an endpoint that `tenancy` sees, and calls off what waits for it. True when it was there.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn delete_endpoint(&mut self, id: EndpointId, tenancy: &Tenancy) -> Result<bool, Error> {
        let mut query = Sql::new("delete from webhook_endpoints where id = ");
        query.bind(id.to_string()).and_owned_by(tenancy)?;
        query.push(" returning id");
        if query.fetch_all(self.connection()).await?.is_empty() {
            return Ok(false);
        }
        let now = micros(self.clock().now());
        sqlx::query(
            "update webhook_deliveries set state = 'cancelled', due_at = null, ended_at = $1 \
             where lane = $2 and state in ('pending', 'held')",
        )
        .bind(now)
        .bind(id.to_string())
        .execute(self.connection())
        .await?;
        Ok(true)
    }

    /// An endpoint that `tenancy` sees, which stays as it is until this transaction ends.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`], [`Error::Unsealable`].
    pub async fn endpoint(&mut self, id: EndpointId, tenancy: &Tenancy) -> Result<Option<Endpoint>, Error> {
        let mut query = Sql::new(format!("select {COLUMNS} from webhook_endpoints where id = "));
        query.bind(id.to_string()).and_owned_by(tenancy)?;
        query.push(self.engine().for_update());
        let rows = query.fetch_all(self.connection()).await?;
        let (sealer, now) = (self.sealer(), self.clock().now());
        let row = rows.first();
        row.map(|row| endpoint_from(row, &sealer, now)).transpose()
    }

    /// Every endpoint that is enabled and has failed since its last success.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`], [`Error::Unsealable`].
    pub async fn failing_endpoints(&mut self) -> Result<Vec<Endpoint>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from webhook_endpoints where enabled = 1 and failures > 0 order by id"
        )))
        .fetch_all(self.connection())
        .await?;
        let (sealer, now) = (self.sealer(), self.clock().now());
        let read = self.read_rows(ENDPOINTS, &rows, |row| endpoint_from(row, &sealer, now))?;
        Ok(read.items)
    }

    /// How many endpoints are disabled because they cannot be read.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn count_unreadable_endpoints(&mut self) -> Result<usize, Error> {
        let row =
            sqlx::query("select count(*) as endpoints from webhook_endpoints where disabled_reason = $1")
                .bind(DisabledReason::Unreadable.as_str())
                .fetch_one(self.connection())
                .await?;
        Ok(usize::try_from(row.int("endpoints")?).unwrap_or_default())
    }

    /// How many endpoints there are of callers who are confined to the owner's tenants, or else of this very owner.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn count_endpoints(&mut self, owner: &Owner) -> Result<usize, Error> {
        let mut query = Sql::new("select count(*) as endpoints from webhook_endpoints where ");
        match tenants::owner_column(owner.tenants.as_ref())? {
            Some(tenants) => query.push("owner_tenants = ").bind(tenants),
            None => query
                .push("owner_tenants is null and coalesce(owner_issuer, '') = ")
                .bind(owner.issuer.clone().unwrap_or_default())
                .push(" and coalesce(owner_subject, '') = ")
                .bind(owner.subject.clone().unwrap_or_default()),
        };
        let rows = query.fetch_all(self.connection()).await?;
        let count = rows.first().map(|row| row.int("endpoints")).transpose()?;
        Ok(usize::try_from(count.unwrap_or_default()).unwrap_or_default())
    }
}

impl Store {
    /// An endpoint that `tenancy` sees.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`], [`Error::Unsealable`].
    pub async fn endpoint(&self, id: EndpointId, tenancy: &Tenancy) -> Result<Option<Endpoint>, Error> {
        let mut query = Sql::new(format!("select {COLUMNS} from webhook_endpoints where id = "));
        query.bind(id.to_string()).and_owned_by(tenancy)?;
        let rows = query.fetch_all(self.reader()).await?;
        rows.first()
            .map(|row| {
                let read = endpoint_from(row, self.sealer(), self.clock().now());
                self.0.unreadable.note(ENDPOINTS, row, read)
            })
            .transpose()
    }

    /// Up to `limit` endpoints that `tenancy` sees, newest first.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`], [`Error::Unsealable`].
    pub async fn endpoints(
        &self,
        tenancy: &Tenancy,
        cursor: Option<Cursor<EndpointId>>,
        limit: i64,
    ) -> Result<Vec<Endpoint>, Error> {
        let mut page = Page::newest_first(cursor, limit);
        loop {
            let mut query = Sql::new(format!("select {COLUMNS} from webhook_endpoints where 1 = 1"));
            query.and_owned_by(tenancy)?;
            page.confine(&mut query);
            let rows = query.fetch_all(self.reader()).await?;
            let now = self.clock().now();
            let items = self.read_rows(ENDPOINTS, &rows, |row| endpoint_from(row, self.sealer(), now))?;
            if !page.add(items, &rows)? {
                return Ok(page.done());
            }
        }
    }
}

fn endpoint_from(row: &AnyRow, sealer: &Sealer, now: Timestamp) -> Result<Endpoint, Error> {
    let corrupt = |what| Error::Corrupt { what };
    // One that cannot be read must not hide the others, and its owner is to learn why nothing comes.
    let opened = |row| {
        Ok::<_, Error>((
            destination::of_endpoint(row, sealer)?,
            destination::signing_key(row, sealer)?,
        ))
    };
    let sealed = match opened(row) {
        Ok(opened) => Some(opened),
        Err(error) if error.is_unreadable() => None,
        Err(error) => return Err(error),
    };
    let receiver = facts_from(row)?;
    Ok(Endpoint {
        id: row.parsed("id")?,
        owner: Owner {
            issuer: row.opt_text("owner_issuer")?,
            subject: row.opt_text("owner_subject")?,
            tenants: tenants::owner_from(row)?,
        },
        shown_url: row.text("shown_url")?,
        settings: Settings {
            description: row.opt_text("description")?,
            event_types: types_from(row)?,
            filter: filter_from(row)?,
            format: Format::parse(&row.text("format")?).ok_or(corrupt("webhook_endpoints.format"))?,
            enabled: row.flag("enabled")?,
            headers: sealed
                .as_ref()
                .map(|(destination, _)| destination.headers.clone())
                .unwrap_or_default(),
            max_concurrency: u32::try_from(row.int("max_concurrency")?)
                .map_err(|_| corrupt("webhook_endpoints.max_concurrency"))?,
            signs_v1a: row.flag("signs_v1a")?,
            body_signature: row
                .opt_text("body_signature")?
                .and_then(|word| BodySignature::parse(&word)),
            options: sealed
                .as_ref()
                .map(|(destination, _)| destination.options.clone())
                .unwrap_or_default(),
            rate: row.opt_int("rate")?.and_then(|rate| u32::try_from(rate).ok()),
            connection: sealed
                .as_ref()
                .map(|(destination, _)| destination.connection.clone())
                .unwrap_or_default(),
        },
        disabled_reason: row
            .opt_text("disabled_reason")?
            .map(|word| DisabledReason::parse(&word).ok_or(corrupt("webhook_endpoints.disabled_reason")))
            .transpose()?,
        readable: sealed.is_some(),
        rotated_at: row.opt_at("rotated_at")?,
        sealed: sealed.map(|(destination, key)| Sealed {
            target: destination.target,
            signer: Signer {
                secret: destination.secret,
                key,
            },
        }),
        health: health_from(row)?,
        receiver,
        certificate_expires_soon: receiver.expires_soon(now),
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
    })
}

pub(in crate::store) fn health_from(row: &AnyRow) -> Result<EndpointHealth, Error> {
    let at = |what| -> Result<Option<Timestamp>, Error> { row.opt_at(what) };
    Ok(EndpointHealth {
        failures: row.int("failures")?,
        first_failure_at: at("first_failure_at")?,
        last_success_at: at("last_success_at")?,
        last_error: row.opt_text("last_error")?,
        down_since: at("down_since")?,
        told_failing: row.flag("told_failing")?,
        paused_until: at("paused_until")?,
        next_probe_at: at("next_probe_at")?,
    })
}

fn sealed_headers(sealer: &Sealer, headers: &Headers) -> Result<String, Error> {
    let values: BTreeMap<&str, &str> = headers.iter().collect();
    let text = json(&values, "webhook_endpoints.headers")?;
    sealer.seal(purpose::ENDPOINT_HEADERS, &SecretString::from(text))
}

fn types_text(settings: &Settings) -> Result<Option<String>, Error> {
    let words = settings
        .event_types
        .as_ref()
        .map(|types| types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>());
    words
        .map(|words| json(&words, "webhook_endpoints.event_types"))
        .transpose()
}

/// Types that a later program knew and this one does not are left out.
pub(super) fn types_from(row: &AnyRow) -> Result<Option<Vec<EventType>>, Error> {
    let words: Option<Vec<String>> = row.opt_document("event_types")?;
    Ok(words.map(|words| words.iter().filter_map(|word| EventType::parse(word)).collect()))
}

fn filter_text(filter: &Filter) -> Result<String, Error> {
    let stored = StoredFilter {
        plans: filter.plans.clone(),
        tenants: filter.tenants.clone(),
        results: filter.results.clone(),
    };
    json(&stored, "webhook_endpoints.filter")
}

/// What the filter restricts beyond the owner's own tenants, where the statement that found the row has compared those.
pub(super) fn narrower_filter_from(row: &AnyRow) -> Result<Filter, Error> {
    let mut filter = filter_from(row)?;
    let own = tenants::owner_from(row)?;
    let wanted = Tenancy::Only(filter.tenants.iter().cloned().collect());
    if own.is_some() && wanted.confinement() == own {
        filter.tenants.clear();
    }
    Ok(filter)
}

fn filter_from(row: &AnyRow) -> Result<Filter, Error> {
    let stored: StoredFilter = row.document("filter")?;
    Ok(Filter {
        plans: stored.plans,
        tenants: stored.tenants,
        results: stored.results,
    })
}
