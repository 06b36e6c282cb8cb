//! Who shares this store: every replica beats, the silent count as dead, what they had claimed is released.
//!
//! Only PostgreSQL is shared. There a replica holds an advisory lock on a connection of its own, so that a killed one
//! differs from one that is slow: silent for 3 s with the lock free is dead, silent for 8 s is dead in any case. All
//! times are the database server's. A file has one process, and everything in it is that process' own.

mod heartbeat;
mod presence;
mod shares;

use std::collections::HashSet;

pub use self::heartbeat::Heartbeat;
pub(in crate::store) use self::presence::Presence;
pub use self::shares::{LimitSource, SharedLimit};
use super::engine::Engine;
use super::row::Columns as _;
use super::{Error, Store, Tx};
use crate::domain::words::words;

/// The server's time in microseconds since 1970.
macro_rules! now {
    () => {
        "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
    };
}

const BEAT_SQL: &str = concat!(
    "insert into replicas (id, started_at, beat_at, claims) values ($1, ",
    now!(),
    ", ",
    now!(),
    ", $2) on conflict (id) do update set beat_at = excluded.beat_at, claims = excluded.claims \
     returning case when xmax = 0 then 1 else 0 end::bigint as entered"
);

const OPENED_SQL: &str = "insert into meta (key, value) values ('opened_by', $1) \
     on conflict (key) do update set value = excluded.value";

/// Which replicas are silent, if any.
const SILENT_SQL: &str = concat!(
    "select id from replicas where id <> $1 and beat_at < ",
    now!(),
    " - 3000000 limit 1"
);

/// Those that count as dead. A replica that claims something at this moment holds its row, and is left for the next check.
const DEAD_SQL: &str = concat!(
    "select id from replicas where id <> $1 and case when beat_at < ",
    now!(),
    " - 8000000 then true when beat_at < ",
    now!(),
    " - 3000000 then pg_try_advisory_xact_lock(hashtextextended(id, 7310868735)) else false end \
     for update skip locked"
);

/// Finds this replica alive, and keeps it from counting as dead until the transaction has ended.
const ALIVE_SQL: &str = concat!(
    "select id from replicas where id = $1 and beat_at > ",
    now!(),
    " - 6000000 for key share"
);

/// A lease is free when it has no owner, is one's own, or that of a replica that is no more.
const LEASE_SQL: &str = "insert into leases (name, owner, token) values ($1, $2, 1) \
     on conflict (name) do update set owner = $2, \
         token = case when leases.owner = $2 then leases.token else leases.token + 1 end \
     where leases.owner = $2 or leases.owner not in (select id from replicas) \
     returning token";

const GREETED_SQL: &str = concat!("update replicas set greeted_at = ", now!(), " where id = $1");

/// Gives a lease to the replica that lives and had the latest answer from EM, half a minute ago at the most.
const HAND_OVER_SQL: &str = concat!(
    "update leases set owner = heir.id, token = leases.token + 1 from \
     (select id from replicas where id <> $2 and beat_at > ",
    now!(),
    " - 3000000 and greeted_at > ",
    now!(),
    " - 30000000 order by greeted_at desc, id limit 1) as heir \
     where leases.name = $1 and leases.owner = $2 and leases.token = $3 returning leases.token"
);

words! {
    /// What one replica at a time does for all.
    pub enum LeaseName {
        /// Gathers what recovery reports are made of, and makes them.
        Evidence = "evidence",
        /// Requests the tests that are due, and tells which are overdue.
        Schedules = "schedules",
        /// Observes Enterprise Manager.
        Watch = "watch",
    }
}

/// A lease as it was acquired: every write under it has to find it unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    name: LeaseName,
    token: i64,
}

impl Store {
    /// This process in the rows that are its own.
    #[must_use]
    pub fn replica(&self) -> &str {
        &self.0.replica
    }

