//! A report made of what was kept of a failover and of what follows from it. Digest and signature are still empty.

mod course;
mod provenance;

use jiff::Timestamp;
use serde_json::Value;

use self::course::{execution, way_back};
use self::provenance::provenance;
use super::figures::{Comparison, Measures, PastTest, ReportMachine, ReportPoint};
use super::sources::Integrity;
use super::{
    Facts, RecoveryReport, ReportApproval, ReportCheck, ReportFinding, ReportHead, ReportNote,
    ReportNotification, ReportPlan, ReportRequest, ReportReview, SCHEMA, Summary,
};
use crate::api_types::Moment;
use crate::domain::evidence::asked::{Asked, Purpose, PurposeKind, Requester};
use crate::domain::evidence::clocks::Span;
use crate::domain::evidence::finding::{Finding, Severity};
use crate::domain::evidence::hold::Hold;
use crate::domain::evidence::judge::{Judgement, MachineFigures, Outcome};
use crate::domain::evidence::measure::Judged;
use crate::domain::evidence::run::RunAction;
use crate::domain::evidence::trend::{PlanChange, Trend, changes};
use crate::domain::id::ReportId;
use crate::domain::operation::{Operation, OperationResult};
use crate::domain::plan::Plan;
use crate::domain::session::{SessionRecord, SessionResult};
use crate::text::lower_camel;

/// What the points of a test show after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanUp {
    /// Whether all are ready again; none when that could not be read.
    pub done: Option<bool>,
    /// When they were looked at.
    pub looked_at: Timestamp,
}

/// What people and programs recorded.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// Checks.
    pub checks: Vec<ReportCheck>,
    /// Notes.
    pub notes: Vec<ReportNote>,
    /// Findings.
    pub findings: Vec<ReportFinding>,
    /// Reviews.
    pub reviews: Vec<ReportReview>,
}

/// What a report is made of.
#[derive(Debug)]
pub struct Material<'a> {
    /// The report's id.
    pub id: ReportId,
    /// Which revision.
    pub revision: i64,
    /// When.
    pub made_at: Timestamp,
    /// What was done.
    pub action: RunAction,
    /// What was kept when it was requested.
    pub asked: &'a Asked,
    /// What follows from its times.
    pub judgement: &'a Judgement,
    /// The operation.
    pub operation: Option<&'a Operation>,
    /// The session.
    pub session: Option<&'a SessionRecord>,
    /// When EM's task was first seen done.
    pub work_ended_at: Option<Timestamp>,
    /// The undo that followed.
    pub undo: Option<&'a Operation>,
    /// Of a test, what its restore points show.
    pub clean_up: Option<CleanUp>,
    /// The tests before, newest first.
    pub past: Vec<PastTest>,
    /// The plan at the test before.
    pub previous_plan: Option<&'a Plan>,
    /// What was recorded.
    pub recorded: Recorded,
    /// Deliveries of the operation's one-off webhook.
    pub notifications: Vec<ReportNotification>,
    /// Who holds it.
    pub hold: Option<&'a Hold>,
    /// The address of EM.
    pub em_address: String,
    /// The version of its REST API.
    pub em_api_version: Option<&'static str>,
    /// The version of the backup server.
    pub backup_server_version: Option<String>,
    /// Rows of the audit log about the operation, by their numbers.
    pub audit: Vec<(i64, Value)>,
    /// The hash of the last row of the audit log.
    pub chain_head: String,
    /// The key that is to sign.
    pub key_id: String,
}

