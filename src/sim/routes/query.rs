//! The query service: plans, failover sessions and tasks here, all other types in `generic`.

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Answer, Call, Handled, Refusal};
use crate::sim::failover::{Failover, State};
use crate::sim::generic;
use crate::sim::logon::Task;
use crate::sim::query::{Field, FieldType, Filter, Row, Value, sort};
use crate::sim::render::{Documents, Form};
use crate::sim::world::{Kind, Plan};
use crate::sim::xml::Element;

/// `/query` never gives more rows than this at once, asked to or not.
const MAX_PAGE: usize = 100;

/// Where in a query's result the rows stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    Refs,
    Entities(&'static str),
    /// What is no entity has no references, and a place of its own (type `ResourcesType`).
    Resources(&'static str),
}

impl Member {
    fn of(form: Form, name: &'static str) -> Self {
        match form {
            Form::Reference => Self::Refs,
            Form::Entity => Self::Entities(name),
        }
    }
}

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
                documents.world.damages.in_list(session.id, form, row)
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
                    documents.world.damages.in_list(plan.id, form, row)
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
                    documents.world.damages.in_list(plan.id, form, row)
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
    // Nothing says in which order EM gives rows that nobody sorts; by id, nobody can take it for the time's.
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

/// Filters, sorts and cuts out the page that was asked for.
pub fn page<T>(
    call: &Call<'_>,
    member: Member,
    fields: &[Field],
    mut rows: Vec<Row<T>>,
    render: impl Fn(Documents<'_>, T) -> Element,
) -> Handled {
    // A filter or sort that EM cannot read makes it answer 500, not 400.
    let fault = |message: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message);
    if let Some(text) = call
        .request
        .parameter("filter")
        .filter(|text| !text.trim().is_empty())
    {
        let filter = Filter::parse(&text, fields).map_err(fault)?;
        rows.retain(|row| filter.matches(&row.values));
    }
    for (name, descending) in [("sortAsc", false), ("sortDesc", true)] {
        if let Some(by) = call.request.parameter(name) {
            sort(&mut rows, fields, &by, descending).map_err(fault)?;
        }
    }
    let size = call.positive("pageSize", MAX_PAGE)?.min(MAX_PAGE);
    let current = call.positive("page", 1)?;
    let pages = rows.len().div_ceil(size).max(1);
    let documents: Documents<'_> = call.documents();
    let items: Vec<Element> = rows
        .into_iter()
        .skip((current - 1).saturating_mul(size))
        .take(size)
        .map(|row| render(documents, row.item))
        .collect();
    let rows = match member {
        Member::Refs => Element::new("Refs").children(items),
        Member::Entities(name) => Element::new("Entities").child(Element::new(name).children(items)),
        Member::Resources(name) => Element::new("Resources").child(Element::new(name).children(items)),
    };
    Ok(Answer::ok(
        Element::new("QueryResult")
            .child(rows)
            .child(paging_info(call, size, current, pages)),
    ))
}

fn paging_info(call: &Call<'_>, size: usize, current: usize, pages: usize) -> Element {
    let link = |rel: &str, page: usize| {
        Element::new("Link")
            .attr("Rel", rel)
            .attr("Href", page_href(call, size, page))
    };
    let mut links = vec![link("First", 1)];
    if current > 1 {
        links.push(link("Previous", (current - 1).min(pages)));
    }
    if current < pages {
        links.push(link("Next", current + 1));
    }
    links.push(link("Last", pages));
    Element::new("PagingInfo")
        .attr("PageNum", current.to_string())
        .attr("PageSize", size.to_string())
        .attr("PagesCount", pages.to_string())
        .child(Element::new("Links").children(links))
}

fn page_href(call: &Call<'_>, size: usize, page: usize) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');
    let mut href = format!("{}/query?", call.world.options.href_base.trim_end_matches('/'));
    for (name, value) in call.request.query() {
        if !name.eq_ignore_ascii_case("page") && !name.eq_ignore_ascii_case("pageSize") {
            // As recorded from a server: percent-encoded with lower-case hexadecimal digits.
            let value: String = utf8_percent_encode(&value, KEPT)
                .map(|part| {
                    if part.starts_with('%') {
                        part.to_ascii_lowercase()
                    } else {
                        part.to_owned()
                    }
                })
                .collect();
            href.push_str(&format!("{name}={value}&"));
        }
    }
    href.push_str(&format!("pageSize={size}&page={page}"));
    href
}
