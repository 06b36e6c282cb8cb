//! Commands: each becomes exactly one request to EM, and its answer is read here.
//!
//! The request is sent at most once (see `call`); [`Error::acted`] says whether it may have arrived. The logon session of
//! a task is pinned before the answer goes up, so that the task outlives the request.

use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::{Error, Kind};
use super::mirror::Document;
use super::types::AcceptedTask;
use super::{EmClient, documents, paths, tasks, xml};
use crate::domain::command::{Command, ExpectedReply, WriteMethod};
use crate::domain::plan::{Action, PlanCommand, PlanEdit, PlanKind};

/// EM's answer to a command that it accepted.
#[derive(Debug, Clone)]
pub struct WriteResponse {
    /// The status, a success.
    pub status: u16,
    /// What EM sent along.
    pub document: Option<Document>,
    /// The task that does the work; without one the work is done.
    pub task: Option<AcceptedTask>,
}

/// A command as EM gets it.
struct Request {
    method: WriteMethod,
    /// Path and query below `/api/`.
    target: String,
    /// XML, or nothing.
    body: Vec<u8>,
    reply: ExpectedReply,
}

impl EmClient {
    /// Sends a command: one request, whatever happens.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send(&self, command: &Command) -> Result<WriteResponse, Error> {
        let request = request(command)?;
        let (answer, lease) = self.write(&request.target, request.method, &request.body).await?;
        let status = answer.status.as_u16();
        let empty =
            answer.status == StatusCode::NO_CONTENT || answer.body.iter().all(u8::is_ascii_whitespace);
        if empty {
            return if allows_empty_reply(request.reply, answer.status) {
                Ok(WriteResponse {
                    status,
                    document: None,
                    task: None,
                })
            } else {
                Err(tasks::missing_task())
            };
        }
        let decoded = documents::decode_any(&self.inner.links, answer.body).await?;
        let task = match (decoded.root, request.reply) {
            ("Task", _) => Some(tasks::accepted(&decoded, lease.logon.id)?),
            (_, ExpectedReply::Nothing) => None,
            (_, ExpectedReply::Task | ExpectedReply::FailoverTask) => return Err(tasks::missing_task()),
        };
        if task.is_some() {
            lease.pool.pin(lease.logon.id);
        }
        Ok(WriteResponse {
            status,
            document: Some(Document::of(Arc::new(decoded))),
            task,
        })
    }
}

/// Whether a success without a document says that all is done.
///
/// 204 is EM's word for "done, nothing to report", and what changes a setting may be done at once although the page
/// promises a task. An action on a plan never is: it starts what runs for hours, and to call that finished would report
/// a success that nobody has seen. The watcher looks for its session instead.
const fn allows_empty_reply(reply: ExpectedReply, status: StatusCode) -> bool {
    match reply {
        ExpectedReply::Nothing => true,
        ExpectedReply::Task => status.as_u16() == StatusCode::NO_CONTENT.as_u16(),
        ExpectedReply::FailoverTask => false,
    }
}

fn request(command: &Command) -> Result<Request, Error> {
    Ok(match command {
        Command::Act { plan, action } => Request {
            method: WriteMethod::Post,
            target: format!(
                "{}?action={}",
                paths::plan(plan.kind, &plan.id),
                action.kind().as_str()
            ),
            body: match action {
                Action::Start { before } => start_spec(plan.kind, *before)?,
                Action::Test | Action::Undo => Vec::new(),
            },
            reply: ExpectedReply::FailoverTask,
        },
        Command::EditPlan { plan, edit } => Request {
            method: WriteMethod::Put,
            target: paths::plan(plan.kind, &plan.id),
            body: edited(edit)?,
            reply: ExpectedReply::Task,
        },
        Command::DeletePlan { plan } => Request {
            method: WriteMethod::Delete,
            target: paths::plan(plan.kind, &plan.id),
            body: Vec::new(),
            reply: ExpectedReply::Task,
        },
        Command::Mirror(write) => Request {
            method: write.method,
            target: write.target.clone(),
            body: write.body.clone().into_bytes(),
            reply: write.reply,
        },
    })
}

fn body(root: &str, json: &Value) -> Result<Vec<u8>, Error> {
    xml::body(root, json).map_err(|reason| Error::before_sending(Kind::NotEncodable { reason }))
}

/// EM takes either, never both: now, or restore points up to a moment (docs/behaviour.md#actions).
fn start_spec(kind: PlanKind, before: Option<Timestamp>) -> Result<Vec<u8>, Error> {
    let root = match kind {
        PlanKind::Cloud => "CloudFailoverPlanManagementSpec",
        PlanKind::OnPremises => "FailoverPlanManagementSpec",
    };
    let spec = match before {
        None => json!({"startNow": true}),
        Some(before) => json!({"startDate": before.to_string()}),
    };
    body(root, &spec)
}

/// What EM lets one change, and nothing else.
fn edited(edit: &PlanEdit) -> Result<Vec<u8>, Error> {
    let text = |command: &PlanCommand| command.command.clone().unwrap_or_default();
    match edit {
        PlanEdit::Cloud {
            pre_command,
            post_command,
        } => {
            let options = json!({
                "postFailoverPlanCommandEnabled": post_command.enabled,
                "postFailoverPlanCommand": text(post_command),
                "preFailoverPlanCommandEnabled": pre_command.enabled,
                "preFailoverPlanCommand": text(pre_command),
            });
            body("CloudFailoverPlan", &json!({"cloudFailoverPlanOptions": options}))
        }
        PlanEdit::OnPremises { description } => body("FailoverPlan", &json!({"description": description})),
    }
}
