//! Examples: one failover seen from several sides, built from domain values by the functions that build real answers.

mod report;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::served_events::event_schema;
use crate::api_types::events::{
    self, Origin, TestEventData, UpstreamEventData, approval_decided, approval_requested, operation_event,
    report_ready, session_event,
};
use crate::api_types::objectives::Objectives;
use crate::api_types::test_events;
use crate::api_types::webhooks::{
    EndpointEventData, EndpointSummary, WebhookAttempt, WebhookAttemptPhases, WebhookCertificate,
    WebhookDelivery, WebhookEndpoint, WebhookEndpointChanged, WebhookEndpointCreated, WebhookFilter,
    WebhookJob, WebhookOwner, WebhookPreview,
};
use crate::api_types::{dry_run, operations, plans, sessions};
use crate::domain::approval::{Approval, Decision, DecisionOutcome, GivenApproval};
use crate::domain::event::{EventType, NewEvent, Routing};
use crate::domain::evidence::objectives as domain_objectives;
use crate::domain::evidence::schedule::SkipReason;
use crate::domain::id::{DeliveryId, EmId, EndpointId, EventId, JobId, OperationId, TaskId};
use crate::domain::links::Links;
use crate::domain::operation::{
    HistoryStep, Operation, OperationKind, OperationResult, OperationState, OperationTask, ResultSource,
    TaskState,
};
use crate::domain::plan::{ActionKind, Plan, PlanCommand, PlanKind, PlanMachine, PlanRef, Reference};
use crate::domain::session::{MachineFacts, Session, SessionFacts, SessionResult, SessionState};

/// The secret of the example's endpoint.
pub(super) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// The timestamp `seconds` after the example begins.
fn at(seconds: i64) -> Timestamp {
    // 2026-02-13T08:00:00Z; the sum stays far within what a timestamp holds.
    Timestamp::from_second(1_770_969_600 + seconds).unwrap_or_default()
}

fn gateway_id(last: u64) -> Uuid {
    Uuid::from_u64_pair(0x019c_55e5_9d00_7a1c, 0x9f60_2f3f_1d0c_0000 | last)
}

/// The samples' ids are written here and well-formed.
fn em_id(text: &str) -> Option<EmId> {
    text.parse().ok()
}

fn reference(id: &str, name: &str) -> Option<Reference> {
    Some(Reference {
        id: em_id(id)?,
        name: Some(name.to_owned()),
    })
}

fn plan() -> Option<Plan> {
    let machine = |id, name: &str, order| {
        Some(PlanMachine {
            id: Some(em_id(id)?),
            name: name.to_owned(),
            order: Some(order),
        })
    };
    Some(Plan {
        id: em_id("3f56fa52-c902-4655-9774-2022fde214d2")?,
        uid: Some("urn:veeam:CloudFailoverPlan:3f56fa52-c902-4655-9774-2022fde214d2".to_owned()),
        kind: PlanKind::Cloud,
        name: "ABC Company Failover Plan".to_owned(),
        description: Some("File servers first".to_owned()),
        tenant: reference("8d0e5d4c-7a8b-4a52-9df3-2c1f5ad1ee02", "ABC Company"),
        backup_server: reference("4ceb4e03-d23d-4c4e-be05-21580b260243", "backup01.example"),
        machines: vec![
            machine("b4a9d8d0-41e5-4f0b-9f6d-0a6f3d0c6f10", "filesrv03", 0)?,
            machine("52b3c6c7-0f93-4cf5-8cf0-0f7ae6f5d7c9", "filesrv04", 1)?,
        ],
        pre_command: Some(PlanCommand::default()),
        post_command: Some(PlanCommand {
            enabled: true,
            command: Some(r"C:\scripts\after.ps1".to_owned()),
        }),
    })
}

