//! One look at EM: the query first, what has to be read of single things beside it, then the parts, written one by one.
//!
//! Invariant: each part is committed with its events, and the observation's number with the last of them; a look that
//! ends half way is taken up by the next one, which finds what was written and neither tells it nor reads it again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::apply::{self, Batch, BatchOutcome, Completion};
use super::batches::{self, Part};
use super::lookups::{Lookup, LookupKey};
use super::observe::EM_WINDOW;
use super::poll_backoff::PollBackoff;
use super::{Error, Watcher, follow};
use crate::domain::id::{EmId, OperationId};
use crate::domain::operation::Operation;
use crate::domain::session::SessionFacts;
use crate::store::replicas::Lease;
use crate::store::sessions::WatchState;
use crate::store::{self, Store};
use crate::upstream::Walked;

/// How far the query reaches back at the least, and how much EM's clock may be off without anybody minding.
const REACH: Duration = Duration::from_hours(1);
pub(super) const CLOCK_SLACK: Duration = Duration::from_mins(15);

/// How often the query reaches back to sessions that were lost, which EM may show again, and to those that are damaged.
const LOST_PERIOD: Duration = Duration::from_mins(1);

/// How long a task that may name its session is waited for; what the query told is written then in any case.
const LINK_WAIT: Duration = Duration::from_secs(1);

/// How long the reading of new sessions may make no progress, and how long it may take in a part; then they are told
/// without what was not read.
const NEW_PAUSE: Duration = Duration::from_secs(5);
const NEW_MOST: Duration = Duration::from_secs(10);

/// After how long a look begins no further part, but leaves it to the next look: what ended meanwhile comes first.
const LONG_LOOK: Duration = Duration::from_secs(15);

/// How many sessions are asked for once more in a turn, where EM did not tell at first what rows lack.
const MOST_AGAIN: usize = 50;

/// How long a list of plans is good for naming the plan of a session.
const PLANS_TTL: Duration = Duration::from_mins(1);

/// Without a complete observation for so long, or for so many intervals, something is wrong.
const LATE: Duration = Duration::from_secs(30);
const LATE_INTERVALS: u32 = 5;

/// How far back the query has to reach: to the oldest session whose end is awaited (those that were `lost` among them,
/// and the oldest that is `damaged`, if asked for), to what may have happened since the last observation, and an hour at
/// the least; `None` (all that EM keeps) before the baseline. `behind`: by how much EM's clock is known to be slow.
fn lookback_start(
    before: &WatchState,
    lost: bool,
    damaged: Option<Timestamp>,
    behind: Duration,
    now: Timestamp,
) -> Option<Timestamp> {
    let last = before.observed_at?.min(now).checked_sub(REACH).ok()?;
    // What EM creates now has the time that EM believes it is; the ages of sessions are EM's own times already.
    let last = last.checked_sub(behind).ok()?;
    let oldest_lost = before.oldest_lost.filter(|_| lost);
    let damaged = damaged.filter(|_| lost);
    [before.oldest_open, oldest_lost, damaged]
        .into_iter()
        .flatten()
        .fold(last, Timestamp::min)
        .checked_sub(CLOCK_SLACK)
        .ok()
}

/// What a look saw.
struct Seen {
    /// How far back it looked.
    since: Option<Timestamp>,
    sessions: Vec<SessionFacts>,
    /// Sessions that are there and may not be among those, because they are damaged.
    unread: HashSet<EmId>,
}

