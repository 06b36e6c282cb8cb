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
use crate::domain::session::{SessionFacts, SessionRecord, in_portions};
use crate::runtime::{Turn, Worker};
use crate::store::replicas::LeaseName;
use crate::telemetry::Throttle;

/// How often it looks by itself; a commit wakes it.
const PERIOD: Duration = Duration::from_secs(5);

/// How long it does not look again, however many commits wake it: an observation of many failovers is as many commits as it has
/// parts.
const PAUSE: Duration = Duration::from_secs(1);

/// How many failovers are reported in a turn.
const REPORTS: i64 = 20;

/// How many running sessions are looked at in a turn.
const SESSIONS: usize = 500;

/// How many machines the sessions have at the most of which evidence is kept together, unless one alone has more.
const MACHINES_TOGETHER: usize = 200;

/// How long a running session is not looked at of which all seems to be kept.
const LOOKED_AT_AGAIN: Duration = Duration::from_mins(1);

/// See the module.
pub struct Recorder {
    app: App,
    running: Running,
    /// When it looked last, unless there was more to do.
    looked: Option<Instant>,
    reminder: Throttle,
}

/// What is kept of a running session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Not all that it names; it is tried again, after those that were not tried yet.
    Part,
    /// All that it named when so many events had been made of it.
    Until(i64),
    /// All that it can name.
    All,
}

/// The running sessions that were looked at. Forgotten once a minute, which costs one look at each, and nothing else.
#[derive(Debug)]
struct Running {
    kept: HashMap<EmId, Kept>,
    since: Instant,
}

impl Running {
    fn new(now: Instant) -> Self {
        Self {
            kept: HashMap::new(),
            since: now,
        }
    }

    /// Which of those that run are to be looked at, given with the number of their events; those that were not looked at yet first.
    fn due(&mut self, sessions: Vec<(EmId, i64)>, now: Instant) -> Vec<(EmId, i64)> {
        if now.duration_since(self.since) >= LOOKED_AT_AGAIN {
            *self = Self::new(now);
        }
        let run: HashSet<&EmId> = sessions.iter().map(|(id, _)| id).collect();
        self.kept.retain(|id, _| run.contains(id));
        let is_due = |(id, sequence): &(EmId, i64)| match self.kept.get(id) {
            None | Some(Kept::Part) => true,
            Some(Kept::Until(then)) => then != sequence,
            Some(Kept::All) => false,
        };
        let mut due: Vec<_> = sessions.into_iter().filter(is_due).collect();
        due.sort_by_key(|(id, _)| self.kept.contains_key(id));
        due
    }

    /// Takes note of what is kept of one, `points` being the keys of those that are.
    fn note(&mut self, session: &SessionFacts, sequence: i64, points: &HashSet<String>) {
        let is_whole = || session.machines.iter().all(|one| one.replica_point.is_some());
        let kept = if !points_of(session).iter().all(|id| points.contains(&id.key())) {
            Kept::Part
        } else if !session.machines.is_empty() && is_whole() {
            Kept::All
        } else {
            Kept::Until(sequence)
        };
        self.kept.insert(session.id.clone(), kept);
    }
}

impl Recorder {
    /// Of these verbs' store.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self {
            app: app.for_workers(),
            running: Running::new(Instant::now()),
            looked: None,
            reminder: Throttle::reminder(),
        }
    }

    /// One look, and when to look again.
    async fn look(&mut self) -> Result<Turn, Error> {
        if self.app.store.lease(LeaseName::Evidence).await?.is_none() {
            return Ok(Turn::Rest(PERIOD));
        }
        let are_more = self.follow().await?;
        let app = &self.app;
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
        Ok(if made >= REPORTS {
            Turn::Again
        } else {
            Turn::Rest(if are_more { PAUSE } else { PERIOD })
        })
    }

    /// Keeps what EM may remove of the sessions that run and changed; true when there are more than were looked at.
    async fn follow(&mut self) -> Result<bool, Error> {
        let running = self.app.store.sessions_under_way().await?;
        let mut due = self.running.due(running, Instant::now());
        let are_more = due.len() > SESSIONS;
        due.truncate(SESSIONS);
        let ids: Vec<EmId> = due.iter().map(|(id, _)| id.clone()).collect();
        let sequences: HashMap<EmId, i64> = due.into_iter().collect();
        let sessions = self.app.store.sessions_known(&ids, &Tenancy::All).await?;
        for some in in_portions(&sessions, MACHINES_TOGETHER, |record| record) {
            self.keep(some, &sequences).await?;
        }
        Ok(are_more)
    }

    /// Keeps it of these sessions together, or one by one where a row of one is refused, so that each costs itself alone.
    async fn keep(
        &mut self,
        sessions: &[SessionRecord],
        sequences: &HashMap<EmId, i64>,
    ) -> Result<(), Error> {
        match self.app.keep_running(sessions).await {
            Ok(points) => {
                for SessionRecord { facts, .. } in sessions {
                    let sequence = sequences.get(&facts.id).copied().unwrap_or_default();
                    self.running.note(facts, sequence, &points);
                }
                Ok(())
            }
            Err(Error::Store(error)) if sessions.len() > 1 && error.is_about_the_row() => {
                for session in sessions {
                    let alone = std::slice::from_ref(session);
                    Box::pin(self.keep(alone, sequences)).await?;
                }
                Ok(())
            }
            Err(error) => {
                let session = sessions.first().map(|session| session.facts.id.as_str());
                self.attempt(session.unwrap_or_default(), Err(error)).map(|_| ())
            }
        }
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
                    "the evidence of a failover could not be kept, or its report not made; it is tried again"
                );
                Ok(false)
            }
        }
    }
}

