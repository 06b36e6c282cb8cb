//! Approvals: what an operation that a policy holds back waits for, and how that ends (docs/behaviour.md#approvals).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::access::Tenancy;
use super::words::words;

words! {
    /// How the wait for approval ended.
    pub enum DecisionOutcome {
        /// The last approval was given; the request was submitted.
        Approved = "approved",
        /// A caller rejected it.
        Rejected = "rejected",
        /// The time for approvals is over.
        Expired = "expired",
        /// A caller cancelled it.
        Cancelled = "cancelled",
        /// The plan was changed or removed since the request.
        PlanChanged = "planChanged",
    }
}

/// What an operation waits for, or waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// How many approvals are needed.
    pub required: usize,
    /// Those that were given, oldest first.
    pub given: Vec<GivenApproval>,
    /// Until when they may be given, by the store's trusted time.
    pub expires_at: Timestamp,
    /// What the plan was when the request was made, as a digest.
    pub plan_digest: String,
    /// The tenants that the requester is confined to; none when to none. The plan is read and the request sent as for them.
    #[serde(default)]
    pub confinement: Option<BTreeSet<String>>,
}

/// One approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GivenApproval {
    /// The approver, as the token names it.
    pub by: Option<String>,
    /// The issuer of the approver's token.
    pub issuer: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What the approver said.
    pub comment: Option<String>,
}

/// How the wait ended, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// How.
    pub outcome: DecisionOutcome,
    /// By whom; none when no caller decided.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What they said.
    pub comment: Option<String>,
}

impl Approval {
    /// Whose things the requester sees.
    #[must_use]
    pub fn requester_tenancy(&self) -> Tenancy {
        self.confinement.clone().map_or(Tenancy::All, Tenancy::Only)
    }

    /// Whether one more approval is the last that is needed.
    #[must_use]
    pub const fn lacks_one(&self) -> bool {
        self.given.len() + 1 >= self.required
    }

    /// Whether it may no longer be given. `trusted_now` is the store's trusted time.
    #[must_use]
    pub fn is_expired(&self, trusted_now: Timestamp) -> bool {
        trusted_now >= self.expires_at
    }
}
