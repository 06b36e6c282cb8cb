//! A transaction's way back to a point within it: one row that the database refuses takes no other with it.

use super::{Error, Tx};

/// A point in a transaction.
#[must_use]
pub struct Savepoint {
    events: usize,
    audit: usize,
    event_log_locked: bool,
}

impl Tx {
    /// A point to which [`Tx::undo`] leads back; one at a time.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn mark(&mut self) -> Result<Savepoint, Error> {
        sqlx::query("savepoint one_row")
            .execute(self.connection())
            .await?;
        Ok(Savepoint {
            events: self.events.len(),
            audit: self.audit.len(),
            event_log_locked: self.event_log_locked,
        })
    }

    /// Keeps what was written since.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn keep(&mut self, _mark: Savepoint) -> Result<(), Error> {
        sqlx::query("release savepoint one_row")
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Undoes what was written since.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn undo(&mut self, mark: Savepoint) -> Result<(), Error> {
        sqlx::query("rollback to savepoint one_row")
            .execute(self.connection())
            .await?;
        self.events.truncate(mark.events);
        self.audit.truncate(mark.audit);
        // A lock that was taken since is given back.
        self.event_log_locked = mark.event_log_locked;
        sqlx::query("release savepoint one_row")
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::engine::Engine;
    use crate::store::row::Columns as _;
    use crate::store::testing::temporary;

    #[tokio::test]
    async fn the_lock_of_the_event_log_is_taken_again_after_what_took_it_was_undone() {
        let store = temporary().await;
        if store.0.engine == Engine::Sqlite {
            return;
        }
        let mut tx = store.begin().await.expect("begun");
        let mark = tx.mark().await.expect("marked");
        tx.lock_event_log().await.expect("locked");
        tx.undo(mark).await.expect("undone");
        tx.lock_event_log().await.expect("locked again");
        let held = sqlx::query(
            "select count(*) as held from pg_locks where locktype = 'advisory' and granted and pid = pg_backend_pid()",
        )
        .fetch_one(tx.connection())
        .await
        .expect("counted");
        assert_eq!(held.int("held").expect("a number"), 1);
    }
}
