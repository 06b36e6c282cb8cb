//! Registration of a route: its scope, its query parameters and its documentation in one call.
//!
//! A route that is registered here is guarded and documented by the same values, so that the two cannot disagree: the
//! documented query parameters are the only ones it accepts. `openapi` finishes the document that results.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem, Paths};
use utoipa::openapi::security::SecurityRequirement;
use utoipa_axum::router::{UtoipaMethodRouter, UtoipaMethodRouterExt as _};

use super::auth::Needs;
use super::codes::Code;
use super::extract::KnownParameters;
use super::{answers, auth};
use crate::domain::access::Scope;
use crate::telemetry::traces::{Kind, Span};

/// The name of the security scheme in the document.
pub(super) const BEARER: &str = "bearer";

/// Registers routes that need `scope` and accept the query parameters they document. Documents their error answers:
/// those of every guarded route, those that follow from parameters and body, and `more`.
///
/// The mirror's routes alone check their scope in the handler, since it depends on the query.
pub(super) fn require_scope<S>(
    scope: Scope,
    more: &[&[Code]],
    routes: UtoipaMethodRouter<S>,
) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let (schemas, mut paths, router) = routes;
    let known = known_parameters(&paths);
    for operation in paths.paths.values_mut().flat_map(operations) {
        operation.security = Some(vec![SecurityRequirement::new(BEARER, [scope.as_str()])]);
        answers::document(operation, &[&[answers::GUARDED], more].concat());
    }
    guarded((schemas, paths, router), Needs::Scope(scope), known)
}

/// Registers routes that need any one of `scopes`.
pub(super) fn require_one_of<S>(
    scopes: &'static [Scope],
    more: &[&[Code]],
    routes: UtoipaMethodRouter<S>,
) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let (schemas, mut paths, router) = routes;
    let known = known_parameters(&paths);
    let security = scopes
        .iter()
        .map(|scope| SecurityRequirement::new(BEARER, [scope.as_str()]));
    let security: Vec<_> = security.collect();
    for operation in paths.paths.values_mut().flat_map(operations) {
        operation.security = Some(security.clone());
        answers::document(operation, &[&[answers::GUARDED], more].concat());
    }
    guarded((schemas, paths, router), Needs::OneOf(scopes), known)
}

/// Registers routes that need a token, of whatever scope.
pub(super) fn require_token<S>(routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let (schemas, mut paths, router) = routes;
    let known = known_parameters(&paths);
    for operation in paths.paths.values_mut().flat_map(operations) {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])]);
        answers::document(operation, &[answers::AUTHENTICATED]);
    }
    guarded((schemas, paths, router), Needs::Token, known)
}

/// Registers routes that need no token. Those without parameters ignore any, as probes and browsers expect.
pub(super) fn public<S>(routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    open(routes, &[answers::PUBLIC])
}

/// The same for routes that are never limited.
pub(super) fn probe<S>(routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    open(routes, &[answers::PROBE])
}

/// The same with more that they may answer.
pub(super) fn probe_or<S>(routes: UtoipaMethodRouter<S>, more: &[Code]) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    open(routes, &[answers::PROBE, more])
}

fn open<S>(routes: UtoipaMethodRouter<S>, codes: &[&[Code]]) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let (schemas, mut paths, router) = routes;
    let known = known_parameters(&paths);
    for operation in paths.paths.values_mut().flat_map(operations) {
        operation.security = Some(Vec::new());
        answers::document(operation, codes);
    }
    if known.is_empty() {
        (schemas, paths, router)
    } else {
        guarded((schemas, paths, router), Needs::Nothing, known)
    }
}

/// Refuses, before their handlers run, callers who lack what the routes need, then query parameters that they do not document:
/// who may not call a route learns nothing about its parameters. One layer for both, since each copies what is below it for
/// every request.
fn guarded<S>(routes: UtoipaMethodRouter<S>, needs: Needs, known: KnownParameters) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let (known, verbs) = (Arc::new(known), Arc::new(verbs(&routes.1)));
    let guard = move |request: Request, next: Next| {
        let admitted = auth::admit(needs, request.extensions());
        let checked = admitted.and_then(|()| known.check(request.method(), request.uri()));
        let verbs = verbs.clone();
        async move {
            match checked {
                Ok(()) => {
                    let name = || verbs.get(request.method()).cloned().unwrap_or_default();
                    let verb = Span::child(Kind::Internal, name);
                    verb.around(next.run(request)).await
                }
                Err(problem) => problem.into_response(),
            }
        }
    };
    routes.map(|router| router.route_layer(from_fn(guard)))
}

/// What a handler does is called as the document calls its operation.
fn verbs(paths: &Paths) -> HashMap<Method, String> {
    let items = paths.paths.values().flat_map(by_method);
    let named = items.filter_map(|(method, operation)| Some((method, operation.operation_id.clone()?)));
    named.collect()
}

/// The query parameters that the routes document.
fn known_parameters(paths: &Paths) -> KnownParameters {
    let mut known = KnownParameters::default();
    for item in paths.paths.values() {
        for (method, operation) in by_method(item) {
            let names = operation
                .parameters
                .iter()
                .flatten()
                .filter_map(|parameter| match parameter {
                    RefOr::T(one) if one.parameter_in == ParameterIn::Query => Some(one.name.clone()),
                    _ => None,
                });
            known.add(method, names.collect());
        }
    }
    known
}

fn by_method(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let operations = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ];
    operations
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
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
