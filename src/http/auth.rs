//! The bearer token of a request, and the scope of a route (docs/behaviour.md#tokens).
//!
//! Everything under `/api` is authenticated here before any handler runs, unknown paths included; `auth` verifies
//! the token. A route's scope is checked where the route is registered (`register::require_scope`).

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::HttpState;
use super::context::RequestContext;
use super::problem::Problem;
use crate::domain::access::{Caller, Scope};

/// Lets requests under `/api` pass with a valid token only, and leaves the caller with the request.
pub(super) async fn authenticate(
    State(state): State<HttpState>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if path != "/api" && !path.starts_with("/api/") {
        return next.run(request).await;
    }
    let caller = bearer(request.headers()).and_then(|token| Ok(state.verifier().caller(token)?));
    match caller {
        Ok(caller) => {
            if let Some(context) = RequestContext::of(request.extensions()) {
                context.set_caller(&caller);
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Lets a request pass whose caller holds `scope`.
pub(super) async fn require(scope: Scope, request: Request, next: Next) -> Response {
    match request.extensions().get::<Caller>() {
        Some(caller) if caller.may(scope) => next.run(request).await,
        Some(_) => Problem::lacks_scope(scope).into_response(),
        None => Problem::no_token().into_response(),
    }
}

/// The token of the one `Authorization` header (RFC 6750 section 2.1; the scheme's case does not matter).
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let header = match (given.next(), given.next()) {
        (None, _) => return Err(Problem::no_token()),
        (Some(_), Some(_)) => {
            return Err(Problem::bad_token("there is more than one Authorization header"));
        }
        (Some(header), None) => header,
    };
    let text = HeaderValue::to_str(header)
        .map_err(|_| Problem::bad_token("the Authorization header is not plain text"))?;
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

    #[rstest]
    #[case(
        Refusal::Expired,
        401,
        "error=\"invalid_token\", error_description=\"the token has expired\""
    )]
    #[case(
        Refusal::ForNoTenant,
        403,
        "error=\"insufficient_scope\", scope=\"tenants:all\""
    )]
    #[case(
        Refusal::ConfinedToTenants,
        403,
        "error=\"insufficient_scope\", scope=\"tenants:all\""
    )]
    fn a_refused_token_is_answered_with_its_challenge(
        #[case] refusal: Refusal,
        #[case] status: u16,
        #[case] end: &str,
    ) {
        let problem = Problem::from(refusal);
        assert_eq!(problem.code().status().as_u16(), status);
        assert_eq!(challenge(&problem), format!("Bearer realm=\"emgate\", {end}"));
    }
}
