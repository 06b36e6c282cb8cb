//! Recovery evidence (docs/behaviour.md#evidence): objectives of plans, what is kept of failovers, and their reports.
//!
//! | file | holds |
//! |---|---|
//! | `objectives` | what is wanted of plans |
//! | `asked` | what is kept with a request, in its transaction |
//! | `gather` | what has to be read at EM before it is removed there |
//! | `make` | a report of what was kept, signed, with its event, in one transaction |
//! | `entries` | what people and programs record |
//! | `recorder` | the worker that does both for every failover |
//! | `read` | reports as callers read them |
//! | `programme` | all plans with their last tests |

mod asked;
mod entries;
mod gather;
mod make;
mod objectives;
mod programme;
mod read;
mod recorder;

pub use crate::store::evidence::ReportKey as Key;
pub use programme::ProgrammeQuery;
pub use read::{ReportFile, programme_table};
pub use recorder::Recorder;