impl Watcher {
    /// Observes once, as the one replica that does.
    ///
    /// # Errors
    /// [`Error`]; what was committed before stays, and the observation is not complete.
    pub(super) async fn observe(&mut self, lease: Lease) -> Result<BatchOutcome, Error> {
        let (asked_at, asked) = (self.clock.now(), Instant::now());
        let lost_since = asked_at.checked_sub(EM_WINDOW).unwrap_or(Timestamp::MIN);
        let before = store::with_timeout(self.store.watch_state(lost_since)).await?;
        self.adopt_logons(&before.operations).await?;
        self.align_pins(&before.operations, asked);
        self.lookups.collect();
        let links = self.ask_tasks(&before.operations);
        let damaged = self
            .damaged
            .oldest()
            .into_iter()
            .chain(before.oldest_damaged)
            .min();
        let lost = (before.oldest_lost.is_some() || damaged.is_some())
            && self
                .lost_checked_at
                .is_none_or(|at| asked_at.duration_since(at).unsigned_abs() >= LOST_PERIOD);
        let (since, walked) = self.query(&before, lost, damaged, asked_at).await?;
        let (mut sessions, unread) = self.add_damaged(walked, lost || since.is_none()).await?;
        // Read again: what was asked for meanwhile may have its session in the list.
        let operations = store::with_timeout(self.store.unfinished_operations()).await?;
        self.add_linked(&mut sessions, &unread, links, &operations)
            .await?;
        let seen = Seen {
            since,
            sessions,
            unread,
        };
        let applied = self.write(lease, seen, &before, &operations, asked).await?;
        if lost && applied.complete {
            self.lost_checked_at = Some(asked_at);
        }
        Ok(applied)
    }

    /// Asks the query, and once more where its answer told that EM's clock is so slow that the reach was too short.
    async fn query(
        &self,
        before: &WatchState,
        lost: bool,
        damaged: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Option<Timestamp>, Walked), Error> {
        let since = lookback_start(before, lost, damaged, self.clock_lag(), now);
        let walked = self.em.sessions_since(since).await?;
        let further = lookback_start(before, lost, damaged, self.clock_lag(), now);
        // None is the furthest, and the least.
        if further < since {
            return Ok((further, self.em.sessions_since(further).await?));
        }
        Ok((since, walked))
    }

    /// By how much EM's clock is slow, where that is more than is reckoned with anyway.
    fn clock_lag(&self) -> Duration {
        self.em
            .clock_skew()
            .filter(jiff::SignedDuration::is_negative)
            .map(jiff::SignedDuration::unsigned_abs)
            .filter(|behind| *behind > CLOCK_SLACK)
            .unwrap_or_default()
    }

    /// Asks EM about the tasks that are due for a look; the questions whose answer may name a session.
    fn ask_tasks(&mut self, operations: &[Operation]) -> Vec<LookupKey> {
        let now = self.clock.now();
        let awaited: Vec<&Operation> = operations
            .iter()
            .filter(|operation| follow::awaits_task(operation))
            .collect();
        let still: HashSet<OperationId> = awaited.iter().map(|operation| operation.id).collect();
        self.task_backoff.retain(|id, _| still.contains(id));
        let mut links = Vec::new();
        for operation in awaited {
            let first = PollBackoff::new(self.config.interval, now);
            let pace = self.task_backoff.entry(operation.id).or_insert(first);
            let Some((task, logon)) = operation.task.as_ref().and_then(|task| Some((task, task.logon?)))
            else {
                continue;
            };
            let question = LookupKey::Task(operation.id);
            if self.lookups.is_asking(&question) || !pace.is_due(now) {
                continue;
            }
            self.lookups.ask_task(operation.id, logon, task.id.clone());
            if operation.session.is_none() {
                links.push(question);
            }
        }
        links
    }

