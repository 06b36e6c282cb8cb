//! The gateway at one moment: what it is connected to, what waits and runs, how it is configured (docs/behaviour.md#system).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, Unit};
use serde_json::Value;
use tokio::time::Instant;

use super::{App, Error, OpContext};
use crate::api_types::Moment;
use crate::api_types::system::{
    System, SystemAccount, SystemCounts, SystemEm, SystemReplica, SystemStore, SystemWebhooks,
};
use crate::domain::access::{Caller, Scope};
use crate::domain::webhook::DeliveryState;
use crate::store::replicas::LeaseName;
use crate::upstream::Circuit;

/// What the gateway knows of itself from its start on.
#[derive(Debug, Clone)]
pub(super) struct Itself {
    started_at: Timestamp,
    started: Instant,
    configuration: Arc<Value>,
}

impl Itself {
    pub fn new(started_at: Timestamp, configuration: Value) -> Self {
        Self {
            started_at,
            started: Instant::now(),
            configuration: Arc::new(configuration),
        }
    }
}

/// Clocks are corrected by less than this all the time.
const CORRECTION: Duration = Duration::from_mins(1);

/// When a process started that has been running for so long: what the clock showed at its start, unless the clock was set by more
/// than a correction since.
fn up_since(shown: Timestamp, now: Timestamp, running: Duration) -> Timestamp {
    let Ok(since) = now.checked_sub(running) else {
        return shown;
    };
    if since.duration_since(shown).unsigned_abs() < CORRECTION {
        shown
    } else {
        since.round(Unit::Second).unwrap_or(since)
    }
}

