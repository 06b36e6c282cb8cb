//! A transaction that may write: how it begins, what is noted while it runs, and its commit, which writes deliveries and audit rows
//! with the rest and tells those who wait.

use sqlx::SqlStr;

use super::engine::Engine;
use super::seal::Sealer;
use super::timed::Timed;
use super::webhooks::fan_out::Appended;
use super::{Error, Store, Tx};
use crate::clock::SharedClock;
use crate::telemetry::names;
use crate::telemetry::traces::{Kind, Span};

impl Store {
    /// Begins a transaction that may write; on SQLite it holds the write lock from the start, so that what it
    /// reads stays true until it commits.
    ///
    /// # Errors
    /// [`Error::TooSlow`] when the database does not answer in time.
    pub async fn begin(&self) -> Result<Tx, Error> {
        self.begin_by(self.0.engine.begin(), false).await
    }

    /// Begins a transaction as after [`Tx::lock_event_log`].
    ///
    /// # Errors
    /// [`Error::TooSlow`] when the database does not answer in time.
    pub async fn begin_ordered(&self) -> Result<Tx, Error> {
        self.begin_by(self.0.engine.begin_ordered(), true).await
    }

    async fn begin_by(&self, statement: &'static str, event_log_locked: bool) -> Result<Tx, Error> {
        let span = Span::child(Kind::Client, || "store transaction");
        span.set("db.system.name", self.0.engine.name());
        let connection = self.writer().acquire().await?;
        let begin = SqlStr::from_static(statement);
        let begun = sqlx::Transaction::begin(connection, Some(begin));
        let inner = self.0.health.limit(begun).await?;
        Ok(Tx {
            inner,
            store: self.0.clone(),
            event_log_locked,
            events_written: false,
            operations_written: false,
            settings_written: false,
            events: Vec::new(),
            audit: Vec::new(),
            written: false,
            begun: std::time::Instant::now(),
            span,
        })
    }
}

impl Tx {
    /// The connection, for statements of this room.
    pub(in crate::store) fn connection(&mut self) -> Timed<'_, &mut sqlx::AnyConnection> {
        Timed {
            inner: &mut self.inner,
            health: &self.store.health,
        }
    }

    /// Seals and opens secrets kept in the store.
    pub(in crate::store) fn sealer(&self) -> Sealer {
        self.store.sealer.clone()
    }

    /// The store's clock.
    #[must_use]
    pub fn clock(&self) -> SharedClock {
        self.store.clock.clone()
    }

    /// The engine.
    pub(in crate::store) fn engine(&self) -> Engine {
        self.store.engine
    }

    /// From here on no other transaction appends to the event log or moves deliveries until this one has ended; so on
    /// SQLite from the start.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn lock_event_log(&mut self) -> Result<(), Error> {
        if self.event_log_locked {
            return Ok(());
        }
        if let Some(lock) = self.engine().order_events() {
            sqlx::query(lock).execute(self.connection()).await?;
        }
        self.event_log_locked = true;
        Ok(())
    }

    /// Remembers that this transaction may have made deliveries due.
    pub(in crate::store) fn note_deliveries(&mut self) {
        self.events_written = true;
        self.written = true;
    }

    /// Remembers that this transaction has something to write.
    pub(in crate::store) fn note_writing(&mut self) {
        self.written = true;
    }

    /// Remembers that this transaction changed what is set about plans.
    pub(in crate::store) fn note_settings_written(&mut self) {
        self.settings_written = true;
    }

    /// Remembers that this transaction changed an operation or a session.
    pub(in crate::store) fn note_operations(&mut self) {
        self.operations_written = true;
        self.written = true;
    }

    /// Remembers an event, whose deliveries are still to be written.
    pub(in crate::store) fn note_event(&mut self, event: Appended) {
        self.events.push(event);
    }

    /// Whether it changed an operation, a session or the event log.
    pub(in crate::store) fn changed(&self) -> bool {
        self.operations_written || !self.events.is_empty()
    }

    /// Makes it durable, with the deliveries of its events, then announces what it changed: to other replicas, to the dispatcher,
    /// and to those who follow [`Store::changes`].
    ///
    /// # Errors
    /// [`Error::Database`] when the database did not take it; then nothing of it is there.
    pub async fn commit(mut self) -> Result<(), Error> {
        let events = std::mem::take(&mut self.events);
        self.fan_out(&events).await?;
        self.events = events;
        self.notify().await?;
        // Last, since all other replicas wait from here on until the commit.
        let turn = self.write_audit().await?;
        let changed = self.changed();
        let Self { inner, store, .. } = self;
        {
            // Also where the outcome is not known, or not waited for: it may be there.
            let _counted = store.commits.begin();
            let committed = store.health.limit(inner.commit()).await;
            if committed.is_err() {
                self.span.failed("commit");
            }
            committed?;
        }
        self.span.set("emgate.committed", true);
        if let Some(turn) = turn {
            turn.committed();
        }
        if self.written {
            store.health.written();
        }
        metrics::histogram!(names::STORE_SECONDS).record(self.begun.elapsed());
        for event in &self.events {
            metrics::counter!(names::EVENTS, "type" => event.kind().as_str()).increment(1);
        }
        if self.events_written {
            store.deliveries.now();
        }
        if changed {
            store.announce();
        }
        Ok(())
    }
}
