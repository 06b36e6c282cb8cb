//! A change of a webhook endpoint, by a patch or as a whole: what is wrong with it is told together, and what it means for deliveries that
//! wait is written with it.

use super::settings::{apply, changed, check_credentials, confine, given_secret, replaced};
use super::{NO_ENDPOINT, Unchanged, Webhooks, kept, readable, secret_member, told};
use crate::api_types::webhooks::{WebhookEndpointCreate, WebhookEndpointPatch};
use crate::app::{Error, FieldError, OpContext};
use crate::domain::audit::{AuditAction, Detail};
use crate::domain::id::EndpointId;
use crate::domain::webhook::Endpoint;
use crate::domain::webhook::endpoint::{Settings, Signer};
use crate::domain::webhook::target::{MASK, TargetUrl};
use crate::store::Tx;
use crate::webhooks::formats;

/// A change of an endpoint.
pub enum Change {
    /// Some of its members.
    Patch(Box<WebhookEndpointPatch>),
    /// All of them: what is not given has its default, but for the secret.
    Replace(Box<WebhookEndpointCreate>),
}

/// An endpoint that was just changed.
#[derive(Debug, Clone)]
pub struct ChangedEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What is odd about it.
    pub warnings: Vec<FieldError>,
}

impl ChangedEndpoint {
    fn new(endpoint: Endpoint, target: &TargetUrl, given: Option<&'static str>) -> Self {
        let warnings = formats::warnings(&endpoint.settings, target, given);
        Self { endpoint, warnings }
    }
}

impl Webhooks {
    /// Changes an endpoint by a patch. Waiting deliveries go to its new URL; disabling holds them, enabling sends them in
    /// order.
    ///
    /// # Errors
    /// As [`Webhooks::change`].
    pub async fn patch(
        &self,
        context: &OpContext,
        id: EndpointId,
        patch: WebhookEndpointPatch,
    ) -> Result<ChangedEndpoint, Error> {
        self.change(context, id, Change::Patch(Box::new(patch)), None)
            .await
    }

