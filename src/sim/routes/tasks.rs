//! Tasks: seen only by the logon session that made them.

use crate::sim::exchange::{Answer, Call, Handled, Refusal};
use crate::sim::failover::Failover;
use crate::sim::logon::{Logon, TaskState, Work};
use crate::sim::render::Documents;
use crate::sim::xml::Element;

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

/// `DELETE /api/tasks/{id}`: removes the task, and stops its unfinished work.
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
