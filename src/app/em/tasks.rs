//! EM's tasks as a caller sees them: only those of the caller's operations.
//!
//! A task is known within its logon session only, so every address of one carries `?operation=`: the operation knows
//! the session. A task that ended stays readable while its session lives; the operation keeps its end for good.
//!
//! Two callers without a name are not the same caller: one whose token has no name gets an empty list of tasks, and
//! reaches the tasks of other nameless callers by their operations only, with the scopes that operations need.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Document;
use crate::app::audit::Told;
use crate::app::{App, Error, OpContext};
use crate::domain::access::Scope;
use crate::domain::audit::AuditAction;
use crate::domain::id::{LogonId, OperationId};
use crate::domain::links::Links;
use crate::domain::operation::{Operation, OperationKind, OperationState, OperationTask};
use crate::mirror::MirrorRequest;

/// The most operations whose tasks are listed, newest first.
const MOST: i64 = 500;

const GONE: Error = Error::NotFound {
    what: "the task, which is gone or belongs to another caller's operation,",
};

impl App {
    /// The task that `request` names by its id and its operation, as EM has it now.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is gone or not the caller's; [`Error::Upstream`], [`Error::Store`].
    pub async fn em_task(&self, context: &OpContext, request: &MirrorRequest) -> Result<Document, Error> {
        let operation = self
            .own_operation(context, request, Scope::OperationsRead)
            .await?;
        let (id, task) = (operation.id, operation.task.ok_or(GONE)?);
        let logon = task.logon.ok_or(GONE)?;
        self.adopt_logon(logon).await?;
        let json = self.em.task_document(logon, &task.id).await?.ok_or(GONE)?;
        Ok(Document {
            root: "Task",
            json: self.addressed(&json, id),
            source: None,
        })
    }

    /// Removes the task that `request` names: cancels its operation, as `POST /operations/{id}/cancel` does; when that
    /// has ended, removes the task alone.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is gone or not the caller's, [`Error::NeedsScope`] when it is that of an operation
    /// that was not requested through the mirror, and those of [`App::cancel`].
    pub async fn em_remove_task(
        &self,
        context: &OpContext,
        request: &MirrorRequest,
    ) -> Result<OperationId, Error> {
        let operation = self
            .own_operation(context, request, Scope::OperationsCancel)
            .await?;
        // The mirror's scope can cancel what it can start; a failover needs the scope of the curated route, as its
        // start did.
        if operation.kind != OperationKind::Em && !context.caller.may(Scope::OperationsCancel) {
            return Err(Error::NeedsScope(Scope::OperationsCancel));
        }
        if operation.state != OperationState::Finished {
            match self.cancel(context, operation.id).await {
                // It has ended since it was read: its task is what is left.
                Err(Error::OperationFinished(_)) => {}
                cancelled => return Ok(cancelled?.operation.id),
            }
        }
        let told = Told::of_operation(&operation);
        let task = operation.task.ok_or(GONE)?;
        let logon = task.logon.ok_or(GONE)?;
        let mut tx = self.store.begin().await?;
        tx.audit(context, AuditAction::TaskRemove, told);
        tx.commit().await?;
        if self.em.remove_task(logon, &task.id).await? {
            Ok(operation.id)
        } else {
            Err(GONE)
        }
    }

    /// The caller's own tasks that EM still has, newest first.
    ///
    /// # Errors
    /// [`Error::Upstream`], [`Error::Store`].
    pub async fn em_tasks(&self, context: &OpContext, request: &MirrorRequest) -> Result<Document, Error> {
        let operations = match &context.caller.name {
            Some(name) => {
                // EM has dropped the tasks of all other sessions.
                let held = self.em.held_logons();
                self.store
                    .operations_with_tasks(context.tenancy(), name, &held, MOST)
                    .await?
            }
            None => Vec::new(),
        };
        let known = self.tasks_of(&operations).await?;
        let own: Vec<Value> = operations
            .iter()
            .filter_map(|operation| {
                let task = operation.task.as_ref()?;
                let mut found = known.get(&key(task)?)?.clone();
                point(self.em.links(), &mut found, operation.id);
                Some(found)
            })
            .collect();
        let document = if request.operation.query.is_some() {
            query_result(self.em.links(), request, &own)
        } else {
            json!({"items": own, "page": {"size": own.len(), "next": null, "previous": null}})
        };
        Ok(Document {
            root: if request.operation.query.is_some() {
                "QueryResult"
            } else {
                "Tasks"
            },
            json: document.to_string().into(),
            source: None,
        })
    }

