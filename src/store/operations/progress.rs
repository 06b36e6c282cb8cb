//! The progress of operations that go on, by one statement for many.

use serde::Serialize;

use crate::domain::operation::Operation;
use crate::store::sets::{Shape, parameter, portions};
use crate::store::{Error, Tx};

/// What changes in the row of an operation that goes on.
#[derive(Serialize)]
struct Progress {
    operation: String,
    percent: i64,
}

const PROGRESS: Shape = &[("operation", "text"), ("percent", "bigint")];

impl Tx {
    /// Writes how far operations have come that were read in this transaction, and of which nothing else changed. False when a row
    /// is not there.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn save_operations_progress(&mut self, operations: &[&Operation]) -> Result<bool, Error> {
        let rows = operations.iter().map(|operation| Progress {
            operation: operation.id.to_string(),
            percent: operation.progress,
        });
        let rows: Vec<Progress> = rows.collect();
        let table = self.engine().table("$1", PROGRESS);
        for some in portions(&rows, |_| size_of::<Progress>()) {
            self.note_operations();
            let written = sqlx::query(sqlx::AssertSqlSafe(format!(
                "update operations set progress = r.percent from {table} where id = r.operation"
            )))
            .bind(parameter(some)?)
            .execute(self.connection())
            .await?
            .rows_affected();
            if written != some.len() as u64 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
