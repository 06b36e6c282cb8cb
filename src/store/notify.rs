//! Commits are announced to other replicas (`pg_notify`), which then need not wait for their next query at intervals.
//! The queries at intervals remain, because a notification can be lost.

use super::engine::Engine;
use super::{Error, Store, Tx};

/// The channel of notifications.
pub(super) const CHANNEL: &str = "emgate";

impl Tx {
    /// Notifies the other replicas, once this is committed.
    pub(super) async fn notify(&mut self) -> Result<(), Error> {
        if self.engine() == Engine::Sqlite
            || !(self.events_written || self.settings_written || self.changed())
        {
            return Ok(());
        }
        let announced = format!(
            "{} {}{}{}",
            self.replica(),
            if self.events_written { "d" } else { "" },
            if self.changed() { "c" } else { "" },
            if self.settings_written { "s" } else { "" },
        );
        sqlx::query("select pg_notify($1, $2)::text")
            .bind(CHANNEL)
            .bind(announced)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

impl Store {
    /// Tells the other replicas that there is one more, or one less.
    pub(super) async fn notify_replicas(&self) -> Result<(), Error> {
        sqlx::query("select pg_notify($1, $2)::text")
            .bind(CHANNEL)
            .bind(format!("{} r", self.replica()))
            .execute(self.writer())
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::testing::{new_command, new_operation, temporary};

    #[tokio::test]
    async fn a_commit_announces_what_it_changed() {
        let store = temporary().await;
        let mut changes = store.changes();
        let mut tx = store.begin().await.expect("begun");
        tx.insert_operation(&new_operation(&store), &new_command())
            .await
            .expect("inserted");
        assert!(!changes.has_changed().expect("open"), "not committed yet");
        tx.commit().await.expect("committed");
        assert!(changes.has_changed().expect("open"));
        changes.mark_unchanged();
        store
            .begin()
            .await
            .expect("begun")
            .commit()
            .await
            .expect("committed");
        assert!(!changes.has_changed().expect("open"), "nothing was changed");
    }

    #[tokio::test]
    async fn a_transaction_that_is_rolled_back_announces_nothing() {
        let store = temporary().await;
        let changes = store.changes();
        let mut tx = store.begin().await.expect("begun");
        tx.insert_operation(&new_operation(&store), &new_command())
            .await
            .expect("inserted");
        drop(tx);
        assert!(!changes.has_changed().expect("open"));
    }
}
