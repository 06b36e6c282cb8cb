//! A transaction's way back to a point within it: one row that the database refuses takes no other with it.

use super::{Error, Tx};

/// A point in a transaction.
#[must_use]
pub struct Savepoint {
    events: usize,
    audit: usize,
}

impl Tx {
    /// A point to which [`Tx::undo`] leads back; one at a time.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn mark(&mut self) -> Result<Savepoint, Error> {
        sqlx::query("savepoint one_row")
            .execute(self.connection())
            .await?;
        Ok(Savepoint {
            events: self.events.len(),
            audit: self.audit.len(),
        })
    }

    /// Keeps what was written since.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn keep(&mut self, _mark: Savepoint) -> Result<(), Error> {
        sqlx::query("release savepoint one_row")
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Undoes what was written since.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn undo(&mut self, mark: Savepoint) -> Result<(), Error> {
        sqlx::query("rollback to savepoint one_row")
            .execute(self.connection())
            .await?;
        self.events.truncate(mark.events);
        self.audit.truncate(mark.audit);
        sqlx::query("release savepoint one_row")
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
