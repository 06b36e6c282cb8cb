//! What the probes answer: whether the process lives, and whether it can take work.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;

/// Whether the process is running.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`: a process that cannot say so says nothing.
    #[schema(example = "ok")]
    pub status: &'static str,
}

impl Health {
    /// What a process answers that can answer.
    pub const OK: Self = Self { status: "ok" };
}

/// Whether the gateway can accept work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready`, `degraded` (it works, but a check fails) or `unavailable`.
    #[schema(example = "ready")]
    pub status: &'static str,
    /// The checks.
    pub checks: Vec<ReadinessCheck>,
}

/// One check.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReadinessCheck {
    /// Its name: `migrations` (the store is open and its tables are up to date; until then no other check runs),
    /// `store`, `baseline` (Enterprise Manager was observed completely once), `running`,
    /// `observation` (it was observed completely not long ago), `upstream` (it can be reached), `logon` (it accepts
    /// the credentials), `webhooks` (deliveries can be claimed, and every endpoint's secrets can be decrypted with the
    /// encryption key),
    /// `records` (no record that was read at Enterprise Manager is damaged),
    /// `clock` (it is not further ahead of the time recorded in the store than downtime explains),
    /// `issuers` (the keys of every identity provider are there; only where some are configured).
    #[schema(example = "upstream")]
    pub name: &'static str,
    /// `ok` or `failed`.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// Since when it has this status, if known.
    #[schema(required)]
    pub since: Option<Moment>,
    /// Why it failed, for people, if known.
    #[schema(required, example = "its disk is full")]
    pub reason: Option<Cow<'static, str>>,
}

impl Readiness {
    /// `ready`: work can be accepted; `healthy`: all checks passed.
    #[must_use]
    pub const fn new(ready: bool, healthy: bool, checks: Vec<ReadinessCheck>) -> Self {
        let status = match (ready, healthy) {
            (false, _) => "unavailable",
            (true, false) => "degraded",
            (true, true) => "ready",
        };
        Self { status, checks }
    }
}

impl ReadinessCheck {
    /// A check by its name, how it ended, since when and why.
    #[must_use]
    pub fn new(
        name: &'static str,
        ok: bool,
        since: Option<Timestamp>,
        reason: Option<Cow<'static, str>>,
    ) -> Self {
        Self {
            name,
            status: if ok { "ok" } else { "failed" },
            since: since.map(Moment),
            reason,
        }
    }
}
