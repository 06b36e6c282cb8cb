//! The verbs for webhook endpoints and deliveries; `settings` holds what a caller may set, `secrets` the verbs for what signs, `change`
//! those that change an endpoint, `again` those that send something once more, `known` what a filter names and nobody knows. They
//! never send a webhook.
//!
//! Invariant: whatever is wrong with a request is reported together, before anything is written.
//! Tests: `tests/it/webhooks.rs`.

mod again;
mod change;
mod connection;
mod kept;
mod known;
mod messages;
mod secrets;
mod settings;
mod shown;

use std::time::Duration;

pub use self::change::{Change, ChangedEndpoint};
pub use self::messages::{Messages, example_signature};
use self::settings::{apply, check_credentials, confine, given_secret, patch_of};
use super::audit::Told;
use super::intent::Callback;
use super::page::{LogPage, one_more};
use super::{Error, FieldError, OpContext};
use crate::api_types::events::{TestEventData, event};
use crate::api_types::webhooks::WebhookEndpointCreate;
use crate::clock::SharedClock;
use crate::domain::audit::AuditAction;
use crate::domain::event::{EventType, Routing};
use crate::domain::id::{DeliveryId, EndpointId, EventId};
use crate::domain::links::API;
use crate::domain::webhook::connection::{Connection, TIMEOUT_MOST};
use crate::domain::webhook::endpoint::{ENDPOINTS_LIMIT, Settings, SigningSecret};
use crate::domain::webhook::signing::SigningKey;
use crate::domain::webhook::target::{MASK, TargetUrl};
use crate::domain::webhook::{Delivery, Endpoint, Format, Owner, Sealed};
use crate::store::config::Retention;
use crate::store::cursor::Cursor;
pub use crate::store::webhooks::deliveries::DeliveryFilter;
use crate::store::{Store, Tx};
use crate::webhooks::{EgressPolicy, formats, signing};

const NO_ENDPOINT: Error = Error::NotFound {
    what: "the webhook endpoint",
};

/// The verbs for webhooks; clones share what they work with.
#[derive(Clone)]
pub struct Webhooks {
    store: Store,
    guard: EgressPolicy,
    clock: SharedClock,
    /// How many endpoints there may be.
    most_endpoints: usize,
    /// How long the event log goes back.
    events_kept: Duration,
    /// The longest time of an attempt that an endpoint may ask for.
    max_timeout: Duration,
    messages: Messages,
}

/// Whether an endpoint is still what a caller read.
pub type Unchanged<'a> = &'a (dyn Fn(&Endpoint) -> bool + Send + Sync);

/// An endpoint that was just made, with its secret.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What signs its deliveries; not shown again.
    pub secret: SigningSecret,
    /// What is odd about it.
    pub warnings: Vec<FieldError>,
}

/// A one-off callback that was checked.
#[derive(Debug, Clone)]
pub struct NewCallback {
    /// What is stored of it.
    pub callback: Callback,
    /// Whether the gateway chose the secret, which is then shown once.
    pub generated: bool,
}

impl Webhooks {
    /// Verbs over this store, within this policy.
    #[must_use]
    pub fn new(store: Store, guard: EgressPolicy, clock: SharedClock) -> Self {
        Self {
            store,
            guard,
            clock,
            most_endpoints: ENDPOINTS_LIMIT,
            events_kept: Retention::default().events,
            max_timeout: TIMEOUT_MOST,
            messages: Messages::default(),
        }
    }

    /// The same where events are kept for another time.
    #[must_use]
    pub const fn with_events_kept(mut self, events_kept: Duration) -> Self {
        self.events_kept = events_kept;
        self
    }

    /// The same with a bound on the time limits of endpoints.
    #[must_use]
    pub(super) const fn with_max_timeout(mut self, max_timeout: Duration) -> Self {
        self.max_timeout = max_timeout;
        self
    }

    /// The same with what templates and previews are rendered from.
    #[must_use]
    pub(super) fn with_messages(mut self, messages: Messages) -> Self {
        self.messages = messages;
        self
    }

    /// The same with fewer endpoints.
    #[must_use]
    pub(super) fn with_at_most(mut self, endpoints: usize) -> Self {
        self.most_endpoints = endpoints.min(ENDPOINTS_LIMIT);
        self
    }

