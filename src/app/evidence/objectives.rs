//! Objectives of plans: those that were set, and the configuration's where one lacks some.

use crate::app::audit::Told;
use crate::app::{App, Error, OpContext};
use crate::domain::audit::{AuditAction, AuditTenant};
use crate::domain::evidence::objectives::Objectives;
use crate::domain::id::EmId;
use crate::domain::links::API;
use crate::domain::plan::PlanKind;

/// Whether objectives are still what a caller read.
pub type Unchanged<'a> = &'a (dyn Fn(&Objectives) -> bool + Send + Sync);

impl App {
    /// The objectives in force of a plan.
    ///
    /// # Errors
    /// Those of [`App::plan`], [`Error::Store`].
    pub async fn objectives(
        &self,
        context: &OpContext,
        kind: PlanKind,
        id: &EmId,
    ) -> Result<Objectives, Error> {
        let plan = self.plan(context, kind, id).await?;
        let found = self.objectives_in_force(std::slice::from_ref(&plan.id)).await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Sets the objectives of a plan, whole; those in force from now on. `unchanged` says whether those in force are still what the
    /// caller read.
    ///
    /// # Errors
    /// Those of [`App::plan`], [`Error::PreconditionFailed`], [`Error::Store`].
    pub async fn set_objectives(
        &self,
        context: &OpContext,
        kind: PlanKind,
        id: &EmId,
        objectives: &Objectives,
        unchanged: Option<Unchanged<'_>>,
    ) -> Result<Objectives, Error> {
        let plan = self.plan(context, kind, id).await?;
        let mut tx = self.store.begin().await?;
        if let Some(is_same) = unchanged {
            let before = tx.locked_objectives(&plan.id).await?;
            if !is_same(&before.or(&self.objectives)) {
                return Err(Error::PreconditionFailed);
            }
        }
        tx.set_objectives(&plan.id, objectives).await?;
        let number = |value: Option<u32>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
        let told = Told {
            target: Some(format!("{API}/{}/{}/objectives", kind.collection(), plan.id)),
            tenant: AuditTenant::of_plan(Some(&plan.reference())),
            ..Told::default()
        };
        let told = told
            .with("planName", plan.name.as_str())
            .with("rtoSeconds", number(objectives.rto_seconds).as_str())
            .with("rpoSeconds", number(objectives.rpo_seconds).as_str())
            .with("testEveryDays", number(objectives.test_every_days).as_str())
            .with(
                "machines",
                crate::domain::audit::Detail::Names(
                    objectives.per_machine.keys().take(100).cloned().collect(),
                ),
            );
        tx.audit(context, AuditAction::ObjectivesSet, told);
        tx.commit().await?;
        // Who sets them reads them at once.
        self.read_settings().await?;
        Ok(objectives.or(&self.objectives))
    }
}
