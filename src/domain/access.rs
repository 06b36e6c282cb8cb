//! Who asks, and what they may do.

use std::collections::BTreeSet;

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
        /// Read the audit log.
        AuditRead = "audit:read",
        /// Not confined to tenants.
        TenantsAll = "tenants:all",
    }
}

/// A caller whose token was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who: `sub`, else `client_id`, else `azp`.
    pub name: Option<String>,
    /// The token's issuer.
    pub issuer: Option<String>,
    /// What they may do.
    pub scopes: BTreeSet<Scope>,
}

impl Caller {
    /// Whether they hold the scope.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}
