//! Policies: what is allowed with a plan, to whom, when, and how many others have to approve (docs/behaviour.md#policies).
//!
//! Pure: a decision follows from what is asked, who asks and the time. Every policy that matches applies, and together they
//! are as strict as the strictest: each must admit the caller, have an open window, and the most approvals count.

pub mod window;

use std::time::Duration;

use jiff::Timestamp;

use super::access::{Caller, Scope};
use super::glob::fits_any_case;
use super::plan::{ActionKind, PlanKind, PlanRef};
use super::words::words;
use window::{Opening, Window, next_opening};

words! {
    /// What can be done with a plan, as policies name it.
    pub enum PlanAction {
        /// A test failover.
        Test = "test",
        /// A failover.
        Start = "start",
        /// The undoing of a failover.
        Undo = "undo",
        /// A change of the plan.
        Update = "update",
        /// The removal of the plan.
        Delete = "delete",
    }
}

impl PlanAction {
    /// An action on a plan as policies name it.
    #[must_use]
    pub const fn of(action: ActionKind) -> Self {
        match action {
            ActionKind::Test => Self::Test,
            ActionKind::Start => Self::Start,
            ActionKind::Undo => Self::Undo,
        }
    }

    /// Whether it runs the plan, which only one such action may do at a time.
    #[must_use]
    pub const fn runs_plan(self) -> bool {
        match self {
            Self::Test | Self::Start | Self::Undo => true,
            Self::Update | Self::Delete => false,
        }
    }

    /// Whether plans of this kind have it.
    const fn is_of(self, kind: PlanKind) -> bool {
        match (kind, self) {
            (PlanKind::Cloud, _) | (PlanKind::OnPremises, Self::Start | Self::Undo | Self::Update) => true,
            (PlanKind::OnPremises, Self::Test | Self::Delete) => false,
        }
    }
}

/// What a policy is about; an empty list is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    /// Patterns of the plan's name or id; `*` is any run of characters, letter case does not count.
    pub plans: Vec<String>,
    /// Patterns of the name or id of the plan's tenant. A plan without a tenant fits `*` alone.
    pub tenants: Vec<String>,
    /// The kinds of plan.
    pub kinds: Vec<PlanKind>,
    /// What is done with it.
    pub actions: Vec<PlanAction>,
}

/// Whom a policy admits, beside what the action's scope says; an empty list is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admitted {
    /// Callers by their subject.
    pub subjects: Vec<String>,
    /// Scopes of which the caller needs one.
    pub scopes: Vec<Scope>,
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name, unique.
    pub name: String,
    /// What it is about.
    pub matching: Matching,
    /// Whom it admits.
    pub callers: Admitted,
    /// When it allows what it is about, in any of them; always when there are none.
    pub windows: Vec<Window>,
    /// How many others have to approve.
    pub approvals: usize,
    /// How long they have.
    pub approval_expires: Duration,
    /// Whether a reason has to be given.
    pub reason_required: bool,
}

/// What is to be decided.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What is to be done.
    pub action: PlanAction,
    /// With this plan.
    pub plan: &'a PlanRef,
    /// By this caller.
    pub caller: &'a Caller,
    /// With this reason.
    pub reason: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// How many others have to approve, and how long they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalRule {
    /// How many; at least one.
    pub required: usize,
    /// How long.
    pub expires: Duration,
}

/// Why something is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// A policy does not admit the caller.
    Caller {
        /// Its name.
        policy: String,
    },
    /// No window is open.
    Window {
        /// The policies with windows that match.
        policies: Vec<String>,
        /// When all of them have an open window next; none if they never have.
        next: Option<Opening>,
    },
}

/// What all policies together say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The policies that apply, in the order of the configuration.
    pub policies: Vec<String>,
    /// Why it is not allowed; nothing when it is.
    pub denials: Vec<Denial>,
    /// Whether a reason is needed that was not given.
    pub reason_missing: bool,
    /// Who has to approve first; none when nobody has to.
    pub approvals: Option<ApprovalRule>,
}

/// All policies, in the order of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies(pub Vec<Policy>);