    /// Adds sessions that tasks link and the query did not show: those linked now, and those linked before that could
    /// not be read then.
    async fn add_linked(
        &mut self,
        sessions: &mut Vec<SessionFacts>,
        unread: &HashSet<EmId>,
        mut questions: Vec<LookupKey>,
        operations: &[Operation],
    ) -> Result<(), Error> {
        let read = sessions.iter().map(|facts| facts.id.clone());
        let seen: HashSet<EmId> = read.chain(unread.iter().cloned()).collect();
        let mut missing: HashSet<EmId> = operations
            .iter()
            .filter(|operation| operation.state.is_open())
            .filter_map(|operation| operation.session.clone())
            .filter(|id| !seen.contains(id))
            .collect();
        if !missing.is_empty() {
            let awaited: Vec<EmId> = missing.iter().cloned().collect();
            for record in store::with_timeout(self.store.sessions_known(&awaited)).await? {
                missing.remove(&record.facts.id);
            }
        }
        let ask = |lookups: &mut super::lookups::Lookups, id: &EmId| {
            let answered = matches!(lookups.sessions.get(id), Some(Lookup::Found(_)));
            (!answered && lookups.ask_session(id)).then(|| LookupKey::Session(id.clone()))
        };
        questions.extend(missing.iter().filter_map(|id| ask(&mut self.lookups, id)));
        self.lookups.wait(&questions, LINK_WAIT, LINK_WAIT).await;
        let linked: Vec<EmId> = self
            .lookups
            .tasks
            .values()
            .filter_map(|task| task.session.clone())
            .filter(|id| !seen.contains(id) && missing.insert(id.clone()))
            .collect();
        let questions: Vec<LookupKey> = linked
            .iter()
            .filter_map(|id| ask(&mut self.lookups, id))
            .collect();
        self.lookups.wait(&questions, LINK_WAIT, LINK_WAIT).await;
        for id in missing {
            if let Some(Lookup::Found(facts)) = self.lookups.sessions.get(&id) {
                sessions.push(facts.as_ref().clone());
            }
        }
        Ok(())
    }

    /// Writes what was seen, part by part.
    async fn write(
        &mut self,
        lease: Lease,
        seen: Seen,
        before: &WatchState,
        operations: &[Operation],
        begun: Instant,
    ) -> Result<BatchOutcome, Error> {
        let Seen {
            since,
            mut sessions,
            unread,
        } = seen;
        let mut shown: HashSet<EmId> = sessions.iter().map(|facts| facts.id.clone()).collect();
        let ids: Vec<EmId> = shown.iter().cloned().collect();
        shown.extend(unread.iter().cloned());
        let known = store::with_timeout(self.store.session_keys_known(&ids)).await?;
        let baseline = before.observed_at.is_none();
        let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
        let oldest_damaged =
            Some(self.damaged.oldest()).filter(|oldest| micros(*oldest) != micros(before.oldest_damaged));
        self.read_again(&sessions, &shown, &known).await?;
        self.complete(&mut sessions);
        let mut total = BatchOutcome::default();
        let mut number = None;
        let parts = batches::cut(sessions, &known, operations, baseline, self.part_size);
        let mut parts = parts.into_iter().peekable();
        while let Some(mut part) = parts.next() {
            let reads = part.reads;
            if reads {
                self.read_new(&mut part, &known, baseline).await;
            }
            let written: Vec<EmId> = part.sessions.iter().map(|facts| facts.id.clone()).collect();
            let tasks = self.lookups.tasks.clone();
            let look = Batch {
                lease,
                at: self.clock.now(),
                since,
                sessions: part.sessions,
                tasks,
                plans: self.known_plans(),
                links: self.em.links().clone(),
                number,
                join: part.join,
                last: parts.peek().is_none().then(|| Completion {
                    shown: shown.clone(),
                    unread: unread.clone(),
                    oldest_damaged,
                    late_when_active: late_after(self.config.interval),
                    late_when_idle: late_after(self.config.idle_interval),
                }),
            };
            let applied = match store::with_timeout(apply::apply(&self.store, look, self.unknown_after)).await
            {
                Ok(applied) => applied,
                Err(error) => {
                    if matches!(error, Error::Store(store::Error::TooSlow)) {
                        self.part_size = self.part_size.less();
                    }
                    return Err(error);
                }
            };
            self.lookups.tasks.clear();
            for id in &written {
                self.lookups.sessions.remove(id);
            }
            number = Some(applied.number);
            self.follow_up(&applied);
            total.add(applied);
            // Only after one that waited: the next look would have to begin with the others again.
            if reads && !total.complete && begun.elapsed() >= LONG_LOOK {
                break;
            }
        }
        if total.complete {
            self.part_size = self.part_size.more();
        }
        Ok(total)
    }

    /// What a part's commit means for those who wait.
    fn follow_up(&mut self, applied: &BatchOutcome) {
        for logon in &applied.released {
            self.em.release(*logon);
            if !self.em.holds_logon(*logon) {
                // A guest that left: its replica may start the next task in it at once.
                self.adopted.remove(logon);
            }
        }
        if applied.ended {
            // A task changes things until its end, so what was read before tells nothing.
            self.em.forget_reads();
        }
    }

