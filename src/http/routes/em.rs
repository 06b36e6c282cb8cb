//! The mirror: every operation of Enterprise Manager's catalogue under one route, which the catalogue tells apart.
//!
//! A write answers what Enterprise Manager answered and where its operation is; what became of a write whose outcome
//! is not known is told by the operation itself. Documents leave as the bytes that the transcoder made, with a strong entity tag; files pass as they come.

use axum::body::Body;
use axum::extract::{FromRequest as _, FromRequestParts as _, Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, LINK, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use utoipa_axum::router::OpenApiRouter;

use super::reply::{answer, located};
use crate::app::em::{Document, Download, Unchanged, WriteRequest, WriteResponse};
use crate::app::{self, OpContext};
use crate::catalogue;
use crate::domain::access::{Caller, Scope};
use crate::domain::id::OperationId;
use crate::domain::links::MIRROR;
use crate::http::HttpState;
use crate::http::extract::{Conditions, Idempotency, RawJson, Wait, json_etag, pairs};
use crate::http::failures;
use crate::http::layers::NoCompression;
use crate::http::problem::Problem;
use crate::mirror::{self, Kind, MirrorRequest};

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::default()
        .route(MIRROR, any(mirror))
        .route("/api/v1/em/", any(mirror))
        .route("/api/v1/em/{*path}", any(mirror))
}

async fn mirror(
    State(edge): State<HttpState>,
    context: OpContext,
    conditions: Result<Conditions, Problem>,
    wait: Wait,
    request: Request,
) -> Result<Response, Problem> {
    let method = match *request.method() {
        Method::GET | Method::HEAD => catalogue::Method::Get,
        Method::POST => catalogue::Method::Post,
        Method::PUT => catalogue::Method::Put,
        Method::DELETE => catalogue::Method::Delete,
        _ => return other_method(&context.caller, request.method(), request.uri()),
    };
    let scope = match method {
        catalogue::Method::Get => Scope::EmRead,
        catalogue::Method::Post | catalogue::Method::Put | catalogue::Method::Delete => Scope::EmWrite,
    };
    allowed(&context.caller, scope)?;
    let ask = asked(method, request.uri())?;
    let conditions = conditions?;
    if method == catalogue::Method::Get {
        return read(&edge, &context, &ask, &conditions).await;
    }
    if let Some(verb) = ask.plan_verb() {
        allowed(&context.caller, verb.scope())?;
    }
    write(&edge, &context, &ask, conditions, wait, request).await
}

/// Refuses a caller who lacks `scope`.
fn allowed(caller: &Caller, scope: Scope) -> Result<(), Problem> {
    if caller.may(scope) {
        Ok(())
    } else {
        Err(Problem::lacks_scope(scope))
    }
}

fn asked(method: catalogue::Method, uri: &Uri) -> Result<MirrorRequest, Problem> {
    let path = uri.path().strip_prefix(MIRROR).unwrap_or_default();
    let query = pairs(uri.query().unwrap_or_default())?;
    Ok(MirrorRequest::parse(method, path, &query).map_err(app::Error::from)?)
}

/// Methods that Enterprise Manager has nowhere; only callers who may look at the mirror learn what it has.
fn other_method(caller: &Caller, method: &Method, uri: &Uri) -> Result<Response, Problem> {
    if !caller.may(Scope::EmWrite) {
        allowed(caller, Scope::EmRead)?;
    }
    let path = uri.path().strip_prefix(MIRROR).unwrap_or_default();
    let problem = Problem::no_such_method(&mirror::methods(path).map_err(app::Error::from)?);
    if method == Method::OPTIONS {
        let allow = problem.header(&ALLOW).cloned();
        let mut response = StatusCode::NO_CONTENT.into_response();
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, allow);
        }
        return Ok(response);
    }
    Err(problem)
}

async fn read(
    edge: &HttpState,
    context: &OpContext,
    ask: &MirrorRequest,
    conditions: &Conditions,
) -> Result<Response, Problem> {
    match ask.kind {
        Kind::Document => Ok(document(&edge.app().em_read(context, ask).await?, conditions)),
        Kind::Download => Ok(download(edge.app().em_download(context, ask).await?)),
        Kind::Tasks => Ok(document(&edge.app().em_tasks(context, ask).await?, conditions)),
        Kind::Task => Ok(document(&edge.app().em_task(context, ask).await?, conditions)),
    }
}

