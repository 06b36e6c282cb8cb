//! Tasks: seen only by the logon session that made them.

use http::StatusCode;

use super::{Answer, Call, Handled, Refusal};
use crate::sim::failover::Failover;
use crate::sim::logon::{Logon, Related, TaskState, Work};
use crate::sim::render::Documents;
use crate::sim::xml::Element;

/// Registers a task for what was accepted; 202 with the task as it begins.
pub fn accept(
    call: &mut Call<'_>,
    operation: &'static str,
    seconds: f64,
    work: Work,
    failure: Option<String>,
) -> Handled {
    let now = call.now;
    let logon = call.world.logons.get_mut(call.logon);
    let Some(task) = logon.and_then(|logon| logon.add_task(operation, now, seconds, work)) else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "Too many tasks"));
    };
    task.failure = failure;
    let task = task.clone();
    Ok(Answer::new(StatusCode::ACCEPTED, call.documents().task(&task)))
}

/// The same for a change whose finished task links what it led to.
pub fn accept_with(
    call: &mut Call<'_>,
    operation: &'static str,
    seconds: f64,
    work: Work,
    links: Vec<Related>,
) -> Handled {
    let answer = accept(call, operation, seconds, work, None)?;
    if let Some(task) = call
        .world
        .logons
        .get_mut(call.logon)
        .and_then(|logon| logon.tasks.last_mut())
    {
        task.links = links;
    }
    Ok(answer)
}

fn own<'a>(call: &'a Call<'_>) -> Result<&'a Logon, Refusal> {
    call.world
        .logons
        .get(call.logon)
        .ok_or_else(|| Refusal::not_found("Logon session"))
}

/// `GET /api/tasks`
pub fn list(call: &mut Call<'_>) -> Handled {
    let documents: Documents<'_> = call.documents();
    let tasks = own(call)?.tasks.iter().map(|task| documents.task(task));
    Ok(Answer::ok(Element::new("Tasks").children(tasks)))
}

/// `GET /api/tasks/{id}`
pub fn get(call: &mut Call<'_>) -> Handled {
    let id = call.captured.first().map_or("", String::as_str);
    let task = own(call)?
        .task(id)
        .ok_or_else(|| Refusal::not_found(&format!("Task '{id}'")))?;
    Ok(Answer::ok(call.documents().task(task)))
}

/// `DELETE /api/tasks/{id}`: forgets the task, and stops what is still going on for it.
pub fn delete(call: &mut Call<'_>) -> Handled {
    let id = call.captured.first().map_or("", String::as_str).to_owned();
    let (now, tempo, collect) = (call.now, call.world.tempo, call.world.options.collect_delay);
    let task = own(call)?
        .task(&id)
        .cloned()
        .ok_or_else(|| Refusal::not_found(&format!("Task '{id}'")))?;
    match task.work {
        Work::Failover(session) => {
            if let Some(failover) = find(&mut call.world.failovers, session) {
                failover.stop(now, tempo);
            }
        }
        Work::Plan(plan) => {
            if task.state(now, tempo, collect) == TaskState::Running
                && let Some(plan) = call.world.plan_mut(plan)
            {
                plan.busy_until = None;
            }
        }
        Work::Change => {}
    }
    if let Some(logon) = call.world.logons.get_mut(call.logon) {
        logon.tasks.retain(|other| other.number != task.number);
    }
    Ok(Answer::no_content())
}

fn find(failovers: &mut [Failover], id: uuid::Uuid) -> Option<&mut Failover> {
    failovers.iter_mut().find(|failover| failover.id == id)
}
