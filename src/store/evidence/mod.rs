//! Recovery evidence (docs/behaviour.md#evidence): objectives and schedules of plans, what is kept of each failover from its request on, the
//! restore points it used, and its reports in all their revisions.
//!
//! Reports are kept apart from operations and sessions, which are removed earlier. Invariant: a revision is written once and
//! never changed.

mod entries;
mod keys;
mod notices;
mod objectives;
mod past;
mod points;
mod reports;
mod running;
mod runs;
mod schedules;
mod settings;

pub use entries::MOST_ENTRIES;
pub use keys::ReportKey;
pub use notices::Notice;
pub use past::{LastFigures, PastRun};
pub use reports::{NewReport, SentNotice, StoredReport};
pub use runs::{RunRecord, RunState};
pub use schedules::ScheduleRecord;
pub use settings::Settings;

#[cfg(test)]
mod tests;