    /// Asks once more for what rows of known sessions lack and EM did not tell at first. Nobody waits for it.
    async fn read_again(
        &mut self,
        sessions: &[SessionFacts],
        shown: &HashSet<EmId>,
        known: &HashSet<String>,
    ) -> Result<(), Error> {
        let mut again = match self.incomplete.take() {
            Some(incomplete) => incomplete,
            // Left behind by the process before, or by the replica that observed until now.
            None => left_behind(&self.store).await?,
        };
        again.retain(|id| shown.contains(id));
        self.lookups.sessions.retain(|id, told| {
            if !matches!(told, Lookup::Failed) {
                again.remove(id);
            }
            shown.contains(id) && matches!(told, Lookup::Found(_))
        });
        sessions
            .iter()
            .filter(|facts| facts.backup_server.is_none() && known.contains(&facts.id.key()))
            .filter(|facts| again.contains(&facts.id))
            .take(MOST_AGAIN)
            .for_each(|facts| {
                self.lookups.ask_session(&facts.id);
            });
        self.incomplete = Some(again);
        Ok(())
    }

    /// Reads by a GET of their own what rows of new sessions lack, the backup server, and the plans where the list is old
    /// or lacks a name.
    async fn read_new(&mut self, part: &mut Part, known: &HashSet<String>, baseline: bool) {
        let news: Vec<&SessionFacts> = part
            .sessions
            .iter()
            .filter(|facts| batches::is_news(facts, known, baseline))
            .collect();
        let lacking: Vec<EmId> = news
            .iter()
            .filter(|facts| facts.backup_server.is_none())
            .map(|facts| facts.id.clone())
            .collect();
        let mut questions = Vec::new();
        if !self.has_plans_of(&news) {
            self.lookups.ask_plans();
            questions.push(LookupKey::Plans);
        }
        for id in &lacking {
            self.lookups.ask_session(id);
            questions.push(LookupKey::Session(id.clone()));
        }
        self.lookups.wait(&questions, NEW_PAUSE, NEW_MOST).await;
        let again = self.incomplete.get_or_insert_default();
        for id in lacking {
            if matches!(self.lookups.sessions.get(&id), None | Some(Lookup::Failed)) {
                again.insert(id);
            }
        }
        if let Some(plans) = self.lookups.plans.take() {
            self.plans = Some((self.clock.now(), plans));
        }
        self.complete(&mut part.sessions);
    }

    /// Takes over from what was read of single sessions what their rows lack.
    fn complete(&self, sessions: &mut [SessionFacts]) {
        for facts in sessions {
            if facts.backup_server.is_none()
                && let Some(Lookup::Found(whole)) = self.lookups.sessions.get(&facts.id)
            {
                facts.backup_server.clone_from(&whole.backup_server);
                facts.job = facts.job.take().or_else(|| whole.job.clone());
            }
        }
    }

    fn known_plans(&self) -> Vec<crate::domain::plan::Plan> {
        self.plans
            .as_ref()
            .map(|(_, plans)| plans.clone())
            .unwrap_or_default()
    }

    /// Whether the list of plans is fresh and has the names of all these sessions.
    fn has_plans_of(&self, sessions: &[&SessionFacts]) -> bool {
        let now = self.clock.now();
        self.plans.as_ref().is_some_and(|(read_at, plans)| {
            now.duration_since(*read_at).unsigned_abs() < PLANS_TTL
                && sessions
                    .iter()
                    .all(|facts| plans.iter().any(|plan| plan.name == facts.plan_name))
        })
    }
}

async fn left_behind(store: &Store) -> Result<HashSet<EmId>, Error> {
    Ok(store::with_timeout(store.open_sessions_without_server()).await?)
}

/// How long after a look the next complete one is late, where they follow each other so.
fn late_after(interval: Duration) -> Duration {
    (interval * LATE_INTERVALS).max(LATE)
}
