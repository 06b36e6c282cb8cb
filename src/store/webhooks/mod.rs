//! Webhook endpoints, deliveries and attempts.
//!
//! Deliveries are written with their event ([`fan_out`]); due rows are the queue, and there is no other. Who reads and
//! changes endpoints is in [`endpoints`], the lists that people see in [`deliveries`]. What the dispatcher does with due
//! rows is in [`lanes`], `choose`, [`claims`] and [`outcomes`], each a few statements over sets of rows whatever their
//! number, and with those of a whole endpoint at once in [`sweep`]. What receivers show of themselves is in [`receivers`].
//! What is sent again is in [`resend`] and [`jobs`], the change of
//! secrets in [`rotation`], what formats keep in [`formats`]. URLs, header values and secrets are sealed.

#[cfg(test)]
mod again_tests;
mod choose;
pub mod claims;
mod connections;
pub mod deliveries;
pub mod destination;
pub mod endpoints;
pub mod fan_out;
pub mod formats;
pub mod jobs;
pub mod lanes;
pub mod opened;
pub mod outcomes;
#[cfg(test)]
mod plans_tests;
pub mod receivers;
mod reclaim;
pub mod resend;
pub mod rotation;
#[cfg(test)]
mod set_tests;
pub mod standing;
pub mod sweep;
#[cfg(test)]
mod tests;

use secrecy::{ExposeSecret as _, SecretString};

use super::row::micros;
use super::{Error, Tx};
use crate::domain::id::OperationId;

/// What the sealed columns are sealed for.
mod purpose {
    pub(super) const ENDPOINT_URL: &str = "webhook_endpoints.url";
    pub(super) const ENDPOINT_HEADERS: &str = "webhook_endpoints.headers";
    pub(super) const ENDPOINT_SECRET: &str = "webhook_endpoints.secret";
    pub(super) const ENDPOINT_KEY: &str = "webhook_endpoints.signing_key";
    pub(super) const ENDPOINT_PREVIOUS_SECRET: &str = "webhook_endpoints.previous_secret";
    pub(super) const ENDPOINT_PREVIOUS_KEY: &str = "webhook_endpoints.previous_signing_key";
    pub(super) const FORMAT_OPTIONS: &str = "webhook_endpoints.format_options";
    pub(super) const CONNECTION: &str = "webhook_endpoints.connection";
    pub(super) const BODY: &str = "webhook_bodies.body";
    pub(super) const CALLBACK_URL: &str = "webhook_callbacks.url";
    pub(super) const CALLBACK_SECRET: &str = "webhook_callbacks.secret";
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
