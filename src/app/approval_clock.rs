//! The worker that ends what waits for approval in vain, and what was approved and not sent.
//!
//! The end of a wait is measured by the store's trusted time, so that a clock far ahead ends none, and by the time that this
//! process has run, so that a clock that is set back prolongs none. Every replica does it; the row's state decides.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{App, Error};
use crate::domain::id::OperationId;
use crate::domain::operation::OperationState;
use crate::runtime::{Turn, Worker};
use crate::store;

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(500);

/// See the module.
pub struct ApprovalClock {
    app: App,
    /// When each wait ends by the time that this process has run.
    ends: HashMap<OperationId, Instant>,
}

impl ApprovalClock {
    /// Of these verbs' store.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self {
            app: app.for_workers(),
            ends: HashMap::new(),
        }
    }

    /// One look: ends what is due.
    async fn look(&mut self) -> Result<(), Error> {
        let now = self.app.clock.now();
        for id in self.app.store.unsent_operations(now).await? {
            self.app.end_unsent(id).await?;
        }
        let waiting = self.app.store.awaiting_approval().await?;
        for id in self.due(&waiting) {
            self.app.expire(id).await?;
        }
        Ok(())
    }

    /// Which of the waits are over.
    fn due(&mut self, waiting: &[(OperationId, Timestamp)]) -> Vec<OperationId> {
        let (trusted_now, running) = (self.app.store.trusted_now(), Instant::now());
        let known = std::mem::take(&mut self.ends);
        self.ends = waiting
            .iter()
            .map(|(id, until)| {
                let left = Duration::try_from(until.duration_since(trusted_now)).unwrap_or_default();
                let end = running.checked_add(left).unwrap_or(running);
                (*id, known.get(id).copied().unwrap_or(end))
            })
            .collect();
        waiting
            .iter()
            .filter(|(id, until)| {
                trusted_now >= *until || self.ends.get(id).is_some_and(|end| running >= *end)
            })
            .map(|(id, _)| *id)
            .collect()
    }
}

impl Worker for ApprovalClock {
    const NAME: &'static str = "approvals";

    async fn activate(&mut self) -> Turn {
        let looked: Result<Result<(), Error>, store::Error> =
            store::with_timeout(async { Ok(self.look().await) }).await;
        let failed = match looked {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(error) => Some(error.into()),
        };
        if let Some(error) = failed {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "operations that wait for approval could not be looked through"
            );
        }
        Turn::Rest(PERIOD)
    }
}

impl App {
    /// The same verbs over the workers' connections to the store.
    fn for_workers(&self) -> Self {
        Self {
            store: self.store.for_workers(),
            ..self.clone()
        }
    }

    async fn expire(&self, id: OperationId) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        let waits = |state| state == OperationState::AwaitingApproval;
        let operation = tx.operation(id).await?;
        let Some(mut operation) = operation.filter(|operation| waits(operation.state)) else {
            return Ok(());
        };
        self.expire_waiting(&mut tx, &mut operation).await?;
        tx.commit().await?;
        Ok(())
    }
}