    /// Makes an endpoint.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every fault, [`Error::TooManyEndpoints`], [`Error::Store`].
    pub async fn create(
        &self,
        context: &OpContext,
        wanted: WebhookEndpointCreate,
    ) -> Result<NewEndpoint, Error> {
        let mut faults = Vec::new();
        let secret_member = secret_member(&wanted);
        let secret = given_secret(
            wanted.secret.as_deref(),
            wanted.secret_text.as_deref(),
            &mut faults,
        )
        .unwrap_or_else(|| self.new_secret());
        let target = self.target(&wanted.url, "/url", &mut faults).await;
        let mut settings = Settings::default();
        let none = Connection::default();
        self.vet_proxy(wanted.proxy.as_deref(), &none, &mut faults).await;
        apply(patch_of(wanted), &mut settings, &mut faults);
        self.check_connection(&settings.connection, &none, &mut faults);
        check_credentials(target.as_ref(), &settings, &mut faults);
        self.check_template(&settings, &mut faults);
        let owner = Owner::of(&context.caller);
        confine(owner.tenants.as_ref(), &mut settings, &mut faults);
        let (Some(target), true) = (target, faults.is_empty()) else {
            return Err(Error::Invalid(faults));
        };
        let id = EndpointId::new(self.clock.id());
        let mut tx = self.begin().await?;
        let most = self.most_endpoints;
        if tx.count_endpoints(&owner).await? >= most {
            return Err(Error::TooManyEndpoints { most });
        }
        tx.insert_endpoint(id, &owner, &target, &secret, &settings)
            .await?;
        if settings.signs_v1a {
            tx.set_signing_key(id, &self.signing_key()?).await?;
        }
        let endpoint = tx.endpoint(id, context.tenancy()).await?.ok_or(NO_ENDPOINT)?;
        let told = told(id).with("origin", target.url().origin().ascii_serialization().as_str());
        tx.audit(context, AuditAction::EndpointCreate, told);
        tx.commit().await?;
        let warnings = formats::warnings(&settings, &target, secret_member);
        Ok(NewEndpoint {
            endpoint,
            secret,
            warnings,
        })
    }