impl App {
    /// The gateway at this moment, as far as the caller's scopes open it. What is about the gateway's own connections is for
    /// those who may read the audit log and are not confined.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn system(&self, context: &OpContext) -> Result<System, Error> {
        let caller = &context.caller;
        let is_inside = may(caller, Scope::AuditRead) && !caller.tenancy.is_confined();
        let now = self.clock.now();
        Ok(System {
            version: env!("CARGO_PKG_VERSION"),
            instance: is_inside.then(|| self.store.replica().to_owned()),
            started_at: self.up_since(now).into(),
            now: now.into(),
            em: self.em_now().await?,
            store: self.store_now(),
            counts: self.counts(context).await?,
            webhooks: match may(caller, Scope::WebhooksRead) {
                true => Some(self.webhooks_now(context).await?),
                false => None,
            },
            accounts: is_inside.then(|| self.accounts()),
            replicas: match is_inside {
                true => Some(self.replicas(now).await?),
                false => None,
            },
            configuration: is_inside.then(|| (*self.itself.configuration).clone()),
        })
    }

    fn up_since(&self, now: Timestamp) -> Timestamp {
        up_since(self.itself.started_at, now, self.itself.started.elapsed())
    }

    async fn em_now(&self) -> Result<SystemEm, Error> {
        let (health, observed) = (self.em.health(), self.store.observed().await?);
        let (breaker, retry_at) = match health.circuit {
            Circuit::Closed => ("closed", None),
            Circuit::Open(until) => ("open", Some(Moment(until))),
            Circuit::HalfOpen => ("halfOpen", None),
        };
        Ok(SystemEm {
            reachable: health.up,
            since: health.since.map(Moment),
            api_version: self.em.api_version(),
            breaker,
            retry_at,
            refused_since: self.em.refused_since().map(Moment),
            clock_ahead_ms: self
                .em
                .clock_skew()
                .and_then(|skew| i64::try_from(skew.as_millis()).ok()),
            last_complete_look_at: observed.map(|observed| observed.at.into()),
            look_due_at: observed.and_then(|observed| observed.late_after).map(Moment),
        })
    }

    fn store_now(&self) -> SystemStore {
        let refused = self.store.refuses_writes();
        SystemStore {
            kind: if self.store.is_shared() {
                "postgres"
            } else {
                "sqlite"
            },
            // What this answer is made of was read from it.
            status: if refused.is_none() { "ok" } else { "failed" },
            since: refused.map(|(since, _)| since.into()),
        }
    }

    async fn counts(&self, context: &OpContext) -> Result<SystemCounts, Error> {
        let (caller, tenancy) = (&context.caller, context.tenancy());
        let operations = match may(caller, Scope::OperationsRead) {
            true => Some(self.store.open_operations(tenancy).await?),
            false => None,
        };
        let endpoints = match may(caller, Scope::WebhooksRead) {
            true => Some(self.store.endpoint_counts(tenancy).await?),
            false => None,
        };
        Ok(SystemCounts {
            operations: operations.map(|counts| {
                let words = counts.into_iter().map(|(state, number)| (state.as_str(), number));
                words.collect()
            }),
            running_sessions: match may(caller, Scope::SessionsRead) {
                true => Some(self.store.count_running_sessions(tenancy).await?),
                false => None,
            },
            endpoints: endpoints.map(|counts| {
                let enabled = counts.enabled.into_iter();
                let enabled = enabled.map(|(health, number)| (health.as_str(), number));
                let disabled = (counts.disabled > 0).then_some(("disabled", counts.disabled));
                enabled.chain(disabled).collect::<BTreeMap<_, _>>()
            }),
        })
    }

    async fn webhooks_now(&self, context: &OpContext) -> Result<SystemWebhooks, Error> {
        let counts = self.store.delivery_counts(context.tenancy()).await?;
        let number = |state| counts.states.get(&state).copied().unwrap_or_default();
        Ok(SystemWebhooks {
            oldest_due_at: counts.oldest_due_at.map(Moment),
            pending: number(DeliveryState::Pending),
            sending: number(DeliveryState::Sending),
            held: number(DeliveryState::Held),
            exhausted: number(DeliveryState::Exhausted),
            quarantined: number(DeliveryState::Quarantined),
        })
    }

    fn accounts(&self) -> Vec<SystemAccount> {
        let counts = self.em.logon_counts().into_iter();
        counts
            .map(|count| SystemAccount {
                name: count.account,
                tenant: count.tenant,
                sessions_used: count.held,
                sessions_limit: count.allowed,
                sessions_configured: count.configured,
            })
            .collect()
    }

    async fn replicas(&self, now: Timestamp) -> Result<Vec<SystemReplica>, Error> {
        let rows = self.store.replica_rows().await?;
        if rows.is_empty() {
            // The only process of a file has no row, and every lease.
            return Ok(vec![SystemReplica {
                id: self.store.replica().to_owned(),
                this: true,
                started_at: self.up_since(now).into(),
                last_seen_at: now.into(),
                leases: LeaseName::ALL.iter().map(ToString::to_string).collect(),
            }]);
        }
        let replicas = rows.into_iter().map(|row| SystemReplica {
            this: row.id == self.store.replica(),
            id: row.id,
            started_at: row.started_at.into(),
            last_seen_at: row.last_seen_at.into(),
            leases: row.leases,
        });
        Ok(replicas.collect())
    }
}

/// Whether the caller holds the scope and sees anything with it.
fn may(caller: &Caller, scope: Scope) -> bool {
    let sees_nothing = caller
        .tenancy
        .confinement()
        .is_some_and(|tenants| tenants.is_empty());
    caller.may(scope) && !sees_nothing
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_clock_that_goes_right(
        "2026-01-01T00:00:00.5Z",
        "2026-01-01T01:00:00.5Z",
        "2026-01-01T00:00:00.5Z"
    )]
    #[case::a_clock_that_was_corrected(
        "2026-01-01T00:00:00.5Z",
        "2026-01-01T01:00:59Z",
        "2026-01-01T00:00:00.5Z"
    )]
    #[case::a_clock_that_was_a_year_behind(
        "2025-01-01T00:00:00Z",
        "2026-01-01T01:00:00Z",
        "2026-01-01T00:00:00Z"
    )]
    #[case::a_clock_that_was_ahead("2027-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "2026-01-01T00:00:00Z")]
    fn a_start_that_a_wrong_clock_showed_is_reckoned_by_how_long_the_process_runs(
        #[case] shown: Timestamp,
        #[case] now: Timestamp,
        #[case] since: Timestamp,
    ) {
        assert_eq!(up_since(shown, now, Duration::from_hours(1)), since);
    }
}
