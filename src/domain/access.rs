//! Who asks, and what they may do.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::EmId;
use super::plan::Reference;
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
        /// Read recovery reports and objectives of plans.
        ReportsRead = "reports:read",
        /// Set objectives of plans; record checks, notes, findings and reviews; schedule tests.
        ReportsWrite = "reports:write",
        /// Not confined to tenants.
        TenantsAll = "tenants:all",
    }
}

/// Whose things a caller may see (docs/behaviour.md#tenants). Every read of the store takes it as an argument, so that none
/// forgets it; what the gateway reads for itself it reads as [`Tenancy::All`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tenancy {
    /// Everybody's.
    All,
    /// Those of these tenants, each by id or exact name; of none when it is empty.
    Only(BTreeSet<String>),
}

impl Tenancy {
    /// Whether what belongs to `tenant` is seen; what belongs to none is seen only by those who are not confined.
    #[must_use]
    pub fn sees(&self, tenant: Option<&Reference>) -> bool {
        match self {
            Self::All => true,
            Self::Only(tenants) => {
                tenant.is_some_and(|tenant| tenants.iter().any(|text| tenant.is_called(text)))
            }
        }
    }

    /// Whether it is confined to tenants.
    #[must_use]
    pub const fn is_confined(&self) -> bool {
        matches!(self, Self::Only(_))
    }

    /// The tenants that it is confined to, ids in lower case: equal for callers who are confined to the same set.
    #[must_use]
    pub fn confinement(&self) -> Option<BTreeSet<String>> {
        match self {
            Self::All => None,
            Self::Only(tenants) => Some(tenants.iter().map(|text| tenant_key(text)).collect()),
        }
    }

    /// Whether the tenant of this name or id is among those seen, by the texts alone.
    #[must_use]
    pub fn includes(&self, text: &str) -> bool {
        self.confinement()
            .is_none_or(|tenants| tenants.contains(&tenant_key(text)))
    }
}

/// An id in lower case, a name as it is.
fn tenant_key(text: &str) -> String {
    text.parse::<EmId>()
        .map_or_else(|_| text.to_owned(), |id| id.key())
}

/// Who somebody is: the caller's name, and who issued the token that says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The caller's name.
    pub name: Option<String>,
    /// The token's issuer.
    pub issuer: Option<String>,
}

impl Principal {
    /// Who this caller is.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        Self {
            name: caller.name.clone(),
            issuer: caller.issuer.clone(),
        }
    }

    /// Whether this caller is that.
    #[must_use]
    pub fn is(&self, caller: &Caller) -> bool {
        self.name == caller.name && self.issuer == caller.issuer
    }
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ABC: &str = "3F56FA52-c902-4655-9774-2022fde214d2";

    fn only(tenants: &[&str]) -> Tenancy {
        Tenancy::Only(tenants.iter().map(ToString::to_string).collect())
    }

    #[rstest]
    #[case::everybody(Tenancy::All, Some("ABC Company"), true)]
    #[case::of_nobody_for_everybody(Tenancy::All, None, true)]
    #[case::exact_name(only(&["ABC Company"]), Some("ABC Company"), true)]
    #[case::one_of_several(only(&["Nordwind", "ABC Company"]), Some("ABC Company"), true)]
    #[case::id(only(&[ABC]), Some("ABC Company"), true)]
    #[case::id_in_another_case(only(&["3f56fa52-C902-4655-9774-2022fde214d2"]), Some("x"), true)]
    #[case::id_as_a_urn(only(&["urn:veeam:CloudTenant:3f56fa52-c902-4655-9774-2022fde214d2"]), Some("x"), true)]
    #[case::name_in_another_case(only(&["abc company"]), Some("ABC Company"), false)]
    #[case::part_of_a_name(only(&["ABC"]), Some("ABC Company"), false)]
    #[case::pattern(only(&["*", "%", ""]), Some("ABC Company"), false)]
    #[case::of_nobody(only(&["ABC Company"]), None, false)]
    #[case::no_tenant(only(&[]), Some("ABC Company"), false)]
    fn a_tenant_is_seen_by_its_id_or_exact_name(
        #[case] tenancy: Tenancy,
        #[case] name: Option<&str>,
        #[case] seen: bool,
    ) {
        let tenant = name.map(|name| Reference {
            id: ABC.parse().expect("an id"),
            name: Some(name.to_owned()),
        });
        assert_eq!(tenancy.sees(tenant.as_ref()), seen);
    }

    #[test]
    fn confinements_are_equal_when_the_sets_are() {
        let lower = ABC.to_lowercase();
        assert_eq!(
            only(&["B", ABC]).confinement(),
            only(&[&lower, "B"]).confinement()
        );
        assert_ne!(only(&["B"]).confinement(), only(&["b"]).confinement());
        assert_ne!(only(&["B"]).confinement(), only(&["B", "C"]).confinement());
        assert_eq!(Tenancy::All.confinement(), None);
        assert!(only(&[ABC]).includes(&lower) && Tenancy::All.includes("B"));
        assert!(!only(&[ABC]).includes("B"));
    }
}
