//! Whether a plan is free for an action. Asked in the transaction that makes it busy, so that of two requests one is refused.

use super::{BusyWith, Error};
use crate::domain::access::Tenancy;
use crate::domain::plan::PlanRef;
use crate::domain::policy::PlanAction;
use crate::store::{self, Tx};

/// Refuses an action whose plan is busy.
///
/// # Errors
/// [`Error::PlanBusy`], [`Error::Store`].
pub(super) async fn expect_free(
    tx: &mut Tx,
    action: Option<PlanAction>,
    plan: Option<&PlanRef>,
    tenancy: &Tenancy,
) -> Result<(), Error> {
    let Some(plan) = plan.filter(|_| action.is_some_and(PlanAction::runs_plan)) else {
        return Ok(());
    };
    match busy_with(tx, plan, tenancy).await? {
        Some(busy) => Err(Error::PlanBusy(busy)),
        None => Ok(()),
    }
}

/// What keeps a plan busy: its operation before its session, since it holds more. What `tenancy` does not see keeps it busy
/// as well and is not named, such as the session of another tenant's plan of the same name that is resolved to none.
pub(super) async fn busy_with(
    tx: &mut Tx,
    plan: &PlanRef,
    tenancy: &Tenancy,
) -> Result<Option<BusyWith>, store::Error> {
    if let Some(id) = tx.busy_operation(&plan.id).await? {
        let seen = !tenancy.is_confined() || tx.operation(id, tenancy).await?.is_some();
        return Ok(Some(if seen {
            BusyWith::Operation(id)
        } else {
            BusyWith::Unnamed
        }));
    }
    let Some(id) = tx.busy_session(plan).await? else {
        return Ok(None);
    };
    let seen = !tenancy.is_confined()
        || tx
            .sessions_known(std::slice::from_ref(&id))
            .await?
            .iter()
            .any(|record| tenancy.sees(record.plan.as_ref().and_then(PlanRef::owner)));
    Ok(Some(if seen {
        BusyWith::Session(id)
    } else {
        BusyWith::Unnamed
    }))
}