impl Worker for Recorder {
    const NAME: &'static str = "evidence";

    async fn activate(&mut self) -> Turn {
        let begun = Instant::now();
        let since = self.looked.map(|looked| begun.duration_since(looked));
        if let Some(since) = since.filter(|since| *since < PAUSE) {
            return Turn::Rest(PAUSE.saturating_sub(since));
        }
        let next = self.look().await;
        let next = self
            .reminder
            .tell(next, "recovery evidence could not be kept; it is tried again")
            .unwrap_or(Turn::Rest(PERIOD));
        self.looked = (next != Turn::Again).then_some(begun);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::Reference;
    use crate::domain::session::{MachineFacts, SessionState};

    fn id(last: usize) -> EmId {
        let id = format!("a986d473-0248-4884-9832-{last:012}");
        id.parse().expect("an id")
    }

    /// A session of two machines, the first so many of which name their restore points.
    fn session(number: usize, named: usize) -> SessionFacts {
        let machine = |at: usize| MachineFacts {
            name: format!("machine {at}"),
            state: SessionState::Working,
            result: None,
            progress: None,
            started_at: None,
            ended_at: None,
            failure_message: None,
            replica_point: (at < named).then(|| Reference {
                id: id(100 + at),
                name: None,
            }),
        };
        SessionFacts {
            id: id(number),
            uid: None,
            plan_name: "a plan".to_owned(),
            job: None,
            job_type: None,
            backup_server: None,
            state: SessionState::Working,
            result: None,
            progress: None,
            started_at: None,
            ended_at: None,
            failure_message: None,
            machines: (0..2).map(machine).collect(),
        }
    }

    #[test]
    fn a_session_is_looked_at_until_all_is_kept_that_it_can_name() {
        let begun = Instant::now();
        let points = |kept: usize| -> HashSet<String> { (0..kept).map(|at| id(100 + at).key()).collect() };
        // How many machines named their points, how many of these are kept; is it due when nothing, and when something happened?
        for (named, kept, is_due) in [
            (2, 2, [false, false]),
            (1, 1, [false, true]),
            (0, 0, [false, true]),
            (2, 1, [true, true]),
            (1, 0, [true, true]),
        ] {
            let mut running = Running::new(begun);
            let due =
                |running: &mut Running, sequence, now| !running.due(vec![(id(1), sequence)], now).is_empty();
            assert!(due(&mut running, 1, begun), "it is new");
            running.note(&session(1, named), 1, &points(kept));
            let found = [1, 2].map(|sequence| due(&mut running, sequence, begun));
            assert_eq!(found, is_due, "{named} {kept}");
            let later = begun + LOOKED_AT_AGAIN;
            assert!(
                due(&mut running, 1, later),
                "all are looked at again, {named} {kept}"
            );
        }
    }

    #[test]
    fn sessions_that_cannot_be_kept_do_not_keep_others_waiting() {
        let now = Instant::now();
        let mut running = Running::new(now);
        let all = |numbers: &[usize]| numbers.iter().map(|number| (id(*number), 1)).collect::<Vec<_>>();
        running.note(&session(1, 2), 1, &HashSet::new());
        assert_eq!(running.due(all(&[1, 2, 3]), now), all(&[2, 3, 1]));
        assert_eq!(running.due(all(&[2]), now), all(&[2]));
        assert_eq!(
            running.due(all(&[1, 2]), now),
            all(&[1, 2]),
            "one that was gone is new"
        );
    }
}
