//! Every statement of this room has a limit on this side of the wire, and what the database says to writes is noted.
//!
//! A server ends long statements by itself, but one that is up and silent ends nothing, nor does a disk that hangs.
//! A statement that is given up is rolled back, or its outcome is unknown; its connection is tested before it is used
//! again.

use parking_lot::{Mutex, MutexGuard};
use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, Either, Execute, Executor, SqlStr};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{Error, Refusal};
use crate::clock::SharedClock;

/// How long one statement may take: longer than a server takes to end one, and than another process' lock on a file is
/// waited for, so that this tells of silence and of nothing else.
const LIMIT: Duration = Duration::from_secs(8);

/// Whether the database takes writes, as far as it was tried.
pub(super) struct Health {
    clock: SharedClock,
    refused: Mutex<Option<(Timestamp, Refusal)>>,
    /// How many statements were run.
    #[cfg(test)]
    pub statements: std::sync::atomic::AtomicUsize,
}

impl Health {
    pub fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            refused: Mutex::default(),
            #[cfg(test)]
            statements: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// Since when no writes are accepted, and why.
    pub fn refused(&self) -> Option<(Timestamp, Refusal)> {
        *self.lock()
    }

    /// Something was written.
    pub fn written(&self) {
        if self.lock().take().is_some() {
            tracing::info!("the store accepts writes again");
        }
    }

    fn note(&self, error: &sqlx::Error) {
        let Some(refusal) = Refusal::of(error) else { return };
        let mut refused = self.lock();
        let since = refused.map_or_else(|| self.clock.now(), |(since, _)| since);
        if refused.replace((since, refusal)).is_none() {
            tracing::error!(reason = refusal.reason(), "the store accepts no writes");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Timestamp, Refusal)>> {
        self.refused.lock()
    }

    /// Work on the database, given up after its time.
    pub async fn limit<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
        Ok(self.within(work).await?)
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        let outcome = timeout(LIMIT, work).await.unwrap_or_else(|_| Err(silent()));
        self.noted(outcome)
    }

    /// Counts a statement.
    fn begun(&self) {
        #[cfg(test)]
        self.statements.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    fn noted<T>(&self, outcome: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if let Err(error) = &outcome {
            self.note(error);
        }
        outcome
    }
}

/// What a database that says nothing has said.
pub(super) fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

/// Runs statements as `inner` does, each within its time.
pub(in crate::store) struct Timed<'c, E> {
    pub(super) inner: E,
    pub(super) health: &'c Health,
}

impl<E> fmt::Debug for Timed<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timed")
    }
}

impl<'c, E: Executor<'c, Database = Any>> Executor<'c> for Timed<'c, E> {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, Q>(
        self,
        query: Q,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, sqlx::Error>>
    where
        'c: 'e,
        Q: 'q + Execute<'q, Any>,
    {
        let (end, health) = (Instant::now() + LIMIT, self.health);
        health.begun();
        let steps = self.inner.fetch_many(query);
        stream::unfold(Some(steps), move |steps| async move {
            let mut steps = steps?;
            let step = match timeout_at(end, steps.next()).await {
                Ok(step) => step?,
                Err(_) => Err(silent()),
            };
            let step = health.noted(step);
            let left = step.is_ok().then_some(steps);
            Some((step, left))
        })
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, Q>(self, query: Q) -> BoxFuture<'e, Result<Option<AnyRow>, sqlx::Error>>
    where
        'c: 'e,
        Q: 'q + Execute<'q, Any>,
    {
        self.health.begun();
        Box::pin(self.health.within(self.inner.fetch_optional(query)))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(self.health.within(self.inner.prepare_with(sql, parameters)))
    }
}
