//! Operations: what the gateway was asked to do.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::uri::PathAndQuery;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::lists::{CursorParams, Log};
use super::paths::{OperationPath, TicketParam};
use super::reply::{Accepted, answer, shown};
use crate::api_types::actions::{DecisionOptions, Reason};
use crate::api_types::operations::Operation;
use crate::api_types::page::Page;
use crate::app::OpContext;
use crate::app::OperationFilter;
use crate::domain::access::Scope;
use crate::domain::id::{EmId, OperationId};
use crate::domain::operation::{OperationKind, OperationState};
use crate::http::HttpState;
use crate::http::answers::{BODY, STORED, UPSTREAM_WRITE};
use crate::http::codes::Code;
use crate::http::extract::{Choices, EnumParam, Id, IdFilter, NoBody, OptionalJson, Preferences, Query};
use crate::http::failures;
use crate::http::layers::ASK_AGAIN;
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::remembered::{Answer, Asked, Basis};
use crate::http::routing::{Routes, route};

/// What a cancellation may end in.
const CANCEL_PROBLEMS: &[&[Code]] = &[
    UPSTREAM_WRITE,
    BODY,
    &[Code::OperationFinished, Code::NotCancellable],
];

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(require_scope(
            Scope::OperationsRead,
            &[STORED],
            route!(list_operations),
        ))
        .with(require_scope(
            Scope::OperationsRead,
            &[STORED],
            route!(get_operation),
        ))
        .with(require_scope(
            Scope::OperationsRead,
            &[STORED, &[Code::OperationFailed]],
            route!(get_operation_result),
        ))
        .with(require_scope(
            Scope::OperationsCancel,
            CANCEL_PROBLEMS,
            route!(cancel_operation),
        ))
        .with(require_scope(
            Scope::PlansApprove,
            APPROVAL_PROBLEMS,
            route!(approve_operation),
        ))
        .with(require_scope(
            Scope::PlansApprove,
            DECISION_PROBLEMS,
            route!(reject_operation),
        ))
}

/// What a decision may end in.
const DECISION_PROBLEMS: &[&[Code]] = &[STORED, &[Code::OperationFinished, Code::SelfApproval]];

/// What an approval may end in: the last one submits.
const APPROVAL_PROBLEMS: &[&[Code]] = &[
    UPSTREAM_WRITE,
    &[
        Code::OperationFinished,
        Code::SelfApproval,
        Code::PlanBusy,
        Code::PlanChanged,
        Code::PolicyDenied,
    ],
];

impl EnumParam for OperationState {
    fn words() -> Vec<&'static str> {
        OperationState::ALL.iter().map(|state| state.as_str()).collect()
    }

    fn parse(word: &str) -> Option<Self> {
        OperationState::parse(word)
    }
}

impl EnumParam for OperationKind {
    fn words() -> Vec<&'static str> {
        OperationKind::ALL.iter().map(|kind| kind.as_str()).collect()
    }

    fn parse(word: &str) -> Option<Self> {
        OperationKind::parse(word)
    }
}

/// The documented results of an operation.
#[derive(Debug, Clone)]
struct Outcome(String);

impl EnumParam for Outcome {
    fn words() -> Vec<&'static str> {
        vec!["success", "warning", "failed", "cancelled"]
    }

    fn parse(word: &str) -> Option<Self> {
        Self::words().contains(&word).then(|| Self(word.to_owned()))
    }
}

type States = Choices<OperationState>;
type Results = Choices<Outcome>;
type Kinds = Choices<OperationKind>;
type PlanId = IdFilter<EmId>;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct OperationQuery {
    /// Only these states, separated by commas.
    #[param(inline, style = Form, explode = false)]
    state: Option<States>,
    /// Only these results, separated by commas.
    #[param(inline, style = Form, explode = false)]
    result: Option<Results>,
    /// Only these kinds, separated by commas.
    #[param(inline, style = Form, explode = false)]
    kind: Option<Kinds>,
    /// Only operations on this plan.
    #[param(inline)]
    plan_id: Option<PlanId>,
}

