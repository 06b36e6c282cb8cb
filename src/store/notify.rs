//! What one replica writes, the others hear of: a commit that changed something notifies them, so that they need not
//! wait for their next look. Looking goes on all the same, because a notification may get lost.

use std::time::Duration;

use sqlx::postgres::PgListener;

use super::engine::Engine;
use super::{Error, Store, Tx};

const CHANNEL: &str = "emgate";
/// How long to rest before listening again.
const PAUSE: Duration = Duration::from_secs(1);

/// After how much silence to listen on a new connection: one that was cut off is silent for ever.
const SILENCE: Duration = Duration::from_mins(1);

/// Hears what other replicas wrote.
pub struct NotificationListener<F> {
    store: Store,
    /// Told that operations or sessions changed.
    changed: F,
}

impl Tx {
    /// Tells the other replicas, once this is committed.
    pub(super) async fn notify(&mut self) -> Result<(), Error> {
        if self.engine() == Engine::Sqlite || !(self.events_written || self.operations_written) {
            return Ok(());
        }
        let told = format!(
            "{} {}{}",
            self.replica(),
            if self.events_written { "d" } else { "" },
            if self.operations_written { "o" } else { "" },
        );
        sqlx::query("select pg_notify($1, $2)::text")
            .bind(CHANNEL)
            .bind(told)
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

impl<F: Fn() + Send + Sync> NotificationListener<F> {
    /// A listener that calls `changed` when operations or sessions were changed elsewhere, and wakes the deliveries by itself.
    pub const fn new(store: Store, changed: F) -> Self {
        Self { store, changed }
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
                    "other replicas are not heard"
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn listen(&self) -> Result<(), Error> {
        let url = self.store.0.write.connect_options().database_url.clone();
        let mut listener = PgListener::connect(url.as_str()).await?;
        listener.listen(CHANNEL).await?;
        self.hear("dor");
        // None: the connection broke or was silent, and what was told in the meantime is not known.
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
        if what.contains('o') {
            (self.changed)();
        }
        if what.contains('r') {
            self.store.0.replicas.now();
        }
    }
}
