//! Events that EM is away and that it is back, each once, whichever replica noticed.

use jiff::Timestamp;

use super::Error;
use super::apply::begin_under;
use crate::api_types::events::{UpstreamEventData, event};
use crate::domain::event::{EventType, Routing};
use crate::domain::id::EventId;
use crate::store::Store;
use crate::store::replicas::Lease;

/// Records that EM is away (`reason`) or back (`None`), and reports each once, also across restarts.
///
/// # Errors
/// [`Error::Store`], [`Error::LeaseLost`].
pub async fn outage(
    store: &Store,
    lease: &Lease,
    account: &str,
    since: Timestamp,
    reason: Option<String>,
) -> Result<(), Error> {
    if store.outage().await?.is_some() == reason.is_some() {
        return Ok(());
    }
    let mut tx = begin_under(lease, store).await?;
    // Read again: what was read without the lease may have been reported by another replica since.
    let told = tx.outage().await?;
    if told.is_some() == reason.is_some() {
        return Ok(());
    }
    let (kind, since) = match (&reason, told) {
        (Some(_), _) => (EventType::UpstreamUnavailable, since),
        (None, began) => (EventType::UpstreamRecovered, began.unwrap_or(since)),
    };
    tx.set_outage(reason.is_some().then_some(since)).await?;
    let data = UpstreamEventData {
        account: account.to_owned(),
        since: since.into(),
        reason,
    };
    let clock = tx.clock();
    tx.append_event(&event(
        EventId::new(clock.id()),
        kind,
        clock.now(),
        data,
        Routing::default(),
    )?)
    .await?;
    tx.commit().await?;
    Ok(())
}
