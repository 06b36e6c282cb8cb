//! The mirror: every operation of Enterprise Manager's catalogue under one route; the catalogue distinguishes them.
//!
//! A write is answered with Enterprise Manager's answer and the address of its operation, which alone shows the outcome
//! where none was received. Documents leave as the bytes that the transcoder made, with a strong entity tag; files are
//! passed on unchanged.

use axum::body::Body;
use axum::extract::{FromRequest as _, FromRequestParts as _, Request, State};
use axum::http::header::{
    ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, LINK, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;

use super::reply::answer;
use crate::app::em::{Document, Download, Unchanged, WriteRequest, WriteResponse};
use crate::app::{self, OpContext};
use crate::catalogue;
use crate::domain::access::{Caller, Scope};
use crate::domain::id::OperationId;
use crate::domain::links::MIRROR;
use crate::http::HttpState;
use crate::http::auth::{permit_mirror, take_action};
use crate::http::extract::{Conditions, Idempotency, Preferences, RawJson, json_etag, pairs};
use crate::http::failures;
use crate::http::layers::NoCompression;
use crate::http::problem::Problem;
use crate::http::remembered::{Answer, Asked, Basis};
use crate::http::routing::Routes;
use crate::mirror::{self, Kind, MirrorRequest};

pub(super) fn routes() -> Routes {
    Routes::default()
        .undocumented(MIRROR, any(mirror))
        .undocumented("/api/v1/em/", any(mirror))
        .undocumented("/api/v1/em/{*path}", any(mirror))
}

async fn mirror(
    State(state): State<HttpState>,
    context: OpContext,
    conditions: Result<Conditions, Problem>,
    wait: Preferences,
    asked: Asked,
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
    permit_mirror(&context.caller, scope)?;
    let wanted = mirror_request(method, request.uri())?;
    let conditions = conditions?;
    if method == catalogue::Method::Get {
        return read(&state, &context, &wanted, &conditions, &asked).await;
    }
    if let Some(verb) = wanted.plan_verb() {
        permit_mirror(&context.caller, verb.scope())?;
    }
    take_action(request.extensions())?;
    // Beside, since every read would be as large as a write.
    Box::pin(write(&state, &context, &wanted, conditions, wait, request)).await
}

fn mirror_request(method: catalogue::Method, uri: &Uri) -> Result<MirrorRequest, Problem> {
    let path = uri.path().strip_prefix(MIRROR).unwrap_or_default();
    let query = pairs(uri.query().unwrap_or_default())?;
    Ok(MirrorRequest::parse(method, path, &query).map_err(app::Error::from)?)
}

/// Methods that no resource of Enterprise Manager has; only callers who may read the mirror learn which it has.
fn other_method(caller: &Caller, method: &Method, uri: &Uri) -> Result<Response, Problem> {
    permit_mirror(caller, Scope::EmWrite).or_else(|_| permit_mirror(caller, Scope::EmRead))?;
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
    state: &HttpState,
    context: &OpContext,
    wanted: &MirrorRequest,
    conditions: &Conditions,
    asked: &Asked,
) -> Result<Response, Problem> {
    let app = state.app();
    let document = match wanted.kind {
        Kind::Document => app.em_read(context, wanted).await?,
        Kind::Download => return Ok(download(Box::pin(app.em_download(context, wanted)).await?)),
        Kind::Tasks => Box::pin(app.em_tasks(context, wanted)).await?,
        Kind::Task => Box::pin(app.em_task(context, wanted)).await?,
    };
    let basis = (document.source.clone()).map(|source| Basis::reads(vec![source]));
    let making = async { Ok(shown(&document)) };
    let answer = state.answers().of(context.tenancy(), asked, basis, making);
    Ok(answer.await?.unless_known(conditions, asked))
}

async fn write(
    state: &HttpState,
    context: &OpContext,
    wanted: &MirrorRequest,
    conditions: Conditions,
    wait: Preferences,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let idempotency = Idempotency::from_request_parts(&mut parts, state).await?;
    let body = RawJson::from_request(Request::from_parts(parts, body), state).await?;
    if wanted.kind == Kind::Task {
        return remove_task(state, context, wanted, &body).await;
    }
    let target = format!("{MIRROR}/{}", wanted.key_target());
    let request = WriteRequest {
        body: body.bytes,
        idempotency: idempotency.on(target).of(body.value),
        unchanged: unchanged(&conditions),
    };
    let submitted = state
        .app()
        .em_write(context, wanted, request)
        .await
        .map_err(failures::of_action)?;
    match &submitted.response {
        // A caller that waits for the end gets the operation, which alone shows it.
        Some(response) if response.task.is_none() || wait.left().is_none() => {
            Ok(write_response(state, response, submitted.operation.id))
        }
        _ => answer(state, context, &submitted, wait, None).await,
    }
}

/// Removing a task is cancelling its operation, with Enterprise Manager's own answer.
async fn remove_task(
    state: &HttpState,
    context: &OpContext,
    wanted: &MirrorRequest,
    body: &RawJson,
) -> Result<Response, Problem> {
    if body.bytes.is_some() {
        return Err(Problem::fault("", "this request has no body"));
    }
    let operation = state
        .app()
        .em_remove_task(context, wanted)
        .await
        .map_err(failures::of_action)?;
    let location = [(LOCATION, address(state, operation))];
    Ok((StatusCode::NO_CONTENT, location).into_response())
}

/// Enterprise Manager's answer to a write, and where its operation is.
fn write_response(state: &HttpState, response: &WriteResponse, operation: OperationId) -> Response {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::OK);
    let response = match &response.document {
        Some(document) => {
            let json = if response.task.is_some() {
                state.app().addressed(&document.json, operation)
            } else {
                document.json.clone()
            };
            (status, [(CONTENT_TYPE, "application/json")], Body::from(json)).into_response()
        }
        None => status.into_response(),
    };
    let address = address(state, operation);
    if status == StatusCode::CREATED {
        // Location would name what was made (RFC 9110 section 10.2.2), which EM does not say.
        let link = format!("<{address}>; rel=\"related\"; title=\"operation\"");
        return ([(LINK, link)], response).into_response();
    }
    ([(LOCATION, address)], response).into_response()
}

fn address(state: &HttpState, operation: OperationId) -> String {
    state.links().api(&format!("/operations/{operation}"))
}

/// Whether a document is still what the caller saw; none where the caller does not say.
fn unchanged(conditions: &Conditions) -> Option<Unchanged> {
    let tags = conditions.expected()?.to_vec();
    Some(Box::new(move |json| tags.contains(&json_etag(json))))
}

/// A document with its entity tag. A caller may cache it and has to revalidate.
fn shown(document: &Document) -> Answer {
    let answer = Answer::of(document.json.clone()).tagged(&json_etag(&document.json));
    answer.cached_as(HeaderValue::from_static("private, no-cache"))
}

/// A file's bytes, unchanged. A browser must not run a guest's file in the gateway's origin.
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
