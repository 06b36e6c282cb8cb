//! Registration of a route: its scope, its query parameters and its documentation in one call.
//!
//! A route that is registered here is guarded and documented by the same values, so that the two cannot disagree: the
//! documented query parameters are the only ones it accepts. `openapi` finishes the document that results.

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::SecurityRequirement;

use super::auth::Needs;
use super::codes::Code;
use super::extract::KnownParameters;
use super::routing::{DESCRIBES, Description, Registered, Route};
use super::{answers, auth};
use crate::domain::access::Scope;
use crate::telemetry::traces::{Kind, Span};

/// The name of the security scheme in the document.
pub(super) const BEARER: &str = "bearer";

/// Registers a route that needs `scope` and accepts the query parameters it documents. Documents its error answers:
/// those of every guarded route, those that follow from path and body, and `more`.
///
/// The mirror's routes alone check their scope in the handler, since it depends on the query.
pub(super) fn require_scope(scope: Scope, more: &[&[Code]], route: Route) -> Registered {
    let codes = [answers::GUARDED, &more.concat()].concat();
    guarded(route, Needs::Scope(scope), move |operation| {
        operation.security = Some(vec![SecurityRequirement::new(BEARER, [scope.as_str()])]);
        answers::document(operation, &codes);
    })
}

/// Registers a route that needs any one of `scopes`.
pub(super) fn require_one_of(scopes: &'static [Scope], more: &[&[Code]], route: Route) -> Registered {
    let codes = [answers::GUARDED, &more.concat()].concat();
    guarded(route, Needs::OneOf(scopes), move |operation| {
        let security = scopes
            .iter()
            .map(|scope| SecurityRequirement::new(BEARER, [scope.as_str()]));
        operation.security = Some(security.collect());
        answers::document(operation, &codes);
    })
}

/// Registers a route that needs a token, of whatever scope.
pub(super) fn require_token(route: Route) -> Registered {
    guarded(route, Needs::Token, |operation| {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])]);
        answers::document(operation, answers::AUTHENTICATED);
    })
}

/// Registers a route that needs no token. One without parameters ignores any, as probes and browsers expect.
pub(super) fn public(route: Route) -> Registered {
    open(route, answers::PUBLIC.to_vec())
}

/// The same for a route that is never limited.
pub(super) fn probe(route: Route) -> Registered {
    open(route, answers::PROBE.to_vec())
}

/// The same with more that it may answer.
pub(super) fn probe_or(route: Route, more: &[Code]) -> Registered {
    open(route, [answers::PROBE, more].concat())
}

fn open(route: Route, mut codes: Vec<Code>) -> Registered {
    let takes_parameters = !route.documented.queries.is_empty();
    if takes_parameters {
        codes.push(answers::UNKNOWN_PARAMETER);
    }
    let describe = move |operation: &mut Operation| {
        operation.security = Some(Vec::new());
        answers::document(operation, &codes);
    };
    if takes_parameters {
        guarded(route, Needs::Nothing, describe)
    } else {
        registered(route, describe)
    }
}

/// Refuses, before the handler runs, callers who lack what the route needs, then query parameters that it does not document:
/// who may not call a route learns nothing about its parameters. One layer for both, since each copies what is below it for
/// every request.
fn guarded(mut route: Route, needs: Needs, describe: impl Fn(&mut Operation) + 'static) -> Registered {
    let documented = route.documented;
    let known = KnownParameters::new(documented.queries);
    let guard = move |request: Request, next: Next| async move {
        let admitted = auth::admit(needs, request.extensions());
        match admitted.and_then(|()| known.check(request.uri())) {
            Ok(()) => {
                let verb = Span::child(Kind::Internal, || documented.name.to_owned());
                verb.around(next.run(request)).await
            }
            Err(problem) => problem.into_response(),
        }
    };
    route.handler = route.handler.route_layer(from_fn(guard));
    registered(route, describe)
}

fn registered(route: Route, describe: impl Fn(&mut Operation) + 'static) -> Registered {
    Registered {
        path: route.path,
        handler: route.handler,
        described: described(route.description, describe),
    }
}

/// A description with what its registration adds.
fn described(
    description: Option<fn() -> Description>,
    describe: impl Fn(&mut Operation) + 'static,
) -> Option<Box<dyn FnOnce() -> Description>> {
    // The constant keeps what describes out of a program that does not; that there is no description is known when it runs.
    if !DESCRIBES {
        return None;
    }
    let description = description?;
    Some(Box::new(move || {
        let (schemas, mut paths, handler) = description();
        paths.paths.values_mut().flat_map(operations).for_each(&describe);
        (schemas, paths, handler)
    }))
}

/// Every operation of a path.
pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ]
    .into_iter()
    .flatten()
}
