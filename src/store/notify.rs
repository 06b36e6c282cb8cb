//! Commits are announced to other replicas (`pg_notify`), which then need not wait for their next query at intervals.
//! The queries at intervals remain, because a notification can be lost.

use std::time::Duration;

use sqlx::postgres::PgListener;

use super::engine::Engine;
use super::{Error, Store, Tx};
use crate::runtime::Nudge;

const CHANNEL: &str = "emgate";
/// How long to rest before listening again.
const PAUSE: Duration = Duration::from_secs(1);

/// After how much silence to listen on a new connection: one that was cut off is silent for ever.
const SILENCE: Duration = Duration::from_mins(1);

/// Receives what other replicas announce, and announces it in this process.
pub struct NotificationListener {
    store: Store,
    /// Wakes the observation, which follows the operations of all replicas.
    watcher: Nudge,
}

impl Tx {
    /// Notifies the other replicas, once this is committed.
    pub(super) async fn notify(&mut self) -> Result<(), Error> {
        if self.engine() == Engine::Sqlite || !(self.events_written || self.changed()) {
            return Ok(());
        }
        let announced = format!(
            "{} {}{}",
            self.replica(),
            if self.events_written { "d" } else { "" },
            if self.changed() { "c" } else { "" },
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

impl NotificationListener {
    /// A listener that wakes `watcher` when operations or sessions were changed elsewhere.
    pub const fn new(store: Store, watcher: Nudge) -> Self {
        Self { store, watcher }
    }

    /// Listens until it is dropped.
    pub async fn run(self) {
        if self.store.0.engine == Engine::Sqlite {
            return std::future::pending().await;
        }
        loop {
            if let Err(error) = self.listen().await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "notifications of other replicas cannot be received; trying again"
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn listen(&self) -> Result<(), Error> {
        let url = self.store.0.write.connect_options().database_url.clone();
        let mut listener = PgListener::connect(url.as_str()).await?;
        listener.listen(CHANNEL).await?;
        self.hear("dcr");
        // None: the connection broke or was silent, and what was announced in the meantime is not known.
        while let Some(heard) = tokio::time::timeout(SILENCE, listener.try_recv())
            .await
            .unwrap_or(Ok(None))?
        {
            match heard.payload().split_once(' ') {
                Some((replica, _)) if replica == self.store.replica() => {}
                Some((_, what)) => self.hear(what),
                None => {}
            }
        }
        Ok(())
    }

    fn hear(&self, what: &str) {
        if what.contains('d') {
            self.store.deliveries_nudge().now();
        }
        if what.contains('c') {
            self.watcher.now();
            self.store.0.announce();
        }
        if what.contains('r') {
            self.store.0.replicas.now();
        }
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
