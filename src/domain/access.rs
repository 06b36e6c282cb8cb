//! Who asks, and what they may do.

use std::collections::BTreeSet;
use std::fmt;

macro_rules! scopes {
    ($($variant:ident = $word:literal, $meaning:literal;)*) => {
        /// A permission in a token (docs/behaviour.md#tokens).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Scope { $(#[doc = $meaning] $variant,)* }

        impl Scope {
            /// Every scope there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in the token.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it allows, for the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

scopes! {
    PlansRead = "plans:read", "Read failover plans.";
    PlansTest = "plans:test", "Test a cloud failover plan.";
    PlansStart = "plans:start", "Start a failover plan.";
    PlansUndo = "plans:undo", "Undo a failover.";
    PlansWrite = "plans:write", "Edit and delete failover plans.";
    SessionsRead = "sessions:read", "Read failover sessions.";
    OperationsRead = "operations:read", "Read operations.";
    OperationsCancel = "operations:cancel", "Stop an operation.";
    EventsRead = "events:read", "Read event types, events and streams.";
    WebhooksRead = "webhooks:read", "Read webhook endpoints and deliveries.";
    WebhooksWrite = "webhooks:write", "Change webhook endpoints, send tests, re-send deliveries.";
    EmRead = "em:read", "Read through the mirror of Enterprise Manager.";
    EmWrite = "em:write", "Write through the mirror of Enterprise Manager.";
    AuditRead = "audit:read", "Read the audit log.";
    TenantsAll = "tenants:all", "Not confined to tenants.";
}

impl Scope {
    /// Reads the word in a token; words that are not ours mean nothing here.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.as_str() == word)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Somebody whose token was verified.
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
