//! Recovery reports as JSON (docs/behaviour.md#reports): what one test or failover showed, in the order in which it is read.
//!
//! `figures` has the measured values, `sources` where all of it comes from; `build` makes a report of what was kept.

pub mod build;
pub mod entries;
pub mod figures;
pub mod programme;
pub mod sources;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Moment;
use super::objectives::{Objectives, Words};
use super::plans::{Command, NamedReference, PlanVirtualMachine};
use super::purpose::ReportPurpose;
use crate::domain::evidence::hold::Hold;
use figures::{Comparison, Measures, ReportMachine};
use sources::{Integrity, Provenance};

/// The name of this form of report.
pub const SCHEMA: &str = "emgate/recovery-report/1";

/// A report of one test or failover.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryReport {
    /// `emgate/recovery-report/1`.
    pub schema: &'static str,
    /// The document itself.
    pub report: ReportHead,
    /// The verdict, and what catalogues of evidence ask for.
    pub summary: Summary,
    /// The plan when the failover was requested; null when it is not known.
    #[schema(required)]
    pub plan: Option<ReportPlan>,
    /// Who asked for it and why; null when it was started elsewhere.
    #[schema(required)]
    pub request: Option<ReportRequest>,
    /// The approvals that were given.
    pub approvals: Vec<ReportApproval>,
    /// The objectives in force when it was requested.
    pub objectives: Objectives,
    /// What was done and when.
    pub execution: Execution,
    /// The machines of the plan in its order, then those that only the session has.
    pub machines: Vec<ReportMachine>,
    /// The figures of the plan.
    pub measures: Measures,
    /// The way back: the undo, or the clean-up of a test.
    #[serde(rename = "return")]
    pub way_back: WayBack,
    /// Checks that people or programs recorded.
    pub checks: Vec<ReportCheck>,
    /// Notes.
    pub notes: Vec<ReportNote>,
    /// What the gateway found, and what people recorded.
    pub findings: Vec<ReportFinding>,
    /// To whom it was told, and when they accepted.
    pub notifications: Vec<ReportNotification>,
    /// The last tests of the plan beside this one.
    pub comparison: Comparison,
    /// Reviews, oldest first.
    pub review: Vec<ReportReview>,
    /// Where all of it comes from, and what is missing.
    pub provenance: Provenance,
    /// What proves that nothing was changed.
    pub integrity: Integrity,
}

/// The document itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportHead {
    /// The report's id, the same in all its revisions.
    pub id: String,
    /// From 1.
    pub revision: i64,
    /// When this revision was made.
    pub generated_at: Moment,
    /// The program and its version.
    pub generator: String,
    /// The language of its texts.
    pub language: &'static str,
    /// Who holds it beyond its age; null when nobody does.
    #[schema(required)]
    pub hold: Option<ReportHold>,
}

/// A legal hold: the report is not removed for its age.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({"reason": "litigation 2026-17", "by": "counsel", "at": "2026-02-14T09:00:00Z"}))]
pub struct ReportHold {
    /// Why.
    pub reason: String,
    /// By whom.
    #[schema(required)]
    pub by: Option<String>,
    /// Since when.
    pub at: Moment,
}

impl From<&Hold> for ReportHold {
    fn from(hold: &Hold) -> Self {
        Self {
            reason: hold.reason.clone(),
            by: hold.by.clone(),
            at: hold.at.into(),
        }
    }
}

/// A legal hold that is to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "litigation 2026-17"}))]
pub struct HoldInput {
    /// Why: 1 to 500 characters.
    pub reason: Words,
}

/// The verdict.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Summary {
    /// `test`, `exercise`, `realFailover`, or `unknown` of what was started elsewhere.
    pub kind: &'static str,
    /// `passed`, `failed`, or `notMeasured` when a figure with a target is absent.
    pub verdict: &'static str,
    /// The facts that catalogues of evidence ask for, by their own names.
    pub facts: Facts,
}

/// The facts that catalogues of evidence ask for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Facts {
    /// When it began.
    #[schema(required)]
    pub test_date: Option<Moment>,
    /// The scenario, or what was done.
    pub scenario_type: String,
    /// How many machines.
    pub systems_tested_count: usize,
    /// Whether the verdict is `passed`.
    pub test_passed: bool,
    /// Seconds of the recovery time that is held against the target.
    #[schema(required)]
    pub rto_achieved: Option<f64>,
    /// Seconds of data loss.
    #[schema(required)]
    pub rpo_achieved: Option<f64>,
    /// How many findings are warnings or errors.
    pub gaps_identified_count: usize,
    /// How many findings have somebody who answers for them.
    pub remediation_actions_count: usize,
}

