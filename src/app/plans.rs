//! Failover plans: read, run, edited, deleted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::dry_run::DryRun;
use super::evidence::PlanSettings;
use super::idempotency::IdempotentRequest;
use super::plan_edit::edit_of;
use super::policies::{Checks, Examined};
use super::submit::{Callback, Intent, Submitted};
use super::{App, Error, OpContext};
use crate::domain::access::Tenancy;
use crate::domain::command::Command;
use crate::domain::evidence::asked::{Purpose, PurposeKind};
use crate::domain::id::EmId;
use crate::domain::plan::{Action, ActionKind, Plan, PlanEdit, PlanKind};
use crate::domain::policy::PlanAction;
use crate::upstream::mirror::Source;
use crate::upstream::{self, EmClient, Page, PageRequest};

/// What a caller asks of a plan, beside the action.
#[derive(Debug, Clone, Default)]
pub struct ActionRequest {
    /// The bound of the restore points; start only.
    pub before: Option<Timestamp>,
    /// Whether the body had a `restorePoint` at all.
    pub restore_point_given: bool,
    /// The one-off webhook, already checked.
    pub callback: Option<Callback>,
    /// The caller's own notes, already checked.
    pub metadata: BTreeMap<String, String>,
    /// The key under which the same request is the same operation.
    pub idempotency: Option<IdempotentRequest>,
    /// Why the caller wants it, already checked.
    pub reason: Option<String>,
    /// The purpose, for the report; test and start only.
    pub purpose: Option<Purpose>,
}

/// Whether a plan with what is set about it is what the caller read.
pub type UnchangedPlan = Box<dyn FnOnce(&Plan, &PlanSettings) -> bool + Send>;

/// A test that called itself a real failover would say so in a signed report.
///
/// # Errors
/// [`Error::Invalid`].
pub(super) fn purpose_of_test(purpose: &Purpose) -> Result<(), Error> {
    if purpose.kind == Some(PurposeKind::RealFailover) {
        let detail = "a test is no real failover; it may be `test` or `exercise`";
        return Err(Error::invalid("/purpose/kind", detail));
    }
    Ok(())
}

