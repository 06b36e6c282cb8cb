//! Which plan a session runs, where no operation says it. Pure.

use crate::domain::plan::{Plan, PlanRef};
use crate::domain::session::{SessionFacts, SessionRecord};

/// The plan of a session that no operation asked for: the one its job names, else the only one of its name on its
/// backup server.
pub(super) fn resolve(facts: &SessionFacts, plans: &[Plan]) -> Option<PlanRef> {
    if let Some(job) = &facts.job
        && let Some(plan) = plans.iter().find(|plan| plan.id == *job)
    {
        return Some(plan.reference());
    }
    let mut namesakes = plans
        .iter()
        .filter(|plan| plan.name == facts.plan_name)
        .map(Plan::reference)
        .filter(|plan| facts.may_run(plan));
    namesakes.next().filter(|_| namesakes.next().is_none())
}

/// Whether the session's name is all that is known of its plan, and several plans have it.
pub(super) fn is_ambiguous(record: &SessionRecord, plans: &[Plan]) -> bool {
    let facts = &record.facts;
    let namesakes = plans.iter().filter(|plan| plan.name == facts.plan_name);
    record.plan.is_none()
        && facts.backup_server.is_none()
        && namesakes.count() > 1
        && !plans.iter().any(|plan| facts.job.as_ref() == Some(&plan.id))
}
