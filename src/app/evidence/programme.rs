//! The programme of recovery tests: all plans that EM knows at this moment, each with its last test.

use std::time::Duration;

use jiff::Timestamp;

use super::make::past_test;
use crate::api_types::reports::programme::{ProgrammePlan, RecoveryProgramme};
use crate::app::{App, Error, OpContext};
use crate::domain::evidence::entry::{Entry, FindingState, StandingFinding, findings};
use crate::domain::id::EmId;
use crate::domain::plan::{ActionKind, Plan, PlanKind};
use crate::upstream::PageRequest;

/// What is counted where the caller does not say: the last year.
const YEAR: Duration = Duration::from_hours(365 * 24);

const DAY_SECONDS: i64 = 24 * 3600;

const FROM_AFTER_TO: &str = "must not be after `to`, which is now where it is absent";

const UNKNOWN_TENANT: &str = "no tenant that you see has this id or exact name";

/// What the caller wants to see.
#[derive(Debug, Clone, Default)]
pub struct ProgrammeQuery {
    /// Tests from this moment on; a year back when absent.
    pub from: Option<Timestamp>,
    /// Tests before this moment; now when absent.
    pub to: Option<Timestamp>,
    /// Only plans of this tenant, by id or exact name.
    pub tenant: Option<String>,
    /// Only plans of this kind.
    pub kind: Option<PlanKind>,
}

/// Whether a plan should have been tested since; none when nothing is wanted of it.
pub(super) fn is_overdue(now: Timestamp, last: Option<Timestamp>, every_days: Option<u32>) -> Option<bool> {
    let days = last.map(|last| now.duration_since(last).as_secs() / DAY_SECONDS);
    every_days.map(|every| days.is_none_or(|days| days >= i64::from(every)))
}

fn open_findings(entries: &[Entry]) -> usize {
    let open = |finding: &StandingFinding| finding.state == FindingState::Open;
    findings(entries).iter().filter(|finding| open(finding)).count()
}

impl App {
    /// The programme of recovery tests, of the plans that the caller sees.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a tenant that nobody knows and for an end before the beginning, [`Error::Upstream`], [`Error::Store`].
    pub async fn programme(
        &self,
        context: &OpContext,
        query: &ProgrammeQuery,
    ) -> Result<RecoveryProgramme, Error> {
        let now = self.clock.now();
        let to = query.to.unwrap_or(now);
        let from = query
            .from
            .unwrap_or_else(|| to.checked_sub(YEAR).unwrap_or(Timestamp::MIN));
        if from > to {
            return Err(Error::invalid("from", FROM_AFTER_TO));
        }
        let mut plans = self.every_plan(context, query.kind).await?;
        if let Some(tenant) = &query.tenant {
            plans.retain(|plan| plan.tenant.as_ref().is_some_and(|own| own.is_called(tenant)));
            // An empty programme would be taken for that of a tenant without plans.
            if plans.is_empty() && !self.knows_tenant(context, tenant).await? {
                return Err(Error::invalid("tenant", UNKNOWN_TENANT));
            }
        }
        plans.sort_by(|one, other| (&one.name, one.id.key()).cmp(&(&other.name, other.id.key())));
        let ids: Vec<EmId> = plans.iter().map(|plan| plan.id.clone()).collect();
        let objectives = self.objectives_in_force(&ids).await?;
        let mut tests = self.store.tests_of_plans(from, to).await?;
        let due = self.store.due_times().await?;
        let recorded = self.store.findings_of_plans().await?;
        let items: Vec<ProgrammePlan> = plans
            .iter()
            .zip(objectives)
            .map(|(plan, objectives)| {
                let found = tests.remove(&plan.id.key()).unwrap_or_default();
                let last = found.last.as_ref().map(|last| last.started_at);
                let days = last.map(|last| now.duration_since(last).as_secs() / DAY_SECONDS);
                let of_gateway = found.last.as_ref().map_or(0, |last| last.findings);
                let can_be_tested = plan.kind.actions().contains(&ActionKind::Test);
                ProgrammePlan {
                    plan: (&plan.reference()).into(),
                    tests: found.count,
                    started_elsewhere: found.elsewhere,
                    last_test: found.last.as_ref().map(past_test),
                    days_since: days,
                    test_every_days: objectives.test_every_days,
                    overdue: is_overdue(now, last, objectives.test_every_days),
                    next_test_at: due.get(&plan.id.key()).map(|at| (*at).into()),
                    can_be_tested,
                    open_findings: recorded
                        .get(&plan.id.key())
                        .map_or(0, |entries| open_findings(entries))
                        .saturating_add(usize::try_from(of_gateway).unwrap_or_default()),
                    rto_seconds: objectives.rto_seconds,
                    rpo_seconds: objectives.rpo_seconds,
                    owner: objectives.owner,
                }
            })
            .collect();
        let confinement = match (&query.tenant, &context.caller.tenancy) {
            (Some(tenant), _) => Some(vec![tenant.clone()]),
            (None, crate::domain::access::Tenancy::Only(tenants)) => Some(tenants.iter().cloned().collect()),
            (None, crate::domain::access::Tenancy::All) => None,
        };
        Ok(RecoveryProgramme {
            generated_at: now.into(),
            from: from.into(),
            to: to.into(),
            tenants: confinement,
            population: items.len(),
            tested: items.iter().filter(|item| item.tests > 0).count(),
            overdue: items.iter().filter(|item| item.overdue == Some(true)).count(),
            items,
        })
    }

    /// Whether there is a tenant of that id or name. A confined caller learns of its own alone, by the texts of its token.
    async fn knows_tenant(&self, context: &OpContext, text: &str) -> Result<bool, Error> {
        if context.tenancy().is_confined() {
            return Ok(context.tenancy().includes(text));
        }
        Ok(self
            .em
            .tenants()
            .await?
            .iter()
            .any(|tenant| tenant.is_called(text)))
    }

    /// Every plan that the caller sees, of that kind or of both.
    pub(in crate::app) async fn every_plan(
        &self,
        context: &OpContext,
        kind: Option<PlanKind>,
    ) -> Result<Vec<Plan>, Error> {
        let is_wanted = |one: PlanKind| kind.is_none_or(|kind| kind == one);
        let mut plans = Vec::new();
        if !context.tenancy().is_confined() {
            for one in [PlanKind::Cloud, PlanKind::OnPremises] {
                if is_wanted(one) {
                    plans.extend(self.em.all_plans(one).await?);
                }
            }
            return Ok(plans);
        }
        // On-premises plans belong to nobody's tenant.
        if !is_wanted(PlanKind::Cloud) {
            return Ok(plans);
        }
        // A confined caller's plans are known whole, and are one page of any size.
        let all = PageRequest {
            page: 1,
            page_size: u32::MAX,
            sort: None,
        };
        Ok(self
            .plans(context, PlanKind::Cloud, &all)
            .await?
            .page()
            .into_owned()
            .items)
    }
}
