//! Jobs: what an endpoint did not get is sent again, batch by batch.

use jiff::Timestamp;

use crate::domain::id::{EndpointId, JobId};
use crate::domain::words::words;

/// How many deliveries one step of a job makes due.
pub const BATCH: i64 = 100;
/// How many jobs may be under way over all endpoints; of one endpoint it is one.
pub const OPEN_LIMIT: usize = 50;

words! {
    /// What a job sends again.
    pub enum JobKind {
        /// What was given up.
        Recover = "recover",
        /// What the event log holds and the endpoint never got.
        Replay = "replay",
    }
}

words! {
    /// How far a job is.
    pub enum JobState {
        /// It has not begun.
        Pending = "pending",
        /// Some of it is done.
        Running = "running",
        /// All of it is on its way.
        Finished = "finished",
    }
}

/// A job of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// What it sends again.
    pub kind: JobKind,
    /// How far it is.
    pub state: JobState,
    /// From when.
    pub since: Timestamp,
    /// How many deliveries it makes due in all, as far as that is known.
    pub total: i64,
    /// How many it has made due.
    pub done: i64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
}