fn session(ended: bool, operation: Option<OperationId>) -> Option<Session> {
    let machine = |name: &str, point: &str, seconds: i64| {
        Some(MachineFacts {
            name: name.to_owned(),
            state: if ended {
                SessionState::Stopped
            } else {
                SessionState::Working
            },
            result: ended.then_some(SessionResult::Success),
            progress: Some(if ended { 100 } else { 42 }),
            started_at: Some(at(seconds)),
            ended_at: ended.then(|| at(seconds + 90)),
            failure_message: None,
            replica_point: reference(point, &format!("{name}@2026-02-13 05:00:46")),
        })
    };
    let plan: PlanRef = plan()?.reference();
    Some(Session {
        facts: SessionFacts {
            id: em_id("a986d473-0248-4884-9832-17ec982ee393")?,
            uid: Some("urn:veeam:CloudFailoverSession:a986d473-0248-4884-9832-17ec982ee393".to_owned()),
            plan_name: plan.name.clone(),
            job: None,
            job_type: Some("FailoverPlan".to_owned()),
            backup_server: plan.backup_server.clone(),
            state: if ended {
                SessionState::Stopped
            } else {
                SessionState::Working
            },
            result: ended.then_some(SessionResult::Success),
            progress: Some(if ended { 100 } else { 42 }),
            started_at: Some(at(2)),
            ended_at: ended.then(|| at(112)),
            failure_message: None,
            machines: vec![
                machine("filesrv03", "c1beab6b-2b18-47f1-9e71-354ab8a49fc2", 5)?,
                machine("filesrv04", "796cbc20-c2be-4acf-bc1a-4e1e32d7df46", 20)?,
            ],
        },
        plan: Some(plan),
        action: operation.map(|_| ActionKind::Test),
        operation,
    })
}

fn operation(ended: bool) -> Option<Operation> {
    let step = |state, seconds| HistoryStep {
        state,
        at: at(seconds),
        reason: None,
    };
    let mut operation = Operation {
        id: OperationId::new(gateway_id(1)),
        kind: OperationKind::Failover,
        action: ActionKind::Test.as_str().to_owned(),
        plan: Some(plan()?.reference()),
        target: None,
        state: OperationState::Running,
        result: None,
        result_source: None,
        progress: 42,
        task: Some(OperationTask {
            id: TaskId("task-1".to_owned()),
            logon: None,
            state: if ended {
                TaskState::Finished
            } else {
                TaskState::Running
            },
            message: ended.then(|| "Ok".to_owned()),
        }),
        session: em_id("a986d473-0248-4884-9832-17ec982ee393"),
        failure: None,
        requested_by: Some("portal".to_owned()),
        requester_issuer: None,
        on_behalf_of: None,
        traceparent: None,
        reason: None,
        approval: None,
        unsent: false,
        requested_at: at(0),
        finished_at: None,
        cancel_requested_at: None,
        callback_url: None,
        metadata: BTreeMap::from([("ticket".to_owned(), "DR-1042".to_owned())]),
        seen_observation: 1,
        answer_due: at(30),
        evidence_deadline: at(1200),
        history: vec![
            step(OperationState::Submitting, 0),
            step(OperationState::Running, 1),
        ],
    };
    if ended {
        operation.finish(
            Some(OperationResult::Success),
            Some(ResultSource::Session),
            at(114),
        );
    }
    Some(operation)
}

/// What is wanted of the plan.
fn wanted() -> domain_objectives::Objectives {
    domain_objectives::Objectives {
        rto_seconds: Some(3600),
        rpo_seconds: Some(86400),
        test_every_days: Some(365),
        owner: Some("Disaster recovery team".to_owned()),
        ..domain_objectives::Objectives::default()
    }
}

/// One that waits for approval.
fn awaiting_operation() -> Option<Operation> {
    let state = OperationState::AwaitingApproval;
    Some(Operation {
        action: ActionKind::Start.as_str().to_owned(),
        state,
        progress: 0,
        task: None,
        session: None,
        reason: Some("the site has no power".to_owned()),
        approval: Some(Approval {
            required: 1,
            given: Vec::new(),
            expires_at: at(14_400),
            plan_digest: String::new(),
            confinement: None,
        }),
        history: vec![HistoryStep {
            state,
            at: at(0),
            reason: None,
        }],
        ..operation(false)?
    })
}

/// The examples' addresses are relative, as the server of the document is.
static LINKS: LazyLock<Links> = LazyLock::new(Links::default);

fn origin(id: EventId, at: Timestamp) -> Origin<'static> {
    Origin {
        id,
        at,
        links: &LINKS,
    }
}

