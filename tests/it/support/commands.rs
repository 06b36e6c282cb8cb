//! Commands that tests send to the simulated Enterprise Manager without a gateway.

use emgate::domain::command::Command;
use emgate::domain::plan::{Action, PlanRef};
use emgate::upstream::{AcceptedTask, EmClient, Error};

/// Runs an action on a plan.
///
/// # Panics
/// When it is accepted without a task, which the client has to refuse.
pub async fn act(em: &EmClient, plan: &PlanRef, action: Action) -> Result<AcceptedTask, Error> {
    let command = Command::Act {
        plan: plan.clone(),
        action,
    };
    let response = em.send(&command).await?;
    Ok(response.task.expect("an action has a task"))
}
