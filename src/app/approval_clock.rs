//! The worker that ends what waits for approval in vain, and what was approved and not sent.
//!
//! The end of a wait is measured by the store's trusted time, so that a clock far ahead ends none, and by the time that this
//! process has run, so that a clock that is set back prolongs none. Every replica does it; the row's state decides.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::ending::tell_end;
use super::{App, Error};
use crate::domain::access::Tenancy;
use crate::domain::id::OperationId;
use crate::domain::operation::OperationState;
use crate::runtime::{Turn, Worker};
use crate::store;

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(1);

/// See the module.
pub struct ApprovalClock {
    app: App,
    waits: Waits,
}

impl ApprovalClock {
    /// Of these verbs' store.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self {
            app: app.for_workers(),
            waits: Waits::default(),
        }
    }

    /// One look: ends what is due.
    async fn look(&mut self) -> Result<(), Error> {
        let now = self.app.clock.now();
        for id in self.app.store.unsent_operations(now).await? {
            self.app.end_unsent(id).await?;
        }
        let waiting = self.app.store.awaiting_approval().await?;
        let trusted_now = self.app.store.trusted_now();
        for id in self.waits.over(&waiting, trusted_now, Instant::now()) {
            self.app.expire(id).await?;
        }
        Ok(())
    }
}

/// When waits end by the time that this process has run, from when it first saw each.
#[derive(Debug, Default)]
struct Waits(HashMap<OperationId, Instant>);

impl Waits {
    /// Which of the waits are over. `running` is a time that no clock changes.
    fn over(
        &mut self,
        waiting: &[(OperationId, Timestamp)],
        trusted_now: Timestamp,
        running: Instant,
    ) -> Vec<OperationId> {
        let Self(known) = self;
        let mut ends = HashMap::with_capacity(waiting.len());
        let mut over = Vec::new();
        for (id, until) in waiting {
            let left = Duration::try_from(until.duration_since(trusted_now)).unwrap_or_default();
            let end = known.get(id).copied().or_else(|| running.checked_add(left));
            let end = end.unwrap_or(running);
            if trusted_now >= *until || running >= end {
                over.push(*id);
            }
            ends.insert(*id, end);
        }
        *known = ends;
        over
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
    pub(in crate::app) fn for_workers(&self) -> Self {
        Self {
            store: self.store.for_workers(),
            ..self.clone()
        }
    }

    async fn expire(&self, id: OperationId) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        let waits = |state| state == OperationState::AwaitingApproval;
        let operation = tx.operation(id, &Tenancy::All).await?;
        let Some(mut operation) = operation.filter(|operation| waits(operation.state)) else {
            return Ok(());
        };
        self.expire_waiting(&mut tx, &mut operation).await?;
        tx.commit().await?;
        tell_end(&operation);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::store::testing::temporary_with;

    const HOUR: Duration = Duration::from_hours(1);

    fn noon() -> Timestamp {
        "2026-01-12T12:00:00Z".parse().expect("a moment")
    }

    fn operation() -> OperationId {
        OperationId::new(ManualClock::at(noon()).id())
    }

    #[test]
    fn a_wait_is_over_at_its_end_and_not_before() {
        let (id, running) = (operation(), Instant::now());
        let waiting = [(id, noon() + HOUR)];
        let mut waits = Waits::default();
        assert_eq!(waits.over(&waiting, noon(), running), []);
        let nearly = noon() + HOUR - Duration::from_secs(1);
        assert_eq!(waits.over(&waiting, nearly, running), []);
        assert_eq!(waits.over(&waiting, noon() + HOUR, running), [id]);
    }

    #[test]
    fn a_wait_that_ended_while_nothing_ran_is_over_at_the_first_look() {
        let id = operation();
        let found = Waits::default().over(&[(id, noon() - HOUR)], noon(), Instant::now());
        assert_eq!(found, [id]);
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_no_wait() {
        let (id, running) = (operation(), Instant::now());
        let waiting = [(id, noon() + HOUR)];
        let mut waits = Waits::default();
        assert_eq!(waits.over(&waiting, noon(), running), []);
        let back = noon() - 24 * HOUR;
        assert_eq!(waits.over(&waiting, back, running + HOUR / 2), []);
        assert_eq!(waits.over(&waiting, back + HOUR / 2, running + HOUR), [id]);
    }

    #[tokio::test]
    async fn a_clock_that_is_far_ahead_ends_no_wait() {
        let clock = ManualClock::at(noon());
        let store = temporary_with(clock.clone()).await;
        let (id, running) = (operation(), Instant::now());
        let waiting = [(id, store.trusted_now() + 4 * HOUR)];
        let mut waits = Waits::default();
        assert_eq!(waits.over(&waiting, store.trusted_now(), running), []);
        clock.set(noon() + 400 * 24 * HOUR);
        assert_eq!(waits.over(&waiting, store.trusted_now(), running), []);
        clock.set(noon());
        assert_eq!(
            waits.over(&waiting, store.trusted_now(), running),
            [],
            "set right again"
        );
    }
}
