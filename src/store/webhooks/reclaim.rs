//! Claims that nobody works on any more: of this process after a commit of unknown outcome, and of one that is gone.

use std::collections::{HashMap, HashSet};

use super::super::readable::DELIVERIES;
use super::super::row::Columns as _;
use super::super::{Error, Tx};
use super::outcomes::{Attempt, AttemptEnd, Settled, Settlement};
use crate::domain::id::DeliveryId;
use crate::domain::webhook::{AttemptError, DeliveryState};

impl Tx {
    /// Releases every delivery that this process, or one that is no more, has claimed and that is not among `alive`.
    /// The attempt's end is not known, so it may have arrived; it goes out again at once under the same id. Their
    /// number. Of a file, where no replica is registered, all that is claimed is this process' or has no living owner.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn reclaim(&mut self, alive: &HashSet<Attempt>) -> Result<usize, Error> {
        let own = self.replica().to_owned();
        self.reclaim_of(&own, alive).await
    }

    /// The same with another process' claims in place of the own ones.
    pub(in crate::store) async fn reclaim_of(
        &mut self,
        replica: &str,
        alive: &HashSet<Attempt>,
    ) -> Result<usize, Error> {
        let rows = sqlx::query(
            "select d.id, d.attempts, d.owner, e.enabled, d.endpoint_id from webhook_deliveries d \
             left join webhook_endpoints e on e.id = d.endpoint_id \
             where d.state = 'sending' and (d.owner = $1 or d.owner not in (select id from replicas))",
        )
        .bind(replica)
        .fetch_all(self.connection())
        .await?;
        let now = self.clock().now();
        // A row that cannot be read stays as it is; the other claims are given back all the same.
        let claimed = self.read_rows(DELIVERIES, &rows, |row| {
            let attempt = Attempt {
                delivery: row.parsed("id")?,
                number: row.int("attempts")?,
            };
            let settled = match (row.opt_text("endpoint_id")?, row.opt_int("enabled")?) {
                (Some(_), None) => Settled::Ended(DeliveryState::Cancelled),
                (Some(_), Some(0)) => Settled::Held,
                _ => Settled::Waits(now),
            };
            Ok((attempt, row.text("owner")?, settled))
        })?;
        let mut by_owner: HashMap<String, Vec<Attempt>> = HashMap::new();
        let mut becomes: HashMap<DeliveryId, Settled> = HashMap::new();
        for (attempt, owner, settled) in claimed.items {
            if !alive.contains(&attempt) {
                by_owner.entry(owner).or_default().push(attempt);
                becomes.insert(attempt.delivery, settled);
            }
        }
        let mut settlements = Vec::with_capacity(becomes.len());
        for (owner, attempts) in by_owner {
            for delivery in self.sending(&attempts, &owner).await? {
                if let Some(settled) = becomes.remove(&delivery.attempt.delivery) {
                    settlements.push(Settlement {
                        delivery,
                        settled,
                        may_be_passed: false,
                    });
                }
            }
        }
        let end = AttemptEnd {
            error: Some(AttemptError::Interrupted),
            ..AttemptEnd::default()
        };
        let ended = settlements.iter().map(|settlement| {
            settlement
                .delivery
                .attempt
                .ended_by(settlement.delivery.began_at, &end)
        });
        let ended = ended.collect::<Vec<_>>();
        let released = self.settle(&settlements).await?.len();
        self.end_attempts(&ended).await?;
        Ok(released)
    }
}
