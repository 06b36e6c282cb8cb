//! What an observation saw, part by part, and what writing it did.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::follow::TaskReport;
use crate::domain::id::{EmId, LogonId, OperationId};
use crate::domain::links::Links;
use crate::domain::operation::Operation;
use crate::domain::plan::Plan;
use crate::domain::session::{SessionFacts, SessionRecord};
use crate::store::Revision;
use crate::store::replicas::Lease;

/// What was seen at EM in one turn, or a part of it.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The lease under which it observes.
    pub lease: Lease,
    /// When, by the gateway's clock.
    pub at: Timestamp,
    /// How far back the query reached; `None` = as far as EM's window.
    pub since: Option<Timestamp>,
    /// The sessions of this part.
    pub sessions: Vec<Arc<SessionFacts>>,
    /// What this process itself wrote of some of them under this lease: their rows need not be read.
    pub known: Vec<SessionRecord>,
    /// Sessions that operations are joined with and that are in no part, since both are as they were written.
    pub in_step: HashSet<EmId>,
    /// The tasks that were asked about.
    pub tasks: HashMap<OperationId, TaskReport>,
    /// The cloud plans, for naming the plan of a session.
    pub plans: Arc<[Plan]>,
    /// Where the links of its events begin.
    pub links: Links,
    /// The observation's number, once its first part has it.
    pub number: Option<i64>,
    /// The operations that may still change, as they were read after that state of the store.
    pub operations: (Revision, Arc<[Operation]>),
    /// Whether all sessions are in this part with which operations may be joined.
    pub join: bool,
    /// What completes the observation, with its last part.
    pub last: Option<Completion>,
}

/// What completes an observation.
#[derive(Debug, Clone)]
pub struct Completion {
    /// All sessions that were seen, in whatever part.
    pub shown: HashSet<EmId>,
    /// Those among them that could not be read, or may not have been.
    pub unread: HashSet<EmId>,
    /// When the oldest was made that could never be read; none where the store knows it already.
    pub oldest_damaged: Option<Option<Timestamp>>,
    /// How long the next observation may take to be complete while something runs.
    pub late_when_active: Duration,
    /// The same while nothing does.
    pub late_when_idle: Duration,
}

/// What a turn did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchOutcome {
    /// Whether something runs that deserves the short interval.
    pub active: bool,
    /// Whether an operation ended.
    pub ended: bool,
    /// How many failover sessions have not stopped.
    pub running: usize,
    /// Logon sessions that no operation of this turn needs any longer, one entry per operation.
    pub released: Vec<LogonId>,
    /// How many events were written.
    pub events: usize,
    /// The observation's number.
    pub number: i64,
    /// Whether the observation is complete.
    pub complete: bool,
    /// When the next observation is due at the latest: an end that is kept back is reported then.
    pub look_again: Option<Timestamp>,
    /// What the database refused to take, and why.
    pub skipped: Vec<(String, String)>,
    /// The sessions of this part of which nothing is due while EM shows them as it did.
    pub settled: Vec<SessionRecord>,
}

impl BatchOutcome {
    /// Adds what the next part did.
    pub fn add(&mut self, next: Self) {
        self.ended |= next.ended;
        self.events += next.events;
        self.released.extend(next.released);
        self.skipped.extend(next.skipped);
        self.look_again = self.look_again.into_iter().chain(next.look_again).min();
        // The later part saw what the earlier wrote.
        self.active = next.active;
        self.running = next.running;
        self.number = next.number;
        self.complete = next.complete;
    }
}
