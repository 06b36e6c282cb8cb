//! What callers record about a failover, as JSON. Unknown members are refused.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::Moment;
use super::super::objectives::Words;
use super::{ReportCheck, ReportEvidence, ReportFinding, ReportNote, ReportReview};
use crate::domain::evidence::entry::{
    CheckResult, Content, Entry, FindingState, ReviewDecision, StandingFinding, Weight,
};

/// A check of an application or a machine.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "name": "orders can be entered", "machine": "filesrv03", "result": "pass", "at": "2026-02-13T08:05:00Z",
    "detail": "entered order 4711", "evidence": {"url": "https://wiki.example/dr/4711.png"},
}))]
pub struct CheckInput {
    /// What was checked: 1 to 500 characters.
    pub name: Words,
    /// On which machine.
    pub machine: Option<Words>,
    /// `pass` or `fail`.
    #[schema(value_type = CheckWord)]
    pub result: CheckResult,
    /// When, by the caller's clock; now when absent.
    #[serde(default, deserialize_with = "super::super::moment::given_or_none")]
    pub at: Option<Timestamp>,
    /// What was seen.
    pub detail: Option<Words>,
    /// Where the evidence is.
    pub evidence: Option<EvidenceInput>,
}

/// How a check went.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub enum CheckWord {
    /// It is as it should be.
    Pass,
    /// It is not.
    Fail,
}

/// Where evidence lies.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceInput {
    /// Its address: `https` or `http`.
    pub url: Option<WebAddress>,
    /// Its SHA-256, 64 hex digits.
    pub sha256: Option<Hash>,
}

/// An address that a reader may follow. Others, such as `javascript:`, would be run or opened by the reader's own programs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    min_length = 1,
    max_length = 500,
    pattern = "^[Hh][Tt][Tt][Pp][Ss]?://[0-9A-Za-z][^\\u0000]*$"
)]
pub struct WebAddress(String);

impl TryFrom<String> for WebAddress {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let words = Words::try_from(text)?.into_inner();
        let host = words.split_once("://").and_then(|(scheme, rest)| {
            let is_web = ["https", "http"]
                .iter()
                .any(|web| scheme.eq_ignore_ascii_case(web));
            rest.chars().next().filter(|_| is_web)
        });
        host.is_some_and(|first| first.is_ascii_alphanumeric())
            .then_some(Self(words))
            .ok_or("must be an address that begins with https:// or http://")
    }
}

/// A SHA-256 in hex.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(pattern = "^[0-9A-Fa-f]{64}$")]
pub struct Hash(String);

impl TryFrom<String> for Hash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let fits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then_some(Self(text)).ok_or("must be 64 hex digits")
    }
}

impl CheckInput {
    /// The check; `now` where the caller does not say when.
    #[must_use]
    pub fn content(self, now: Timestamp) -> Content {
        let (url, hash) = self
            .evidence
            .map_or((None, None), |evidence| (evidence.url, evidence.sha256));
        Content::Check {
            name: self.name.into_inner(),
            machine: self.machine.map(Words::into_inner),
            result: self.result,
            at: self.at.unwrap_or(now),
            detail: self.detail.map(Words::into_inner),
            evidence_url: url.map(|url| url.0),
            evidence_sha256: hash.map(|hash| hash.0),
        }
    }
}

/// A note.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"text": "The storage team was called at 09:10."}))]
pub struct NoteInput {
    /// What it says: 1 to 500 characters.
    pub text: Words,
}

/// A finding.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"title": "The address pool is too small", "severity": "error", "owner": "bob", "due": "2026-03-01"}))]
pub struct FindingInput {
    /// What it is: 1 to 500 characters.
    pub title: Words,
    /// `info`, `warning` or `error`.
    #[schema(value_type = SeverityWord)]
    pub severity: Weight,
    /// Who answers for it.
    pub owner: Option<Words>,
    /// Until when it is to be closed: a day, such as `2026-03-01`.
    pub due: Option<Day>,
}

/// How bad a finding is.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub enum SeverityWord {
    /// To know.
    Info,
    /// To look into.
    Warning,
    /// A failure.
    Error,
}

/// A day.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = Date, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
pub struct Day(Date);

impl TryFrom<String> for Day {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let day = (text.len() == 10).then(|| text.parse().ok()).flatten();
        day.map(Self).ok_or("must be a day, such as 2026-03-01")
    }
}

