//! The gauges that no event changes: what the store holds, what EM allows, how long keys and certificates are good for. Read
//! every few seconds by one worker, since only here all rooms are in reach (docs/operations.md#metrics-and-alerts).

use std::time::Duration;

use metrics::{counter, gauge};

use crate::config::Config;
use crate::domain::operation::OperationState;
use crate::domain::plan::ActionKind;
use crate::domain::webhook::Health;
use crate::http::HttpState;
use crate::runtime::{Turn, Worker};
use crate::store::config::Database;
use crate::store::{self, Store};
use crate::telemetry::{self, names};
use crate::upstream::EmClient;

/// Shorter than any interval at which metrics are read.
const PERIOD: Duration = Duration::from_secs(5);

/// How operations end that are alerted on.
const OUTCOMES: &[&str] = &["success", "warning", "failed", "cancelled", "unknown"];

/// See the module.
pub(super) struct Gauges {
    pub em: EmClient,
    pub store: Store,
    pub state: HttpState,
}

#[expect(clippy::cast_precision_loss, reason = "counts and seconds, far below 2^52")]
impl Gauges {
    async fn store(&self) {
        let up = self.store.ping().await.is_ok() && self.store.refuses_writes().is_none();
        gauge!(names::STORE_UP).set(f64::from(u8::from(up)));
        let census = match store::with_timeout(self.store.census()).await {
            Ok(census) => census,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the store could not be counted"
                );
                return;
            }
        };
        for state in OperationState::ALL.iter().filter(|state| state.is_open()) {
            let number = census.operations.get(state).copied().unwrap_or_default();
            gauge!(names::OPERATIONS_OPEN, "state" => state.as_str()).set(number as f64);
        }
        let waiting = census.operations.get(&OperationState::AwaitingApproval);
        gauge!(names::APPROVALS_PENDING).set(waiting.copied().unwrap_or_default() as f64);
        for health in Health::ALL {
            let number = census.endpoints.get(health).copied().unwrap_or_default();
            gauge!(names::ENDPOINTS, "health" => health.as_str()).set(number as f64);
        }
        gauge!(names::ENDPOINTS, "health" => "disabled").set(census.disabled_endpoints as f64);
        gauge!(names::REPLICAS).set(census.replicas as f64);
    }

    fn upstream(&self) {
        for count in self.em.logon_counts() {
            gauge!(names::UPSTREAM_SESSIONS_LIMIT, "account" => count.account).set(count.allowed as f64);
        }
        let refused = self.em.refused_since().is_some();
        gauge!(names::UPSTREAM_REFUSED).set(f64::from(u8::from(refused)));
        if let Some(skew) = self.em.clock_skew() {
            gauge!(names::UPSTREAM_SKEW).set(skew.as_secs() as f64);
        }
    }

    fn keys(&self) {
        for (issuer, age) in self.state.verifier().key_ages() {
            gauge!(names::KEYS_AGE, "issuer" => issuer.to_owned()).set(age.as_secs() as f64);
        }
    }
}

/// What the configuration chose, for dashboards that cover several gateways; and zeros where a count is alerted on.
pub(super) fn show_configuration(config: &Config) {
    let store = match Database::parse(&config.store.url) {
        Ok(Database::File(_)) => "sqlite",
        Ok(Database::Server) | Err(_) => "postgres",
    };
    let tls = if config.server.tls.is_some() { "on" } else { "off" };
    let policies = if config.policies.0.is_empty() {
        "none"
    } else {
        "configured"
    };
    // A counter that begins with its first increment has no increase to alert on.
    for action in ActionKind::ALL {
        for result in OUTCOMES {
            let counted = counter!(names::OPERATIONS_ENDED, "action" => action.as_str(), "result" => *result);
            counted.increment(0);
        }
        counter!(names::OPERATIONS_STARTED, "action" => action.as_str()).increment(0);
    }
    counter!(names::WEBHOOK_FENCED).increment(0);
    gauge!(names::CONFIG_INFO, "store" => store, "tls" => tls, "policies" => policies).set(1.0);
}

impl Worker for Gauges {
    const NAME: &'static str = "gauges";

    async fn activate(&mut self) -> Turn {
        telemetry::upkeep();
        counter!(names::LOG_DROPPED).absolute(telemetry::dropped_lines());
        self.store().await;
        self.upstream();
        self.keys();
        Turn::Rest(PERIOD)
    }
}
