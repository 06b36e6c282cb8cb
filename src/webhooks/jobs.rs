//! The worker of stored jobs: what an endpoint did not get is made due again, a batch at a time; and secrets that were
//! replaced a day ago are removed.
//!
//! Every replica runs it. The job's row says how far it is, and a batch is one transaction, so that two of them, or one that
//! is killed, repeat nothing. Between batches others get their turn at the store.

use std::time::Duration;

use crate::domain::webhook::rules::earlier;
use crate::domain::webhook::signing::OVERLAP;
use crate::runtime::{Turn, Worker};
use crate::store::{self, Store};

/// How often it looks for jobs.
const PERIOD: Duration = Duration::from_secs(1);
/// The rest between two batches.
const BETWEEN: Duration = Duration::from_millis(20);

/// See the module.
pub struct Jobs {
    store: Store,
}

impl Jobs {
    /// Of this store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// One look. True when there is more to do.
    ///
    /// # Errors
    /// [`store::Error`].
    pub async fn step(&self) -> Result<bool, store::Error> {
        let now = self.store.trusted_now();
        let before = earlier(now, OVERLAP);
        if self.store.previous_secrets_due(before, now).await? {
            let mut tx = self.store.begin().await?;
            tx.lock_event_log().await?;
            let removed = tx.forget_previous_secrets(before, now).await?;
            tx.commit().await?;
            if removed > 0 {
                tracing::info!(
                    endpoints = removed,
                    "webhook secrets that were replaced a day ago were removed"
                );
            }
        }
        if !self.store.has_open_jobs().await? {
            return Ok(false);
        }
        let mut tx = self.store.begin().await?;
        tx.lock_event_log().await?;
        let done = tx.go_on_with_a_job().await?;
        tx.commit().await?;
        Ok(done.is_some())
    }
}

impl Worker for Jobs {
    const NAME: &'static str = "webhook-jobs";

    async fn activate(&mut self) -> Turn {
        match store::with_timeout(self.step()).await {
            Ok(true) => Turn::Rest(BETWEEN),
            Ok(false) => Turn::Rest(PERIOD),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the jobs of webhook endpoints wait for the store"
                );
                Turn::Rest(PERIOD)
            }
        }
    }
}
