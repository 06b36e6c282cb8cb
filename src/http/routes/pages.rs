//! Pages for people: the documentation, which works without internet, and the meaning of problem codes.
//!
//! They are not in the OpenAPI document, which is for programs.

use std::sync::OnceLock;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;

use crate::http::HttpState;
use crate::http::codes::ProblemMeaning;
use crate::http::console::CONSOLE;
use crate::http::extract::{Conditions, entity_tag};

/// What the page may do: its own scripts and styles, its own connections, the pictures within its styles.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);
const PLAIN_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// Asked again each time, with the entity tag where there is one, so that a browser never mixes two versions.
const EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");

/// A file of the documentation page.
struct File {
    /// Its address.
    path: &'static str,
    media: &'static str,
    bytes: &'static [u8],
    /// Made when somebody asks first.
    tag: OnceLock<String>,
}

macro_rules! files {
    ($($path:literal: $media:literal = $file:literal),+ $(,)?) => {
        [$(File {
            path: $path,
            media: $media,
            bytes: include_bytes!(concat!("../../../web/docs/", $file)),
            tag: OnceLock::new(),
        }),+]
    };
}

/// The documentation page and its files. The viewer is sent gzipped as it is kept, which every client that runs scripts reads.
static FILES: [File; 6] = files![
    "/docs": "text/html; charset=utf-8" = "index.html",
    "/docs/init.js": "text/javascript; charset=utf-8" = "init.js",
    "/docs/style.css": "text/css; charset=utf-8" = "style.css",
    "/docs/vendor/LICENSES": "text/plain; charset=utf-8" = "vendor/LICENSES",
    "/docs/vendor/swagger-ui-bundle.js": "text/javascript; charset=utf-8" = "vendor/swagger-ui-bundle.js.gz",
    "/docs/vendor/swagger-ui.css": "text/css; charset=utf-8" = "vendor/swagger-ui.css.gz",
];

pub(super) fn routes() -> Router<HttpState> {
    let others = Router::new()
        .route("/", get(root))
        .route("/docs/", get(with_slash));
    FILES.iter().fold(others, |router, file| {
        router.route(
            file.path,
            get(move |conditions: Conditions| std::future::ready(file.response(&conditions))),
        )
    })
}

impl File {
    fn response(&'static self, conditions: &Conditions) -> Response {
        // What begins like a gzip file (RFC 1952 section 2.3.1) is one.
        let is_gzip = self.bytes.starts_with(&[0x1f, 0x8b]);
        let mut response = self.bytes.into_response();
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(self.media));
        if is_gzip {
            fields.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let tag = self.tag.get_or_init(|| entity_tag(self.bytes));
        let mut response = conditions.tagged(tag, response);
        // A browser keeps its copy with the headers of the 304, so that these have to be the file's.
        let fields = response.headers_mut();
        fields.insert(CACHE_CONTROL, EACH_TIME);
        fields.insert(CONTENT_SECURITY_POLICY, DOCS_POLICY);
        response
    }
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
    let headers = [
        (CONTENT_SECURITY_POLICY, PLAIN_POLICY),
        (CACHE_CONTROL, EACH_TIME),
    ];
    (headers, Html(html)).into_response()
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