impl RecoveryReport {
    /// The report.
    #[must_use]
    pub fn new(material: Material<'_>) -> Self {
        let judgement = material.judgement;
        let plan = &judgement.plan;
        let asked = material.asked;
        let trend = trend(&material);
        let findings: Vec<ReportFinding> = judgement
            .findings
            .iter()
            .map(gateway_finding)
            .chain(material.recorded.findings.iter().cloned())
            .collect();
        Self {
            schema: SCHEMA,
            report: ReportHead {
                id: material.id.to_string(),
                revision: material.revision,
                generated_at: material.made_at.into(),
                generator: concat!("emgate ", env!("CARGO_PKG_VERSION")).to_owned(),
                language: "en",
                hold: material.hold.map(Into::into),
            },
            summary: summary(&material, &findings),
            plan: asked
                .plan
                .as_ref()
                .map(|plan| report_plan(plan, asked.plan_read_at)),
            request: material
                .operation
                .map(|operation| request(operation, asked.requester.as_ref(), asked.purpose.as_ref())),
            approvals: approvals(material.operation),
            objectives: (&asked.objectives).into(),
            execution: execution(&material),
            machines: judgement.machines.iter().map(machine).collect(),
            measures: Measures {
                rta: (&plan.rta).into(),
                rpa: (&plan.rpa).into(),
                rto: (&plan.rto).into(),
                held_against_rto: plan.held.as_str(),
                machines_recovered: plan.recovered,
                machines: plan.machines,
                last_recovered_at: plan.last_recovered_at.map(Moment),
                session_time: (&plan.session_time).into(),
                approval_wait: (&plan.approval_wait).into(),
                hand_over: (&plan.hand_over).into(),
                end_to_end: (&plan.end_to_end).into(),
                since_incident: (&plan.since_incident).into(),
                application: (&plan.application).into(),
                on_replica: (&plan.on_replica).into(),
                returned: (&plan.returned).into(),
            },
            way_back: way_back(&material),
            checks: material.recorded.checks.clone(),
            notes: material.recorded.notes.clone(),
            findings,
            notifications: material.notifications.clone(),
            comparison: trend,
            review: material.recorded.reviews.clone(),
            provenance: provenance(&material),
            integrity: Integrity {
                audit_from: material.audit.first().map(|(number, _)| *number),
                audit_to: material.audit.last().map(|(number, _)| *number),
                chain_head: material.chain_head,
                digest: String::new(),
                signature: String::new(),
                key_id: material.key_id,
            },
        }
    }
}

fn summary(material: &Material<'_>, findings: &[ReportFinding]) -> Summary {
    let plan = &material.judgement.plan;
    let purpose = material.asked.purpose.as_ref();
    let kind = match (purpose.and_then(|purpose| purpose.kind), material.action) {
        (Some(kind), _) => kind.as_str(),
        (None, RunAction::Test) => PurposeKind::Test.as_str(),
        (None, RunAction::Start) => PurposeKind::RealFailover.as_str(),
        (None, RunAction::Unknown) => RunAction::Unknown.as_str(),
    };
    let gap = |finding: &&ReportFinding| finding.severity != Severity::Info.as_str();
    let session = material.session.and_then(|session| session.facts.started_at);
    let began = session.or_else(|| material.operation.map(|operation| operation.requested_at));
    Summary {
        kind,
        verdict: material.judgement.outcome.as_str(),
        facts: Facts {
            test_date: began.map(Moment),
            scenario_type: purpose
                .and_then(|purpose| purpose.scenario.clone())
                .unwrap_or_else(|| kind.to_owned()),
            systems_tested_count: plan.machines,
            test_passed: material.judgement.outcome == Outcome::Passed,
            rto_achieved: seconds(&plan.rto),
            rpo_achieved: seconds(&plan.rpa),
            gaps_identified_count: findings.iter().filter(gap).count(),
            remediation_actions_count: findings.iter().filter(|finding| finding.owner.is_some()).count(),
        },
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of a failover are far below 2^52"
)]
fn seconds(judged: &Judged) -> Option<f64> {
    let millis = judged.measure().figure().ok().map(Span::millis)?;
    Some(millis as f64 / 1000.0)
}

fn report_plan(plan: &Plan, read_at: Option<Timestamp>) -> ReportPlan {
    let machines = plan.machines.iter().map(|machine| super::PlanVirtualMachine {
        id: machine.id.as_ref().map(ToString::to_string),
        name: machine.name.clone(),
        order: machine.order,
    });
    ReportPlan {
        id: plan.id.to_string(),
        uid: plan.uid.clone(),
        kind: plan.kind.as_str(),
        name: plan.name.clone(),
        description: plan.description.clone(),
        tenant: plan.tenant.as_ref().map(Into::into),
        backup_server: plan.backup_server.as_ref().map(Into::into),
        virtual_machines: machines.collect(),
        pre_failover_command: plan.pre_command.as_ref().map(Into::into),
        post_failover_command: plan.post_command.as_ref().map(Into::into),
        read_at: read_at.map(Moment),
    }
}