    /// Whether several replicas may work on it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.0.engine == Engine::Postgres
    }

    /// Takes or keeps a lease; none while another replica has it or this one cannot beat. The only process of a file
    /// always has it.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn lease(&self, name: LeaseName) -> Result<Option<Lease>, Error> {
        if self.0.engine == Engine::Sqlite {
            return Ok(Some(Lease { name, token: 0 }));
        }
        let mut tx = self.begin().await?;
        if !tx.is_alive().await? {
            return Ok(None);
        }
        let row = sqlx::query(LEASE_SQL)
            .bind(name.as_str())
            .bind(self.replica().to_owned())
            .fetch_optional(tx.connection())
            .await?;
        tx.commit().await?;
        row.map(|row| {
            let token = row.int("token")?;
            Ok(Lease { name, token })
        })
        .transpose()
    }

    /// Records that EM answered this replica a moment ago; on a shared store only.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn record_em_contact(&self) -> Result<(), Error> {
        if self.0.engine == Engine::Postgres {
            let mut tx = self.begin().await?;
            let id = self.replica().to_owned();
            sqlx::query(GREETED_SQL).bind(id).execute(tx.connection()).await?;
            tx.note_writing();
            tx.commit().await?;
        }
        Ok(())
    }

    /// Leaves a lease to another replica, one that EM answered a moment ago. False when there is none.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn hand_over(&self, lease: Lease) -> Result<bool, Error> {
        if self.0.engine == Engine::Sqlite {
            return Ok(false);
        }
        let mut tx = self.begin().await?;
        let row = sqlx::query(HAND_OVER_SQL)
            .bind(lease.name.as_str())
            .bind(self.replica().to_owned())
            .bind(lease.token)
            .fetch_optional(tx.connection())
            .await?;
        tx.commit().await?;
        Ok(row.is_some())
    }

    /// Writes this replica's row, or, in a file, who opened it last: a store that takes no writes is of no use, and is
    /// found out here and not at the first request.
    pub(super) async fn register(&self) -> Result<(), Error> {
        let begun = tokio::time::Instant::now();
        let mut tx = self.begin().await?;
        let rows = tx.write_enrolment().await?;
        tx.commit().await?;
        if self.0.engine == Engine::Postgres {
            self.note_beat(begun, rows.first())?;
            // Those who have more than their new share can give it back at once.
            self.notify_replicas().await?;
        }
        Ok(())
    }

    /// Takes note of a beat that arrived.
    fn note_beat(&self, begun: tokio::time::Instant, row: Option<&sqlx::any::AnyRow>) -> Result<(), Error> {
        let entered = row.map(|row| row.flag("entered")).transpose()?;
        self.0.presence.beaten(begun, entered.unwrap_or(true));
        Ok(())
    }

    /// Whether [`Store::register`] could be done; on a shared store it is undone, so that no replica makes room for this process.
    pub(super) async fn try_enrolment(&self) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        tx.write_enrolment().await?;
        match self.0.engine {
            Engine::Sqlite => tx.commit().await,
            Engine::Postgres => Ok(()),
        }
    }

    /// Leaves: other replicas may claim at once what this one still held.
    pub(super) async fn deregister(&self) -> Result<(), Error> {
        if self.0.engine == Engine::Postgres {
            let mut tx = self.begin().await?;
            tx.lock_event_log().await?;
            tx.remove_replica(self.replica()).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Removes replicas that count as dead. Their number.
    async fn evict_dead(&self) -> Result<usize, Error> {
        let silent = sqlx::query(SILENT_SQL)
            .bind(self.replica().to_owned())
            .fetch_optional(self.reader())
            .await?;
        if silent.is_none() {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        // Before the rows: whoever claims takes the two in this order.
        tx.lock_event_log().await?;
        let rows = sqlx::query(DEAD_SQL)
            .bind(self.replica().to_owned())
            .fetch_all(tx.connection())
            .await?;
        let dead = rows
            .iter()
            .map(|row| row.text("id"))
            .collect::<Result<Vec<_>, _>>()?;
        if dead.is_empty() {
            return Ok(0);
        }
        for id in &dead {
            tx.remove_replica(id).await?;
        }
        tx.commit().await?;
        Ok(dead.len())
    }
}

impl Tx {
    async fn write_enrolment(&mut self) -> Result<Vec<sqlx::any::AnyRow>, Error> {
        let replica = self.replica().to_owned();
        let query = match self.engine() {
            Engine::Postgres => sqlx::query(BEAT_SQL).bind(replica).bind(shares::NO_CLAIMS),
            // With the time, because SQLite does not write what is there already.
            Engine::Sqlite => sqlx::query(OPENED_SQL).bind(format!("{replica} {}", self.clock().now())),
        };
        let rows = query.fetch_all(self.connection()).await?;
        self.note_writing();
        Ok(rows)
    }

    /// This process in the rows that are its own.
    pub(super) fn replica(&self) -> &str {
        &self.store.replica
    }

    /// Whether this replica counts as alive; if so, until the transaction has ended. The only process of a file does.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn is_alive(&mut self) -> Result<bool, Error> {
        if self.engine() == Engine::Sqlite {
            return Ok(true);
        }
        let id = self.replica().to_owned();
        let row = sqlx::query(ALIVE_SQL)
            .bind(id)
            .fetch_optional(self.connection())
            .await?;
        Ok(row.is_some())
    }

    /// Whether a lease is still as it was acquired; if so, until the transaction has ended.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn holds(&mut self, lease: &Lease) -> Result<bool, Error> {
        if self.engine() == Engine::Sqlite {
            return Ok(true);
        }
        let row = sqlx::query("select name from leases where name = $1 and token = $2 for update")
            .bind(lease.name.as_str())
            .bind(lease.token)
            .fetch_optional(self.connection())
            .await?;
        Ok(row.is_some())
    }

    /// Removes a replica and gives back what it had claimed, all or nothing.
    pub(in crate::store) async fn remove_replica(&mut self, id: &str) -> Result<(), Error> {
        sqlx::query("delete from replicas where id = $1")
            .bind(id.to_owned())
            .execute(self.connection())
            .await?;
        self.reclaim_of(id, &HashSet::new()).await?;
        self.note_deliveries();
        Ok(())
    }
}
