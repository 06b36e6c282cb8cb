//! The worker that keeps what EM may remove, and makes the report of every failover that ended.
//!
//! One replica does it at a time, by a lease; twice in a row is harmless, since a revision is written once. What a kill leaves
//! behind is found by its row at the next turn.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::gather::points_of;
use crate::app::{App, Error};
use crate::domain::access::Tenancy;
use crate::domain::id::EmId;
use crate::domain::session::SessionRecord;
use crate::runtime::{Turn, Worker};
use crate::telemetry::Throttle;

/// How often it looks by itself; a commit wakes it.
const PERIOD: Duration = Duration::from_secs(5);

/// How long it does not look at sessions that run again, however many commits wake it: each reads all of them.
const PAUSE: Duration = Duration::from_secs(1);

/// How many failovers are reported in a turn.
const REPORTS: i64 = 20;

/// How many running sessions are looked at in a turn.
const SESSIONS: i64 = 500;

/// The lease of the one replica that does it.
const LEASE: &str = "evidence";

/// See the module.
pub struct Recorder {
    app: App,
    /// Running sessions of which all is kept, with how many restore points they named then.
    settled: HashMap<EmId, usize>,
    /// When those were looked at last.
    followed: Option<Instant>,
    /// Whether they are to be looked at soon.
    is_due: bool,
    reminder: Throttle,
}

impl Recorder {
    /// Of these verbs' store.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self {
            app: app.for_workers(),
            settled: HashMap::new(),
            followed: None,
            is_due: false,
            reminder: Throttle::reminder(),
        }
    }

    /// One look; true when there may be more to do.
    async fn look(&mut self) -> Result<bool, Error> {
        let app = &self.app;
        if app.store.lease(LEASE).await?.is_none() {
            return Ok(false);
        }
        self.is_due = self.followed.is_some_and(|at| at.elapsed() < PAUSE);
        if !self.is_due {
            self.followed = Some(Instant::now());
            let running = app.store.running_sessions(SESSIONS).await?;
            self.settled = Self::follow(app, &self.settled, running).await?;
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

    /// Reads the points of sessions that run, and keeps the plans of those that were started elsewhere; the sessions of which all
    /// is kept now.
    async fn follow(
        app: &App,
        settled: &HashMap<EmId, usize>,
        running: Vec<SessionRecord>,
    ) -> Result<HashMap<EmId, usize>, Error> {
        let (mut kept, mut open) = (HashMap::new(), Vec::new());
        for session in running {
            let points = points_of(&session.facts).len();
            if settled.get(&session.facts.id) == Some(&points) {
                kept.insert(session.facts.id.clone(), points);
            } else {
                open.push(session);
            }
        }
        let ids: Vec<EmId> = open.iter().map(|session| session.facts.id.clone()).collect();
        let behind = app.store.operations_behind(&ids, &Tenancy::All).await?;
        let requested: HashSet<String> = behind.into_iter().map(|(session, _, _)| session).collect();
        for session in open {
            let id = &session.facts.id;
            let points = points_of(&session.facts).len();
            let known = app.gather_points(&session.facts).await?.len();
            let joined = requested.contains(&id.key());
            if !joined && app.store.run_of_session(id, &Tenancy::All).await?.is_none() {
                app.keep_foreign(&session, true).await?;
            }
            if known == points {
                kept.insert(session.facts.id, points);
            }
        }
        Ok(kept)
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
        let done = self.look().await;
        match self
            .reminder
            .tell(done, "recovery evidence could not be kept; it is tried again")
        {
            Some(true) => Turn::Again,
            Some(false) | None if self.is_due => Turn::Rest(PAUSE),
            Some(false) | None => Turn::Rest(PERIOD),
        }
    }
}