fn request(operation: &Operation, requester: Option<&Requester>, purpose: Option<&Purpose>) -> ReportRequest {
    ReportRequest {
        by: operation.requested_by.clone(),
        issuer: operation.requester_issuer.clone(),
        on_behalf_of: operation.on_behalf_of.as_ref().and_then(|who| who.name.clone()),
        token_id: requester.and_then(|requester| requester.token_id.clone()),
        address: requester.and_then(|requester| requester.address.clone()),
        at: operation.requested_at.into(),
        reason: operation.reason.clone(),
        purpose: purpose.map(Into::into),
        idempotency_key: requester.and_then(|requester| requester.idempotency_key.clone()),
        metadata: operation.metadata.clone(),
    }
}

fn approvals(operation: Option<&Operation>) -> Vec<ReportApproval> {
    let given = operation
        .and_then(|operation| operation.approval.as_ref())
        .into_iter()
        .flat_map(|approval| &approval.given);
    given
        .map(|approval| ReportApproval {
            by: approval.by.clone(),
            at: approval.at.into(),
            comment: approval.comment.clone(),
        })
        .collect()
}

fn result_of(material: &Material<'_>) -> Option<String> {
    let of_session = material
        .session
        .and_then(|session| session.facts.result.as_ref())
        .map(SessionResult::word);
    let of_operation = || {
        let result = material.operation?.result.as_ref()?;
        Some(lower_camel(OperationResult::as_str(result)))
    };
    of_session.or_else(of_operation)
}

fn machine(figures: &MachineFigures) -> ReportMachine {
    let created_at = figures.point.as_ref().and_then(|point| point.created_at);
    ReportMachine {
        name: figures.name.clone(),
        order: figures.order,
        in_plan: figures.in_plan,
        result: figures.result.as_ref().map(SessionResult::word),
        message: figures.message.clone(),
        started_at: figures.started_at.map(Moment),
        ended_at: figures.ended_at.map(Moment),
        wait: (&figures.wait).into(),
        time: (&figures.time).into(),
        rta: (&figures.rta).into(),
        point: figures.point_id.as_ref().map(|id| ReportPoint {
            id: id.to_string(),
            created_at: created_at.map(Moment),
            kind: figures.point.as_ref().and_then(|point| point.kind.clone()),
        }),
        rpa: (&figures.rpa).into(),
        distance_to_bound: (&figures.bound).into(),
    }
}

fn gateway_finding(finding: &Finding) -> ReportFinding {
    let reason = finding.reason.map(|reason| reason.meaning().to_owned());
    ReportFinding {
        id: None,
        source: "gateway",
        code: Some(finding.code.as_str()),
        severity: finding.code.severity().as_str(),
        machine: finding.machine.clone(),
        title: finding.code.meaning().to_owned(),
        detail: finding.detail.clone().or(reason),
        owner: None,
        due: None,
        state: None,
        by: None,
        at: None,
        closed_by: None,
        closed_at: None,
    }
}

fn trend(material: &Material<'_>) -> Comparison {
    let own = material.judgement.plan.rta.figure().ok().map(Span::millis);
    let before: Vec<Option<i64>> = material.past.iter().map(|test| test.rta_ms).collect();
    let trend = Trend::of(own, &before);
    let changed = material
        .previous_plan
        .zip(material.asked.plan.as_ref())
        .map(|(before, now)| changes(before, now));
    Comparison {
        tests: material.past.clone(),
        previous_rta_ms: trend.previous,
        median_rta_ms: trend.median,
        worst_rta_ms: trend.worst,
        change_percent: trend.change_percent,
        regression: trend.regression,
        plan_changed: changed.as_ref().map(|changed| !changed.is_empty()),
        changes: changed.into_iter().flatten().map(PlanChange::as_str).collect(),
    }
}
