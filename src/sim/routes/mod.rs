//! The routes of failover, logon and query: one table of path, method and handler.
//!
//! What EM refuses before it reads a resource (no logon, no length, unknown path, wrong method, JSON requested) is
//! refused here, in EM's error document. All other paths go to `generic`, which serves them from the catalogue.
//! Tests: `tests/it/simulator.rs`.

mod logon;
mod plans;
pub mod query;
mod sessions;
pub mod tasks;

use http::StatusCode;
use jiff::Timestamp;
use uuid::Uuid;

use super::exchange::{Call, Handled, Refusal};
use super::generic;
use super::options::ExpiredStatus;
use super::wire::Request;
use super::world::World;

/// The header and the cookie that carry a logon session's token.
pub const TOKEN: &str = "X-RestSvcSessionId";

type Handler = fn(&mut Call<'_>) -> Handled;

struct Route {
    /// Below `/api`, `{}` standing for one segment.
    path: &'static str,
    methods: &'static [(&'static str, Handler)],
    needs_logon: bool,
}

const fn route(path: &'static str, methods: &'static [(&'static str, Handler)]) -> Route {
    Route {
        path,
        methods,
        needs_logon: true,
    }
}

const ROUTES: &[Route] = &[
    Route {
        path: "",
        methods: &[("GET", logon::base)],
        needs_logon: false,
    },
    Route {
        path: "/sessionMngr",
        methods: &[("POST", logon::log_on)],
        needs_logon: false,
    },
    route("/logonSessions", &[("GET", logon::list)]),
    route(
        "/logonSessions/{}",
        &[("GET", logon::get), ("DELETE", logon::log_off)],
    ),
    route("/cloud/cloudFailoverPlans", &[("GET", plans::cloud_list)]),
    route(
        "/cloud/cloudFailoverPlans/{}",
        &[
            ("GET", plans::cloud_get),
            ("POST", plans::cloud_act),
            ("PUT", plans::cloud_put),
            ("DELETE", plans::cloud_delete),
        ],
    ),
    route(
        "/cloud/cloudFailoverPlans/{}/includes",
        &[("GET", plans::includes)],
    ),
    route(
        "/cloud/cloudFailoverPlans/{}/includes/{}",
        &[("GET", plans::include)],
    ),
    route("/cloud/failoverSessions", &[("GET", sessions::list)]),
    route("/cloud/failoverSessions/{}", &[("GET", sessions::get)]),
    route("/failoverPlans", &[("GET", plans::local_list)]),
    route(
        "/failoverPlans/{}",
        &[
            ("GET", plans::local_get),
            ("POST", plans::local_act),
            ("PUT", plans::local_put),
        ],
    ),
    route("/query", &[("GET", query::query)]),
    route("/tasks", &[("GET", tasks::list)]),
    route("/tasks/{}", &[("GET", tasks::get), ("DELETE", tasks::delete)]),
];

/// EM's answer to one request below `/api`.
pub fn answer(world: &mut World, request: &Request, now: Timestamp) -> Handled {
    world.expire_logons(now);
    // EM reads paths in any letter case and with or without a slash at the end.
    let below = request
        .path()
        .get(..4)
        .filter(|api| api.eq_ignore_ascii_case("/api"))
        .and_then(|_| request.path().get(4..))
        .filter(|below| below.is_empty() || below.starts_with('/'));
    let found = below.and_then(|below| {
        let path = segments(below);
        ROUTES
            .iter()
            .find_map(|route| Some((route, captures(route.path, &path)?)))
    });
    let logon = match found {
        Some((route, _)) if !route.needs_logon => Uuid::nil(),
        _ => logon::authorize(world, request, now)?,
    };
    let Some(below) = below else {
        return Err(Refusal::not_found(&format!("Resource '{}'", request.path())));
    };
    if matches!(request.method.as_str(), "POST" | "PUT")
        && request.header("content-length").is_none()
        && request.header("transfer-encoding").is_none()
    {
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, "Length Required"));
    }
    let download = |action: String| action.eq_ignore_ascii_case("download");
    if request.header("accept").is_some_and(wants_no_xml)
        && !request.parameter("action").is_some_and(download)
    {
        return Err(Refusal::new(
            StatusCode::NOT_IMPLEMENTED,
            "The simulator answers in XML only",
        ));
    }
    let mut call = Call {
        world,
        request,
        now,
        logon,
        captured: Vec::new(),
    };
    let own = found.as_ref().is_none_or(|(route, _)| route.needs_logon);
    if own && call.tenant().is_some() && !is_for_tenants(&request.method, request, found.as_ref()) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "Access denied"));
    }
    match found {
        None => generic::answer(&mut call, below),
        Some((route, captured)) => {
            call.captured = captured;
            let own = route.methods.iter().find(|(method, _)| *method == request.method);
            match own {
                Some((_, handler)) => handler(&mut call),
                None if generic::has_method(&request.method, below) => generic::answer(&mut call, below),
                None => {
                    let allowed: Vec<&str> = route.methods.iter().map(|(method, _)| *method).collect();
                    let mut refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
                    refusal.header = Some(("Allow", allowed.join(", ")));
                    Err(refusal)
                }
            }
        }
    }
}

/// Whether a tenant's logon reaches that: the plans of the tenant to read, start, undo and test, its own tasks and its own
/// logon session. Replicas, which EM shows to tenants as well, are not simulated for them.
fn is_for_tenants(method: &str, request: &Request, found: Option<&(&Route, Vec<String>)>) -> bool {
    match found.map(|(route, _)| route.path) {
        Some("/cloud/cloudFailoverPlans" | "/tasks" | "/tasks/{}" | "/logonSessions/{}") => true,
        Some(path) if path.starts_with("/cloud/cloudFailoverPlans/{}") => {
            method == "GET" || (method == "POST" && request.parameter("action").is_some())
        }
        Some(_) | None => false,
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| {
            percent_encoding::percent_decode_str(segment)
                .decode_utf8_lossy()
                .into_owned()
        })
        .collect()
}

/// What the braces of the pattern matched, if the path is of that pattern.
fn captures(pattern: &str, path: &[String]) -> Option<Vec<String>> {
    let pattern: Vec<&str> = pattern.split('/').filter(|segment| !segment.is_empty()).collect();
    if pattern.len() != path.len() {
        return None;
    }
    let mut captured = Vec::new();
    for (expected, given) in pattern.iter().zip(path) {
        if *expected == "{}" {
            captured.push(given.clone());
        } else if !expected.eq_ignore_ascii_case(given) {
            return None;
        }
    }
    Some(captured)
}

fn wants_no_xml(accept: &str) -> bool {
    let accept = accept.to_ascii_lowercase();
    !accept.contains("xml") && !accept.contains("*/*") && !accept.contains("application/*")
}

/// The status of a logon session that is dead.
fn expired_status(world: &World) -> StatusCode {
    match world.options.expired_status {
        ExpiredStatus::Unauthorized => StatusCode::UNAUTHORIZED,
        ExpiredStatus::Forbidden => StatusCode::FORBIDDEN,
    }
}