fn event_of(kind: EventType) -> Option<NewEvent> {
    let id = EventId::new(gateway_id(0xe));
    let about_session = |ended, sequence, machine| {
        let operation = operation(ended)?;
        let mut session = session(ended, Some(operation.id))?;
        let finished = |one: &&mut MachineFacts| machine == Some(one.name.as_str());
        if let Some(one) = session.facts.machines.iter_mut().find(finished) {
            (one.state, one.result) = (SessionState::Stopped, Some(SessionResult::Success));
            (one.progress, one.ended_at) = (Some(100), Some(at(95)));
        }
        let moment = at(match (ended, machine) {
            (true, _) => 114,
            (false, Some(_)) => 96,
            (false, None) => 4,
        });
        session_event(
            &origin(id, moment),
            kind,
            &session,
            Some(&operation),
            sequence,
            machine,
            (kind == EventType::SessionFinished).then_some(14_400),
        )
        .ok()
    };
    let about_endpoint = |health: &'static str, reason: Option<&str>| {
        let data = EndpointEventData {
            endpoint: EndpointSummary {
                id: EndpointId::new(gateway_id(0xa)).to_string(),
                description: Some("Portal".to_owned()),
                health,
                reason: reason.map(ToOwned::to_owned),
            },
        };
        plain(id, kind, &data)
    };
    let about_upstream = |reason: Option<&str>| {
        let data = UpstreamEventData {
            account: "operators".to_owned(),
            since: at(0).into(),
            reason: reason.map(ToOwned::to_owned),
        };
        plain(id, kind, &data)
    };
    match kind {
        EventType::SessionStarted => about_session(false, 1, None),
        EventType::SessionProgressed => about_session(false, 2, None),
        EventType::MachineFinished => about_session(false, 3, Some("filesrv03")),
        EventType::SessionFinished => about_session(true, 4, None),
        EventType::SessionLost => about_session(false, 4, None),
        EventType::ApprovalRequested => approval_requested(&origin(id, at(0)), &awaiting_operation()?).ok(),
        EventType::ApprovalDecided => {
            let mut approved = awaiting_operation()?;
            let given = GivenApproval {
                by: Some("dr-lead".to_owned()),
                issuer: None,
                at: at(300),
                comment: Some("agreed in the change board".to_owned()),
            };
            let decision = Decision {
                outcome: DecisionOutcome::Approved,
                by: given.by.clone(),
                at: given.at,
                comment: given.comment.clone(),
            };
            approved.approval.as_mut()?.given.push(given);
            let reason = Some("it was approved".to_owned());
            approved.step(OperationState::Submitting, at(300), reason);
            approval_decided(&origin(id, at(300)), &approved, &decision).ok()
        }
        EventType::ReportReady => {
            let (ended, report) = (operation(true)?, report::report()?);
            let session = session(true, Some(ended.id))?;
            report_ready(&origin(id, at(116)), Some(&session), Some(&ended), &report).ok()
        }
        EventType::TestOverdue => {
            let plan = plan()?.reference();
            test_events::overdue(&origin(id, at(0)), &plan, &wanted(), Some(at(-32_000_000))).ok()
        }
        EventType::TestSkipped => {
            let plan = plan()?.reference();
            let told = test_events::Skipped {
                plan: &plan,
                due_at: at(-3600),
                count: 1,
                reason: SkipReason::Busy,
                detail: "the plan was busy for an hour",
                operation_id: None,
                next_at: Some(at(7_776_000)),
            };
            test_events::skipped(&origin(id, at(0)), &told).ok()
        }
        EventType::AuditCheckpoint => {
            let hash = "8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92";
            test_events::checkpoint(&origin(id, at(0)), 4711, hash).ok()
        }
        EventType::OperationFinished => {
            let mut undo = operation(true)?;
            ActionKind::Undo.as_str().clone_into(&mut undo.action);
            undo.session = None;
            undo.result_source = Some(ResultSource::Task);
            operation_event(&origin(id, at(114)), &undo, None).ok()
        }
        EventType::EndpointFailing => {
            about_endpoint("down", Some("no delivery was accepted for 15 minutes: timeout"))
        }
        EventType::EndpointRecovered => about_endpoint("up", None),
        EventType::EndpointDisabled => about_endpoint("down", Some("the receiver answered 410 Gone")),
        EventType::UpstreamUnavailable => about_upstream(Some("the connection was refused")),
        EventType::UpstreamRecovered => about_upstream(None),
        EventType::WebhookTest => {
            let data = TestEventData {
                message: "This is a test of the endpoint.".to_owned(),
                example: serde_json::Map::new(),
            };
            plain(id, kind, &data)
        }
    }
}

fn plain<D: Serialize>(id: EventId, kind: EventType, data: &D) -> Option<NewEvent> {
    events::event(id, kind, at(114), data, Routing::default()).ok()
}

fn rehearsal() -> Option<dry_run::DryRun> {
    let plan = plan()?;
    let machines = plan.machines.iter().map(|machine| dry_run::MachineRehearsal {
        name: machine.name.clone(),
        newest_point: em_id("c1beab6b-2b18-47f1-9e71-354ab8a49fc2").map(|id| dry_run::NewestPoint {
            id: id.to_string(),
            created_at: at(-10_754).into(),
        }),
    });
    Some(dry_run::DryRun {
        would_be: "awaitingApproval",
        problems: Vec::new(),
        machines: machines.collect(),
        plan: plans::Plan::new(&LINKS, &plan, &wanted(), None),
        policies: vec!["production".to_owned()],
        approvers: 1,
    })
}

