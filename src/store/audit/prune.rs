//! Retention of the audit log: the oldest rows go, and a signed anchor stands for them (docs/behaviour.md#audit).

use jiff::Timestamp;

use super::CORRUPT;
use super::chain::{Anchor, Link};
use crate::store::row::{Columns as _, micros};
use crate::store::{Error, Store};

impl Store {
    /// Removes up to `limit` rows from the beginning of the chain that are older than `oldest`; how many. Rows behind one
    /// that is younger stay, whatever their time says, so that the chain has no hole.
    pub(in crate::store) async fn prune_audit(&self, oldest: Timestamp, limit: i64) -> Result<u64, Error> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query("select sequence, at, hash from audit order by sequence limit $1")
            .bind(limit)
            .fetch_all(tx.connection())
            .await?;
        let mut last = None;
        for row in &rows {
            if row.int("at")? >= micros(oldest) {
                break;
            }
            last = Some(Link {
                sequence: row.int("sequence")?,
                hash: row.text("hash")?,
            });
        }
        let Some(last) = last else { return Ok(0) };
        let (sequence, at) = (last.sequence, self.clock().now());
        let anchor = Anchor::signed(last, at, self.sealer().signer()).map_err(|_| CORRUPT)?;
        // Of replicas that remove at the same time, the one that comes second finds the work done.
        let moved = sqlx::query(
            "insert into audit_anchor (id, sequence, hash, at, public_key, signature) values (1, $1, $2, $3, $4, $5) \
             on conflict (id) do update set sequence = excluded.sequence, hash = excluded.hash, at = excluded.at, \
             public_key = excluded.public_key, signature = excluded.signature \
             where audit_anchor.sequence < excluded.sequence",
        )
        .bind(anchor.sequence)
        .bind(anchor.hash)
        .bind(micros(at))
        .bind(anchor.public_key)
        .bind(anchor.signature)
        .execute(tx.connection())
        .await?
        .rows_affected();
        if moved == 0 {
            return Ok(0);
        }
        let removed = sqlx::query("delete from audit where sequence <= $1")
            .bind(sequence)
            .execute(tx.connection())
            .await?
            .rows_affected();
        tx.commit().await?;
        tracing::debug!(rows = removed, kind = "audit", "old rows were removed");
        Ok(removed)
    }
}
