//! What the configuration says about requests: policies, as `domain` decides by them.

pub use crate::domain::access::Scope;
pub use crate::domain::plan::PlanKind;
pub use crate::domain::policy::window::{WeekTime, Window};
pub use crate::domain::policy::{Admitted, Matching, PlanAction, Policies, Policy};
