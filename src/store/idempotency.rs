//! Idempotency keys: which operation a key belongs to.

use std::time::Duration;

use super::row::{Columns as _, micros};
use super::{Error, Store, Tx};
use crate::domain::id::OperationId;

/// How long a key is remembered (docs/behaviour.md#idempotency).
const KEPT: Duration = Duration::from_hours(24);

/// A key as it is stored: digests, in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDigests {
    /// Of caller and key.
    pub scope: String,
    /// Of the request.
    pub request: String,
}

/// What a key means.
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
    /// What a key means.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn key_use(&self, key: &KeyDigests) -> Result<KeyUse, Error> {
        let oldest = self.trusted_now().checked_sub(KEPT).unwrap_or_default();
        let row = sqlx::query(SELECT)
            .bind(key.scope.clone())
            .bind(micros(oldest))
            .fetch_optional(self.reader())
            .await?;
        use_of(key, row.as_ref())
    }
}

impl Tx {
    /// What a key means; no other transaction that would write reads it until this one has ended.
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
        let oldest = self.trusted_now().checked_sub(KEPT).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::store::Config;
    use crate::store::testing::{new_command, new_operation, temporary_config};

    /// A second less than a key is kept.
    const ALMOST: Duration = Duration::from_secs(24 * 3600 - 1);

    fn key(request: &str) -> KeyDigests {
        KeyDigests {
            scope: "caller and key".into(),
            request: request.into(),
        }
    }

    async fn open(config: &Config, clock: &std::sync::Arc<ManualClock>) -> Store {
        Store::open(config, clock.clone()).await.expect("a store")
    }

    /// Lets time go by while the store is open, so that the clock is believed.
    async fn pass(store: &Store, clock: &ManualClock, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(Duration::from_secs(1800));
            clock.advance(step);
            store.save_trusted_time().await.expect("remembered");
            left -= step;
        }
    }

    /// Lets the key stand for a new operation.
    async fn bind(store: &Store, request: &str) -> OperationId {
        let operation = new_operation(store);
        let mut tx = store.begin().await.expect("begun");
        tx.insert_operation(&operation, &new_command())
            .await
            .expect("inserted");
        tx.bind_key(&key(request), operation.id).await.expect("bound");
        tx.commit().await.expect("committed");
        operation.id
    }

    #[tokio::test]
    async fn a_key_is_its_requests_for_24_hours() {
        let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().expect("a moment"));
        let config = temporary_config().await;
        let store = open(&config, &clock).await;
        let first = bind(&store, "one").await;
        pass(&store, &clock, ALMOST).await;
        store.close().await;
        drop(store);
        let store = open(&config, &clock).await;
        assert_eq!(
            store.key_use(&key("one")).await.expect("read"),
            KeyUse::Same(first)
        );
        assert_eq!(store.key_use(&key("two")).await.expect("read"), KeyUse::Other);
        clock.advance(Duration::from_secs(1));
        // Whether or not the row was removed meanwhile.
        assert_eq!(store.key_use(&key("two")).await.expect("read"), KeyUse::Free);
        let second = bind(&store, "two").await;
        store.close().await;
        drop(store);
        let store = open(&config, &clock).await;
        assert_eq!(
            store.key_use(&key("two")).await.expect("read"),
            KeyUse::Same(second)
        );
        assert_eq!(store.key_use(&key("one")).await.expect("read"), KeyUse::Other);
        pass(&store, &clock, KEPT).await;
        let mut tx = store.begin().await.expect("begun");
        assert_eq!(tx.key_use(&key("two")).await.expect("read"), KeyUse::Free);
        drop(tx);
        store.close().await;
    }

    #[tokio::test]
    async fn a_clock_that_leaps_ahead_ends_no_key() {
        let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().expect("a moment"));
        let store = open(&temporary_config().await, &clock).await;
        store.save_trusted_time().await.expect("remembered");
        let first = bind(&store, "one").await;
        clock.advance(KEPT * 400);
        assert_eq!(
            store.key_use(&key("one")).await.expect("read"),
            KeyUse::Same(first)
        );
        let mut tx = store.begin().await.expect("begun");
        assert_eq!(tx.key_use(&key("one")).await.expect("read"), KeyUse::Same(first));
        drop(tx);
        store.close().await;
    }
}