impl From<OperationQuery> for OperationFilter {
    fn from(query: OperationQuery) -> Self {
        let results = query.result.unwrap_or_default().0;
        Self {
            states: query.state.unwrap_or_default().0,
            results: results.into_iter().map(|outcome| outcome.0).collect(),
            kinds: query.kind.unwrap_or_default().0,
            plan: query.plan_id.map(|id| id.0),
        }
    }
}

/// List operations
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/operations", operation_id = "listOperations", tag = "operations",
    params(OperationQuery, CursorParams), responses((status = 200, description = "A page of operations.", body = Page<Operation>)))]
async fn list_operations(
    State(state): State<HttpState>,
    context: OpContext,
    Query(query): Query<OperationQuery>,
    log: Log<OperationId>,
    asked: Asked,
) -> Result<Response, Problem> {
    let (app, filter) = (state.app(), query.into());
    let basis = Basis::default().and_store(app.store_revision());
    let making = async {
        let page = app.operations(&context, &filter, log.from, log.size).await?;
        Answer::json(&log.page(state.links(), &page, |view| shown(&state, view)).0)
    };
    let answer = state.answers().of(context.tenancy(), &asked, basis, making);
    Ok(answer.await?.response(&asked))
}

/// Read an operation
///
/// With `Prefer: wait=SECONDS` the answer comes when the operation ends, or when the wait is over.
#[utoipa::path(get, path = "/api/v1/operations/{operationId}", operation_id = "getOperation", tag = "operations",
    params(OperationPath, TicketParam, ("Prefer" = Option<String>, Header, description = "`wait=SECONDS` waits until the operation ends.", example = "wait=30")),
    responses((status = 200, description = "The operation's current state.", body = Operation,
        headers(("Preference-Applied" = String, description = "The wait that was granted."),
            ("Retry-After" = i64, description = "Seconds after which to ask again, while it is open.")))))]
async fn get_operation(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    wait: Preferences,
) -> Result<Response, Problem> {
    let view = match wait.left() {
        Some(left) => state.app().await_operation(&context, id, left).await?,
        None => state.app().operation(&context, id).await?,
    };
    let again = view
        .operation
        .state
        .is_open()
        .then_some([(RETRY_AFTER, ASK_AGAIN)]);
    Ok(wait.applied((again, Json(shown(&state, &view))).into_response()))
}

/// How an operation may end that a caller calls a failure.
#[derive(Debug, Clone)]
struct FailedEnd(String);

impl EnumParam for FailedEnd {
    fn words() -> Vec<&'static str> {
        vec!["warning", "failed", "cancelled", "unknown"]
    }

    fn parse(word: &str) -> Option<Self> {
        Self::words().contains(&word).then(|| Self(word.to_owned()))
    }
}

type FailedEnds = Choices<FailedEnd>;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ResultQuery {
    /// The results, and the state `unknown`, that are answered with 409, separated by commas.
    #[param(inline, style = Form, explode = false)]
    fail_on: Option<FailedEnds>,
}

/// Wait for the result of an operation
///
/// For callers who poll: 202 with this address while the operation is open, 200 when it has ended, however it ended. Never a
/// redirect. With `failOn` an end of that kind is 409, so that a step of a workflow fails by itself. With
/// `Prefer: wait=SECONDS` the answer comes when the operation ends, or when the wait is over.
#[utoipa::path(get, path = "/api/v1/operations/{operationId}/result", operation_id = "getOperationResult", tag = "operations",
    params(OperationPath, ResultQuery, TicketParam, ("Prefer" = Option<String>, Header, description = "`wait=SECONDS` waits until the operation ends.", example = "wait=30")),
    responses(
        (status = 200, description = "The operation, which has ended.", body = Operation,
            headers(("Preference-Applied" = String, description = "The wait that was granted."))),
        (status = 202, description = "The operation, which is open.", body = Operation,
            headers(("Location" = String, description = "This address."), ("Preference-Applied" = String, description = "The wait that was granted."))),
    ))]
