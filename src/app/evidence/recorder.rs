//! The worker that keeps what EM may remove, and makes the report of every failover that ended.
//!
//! One replica does it at a time, by a lease; twice in a row is harmless, since a revision is written once. What a kill leaves
//! behind is found by its row at the next turn.

use std::time::Duration;

use crate::app::{App, Error};
use crate::domain::access::Tenancy;
use crate::domain::session::SessionRecord;
use crate::runtime::{Turn, Worker};
use crate::telemetry::Throttle;

/// How often it looks by itself; a commit wakes it.
const PERIOD: Duration = Duration::from_secs(5);

/// How many failovers are reported in a turn.
const REPORTS: i64 = 20;

/// How many running sessions are looked at in a turn.
const SESSIONS: i64 = 500;

/// The lease of the one replica that does it.
const LEASE: &str = "evidence";

/// See the module.
pub struct Recorder {
    app: App,
    reminder: Throttle,
}

impl Recorder {
    /// Of these verbs' store.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self {
            app: app.for_workers(),
            reminder: Throttle::reminder(),
        }
    }

    /// One look; true when there may be more to do.
    async fn look(&mut self) -> Result<bool, Error> {
        let app = &self.app;
        if app.store.lease(LEASE).await?.is_none() {
            return Ok(false);
        }
        for session in app.store.running_sessions(SESSIONS).await? {
            self.follow(&session).await?;
        }
        for (run, done) in app.store.runs_without_sessions().await? {
            app.gather_course(run, done).await?;
        }
        let mut made = 0;
        for run in app.store.runs_due(REPORTS).await? {
            let done = app.make_report(&run).await.map(|_| ());
            made += i64::from(self.attempt(&run.id.to_string(), done)?);
        }
        for session in app.store.unreported_sessions(REPORTS).await? {
            let done = app.report_foreign(&session).await;
            made += i64::from(self.attempt(session.facts.id.as_str(), done)?);
        }
        Ok(made >= REPORTS)
    }

    /// Reads the points of a session that runs, and keeps its plan where it was started elsewhere.
    async fn follow(&self, session: &SessionRecord) -> Result<(), Error> {
        let app = &self.app;
        app.gather_points(&session.facts).await?;
        let id = std::slice::from_ref(&session.facts.id);
        if app.store.operations_behind(id, &Tenancy::All).await?.is_empty()
            && app
                .store
                .run_of_session(&session.facts.id, &Tenancy::All)
                .await?
                .is_none()
        {
            app.keep_foreign(session, true).await?;
        }
        Ok(())
    }

    /// One failover that cannot be reported costs itself alone; true when it was.
    fn attempt(&self, what: &str, outcome: Result<(), Error>) -> Result<bool, Error> {
        match outcome {
            Ok(()) => Ok(true),
            Err(Error::Store(error)) if !error.is_about_the_row() => Err(error.into()),
            Err(error) => {
                tracing::warn!(
                    failover = what,
                    error = &error as &dyn std::error::Error,
                    "the report of a failover could not be made; it is tried again"
                );
                Ok(false)
            }
        }
    }
}

impl Worker for Recorder {
    const NAME: &'static str = "evidence";

    async fn activate(&mut self) -> Turn {
        match self.look().await {
            Ok(true) => Turn::Again,
            Ok(false) => {
                self.reminder.reset();
                Turn::Rest(PERIOD)
            }
            Err(error) => {
                if self.reminder.due() {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "recovery evidence could not be kept; it is tried again"
                    );
                }
                Turn::Rest(PERIOD)
            }
        }
    }
}
