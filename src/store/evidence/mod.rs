//! Recovery evidence (docs/behaviour.md#evidence): objectives of plans, what is kept of each failover from its request on, the
//! restore points it used, and its reports in all their revisions.
//!
//! Reports are kept apart from operations and sessions, which are removed earlier. Invariant: a revision is written once and
//! never changed.

mod entries;
mod keys;
mod objectives;
mod points;
mod reports;
mod runs;

pub use entries::MOST_ENTRIES;
pub use keys::ReportKey;
pub use reports::{NewReport, StoredReport};
pub use runs::{PastRun, RunRecord, RunState};

#[cfg(test)]
mod tests;