    /// Changes an endpoint, or replaces it whole. `unchanged` says whether it is still what the caller read.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], [`Error::Invalid`] with every fault, [`Error::Store`].
    pub async fn change(
        &self,
        context: &OpContext,
        id: EndpointId,
        change: Change,
        unchanged: Option<Unchanged<'_>>,
    ) -> Result<ChangedEndpoint, Error> {
        let (before, _) = readable(self.get(context, id).await?)?;
        let mut faults = Vec::new();
        let given = match &change {
            Change::Patch(patch) => match &patch.url {
                None => None,
                Some(None) => {
                    let detail = "an endpoint has a URL; it cannot be removed";
                    faults.push(FieldError::new("/url", detail));
                    None
                }
                Some(Some(url)) => Some(url),
            },
            Change::Replace(wanted) => Some(&wanted.url),
        };
        let target = match given {
            // The masked URL of a read, sent back: the stored URL stays.
            Some(url) if *url == before.shown_url && url.contains(MASK) => None,
            Some(url) => self.target(url, "/url", &mut faults).await,
            None => None,
        };
        let proxy = match &change {
            Change::Patch(patch) => patch.proxy.clone().flatten(),
            Change::Replace(wanted) => wanted.proxy.clone(),
        };
        let stored = &before.settings.connection;
        self.vet_proxy(proxy.as_deref(), stored, &mut faults).await;
        let secret_member = match &change {
            Change::Patch(_) => None,
            Change::Replace(wanted) => secret_member(wanted),
        };
        let secret = match &change {
            Change::Patch(_) => None,
            Change::Replace(wanted) => given_secret(
                wanted.secret.as_deref(),
                wanted.secret_text.as_deref(),
                &mut faults,
            ),
        };
        let mut tx = self.begin().await?;
        let tenancy = context.tenancy();
        let (mut endpoint, sealed) = readable(tx.endpoint(id, tenancy).await?.ok_or(NO_ENDPOINT)?)?;
        if unchanged.is_some_and(|is_same| !is_same(&endpoint)) {
            return Err(Error::PreconditionFailed);
        }
        let was = endpoint.settings.clone();
        match change {
            Change::Patch(patch) => apply(*patch, &mut endpoint.settings, &mut faults),
            Change::Replace(wanted) => endpoint.settings = replaced(*wanted, &was, &mut faults),
        }
        let (after, stored) = (&endpoint.settings.connection, &was.connection);
        self.check_connection(after, stored, &mut faults);
        let address_given = target.is_some();
        let target = target.unwrap_or_else(|| sealed.target.clone());
        let old = kept::Endpoint {
            settings: &was,
            target: &sealed.target,
        };
        let new = kept::Endpoint {
            settings: &endpoint.settings,
            target: &target,
        };
        kept::check(&old, &new, address_given, &mut faults);
        check_credentials(Some(&target), &endpoint.settings, &mut faults);
        if was.options.template != endpoint.settings.options.template
            || was.format != endpoint.settings.format
            || was.options.content_type != endpoint.settings.options.content_type
            || was.event_types != endpoint.settings.event_types
        {
            self.check_template(&endpoint.settings, &mut faults);
        }
        confine(
            endpoint.owner.tenants.as_ref(),
            &mut endpoint.settings,
            &mut faults,
        );
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let readdressed = target != sealed.target;
        let new_secret = secret.filter(|secret| *secret != sealed.signer.secret);
        let mut changed = changed(&was, &endpoint.settings, readdressed);
        if new_secret.is_some() {
            changed.push("secret".to_owned());
        }
        if changed.is_empty() && endpoint.settings.enabled == was.enabled {
            // Nothing to write: the same request twice is the same endpoint, with the same entity tag.
            let told = told(id).with("changed", Detail::Names(changed));
            tx.audit(context, AuditAction::EndpointUpdate, told);
            tx.commit().await?;
            return Ok(ChangedEndpoint::new(endpoint, &target, secret_member));
        }
        self.write_change(&mut tx, &mut endpoint, &was, &target, readdressed)
            .await?;
        if let Some(secret) = new_secret {
            let new = Signer {
                secret,
                key: sealed.signer.key.clone(),
            };
            tx.rotate_endpoint(id, &new, &sealed.signer).await?;
        }
        if endpoint.settings.signs_v1a && sealed.signer.key.is_none() {
            tx.set_signing_key(id, &self.signing_key()?).await?;
        }
        let endpoint = tx.endpoint(id, tenancy).await?.ok_or(NO_ENDPOINT)?;
        let told = told(id).with("changed", Detail::Names(changed));
        tx.audit(context, AuditAction::EndpointUpdate, told);
        tx.commit().await?;
        Ok(ChangedEndpoint::new(endpoint, &target, secret_member))
    }

    /// Writes changed settings, and what they mean for deliveries that wait.
    async fn write_change(
        &self,
        tx: &mut Tx,
        endpoint: &mut Endpoint,
        was: &Settings,
        target: &TargetUrl,
        readdressed: bool,
    ) -> Result<(), Error> {
        let id = endpoint.id;
        let enabled = endpoint.settings.enabled;
        if enabled {
            endpoint.disabled_reason = None;
        }
        tx.update_endpoint(endpoint, target).await?;
        if readdressed {
            tx.forget_receiver(id).await?;
        }
        let moved = readdressed
            || was.headers != endpoint.settings.headers
            || was.format != endpoint.settings.format
            || was.options != endpoint.settings.options
            || was.connection != endpoint.settings.connection;
        if moved || (enabled && !was.enabled) {
            endpoint.health.reset();
            tx.save_health(id, &endpoint.health).await?;
        }
        if was.enabled && !enabled {
            tx.hold_deliveries(id).await?;
        } else if enabled && !was.enabled {
            tx.release_deliveries(id).await?;
        } else if moved {
            tx.wake_deliveries(id).await?;
        }
        Ok(())
    }
}