/// The plan when the failover was requested.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportPlan {
    /// Its id.
    pub id: String,
    /// Enterprise Manager's URN for it.
    #[schema(required)]
    pub uid: Option<String>,
    /// `cloud` or `onPremises`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its description.
    #[schema(required)]
    pub description: Option<String>,
    /// The tenant it belongs to.
    #[schema(required)]
    pub tenant: Option<NamedReference>,
    /// The backup server that runs it.
    #[schema(required)]
    pub backup_server: Option<NamedReference>,
    /// Its machines, in Enterprise Manager's order.
    pub virtual_machines: Vec<PlanVirtualMachine>,
    /// The script before the failover.
    #[schema(required)]
    pub pre_failover_command: Option<Command>,
    /// The script after the failover.
    #[schema(required)]
    pub post_failover_command: Option<Command>,
    /// When it was read.
    #[schema(required)]
    pub read_at: Option<Moment>,
}

/// Who asked for it and why.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportRequest {
    /// The caller, as the token names it.
    #[schema(required)]
    pub by: Option<String>,
    /// The token's issuer.
    #[schema(required)]
    pub issuer: Option<String>,
    /// Who set the schedule, where it is a scheduled test.
    #[schema(required)]
    pub on_behalf_of: Option<String>,
    /// The token's `jti`.
    #[schema(required)]
    pub token_id: Option<String>,
    /// The client's address.
    #[schema(required)]
    pub address: Option<String>,
    /// When.
    pub at: Moment,
    /// Why, as it was said for approvers.
    #[schema(required)]
    pub reason: Option<String>,
    /// The purpose.
    #[schema(required)]
    pub purpose: Option<ReportPurpose>,
    /// The idempotency key.
    #[schema(required)]
    pub idempotency_key: Option<String>,
    /// The caller's own notes.
    pub metadata: BTreeMap<String, String>,
}

/// An approval.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReportApproval {
    /// By whom.
    #[schema(required)]
    pub by: Option<String>,
    /// When.
    pub at: Moment,
    /// What they said.
    #[schema(required)]
    pub comment: Option<String>,
}

/// What was done and when.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// `test` or `start`; null when it was started elsewhere.
    #[schema(required)]
    pub action: Option<&'static str>,
    /// Only restore points before this were to be used.
    #[schema(required)]
    pub restore_point_before: Option<Moment>,
    /// The operation that asked for it.
    #[schema(required)]
    pub operation_id: Option<String>,
    /// Enterprise Manager's session.
    #[schema(required)]
    pub session_id: Option<String>,
    /// `finished`, `unknown`, `stopped` or `lost`.
    pub state: String,
    /// `success`, `warning`, `failed` or `cancelled`; null when Enterprise Manager gave none.
    #[schema(required)]
    pub result: Option<String>,
    /// Why it failed.
    #[schema(required)]
    pub failure_message: Option<String>,
    /// When the session started, by Enterprise Manager's clock.
    #[schema(required)]
    pub started_at: Option<Moment>,
    /// When the session ended, by Enterprise Manager's clock.
    #[schema(required)]
    pub ended_at: Option<Moment>,
    /// How far Enterprise Manager's clock was ahead; null when it is not known.
    #[schema(required)]
    pub clock_difference: Option<ClockDifference>,
    /// What happened, in the order in which it is known; the times of different clocks are not corrected.
    pub timeline: Vec<TimelineStep>,
}

/// How far Enterprise Manager's clock was ahead of the gateway's.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClockDifference {
    /// Milliseconds; negative when it was behind.
    pub ahead_ms: i64,
    /// Milliseconds that this may be off, either way.
    pub tolerance_ms: i64,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TimelineStep {
    /// When.
    pub at: Moment,
    /// By whose clock: `em`, `gateway` or `caller`.
    pub clock: &'static str,
    /// `incident`, `requested`, `awaitingApproval`, `approved`, `submitting`, `running`, `sessionStarted`, `machineEnded`,
    /// `sessionEnded`, `taskDone`, `cancelRequested`, `finished`, `unknown`, `undoRequested` or `undoFinished`.
    pub event: String,
    /// What more there is to say.
    #[schema(required)]
    pub detail: Option<String>,
}

/// The way back.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WayBack {
    /// The undo that followed; null when there was none.
    #[schema(required)]
    pub undo: Option<ReportUndo>,
    /// `yes`, `no` or `unknown`: what the restore points show, not what is assumed; null of a failover that is no test.
    #[schema(required)]
    pub cleaned_up: Option<&'static str>,
    /// When that was looked at.
    #[schema(required)]
    pub looked_at: Option<Moment>,
}

