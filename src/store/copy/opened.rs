//! One of the two stores of a copy, opened for this process alone: its tables, its rows by batches, the note of how far the copy has
//! come.

use futures_util::TryStreamExt as _;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection as _};

use super::table::{Column, NOTE, ROWS, Table, Values};
use super::{Error, FROM_THE_START, Note, Side};
use crate::store::engine::Engine;
use crate::store::lock::ProcessLock;
use crate::store::place::Place;
use crate::store::row::{Columns as _, json};
use crate::store::{Error as StoreError, migrations, preconditions, with_timeout};

/// A batch ends with so many bytes, or with [`ROWS`] rows.
const BYTES: usize = 8 << 20;

/// What is known of a copy into a store.
pub(super) enum Begun {
    /// It has come so far; to no row before the first note.
    At(Option<Note>),
    /// None is under way, and there is something in this table.
    NotHere(&'static str),
}

/// One of the two stores, opened for this process alone.
pub(super) struct Opened {
    side: Side,
    pub engine: Engine,
    pub pool: AnyPool,
    _lock: Option<ProcessLock>,
}

impl Opened {
    pub async fn open(side: Side, place: &Place) -> Result<Self, Error> {
        let failed = |source| Error::Unopened { side, source };
        let opened = async {
            let lock = match place {
                Place::File(location) => Some(ProcessLock::take(location)?),
                Place::Server(_) => None,
            };
            let (pools, _) = place.connect().await?;
            let engine = place.engine();
            with_timeout(preconditions::of_database(&pools.write, engine)).await?;
            migrations::migrate(&pools.write, engine).await?;
            Ok((pools.write, engine, lock))
        };
        let (pool, engine, lock) = opened.await.map_err(|error| failed(place.named(error)))?;
        let opened = Self {
            side,
            engine,
            pool,
            _lock: lock,
        };
        let alive = match engine {
            Engine::Sqlite => 0,
            Engine::Postgres => opened.count(ALIVE).await?,
        };
        match alive {
            0 => Ok(opened),
            replicas => Err(Error::InUse { side, replicas }),
        }
    }

    pub fn failed(&self, source: impl Into<StoreError>) -> Error {
        Error::Store {
            side: self.side,
            source: source.into(),
        }
    }

