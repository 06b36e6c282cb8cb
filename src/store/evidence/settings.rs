//! What was set about plans, all of it at once, with a number that changes with each change: so that processes can hold it in
//! memory and know whether it still holds.

use std::collections::HashMap;

use crate::domain::evidence::objectives::Objectives;
use crate::domain::evidence::schedule::Schedule;
use crate::store::row::Columns as _;
use crate::store::{Error, Store, Tx, UPSTREAM};

/// The row in `meta` that counts changes.
const COUNTER: &str = "plan_settings";

/// What was set about plans, by the plans' keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// How often something was changed.
    pub version: i64,
    /// Objectives.
    pub objectives: HashMap<String, Objectives>,
    /// Schedules.
    pub schedules: HashMap<String, Schedule>,
}

impl Tx {
    /// Counts a change of what was set about plans; other replicas are told with the commit.
    pub(in crate::store) async fn note_settings(&mut self) -> Result<(), Error> {
        self.note_writing();
        self.note_settings_written();
        sqlx::query(
            "insert into meta (key, value) values ($1, '1') on conflict (key) do update \
             set value = cast(cast(meta.value as bigint) + 1 as text)",
        )
        .bind(COUNTER)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

impl Store {
    /// How often something was changed.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn settings_version(&self) -> Result<i64, Error> {
        let row = sqlx::query("select value from meta where key = $1")
            .bind(COUNTER)
            .fetch_optional(self.reader())
            .await?;
        row.map_or(Ok(0), |row| row.parsed("value"))
    }

    /// All that was set, as of the number that comes with it or later.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn settings(&self) -> Result<Settings, Error> {
        // Read before what it counts: a change in between is read once more.
        let version = self.settings_version().await?;
        let mut settings = Settings {
            version,
            ..Settings::default()
        };
        let rows = sqlx::query("select plan_key, objectives from plan_objectives where upstream_id = $1")
            .bind(UPSTREAM)
            .fetch_all(self.reader())
            .await?;
        for row in rows {
            settings
                .objectives
                .insert(row.text("plan_key")?, row.document("objectives")?);
        }
        let rows = sqlx::query("select plan_key, schedule from plan_schedules where upstream_id = $1")
            .bind(UPSTREAM)
            .fetch_all(self.reader())
            .await?;
        for row in rows {
            settings
                .schedules
                .insert(row.text("plan_key")?, row.document("schedule")?);
        }
        Ok(settings)
    }
}
