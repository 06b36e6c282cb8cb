//! The change of an endpoint's secrets: the one before signs too, until it is removed.

use jiff::Timestamp;

use super::super::row::{Columns as _, micros};
use super::super::{Error, Store, Tx};
use super::purpose;
use crate::domain::id::EndpointId;
use crate::domain::webhook::endpoint::Signer;
use crate::domain::webhook::signing::SigningKey;

impl Tx {
    /// Puts `new` in the place of `old`, which signs too from now on. What signed before `old` does not any more.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn rotate_endpoint(&mut self, id: EndpointId, new: &Signer, old: &Signer) -> Result<(), Error> {
        let sealer = self.sealer();
        let key =
            |purpose, key: Option<&SigningKey>| key.map(|key| sealer.seal(purpose, key.text())).transpose();
        // Its age counts by the time that is trusted, so that a clock that is ahead for a moment ends nothing.
        let rotated_at = micros(self.trusted_now());
        sqlx::query(
            "update webhook_endpoints set secret = $1, signing_key = $2, previous_secret = $3, previous_signing_key = $4, \
                 rotated_at = $5, updated_at = $6 \
             where id = $7",
        )
        .bind(sealer.seal(purpose::ENDPOINT_SECRET, new.secret.text())?)
        .bind(key(purpose::ENDPOINT_KEY, new.key.as_ref())?)
        .bind(sealer.seal(purpose::ENDPOINT_PREVIOUS_SECRET, old.secret.text())?)
        .bind(key(purpose::ENDPOINT_PREVIOUS_KEY, old.key.as_ref())?)
        .bind(rotated_at)
        .bind(micros(self.clock().now()))
        .bind(id.to_string())
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Gives an endpoint its Ed25519 key.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn set_signing_key(&mut self, id: EndpointId, key: &SigningKey) -> Result<(), Error> {
        let sealed = self.sealer().seal(purpose::ENDPOINT_KEY, key.text())?;
        sqlx::query("update webhook_endpoints set signing_key = $1 where id = $2")
            .bind(sealed)
            .bind(id.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Removes secrets that were replaced before `before`. What was replaced later than `now`, by a clock that was ahead,
    /// counts from now on. The number of the removed.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn forget_previous_secrets(&mut self, before: Timestamp, now: Timestamp) -> Result<u64, Error> {
        sqlx::query("update webhook_endpoints set rotated_at = $1 where rotated_at > $1")
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        let removed = sqlx::query(
            "update webhook_endpoints set previous_secret = null, previous_signing_key = null, rotated_at = null \
             where rotated_at <= $1",
        )
        .bind(micros(before))
        .execute(self.connection())
        .await?;
        Ok(removed.rows_affected())
    }
}

impl Store {
    /// Whether [`Tx::forget_previous_secrets`] has something to do.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn previous_secrets_due(&self, before: Timestamp, now: Timestamp) -> Result<bool, Error> {
        let row = sqlx::query(
            "select count(*) as due from webhook_endpoints \
             where rotated_at is not null and (rotated_at <= $1 or rotated_at > $2)",
        )
        .bind(micros(before))
        .bind(micros(now))
        .fetch_one(self.reader())
        .await?;
        Ok(row.int("due")? > 0)
    }
}