    pub async fn connection(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Any>, Error> {
        self.pool.acquire().await.map_err(|error| self.failed(error))
    }

    pub async fn count(&self, sql: &'static str) -> Result<i64, Error> {
        let row = sqlx::query(sql).fetch_one(&self.pool).await;
        let count = row.map_err(StoreError::from).and_then(|row| row.int("n"));
        count.map_err(|error| self.failed(error))
    }

    async fn run(&self, connection: &mut AnyConnection, sql: String) -> Result<(), Error> {
        let ran = sqlx::query(AssertSqlSafe(sql)).execute(connection).await;
        ran.map(|_| ()).map_err(|error| self.failed(error))
    }

    async fn is_empty(&self, table: &str) -> Result<bool, Error> {
        let sql = format!("select 1 from {table} limit 1");
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_optional(&self.pool).await;
        Ok(row.map_err(|error| self.failed(error))?.is_none())
    }

    pub async fn columns(&self, name: &'static str) -> Result<Table, Error> {
        let sql = match self.engine {
            Engine::Sqlite => COLUMNS_OF_SQLITE,
            Engine::Postgres => COLUMNS_OF_POSTGRES,
        };
        let rows = sqlx::query(sql).bind(name).fetch_all(&self.pool).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        let read = |row: &AnyRow| {
            let column = Column {
                name: row.text("name")?,
                is_text: row.text("kind")?.contains("text"),
            };
            Ok((column, row.int("place")?))
        };
        let read: Result<Vec<_>, StoreError> = rows.iter().map(read).collect();
        let read = read.map_err(|error| self.failed(error))?;
        let mut key: Vec<(i64, usize)> = read.iter().map(|(_, place)| *place).zip(0..).collect();
        key.retain(|(place, _)| *place > 0);
        key.sort_unstable();
        Ok(Table {
            name,
            columns: read.into_iter().map(|(column, _)| column).collect(),
            key: key.into_iter().map(|(_, index)| index).collect(),
        })
    }

    /// Finds how far a copy has come; in an empty store one begins.
    pub async fn begin(&self, tables: &[Table]) -> Result<Begun, Error> {
        let row = sqlx::query("select value from meta where key = $1").bind(NOTE);
        let row = row.fetch_optional(&self.pool).await;
        if let Some(row) = row.map_err(|error| self.failed(error))? {
            let note = row.document("value").map_err(|error| self.failed(error))?;
            return Ok(Begun::At(note));
        }
        for table in tables {
            if !FROM_THE_START.contains(&table.name) && !self.is_empty(table.name).await? {
                return Ok(Begun::NotHere(table.name));
            }
        }
        let mut connection = self.connection().await?;
        let mut tx = connection.begin().await.map_err(|error| self.failed(error))?;
        for table in FROM_THE_START {
            self.run(&mut tx, format!("delete from {table}")).await?;
        }
        self.write_note(&mut tx, None).await?;
        tx.commit().await.map_err(|error| self.failed(error))?;
        Ok(Begun::At(None))
    }

    pub async fn write_note(&self, tx: &mut AnyConnection, note: Option<&Note>) -> Result<(), Error> {
        let note = json(&note, "the note of a copy").map_err(|error| self.failed(error))?;
        let written = sqlx::query(
            "insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value",
        )
        .bind(NOTE)
        .bind(note)
        .execute(tx)
        .await;
        written.map(|_| ()).map_err(|error| self.failed(error))
    }

    /// The rows of a batch behind a key, in the order of the key.
    pub async fn batch(&self, table: &Table, after: &[Value]) -> Result<Vec<Values>, Error> {
        let sql = table.batch_sql(!after.is_empty());
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in after {
            query = match value {
                Value::Number(number) => query.bind(number.as_i64()),
                other => query.bind(other.as_str().map(str::to_owned)),
            };
        }
        let mut connection = self.connection().await?;
        let mut stream = query.fetch(&mut *connection);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(row) = stream.try_next().await.map_err(|error| self.failed(error))? {
            let values = table.values(&row).map_err(|error| self.failed(error))?;
            bytes += values
                .iter()
                .filter_map(Value::as_str)
                .map(str::len)
                .sum::<usize>();
            if !table.is_the_note(&values) {
                rows.push(values);
            }
            if rows.len() == ROWS || bytes >= BYTES {
                break;
            }
        }
        Ok(rows)
    }

    /// Makes the numbers of events go on where they are in the other store, also where its log was emptied since.
    pub async fn number_events_after(&self, source: &Self) -> Result<(), Error> {
        let last = source
            .count(match source.engine {
                Engine::Sqlite => {
                    "select coalesce(max(seq), 0) as n from sqlite_sequence where name = 'events'"
                }
                Engine::Postgres => {
                    "select case when is_called then last_value else 0 end as n from events_seq_seq"
                }
            })
            .await?;
        let mut connection = self.connection().await?;
        match self.engine {
            Engine::Sqlite => {
                let forget = "delete from sqlite_sequence where name = 'events'".to_owned();
                self.run(&mut connection, forget).await?;
                let set = format!("insert into sqlite_sequence (name, seq) values ('events', {last})");
                self.run(&mut connection, set).await
            }
            Engine::Postgres if last > 0 => {
                let set = format!("select setval('events_seq_seq', {last})");
                self.run(&mut connection, set).await
            }
            Engine::Postgres => Ok(()),
        }
    }

    pub async fn finish(&self) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        self.run(&mut connection, format!("delete from meta where key = '{NOTE}'"))
            .await
    }
}

/// Replicas that may still run: one that was silent for so long has given up by itself.
const ALIVE: &str = "select count(*) as n from replicas \
     where beat_at > cast(extract(epoch from clock_timestamp()) * 1000000 as bigint) - 10000000";

const COLUMNS_OF_SQLITE: &str =
    "select name, lower(type) as kind, pk as place from pragma_table_info($1) order by name";

const COLUMNS_OF_POSTGRES: &str = "select c.column_name::text as name, c.data_type::text as kind, \
         coalesce((select k.ordinal_position::bigint from information_schema.key_column_usage k \
             join information_schema.table_constraints t on t.constraint_schema = k.constraint_schema \
                 and t.constraint_name = k.constraint_name and t.table_name = k.table_name \
             where t.constraint_type = 'PRIMARY KEY' and k.table_schema = c.table_schema \
                 and k.table_name = c.table_name and k.column_name = c.column_name), 0) as place \
     from information_schema.columns c where c.table_schema = current_schema() and c.table_name = $1 \
     order by c.column_name collate \"C\"";
