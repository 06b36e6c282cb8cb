//! The gateway at one moment as JSON: what it is connected to, what waits and runs, and how it is configured
//! (docs/behaviour.md#system).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Moment;

/// The gateway at one moment. What the caller's scopes do not open is null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct System {
    /// The gateway's version.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    /// The id of this process among its replicas; null without `audit:read` and for callers who are confined to tenants.
    #[schema(required, example = "0199a5c8-7a3e-7b1c-9f60-2f3f1d0c5b11")]
    pub instance: Option<String>,
    /// When this process started.
    pub started_at: Moment,
    /// The gateway's clock.
    pub now: Moment,
    /// Enterprise Manager.
    pub em: SystemEm,
    /// The store.
    pub store: SystemStore,
    /// What there is by state.
    pub counts: SystemCounts,
    /// Deliveries that have not arrived, of the caller's endpoints; null without `webhooks:read`.
    #[schema(required)]
    pub webhooks: Option<SystemWebhooks>,
    /// The accounts at Enterprise Manager; null without `audit:read` and for callers who are confined to tenants.
    #[schema(required)]
    pub accounts: Option<Vec<SystemAccount>>,
    /// The processes that share the store, this one included; null like `accounts`.
    #[schema(required)]
    pub replicas: Option<Vec<SystemReplica>>,
    /// The configuration as it counts, by section: the defaults, the file and the environment, secrets masked; null like
    /// `accounts`.
    #[schema(required, value_type = Option<Object>, example = json!({"server": {"listen": "127.0.0.1:8080"}}))]
    pub configuration: Option<Value>,
}

/// Enterprise Manager as the gateway sees it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemEm {
    /// Whether it answered last.
    pub reachable: bool,
    /// Since when that is so, if known.
    #[schema(required)]
    pub since: Option<Moment>,
    /// The version of its REST API that was agreed on; null before the first logon.
    #[schema(required, example = "v1_7")]
    pub api_version: Option<&'static str>,
    /// Whether requests are sent to it: `closed` (they are), `open` (it does not answer at all, and none is sent before
    /// `retryAt`), `halfOpen` (the next one decides).
    #[schema(example = "closed")]
    pub breaker: &'static str,
    /// When the next request may be sent to it, while the breaker is open; else null.
    #[schema(required)]
    pub retry_at: Option<Moment>,
    /// Since when it refuses the credentials of an account; null while it does not.
    #[schema(required)]
    pub refused_since: Option<Moment>,
    /// By how many milliseconds its clock is ahead of the gateway's, to the second; negative when it is behind, null before it
    /// answered.
    #[schema(required)]
    pub clock_ahead_ms: Option<i64>,
    /// When all failover sessions were last looked at.
    #[schema(required)]
    pub last_complete_look_at: Option<Moment>,
    /// When that should have happened again at the latest.
    #[schema(required)]
    pub look_due_at: Option<Moment>,
}

/// The store.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemStore {
    /// `sqlite` or `postgres`.
    #[schema(example = "sqlite")]
    pub kind: &'static str,
    /// `ok` or `failed`.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// Since when it has failed, if known.
    #[schema(required)]
    pub since: Option<Moment>,
}

/// What there is by state, of what the caller sees. States without any are left out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemCounts {
    /// Operations that have not ended, and those of unknown end; null without `operations:read`.
    #[schema(required, example = json!({"running": 2, "awaitingApproval": 1}))]
    pub operations: Option<BTreeMap<&'static str, i64>>,
    /// Failover sessions that run, wherever they were started; null without `sessions:read`.
    #[schema(required)]
    pub running_sessions: Option<i64>,
    /// Webhook endpoints by health, and `disabled`; null without `webhooks:read`.
    #[schema(required, example = json!({"up": 3, "down": 1, "disabled": 1}))]
    pub endpoints: Option<BTreeMap<&'static str, i64>>,
}

/// Deliveries that have not arrived.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemWebhooks {
    /// When the first of those was due that wait to be sent.
    #[schema(required)]
    pub oldest_due_at: Option<Moment>,
    /// How many wait to be sent, or to be sent again.
    pub pending: i64,
    /// How many are on their way.
    pub sending: i64,
    /// How many wait for their endpoint to be enabled.
    pub held: i64,
    /// How many were given up.
    pub exhausted: i64,
    /// How many were given up because their bodies cannot be made.
    pub quarantined: i64,
}

/// An account at Enterprise Manager.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemAccount {
    /// Its name in the configuration.
    #[schema(example = "operators")]
    pub name: String,
    /// The tenant whose account it is.
    #[schema(required)]
    pub tenant: Option<String>,
    /// The logon sessions that this process holds.
    pub sessions_used: usize,
    /// How many it may hold.
    pub sessions_limit: usize,
    /// How many all processes together may hold.
    pub sessions_configured: usize,
}

/// A process that shares the store.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemReplica {
    /// Its id.
    pub id: String,
    /// Whether it is the one that answers.
    #[serde(rename = "self")]
    pub this: bool,
    /// When it started.
    pub started_at: Moment,
    /// Its last sign of life.
    pub last_seen_at: Moment,
    /// What it does for all: `evidence` gathers what recovery reports are made of and makes them, `schedules` requests the tests
    /// that are due, `watch` observes Enterprise Manager. The only process of a file does everything.
    #[schema(example = json!(["evidence", "schedules", "watch"]))]
    pub leases: Vec<String>,
}
