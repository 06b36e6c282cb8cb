//! The two engines and what differs between them; everything else of this room is one text of SQL for both.
//!
//! SQLite is one file that one process holds. PostgreSQL is shared by several replicas, so what SQLite gets from its
//! single writer (rows that stay as they were read until the commit, events that become visible in the order of their
//! numbers) is asked for by name there.

use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Executor as _};

use super::Error;
use super::timed::silent;

/// How long a caller waits for a connection; on PostgreSQL that is also how long one waits for a server that is away.
const FILE_PATIENCE: Duration = Duration::from_secs(10);
const SERVER_PATIENCE: Duration = Duration::from_secs(3);

/// How long a worker's turn at the store may take. The server ends statements by itself; this is for one that is out of
/// reach, so that nothing comes back at all.
const TURN_LIMIT: Duration = Duration::from_secs(15);

/// Gives up work on the store that takes too long. What it had begun is undone, or its outcome unknown.
///
/// # Errors
/// [`Error::TooSlow`], or the work's own.
pub async fn with_timeout<T, E: From<Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::time::timeout(TURN_LIMIT, work)
        .await
        .unwrap_or_else(|_| Err(Error::TooSlow.into()))
}

/// Connections to PostgreSQL of one replica: for requests, and for the few things that workers do at a time. Two more
/// beat and listen.
pub(super) const REQUEST_CONNECTIONS: u32 = 10;
pub(super) const WORKER_CONNECTIONS: u32 = 4;

/// Connections that read from a file.
pub(super) const REQUEST_READERS: u32 = 4;
pub(super) const WORKER_READERS: u32 = 2;

/// Where writes go and where reads go.
pub(super) struct Pools {
    pub(super) write: AnyPool,
    pub(super) read: AnyPool,
}

macro_rules! event_log_lock {
    () => {
        "select pg_advisory_xact_lock(7310868735)::text"
    };
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file of one process.
    Sqlite,
    /// A server that replicas share.
    Postgres,
}

impl Engine {
    /// What OpenTelemetry calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgresql",
        }
    }

    /// How a transaction that may write begins. On SQLite it takes the write lock at once, so that what it reads
    /// stays true until it commits.
    pub(super) const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "begin immediate",
            Self::Postgres => "begin",
        }
    }

    /// How a transaction begins that appends to the event log, or counts on nobody else doing so until its commit: with
    /// [`Engine::order_events`] in the same round trip.
    pub(super) const fn begin_ordered(self) -> &'static str {
        match self {
            Self::Sqlite => "begin immediate",
            Self::Postgres => concat!("begin; ", event_log_lock!()),
        }
    }

    /// What follows a select whose rows are about to be changed.
    pub(super) const fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for update",
        }
    }

    /// A condition: the process whose id is in `column` is gone. Of a file, that is every process but this one, `own`; of a
    /// server, one that is not in the registry, and it is not known of a row that names none.
    pub(super) fn is_gone(self, column: &str, own: &str) -> String {
        match self {
            Self::Sqlite => format!("coalesce({column}, '') <> '{own}'"),
            Self::Postgres => {
                format!("({column} is not null and {column} not in (select id from replicas))")
            }
        }
    }

    /// A statement that lets one transaction at a time append to the event log, where the engine does not do so by
    /// itself: a reader that has seen number 8 must not find a 7 later.
    pub(super) const fn order_events(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(event_log_lock!()),
        }
    }

    /// A statement for the number that the next event gets.
    pub(super) const fn next_event(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "select coalesce(max(seq), 0) + 1 as place from sqlite_sequence where name = 'events'"
            }
            Self::Postgres => {
                "select coalesce(max(last_value), 0) + 1 as place from pg_sequences \
                 where schemaname = current_schema() and sequencename = 'events_seq_seq'"
            }
        }
    }

    /// A statement that lets one transaction at a time read what a key means, where the engine does not do so by
    /// itself: of two requests with one key, the second must find what the first made of it.
    pub(super) const fn order_keys(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("select pg_advisory_xact_lock(hashtextextended($1, 7310868736))::text"),
        }
    }

    /// A connection of its own for migrations, which may take longer than anything else is allowed to: tables are
    /// rewritten, and of replicas that start together the others wait for the one that does it.
    pub(super) async fn migrating(self, pool: &AnyPool) -> Result<AnyConnection, Error> {
        let mut connection = pool.connect_options().connect().await?;
        let settings = match self {
            Self::Sqlite => MIGRATING_PRAGMAS,
            Self::Postgres => MIGRATING_SETTINGS,
        };
        connection.execute(sqlx::raw_sql(settings)).await?;
        Ok(connection)
    }

    /// A migration in this engine's dialect: lines that begin with the name of an engine are for that one.
    pub(super) fn dialect(self, sql: &'static str) -> String {
        match self {
            Self::Sqlite => sql.replace("--sqlite ", ""),
            Self::Postgres => sql.replace("--postgres ", "").replace(
                "integer primary key autoincrement",
                "bigint generated always as identity primary key",
            ),
        }
    }
}

