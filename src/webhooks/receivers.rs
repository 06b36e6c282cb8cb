//! What receivers' certificates and clocks show, looked at with every sweep: counted for the metrics, and logged once when
//! something changes for the worse. Whether it was logged is stored, so that neither a restart nor a replica repeats it.

use jiff::Timestamp;

use crate::domain::webhook::receiver::{SKEW_NOTED, SKEW_REFUSED, SKEW_TOLERATED};
use crate::store::webhooks::receivers::{Receiver, Told};
use crate::store::{self, Tx};
use crate::telemetry::names;

/// Looks at the receivers of all enabled endpoints. True when most of those whose clock is known refuse deliveries while it
/// differs: then the gateway's own is the likely cause.
pub(super) async fn look(tx: &mut Tx, now: Timestamp) -> Result<bool, store::Error> {
    let receivers = tx.receivers().await?;
    for receiver in &receivers {
        let told = Told {
            certificate: receiver.facts.expires_soon(now),
            skew: receiver.facts.differs_by_more_than(SKEW_TOLERATED),
        };
        if told != receiver.told {
            warn(receiver, told);
            tx.save_told(receiver.endpoint, told).await?;
        }
    }
    measure(&receivers, now);
    let refuses = |receiver: &&Receiver| receiver.fails && receiver.facts.differs_by_more_than(SKEW_REFUSED);
    let refusing = receivers.iter().filter(refuses).count();
    let dated = receivers
        .iter()
        .filter(|receiver| receiver.facts.clock_skew.is_some());
    Ok(refusing * 2 > dated.count())
}

fn warn(receiver: &Receiver, told: Told) {
    let endpoint = receiver.endpoint;
    if told.certificate && !receiver.told.certificate {
        let not_after = receiver.facts.certificate_not_after.map(tracing::field::display);
        tracing::warn!(%endpoint, not_after, "the certificate of a webhook receiver expires within 14 days");
    }
    if told.skew && !receiver.told.skew {
        let skew_s = receiver.facts.clock_skew;
        tracing::warn!(
            %endpoint,
            skew_s,
            "the clock of a webhook receiver and this one differ by more than 5 minutes; receivers refuse signatures for that"
        );
    }
}

fn measure(receivers: &[Receiver], now: Timestamp) {
    let facts = || receivers.iter().map(|receiver| receiver.facts);
    let expiring = facts().filter(|facts| facts.expires_soon(now)).count();
    let skewed = facts()
        .filter(|facts| facts.differs_by_more_than(SKEW_NOTED))
        .count();
    let most = facts()
        .filter_map(|facts| facts.clock_skew)
        .map(i64::unsigned_abs)
        .max();
    metrics::gauge!(names::WEBHOOK_CERTIFICATES).set(expiring as f64);
    metrics::gauge!(names::WEBHOOK_SKEWED).set(skewed as f64);
    metrics::gauge!(names::WEBHOOK_SKEW).set(most.unwrap_or_default() as f64);
}