async fn get_operation_result(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    Query(query): Query<ResultQuery>,
    wait: Preferences,
    uri: Uri,
) -> Result<Response, Problem> {
    let view = match wait.left() {
        Some(left) => state.app().await_operation(&context, id, left).await?,
        None => state.app().operation(&context, id).await?,
    };
    let body = shown(&state, &view);
    if view.operation.state.is_open() {
        let this = uri.path_and_query().map_or(uri.path(), PathAndQuery::as_str);
        let location = state.links().to(this);
        return Ok(wait.applied(Accepted { location, body }.into_response()));
    }
    let ended = match view.operation.state {
        OperationState::Unknown => Some("unknown"),
        _ => body.result.as_deref(),
    };
    let failures = query.fail_on.unwrap_or_default().0;
    match ended.map(ToOwned::to_owned) {
        Some(word) if failures.iter().any(|end| end.0 == word) => Err(Problem::failed_operation(body, &word)),
        Some(_) | None => Ok(wait.applied(Json(body).into_response())),
    }
}

/// Cancel an operation
///
/// Asks Enterprise Manager to remove the operation's task. Work on the backup server may continue; the operation
/// records what is known. If it has a session, the session's result decides. An operation that waits for approval ends at
/// once.
#[utoipa::path(post, path = "/api/v1/operations/{operationId}/cancel", operation_id = "cancelOperation",
    tag = "operations",
    params(OperationPath),
    responses((status = 202, description = "Cancellation requested; see `cancelRequestedAt`.", body = Operation,
        headers(("Location" = String, description = "The operation's address.")))))]
async fn cancel_operation(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    NoBody: NoBody,
) -> Result<Accepted<Operation>, Problem> {
    let cancelled = state.app().cancel(&context, id).await;
    let body = shown(&state, &cancelled.map_err(failures::of_action)?);
    Ok(Accepted {
        location: body.links.this.clone(),
        body,
    })
}

/// Approve an operation that waits
///
/// The last approval that a policy asks for submits the operation at once, with the checks of a new request made again: the
/// plan must be there, unchanged since the request, and not busy, and the policy's window must be open. Neither the requester
/// nor an earlier approver may approve.
#[utoipa::path(post, path = "/api/v1/operations/{operationId}/approve", operation_id = "approveOperation",
    tag = "operations",
    params(OperationPath, ("Prefer" = Option<String>, Header,
        description = "`wait=SECONDS` waits until the operation ends; `respond-async`, and `ticket` beside it, as for an action.", example = "wait=30")),
    request_body = Option<DecisionOptions>,
    responses(
        (status = 202, description = "Approved: `awaitingApproval` when more approvals are needed, otherwise submitted.", body = Operation,
            headers(("Location" = String, description = "The operation's address; with `respond-async` that of its result."),
                ("Preference-Applied" = String, description = "What was granted of the preferences."))),
        (status = 200, description = "Approved, and the operation has ended.", body = Operation,
            headers(("Location" = String, description = "The operation's address; with `respond-async` that of its result."),
                ("Preference-Applied" = String, description = "What was granted of the preferences."))),
    ))]
async fn approve_operation(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    wait: Preferences,
    body: OptionalJson<DecisionOptions>,
) -> Result<Response, Problem> {
    let approved = state.app().approve(&context, id, comment(body)).await;
    let approved = approved.map_err(failures::of_action)?;
    answer(&state, &context, &approved, wait, None).await
}

/// Reject an operation that waits
///
/// It ends as `cancelled`, without having been sent. Neither the requester, who can cancel it, nor an earlier approver may
/// reject.
#[utoipa::path(post, path = "/api/v1/operations/{operationId}/reject", operation_id = "rejectOperation",
    tag = "operations",
    params(OperationPath),
    request_body = Option<DecisionOptions>,
    responses((status = 200, description = "The operation, which has ended.", body = Operation,
        headers(("Location" = String, description = "The operation's address.")))))]
async fn reject_operation(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    body: OptionalJson<DecisionOptions>,
) -> Result<Response, Problem> {
    let rejected = state.app().reject(&context, id, comment(body)).await?;
    let view = state.app().with_session(&context, rejected.operation).await?;
    let body = shown(&state, &view);
    Ok(([(LOCATION, body.links.this.clone())], Json(body)).into_response())
}

fn comment(body: OptionalJson<DecisionOptions>) -> Option<String> {
    let options = body.typed.unwrap_or_default();
    options.comment.map(Reason::into_inner)
}