/// An undo.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportUndo {
    /// Its operation.
    pub operation_id: String,
    /// Who asked for it.
    #[schema(required)]
    pub by: Option<String>,
    /// When.
    pub requested_at: Moment,
    /// When it ended.
    #[schema(required)]
    pub finished_at: Option<Moment>,
    /// How.
    #[schema(required)]
    pub result: Option<String>,
}

/// A check of an application or a machine.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "name": "orders can be entered", "machine": "filesrv03", "result": "pass", "at": "2026-02-13T08:05:00Z",
    "detail": "entered order 4711", "evidence": {"url": "https://wiki.example/dr/4711.png", "sha256": null},
    "by": "ann", "recordedAt": "2026-02-13T08:05:07Z",
}))]
pub struct ReportCheck {
    /// What was checked.
    pub name: String,
    /// On which machine.
    #[schema(required)]
    pub machine: Option<String>,
    /// `pass` or `fail`.
    pub result: &'static str,
    /// When, by the caller's clock.
    pub at: Moment,
    /// What was seen.
    #[schema(required)]
    pub detail: Option<String>,
    /// Where the evidence is, and its SHA-256.
    #[schema(required)]
    pub evidence: Option<ReportEvidence>,
    /// Who recorded it.
    #[schema(required)]
    pub by: Option<String>,
    /// When it was recorded.
    pub recorded_at: Moment,
}

/// Where evidence lies.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReportEvidence {
    /// Its address.
    #[schema(required)]
    pub url: Option<String>,
    /// Its SHA-256, in hex.
    #[schema(required)]
    pub sha256: Option<String>,
}

/// A note.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({"text": "The storage team was called at 09:10.", "by": "ann", "at": "2026-02-13T09:15:00Z"}))]
pub struct ReportNote {
    /// What.
    pub text: String,
    /// By whom.
    #[schema(required)]
    pub by: Option<String>,
    /// When.
    pub at: Moment,
}

/// A finding.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "id": "fnd_019c55e5-9d00-7a1c-9f60-2f3f1d0c0011", "source": "person", "code": null, "severity": "error", "machine": null,
    "title": "The address pool is too small", "detail": null, "owner": "bob", "due": "2026-03-01", "state": "open",
    "by": "ann", "at": "2026-02-13T09:20:00Z", "closedBy": null, "closedAt": null,
}))]
pub struct ReportFinding {
    /// Its id; null of those that the gateway found.
    #[schema(required)]
    pub id: Option<String>,
    /// `gateway` or `person`.
    pub source: &'static str,
    /// What the gateway found, for programs.
    #[schema(required)]
    pub code: Option<&'static str>,
    /// `info`, `warning` or `error`.
    pub severity: &'static str,
    /// The machine concerned.
    #[schema(required)]
    pub machine: Option<String>,
    /// What it is.
    pub title: String,
    /// What more there is to say, such as Enterprise Manager's message.
    #[schema(required)]
    pub detail: Option<String>,
    /// Who answers for it.
    #[schema(required)]
    pub owner: Option<String>,
    /// Until when it is to be closed.
    #[schema(required)]
    pub due: Option<String>,
    /// `open` or `closed`; null of those that the gateway found.
    #[schema(required)]
    pub state: Option<&'static str>,
    /// Who recorded it.
    #[schema(required)]
    pub by: Option<String>,
    /// When.
    #[schema(required)]
    pub at: Option<Moment>,
    /// Who closed it.
    #[schema(required)]
    pub closed_by: Option<String>,
    /// When.
    #[schema(required)]
    pub closed_at: Option<Moment>,
}

/// A delivery of an event about the failover.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportNotification {
    /// The address of the operation's one-off webhook, masked, or `endpoint`.
    pub receiver: String,
    /// The webhook endpoint; null of a one-off webhook, and in reports of tenants' plans, whose readers may not see it.
    #[schema(required)]
    pub endpoint_id: Option<String>,
    /// The event.
    pub event_type: String,
    /// Its state when this revision was made.
    pub state: String,
    /// When it was first accepted.
    #[schema(required)]
    pub delivered_at: Option<Moment>,
}

/// A review.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReportReview {
    /// `accepted` or `rejected`.
    pub decision: &'static str,
    /// By whom.
    #[schema(required)]
    pub by: Option<String>,
    /// When.
    pub at: Moment,
    /// What they said.
    #[schema(required)]
    pub comment: Option<String>,
}
