//! Failover plans as EM has them, read for a caller: one, or a page of those that the caller sees.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::{App, Error, OpContext};
use crate::domain::access::Tenancy;
use crate::domain::id::EmId;
use crate::domain::plan::{Plan, PlanKind};
use crate::upstream::mirror::Source;
use crate::upstream::{self, EmClient, Page, PageRequest};

impl App {
    /// A page of the plans of one kind, by EM's own numbering; for callers who are confined to tenants, a page of their
    /// plans alone.
    ///
    /// # Errors
    /// [`Error::Upstream`].
    pub async fn plans(
        &self,
        context: &OpContext,
        kind: PlanKind,
        page: &PageRequest,
    ) -> Result<PlanList, Error> {
        let tenancy = context.tenancy();
        let Some(tenants) = tenancy.confinement() else {
            let page = self.em.shared_plans(kind, page).await?;
            return Ok(PlanList::Whole(page));
        };
        let mut list = ConfinedPlans {
            shown: Vec::new(),
            named: Vec::new(),
            tenancy: tenancy.clone(),
            page: *page,
        };
        if kind == PlanKind::Cloud {
            let em = self.em.seen_by(tenancy);
            list.shown = Box::pin(em.plans_of_tenants(&tenants)).await?;
            let mut shown = list.shown.iter().flat_map(|page| &page.items);
            if em.is_of_tenant() && shown.any(|plan| plan.tenant.is_none()) {
                list.named = Box::pin(self.em.all_shared_plans(kind)).await?;
            }
        }
        Ok(PlanList::Confined(list))
    }

    /// A plan as EM describes it now.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Upstream`].
    pub async fn plan(&self, context: &OpContext, kind: PlanKind, id: &EmId) -> Result<Arc<Plan>, Error> {
        let em = self.em_for_plan(context, kind)?;
        let plan = em.shared_plan(kind, id).await;
        let plan = plan.map_err(|error| no_plan(context, error))?;
        if plan.tenant.is_some() || !em.is_of_tenant() {
            // As it is, it is the same for all who share EM's answer.
            let seen = context.tenancy().sees(plan.tenant.as_ref());
            return seen.then_some(plan).ok_or(NO_PLAN);
        }
        self.seen(context, &em, (*plan).clone()).await.map(Arc::new)
    }

    /// The account that shows a caller their plans of this kind.
    fn em_for_plan(&self, context: &OpContext, kind: PlanKind) -> Result<EmClient, Error> {
        if context.tenancy().is_confined() && kind == PlanKind::OnPremises {
            return Err(NO_PLAN);
        }
        Ok(self.em.seen_by(context.tenancy()))
    }

    /// The plan that `em` showed, if the caller sees it.
    async fn seen(&self, context: &OpContext, em: &EmClient, mut plan: Plan) -> Result<Plan, Error> {
        self.name_tenants(em, std::slice::from_mut(&mut plan)).await?;
        if context.tenancy().sees(plan.tenant.as_ref()) {
            Ok(plan)
        } else {
            Err(NO_PLAN)
        }
    }

    /// EM need not tell a tenant whose plans it shows: what it left out comes from the list that the first account sees.
    async fn name_tenants(&self, em: &EmClient, plans: &mut [Plan]) -> Result<(), Error> {
        if !em.is_of_tenant() || plans.iter().all(|plan| plan.tenant.is_some()) {
            return Ok(());
        }
        // Beside, since every read of a plan would be as large as this one.
        name_by(plans, &Box::pin(self.em.all_shared_plans(PlanKind::Cloud)).await?);
        Ok(())
    }

    /// A plan as EM has it now, and its document as the mirror shows it: for comparison with what a caller read, so the
    /// read cache, which may hold that very read, is not used.
    ///
    /// # Errors
    /// As [`App::plan`].
    pub(super) async fn plan_fresh(
        &self,
        context: &OpContext,
        kind: PlanKind,
        id: &EmId,
    ) -> Result<(Plan, Bytes), Error> {
        let em = self.em_for_plan(context, kind)?;
        let read = em.plan_fresh(kind, id).await;
        let (plan, document) = read.map_err(|error| no_plan(context, error))?;
        Ok((self.seen(context, &em, plan).await?, document))
    }
}

const NO_PLAN: Error = Error::NotFound {
    what: "the failover plan",
};

/// Why a plan cannot be read. To a tenant, EM refuses what belongs to others instead of calling it unknown.
fn no_plan(context: &OpContext, error: upstream::Error) -> Error {
    let refused = matches!(error.kind(), upstream::Kind::Refused { .. });
    if error.is_not_found() || (refused && context.tenancy().is_confined()) {
        NO_PLAN
    } else {
        Error::Upstream(error)
    }
}

/// A page of plans that was read and not made yet: whoever made it of the same answers before has it.
pub enum PlanList {
    /// As EM numbers it.
    Whole(Arc<Page<Plan>>),
    /// Of the plans of some tenants.
    Confined(ConfinedPlans),
}

/// What a page of the plans of some tenants is made of.
pub struct ConfinedPlans {
    shown: Vec<Arc<Page<Plan>>>,
    /// The plans with their tenants, where EM did not tell these.
    named: Vec<Arc<Page<Plan>>>,
    tenancy: Tenancy,
    page: PageRequest,
}

impl PlanList {
    /// EM's answers that it is made of, each the same as long as it is remembered.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        let pages = match self {
            Self::Whole(page) => std::slice::from_ref(page).iter().chain(&[]),
            Self::Confined(list) => list.shown.iter().chain(&list.named),
        };
        pages.map(|page| Source(page.clone())).collect()
    }

    /// The page.
    #[must_use]
    pub fn page(&self) -> Cow<'_, Page<Plan>> {
        match self {
            Self::Whole(page) => Cow::Borrowed(page),
            Self::Confined(list) => Cow::Owned(list.page()),
        }
    }
}

impl ConfinedPlans {
    fn page(&self) -> Page<Plan> {
        let shown = self.shown.iter().flat_map(|page| &page.items);
        let mut plans: Vec<Plan> = shown.cloned().collect();
        name_by(&mut plans, &self.named);
        plans.retain(|plan| self.tenancy.sees(plan.tenant.as_ref()));
        if self.page.sort.is_some_and(|sort| sort.descending) {
            plans.reverse();
        }
        numbered(plans, &self.page)
    }
}

/// Gives plans the tenants that others have of the same id.
fn name_by(plans: &mut [Plan], named: &[Arc<Page<Plan>>]) {
    for plan in plans.iter_mut().filter(|plan| plan.tenant.is_none()) {
        let mut known = named.iter().flat_map(|page| &page.items);
        let known = known.find(|known| known.id == plan.id);
        plan.tenant = known.and_then(|known| known.tenant.clone());
    }
}

/// A page of what is known whole.
fn numbered(plans: Vec<Plan>, page: &PageRequest) -> Page<Plan> {
    let size = page.page_size.max(1);
    let total = plans.len().div_ceil(size as usize).max(1);
    let before = (page.page.max(1) as usize - 1).saturating_mul(size as usize);
    Page {
        items: plans.into_iter().skip(before).take(size as usize).collect(),
        number: page.page.max(1),
        size,
        total: u32::try_from(total).unwrap_or(u32::MAX),
    }
}

pub(super) fn not_found(error: crate::upstream::Error, what: &'static str) -> Error {
    if error.is_not_found() {
        Error::NotFound { what }
    } else {
        Error::Upstream(error)
    }
}