    /// The tasks of these operations that EM still has: one request for each logon session.
    async fn tasks_of(&self, operations: &[Operation]) -> Result<HashMap<(LogonId, String), Value>, Error> {
        let mut logons: Vec<LogonId> = Vec::new();
        for logon in operations
            .iter()
            .filter_map(|operation| operation.task.as_ref()?.logon)
        {
            if !logons.contains(&logon) {
                logons.push(logon);
            }
        }
        let mut tasks = HashMap::new();
        for logon in logons {
            self.adopt_logon(logon).await?;
            let Some(json) = self.em.tasks_in(logon).await? else {
                continue;
            };
            let list: Value =
                serde_json::from_slice(&json).map_err(|_| Error::Internal("a list of tasks is no JSON"))?;
            for task in list.get("items").and_then(Value::as_array).into_iter().flatten() {
                if let Some(id) = task.get("taskId").and_then(Value::as_str) {
                    tasks.insert((logon, id.to_lowercase()), task.clone());
                }
            }
        }
        Ok(tasks)
    }

    /// The document with the operation in every address of a task; unchanged where it is no JSON.
    #[must_use]
    pub fn addressed(&self, json: &Bytes, operation: OperationId) -> Bytes {
        match serde_json::from_slice::<Value>(json) {
            Ok(mut value) => {
                point(self.em.links(), &mut value, operation);
                value.to_string().into()
            }
            Err(_) => json.clone(),
        }
    }

    /// The operation that `request` names, if it is the caller's and has that task. Where neither has a name, `nameless`
    /// is the scope that gives access to every operation.
    async fn own_operation(
        &self,
        context: &OpContext,
        request: &MirrorRequest,
        nameless: Scope,
    ) -> Result<Operation, Error> {
        let named = match request.operation_id {
            Some(id) => self.store.operation(id, context.tenancy()).await?,
            None => None,
        };
        let own = |operation: &Operation| {
            let task = operation.task.as_ref();
            let id = request.path_values.first();
            let by_caller = match (&operation.requested_by, &context.caller.name) {
                (Some(name), Some(caller)) => name == caller,
                (None, None) => context.caller.may(nameless),
                (Some(_), None) | (None, Some(_)) => false,
            };
            by_caller
                && task
                    .zip(id)
                    .is_some_and(|(task, id)| task.id.0.eq_ignore_ascii_case(id))
        };
        named.filter(own).ok_or(GONE)
    }
}

fn is_task(links: &Links, href: &str) -> bool {
    links
        .below_mirror(href)
        .is_some_and(|path| path.starts_with("/tasks/"))
}

fn key(task: &OperationTask) -> Option<(LogonId, String)> {
    Some((task.logon?, task.id.0.to_lowercase()))
}

/// A page of a query for tasks, in the requested form.
fn query_result(links: &Links, request: &MirrorRequest, own: &[Value]) -> Value {
    let (size, number) = (request.listing.size, request.listing.page);
    let total = own.len().div_ceil(size as usize);
    let form = if request.listing.entities {
        "Entities"
    } else {
        "References"
    };
    let mirror = links.mirror();
    let at = |page: usize| format!("{mirror}/query?type=Task&format={form}&pageSize={size}&page={page}");
    let number = number as usize;
    let items: Vec<Value> = own
        .iter()
        .skip((number - 1).saturating_mul(size as usize))
        .take(size as usize)
        .map(|task| {
            if request.listing.entities {
                task.clone()
            } else {
                json!({"name": task.get("taskId"), "href": task.get("href"), "type": "TaskReference", "links": []})
            }
        })
        .collect();
    json!({"items": items, "page": {
        "size": size, "number": number, "total": total,
        "next": (number < total).then(|| at(number + 1)),
        "previous": (number > 1 && total > 0).then(|| at((number - 1).min(total))),
    }})
}

fn point(links: &Links, value: &mut Value, operation: OperationId) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(href) if name == "href" && is_task(links, href) => {
                        let mark = if href.contains('?') { '&' } else { '?' };
                        href.push_str(&format!("{mark}operation={operation}"));
                    }
                    other => point(links, other, operation),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point(links, item, operation)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
