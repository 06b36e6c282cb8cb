//! What the configuration says about requests and reports: policies, as `domain` decides by them, and default objectives.

pub use crate::domain::access::Scope;
pub use crate::domain::evidence::objectives::Objectives;
pub use crate::domain::plan::PlanKind;
pub use crate::domain::policy::window::{WeekTime, Window};
pub use crate::domain::policy::{Admitted, Matching, PlanAction, Policies, Policy};
pub use crate::reports::html::Template as ReportTemplate;

/// The section `[reports]`, already checked.
#[derive(Debug, Clone, Default)]
pub struct Reports {
    /// What makes the pages of reports, in the place of the built-in template.
    pub template: Option<ReportTemplate>,
    /// What is wanted of a plan that has no objectives of its own.
    pub objectives: Objectives,
}