/// A process that ends in the middle of a migration leaves a server that would continue it alone, and keep the next one
/// waiting; from version 14 on it can be told to check whether the client is still there.
const MIGRATING_SETTINGS: &str = "set statement_timeout = '30min'; set lock_timeout = '30min'; \
     set idle_in_transaction_session_timeout = '5min'; \
     select set_config('client_connection_check_interval', '2s', false) \
     where current_setting('server_version_num')::int >= 140000";

/// Those of every connection, but for two: a lock of another process is waited for longer, and a step is not on the disk when
/// it ends. What the power takes is the last steps, whole, which the next start takes again; the first commit of anything
/// else (FULL) makes all steps before it durable. Two waits for the disk in each step were most of a first start.
const MIGRATING_PRAGMAS: &str = "pragma busy_timeout = 1800000; pragma journal_mode = wal; \
     pragma synchronous = normal; pragma foreign_keys = on;";

/// FULL, because the product is for the day the power fails: a commit that was answered must survive it. The time is how
/// long a statement waits for another process or connection that holds the database, in milliseconds.
pub(super) const PRAGMAS: &str = "pragma busy_timeout = 5000; pragma journal_mode = wal; pragma synchronous = full; \
     pragma foreign_keys = on;";

/// Those of the one connection that writes, besides. What a transaction changes stays in memory until it commits, and so does
/// what a savepoint would bring back: in the 2 MB that are the default, a part of an observation wrote and read its pages several
/// times over. A transaction is bounded by what its statements may write. A commit every few seconds changes many of the same
/// pages: they are moved from the log to the file once for several of them (4,000 pages, 16 MB).
const WRITER_PRAGMAS: &str = "pragma cache_size = -16000; pragma cache_spill = off; pragma temp_store = memory; \
     pragma wal_autocheckpoint = 4000;";

/// Limits of a statement, and plans that do not hang on statistics: a plan is kept with its statement, and one that was
/// made while a table was small would read the whole of it long after. Every statement has its index. Compiling one, which
/// a server does where it takes a plan for dear, costs more than any of them takes.
const SESSION: &str = "set statement_timeout = '7s'; set lock_timeout = '5s'; \
     set idle_in_transaction_session_timeout = '4s'; set enable_seqscan = off; set jit = off";

pub(super) fn postgres_pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(SERVER_PATIENCE)
        .after_release(|connection, _| {
            // Without a limit a server that says nothing would keep the place of the connection taken for as long as
            // the system repeats what was sent, a quarter of an hour.
            Box::pin(async move {
                let answered = tokio::time::timeout(SERVER_PATIENCE, connection.ping()).await;
                answered.unwrap_or_else(|_| Err(silent())).map(|()| true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(SESSION)).await?;
                Ok(())
            })
        })
}

/// Connections to a file: the one that writes, or so many that read.
pub(super) fn sqlite_pool(readers: Option<u32>) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(readers.unwrap_or(1))
        .acquire_timeout(FILE_PATIENCE)
        // A file does not age, and to open it anew needs room that a full disk does not have.
        .max_lifetime(None)
        .idle_timeout(None)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(PRAGMAS)).await?;
                if readers.is_none() {
                    connection.execute(sqlx::raw_sql(WRITER_PRAGMAS)).await?;
                }
                Ok(())
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                // Where a disk fails SQLite ends the transaction by itself; the driver still counts it, and would never
                // begin another one.
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::clock::SystemClock;
    use crate::store::{Config, Store};

    /// More bytes than the default cache holds.
    const WRITTEN: u64 = 64 * 100_000;

    #[tokio::test]
    async fn what_a_transaction_changes_is_written_once_when_it_commits() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("emgate.db");
        let config = Config {
            url: format!("sqlite://{}", file.display()),
            encryption_key_file: None,
        };
        let store = Store::open(&config, Arc::new(SystemClock)).await.expect("opened");
        let log = || std::fs::metadata(file.with_extension("db-wal")).map_or(0, |log| log.len());
        let before = log();
        let mut tx = store.begin().await.expect("begun");
        for number in 0..64 {
            let row = format!("insert into meta (key, value) values ('row {number}', hex(zeroblob(50000)))");
            tx.run(&row).await.expect("written");
        }
        assert_eq!(log(), before);
        tx.commit().await.expect("committed");
        let written = log();
        assert!(
            (WRITTEN..WRITTEN + before + 2_000_000).contains(&written),
            "{written}"
        );
        store.close().await;
    }
}
