//! Restore points as they were read at EM, which removes them when it wants to.

use std::collections::HashMap;

use crate::domain::evidence::run::PointFacts;
use crate::domain::id::EmId;
use crate::store::row::{Columns as _, json, micros};
use crate::store::sql::Sql;
use crate::store::{Error, Store, Tx, UPSTREAM};

/// How many points one statement asks for, or writes.
const CHUNK: usize = 500;

impl Tx {
    /// Keeps what was read of restore points. One that is known keeps the time of its making, whatever EM says later.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn save_points(&mut self, points: &[PointFacts]) -> Result<(), Error> {
        self.note_writing();
        for chunk in points.chunks(CHUNK) {
            let mut sql =
                Sql::new("insert into recovery_points (upstream_id, point_key, facts, read_at) values ");
            for (at, point) in chunk.iter().enumerate() {
                sql.push(if at == 0 { "(" } else { ", (" })
                    .bind(UPSTREAM.to_owned());
                sql.push(", ").bind(point.id.key());
                sql.push(", ").bind(json(point, "recovery_points.facts")?);
                sql.push(", ").bind(micros(point.read_at)).push(")");
            }
            sql.push(" on conflict (upstream_id, point_key) do nothing");
            sql.execute(self.connection()).await?;
        }
        Ok(())
    }
}

impl Store {
    /// What is known of these restore points.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn points(&self, ids: &[EmId]) -> Result<HashMap<EmId, PointFacts>, Error> {
        let mut found = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let mut query = Sql::new("select facts from recovery_points where upstream_id = ");
            query
                .bind(UPSTREAM.to_owned())
                .and_one_of("point_key", chunk.iter().map(EmId::key));
            for row in query.fetch_all(self.reader()).await? {
                let facts: PointFacts = row.document("facts")?;
                found.insert(facts.id.clone(), facts);
            }
        }
        Ok(found)
    }
}
