//! What people and programs record about a failover: checks, notes, findings, reviews. Entries are added and never changed; the
//! state of a finding is what was recorded of it last.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::id::FindingId;
use crate::domain::words::words;

words! {
    /// How a check went.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub enum CheckResult {
        /// It is as it should be.
        Pass = "pass",
        /// It is not.
        Fail = "fail",
    }
}

words! {
    /// Whether something is still to be done about a finding.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub enum FindingState {
        /// It is.
        Open = "open",
        /// It is not.
        Closed = "closed",
    }
}

words! {
    /// What a reviewer says.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub enum ReviewDecision {
        /// The report is accepted.
        Accepted = "accepted",
        /// It is not.
        Rejected = "rejected",
    }
}

words! {
    /// How bad a finding is, as a person says.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub enum Weight {
        /// To know.
        Info = "info",
        /// To look into.
        Warning = "warning",
        /// A failure.
        Error = "error",
    }
}

/// What is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Content {
    /// A check of an application or a machine.
    Check {
        /// What was checked.
        name: String,
        /// On which machine.
        machine: Option<String>,
        /// How it went.
        result: CheckResult,
        /// When, by the caller's clock.
        at: Timestamp,
        /// What was seen.
        detail: Option<String>,
        /// Where the evidence is.
        evidence_url: Option<String>,
        /// Its SHA-256, in hex.
        evidence_sha256: Option<String>,
    },
    /// A note.
    Note {
        /// What it says.
        text: String,
    },
    /// A finding.
    Finding {
        /// Its id.
        id: String,
        /// What it is.
        title: String,
        /// How bad it is.
        severity: Weight,
        /// Who answers for it.
        owner: Option<String>,
        /// Until when it is to be closed.
        due: Option<Date>,
    },
    /// What became of a finding.
    FindingChange {
        /// Its id.
        id: String,
        /// Whether something is still to be done.
        state: Option<FindingState>,
        /// Who answers for it from now on.
        owner: Option<String>,
        /// Until when it is to be closed from now on.
        due: Option<Date>,
    },
    /// A review.
    Review {
        /// What the reviewer says.
        decision: ReviewDecision,
        /// Why.
        comment: Option<String>,
    },
}

/// An entry with who recorded it, and when by the gateway's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was recorded.
    pub content: Content,
    /// By whom.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A finding as it stands after all that was recorded of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingFinding {
    /// Its id.
    pub id: String,
    /// What it is.
    pub title: String,
    /// How bad it is.
    pub severity: Weight,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Until when it is to be closed.
    pub due: Option<Date>,
    /// Whether something is still to be done.
    pub state: FindingState,
    /// Who recorded it.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Who closed it, and when; none while it is open.
    pub closed: Option<Closing>,
}

/// That a finding was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// By whom.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A check of which the last record says that it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCheck {
    /// What was checked.
    pub name: String,
    /// On which machine.
    pub machine: Option<String>,
    /// What was seen.
    pub detail: Option<String>,
}

/// The checks that stand failed: a later record of the same name and machine replaces an earlier one.
#[must_use]
pub fn failed_checks(entries: &[Entry]) -> Vec<FailedCheck> {
    let mut failed: Vec<FailedCheck> = Vec::new();
    for entry in entries {
        let Content::Check {
            name,
            machine,
            result,
            detail,
            ..
        } = &entry.content
        else {
            continue;
        };
        failed.retain(|check| (&check.name, &check.machine) != (name, machine));
        if *result == CheckResult::Fail {
            failed.push(FailedCheck {
                name: name.clone(),
                machine: machine.clone(),
                detail: detail.clone(),
            });
        }
    }
    failed
}

