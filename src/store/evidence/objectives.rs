//! Objectives of plans, as they were set; what a plan lacks comes from the configuration.

use std::collections::HashMap;

use crate::domain::evidence::objectives::Objectives;
use crate::domain::id::EmId;
use crate::store::row::{Columns as _, json, micros};
use crate::store::sql::Sql;
use crate::store::{Error, Store, Tx, UPSTREAM};

/// How many plans one statement asks for.
const CHUNK: usize = 500;

impl Tx {
    /// The objectives that were set for a plan; nobody changes them before this transaction ends.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn locked_objectives(&mut self, plan: &EmId) -> Result<Objectives, Error> {
        self.note_settings().await?;
        let row =
            sqlx::query("select objectives from plan_objectives where upstream_id = $1 and plan_key = $2")
                .bind(UPSTREAM)
                .bind(plan.key())
                .fetch_optional(self.connection())
                .await?;
        let found = row.as_ref().map(|row| row.document("objectives")).transpose()?;
        Ok(found.unwrap_or_default())
    }

    /// Sets the objectives of a plan.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn set_objectives(&mut self, plan: &EmId, objectives: &Objectives) -> Result<(), Error> {
        let document = json(objectives, "plan_objectives.objectives")?;
        let at = micros(self.clock().now());
        sqlx::query(
            "insert into plan_objectives (upstream_id, plan_key, objectives, updated_at) values ($1, $2, $3, $4) \
             on conflict (upstream_id, plan_key) do update set objectives = $3, updated_at = $4",
        )
        .bind(UPSTREAM)
        .bind(plan.key())
        .bind(document)
        .bind(at)
        .execute(self.connection())
        .await?;
        self.note_settings().await
    }
}

impl Store {
    /// The objectives that were set for these plans, by the plans' keys.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn objectives(&self, plans: &[EmId]) -> Result<HashMap<String, Objectives>, Error> {
        let mut found = HashMap::with_capacity(plans.len());
        for chunk in plans.chunks(CHUNK) {
            let mut query = Sql::new("select plan_key, objectives from plan_objectives where upstream_id = ");
            query
                .bind(UPSTREAM.to_owned())
                .and_one_of("plan_key", chunk.iter().map(EmId::key));
            for row in query.fetch_all(self.reader()).await? {
                found.insert(row.text("plan_key")?, row.document("objectives")?);
            }
        }
        Ok(found)
    }
}
