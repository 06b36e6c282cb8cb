//! The columns of an operation, and the operation behind a row and its history.

use std::collections::{BTreeMap, HashMap};

use sqlx::any::AnyRow;

use crate::domain::id::TaskId;
use crate::domain::operation::{
    Failure, FailureSource, HistoryStep, Operation, OperationKind, OperationResult, OperationState,
    OperationTask, ResultSource, TaskState,
};
use crate::store::Error;
use crate::store::engine::Engine;
use crate::store::row::Columns as _;

const COLUMNS: &str = "id, kind, action, plan, target, state, result, result_source, progress, task_id, task_logon, \
     task_state, task_message, session_id, failure_message, failure_source, requested_by, requested_at, finished_at, \
     cancel_requested_at, callback_url, metadata, seen_observation, evidence_deadline, requester_issuer, reason, approval, \
     unsent, on_behalf_of, traceparent";

/// What is read of an operation. An answer that its process cannot get any more, because it is gone, is not due later.
pub(super) fn columns(engine: Engine, own: &str) -> String {
    let gone = engine.is_gone("operations.submitted_by", own);
    format!(
        "{COLUMNS}, case when state = 'submitting' and {gone} then requested_at else answer_due end as answer_due"
    )
}

/// The operation that was asked for: none when there is no row, an error when the row cannot be read.
pub(super) fn one_of(rows: usize, found: Option<Operation>) -> Result<Option<Operation>, Error> {
    if rows > 0 && found.is_none() {
        return Err(Error::Corrupt { what: "operations" });
    }
    Ok(found)
}

fn step_from(row: &AnyRow) -> Result<HistoryStep, Error> {
    Ok(HistoryStep {
        state: OperationState::parse(&row.text("state")?).ok_or(Error::Corrupt {
            what: "operation_history.state",
        })?,
        at: row.at("at")?,
        reason: row.opt_text("reason")?,
    })
}

pub(super) fn operation_from(
    row: &AnyRow,
    histories: &HashMap<String, Vec<AnyRow>>,
) -> Result<Operation, Error> {
    let steps = histories.get(&row.text("id")?);
    let history = steps
        .into_iter()
        .flatten()
        .map(step_from)
        .collect::<Result<_, _>>()?;
    let task = match row.opt_text("task_id")? {
        Some(id) => Some(OperationTask {
            id: TaskId(id),
            logon: row.opt_parsed("task_logon")?,
            state: TaskState::parse(&row.text("task_state")?),
            message: row.opt_text("task_message")?,
        }),
        None => None,
    };
    let failure = match (row.opt_text("failure_message")?, row.opt_text("failure_source")?) {
        (Some(message), Some(source)) => Some(Failure {
            message,
            source: FailureSource::parse(&source).ok_or(Error::Corrupt {
                what: "operations.failure_source",
            })?,
        }),
        _ => None,
    };
    Ok(Operation {
        id: row.parsed("id")?,
        kind: OperationKind::parse(&row.text("kind")?).ok_or(Error::Corrupt {
            what: "operations.kind",
        })?,
        action: row.text("action")?,
        plan: row.opt_document("plan")?,
        target: row.opt_text("target")?,
        state: OperationState::parse(&row.text("state")?).ok_or(Error::Corrupt {
            what: "operations.state",
        })?,
        result: row.opt_text("result")?.map(|word| OperationResult::parse(&word)),
        result_source: row
            .opt_text("result_source")?
            .and_then(|word| ResultSource::parse(&word)),
        progress: row.int("progress")?,
        task,
        session: row.opt_parsed("session_id")?,
        failure,
        requested_by: row.opt_text("requested_by")?,
        requester_issuer: row.opt_text("requester_issuer")?,
        on_behalf_of: row.opt_document("on_behalf_of")?,
        traceparent: row.opt_text("traceparent")?,
        reason: row.opt_text("reason")?,
        approval: row.opt_document("approval")?,
        unsent: row.flag("unsent")?,
        requested_at: row.at("requested_at")?,
        finished_at: row.opt_at("finished_at")?,
        cancel_requested_at: row.opt_at("cancel_requested_at")?,
        callback_url: row.opt_text("callback_url")?,
        metadata: row.document::<BTreeMap<String, String>>("metadata")?,
        seen_observation: row.int("seen_observation")?,
        answer_due: row.at("answer_due")?,
        evidence_deadline: row.at("evidence_deadline")?,
        history,
    })
}
