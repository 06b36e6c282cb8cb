//! Pages for people: the documentation, which works without internet, and the meaning of problem codes.
//!
//! They are not in the OpenAPI document, which is for programs.

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;

use crate::http::HttpState;
use crate::http::codes::ProblemMeaning;
use crate::http::console::CONSOLE;

const INDEX: &str = include_str!("../../../web/docs/index.html");
const INIT: &str = include_str!("../../../web/docs/init.js");
/// The viewer, gzipped as it is kept: a megabyte instead of three and a half, and no work at run time.
const VIEWER: &[u8] = include_bytes!("../../../web/docs/scalar.js.gz");

/// What the page may do: its own scripts, its own connections, nothing from anywhere else.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    connect-src 'self'; font-src 'self' data:; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
const PLAIN_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn routes() -> Router<HttpState> {
    Router::new()
        .route("/", get(root))
        .route("/docs", get(|| async { page(DOCS_POLICY, INDEX) }))
        .route("/docs/", get(with_slash))
        .route("/docs/init.js", get(|| async { script(INIT.as_bytes(), None) }))
        .route("/docs/scalar.js", get(|| async { script(VIEWER, Some("gzip")) }))
}

/// To the console; to the documentation where there is none.
async fn root(State(state): State<HttpState>) -> Redirect {
    let page = if state.config().console.enabled {
        CONSOLE
    } else {
        "/docs"
    };
    Redirect::temporary(&state.links().to(page))
}

/// The page's own addresses are relative to `/docs`.
async fn with_slash(State(state): State<HttpState>) -> Redirect {
    match state.links().base() {
        Some(base) => Redirect::permanent(&format!("{base}/docs")),
        None => Redirect::permanent("../docs"),
    }
}

fn page(policy: &'static str, text: impl Into<axum::body::Body>) -> Response {
    (
        [
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ],
        Html(text.into()),
    )
        .into_response()
}

/// A script. Every client that runs scripts reads gzip, so that there is no other form of the viewer.
fn script(bytes: &'static [u8], coding: Option<&'static str>) -> Response {
    const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
    let mut response = ([(CONTENT_TYPE, JAVASCRIPT)], bytes).into_response();
    let headers = response.headers_mut();
    let mut put =
        |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    put(CACHE_CONTROL, "public, max-age=3600");
    if let Some(coding) = coding {
        put(CONTENT_ENCODING, coding);
    }
    response
}

/// The meaning of a problem code for a browser. All its text comes from the table of codes.
pub(super) fn problem(meaning: &ProblemMeaning) -> Response {
    let ProblemMeaning {
        code,
        status,
        title,
        description,
        remedy,
    } = meaning;
    let (description, remedy) = (escaped(description), escaped(remedy));
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{code}: {title}</title>\
         <link rel=\"icon\" href=\"data:,\"><style>body{{font:1rem/1.6 system-ui,sans-serif;max-width:42rem;\
         margin:4rem auto;padding:0 1rem;color:#1b1f24;background:#fff}}code{{font-size:.95em;background:#eef0f3;\
         padding:.1em .3em;border-radius:.25em}}h1{{font-size:1.5rem;margin-bottom:0}}h2{{font-size:1rem;\
         margin:2rem 0 0}}p{{margin:.3rem 0}}@media(prefers-color-scheme:dark){{body{{color:#e3e6ea;\
         background:#15181c}}code{{background:#262b31}}a{{color:#8ab4f8}}}}</style></head><body>\
         <h1>{title}</h1><p><code>{code}</code>, HTTP status {status}</p>\
         <h2>What happened</h2><p>{description}</p><h2>What to do</h2><p>{remedy}</p>\
         <p><br><a href=\"../docs\">API documentation</a></p></body></html>\n"
    );
    page(PLAIN_POLICY, html)
}

/// Text as HTML, with what is between backticks as code.
fn escaped(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let mut html = String::new();
    for (place, part) in text.split('`').enumerate() {
        if place % 2 == 1 {
            html.push_str("<code>");
            html.push_str(part);
            html.push_str("</code>");
        } else {
            html.push_str(part);
        }
    }
    html
}
