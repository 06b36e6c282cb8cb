//! Copies a store into another one, on whichever engines, and compares the two row by row: the way from a file to a server.
//!
//! Rows go over as they are, sealed columns included, so both stores have the same encryption key. Each batch is one
//! transaction with the note, in the new store's `meta`, of how far it has come: a copy that was interrupted goes on behind
//! its last commit. While that note is there the new store opens for no gateway ([`super::preconditions`]).

mod opened;
mod table;

use std::collections::HashMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, Connection as _};

use self::opened::{Begun, Opened};
use self::table::Table;
use super::config::Config;
use super::keyring::Keyring;
use super::place::Place;
use super::row::Columns as _;
use super::{Error as StoreError, migrations};
use crate::clock::SharedClock;
use crate::text::counted;

/// What belongs to the processes that run on a store, and not to what they have stored.
const OF_PROCESSES: &[&str] = &["replicas", "leases"];

/// What is there before anything was stored: written by the tables' own steps, and replaced by a copy.
const FROM_THE_START: &[&str] = &["meta", "audit_head"];

/// Which of the two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that is read.
    Old,
    /// The one that is written.
    New,
}

impl Side {
    const fn word(self) -> &'static str {
        match self {
            Self::Old => "the store to copy",
            Self::New => "the new store",
        }
    }
}

/// Why a store was not copied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of them cannot be opened, so that nothing was begun.
    #[error("{} cannot be opened", side.word())]
    Unopened {
        /// Which.
        side: Side,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// One of them failed in the middle.
    #[error("{} failed", side.word())]
    Store {
        /// Which.
        side: Side,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// Both configurations name one store.
    #[error("both configurations name the same store")]
    Same,
    /// A gateway runs on one of them.
    #[error("{} is in use by {}", side.word(), counted(*replicas, "running replica"))]
    InUse {
        /// Which.
        side: Side,
        /// How many.
        replicas: i64,
    },
    /// There is something in the new store that no copy wrote.
    #[error("the new store is not empty: there are rows in {0}")]
    NotEmpty(String),
    /// The stores have different columns.
    #[error("the table {0} has other columns in the new store")]
    OtherColumns(String),
    /// After the copy, a row is not what it is in the old store.
    #[error("the copy differs: the row {key} of {table} is {how}")]
    Differs {
        /// The table.
        table: String,
        /// The row's key, as a JSON array.
        key: String,
        /// In what.
        how: &'static str,
    },
    /// After the copy, the new store has rows that the old one does not have.
    #[error("the copy differs: {table} has {} in the new store and {old} in the old one", counted(*new, "row"))]
    Count {
        /// The table.
        table: String,
        /// Its rows in the old store.
        old: u64,
        /// Its rows in the new store.
        new: u64,
    },
}

/// How far a copy has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It goes on where an earlier one was interrupted.
    Resumed {
        /// In this table.
        table: String,
        /// After so many rows of it.
        rows: u64,
    },
    /// So many rows of a table are copied.
    Copied {
        /// The table.
        table: String,
        /// Its rows so far.
        rows: u64,
    },
    /// So many rows of a table are the same in both.
    Compared {
        /// The table.
        table: String,
        /// Its rows so far.
        rows: u64,
        /// Whether there are no more.
        done: bool,
    },
    /// There was nothing to copy: an earlier one had come to its end, and nothing has changed since.
    Complete,
}

/// The note of how far a copy has come: everything before that table, and that table's rows up to that key.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    table: String,
    rows: u64,
    key: Vec<Value>,
}

/// Copies the store of one configuration into that of another, and compares them. Each has to be this process' alone: no
/// gateway runs on them. The new one takes the old one's key where it names none. The file of that key.
///
/// # Errors
/// [`Error`].
pub async fn copy(
    old: &Config,
    new: &Config,
    clock: SharedClock,
    mut tell: impl FnMut(Progress),
) -> Result<PathBuf, Error> {
    sqlx::any::install_default_drivers();
    let (from, to) = (place(Side::Old, old)?, place(Side::New, new)?);
    if from == to {
        return Err(Error::Same);
    }
    let source = Opened::open(Side::Old, &from).await?;
    let target = Opened::open(Side::New, &to).await?;
    // What is sealed in the old store has to open with the key that the new one will be used with.
    let named = new
        .encryption_key_file
        .as_ref()
        .or(old.encryption_key_file.as_ref());
    let of_key = Config {
        url: old.url.clone(),
        encryption_key_file: named.cloned(),
    };
    let keyring = Keyring::new(&of_key, &from).map_err(|error| target.failed(error))?;
    let proven = keyring.open(&source.pool, clock.as_ref()).await;
    proven.map_err(|error| target.failed(error))?;
    let tables = tables(&source, &target).await?;
    match target.begin(&tables).await? {
        Begun::At(note) => {
            copy_from(note, &source, &target, &tables, &mut tell).await?;
            target.number_events_after(&source).await?;
            compare_all(&source, &target, &tables, &mut tell).await?;
            target.finish().await?;
        }
        // A copy whose last word was not heard is run again.
        Begun::NotHere(table) => match compare_all(&source, &target, &tables, &mut tell).await {
            Err(Error::Differs { .. } | Error::Count { .. }) => {
                return Err(Error::NotEmpty(table.to_owned()));
            }
            compared => {
                compared?;
                tell(Progress::Complete);
            }
        },
    }
    for opened in [&source, &target] {
        opened.pool.close().await;
    }
    Ok(keyring.file().to_owned())
}