impl Policies {
    /// What the policies say to a request.
    #[must_use]
    pub fn decide(&self, question: &Question<'_>) -> Verdict {
        let applying = self.applying(question.action, question.plan);
        let refusing = applying
            .iter()
            .filter(|policy| !policy.callers.admit(question.caller));
        let mut denials: Vec<Denial> = refusing
            .map(|policy| Denial::Caller {
                policy: policy.name.clone(),
            })
            .collect();
        denials.extend(closed(&applying, question.now));
        let approving = applying.iter().filter(|policy| policy.approvals > 0);
        let approvals = approving
            .map(|policy| ApprovalRule {
                required: policy.approvals,
                expires: policy.approval_expires,
            })
            .reduce(|one, other| ApprovalRule {
                required: one.required.max(other.required),
                expires: one.expires.min(other.expires),
            });
        Verdict {
            policies: applying.iter().map(|policy| policy.name.clone()).collect(),
            denials,
            reason_missing: question.reason.is_none() && applying.iter().any(|policy| policy.reason_required),
            approvals,
        }
    }

    /// Why the windows do not allow it now.
    #[must_use]
    pub fn closed(&self, action: PlanAction, plan: &PlanRef, now: Timestamp) -> Option<Denial> {
        closed(&self.applying(action, plan), now)
    }

    fn applying(&self, action: PlanAction, plan: &PlanRef) -> Vec<&Policy> {
        let Self(policies) = self;
        let applies = |policy: &&Policy| policy.matching.fits(action, plan);
        policies.iter().filter(applies).collect()
    }
}

fn closed(applying: &[&Policy], now: Timestamp) -> Option<Denial> {
    let timed = applying.iter().filter(|policy| !policy.windows.is_empty());
    let (policies, sets): (Vec<String>, Vec<&[Window]>) = timed
        .map(|policy| (policy.name.clone(), policy.windows.as_slice()))
        .unzip();
    if sets.is_empty() {
        return None;
    }
    let next = next_opening(&sets, now);
    let open = next.is_some_and(|opening| opening.from <= now);
    (!open).then_some(Denial::Window { policies, next })
}

impl Matching {
    fn fits(&self, action: PlanAction, plan: &PlanRef) -> bool {
        let tenant_fits = |pattern: &String| match &plan.tenant {
            None => fits_any_case(pattern, ""),
            // A name that EM did not send may be any: the policy applies, since a gap in EM's answer must open nothing.
            Some(tenant) => {
                tenant
                    .name
                    .as_deref()
                    .is_none_or(|name| fits_any_case(pattern, name))
                    || fits_any_case(pattern, tenant.id.as_str())
            }
        };
        let plan_fits =
            |pattern: &String| fits_any_case(pattern, &plan.name) || fits_any_case(pattern, plan.id.as_str());
        all_or_any(&self.plans, plan_fits)
            && all_or_any(&self.tenants, tenant_fits)
            && all_or_any(&self.kinds, |kind| *kind == plan.kind)
            && all_or_any(&self.actions, |one| *one == action)
    }

    /// Why it never fits anything, if that is so.
    #[must_use]
    pub fn never_fits(&self) -> Option<&'static str> {
        let kinds = if self.kinds.is_empty() {
            PlanKind::ALL
        } else {
            &self.kinds
        };
        let actions = if self.actions.is_empty() {
            PlanAction::ALL
        } else {
            &self.actions
        };
        let some = |kind: &PlanKind| actions.iter().any(|action| action.is_of(*kind));
        if !kinds.iter().any(some) {
            return Some("plans of this kind have none of its actions");
        }
        let without_tenant = all_or_any(&self.tenants, |pattern| fits_any_case(pattern, ""));
        let cloud = kinds.iter().any(|kind| *kind == PlanKind::Cloud && some(kind));
        (!cloud && !without_tenant).then_some("on-premises plans have no tenant")
    }
}

impl Admitted {
    fn admit(&self, caller: &Caller) -> bool {
        let named = |subject: &String| caller.name.as_deref() == Some(subject.as_str());
        all_or_any(&self.subjects, named) && all_or_any(&self.scopes, |scope| caller.may(*scope))
    }
}

/// Whether one of `values` fits, or there are none.
fn all_or_any<T>(values: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    values.is_empty() || values.iter().any(fits)
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
