//! Idempotency keys: which operation a key stands for.

use std::time::Duration;

use super::row::{Columns as _, micros};
use super::{Error, Store, Tx};
use crate::domain::id::OperationId;

/// How long a key is remembered (contract section 4).
const KEPT: Duration = Duration::from_hours(24);

/// A key as it is stored: digests, in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDigests {
    /// Of caller and key.
    pub scope: String,
    /// Of the request.
    pub request: String,
}

/// What a key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Nothing yet, or nothing any more.
    Free,
    /// This very request, which became this operation.
    Same(OperationId),
    /// Another request.
    Other,
}

const SELECT: &str =
    "select request, operation_id from idempotency_keys where scope = $1 and created_at > $2";

impl Store {
    /// What a key stands for.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn key_use(&self, key: &KeyDigests) -> Result<KeyUse, Error> {
        let oldest = self.clock().now().checked_sub(KEPT).unwrap_or_default();
        let row = sqlx::query(SELECT)
            .bind(key.scope.clone())
            .bind(micros(oldest))
            .fetch_optional(self.reader())
            .await?;
        use_of(key, row.as_ref())
    }
}

impl Tx {
    /// What a key stands for; nobody else asks that in order to write until this transaction has ended.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn key_use(&mut self, key: &KeyDigests) -> Result<KeyUse, Error> {
        if let Some(lock) = self.engine().order_keys() {
            sqlx::query(lock)
                .bind(key.scope.clone())
                .execute(self.connection())
                .await?;
        }
        let oldest = self.clock().now().checked_sub(KEPT).unwrap_or_default();
        let row = sqlx::query(SELECT)
            .bind(key.scope.clone())
            .bind(micros(oldest))
            .fetch_optional(self.connection())
            .await?;
        use_of(key, row.as_ref())
    }

    /// Lets a key stand for an operation; a key that is too old to count gives way.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn bind_key(&mut self, key: &KeyDigests, operation: OperationId) -> Result<(), Error> {
        let now = micros(self.clock().now());
        sqlx::query(
            "insert into idempotency_keys (scope, request, operation_id, created_at) values ($1, $2, $3, $4) \
             on conflict (scope) do update set request = $2, operation_id = $3, created_at = $4",
        )
        .bind(key.scope.clone())
        .bind(key.request.clone())
        .bind(operation.to_string())
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Frees the key of an operation that provably never acted at EM.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn free_key(&mut self, operation: OperationId) -> Result<(), Error> {
        sqlx::query("delete from idempotency_keys where operation_id = $1")
            .bind(operation.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

fn use_of(key: &KeyDigests, row: Option<&sqlx::any::AnyRow>) -> Result<KeyUse, Error> {
    let Some(row) = row else { return Ok(KeyUse::Free) };
    if row.text("request")? == key.request {
        Ok(KeyUse::Same(row.parsed("operation_id")?))
    } else {
        Ok(KeyUse::Other)
    }
}
