//! Writes through the mirror that a curated route does as well: actions on failover plans, and changes of them.

use crate::catalogue::{Method, Operation, Resource};
use crate::domain::access::Scope;
use crate::domain::plan::{ActionKind, PlanKind};

/// What a write does to a failover plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanVerb {
    /// The kind of plan.
    pub kind: PlanKind,
    /// What is done to it.
    pub what: PlanWrite,
}

/// The writes that failover plans have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanWrite {
    /// An action.
    Act(ActionKind),
    /// A change of the plan.
    Edit,
    /// The removal of the plan.
    Delete,
}

impl PlanVerb {
    /// What that operation does to a failover plan; none if it is not such a write.
    #[must_use]
    pub fn of(resource: &Resource, operation: &Operation) -> Option<Self> {
        let kind = match resource.path {
            "/cloud/cloudFailoverPlans/{ID}" => PlanKind::Cloud,
            "/failoverPlans/{ID}" => PlanKind::OnPremises,
            _ => return None,
        };
        let what = match operation.method {
            Method::Get => return None,
            Method::Post => PlanWrite::Act(ActionKind::parse(operation.action?)?),
            Method::Put => PlanWrite::Edit,
            Method::Delete => PlanWrite::Delete,
        };
        Some(Self { kind, what })
    }

    /// The scope that the curated route for the same thing needs.
    #[must_use]
    pub const fn scope(self) -> Scope {
        match self.what {
            PlanWrite::Act(ActionKind::Test) => Scope::PlansTest,
            PlanWrite::Act(ActionKind::Start) => Scope::PlansStart,
            PlanWrite::Act(ActionKind::Undo) => Scope::PlansUndo,
            PlanWrite::Edit | PlanWrite::Delete => Scope::PlansWrite,
        }
    }
}
