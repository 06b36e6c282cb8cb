//! Receives what other replicas commit, from PostgreSQL (`listen`), so that workers and callers who wait need not
//! wait for their next query at intervals. Notifications are sent by `store/notify.rs`.

use std::time::Duration;

use sqlx::postgres::PgListener;

use super::engine::Engine;
use super::notify::CHANNEL;
use super::{Error, Store};
use crate::runtime::Nudge;

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
        self.hear("dcrs");
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
        if what.contains('s') {
            self.store.0.settings.now();
        }
        if what.contains('r') {
            self.store.0.replicas.now();
        }
    }
}
