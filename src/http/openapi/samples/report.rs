//! The example of a recovery report: the failover of the other examples, judged and put together by the functions that make
//! real ones. Digest and signature are placeholders.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{at, em_id, gateway_id, operation, plan, session};
use crate::api_types::reports::build::{CleanUp, Material, Recorded};
use crate::api_types::reports::figures::PastTest;
use crate::api_types::reports::programme::{ProgrammePlan, RecoveryProgramme};
use crate::api_types::reports::{RecoveryReport, ReportNotification};
use crate::domain::evidence::asked::{Asked, Purpose, PurposeKind, Requester};
use crate::domain::evidence::clocks::At;
use crate::domain::evidence::judge::judge;
use crate::domain::evidence::objectives::Objectives;
use crate::domain::evidence::run::{ClockDifference, Course, PointFacts, Run, RunAction};
use crate::domain::id::ReportId;
use crate::domain::operation::OperationState;
use crate::domain::plan::PlanKind;
use crate::domain::session::{SessionPhase, SessionRecord};

/// A report as JSON.
pub(super) fn report() -> Option<Value> {
    let plan = plan()?;
    let asked = Asked {
        plan: Some(plan.clone()),
        plan_read_at: Some(at(0)),
        objectives: Objectives {
            rto_seconds: Some(3600),
            rpo_seconds: Some(86400),
            test_every_days: Some(365),
            owner: Some("Disaster recovery team".to_owned()),
            ..Objectives::default()
        },
        requester: Some(Requester {
            by: Some("portal".to_owned()),
            address: Some("192.0.2.10".to_owned()),
            ..Requester::default()
        }),
        purpose: Some(Purpose {
            reason: Some("yearly test".to_owned()),
            scenario: Some("loss of the site".to_owned()),
            kind: Some(PurposeKind::Test),
            ..Purpose::default()
        }),
        before: None,
        clock: Some(ClockDifference {
            ahead: jiff::SignedDuration::ZERO,
            tolerance: jiff::SignedDuration::from_millis(1012),
        }),
    };
    let operation = operation(true)?;
    let session = SessionRecord {
        facts: session(true, Some(operation.id))?.facts,
        plan: operation.plan.clone(),
        first_seen_at: at(3),
        first_observation: 2,
        stopped_seen_at: Some(at(114)),
        missed: 0,
        sequence: 4,
        phase: SessionPhase::Ended,
    };
    let points = [
        "c1beab6b-2b18-47f1-9e71-354ab8a49fc2",
        "796cbc20-c2be-4acf-bc1a-4e1e32d7df46",
    ];
    let points: HashMap<_, _> = points
        .iter()
        .filter_map(|id| em_id(id))
        .map(|id| {
            let facts = PointFacts {
                id: id.clone(),
                created_at: Some(at(-10_800)),
                kind: Some("Increment".to_owned()),
                state: Some("Failover".to_owned()),
                read_at: at(6),
            };
            (id, facts)
        })
        .collect();
    let submitted = operation
        .history
        .iter()
        .find(|step| step.state == OperationState::Submitting);
    let judgement = judge(&Run {
        action: RunAction::Test,
        kind: PlanKind::Cloud,
        machines: Some(&plan.machines),
        session: Some(&session.facts),
        lost: false,
        points: &points,
        newest: &[],
        before: None,
        incident_at: None,
        objectives: &asked.objectives,
        course: Some(Course {
            requested_at: At::new(operation.requested_at),
            approved_at: None,
            submitted_at: submitted.map(|step| At::new(step.at)),
            work_ended_at: None,
            look_every: jiff::SignedDuration::from_secs(2),
            went_well: true,
        }),
        clock: asked.clock,
        checked_at: None,
        failed_checks: &[],
        undo: None,
    });
    let mut report = serde_json::to_value(RecoveryReport::new(Material {
        id: ReportId::new(gateway_id(16)),
        revision: 1,
        made_at: at(116),
        action: RunAction::Test,
        asked: &asked,
        judgement: &judgement,
        operation: Some(&operation),
        session: Some(&session),
        work_ended_at: None,
        undo: None,
        clean_up: Some(CleanUp {
            done: Some(true),
            looked_at: at(116),
        }),
        past: Vec::new(),
        previous_plan: None,
        recorded: Recorded::default(),
        notifications: vec![ReportNotification {
            receiver: "https://portal.example/***".to_owned(),
            endpoint_id: None,
            event_type: "failover.session.finished".to_owned(),
            state: "delivered".to_owned(),
            delivered_at: Some(at(115).into()),
        }],
        hold: None,
        em_address: "https://em.example:9398/api/".to_owned(),
        em_api_version: Some("v1_7"),
        backup_server_version: Some("13.0.1.1071".to_owned()),
        audit: Vec::new(),
        chain_head: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        key_id: "rk_5f1c0b7a4e2d9c38".to_owned(),
    }))
    .ok()?;
    let integrity = report.get_mut("integrity")?.as_object_mut()?;
    let digest = "sha-256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    integrity.insert("digest".to_owned(), json!(digest));
    let signature =
        "q4YF2n0kK1mZ7c9xJ3sVtR6bLwE8hUoPaDgNyTiXfMQq4YF2n0kK1mZ7c9xJ3sVtR6bLwE8hUoPaDgNyTiXfMQ==";
    integrity.insert("signature".to_owned(), json!(signature));
    Some(report)
}

/// The programme, of one plan that was tested.
pub(super) fn programme() -> Option<Value> {
    let plan = plan()?.reference();
    let tested = ProgrammePlan {
        plan: (&plan).into(),
        tests: 1,
        started_elsewhere: 0,
        last_test: Some(PastTest {
            report_id: gateway_id(16).to_string(),
            operation_id: Some(gateway_id(1).to_string()),
            session_id: None,
            at: at(0).into(),
            verdict: Some("passed".to_owned()),
            result: Some("success".to_owned()),
            rta_ms: Some(108_000),
            rpa_ms: Some(10_802_000),
            machines: 2,
        }),
        days_since: Some(0),
        test_every_days: Some(365),
        overdue: Some(false),
        next_test_at: Some(at(31_536_000).into()),
        can_be_tested: true,
        open_findings: 0,
        rto_seconds: Some(3600),
        rpo_seconds: Some(86400),
        owner: Some("Disaster recovery team".to_owned()),
    };
    serde_json::to_value(RecoveryProgramme {
        generated_at: at(200).into(),
        from: at(-31_536_000).into(),
        to: at(200).into(),
        tenants: None,
        population: 1,
        tested: 1,
        overdue: 0,
        items: vec![tested],
    })
    .ok()
}
