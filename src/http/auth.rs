//! The bearer token of a request, and the scope of a route (docs/behaviour.md#tokens).
//!
//! Everything under `/api` is authenticated here before any handler runs, unknown paths included; `auth` verifies
//! the token, or a ticket or a cookie of the console that stands for one (`tickets`, `console`). A route's scope is checked where the route is registered (`register::require_scope`).

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::HttpState;
use super::config::PROBES;
use super::console::{self, session};
use super::context::RequestContext;
use super::limiter::Allowance;
use super::problem::{Code, Problem};
use super::tickets;
use crate::domain::access::{Caller, Scope, Tenancy};

/// Where the metadata of the protected resource is (RFC 9728).
pub(super) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Lets requests under `/api` pass with a valid token only, and leaves the caller with the request. Counts each request: of a
/// subject, or of an address when there is none.
pub(super) async fn authenticate(
    state: &HttpState,
    context: &RequestContext,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let address = context.client();
    let is_guarded =
        path == "/api" || path.starts_with("/api/") || session::is_own(state, request.method(), path);
    if !is_guarded {
        let is_file = path.starts_with(console::FILES) && state.console().is_some();
        if !is_file
            && !PROBES.contains(&path)
            && let Err(problem) = state.limiter().anonymous(address)
        {
            return problem.into_response();
        }
        return next.run(request).await;
    }
    let caller = match tickets::presented(&request) {
        // Beside, since every request's future would be as large as this one.
        Some(ticket) => Box::pin(tickets::caller(state, ticket)).await.map(Arc::new),
        None => match session::presented(state, request.method(), request.uri(), request.headers()) {
            Some(cookie) => Box::pin(session::caller(state, context, cookie)).await,
            None => match bearer(request.headers()) {
                Ok(token) => state.verifier().caller(token).await.map_err(Problem::from),
                Err(problem) => Err(problem),
            },
        },
    };
    match caller {
        Ok(caller) => {
            context.set_caller(&caller);
            let allowance = Allowance::new(state.limiter().clone(), &caller, context.clone());
            if let Err(problem) = allowance.take_request() {
                return problem.into_response();
            }
            request.extensions_mut().insert(allowance);
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) if problem.code() != Code::Unauthenticated => problem.into_response(),
        // A good token is never refused for what others do behind its address.
        Err(problem) => match (state.limiter().anonymous(address), state.links().base()) {
            (Err(over), _) => over,
            (Ok(()), Some(base)) => problem.challenge_with("resource_metadata", &format!("{base}{METADATA}")),
            (Ok(()), None) => problem,
        }
        .into_response(),
    }
}

/// What a route asks of its callers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Needs {
    /// This scope.
    Scope(Scope),
    /// Any one of these.
    OneOf(&'static [Scope]),
    /// A valid token.
    Token,
    /// Nothing.
    Nothing,
}

/// Whether a request has what its route asks for.
///
/// # Errors
/// 401, 403, or 429 when it is an action too many.
pub(super) fn admit(needs: Needs, extensions: &Extensions) -> Result<(), Problem> {
    let caller = extensions.get::<Arc<Caller>>();
    match (needs, caller) {
        (Needs::Nothing, _) | (Needs::Token, Some(_)) => Ok(()),
        (_, None) => Err(Problem::no_token()),
        (Needs::Scope(scope), Some(caller)) => {
            permit(caller, scope)?;
            if ACTIONS.contains(&scope) {
                take_action(extensions)?;
            }
            Ok(())
        }
        (Needs::OneOf(scopes), Some(caller)) => permit_any(caller, scopes),
    }
}

/// The scopes of requests that count as actions. Stopping an operation is none: it must always be possible.
const ACTIONS: &[Scope] = &[
    Scope::PlansTest,
    Scope::PlansStart,
    Scope::PlansUndo,
    Scope::PlansWrite,
];

