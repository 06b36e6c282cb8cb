//! Failover plans and what can be done to them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::EmId;
use super::words::words;

words! {
    /// The two kinds of failover plan EM knows; they live under different paths and have different actions.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub enum PlanKind {
        /// A plan of a Veeam Cloud Connect tenant, `/cloud/cloudFailoverPlans`.
        Cloud = "cloud",
        /// A plan of one's own replicas, `/failoverPlans`.
        OnPremises = "onPremises",
    }
}

impl PlanKind {
    /// The collection's name in the gateway's paths.
    #[must_use]
    pub const fn collection(self) -> &'static str {
        match self {
            Self::Cloud => "cloud-failover-plans",
            Self::OnPremises => "failover-plans",
        }
    }

    /// The collection's path at EM, below `/api`.
    #[must_use]
    pub const fn em_collection(self) -> &'static str {
        match self {
            Self::Cloud => "cloud/cloudFailoverPlans",
            Self::OnPremises => "failoverPlans",
        }
    }

    /// What a plan of this kind can be asked to do.
    #[must_use]
    pub const fn actions(self) -> &'static [ActionKind] {
        match self {
            Self::Cloud => &[ActionKind::Test, ActionKind::Start, ActionKind::Undo],
            Self::OnPremises => &[ActionKind::Start, ActionKind::Undo],
        }
    }
}

words! {
    /// What a failover plan can be asked to do.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub enum ActionKind {
        /// Fail over into the test network and clean up again; cloud plans only.
        Test = "test",
        /// Fail over to the replicas.
        Start = "start",
        /// Switch back to the source machines and discard what the replicas did since.
        Undo = "undo",
    }
}

impl ActionKind {
    /// Whether EM records a failover session for it that its task links (undo links none; of
    /// on-premises plans EM records no such session at all).
    #[must_use]
    pub const fn has_session(self, plan: PlanKind) -> bool {
        matches!((plan, self), (PlanKind::Cloud, Self::Test | Self::Start))
    }
}

/// An action with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Action {
    /// See [`ActionKind::Test`].
    Test,
    /// See [`ActionKind::Start`]; `before` bounds the restore points, the latest are used when it is absent.
    Start { before: Option<Timestamp> },
    /// See [`ActionKind::Undo`].
    Undo,
}

impl Action {
    /// The action without its arguments.
    #[must_use]
    pub const fn kind(self) -> ActionKind {
        match self {
            Self::Test => ActionKind::Test,
            Self::Start { .. } => ActionKind::Start,
            Self::Undo => ActionKind::Undo,
        }
    }
}

/// An EM object that is mentioned by another: a tenant, a backup server, a replica point.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// Its id.
    pub id: EmId,
    /// Its name where EM sends it.
    pub name: Option<String>,
}

impl Reference {
    /// Whether `text` is its id or its exact name.
    #[must_use]
    pub fn is_called(&self, text: &str) -> bool {
        text.parse::<EmId>().is_ok_and(|id| id == self.id) || self.name.as_deref() == Some(text)
    }
}

/// The plan of an operation or a session, as it was last read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRef {
    /// The plan's id.
    pub id: EmId,
    /// Its kind.
    pub kind: PlanKind,
    /// Its name when it was last read.
    pub name: String,
    /// The tenant it belongs to; cloud plans only.
    pub tenant: Option<Reference>,
    /// The backup server that runs it.
    pub backup_server: Option<Reference>,
}

impl PlanRef {
    /// Whose plan it is; on-premises plans are nobody's.
    #[must_use]
    pub fn owner(&self) -> Option<&Reference> {
        self.tenant.as_ref().filter(|_| self.kind == PlanKind::Cloud)
    }
}

/// A failover plan as EM describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The plan's id.
    pub id: EmId,
    /// EM's URN for it.
    pub uid: Option<String>,
    /// Its kind.
    pub kind: PlanKind,
    /// Its name.
    pub name: String,
    /// The plan's description.
    pub description: Option<String>,
    /// The tenant it belongs to; cloud plans only.
    pub tenant: Option<Reference>,
    /// The backup server that runs it.
    pub backup_server: Option<Reference>,
    /// The machines it fails over, in EM's order.
    pub machines: Vec<PlanMachine>,
    /// The script before the failover; cloud plans only.
    pub pre_command: Option<PlanCommand>,
    /// The script after the failover; cloud plans only.
    pub post_command: Option<PlanCommand>,
}

impl Plan {
    /// What an operation remembers of the plan.
    #[must_use]
    pub fn reference(&self) -> PlanRef {
        PlanRef {
            id: self.id.clone(),
            kind: self.kind,
            name: self.name.clone(),
            tenant: self.tenant.clone(),
            backup_server: self.backup_server.clone(),
        }
    }
}

/// A machine within a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanMachine {
    /// EM's id of the machine within the plan.
    pub id: Option<EmId>,
    /// The machine's name.
    pub name: String,
    /// Its position in the start order.
    pub order: Option<i64>,
}

/// A state of a machine that a failover can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestorePoint {
    /// EM's id of it.
    pub id: EmId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A script that runs before or after the failover.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanCommand {
    /// Whether it runs.
    pub enabled: bool,
    /// What runs.
    pub command: Option<String>,
}

/// What a caller may change on a plan (docs/behaviour.md#plans).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum PlanEdit {
    /// Cloud plans: their scripts.
    Cloud {
        /// The script before the failover.
        pre_command: PlanCommand,
        /// The script after the failover.
        post_command: PlanCommand,
    },
    /// On-premises plans: their description.
    OnPremises {
        /// The new description.
        description: String,
    },
}