impl FindingInput {
    /// The finding under this id.
    #[must_use]
    pub fn content(self, id: String) -> Content {
        Content::Finding {
            id,
            title: self.title.into_inner(),
            severity: self.severity,
            owner: self.owner.map(Words::into_inner),
            due: self.due.map(|day| day.0),
        }
    }
}

/// What becomes of a finding; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"state": "closed"}))]
pub struct FindingPatch {
    /// `open` or `closed`.
    #[schema(value_type = Option<FindingWord>)]
    pub state: Option<FindingState>,
    /// Who answers for it from now on.
    pub owner: Option<Words>,
    /// Until when it is to be closed from now on.
    pub due: Option<Day>,
}

/// Whether something is still to be done about a finding.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub enum FindingWord {
    /// It is.
    Open,
    /// It is not.
    Closed,
}

impl FindingPatch {
    /// What is recorded of the finding with this id.
    #[must_use]
    pub fn content(self, id: String) -> Content {
        Content::FindingChange {
            id,
            state: self.state,
            owner: self.owner.map(Words::into_inner),
            due: self.due.map(|day| day.0),
        }
    }
}

/// A review of a report.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"decision": "accepted", "comment": "complete"}))]
pub struct ReviewInput {
    /// `accepted` or `rejected`.
    #[schema(value_type = ReviewWord)]
    pub decision: ReviewDecision,
    /// Why: 1 to 500 characters.
    pub comment: Option<Words>,
}

/// What a reviewer says.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub enum ReviewWord {
    /// The report is accepted.
    Accepted,
    /// It is not.
    Rejected,
}

impl ReviewInput {
    /// The review.
    #[must_use]
    pub fn content(self) -> Content {
        Content::Review {
            decision: self.decision,
            comment: self.comment.map(Words::into_inner),
        }
    }
}

/// A review with the revision of the report that has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "revision": 2,
    "review": {"decision": "accepted", "by": "auditor", "at": "2026-02-13T10:00:00Z", "comment": "complete"},
}))]
pub struct ReviewedReport {
    /// The revision.
    pub revision: i64,
    /// The review.
    pub review: ReportReview,
}

/// A check as it is in reports; none of another entry.
#[must_use]
pub fn check(entry: &Entry) -> Option<ReportCheck> {
    let Content::Check {
        name,
        machine,
        result,
        at,
        detail,
        evidence_url,
        evidence_sha256,
    } = &entry.content
    else {
        return None;
    };
    let has_evidence = evidence_url.is_some() || evidence_sha256.is_some();
    Some(ReportCheck {
        name: name.clone(),
        machine: machine.clone(),
        result: result.as_str(),
        at: Moment(*at),
        detail: detail.clone(),
        evidence: has_evidence.then(|| ReportEvidence {
            url: evidence_url.clone(),
            sha256: evidence_sha256.clone(),
        }),
        by: entry.by.clone(),
        recorded_at: entry.at.into(),
    })
}

/// A note as it is in reports; none of another entry.
#[must_use]
pub fn note(entry: &Entry) -> Option<ReportNote> {
    let Content::Note { text } = &entry.content else {
        return None;
    };
    Some(ReportNote {
        text: text.clone(),
        by: entry.by.clone(),
        at: entry.at.into(),
    })
}

/// A review as it is in reports; none of another entry.
#[must_use]
pub fn review(entry: &Entry) -> Option<ReportReview> {
    let Content::Review { decision, comment } = &entry.content else {
        return None;
    };
    Some(ReportReview {
        decision: decision.as_str(),
        by: entry.by.clone(),
        at: entry.at.into(),
        comment: comment.clone(),
    })
}

impl From<&StandingFinding> for ReportFinding {
    fn from(finding: &StandingFinding) -> Self {
        Self {
            id: Some(finding.id.clone()),
            source: "person",
            code: None,
            severity: finding.severity.as_str(),
            machine: None,
            title: finding.title.clone(),
            detail: None,
            owner: finding.owner.clone(),
            due: finding.due.map(|due| due.to_string()),
            state: Some(finding.state.as_str()),
            by: finding.by.clone(),
            at: Some(finding.at.into()),
            closed_by: finding.closed.as_ref().and_then(|closing| closing.by.clone()),
            closed_at: finding.closed.as_ref().map(|closing| closing.at.into()),
        }
    }
}