/// Counts the request as an action.
pub(super) fn take_action(extensions: &Extensions) -> Result<(), Problem> {
    extensions
        .get::<Allowance>()
        .map_or(Ok(()), Allowance::take_action)
}

/// Refuses a caller who lacks `scope`, or sees nobody's things. Whose things the others see is decided where these are read.
pub(super) fn permit(caller: &Caller, scope: Scope) -> Result<(), Problem> {
    permit_any(caller, &[scope])
}

/// The same where any one of the scopes will do.
fn permit_any(caller: &Caller, scopes: &[Scope]) -> Result<(), Problem> {
    match &caller.tenancy {
        Tenancy::Only(tenants) if tenants.is_empty() => Err(needs_all_tenants(
            caller,
            "a token without a tenant needs the scope tenants:all",
            "the tenant claim of the token, or a rule, confines the caller to tenants and names none that can be read; \
             the scope tenants:all does not lift that",
        )),
        Tenancy::Only(_) | Tenancy::All if scopes.iter().any(|scope| caller.may(*scope)) => Ok(()),
        Tenancy::Only(_) | Tenancy::All => Err(Problem::lacks_scopes(scopes)),
    }
}

/// 403 for a caller who is confined to tenants, with the detail for those who lack `tenants:all` or for those who hold it, since
/// these would ask for it without end.
fn needs_all_tenants(caller: &Caller, without: &'static str, with: &'static str) -> Problem {
    if caller.may(Scope::TenantsAll) {
        Problem::confined(with)
    } else {
        Problem::needs_scope(Scope::TenantsAll, without)
    }
}

/// The same for the mirror, which is closed to callers who are confined to tenants: what Enterprise Manager shows there is
/// everybody's (docs/behaviour.md#tenants).
pub(super) fn permit_mirror(caller: &Caller, scope: Scope) -> Result<(), Problem> {
    permit(caller, scope)?;
    if caller.tenancy.is_confined() {
        return Err(needs_all_tenants(
            caller,
            "the mirror is closed to callers who are confined to tenants",
            "the mirror is closed to callers whom their token or a rule confines to tenants, also with the scope tenants:all",
        ));
    }
    Ok(())
}

