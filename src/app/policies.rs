//! What a request for a plan is checked for before it is recorded, its policies among it (docs/behaviour.md#policies).
//!
//! A request and its dry run take the same checks: the one stops at the first that fails, the other gathers all.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::intent::Intent;
use super::{App, Error, OpContext};
use crate::api_types;
use crate::clock::later;
use crate::domain::approval::Approval;
use crate::domain::evidence::objectives::Objectives;
use crate::domain::links::Links;
use crate::domain::plan::Plan;
use crate::domain::policy::{PlanAction, Policies, Question, Verdict};

/// What failed so far.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// Whether all of it is wanted.
    gathering: bool,
    /// What was gathered.
    pub failed: Vec<Error>,
}

impl Checks {
    /// For a request: the first failure ends it.
    pub fn first() -> Self {
        Self::default()
    }

    /// For a dry run: failures that refuse the request are gathered.
    pub fn all() -> Self {
        Self {
            gathering: true,
            failed: Vec::new(),
        }
    }

    /// Takes note of one check.
    ///
    /// # Errors
    /// The failure, unless it was gathered.
    pub fn note<T>(&mut self, outcome: Result<T, Error>) -> Result<Option<T>, Error> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error) if self.gathering && refuses(&error) => {
                self.failed.push(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether the error says that the request would be refused; others say that this cannot be known.
fn refuses(error: &Error) -> bool {
    match error {
        Error::Invalid(_)
        | Error::PlanBusy(_)
        | Error::KeyReused
        | Error::NotReady
        | Error::NeedsScope(_)
        | Error::PreconditionFailed
        | Error::PolicyDenied(_) => true,
        Error::NotFound { .. }
        | Error::TooManyEndpoints { .. }
        | Error::TooManyJobs(_)
        | Error::NoSuchMethod(_)
        | Error::OperationFinished(_)
        | Error::OperationRunning(_)
        | Error::SessionRunning(_)
        | Error::NotAwaitingApproval { .. }
        | Error::SelfApproval(_)
        | Error::PlanChanged(_)
        | Error::NotCancellable { .. }
        | Error::Refused { .. }
        | Error::Upstream(_)
        | Error::Store(_)
        | Error::Internal(_) => false,
    }
}

/// A request for a plan that was checked, as far as that needs no transaction.
#[derive(Debug)]
pub(super) struct Examined {
    /// What is to be done with the plan.
    pub action: PlanAction,
    /// The plan as EM has it.
    pub plan: Plan,
    /// What the policies say.
    pub verdict: Verdict,
    /// What is to be recorded; none when a check failed without which it cannot be made.
    pub intent: Option<Intent>,
}

impl Examined {
    /// What is to be recorded.
    ///
    /// # Errors
    /// [`Error::Internal`]: a failed check was passed over.
    pub fn into_intent(self) -> Result<Intent, Error> {
        self.intent.ok_or(Error::Internal(
            "a request was recorded although a check had failed",
        ))
    }
}

impl App {
    /// Refuses while it is not known which plans are busy.
    pub(super) async fn expect_ready(&self) -> Result<(), Error> {
        if self.store.observation().await? == 0 {
            return Err(Error::NotReady);
        }
        Ok(())
    }

    /// Takes a request for `plan` through its policies. `intent` is what it is to become, if that is known.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`], [`Error::Invalid`] for a reason that is missing.
    pub(super) fn examine(
        &self,
        context: &OpContext,
        action: PlanAction,
        plan: Plan,
        intent: Option<Intent>,
        reason: Option<&str>,
        checks: &mut Checks,
    ) -> Result<Examined, Error> {
        let reference = plan.reference();
        let verdict = self.policies.decide(&Question {
            action,
            plan: &reference,
            caller: &context.accountable(),
            reason,
            now: self.clock.now(),
        });
        for denial in &verdict.denials {
            checks.note::<()>(Err(Error::PolicyDenied(denial.clone())))?;
        }
        if verdict.reason_missing {
            let detail = "is missing: a policy requires a reason of 1 to 500 characters";
            checks.note::<()>(Err(Error::invalid("/reason", detail)))?;
        }
        let approval = match verdict.approvals {
            Some(rule) => Some(Approval {
                required: rule.required,
                given: Vec::new(),
                expires_at: later(self.store.trusted_now(), rule.expires),
                plan_digest: plan_digest(&plan)?,
                confinement: context.tenancy().confinement(),
            }),
            None => None,
        };
        let intent = intent.map(|intent| Intent {
            reason: reason.map(ToOwned::to_owned),
            approval,
            ..intent
        });
        Ok(Examined {
            action,
            plan,
            verdict,
            intent,
        })
    }

    /// The policies.
    pub(super) fn policies(&self) -> &Policies {
        &self.policies
    }
}

/// What a plan is, as a text that differs when the plan does.
pub(super) fn plan_digest(plan: &Plan) -> Result<String, Error> {
    let shown = api_types::plans::Plan::new(&Links::default(), plan, &Objectives::default(), None);
    let unrepresentable = |_| Error::Internal("a plan could not be represented");
    let mut shown = serde_json::to_value(&shown).map_err(unrepresentable)?;
    // Whoever sets objectives or a schedule while a request waits does not change what was approved.
    if let Some(members) = shown.as_object_mut() {
        members.shift_remove("objectives");
        members.shift_remove("schedule");
    }
    let bytes = serde_json::to_vec(&shown).map_err(unrepresentable)?;
    Ok(STANDARD.encode(digest(&SHA256, &bytes)))
}