    /// A page of endpoints, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(
        &self,
        context: &OpContext,
        cursor: Option<Cursor<EndpointId>>,
        size: usize,
    ) -> Result<LogPage<Endpoint, Cursor<EndpointId>>, Error> {
        let found = self
            .store
            .endpoints(context.tenancy(), cursor, one_more(size))
            .await?;
        Ok(LogPage::cut(found, cursor, size, |endpoint| endpoint.id))
    }

    /// An endpoint.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn get(&self, context: &OpContext, id: EndpointId) -> Result<Endpoint, Error> {
        let found = self.store.endpoint(id, context.tenancy()).await?;
        found.ok_or(NO_ENDPOINT)
    }

    /// Deletes an endpoint; its waiting deliveries are cancelled, those in flight may still arrive. `unchanged` says whether it is
    /// still what the caller read.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], [`Error::Store`].
    pub async fn delete(
        &self,
        context: &OpContext,
        id: EndpointId,
        unchanged: Option<Unchanged<'_>>,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        if let Some(is_same) = unchanged {
            // One that cannot be read is nothing that a caller has read.
            let kept = tx.endpoint(id, context.tenancy()).await?.ok_or(NO_ENDPOINT)?;
            if !readable(kept).is_ok_and(|(endpoint, _)| is_same(&endpoint)) {
                return Err(Error::PreconditionFailed);
            }
        }
        if !tx.delete_endpoint(id, context.tenancy()).await? {
            return Err(NO_ENDPOINT);
        }
        tx.audit(context, AuditAction::EndpointDelete, told(id));
        Ok(tx.commit().await?)
    }

    /// Sends a test event to an endpoint, regardless of its types, its filter and its pause. A disabled
    /// endpoint gets it when it is enabled.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] when the endpoint cannot be read, [`Error::Store`].
    pub async fn test(&self, context: &OpContext, id: EndpointId) -> Result<Delivery, Error> {
        let mut tx = self.begin().await?;
        let found = tx.endpoint(id, context.tenancy()).await?;
        let (endpoint, _) = readable(found.ok_or(NO_ENDPOINT)?)?;
        let event_id = EventId::new(self.clock.id());
        let data = TestEventData {
            message: "This is a test of the webhook endpoint.".to_owned(),
            example: self.example_for(&endpoint.settings),
        };
        let routing = Routing {
            about_endpoint: Some(id),
            endpoint_owner: endpoint.owner.tenants,
            ..Routing::default()
        };
        let test = event(event_id, EventType::WebhookTest, self.clock.now(), data, routing)
            .map_err(|_| Error::Internal("a test event could not be made"))?;
        tx.append_event(&test).await?;
        tx.audit(context, AuditAction::EndpointTest, told(id));
        tx.commit().await?;
        self.store
            .delivery_of(event_id, id, context.tenancy())
            .await?
            .ok_or(Error::Internal("a test event without a delivery"))
    }

    /// A page of deliveries, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn deliveries(
        &self,
        context: &OpContext,
        filter: &DeliveryFilter,
        cursor: Option<Cursor<DeliveryId>>,
        size: usize,
    ) -> Result<LogPage<Delivery, Cursor<DeliveryId>>, Error> {
        let tenancy = context.tenancy();
        let mut found = self
            .store
            .deliveries(tenancy, filter, cursor, one_more(size))
            .await?;
        shown::confined(&mut found, tenancy);
        Ok(LogPage::cut(found, cursor, size, |delivery| delivery.id))
    }

    /// A delivery with every attempt.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn delivery(&self, context: &OpContext, id: DeliveryId) -> Result<Delivery, Error> {
        let tenancy = context.tenancy();
        let found = self.store.delivery(id, tenancy).await?;
        let mut found = found.ok_or(Error::NotFound { what: "the delivery" })?;
        shown::confined(std::slice::from_mut(&mut found), tenancy);
        Ok(found)
    }

    /// Checks the one-off callback of an action before anything is written.
    ///
    /// # Errors
    /// [`Error::Invalid`] with pointers below `/callback`.
    pub async fn callback(
        &self,
        _context: &OpContext,
        url: &str,
        secret: Option<&str>,
    ) -> Result<NewCallback, Error> {
        let mut faults = Vec::new();
        let signing = match secret.map(SigningSecret::parse) {
            Some(Ok(secret)) => secret,
            Some(Err(detail)) => {
                faults.push(FieldError::new("/callback/secret", detail));
                return Err(Error::Invalid(faults));
            }
            None => self.new_secret(),
        };
        let target = self.target(url, "/callback/url", &mut faults).await;
        let (Some(target), true) = (target, faults.is_empty()) else {
            return Err(Error::Invalid(faults));
        };
        Ok(NewCallback {
            callback: Callback {
                masked: target.shown(Format::Standard),
                url: target.url().clone(),
                secret: signing.text().clone(),
            },
            generated: secret.is_none(),
        })
    }

    /// A transaction that changes an endpoint or appends an event about it. It locks the event log before any row, as
    /// the dispatcher does, so that neither deadlocks with the other nor misses a change of the endpoints.
    async fn begin(&self) -> Result<Tx, Error> {
        let mut tx = self.store.begin().await?;
        tx.lock_event_log().await?;
        Ok(tx)
    }

    /// A new secret.
    fn new_secret(&self) -> SigningSecret {
        let mut key = [0u8; 32];
        self.clock.random(&mut key);
        SigningSecret::from_key(&key)
    }

    /// A new Ed25519 key.
    fn signing_key(&self) -> Result<SigningKey, Error> {
        let mut seed = [0u8; 32];
        self.clock.random(&mut seed);
        signing::key_of(&seed).ok_or(Error::Internal("an Ed25519 key could not be made"))
    }

    async fn target(&self, url: &str, pointer: &str, faults: &mut Vec<FieldError>) -> Option<TargetUrl> {
        if url.contains(MASK) {
            let detail = "the URL holds ***, which stands for what is not shown; write the whole URL";
            faults.push(FieldError::new(pointer, detail));
            return None;
        }
        self.guard
            .check(url)
            .await
            .map_err(|refused| faults.push(FieldError::new(pointer, refused.0)))
            .ok()
    }
}

/// The member that a caller gives a secret by.
fn secret_member(wanted: &WebhookEndpointCreate) -> Option<&'static str> {
    let given = wanted.secret.as_ref().map(|_| "/secret");
    given.or_else(|| wanted.secret_text.as_ref().map(|_| "/secretText"))
}

/// What the audit log is told of an endpoint.
fn told(id: EndpointId) -> Told {
    Told::of(format!("{API}/webhook-endpoints/{id}"))
}

/// Refuses to work with an endpoint that cannot be read: a change would lose what is sealed in it.
fn readable(endpoint: Endpoint) -> Result<(Endpoint, Sealed), Error> {
    if let Some(sealed) = endpoint.sealed.clone() {
        return Ok((endpoint, sealed));
    }
    let detail = "the endpoint's URL, secret or headers cannot be decrypted with the gateway's encryption \
         key; restore the right key, or delete the endpoint and create it again";
    Err(Error::invalid("", detail))
}