/// The token of the one `Authorization` header (RFC 6750 section 2.1; the scheme's case does not matter).
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let header = match (given.next(), given.next()) {
        (None, _) => return Err(Problem::no_token()),
        (Some(_), Some(_)) => {
            return Err(Problem::bad_token("there is more than one Authorization header"));
        }
        (Some(header), None) => header,
    };
    // What `to_str` takes, a word at a time and not a byte.
    let text = std::str::from_utf8(header.as_bytes())
        .ok()
        .filter(|text| text.is_ascii());
    let text = text.ok_or_else(|| Problem::bad_token("the Authorization header is not plain text"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_matches(' ')),
        _ => Err(Problem::no_token()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::http::header::WWW_AUTHENTICATE;
    use rstest::rstest;

    use super::*;
    use crate::auth::Refusal;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().expect("a header value"));
        }
        headers
    }

    fn challenge(problem: &Problem) -> &str {
        let header = problem.header(&WWW_AUTHENTICATE).expect("a challenge");
        header.to_str().expect("text")
    }

    #[rstest]
    #[case(&[])]
    #[case(&["Basic dTpw"])]
    #[case(&["Bearer"])]
    #[case(&["Token abc"])]
    fn without_a_token_the_challenge_names_no_error(#[case] given: &[&str]) {
        let problem = bearer(&headers(given)).expect_err("no token");
        assert_eq!(problem.code().status(), StatusCode::UNAUTHORIZED);
        assert_eq!(challenge(&problem), "Bearer realm=\"emgate\"");
    }

    #[test]
    fn the_schemes_case_does_not_matter() {
        assert_eq!(bearer(&headers(&["bEaReR  abc "])).expect("a token"), "abc");
    }

    #[test]
    fn two_headers_are_refused() {
        let problem = bearer(&headers(&["Bearer abc", "Bearer abc"])).expect_err("ambiguous");
        assert!(challenge(&problem).contains("error=\"invalid_token\""));
    }

    #[test]
    fn a_refused_token_is_answered_with_its_challenge() {
        let problem = Problem::from(Refusal::Expired);
        assert_eq!(problem.code().status(), StatusCode::UNAUTHORIZED);
        let expected =
            "Bearer realm=\"emgate\", error=\"invalid_token\", error_description=\"the token has expired\"";
        assert_eq!(challenge(&problem), expected);
        let problem = problem.challenge_with("resource_metadata", "https://dr.example/m");
        assert_eq!(
            challenge(&problem),
            format!("{expected}, resource_metadata=\"https://dr.example/m\"")
        );
    }

    fn caller(scopes: &[Scope]) -> Caller {
        Caller {
            name: None,
            issuer: None,
            scopes: scopes.iter().copied().collect(),
            tenancy: Tenancy::All,
            token_id: None,
            expires_at: jiff::Timestamp::MAX,
            rules: Vec::new(),
        }
    }

    /// Who follows a challenge gets a token that it does not refuse in the same way.
    #[test]
    fn no_challenge_names_a_scope_that_the_caller_holds() {
        let confined = |tenants: &[&str], scopes: &[Scope]| Caller {
            tenancy: Tenancy::Only(tenants.iter().map(ToString::to_string).collect()),
            ..caller(scopes)
        };
        let (reads, all) = (Scope::EmRead, Scope::TenantsAll);
        let names = "Bearer realm=\"emgate\", error=\"insufficient_scope\", scope=\"tenants:all\"";
        let (names_it, names_none) = (names, names.split(", scope").next().expect("the beginning"));
        for (caller, expected) in [
            (confined(&[], &[reads]), names_it),
            (confined(&[], &[reads, all]), names_none),
            (confined(&["ABC Company"], &[reads]), names_it),
            (confined(&["ABC Company"], &[reads, all]), names_none),
        ] {
            let refused = permit_mirror(&caller, reads).expect_err("confined");
            assert_eq!(refused.code(), Code::InsufficientScope);
            assert_eq!(challenge(&refused), expected);
        }
        let nobodys = permit(&confined(&[], &[all, Scope::PlansRead]), Scope::PlansRead);
        assert_eq!(challenge(&nobodys.expect_err("sees nothing")), names_none);
    }

    #[test]
    fn where_any_of_many_scopes_will_do_all_of_them_are_named() {
        let either = [Scope::EventsRead, Scope::SessionsRead];
        for scope in either {
            assert!(permit_any(&caller(&[scope]), &either).is_ok());
        }
        let refused = permit_any(&caller(&[Scope::PlansRead]), &either).expect_err("neither");
        assert!(challenge(&refused).ends_with("scope=\"events:read sessions:read\""));
    }

    #[rstest]
    #[case(Tenancy::All, Scope::PlansRead, None)]
    #[case(Tenancy::All, Scope::PlansStart, Some("plans:start"))]
    #[case(Tenancy::Only(["ABC Company".to_owned()].into()), Scope::PlansRead, None)]
    #[case(Tenancy::Only(["ABC Company".to_owned()].into()), Scope::PlansStart, Some("plans:start"))]
    fn a_caller_is_permitted_what_a_scope_allows(
        #[case] tenancy: Tenancy,
        #[case] asked: Scope,
        #[case] missing: Option<&str>,
    ) {
        let caller = Caller {
            tenancy,
            ..caller(&[Scope::PlansRead, Scope::TenantsAll])
        };
        let refused = permit(&caller, asked).err();
        let named = missing.map(|scope| format!("error=\"insufficient_scope\", scope=\"{scope}\""));
        match (&refused, named) {
            (None, None) => {}
            (Some(problem), Some(named)) => assert!(challenge(problem).ends_with(&named)),
            (refused, named) => panic!("{refused:?} where {named:?} was expected"),
        }
    }
}
