//! Rows that cannot be read: each costs itself. The others are read, it is named in the log once, counted, and taken up
//! when it can be read again.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::AnyRow;

use super::row::Columns as _;
use super::{Error, Store, Tx};
use crate::clock::SharedClock;
use crate::telemetry::names;

/// How long a row that nothing reads any more counts as unreadable: longer than the pauses between two reads of it.
const REMEMBERED: Duration = Duration::from_mins(5);

/// The most rows that are remembered, so that a table full of damage is no flood of memory and log.
const MOST: usize = 1000;

/// What rows say: the name of their table and of the text column that names each.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Table {
    pub name: &'static str,
    pub key: &'static str,
}

pub(in crate::store) const OPERATIONS: Table = table("operations", "id");
pub(in crate::store) const SESSIONS: Table = table("failover_sessions", "key");
pub(in crate::store) const EVENTS: Table = table("events", "id");
pub(in crate::store) const ENDPOINTS: Table = table("webhook_endpoints", "id");
pub(in crate::store) const DELIVERIES: Table = table("webhook_deliveries", "id");
pub(in crate::store) const CALLBACK_LANES: Table = table("webhook_deliveries", "lane");
pub(in crate::store) const JOBS: Table = table("webhook_jobs", "id");
pub(in crate::store) const RUNS: Table = table("recovery_runs", "id");
pub(in crate::store) const SCHEDULES: Table = table("plan_schedules", "plan_key");
pub(in crate::store) const AUDIT: Table = table("audit", "hash");
pub(in crate::store) const LOGONS: Table = table("upstream_logons", "id");

const fn table(name: &'static str, key: &'static str) -> Table {
    Table { name, key }
}

/// What rows hold, and the keys of those that cannot be read.
#[derive(Debug)]
pub struct Read<T> {
    /// What could be read, in the order of the rows.
    pub items: Vec<T>,
    /// The keys of the other rows.
    pub unreadable: Vec<String>,
}

impl<T> std::ops::Deref for Read<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

/// The rows that could not be read so far.
pub(in crate::store) struct Unreadable {
    clock: SharedClock,
    rows: Mutex<HashMap<(&'static str, String), Sighting>>,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    first: Timestamp,
    last: Timestamp,
}

impl Unreadable {
    pub(in crate::store) fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            rows: Mutex::default(),
        }
    }

    /// Reads each row by itself.
    ///
    /// # Errors
    /// Those of `read` that are not about a value.
    pub(in crate::store) fn read<T>(
        &self,
        table: Table,
        rows: &[AnyRow],
        mut read: impl FnMut(&AnyRow) -> Result<T, Error>,
    ) -> Result<Read<T>, Error> {
        let mut outcome = Read {
            items: Vec::with_capacity(rows.len()),
            unreadable: Vec::new(),
        };
        for row in rows {
            match self.note(table, row, read(row)) {
                Ok(item) => outcome.items.push(item),
                Err(error) if error.is_unreadable() => outcome.unreadable.push(key_of(table, row)),
                Err(error) => return Err(error),
            }
        }
        Ok(outcome)
    }

    /// Takes note of how the reading of a row went.
    pub(in crate::store) fn note<T>(
        &self,
        table: Table,
        row: &AnyRow,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        match &outcome {
            Ok(_) => self.readable(table, row),
            Err(error) if error.is_unreadable() => self.unreadable(table, row, error),
            Err(_) => {}
        }
        outcome
    }

    fn readable(&self, table: Table, row: &AnyRow) {
        let mut rows = self.lock();
        if rows.is_empty() {
            return;
        }
        let id = (table.name, key_of(table, row));
        if rows.remove(&id).is_some() {
            tracing::info!(
                table = table.name,
                row = id.1,
                "a row of the store can be read again"
            );
        }
    }

    fn unreadable(&self, table: Table, row: &AnyRow, error: &Error) {
        let (now, id) = (self.clock.now(), (table.name, key_of(table, row)));
        let mut rows = self.lock();
        if let Some(known) = rows.get_mut(&id) {
            known.last = now;
            return;
        }
        metrics::counter!(names::STORE_UNREADABLE, "table" => table.name).increment(1);
        tracing::error!(
            table = table.name,
            row = id.1,
            error = error as &dyn std::error::Error,
            "a row of the store cannot be read; it is skipped until it can be"
        );
        if rows.len() >= MOST {
            let oldest = rows.iter().min_by_key(|(_, sighting)| sighting.last);
            let oldest = oldest.map(|(id, _)| id.clone());
            oldest.and_then(|id| rows.remove(&id));
        }
        rows.insert(
            id,
            Sighting {
                first: now,
                last: now,
            },
        );
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(&'static str, String), Sighting>> {
        self.rows.lock()
    }
}

/// What names a row; a row whose very key cannot be read has none.
fn key_of(table: Table, row: &AnyRow) -> String {
    row.text(table.key).unwrap_or_default()
}

impl Store {
    /// Since when there are rows that are wanted and cannot be read.
    #[must_use]
    pub fn unreadable_since(&self) -> Option<Timestamp> {
        let now = self.0.clock.now();
        let rows = self.0.unreadable.lock();
        rows.values()
            .filter(|sighting| now.duration_since(sighting.last).unsigned_abs() < REMEMBERED)
            .map(|sighting| sighting.first)
            .min()
    }

    /// Reads each row by itself, and leaves out those that cannot be read.
    pub(in crate::store) fn read_rows<T>(
        &self,
        table: Table,
        rows: &[AnyRow],
        read: impl FnMut(&AnyRow) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        Ok(self.0.unreadable.read(table, rows, read)?.items)
    }
}

impl Tx {
    /// Reads each row by itself.
    pub(in crate::store) fn read_rows<T>(
        &self,
        table: Table,
        rows: &[AnyRow],
        read: impl FnMut(&AnyRow) -> Result<T, Error>,
    ) -> Result<Read<T>, Error> {
        self.store.unreadable.read(table, rows, read)
    }
}
