//! The query service: plans, failover sessions and tasks here, all other types in `generic`.

use crate::sim::exchange::{Call, Handled, Refusal};
use crate::sim::failover::{Failover, State};
use crate::sim::generic;
use crate::sim::inventory::{Kind, Plan};
use crate::sim::logon::Task;
use crate::sim::paging::{Member, page};
use crate::sim::query::{Field, FieldType, Row, Value};
use crate::sim::render::{Documents, Form};
use crate::sim::xml::Element;

const STATES: FieldType = FieldType::Choice(&["Starting", "Stopping", "Working", "Stopped"]);
const RESULTS: FieldType = FieldType::Choice(&["Success", "Warning", "Failed"]);
const TASK_STATES: FieldType = FieldType::Choice(&["Running", "OperationFinished", "Finished"]);

const fn field(name: &'static str, kind: FieldType) -> Field {
    Field { name, kind }
}

const SESSION_FIELDS: &[Field] = &[
    field("UID", FieldType::Urn),
    field("Name", FieldType::Text),
    field("Type", FieldType::Choice(&["FailoverPlan"])),
    field("CreationTime", FieldType::Time),
    field("EndTime", FieldType::Time),
    field("State", STATES),
    field("Result", RESULTS),
    field("FailureMessage", FieldType::Text),
    field("BackupServerUid", FieldType::Urn),
    field("BackupServerName", FieldType::Text),
];
const CLOUD_PLAN_FIELDS: &[Field] = &[
    field("UID", FieldType::Urn),
    field("Name", FieldType::Text),
    field("Description", FieldType::Text),
    field("BackupServerUid", FieldType::Urn),
    field("BackupServerName", FieldType::Text),
    field("CloudTenantUid", FieldType::Urn),
    field("CloudTenantName", FieldType::Text),
];
const TASK_FIELDS: &[Field] = &[
    field("TaskId", FieldType::Text),
    field("State", TASK_STATES),
    field("Operation", FieldType::Text),
];

/// `GET /api/query?type=…`
pub fn query(call: &mut Call<'_>) -> Handled {
    let kind = call.request.parameter("type").unwrap_or_default();
    let form = match call
        .request
        .parameter("format")
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "" | "references" => Form::Reference,
        "entities" => Form::Entity,
        other => return Err(Refusal::bad_request(format!("Format '{other}' is not supported"))),
    };
    match kind.to_ascii_lowercase().as_str() {
        "cloudfailoversession" => page(
            call,
            Member::of(form, "CloudFailoverSessions"),
            SESSION_FIELDS,
            session_rows(call),
            |documents, session| {
                let row = documents.session(session, form, true, false);
                documents
                    .world
                    .damages
                    .in_list(session.id, form == Form::Entity, row)
            },
        ),
        "cloudfailoverplan" => {
            let rows = plan_rows(call, Kind::Cloud);
            page(
                call,
                Member::of(form, "CloudFailoverPlans"),
                CLOUD_PLAN_FIELDS,
                rows,
                |documents, plan| {
                    let row = documents.plan(plan, form, true);
                    documents
                        .world
                        .damages
                        .in_list(plan.id, form == Form::Entity, row)
                },
            )
        }
        "failoverplan" => {
            let fields = CLOUD_PLAN_FIELDS.split_at(5).0;
            let rows = plan_rows(call, Kind::OnPremises);
            page(
                call,
                Member::of(form, "FailoverPlans"),
                fields,
                rows,
                |documents, plan| {
                    let row = documents.plan(plan, form, true);
                    documents
                        .world
                        .damages
                        .in_list(plan.id, form == Form::Entity, row)
                },
            )
        }
        "task" => {
            let (tempo, collect) = (call.world.tempo, call.world.options.collect_delay);
            let tasks = call
                .world
                .logons
                .get(call.logon)
                .map_or(&[] as &[_], |logon| &logon.tasks);
            let rows = tasks.iter().map(|task| {
                let state = task.state(call.now, tempo, collect);
                Row {
                    item: task,
                    values: vec![
                        Value::Text(task.id()),
                        Value::choice(TASK_STATES, state.name()),
                        Value::Text(task.operation.to_owned()),
                    ],
                }
            });
            page(
                call,
                Member::Resources("Tasks"),
                TASK_FIELDS,
                rows.collect(),
                task_row,
            )
        }
        "" => Err(Refusal::bad_request("Parameter 'type' is missing")),
        _ => generic::query(call, &kind, form),
    }
}

fn task_row(documents: Documents<'_>, task: &Task) -> Element {
    documents.task(task)
}

fn session_rows<'a>(call: &'a Call<'_>) -> Vec<Row<&'a Failover>> {
    let mut rows: Vec<_> = call
        .world
        .sessions(call.now)
        .map(|session| {
            let snapshot = session.at(call.now, call.world.tempo);
            let server = call.world.servers.get(session.server);
            let values = vec![
                Value::Text(session.id.to_string()),
                Value::Text(session.plan_name.clone()),
                Value::Choice(0),
                Value::Time(session.started),
                snapshot.ended.map_or(Value::Absent, Value::Time),
                Value::choice(STATES, snapshot.state.name()),
                match snapshot.state {
                    State::Stopped => Value::choice(RESULTS, snapshot.outcome.name()),
                    _ => Value::Choice(-1),
                },
                snapshot
                    .failure_message
                    .map_or(Value::Absent, |text| Value::Text(text.to_owned())),
                server.map_or(Value::Absent, |server| Value::Text(server.id.to_string())),
                server.map_or(Value::Absent, |server| Value::Text(server.name.clone())),
            ];
            Row {
                item: session,
                values,
            }
        })
        .collect();
    // EM documents no order for unsorted rows; ordered by id they cannot be mistaken for ordered by time.
    rows.sort_by_key(|row| row.item.id);
    rows
}

fn plan_rows<'a>(call: &'a Call<'_>, kind: Kind) -> Vec<Row<&'a Plan>> {
    let rows = call.world.plans_of(kind, call.now).map(|plan| {
        let server = call.world.servers.get(plan.server);
        let tenant = plan.tenant.as_ref();
        let values = vec![
            Value::Text(plan.id.to_string()),
            Value::Text(plan.name.clone()),
            Value::Text(plan.description.clone()),
            server.map_or(Value::Absent, |server| Value::Text(server.id.to_string())),
            server.map_or(Value::Absent, |server| Value::Text(server.name.clone())),
            tenant.map_or(Value::Absent, |tenant| Value::Text(tenant.id.to_string())),
            tenant.map_or(Value::Absent, |tenant| Value::Text(tenant.name.clone())),
        ];
        Row { item: plan, values }
    });
    rows.collect()
}
