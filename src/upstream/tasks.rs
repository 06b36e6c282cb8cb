//! EM's tasks, each followed in the logon session that made it: `task-1` exists in many.

use bytes::Bytes;

use super::call::Call;
use super::documents::{self, Decoded, invalid};
use super::error::Error;
use super::fields::{Link, TaskDocument};
use super::limits::Class;
use super::paths::{self, escaped};
use super::types::{AcceptedTask, TaskView};
use super::{EmClient, call};
use crate::domain::command::WriteMethod;
use crate::domain::id::{EmId, LogonId, TaskId};
use crate::domain::operation::TaskState;

impl EmClient {
    /// A task as EM describes it now; `Lost` when EM does not know it or its logon session any more.
    ///
    /// # Errors
    /// [`Error`]: nothing is known about the task then.
    pub async fn task(&self, logon: LogonId, task: &TaskId) -> Result<TaskView, Error> {
        let lost = TaskView {
            state: TaskState::Lost,
            success: None,
            message: None,
            session: None,
        };
        let Some(lease) = self.lease_in(logon).await? else {
            return Ok(lost);
        };
        let answer = call::within(
            &self.inner.transport,
            &lease,
            &target(task),
            Call::Read(Class::Read),
        )
        .await;
        match answer {
            Ok(None) => Ok(lost),
            Err(error) if error.is_not_found() => Ok(lost),
            Ok(Some(answer)) => {
                let decoded = documents::decode_record(answer.body, &["Task"]).await;
                let document = decoded.and_then(|decoded| decoded.read());
                let fault = document.as_ref().err().map(ToString::to_string);
                let (name, now) = (format!("{} of {logon}", task.0), self.inner.clock.now());
                self.inner.damages.met_alone("Task", &name, fault, now);
                Ok(view(document?))
            }
            Err(error) => Err(error),
        }
    }

    /// Asks EM to remove a task: one DELETE. False when there was nothing left to remove. Whether the work on the
    /// backup server stops is EM's affair (docs/behaviour.md#how-em-behaves).
    ///
    /// # Errors
    /// [`Error`].
    pub async fn remove_task(&self, logon: LogonId, task: &TaskId) -> Result<bool, Error> {
        let Some(lease) = self.lease_in(logon).await? else {
            return Ok(false);
        };
        let call = Call::Write(WriteMethod::Delete, &[]);
        let outcome = call::within(&self.inner.transport, &lease, &target(task), call).await;
        self.forget_reads();
        match outcome {
            Ok(answer) => Ok(answer.is_some()),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A task's document as EM has it now; none when EM does not know the task or its logon session any more.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn task_document(&self, logon: LogonId, task: &TaskId) -> Result<Option<Bytes>, Error> {
        self.read_in(logon, target(task), &["Task"]).await
    }

    /// The logon sessions in which tasks can still be found.
    #[must_use]
    pub fn held_logons(&self) -> Vec<LogonId> {
        self.inner.pools.iter().flat_map(|pool| pool.held()).collect()
    }

    /// The list of all tasks that live in a logon session; none when that is gone.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn tasks_in(&self, logon: LogonId) -> Result<Option<Bytes>, Error> {
        self.read_in(logon, "tasks".to_owned(), &["Tasks"]).await
    }

    async fn read_in(
        &self,
        logon: LogonId,
        target: String,
        roots: &'static [&'static str],
    ) -> Result<Option<Bytes>, Error> {
        let Some(lease) = self.lease_in(logon).await? else {
            return Ok(None);
        };
        match call::within(&self.inner.transport, &lease, &target, Call::Read(Class::Read)).await {
            Ok(None) => Ok(None),
            Err(error) if error.is_not_found() => Ok(None),
            Ok(Some(answer)) => Ok(Some(
                documents::decode_for_callers(&self.inner.links, answer.body, roots)
                    .await?
                    .json,
            )),
            Err(error) => Err(error),
        }
    }
}

fn target(task: &TaskId) -> String {
    format!("tasks/{}", escaped(&task.0))
}

fn state(document: &TaskDocument) -> TaskState {
    let word = document.state.as_deref().unwrap_or_default();
    match word.to_ascii_lowercase().as_str() {
        // EM's first answer may say nothing but the task's address.
        "" | "running" => TaskState::Running,
        "operationfinished" => TaskState::OperationFinished,
        "finished" => TaskState::Finished,
        _ => TaskState::Other(word.to_owned()),
    }
}

/// EM accepted a write without naming the task that does the work: what was done is unknown.
pub(super) fn missing_task() -> Error {
    invalid("it accepted the request without naming a task")
}

/// What EM's answer to a write says.
///
/// # Errors
/// It names no task.
pub(super) fn accepted(decoded: &Decoded, logon: LogonId) -> Result<AcceptedTask, Error> {
    let document: TaskDocument = decoded.read()?;
    let state = state(&document);
    let by_href = || {
        let path = paths::below_api(document.href.as_deref()?)?;
        let id = path
            .split(['?', '#'])
            .next()?
            .strip_prefix("tasks/")?
            .trim_end_matches('/')
            .to_owned();
        (!id.is_empty() && !id.contains('/')).then_some(id)
    };
    let task = document.task_id.clone().or_else(by_href).map(TaskId);
    Ok(AcceptedTask {
        task: task.ok_or_else(missing_task)?,
        logon,
        state,
        message: message(document.result.and_then(|result| result.message)),
    })
}

fn view(document: TaskDocument) -> TaskView {
    let state = state(&document);
    let session = document
        .links
        .iter()
        .find(|link| link.leads_to("CloudFailoverSession"));
    let session: Option<EmId> = session.and_then(Link::id);
    let (success, text) = document
        .result
        .map_or((None, None), |result| (result.success, result.message));
    TaskView {
        state,
        success,
        message: message(text),
        session,
    }
}

fn message(text: Option<String>) -> Option<String> {
    text.map(|mut text| {
        super::error::shorten(&mut text);
        text
    })
}