/// The findings of these entries, oldest first, as they stand.
#[must_use]
pub fn findings(entries: &[Entry]) -> Vec<StandingFinding> {
    let mut found: Vec<StandingFinding> = Vec::new();
    for entry in entries {
        match &entry.content {
            Content::Finding {
                id,
                title,
                severity,
                owner,
                due,
            } => found.push(StandingFinding {
                id: id.clone(),
                title: title.clone(),
                severity: *severity,
                owner: owner.clone(),
                due: *due,
                state: FindingState::Open,
                by: entry.by.clone(),
                at: entry.at,
                closed: None,
            }),
            Content::FindingChange {
                id,
                state,
                owner,
                due,
            } => {
                if let Some(finding) = found.iter_mut().find(|finding| finding.id == *id) {
                    match state {
                        Some(FindingState::Closed) if finding.closed.is_none() => {
                            finding.closed = Some(Closing {
                                by: entry.by.clone(),
                                at: entry.at,
                            });
                        }
                        Some(FindingState::Open) => finding.closed = None,
                        Some(FindingState::Closed) | None => {}
                    }
                    finding.state = state.unwrap_or(finding.state);
                    finding.owner = owner.clone().or_else(|| finding.owner.take());
                    finding.due = due.or(finding.due);
                }
            }
            Content::Check { .. } | Content::Note { .. } | Content::Review { .. } => {}
        }
    }
    found
}

/// The finding of that id as it stands.
#[must_use]
pub fn finding(entries: &[Entry], id: FindingId) -> Option<StandingFinding> {
    let id = id.to_string();
    findings(entries).into_iter().find(|finding| finding.id == id)
}

/// When the last check passed, by the caller's clock.
#[must_use]
pub fn last_passed(entries: &[Entry]) -> Option<Timestamp> {
    let passed = entries.iter().filter_map(|entry| match &entry.content {
        Content::Check {
            result: CheckResult::Pass,
            at,
            ..
        } => Some(*at),
        _ => None,
    });
    passed.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_stands_as_what_was_recorded_of_it_last() {
        let entry = |content| Entry {
            content,
            by: Some("ann".to_owned()),
            at: Timestamp::UNIX_EPOCH,
        };
        let change = |state, owner: Option<&str>| {
            entry(Content::FindingChange {
                id: "fnd_1".to_owned(),
                state,
                owner: owner.map(ToOwned::to_owned),
                due: None,
            })
        };
        let entries = [
            entry(Content::Finding {
                id: "fnd_1".to_owned(),
                title: "no address".to_owned(),
                severity: Weight::Error,
                owner: Some("bob".to_owned()),
                due: Date::new(2026, 3, 1).ok(),
            }),
            change(Some(FindingState::Closed), None),
            change(None, Some("eve")),
        ];
        let found = findings(&entries);
        let [finding] = found.as_slice() else {
            panic!("one finding: {found:?}")
        };
        assert_eq!(
            (finding.state, finding.owner.as_deref()),
            (FindingState::Closed, Some("eve"))
        );
        assert_eq!(finding.due, Date::new(2026, 3, 1).ok());
        let by = |finding: &StandingFinding| finding.closed.as_ref().and_then(|closing| closing.by.clone());
        assert_eq!(by(finding).as_deref(), Some("ann"));
        let mut again = entries.to_vec();
        again.push(change(Some(FindingState::Open), None));
        assert_eq!(findings(&again).first().and_then(by), None);
    }

    #[test]
    fn a_check_stands_as_it_was_recorded_last() {
        let check = |name: &str, machine: Option<&str>, result| Entry {
            content: Content::Check {
                name: name.to_owned(),
                machine: machine.map(ToOwned::to_owned),
                result,
                at: Timestamp::UNIX_EPOCH,
                detail: None,
                evidence_url: None,
                evidence_sha256: None,
            },
            by: None,
            at: Timestamp::UNIX_EPOCH,
        };
        let entries = [
            check("orders", None, CheckResult::Fail),
            check("mail", Some("a"), CheckResult::Fail),
            check("mail", Some("b"), CheckResult::Pass),
            check("orders", None, CheckResult::Pass),
        ];
        let failed = failed_checks(&entries);
        let names: Vec<_> = failed
            .iter()
            .map(|check| (check.name.as_str(), check.machine.as_deref()))
            .collect();
        assert_eq!(names, [("mail", Some("a"))]);
    }
}
