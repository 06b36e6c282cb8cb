//! Failover plans of both kinds: reading, acting, changing, deleting.

use http::StatusCode;
use jiff::Timestamp;

use crate::sim::exchange::{Answer, Call, Handled, Refusal, accept};
use crate::sim::inventory::{Action, Command, Kind, Plan};
use crate::sim::logon::Work;
use crate::sim::query::parse_time;
use crate::sim::render::{Documents, Form, names};
use crate::sim::seed::OLDEST_REPLICA;
use crate::sim::world::{Full, World};
use crate::sim::xml::{Element, Node, read};

/// Simulated seconds that EM needs to hand a start to the backup server; the session appears then.
const START_SECONDS: f64 = 1.0;
/// Simulated seconds of a change or a deletion.
const CHANGE_SECONDS: f64 = 1.0;

/// `GET /api/cloud/cloudFailoverPlans`
pub fn cloud_list(call: &mut Call<'_>) -> Handled {
    list(call, Kind::Cloud)
}

/// `GET /api/failoverPlans`
pub fn local_list(call: &mut Call<'_>) -> Handled {
    list(call, Kind::OnPremises)
}

fn list(call: &Call<'_>, kind: Kind) -> Handled {
    let form = call.form()?;
    let documents: Documents<'_> = call.documents();
    let root = match (form, kind) {
        (Form::Reference, _) => "EntityReferences",
        (Form::Entity, Kind::Cloud) => "CloudFailoverPlans",
        (Form::Entity, Kind::OnPremises) => "FailoverPlans",
    };
    let plans = call.plans(kind).map(|plan| documents.plan(plan, form, true));
    Ok(Answer::ok(Element::new(root).children(plans)))
}

/// `GET /api/cloud/cloudFailoverPlans/{id}`
pub fn cloud_get(call: &mut Call<'_>) -> Handled {
    get(call, Kind::Cloud)
}

/// `GET /api/failoverPlans/{id}`
pub fn local_get(call: &mut Call<'_>) -> Handled {
    get(call, Kind::OnPremises)
}

fn get(call: &Call<'_>, kind: Kind) -> Handled {
    let plan = plan(call, kind)?;
    let record = call.documents().plan(&plan, call.form()?, false);
    Ok(Answer::ok(call.world.damages.by_itself(plan.id, record)))
}

fn plan(call: &Call<'_>, kind: Kind) -> Result<Plan, Refusal> {
    let id = call.id(0, "Failover plan")?;
    call.plans(kind)
        .find(|plan| plan.id == id)
        .cloned()
        .ok_or_else(|| Refusal::not_found("Failover plan"))
}

/// `GET /api/cloud/cloudFailoverPlans/{id}/includes`
pub fn includes(call: &mut Call<'_>) -> Handled {
    let plan = plan(call, Kind::Cloud)?;
    let documents: Documents<'_> = call.documents();
    let machines = plan
        .machines
        .iter()
        .enumerate()
        .map(|(order, machine)| documents.cloud_vm("CloudFailoveredVm", &plan, machine, order));
    Ok(Answer::ok(Element::new("CloudFailoveredVms").children(machines)))
}

/// `GET /api/cloud/cloudFailoverPlans/{id}/includes/{id}`
pub fn include(call: &mut Call<'_>) -> Handled {
    let plan = plan(call, Kind::Cloud)?;
    let id = call.id(1, "Virtual machine")?;
    let found = plan
        .machines
        .iter()
        .enumerate()
        .find(|(_, machine)| machine.id == id);
    let (order, machine) = found.ok_or_else(|| Refusal::not_found("Virtual machine"))?;
    Ok(Answer::ok(call.documents().cloud_vm(
        "CloudFailoveredVm",
        &plan,
        machine,
        order,
    )))
}

/// `POST /api/cloud/cloudFailoverPlans/{id}?action=test|start|undo`
pub fn cloud_act(call: &mut Call<'_>) -> Handled {
    act(call, Kind::Cloud)
}

/// `POST /api/failoverPlans/{id}?action=start|undo`
pub fn local_act(call: &mut Call<'_>) -> Handled {
    act(call, Kind::OnPremises)
}