fn endpoint() -> WebhookEndpoint {
    WebhookEndpoint {
        owner: WebhookOwner {
            issuer: Some("https://idp.example/realms/dr".to_owned()),
            subject: Some("portal".to_owned()),
            tenants: None,
        },
        id: EndpointId::new(gateway_id(0xa)).to_string(),
        url: "https://portal.example/hooks/failover".to_owned(),
        description: Some("Portal".to_owned()),
        event_types: vec![EventType::SessionFinished.as_str()],
        filter: WebhookFilter {
            plan_ids: Vec::new(),
            tenants: vec!["ABC Company".to_owned()],
            results: Vec::new(),
        },
        format: "standard",
        template: None,
        content_type: None,
        routing_key: None,
        bot: None,
        enabled: true,
        disabled_reason: None,
        headers: BTreeMap::new(),
        max_concurrency: 4,
        signatures: vec!["v1"],
        public_key: None,
        body_signature: None,
        timeout: None,
        rate: None,
        ca_certificate: None,
        client_certificate: None,
        proxy: None,
        health: "up",
        last_success_at: Some(at(115).into()),
        first_failure_at: None,
        last_error: None,
        paused_until: None,
        certificate: Some(WebhookCertificate {
            not_after: at(90 * 86_400).into(),
            expires_soon: false,
        }),
        clock_skew: Some(0),
        created_at: at(-86_400).into(),
        updated_at: at(-86_400).into(),
    }
}

fn delivery() -> WebhookDelivery {
    WebhookDelivery {
        id: DeliveryId::new(gateway_id(0xd)).to_string(),
        endpoint_id: Some(EndpointId::new(gateway_id(0xa)).to_string()),
        operation_id: None,
        event_id: EventId::new(gateway_id(0xe)).to_string(),
        event_type: EventType::SessionFinished.as_str(),
        state: "delivered",
        next_attempt_at: None,
        created_at: at(114).into(),
        attempts: vec![WebhookAttempt {
            number: 1,
            at: at(114).into(),
            status: Some(204),
            duration_ms: Some(38),
            error: None,
            location: None,
            response: None,
            warning: None,
            note: None,
            phases: Some(WebhookAttemptPhases {
                dns: Some(1.204),
                connect: Some(8.411),
                tls: Some(17.93),
                first_byte: Some(10.02),
                total: 38.105,
            }),
            remote_address: Some("203.0.113.20:443".to_owned()),
            tls_version: Some("TLSv1.3"),
            connection_reused: Some(false),
        }],
    }
}

fn job() -> WebhookJob {
    WebhookJob {
        id: JobId::new(gateway_id(0xf)).to_string(),
        kind: "replay",
        state: "running",
        total: 240,
        done: 100,
        since: at(0).into(),
        created_at: at(3600).into(),
        finished_at: None,
    }
}

/// Id and body of an example of this event type.
#[must_use]
pub fn example_event(kind: EventType) -> Option<(String, String)> {
    event_of(kind).map(|event| (event.id.to_string(), event.body))
}

/// The body of an event of this type.
pub(super) fn event(kind: EventType) -> Value {
    event_of(kind)
        .and_then(|event| serde_json::from_str(&event.body).ok())
        .unwrap_or_default()
}

/// An operation that has ended.
pub(super) fn ended_operation() -> Option<Value> {
    let ended = operation(true)?;
    let session = session(true, Some(ended.id))?;
    serde_json::to_value(operations::Operation::new(&LINKS, &ended, Some(&session))).ok()
}

/// The same where it failed, as a problem shows it.
pub(in crate::http) fn failed_operation() -> Value {
    let mut failed = ended_operation().unwrap_or_default();
    let failure = json!({"message": "The failover plan has failed.", "source": "session"});
    for (name, value) in [("result", json!("failed")), ("failure", failure)] {
        if let Some(member) = failed.get_mut(name) {
            *member = value;
        }
    }
    failed
}

