//! What callers may send with an action on a plan (docs/behaviour.md#actions). Unknown members are refused.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::objectives::Words;
use crate::domain::evidence::asked;

/// Options of the start of a failover.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "restorePoint": {"before": "2026-01-31T12:00:00Z"},
    "callback": {"url": "https://portal.example/hooks/failover"},
    "metadata": {"ticket": "DR-1042"},
}))]
pub struct StartOptions {
    /// Which restore points are used; the latest when absent.
    pub restore_point: Option<RestorePoint>,
    /// A one-off webhook that reports the operation's end.
    pub callback: Option<CallbackRequest>,
    /// The caller's own notes, returned with the operation: at most 50 strings, 16 KiB in total.
    pub metadata: Option<Metadata>,
    /// Why, for approvers and the record: 1 to 500 characters. Some policies require it.
    pub reason: Option<Reason>,
    /// What it is for, for the recovery report.
    pub purpose: Option<Purpose>,
}

/// Options of an action other than `start`, which chooses its restore points itself.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "callback": {"url": "https://portal.example/hooks/failover"},
    "metadata": {"ticket": "DR-1042"},
}))]
pub struct ActionOptions {
    /// A one-off webhook that reports the operation's end.
    pub callback: Option<CallbackRequest>,
    /// The caller's own notes, returned with the operation: at most 50 strings, 16 KiB in total.
    pub metadata: Option<Metadata>,
    /// Why, for approvers and the record: 1 to 500 characters. Some policies require it.
    pub reason: Option<Reason>,
    /// What it is for, for the recovery report; an undo has none.
    pub purpose: Option<Purpose>,
}

impl From<ActionOptions> for StartOptions {
    fn from(options: ActionOptions) -> Self {
        Self {
            restore_point: None,
            callback: options.callback,
            metadata: options.metadata,
            reason: options.reason,
            purpose: options.purpose,
        }
    }
}

/// What a test or failover is for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "reason": "yearly test", "ticket": "DR-1042", "scenario": "loss of the site", "kind": "test",
    "participants": ["ann", "the storage team"],
}))]
pub struct Purpose {
    /// The reason: 1 to 500 characters.
    pub reason: Option<Words>,
    /// The ticket or change that it belongs to: 1 to 500 characters.
    pub ticket: Option<Words>,
    /// The scenario that is tested: 1 to 500 characters.
    pub scenario: Option<Words>,
    /// `test`, `exercise` or `realFailover`; by the action when absent.
    pub kind: Option<PurposeKind>,
    /// When the incident began, by the caller's clock; recovery time and data loss of a real failover count from it. Not in
    /// the future.
    #[serde(default, deserialize_with = "super::moment::given_or_none")]
    pub incident_at: Option<Timestamp>,
    /// Who takes part: at most 50 names of 1 to 500 characters, 16 KiB in total.
    pub participants: Option<Participants>,
}

/// What a test or failover is for, in one word.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PurposeKind {
    /// Systems are recovered to see whether that works.
    Test,
    /// People, processes and systems practise together.
    Exercise,
    /// Something happened.
    RealFailover,
}

/// Names of those who take part.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(try_from = "Vec<Words>")]
#[schema(value_type = Vec<Words>, max_items = 50)]
pub struct Participants(Vec<String>);

impl TryFrom<Vec<Words>> for Participants {
    type Error = &'static str;

    fn try_from(names: Vec<Words>) -> Result<Self, &'static str> {
        let names: Vec<String> = names.into_iter().map(Words::into_inner).collect();
        if names.len() > 50 {
            Err("has more than 50 entries")
        } else if names.iter().map(String::len).sum::<usize>() > 16 * 1024 {
            Err("is larger than 16 KiB")
        } else {
            Ok(Self(names))
        }
    }
}

impl From<Purpose> for asked::Purpose {
    fn from(purpose: Purpose) -> Self {
        Self {
            reason: purpose.reason.map(Words::into_inner),
            ticket: purpose.ticket.map(Words::into_inner),
            scenario: purpose.scenario.map(Words::into_inner),
            kind: purpose.kind.map(|kind| match kind {
                PurposeKind::Test => asked::PurposeKind::Test,
                PurposeKind::Exercise => asked::PurposeKind::Exercise,
                PurposeKind::RealFailover => asked::PurposeKind::RealFailover,
            }),
            incident_at: purpose.incident_at,
            participants: purpose.participants.unwrap_or_default().0,
        }
    }
}

/// Which restore points are used.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestorePoint {
    /// The latest restore points before this timestamp are used; it must not be in the future.
    #[serde(deserialize_with = "super::moment::given")]
    pub before: Timestamp,
}

/// A one-off webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallbackRequest {
    /// The receiver's URL.
    #[schema(format = "uri")]
    pub url: String,
    /// The signing secret, `whsec_` and base64. When absent, the gateway generates one and returns it once.
    #[schema(value_type = Option<String>)]
    pub secret: Option<SecretString>,
}

/// Options of the removal of a plan.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"reason": "replaced by the plan of the new site"}))]
pub struct DeletionOptions {
    /// Why, for approvers and the record: 1 to 500 characters. Some policies require it.
    pub reason: Option<Reason>,
}

/// What an approver says.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"comment": "agreed in the change board"}))]
pub struct DecisionOptions {
    /// For the requester and the record: 1 to 500 characters.
    pub comment: Option<Reason>,
}

/// A text for people, 1 to 500 characters, not blank.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(min_length = 1, max_length = 500)]
pub struct Reason(String);

impl Reason {
    /// The text.
    #[must_use]
    pub fn into_inner(self) -> String {
        self.0
    }
}

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.trim().is_empty() || text.chars().count() > 500 {
            Err("must be 1 to 500 characters, not all of them blank")
        } else {
            Ok(Self(text))
        }
    }
}

/// The caller's own notes.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// The notes by name, at most 50 and 16 KiB together.
    #[must_use]
    pub fn into_inner(self) -> BTreeMap<String, String> {
        self.0
    }
}

impl TryFrom<BTreeMap<String, String>> for Metadata {
    type Error = &'static str;

    fn try_from(notes: BTreeMap<String, String>) -> Result<Self, &'static str> {
        let bytes: usize = notes.iter().map(|(name, note)| name.len() + note.len()).sum();
        if notes.len() > 50 {
            Err("has more than 50 entries")
        } else if bytes > 16 * 1024 {
            Err("is larger than 16 KiB")
        } else {
            Ok(Self(notes))
        }
    }
}