fn act(call: &mut Call<'_>, kind: Kind) -> Handled {
    let plan = plan(call, kind)?;
    let name = call.request.parameter("action").unwrap_or_default();
    let action = Action::parse(&name)
        .filter(|action| kind == Kind::Cloud || *action != Action::Test)
        .ok_or_else(|| Refusal::bad_request(format!("Action '{name}' is not supported")))?;
    call.demand_xml()?;
    let restore_before = match action {
        Action::Start => restore_before(call, kind)?,
        Action::Test | Action::Undo if call.request.body.is_empty() => None,
        Action::Test | Action::Undo => {
            return Err(Refusal::bad_request(format!(
                "Action '{name}' has no request body"
            )));
        }
    };
    if call.world.busy(&plan, call.now) {
        return Err(busy(&plan));
    }
    // Replica points are kept for a while only; a date before the oldest finds none, and the task says so.
    let too_old = restore_before.is_some_and(|before| call.now.duration_since(before) > OLDEST_REPLICA);
    let failure = too_old.then(|| format!("No replica points are available for '{}'", plan.name));
    match (kind, action) {
        (Kind::Cloud, Action::Test | Action::Start) if !too_old => {
            let before = restore_before.map_or(call.now, |before| before.min(call.now));
            let started = call.world.start(&plan, call.now, START_SECONDS, before, None);
            let session = started.map_err(|Full| {
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "Too many failover sessions")
            })?;
            accept(
                call,
                "StartCloudFailoverPlan",
                START_SECONDS,
                Work::Failover(session),
                None,
            )
        }
        (Kind::Cloud, Action::Test | Action::Start) => accept(
            call,
            "StartCloudFailoverPlan",
            START_SECONDS,
            Work::Change,
            failure,
        ),
        (Kind::Cloud, Action::Undo) => occupy(call, &plan, "UndoCloudFailoverPlan", None),
        (Kind::OnPremises, Action::Undo) => occupy(call, &plan, "UndoFailoverPlan", None),
        (Kind::OnPremises, _) => occupy(call, &plan, "StartFailoverPlan", failure),
    }
}

/// Work that has no session: the task itself lasts as long as the work.
fn occupy(call: &mut Call<'_>, plan: &Plan, operation: &'static str, failure: Option<String>) -> Handled {
    let seconds = if failure.is_some() {
        START_SECONDS
    } else {
        World::usual_seconds(plan) / 3.0
    };
    let until = call.world.tempo.after(call.now, seconds);
    if let Some(plan) = call.world.plan_mut(plan.id) {
        plan.busy_until = Some(until);
    }
    accept(call, operation, seconds, Work::Plan(plan.id), failure)
}

/// EM documents no 409; a plan at work is a request that is invalid now.
fn busy(plan: &Plan) -> Refusal {
    Refusal::bad_request(format!("Failover plan '{}' is already running", plan.name))
}

/// The timestamp that a management spec names; `None` means now.
fn restore_before(call: &Call<'_>, kind: Kind) -> Result<Option<Timestamp>, Refusal> {
    let root = read(&call.request.body).map_err(Refusal::bad_request)?;
    let expected = match kind {
        Kind::Cloud => "CloudFailoverPlanManagementSpec",
        Kind::OnPremises => "FailoverPlanManagementSpec",
    };
    if root.name != expected {
        return Err(Refusal::bad_request(format!(
            "'{expected}' was expected instead of '{}'",
            root.name
        )));
    }
    let [choice] = root.children.as_slice() else {
        return Err(Refusal::bad_request("Either StartNow or StartDate must be given"));
    };
    let value = choice.text.trim();
    match choice.name.as_str() {
        "StartNow" if flag(choice)? => Ok(None),
        "StartNow" => Err(Refusal::bad_request(
            "StartNow is false and no StartDate is given",
        )),
        "StartDate" => parse_time(value)
            .map(Some)
            .ok_or_else(|| Refusal::bad_request(format!("StartDate '{value}' is not a time"))),
        other => Err(Refusal::bad_request(format!(
            "Element '{other}' was not expected"
        ))),
    }
}

