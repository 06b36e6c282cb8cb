//! On whose behalf EM is asked: with which account, and out of which part of the read cache (docs/behaviour.md#tenants).

use std::sync::Arc;

use super::EmClient;
use super::error::{Error, Kind};
use super::logons::Pool;
use super::read_cache::Audience;
use crate::domain::access::Tenancy;
use crate::domain::command::Command;

impl EmClient {
    /// The same for reads of a caller: with the account of the only tenant that they are confined to, if that has one, else
    /// with the first. Answers are shared with callers of the same confinement alone.
    #[must_use]
    pub fn seen_by(&self, tenancy: &Tenancy) -> Self {
        let tenants = tenancy.confinement().map(Arc::new);
        let alone = tenants.as_ref().is_some_and(|tenants| tenants.len() == 1);
        let own = |tenant: &str| alone && tenancy.includes(tenant);
        Self {
            audience: Audience {
                account: self.account_of(own),
                tenants,
            },
            ..self.clone()
        }
    }

    /// The same for a command of a caller. Whoever is confined to tenants acts on a plan with the account of the plan's
    /// tenant, if that has one; everything else is sent with the first, since EM lets tenants change nothing.
    #[must_use]
    pub fn sent_for(&self, tenancy: &Tenancy, command: &Command) -> Self {
        let tenant = match command {
            Command::Act { plan, .. } if tenancy.is_confined() => plan.owner(),
            Command::Act { .. }
            | Command::EditPlan { .. }
            | Command::DeletePlan { .. }
            | Command::Mirror(_) => None,
        };
        let own = |text: &str| tenant.is_some_and(|tenant| tenant.is_called(text));
        Self {
            audience: Audience {
                account: self.account_of(own),
                tenants: None,
            },
            ..self.clone()
        }
    }

    /// Whether EM is asked with a tenant's own account, to which it shows nothing of others.
    #[must_use]
    pub fn is_of_tenant(&self) -> bool {
        self.pool().is_ok_and(|pool| pool.tenant.is_some())
    }

    /// The sessions of the account that EM is asked with.
    pub(super) fn pool(&self) -> Result<&Arc<Pool>, Error> {
        let pool = self.inner.pools.get(self.audience.account);
        pool.ok_or_else(|| Error::before_sending(Kind::ShuttingDown))
    }

    /// The account whose tenant is `wanted`, by its place; the first where there is none.
    fn account_of(&self, wanted: impl Fn(&str) -> bool) -> usize {
        let pools = self.inner.pools.iter();
        let of_tenant = |pool: &Arc<Pool>| pool.tenant.as_deref().is_some_and(&wanted);
        pools.clone().position(of_tenant).unwrap_or_default()
    }
}