async fn write(
    edge: &HttpState,
    context: &OpContext,
    ask: &MirrorRequest,
    conditions: Conditions,
    wait: Wait,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let idempotency = Idempotency::from_request_parts(&mut parts, edge).await?;
    let body = RawJson::from_request(Request::from_parts(parts, body), edge).await?;
    if ask.kind == Kind::Task {
        return remove_task(edge, context, ask, &body).await;
    }
    let target = format!("{MIRROR}/{}", ask.key_target());
    let request = WriteRequest {
        body: body.bytes,
        idempotency: idempotency.on(target).of(body.value),
        unchanged: unchanged(&conditions),
    };
    let submitted = edge
        .app()
        .em_write(context, ask, request)
        .await
        .map_err(failures::of_action)?;
    match &submitted.response {
        // Who waits for the end wants to hear of the end, which only the operation tells.
        Some(response) if response.task.is_none() || wait.left().is_none() => {
            Ok(write_response(edge, response, submitted.operation.id))
        }
        _ => answer(edge, context, &submitted, wait, None).await,
    }
}

/// Removing a task is cancelling its operation, with Enterprise Manager's own answer.
async fn remove_task(
    edge: &HttpState,
    context: &OpContext,
    ask: &MirrorRequest,
    body: &RawJson,
) -> Result<Response, Problem> {
    if body.bytes.is_some() {
        return Err(Problem::fault("", "this takes no body"));
    }
    let operation = edge
        .app()
        .em_remove_task(context, ask)
        .await
        .map_err(failures::of_action)?;
    let response = StatusCode::NO_CONTENT.into_response();
    Ok(located(response, &address(edge, operation)))
}

/// Enterprise Manager's answer to a write, and where its operation is.
fn write_response(edge: &HttpState, response: &WriteResponse, operation: OperationId) -> Response {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::OK);
    let response = match &response.document {
        Some(document) => {
            let json = if response.task.is_some() {
                edge.app().addressed(&document.json, operation)
            } else {
                document.json.clone()
            };
            (status, [(CONTENT_TYPE, "application/json")], Body::from(json)).into_response()
        }
        None => status.into_response(),
    };
    if status == StatusCode::CREATED {
        // Location would name what was made (RFC 9110 section 10.2.2), which EM does not tell.
        return linked(response, &address(edge, operation));
    }
    located(response, &address(edge, operation))
}

fn address(edge: &HttpState, operation: OperationId) -> String {
    edge.links().api(&format!("/operations/{operation}"))
}

fn linked(mut response: Response, address: &str) -> Response {
    let link = format!("<{address}>; rel=\"related\"; title=\"operation\"");
    if let Ok(link) = HeaderValue::from_str(&link) {
        response.headers_mut().insert(LINK, link);
    }
    response
}

/// Whether a document is still what the caller saw; none where the caller does not say.
fn unchanged(conditions: &Conditions) -> Option<Unchanged> {
    let tags = conditions.expected()?.to_vec();
    Some(Box::new(move |json| tags.contains(&json_etag(json))))
}

/// A document with its entity tag, or 304. It may be kept by the caller and has to be asked for again.
fn document(document: &Document, conditions: &Conditions) -> Response {
    let tag = json_etag(&document.json);
    let response = (
        [(CONTENT_TYPE, "application/json")],
        Body::from(document.json.clone()),
    )
        .into_response();
    let mut response = conditions.tagged(&tag, response);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// A file's bytes as they come. A file from a guest is nothing that a browser may run in our name.
fn download(download: Download) -> Response {
    let mut headers: HeaderMap = download.headers.clone();
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/octet-stream"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = HeaderName::from_static("content-security-policy");
    headers.insert(policy, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.remove(CONTENT_ENCODING);
    let mut response = Response::new(Body::from_stream(download.bytes()));
    *response.headers_mut() = headers;
    response.extensions_mut().insert(NoCompression);
    response
}