/// `PUT /api/cloud/cloudFailoverPlans/{id}`
pub fn cloud_put(call: &mut Call<'_>) -> Handled {
    const ORDER: &[&str] = &[
        "Links",
        "TenantUid",
        "TenantName",
        "Description",
        "CloudFailoverPlanOptions",
        "CloudFailoverPlanInfo",
    ];
    const OPTIONS: &[&str] = &[
        "PostFailoverPlanCommandEnabled",
        "PostFailoverPlanCommand",
        "PreFailoverPlanCommandEnabled",
        "PreFailoverPlanCommand",
    ];
    let plan = plan(call, Kind::Cloud)?;
    let root = spec(call, "CloudFailoverPlan", ORDER)?;
    let (mut before, mut after) = (plan.before.clone(), plan.after.clone());
    if let Some(options) = root.child("CloudFailoverPlanOptions") {
        in_order(options, OPTIONS)?;
        change(
            &mut after,
            options,
            "PostFailoverPlanCommandEnabled",
            "PostFailoverPlanCommand",
        )?;
        change(
            &mut before,
            options,
            "PreFailoverPlanCommandEnabled",
            "PreFailoverPlanCommand",
        )?;
    }
    if let Some(plan) = call.world.plan_mut(plan.id) {
        (plan.before, plan.after) = (before, after);
    }
    accept(call, "UpdateFailoverPlan", CHANGE_SECONDS, Work::Change, None)
}

/// `PUT /api/failoverPlans/{id}`: the description is all that can be changed.
pub fn local_put(call: &mut Call<'_>) -> Handled {
    let plan = plan(call, Kind::OnPremises)?;
    let root = spec(
        call,
        names(Kind::OnPremises).0,
        &["Links", "Description", "FailoverPlanInfo"],
    )?;
    if let (Some(description), Some(plan)) = (root.child("Description"), call.world.plan_mut(plan.id)) {
        plan.description.clone_from(&description.text);
    }
    accept(call, "EditFailoverPlan", CHANGE_SECONDS, Work::Change, None)
}

/// `DELETE /api/cloud/cloudFailoverPlans/{id}`
pub fn cloud_delete(call: &mut Call<'_>) -> Handled {
    let plan = plan(call, Kind::Cloud)?;
    if call.world.busy(&plan, call.now) {
        return Err(busy(&plan));
    }
    let gone = call.world.tempo.after(call.now, CHANGE_SECONDS);
    if let Some(plan) = call.world.plan_mut(plan.id) {
        plan.deleted_at = Some(gone);
    }
    accept(
        call,
        "DeleteCloudFailoverPlan",
        CHANGE_SECONDS,
        Work::Change,
        None,
    )
}

fn spec(call: &Call<'_>, expected: &str, order: &[&str]) -> Result<Node, Refusal> {
    call.demand_xml()?;
    let root = read(&call.request.body).map_err(Refusal::bad_request)?;
    if root.name != expected {
        return Err(Refusal::bad_request(format!(
            "'{expected}' was expected instead of '{}'",
            root.name
        )));
    }
    in_order(&root, order)?;
    Ok(root)
}

/// EM's bodies are sequences: children in the schema's order, each at most once, no others.
fn in_order(node: &Node, order: &[&str]) -> Result<(), Refusal> {
    let mut next = 0;
    for child in &node.children {
        let position = order.iter().skip(next).position(|name| *name == child.name);
        let position = position.ok_or_else(|| {
            Refusal::bad_request(format!(
                "Element '{}' was not expected in '{}' there",
                child.name, node.name
            ))
        })?;
        next += position + 1;
    }
    Ok(())
}

fn change(command: &mut Command, options: &Node, enabled: &str, text: &str) -> Result<(), Refusal> {
    if let Some(node) = options.child(enabled) {
        command.enabled = flag(node)?;
    }
    if let Some(node) = options.child(text) {
        command.command.clone_from(&node.text);
    }
    Ok(())
}

/// An XML Schema boolean.
fn flag(node: &Node) -> Result<bool, Refusal> {
    match node.text.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(Refusal::bad_request(format!(
            "'{other}' is not a value of '{}'",
            node.name
        ))),
    }
}
