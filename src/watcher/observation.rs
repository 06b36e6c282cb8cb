//! One observation of EM: the query first, what has to be read of single things beside it, then the parts, written one by
//! one.
//!
//! Invariant: each part is committed with its events, and the observation's number with the last of them; an observation
//! that ends half way is continued by the next one, which finds what was written and neither reports nor reads it again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::apply::{self, Batch, BatchOutcome, Completion};
use super::batches;
use super::lookback::{CLOCK_SLACK, late_after, lookback_start};
use super::observe::EM_WINDOW;
use super::{Error, Watcher};
use crate::domain::id::EmId;
use crate::domain::operation::Operation;
use crate::domain::session::SessionFacts;
use crate::store::observations::WatchState;
use crate::store::replicas::Lease;
use crate::store::{self, Revision};
use crate::telemetry::traces;
use crate::upstream::Walked;

/// How often the query reaches back to sessions that were lost, which EM may show again, and to those that are damaged.
const LOST_PERIOD: Duration = Duration::from_mins(1);

/// After how long an observation begins no further part, but leaves it to the next one: what ended meanwhile comes first.
const LONG_OBSERVATION: Duration = Duration::from_secs(15);

/// What the query showed.
struct Seen {
    /// How far back it reached.
    since: Option<Timestamp>,
    sessions: Vec<Arc<SessionFacts>>,
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
        let mut revision = self.store.revision();
        let mut before = store::with_timeout(self.store.watch_state(lost_since)).await?;
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
        let operations = if self.store.is_still_at(revision) {
            std::mem::take(&mut before.operations)
        } else {
            revision = self.store.revision();
            store::with_timeout(self.store.unfinished_operations()).await?
        };
        traces::link(
            operations
                .iter()
                .filter_map(|operation| operation.traceparent.as_deref()),
        );
        self.add_linked(&mut sessions, &unread, links, &operations)
            .await?;
        let seen = Seen {
            since,
            sessions,
            unread,
        };
        let operations = (revision, operations.into());
        let applied = self.write(lease, seen, &before, operations, asked).await?;
        if lost && applied.complete {
            self.lost_checked_at = Some(asked_at);
        }
        Ok(applied)
    }

    /// Asks the query, and once more where its answer showed that EM's clock is so slow that the reach was too short.
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

    /// Writes what was seen, part by part.
    async fn write(
        &mut self,
        lease: Lease,
        seen: Seen,
        before: &WatchState,
        read: (Revision, Arc<[Operation]>),
        begun: Instant,
    ) -> Result<BatchOutcome, Error> {
        let Seen {
            since,
            mut sessions,
            unread,
        } = seen;
        let baseline = before.observed_at.is_none();
        let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
        let oldest_damaged =
            Some(self.damaged.oldest()).filter(|oldest| micros(*oldest) != micros(before.oldest_damaged));
        let mut shown: HashSet<EmId> = sessions.iter().map(|facts| facts.id.clone()).collect();
        shown.extend(unread.iter().cloned());
        self.complete(&mut sessions);
        self.settled.hold(lease, self.clock.now());
        let of_tasks = self.lookups.tasks.values();
        let named = of_tasks.filter_map(|task| task.session.clone()).collect();
        let operations = &*read.1;
        let wanted = batches::wanted_by(operations);
        let all = sessions.clone();
        let left = self.settled.leave_out(&mut sessions, operations, &named, wanted);
        let (written, others): (Vec<EmId>, Vec<EmId>) = sessions
            .iter()
            .map(|facts| facts.id.clone())
            .partition(|id| self.settled.has_written(id));
        let mut known = store::with_timeout(self.store.session_keys_known(&others)).await?;
        known.extend(left.settled);
        known.extend(written.iter().map(EmId::key));
        self.read_again(&all, &shown, &known).await?;
        let mut total = BatchOutcome::default();
        let mut number = None;
        let parts = batches::cut(sessions, &known, operations, baseline, self.part_size);
        let mut parts = parts.into_iter().peekable();
        while let Some(mut part) = parts.next() {
            let reads = part.reads;
            if reads {
                self.read_new(&mut part, &known, baseline).await;
            }
            let known_records = self.settled.begin(&part.sessions);
            let written = part.sessions.clone();
            let tasks = self.lookups.tasks.clone();
            let look = Batch {
                lease,
                at: self.clock.now(),
                since,
                sessions: part.sessions,
                known: known_records,
                in_step: left.joined.clone(),
                tasks,
                plans: self.known_plans(),
                links: self.em.links().clone(),
                number,
                operations: read.clone(),
                join: part.join,
                last: parts.peek().is_none().then(|| Completion {
                    shown: shown.clone(),
                    unread: unread.clone(),
                    oldest_damaged,
                    late_when_active: late_after(self.config.interval),
                    late_when_idle: late_after(self.config.idle_interval),
                }),
            };
            let mut applied =
                match store::with_timeout(apply::apply(&self.store, look, self.unknown_after)).await {
                    Ok(applied) => applied,
                    Err(error) => {
                        if matches!(error, Error::Store(store::Error::TooSlow)) {
                            self.part_size = self.part_size.less();
                        }
                        return Err(error);
                    }
                };
            self.lookups.tasks.clear();
            for facts in &written {
                self.lookups.sessions.remove(&facts.id);
            }
            self.settled.wrote(written, std::mem::take(&mut applied.settled));
            number = Some(applied.number);
            self.follow_up(&applied);
            total.add(applied);
            // Only after one that waited: the next observation would have to begin with the others again.
            if reads && !total.complete && begun.elapsed() >= LONG_OBSERVATION {
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
            // A task changes things until its end, so what was read before proves nothing.
            self.em.forget_reads();
        }
    }
}