/// What comes with a change of a plan, beside the change.
#[derive(Default)]
pub struct EditRequest {
    /// Checks the plan, where the caller named its entity tag.
    pub unchanged: Option<UnchangedPlan>,
    /// The key under which the same request is the same operation.
    pub idempotency: Option<IdempotentRequest>,
    /// Why the caller wants it, already checked.
    pub reason: Option<String>,
}

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

    /// Runs an action on a plan, or records it for approval: one POST at most, whatever fails.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::PlanBusy`], [`Error::NotReady`], [`Error::PolicyDenied`],
    /// [`Error::Refused`], [`Error::Upstream`], [`Error::Store`].
    pub async fn act(
        &self,
        context: &OpContext,
        kind: PlanKind,
        id: &EmId,
        action: ActionKind,
        request: ActionRequest,
    ) -> Result<Submitted, Error> {
        if let Some(earlier) = self.replay(context, request.idempotency.as_ref()).await? {
            return Ok(earlier);
        }
        let mut checks = Checks::first();
        let examined = self
            .examine_action(context, kind, id, action, request, &mut checks)
            .await?;
        self.submit(context, examined.into_intent()?).await
    }

    /// What [`App::act`] would do with the same request.
    ///
    /// # Errors
    /// Those of [`App::act`] that are not about the request itself.
    pub async fn try_act(
        &self,
        context: &OpContext,
        kind: PlanKind,
        id: &EmId,
        action: ActionKind,
        request: ActionRequest,
    ) -> Result<DryRun, Error> {
        let mut checks = Checks::all();
        let key = self.expect_own_key(context, request.idempotency.as_ref()).await;
        checks.note(key)?;
        let before = request.before;
        let examined = self
            .examine_action(context, kind, id, action, request, &mut checks)
            .await?;
        self.dry_run(context, examined, before, checks).await
    }

    async fn examine_action(
        &self,
        context: &OpContext,
        kind: PlanKind,
        id: &EmId,
        action: ActionKind,
        request: ActionRequest,
        checks: &mut Checks,
    ) -> Result<Examined, Error> {
        let checked = checks.note(self.checked(action, &request))?;
        checks.note(self.expect_ready().await)?;
        let plan = (*self.plan(context, kind, id).await?).clone();
        let asked = self.asked(context, &plan, action, &request).await?;
        let command = checked.map(|action| Command::Act {
            plan: plan.reference(),
            action,
        });
        let intent = command.map(|command| Intent {
            callback: request.callback,
            metadata: request.metadata,
            asked,
            ..Intent::plain(command, request.idempotency)
        });
        let reason = request.reason.as_deref();
        self.examine(context, PlanAction::of(action), plan, intent, reason, checks)
    }

    fn checked(&self, action: ActionKind, request: &ActionRequest) -> Result<Action, Error> {
        if action != ActionKind::Start && request.restore_point_given {
            return Err(Error::invalid(
                "/restorePoint",
                "only start takes a restore point; test and undo use their own",
            ));
        }
        if action == ActionKind::Undo && request.purpose.is_some() {
            return Err(Error::invalid("/purpose", "only test and start take a purpose"));
        }
        if action == ActionKind::Test
            && let Some(purpose) = &request.purpose
        {
            purpose_of_test(purpose)?;
        }
        let incident = request.purpose.as_ref().and_then(|purpose| purpose.incident_at);
        if incident.is_some_and(|incident| incident > self.clock.now()) {
            return Err(Error::invalid("/purpose/incidentAt", "must not be in the future"));
        }
        if request.before.is_some_and(|before| before > self.clock.now()) {
            return Err(Error::invalid(
                "/restorePoint/before",
                "must not be in the future",
            ));
        }
        Ok(match action {
            ActionKind::Test => Action::Test,
            ActionKind::Start => Action::Start {
                before: request.before,
            },
            ActionKind::Undo => Action::Undo,
        })
    }

    /// Changes what may be changed on a plan. `body` is the plan as it was read, with the changes in it.
    ///
    /// # Errors
    /// [`Error::Invalid`] with a pointer for every field that may not change, [`Error::PreconditionFailed`],
    /// and those of [`App::act`].
    pub async fn edit_plan(
        &self,
        context: &OpContext,
        kind: PlanKind,
        id: &EmId,
        body: &Value,
        request: EditRequest,
    ) -> Result<Submitted, Error> {
        if let Some(earlier) = self.replay(context, request.idempotency.as_ref()).await? {
            return Ok(earlier);
        }
        let mut checks = Checks::first();
        let examined = self
            .examine_edit(context, kind, id, body, request, &mut checks)
            .await?;
        self.submit(context, examined.into_intent()?).await
    }

    /// What [`App::edit_plan`] would do with the same request.
    ///
    /// # Errors
    /// Those of [`App::edit_plan`] that are not about the request itself.
    pub async fn try_edit_plan(
        &self,
        context: &OpContext,
        kind: PlanKind,
        id: &EmId,
        body: &Value,
        request: EditRequest,
    ) -> Result<DryRun, Error> {
        let mut checks = Checks::all();
        let key = self.expect_own_key(context, request.idempotency.as_ref()).await;
        checks.note(key)?;
        let examined = self
            .examine_edit(context, kind, id, body, request, &mut checks)
            .await?;
        self.dry_run(context, examined, None, checks).await
    }

    async fn examine_edit(
        &self,
        context: &OpContext,
        kind: PlanKind,
        id: &EmId,
        body: &Value,
        request: EditRequest,
        checks: &mut Checks,
    ) -> Result<Examined, Error> {
        let (plan, _) = self.plan_fresh(context, kind, id).await?;
        let settings = self.read_settings().await?;
        checks.note(expect_unchanged(&plan, &settings, request.unchanged))?;
        let edit = checks.note(edit_of(self.em.links(), &plan, &settings, body))?;
        self.examine_change(context, plan, edit, request.reason, request.idempotency, checks)
            .await
    }

    /// Takes the change of a plan, as far as it could be read, through its policies.
    pub(super) async fn examine_change(
        &self,
        context: &OpContext,
        plan: Plan,
        edit: Option<PlanEdit>,
        reason: Option<String>,
        idempotency: Option<IdempotentRequest>,
        checks: &mut Checks,
    ) -> Result<Examined, Error> {
        checks.note(self.expect_ready().await)?;
        let command = edit.map(|edit| Command::EditPlan {
            plan: plan.reference(),
            edit,
        });
        let intent = command.map(|command| Intent::plain(command, idempotency));
        let update = PlanAction::Update;
        self.examine(context, update, plan, intent, reason.as_deref(), checks)
    }

    /// Deletes a cloud plan; EM cannot delete on-premises plans.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`], and those of [`App::act`].
    pub async fn delete_cloud_plan(
        &self,
        context: &OpContext,
        id: &EmId,
        request: EditRequest,
    ) -> Result<Submitted, Error> {
        if let Some(earlier) = self.replay(context, request.idempotency.as_ref()).await? {
            return Ok(earlier);
        }
        let mut checks = Checks::first();
        let examined = self.examine_deletion(context, id, request, &mut checks).await?;
        self.submit(context, examined.into_intent()?).await
    }

    /// What [`App::delete_cloud_plan`] would do with the same request.
    ///
    /// # Errors
    /// Those of [`App::delete_cloud_plan`] that are not about the request itself.
    pub async fn try_delete_cloud_plan(
        &self,
        context: &OpContext,
        id: &EmId,
        request: EditRequest,
    ) -> Result<DryRun, Error> {
        let mut checks = Checks::all();
        let key = self.expect_own_key(context, request.idempotency.as_ref()).await;
        checks.note(key)?;
        let examined = self.examine_deletion(context, id, request, &mut checks).await?;
        self.dry_run(context, examined, None, checks).await
    }

    async fn examine_deletion(
        &self,
        context: &OpContext,
        id: &EmId,
        request: EditRequest,
        checks: &mut Checks,
    ) -> Result<Examined, Error> {
        let (plan, _) = self.plan_fresh(context, PlanKind::Cloud, id).await?;
        let settings = self.read_settings().await?;
        checks.note(expect_unchanged(&plan, &settings, request.unchanged))?;
        checks.note(self.expect_ready().await)?;
        let command = Command::DeletePlan {
            plan: plan.reference(),
        };
        let intent = Some(Intent::plain(command, request.idempotency));
        let reason = request.reason.as_deref();
        self.examine(context, PlanAction::Delete, plan, intent, reason, checks)
    }
}

fn expect_unchanged(
    plan: &Plan,
    settings: &PlanSettings,
    unchanged: Option<UnchangedPlan>,
) -> Result<(), Error> {
    match unchanged {
        Some(unchanged) => unchanged(plan, settings)
            .then_some(())
            .ok_or(Error::PreconditionFailed),
        None => Ok(()),
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
