//! The verbs for what signs an endpoint's deliveries: read, and rotated.

use super::settings::given_secret;
use super::{NO_ENDPOINT, Webhooks, readable, told};
use crate::api_types::webhooks::WebhookSecretRotation;
use crate::app::{Error, OpContext};
use crate::domain::audit::AuditAction;
use crate::domain::id::EndpointId;
use crate::domain::webhook::Endpoint;
use crate::domain::webhook::endpoint::Signer;

impl Webhooks {
    /// An endpoint for whoever is to see its secret; the audit log is told.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] when it cannot be read, [`Error::Store`].
    pub async fn secret(&self, context: &OpContext, id: EndpointId) -> Result<Endpoint, Error> {
        let mut tx = self.begin().await?;
        let found = tx.endpoint(id, context.tenancy()).await?;
        let (endpoint, _) = readable(found.ok_or(NO_ENDPOINT)?)?;
        tx.audit(context, AuditAction::EndpointSecretRead, told(id));
        tx.commit().await?;
        Ok(endpoint)
    }

    /// Gives an endpoint a new secret, and a new key where it has one. Those before sign too for 24 hours. The secret that
    /// it has already changes nothing, so that a request may be repeated.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::Store`].
    pub async fn rotate_secret(
        &self,
        context: &OpContext,
        id: EndpointId,
        wanted: &WebhookSecretRotation,
    ) -> Result<Endpoint, Error> {
        let mut faults = Vec::new();
        let given = given_secret(
            wanted.secret.as_deref(),
            wanted.secret_text.as_deref(),
            &mut faults,
        );
        let mut tx = self.begin().await?;
        let found = tx.endpoint(id, context.tenancy()).await?;
        let (endpoint, sealed) = readable(found.ok_or(NO_ENDPOINT)?)?;
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        tx.audit(context, AuditAction::EndpointSecretRotate, told(id));
        let is_known = given.as_ref() == Some(&sealed.signer.secret);
        if is_known {
            tx.commit().await?;
            return Ok(endpoint);
        }
        let key = sealed
            .signer
            .key
            .as_ref()
            .map(|_| self.signing_key())
            .transpose()?;
        let new = Signer {
            secret: given.unwrap_or_else(|| self.new_secret()),
            key,
        };
        tx.rotate_endpoint(id, &new, &sealed.signer).await?;
        let endpoint = tx.endpoint(id, context.tenancy()).await?.ok_or(NO_ENDPOINT)?;
        tx.commit().await?;
        Ok(endpoint)
    }
}
