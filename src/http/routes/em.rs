//! The mirror: every operation of Enterprise Manager's catalogue under one route, which the catalogue tells apart.
//!
//! Documents leave as the bytes that the transcoder made, with a strong entity tag; files pass as they come.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use utoipa_axum::router::OpenApiRouter;

use crate::app::em::{Ask, Document, Download, Kind};
use crate::catalogue;
use crate::domain::access::{Caller, Scope};
use crate::http::Edge;

use crate::http::extract::{Conditions, value_tag};
use crate::http::layers::Verbatim;
use crate::http::problem::Problem;

/// Where the mirror begins.
const ROOT: &str = "/api/v1/em";

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .route(ROOT, any(mirror))
        .route("/api/v1/em/", any(mirror))
        .route("/api/v1/em/{*path}", any(mirror))
}

async fn mirror(
    State(edge): State<Edge>,
    Extension(caller): Extension<Caller>,
    conditions: Conditions,
    request: Request,
) -> Result<Response, Problem> {
    let method = match *request.method() {
        Method::GET | Method::HEAD => catalogue::Method::Get,
        Method::POST => catalogue::Method::Post,
        Method::PUT => catalogue::Method::Put,
        Method::DELETE => catalogue::Method::Delete,
        _ => return other_method(&caller, request.method(), request.uri()),
    };
    let scope = match method {
        catalogue::Method::Get => Scope::EmRead,
        catalogue::Method::Post | catalogue::Method::Put | catalogue::Method::Delete => Scope::EmWrite,
    };
    allowed(&caller, scope)?;
    let ask = asked(method, request.uri())?;
    read(&edge, &ask, &conditions).await
}

/// Refuses a caller who lacks `scope`.
fn allowed(caller: &Caller, scope: Scope) -> Result<(), Problem> {
    if caller.may(scope) {
        Ok(())
    } else {
        Err(Problem::needs_scope(
            scope,
            format!("this needs the scope {scope}"),
        ))
    }
}

fn asked(method: catalogue::Method, uri: &Uri) -> Result<Ask, Problem> {
    let path = uri.path().strip_prefix(ROOT).unwrap_or_default();
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    Ok(Ask::read(method, path, &query)?)
}

/// Methods that Enterprise Manager has nowhere; only callers who may look at the mirror learn what it has.
fn other_method(caller: &Caller, method: &Method, uri: &Uri) -> Result<Response, Problem> {
    if !caller.may(Scope::EmWrite) {
        allowed(caller, Scope::EmRead)?;
    }
    let path = uri.path().strip_prefix(ROOT).unwrap_or_default();
    let problem = Problem::no_such_method(&crate::app::em::methods(path)?);
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

async fn read(edge: &Edge, ask: &Ask, conditions: &Conditions) -> Result<Response, Problem> {
    match ask.kind {
        Kind::Document => Ok(document(&edge.app().em_read(ask).await?, conditions)),
        Kind::Download => Ok(download(edge.app().em_download(ask).await?)),
        Kind::Tasks | Kind::Task => Ok(document(&edge.app().em_read(ask).await?, conditions)),
    }
}

/// A document with its entity tag, or 304. It may be kept by the caller and has to be asked for again.
fn document(document: &Document, conditions: &Conditions) -> Response {
    let tag = value_tag(&document.json);
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
    response.extensions_mut().insert(Verbatim);
    response
}