fn place(side: Side, config: &Config) -> Result<Place, Error> {
    Place::find(&config.url).map_err(|source| Error::Unopened { side, source })
}

/// The tables of both, those first that others refer to.
async fn tables(source: &Opened, target: &Opened) -> Result<Vec<Table>, Error> {
    let mut tables = Vec::new();
    for name in migrations::tables() {
        if !OF_PROCESSES.contains(&name) {
            let table = source.columns(name).await?;
            if target.columns(name).await? != table {
                return Err(Error::OtherColumns(name.to_owned()));
            }
            tables.push(table);
        }
    }
    Ok(tables)
}

/// Copies what is behind the note.
async fn copy_from(
    mut note: Option<Note>,
    source: &Opened,
    target: &Opened,
    tables: &[Table],
    tell: &mut impl FnMut(Progress),
) -> Result<(), Error> {
    let begun = match &note {
        None => 0,
        Some(note) => {
            tell(Progress::Resumed {
                table: note.table.clone(),
                rows: note.rows,
            });
            let found = tables.iter().position(|table| table.name == note.table);
            found.ok_or_else(|| Error::OtherColumns(note.table.clone()))?
        }
    };
    for table in tables.iter().skip(begun) {
        copy_table(source, target, table, note.take(), tell).await?;
    }
    Ok(())
}

async fn copy_table(
    source: &Opened,
    target: &Opened,
    table: &Table,
    resumed: Option<Note>,
    tell: &mut impl FnMut(Progress),
) -> Result<(), Error> {
    let (mut rows, mut after) = resumed.map_or((0, Vec::new()), |note| (note.rows, note.key));
    let insert = table.insert_sql(target.engine);
    loop {
        let batch = source.batch(table, &after).await?;
        let Some(last) = batch.last() else {
            return Ok(());
        };
        rows += batch.len() as u64;
        after = table.key_of(last);
        let note = Note {
            table: table.name.to_owned(),
            rows,
            key: after.clone(),
        };
        let objects: Vec<Map<String, Value>> = batch.iter().map(|row| table.object(row)).collect();
        let parameter = super::sets::parameter(&objects).map_err(|error| target.failed(error))?;
        let mut connection = target.connection().await?;
        let mut tx = connection.begin().await.map_err(|error| target.failed(error))?;
        let written = sqlx::query(AssertSqlSafe(insert.clone()))
            .bind(parameter)
            .execute(&mut *tx)
            .await;
        written.map_err(|error| target.failed(error))?;
        target.write_note(&mut tx, Some(&note)).await?;
        tx.commit().await.map_err(|error| target.failed(error))?;
        let table = table.name.to_owned();
        tell(Progress::Copied { table, rows });
    }
}

async fn compare_all(
    source: &Opened,
    target: &Opened,
    tables: &[Table],
    tell: &mut impl FnMut(Progress),
) -> Result<(), Error> {
    for table in tables {
        compare(source, target, table, tell).await?;
    }
    Ok(())
}

/// Holds each row of a table against its copy.
async fn compare(
    source: &Opened,
    target: &Opened,
    table: &Table,
    tell: &mut impl FnMut(Progress),
) -> Result<(), Error> {
    let told = |rows, done| Progress::Compared {
        table: table.name.to_owned(),
        rows,
        done,
    };
    let by_key = table.by_key_sql(target.engine);
    let (mut rows, mut after) = (0u64, Vec::new());
    loop {
        let batch = source.batch(table, &after).await?;
        let Some(last) = batch.last() else { break };
        after = table.key_of(last);
        rows += batch.len() as u64;
        let objects: Vec<Map<String, Value>> = batch.iter().map(|row| table.key_object(row)).collect();
        let parameter = super::sets::parameter(&objects).map_err(|error| target.failed(error))?;
        let found = sqlx::query(AssertSqlSafe(by_key.clone()))
            .bind(parameter)
            .fetch_all(&target.pool)
            .await;
        let found = found.map_err(|error| target.failed(error))?;
        let mut copies = HashMap::with_capacity(found.len());
        for row in &found {
            let values = table.values(row).map_err(|error| target.failed(error))?;
            copies.insert(Value::Array(table.key_of(&values)).to_string(), values);
        }
        for row in &batch {
            let key = Value::Array(table.key_of(row)).to_string();
            let how = match copies.remove(&key) {
                Some(copy) if copy == *row => continue,
                Some(_) => "another",
                None => "missing",
            };
            let table = table.name.to_owned();
            return Err(Error::Differs { table, key, how });
        }
        tell(told(rows, false));
    }
    let sql = format!(
        "select count(*) as n from {} where {}",
        table.name,
        table.not_the_note()
    );
    let counted = sqlx::query(AssertSqlSafe(sql)).fetch_one(&target.pool).await;
    let counted = counted.map_err(StoreError::from).and_then(|row| row.int("n"));
    let new = counted.map_err(|error| target.failed(error))?.cast_unsigned();
    if new == rows {
        tell(told(rows, true));
        Ok(())
    } else {
        let table = table.name.to_owned();
        Err(Error::Count {
            table,
            old: rows,
            new,
        })
    }
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
