//! The beat of this replica: it shows that it lives, buries the dead, and keeps to its share.

use std::time::{Duration, Instant};

use sqlx::{AnyConnection, ConnectOptions as _};

use super::shares::{LimitSource, Peer, Shares, peers};
use super::{BEAT_SQL, Error};
use crate::store::Store;
use crate::store::engine::Engine;
use crate::store::row::Columns as _;

/// How often a replica beats and checks the others.
const BEAT: Duration = Duration::from_secs(1);
/// The same for a while after another came or went, so that what one gives back is soon the other's.
const FAST_BEAT: Duration = Duration::from_millis(200);
const FAST_FOR: Duration = Duration::from_secs(3);
/// How long a beat may take before its connection is given up.
const BEAT_LIMIT: Duration = Duration::from_secs(3);
/// How long a replica's own connection has to be up before it takes others for dead: after a restart of the database
/// all were silent, and have to get the time to come back.
const SETTLED: Duration = Duration::from_secs(3);
/// After how much silence the others may share out what this one had.
const SILENT: Duration = Duration::from_secs(6);

/// Held while a connection lives, for as long as the process does.
const LOCK_SQL: &str = "select pg_try_advisory_lock(hashtextextended($1, 7310868735))::text";

/// Lets one replica at a time claim more. Only tried: a beat never waits for another replica.
const CLAIM_LOCK_SQL: &str = "select pg_try_advisory_xact_lock(7310868736)::text as free";

/// Keeps this replica alive, removes dead ones, and claims its share of what there is.
pub struct Heartbeat {
    store: Store,
    shares: Shares,
    /// With the lock on it, and since when.
    connection: Option<(AnyConnection, Instant)>,
    /// The replicas that there were at the last beat, and since when there are as many.
    known: Option<(usize, Instant)>,
}

impl Heartbeat {
    /// The heart of this process.
    #[must_use]
    pub fn new(store: Store, quota: impl LimitSource) -> Self {
        let shares = Shares::new(store.replica().to_owned(), Box::new(quota));
        Self {
            store,
            shares,
            connection: None,
            known: None,
        }
    }

    /// Beats until it is dropped: also while the program stops, because what is under way then is still its own.
    pub async fn run(mut self) {
        if self.store.0.engine == Engine::Sqlite {
            return std::future::pending().await;
        }
        let (mut failing, mut heard) = (false, Instant::now());
        loop {
            let beat = tokio::time::timeout(BEAT_LIMIT, self.beat()).await;
            let beat = beat.unwrap_or(Err(Error::TooSlow));
            match &beat {
                Ok(()) if failing => tracing::info!("this replica writes its heartbeat again"),
                Err(error) if !failing => tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "this replica cannot write its heartbeat; it claims no work until it can"
                ),
                Ok(()) | Err(_) => {}
            }
            failing = beat.is_err();
            if failing {
                self.store.0.presence.failed();
            }
            if !failing {
                heard = Instant::now();
            } else if heard.elapsed() >= SILENT {
                self.shares.keep_one();
            }
            self.shares.take_one();
            self.store.0.replicas.wait(self.pause()).await;
        }
    }

    async fn beat(&mut self) -> Result<(), Error> {
        let id = self.store.replica().to_owned();
        let (mut connection, since) = match self.connection.take() {
            Some(known) => known,
            None => {
                let mut connection = self.store.0.write.connect_options().connect().await?;
                sqlx::query(LOCK_SQL)
                    .bind(id.clone())
                    .fetch_one(&mut connection)
                    .await?;
                (connection, Instant::now())
            }
        };
        let begun = tokio::time::Instant::now();
        let row = sqlx::query(BEAT_SQL)
            .bind(id)
            .bind(self.shares.claims())
            .fetch_one(&mut connection)
            .await?;
        self.store.note_beat(begun, Some(&row))?;
        let peers = peers(&mut connection).await?;
        // Put back only when it works: the next beat makes a new one otherwise.
        self.connection = Some((connection, since));
        self.note(&peers);
        if self.shares.settle(&peers) {
            self.claim().await?;
        }
        if since.elapsed() >= SETTLED {
            let dead = self.store.evict_dead().await?;
            if dead > 0 {
                tracing::warn!(
                    replicas = dead,
                    "a replica sent no heartbeat for too long; its work is taken over"
                );
                self.store.0.replicas.now();
            }
        }
        Ok(())
    }

    /// Claims more, as far as the others have left room.
    async fn claim(&mut self) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        let row = sqlx::query(CLAIM_LOCK_SQL).fetch_one(tx.connection()).await?;
        if row.text("free")? != "true" {
            return Ok(());
        }
        let peers = peers(tx.connection()).await?;
        let Some(claims) = self.shares.raised(&peers) else {
            return Ok(());
        };
        sqlx::query("update replicas set claims = $2 where id = $1")
            .bind(self.store.replica().to_owned())
            .bind(self.shares.with_what_is_held(&claims))
            .execute(tx.connection())
            .await?;
        tx.commit().await?;
        self.shares.take(&claims);
        Ok(())
    }

    fn note(&mut self, peers: &[Peer]) {
        if self.known.is_none_or(|(count, _)| count != peers.len()) {
            self.known = Some((peers.len(), Instant::now()));
        }
    }

    fn pause(&self) -> Duration {
        let fast = self.known.is_some_and(|(_, since)| since.elapsed() < FAST_FOR);
        if fast { FAST_BEAT } else { BEAT }
    }
}
