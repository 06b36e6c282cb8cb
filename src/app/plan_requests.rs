//! Failover plans run, edited and deleted: what is asked, checked against the plan as EM has it and against policies, and handed to
//! `submit`, or told as a dry run. The request and its dry run are one examination.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::dry_run::DryRun;
use super::evidence::PlanSettings;
use super::idempotency::IdempotentRequest;
use super::intent::{Callback, Intent};
use super::plan_edit::edit_of;
use super::policies::{Checks, Examined};
use super::submit::Submitted;
use super::{App, Error, FieldError, OpContext};
use crate::domain::command::Command;
use crate::domain::evidence::asked::{Purpose, PurposeKind};
use crate::domain::id::EmId;
use crate::domain::plan::{Action, ActionKind, Plan, PlanEdit, PlanKind};
use crate::domain::policy::PlanAction;

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
pub(super) fn fault_of_tests_purpose(purpose: &Purpose) -> Option<FieldError> {
    let detail = "a test is no real failover; it may be `test` or `exercise`";
    (purpose.kind == Some(PurposeKind::RealFailover)).then(|| FieldError::new("/purpose/kind", detail))
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
        let now = self.clock.now();
        let mut faults = Vec::new();
        let mut refuse = |pointer: &str, detail: &str| faults.push(FieldError::new(pointer, detail));
        if action != ActionKind::Start && request.restore_point_given {
            refuse(
                "/restorePoint",
                "only start takes a restore point; test and undo use their own",
            );
        } else if request.before.is_some_and(|before| before > now) {
            refuse("/restorePoint/before", "must not be in the future");
        }
        if action == ActionKind::Undo && request.purpose.is_some() {
            refuse("/purpose", "only test and start take a purpose");
        } else if let Some(purpose) = &request.purpose {
            if purpose.incident_at.is_some_and(|incident| incident > now) {
                refuse("/purpose/incidentAt", "must not be in the future");
            }
            if action == ActionKind::Test {
                faults.extend(fault_of_tests_purpose(purpose));
            }
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
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
