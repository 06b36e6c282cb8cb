//! Recovery evidence (docs/behaviour.md#evidence): objectives of plans, what is kept of failovers, and their reports.
//!
//! | file | holds |
//! |---|---|
//! | `objectives`, `schedules` | what is wanted of plans, and when they are tested by themselves |
//! | `settings` | both in memory, and the worker that keeps it true |
//! | `asked` | what is kept with a request, in its transaction |
//! | `gather` | what has to be read at EM before it is removed there |
//! | `known` | what is known of a failover when its report is made |
//! | `make` | a report of what was kept, signed, with its event, in one transaction |
//! | `entries` | what people and programs record |
//! | `recorder` | the worker that does both for every failover |
//! | `scheduler` | the worker that runs scheduled tests and tells what is overdue |
//! | `read`, `hold` | reports as callers read them, and hold them beyond their age |
//! | `programme` | all plans with their last tests |
//! | `figures` | the worker that shows the same among the metrics |

mod asked;
mod entries;
mod figures;
mod gather;
mod hold;
mod known;
mod make;
mod objectives;
mod programme;
mod read;
mod recorder;
mod scheduler;
mod schedules;
mod settings;

pub use crate::store::evidence::ReportKey as Key;
pub use crate::store::evidence::ScheduleRecord;
pub use figures::PlanGauges;
pub use hold::UnchangedHold;
pub use objectives::Unchanged;
pub use programme::ProgrammeQuery;
pub use read::{ReportFile, programme_page, programme_table};
pub use recorder::Recorder;
pub use scheduler::Scheduler;
pub use schedules::UnchangedSchedule;
pub(in crate::app) use settings::KnownSettings;
pub use settings::{PlanSettings, SettingsKeeper};