/// An example for a schema of the document, where there is one.
pub(super) fn of_schema(name: &str) -> Option<Value> {
    let value = |value: Result<Value, serde_json::Error>| value.ok();
    let running = operation(false)?;
    let under_way = session(false, Some(running.id))?;
    match name {
        "Plan" => value(serde_json::to_value(plans::Plan::new(
            &LINKS,
            &plan()?,
            &wanted(),
            None,
        ))),
        "Objectives" => value(serde_json::to_value(Objectives::from(&wanted()))),
        "RecoveryReport" => report::report(),
        "RecoveryProgramme" => report::programme(),
        "FailoverSession" => value(serde_json::to_value(sessions::FailoverSession::new(
            &LINKS, &under_way,
        ))),
        "Operation" => value(serde_json::to_value(operations::Operation::new(
            &LINKS,
            &running,
            Some(&under_way),
        ))),
        "StreamTicket" => Some(json!({
            "ticket": "q4YF2n0kK1mZ7c9xJ3sVtR6bLwE8hUoPaDgNyTiXfMQ",
            "expiresAt": "2026-02-13T08:01:00.000Z",
        })),
        "DryRun" => value(serde_json::to_value(rehearsal()?)),
        "Approval" => {
            let approval = awaiting_operation()?.approval?;
            value(serde_json::to_value(operations::Approval::from(&approval)))
        }
        "WebhookEndpoint" => value(serde_json::to_value(endpoint())),
        "WebhookEndpointCreated" => value(serde_json::to_value(WebhookEndpointCreated {
            endpoint: endpoint(),
            secret: SECRET.to_owned(),
            warnings: Vec::new(),
        })),
        "WebhookEndpointChanged" => value(serde_json::to_value(WebhookEndpointChanged {
            endpoint: endpoint(),
            warnings: Vec::new(),
        })),
        "WebhookPreview" => value(serde_json::to_value(WebhookPreview {
            content_type: "application/json".to_owned(),
            body: "{\"text\":\"Success: test of ABC Company Failover Plan\"}".to_owned(),
        })),
        "WebhookDelivery" => value(serde_json::to_value(delivery())),
        "WebhookJob" => value(serde_json::to_value(job())),
        "EventItem" => {
            let event = event_of(EventType::SessionFinished)?;
            let mut item = json!({ "id": event.id.to_string() });
            let body: Value = serde_json::from_str(&event.body).ok()?;
            item.as_object_mut()?.extend(body.as_object()?.clone());
            Some(item)
        }
        "EventTypeInfo" => {
            let kind = EventType::WebhookTest;
            // Cut short: a reference within an example is what readers of the document stumble over.
            let mut schema = event_schema(kind);
            if let Some(members) = schema.as_object_mut() {
                members.retain(|name, _| !matches!(name.as_str(), "properties" | "$defs"));
            }
            Some(json!({
                "type": kind.as_str(),
                "description": kind.meaning(),
                "optIn": kind.opt_in(),
                "schema": schema,
                "example": event(kind),
            }))
        }
        "AuditEntry" => Some(json!({
            "sequence": 7,
            "at": "2026-02-13T08:00:00.014000Z",
            "actor": {
                "issuer": "https://idp.example/",
                "subject": "portal",
                "tokenId": "019c55e5-9d00-7a1c-9f60-2f3f1d0c0011",
                "address": "198.51.100.7",
            },
            "action": "plan.test",
            "target": "/api/v1/cloud-failover-plans/3f56fa52-c902-4655-9774-2022fde214d2",
            "tenant": {"id": "8d0e5d4c-7a8b-4a52-9df3-2c1f5ad1ee02", "name": "ABC Company"},
            "operationId": running.id.to_string(),
            "requestId": "019c55e5-9d00-7a1c-9f60-2f3f1d0c0012",
            "outcome": "accepted",
            "status": 202,
            "details": {"kind": "failover", "planName": "ABC Company Failover Plan"},
            "previousHash": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
            "hash": "8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92",
        })),
        _ => {
            let (item, link) = match name.strip_suffix("Page")? {
                item @ ("Plan" | "FailoverSession") => (item, "?page=2"),
                item => (item, "?after=AZxVzF3zebC8vQ"),
            };
            let path = match item {
                "Plan" => "cloud-failover-plans",
                "FailoverSession" => "failover-sessions",
                "Operation" => "operations",
                "EventItem" => "events",
                "AuditEntry" => "audit",
                "WebhookEndpoint" => "webhook-endpoints",
                "WebhookDelivery" => "webhook-deliveries",
                "WebhookJob" => "webhook-endpoints/ep_019c55e5-9d00-7a1c-9f60-2f3f1d0c000a/jobs",
                "EventTypeInfo" => "event-types",
                // A new list has a row of its own, or no example, which a test then misses.
                _ => return None,
            };
            let next = (path != "event-types").then(|| format!("/api/v1/{path}{link}"));
            let mut page = json!({"size": 50, "next": next, "previous": null});
            if link == "?page=2" {
                page.as_object_mut()?
                    .extend([("number".to_owned(), json!(1)), ("total".to_owned(), json!(2))]);
            }
            Some(json!({"items": [of_schema(item)?], "page": page}))
        }
    }
}
