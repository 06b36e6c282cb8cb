//! What an operation sends to EM, as a value: it is stored before it is sent, so that it can be shown, approved, and
//! sent as it was approved.
//!
//! The curated actions keep their meaning and become EM's XML when they are sent; a write through the mirror is EM's
//! own request already.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::OperationId;
use super::operation::{HistoryStep, Operation, OperationKind, OperationState};
use super::plan::{Action, PlanEdit, PlanRef};
use super::policy::PlanAction;

/// One request that changes EM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "camelCase")]
pub enum Command {
    /// Runs an action on a failover plan.
    Act {
        /// The plan.
        plan: PlanRef,
        /// What it is to do.
        action: Action,
    },
    /// Changes a plan.
    EditPlan {
        /// The plan.
        plan: PlanRef,
        /// What it is to be.
        edit: PlanEdit,
    },
    /// Deletes a cloud plan; EM cannot delete on-premises plans.
    DeletePlan {
        /// The plan.
        plan: PlanRef,
    },
    /// Any other write, by EM's own path.
    Mirror(MirrorWrite),
}

/// A write through the mirror, as EM gets it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MirrorWrite {
    /// The method.
    pub method: WriteMethod,
    /// The path with a slash before it, without the query, for the record.
    pub path: String,
    /// Path and query below `/api/`.
    pub target: String,
    /// EM's word for what is done, for the record.
    pub action: String,
    /// XML, or empty where EM takes no body. It may hold passwords.
    pub body: String,
    /// What EM's page promises as the answer.
    pub reply: ExpectedReply,
}

/// The methods that change EM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WriteMethod {
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

/// What EM's page promises as the answer to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExpectedReply {
    /// Nothing that has to be followed; a task that comes all the same is followed.
    Nothing,
    /// A task.
    Task,
    /// The task of an action on a failover plan.
    FailoverTask,
}

impl Command {
    /// The kind of operation that sends it.
    #[must_use]
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::Act { .. } => OperationKind::Failover,
            Self::EditPlan { .. } => OperationKind::Update,
            Self::DeletePlan { .. } => OperationKind::Delete,
            Self::Mirror(_) => OperationKind::Em,
        }
    }

    /// The operation's `action`: `test`, `start`, `undo`, `update`, `delete`, or EM's own word.
    #[must_use]
    pub fn action(&self) -> &str {
        match self {
            Self::Act { action, .. } => action.kind().as_str(),
            Self::EditPlan { .. } | Self::DeletePlan { .. } => self.kind().as_str(),
            Self::Mirror(write) => &write.action,
        }
    }

    /// What it does with a plan; none for a write through the mirror.
    #[must_use]
    pub const fn plan_action(&self) -> Option<PlanAction> {
        match self {
            Self::Act { action, .. } => Some(PlanAction::of(action.kind())),
            Self::EditPlan { .. } => Some(PlanAction::Update),
            Self::DeletePlan { .. } => Some(PlanAction::Delete),
            Self::Mirror(_) => None,
        }
    }

    /// The plan it acts on; none for a write through the mirror.
    #[must_use]
    pub const fn plan(&self) -> Option<&PlanRef> {
        match self {
            Self::Act { plan, .. } | Self::EditPlan { plan, .. } | Self::DeletePlan { plan } => Some(plan),
            Self::Mirror(_) => None,
        }
    }

    /// The path that a write through the mirror acts on.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Act { .. } | Self::EditPlan { .. } | Self::DeletePlan { .. } => None,
            Self::Mirror(write) => Some(&write.path),
        }
    }

    /// The operation that sends it, requested at `now` and not sent yet. Who requested it and its deadlines are the
    /// caller's to set: until then no reply is awaited.
    #[must_use]
    pub fn operation(&self, id: OperationId, now: Timestamp) -> Operation {
        let state = OperationState::Submitting;
        Operation {
            id,
            kind: self.kind(),
            action: self.action().to_owned(),
            plan: self.plan().cloned(),
            target: self.target().map(ToOwned::to_owned),
            state,
            result: None,
            result_source: None,
            progress: 0,
            task: None,
            session: None,
            failure: None,
            requested_by: None,
            requester_issuer: None,
            on_behalf_of: None,
            traceparent: None,
            reason: None,
            approval: None,
            unsent: false,
            requested_at: now,
            finished_at: None,
            cancel_requested_at: None,
            callback_url: None,
            metadata: BTreeMap::new(),
            seen_observation: 1,
            answer_due: now,
            evidence_deadline: now,
            history: vec![HistoryStep {
                state,
                at: now,
                reason: None,
            }],
        }
    }
}

/// Without bodies and scripts, which may hold passwords.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("kind", &self.kind())
            .field("action", &self.action())
            .field("plan", &self.plan().map(|plan| &plan.id))
            .field("target", &self.target())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_text_of_a_write_has_no_body() {
        let write = Command::Mirror(MirrorWrite {
            method: WriteMethod::Post,
            path: "/credentials".into(),
            target: "credentials".into(),
            action: "post".into(),
            body: "<Spec><Password>hunter2</Password></Spec>".into(),
            reply: ExpectedReply::Task,
        });
        let text = format!("{write:?}");
        assert!(
            text.contains("/credentials") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
