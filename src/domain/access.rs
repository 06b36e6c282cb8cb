//! Who asks, and what they may do.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::words::words;

words! {
    /// A permission in a token (docs/behaviour.md#tokens).
    pub enum Scope {
        /// Read failover plans.
        PlansRead = "plans:read",
        /// Test a cloud failover plan.
        PlansTest = "plans:test",
        /// Start a failover plan.
        PlansStart = "plans:start",
        /// Undo a failover.
        PlansUndo = "plans:undo",
        /// Edit and delete failover plans.
        PlansWrite = "plans:write",
        /// Read failover sessions.
        SessionsRead = "sessions:read",
        /// Read operations.
        OperationsRead = "operations:read",
        /// Stop an operation.
        OperationsCancel = "operations:cancel",
        /// Read event types, events and streams.
        EventsRead = "events:read",
        /// Read webhook endpoints and deliveries.
        WebhooksRead = "webhooks:read",
        /// Change webhook endpoints, send tests, re-send deliveries.
        WebhooksWrite = "webhooks:write",
        /// Read through the mirror of Enterprise Manager.
        EmRead = "em:read",
        /// Write through the mirror of Enterprise Manager.
        EmWrite = "em:write",
        /// Approve and reject what a policy holds back.
        PlansApprove = "plans:approve",
        /// Read the audit log.
        AuditRead = "audit:read",
        /// Not confined to tenants.
        TenantsAll = "tenants:all",
    }
}

/// Whose plans, sessions, operations and events a caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenancy {
    /// Everybody's.
    All,
    /// Those of these tenants, each by id or exact name; of none when it is empty.
    Only(BTreeSet<String>),
}

/// A caller whose token was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who: `sub` (or the issuer's claim for it), else `client_id`, else `azp`.
    pub name: Option<String>,
    /// The token's issuer.
    pub issuer: Option<String>,
    /// What they may do.
    pub scopes: BTreeSet<Scope>,
    /// Whose things they may do it with.
    pub tenancy: Tenancy,
    /// The token's `jti`.
    pub token_id: Option<String>,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// The issuer's rules that matched, each by its name or, without one, its number from 0.
    pub rules: Vec<String>,
}

impl Caller {
    /// Whether they hold the scope.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}
