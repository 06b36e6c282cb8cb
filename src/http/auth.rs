//! Who asks: a bearer token becomes a [`Caller`] before any handler runs (docs/behaviour.md#tokens).
//!
//! Signatures are checked by the library, times by the gateway's clock. A token never reaches a log, an error text or
//! a `Debug` output. Everything under `/api` passes here, unknown paths included; a route's scope is checked where the
//! route is registered (see `register::require_scope`).

use std::collections::BTreeSet;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use super::HttpState;
use super::config::AuthConfig;
use super::context::RequestContext;
use super::json::Document;
use super::keys::{Error, Key};
use super::problem::Problem;
use crate::clock::SharedClock;
use crate::domain::access::{Caller, Scope};

/// Longest token that is looked at, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Verifies tokens by the rules of `[auth]`.
pub struct Authenticator {
    keys: Vec<Key>,
    issuer: Option<String>,
    audience: Option<String>,
    tenant_claim: String,
    leeway: f64,
    clock: SharedClock,
}

impl Authenticator {
    /// Reads the keys.
    ///
    /// # Errors
    /// When a key cannot be used, naming its place in the configuration.
    pub fn new(config: &AuthConfig, clock: SharedClock) -> Result<Self, Error> {
        let keys = config
            .keys
            .iter()
            .enumerate()
            .map(|(index, key)| Key::read(index, key))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            keys,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            tenant_claim: config.tenant_claim.clone(),
            leeway: config.leeway.as_secs_f64(),
            clock,
        })
    }

    /// The caller behind the request's token.
    ///
    /// # Errors
    /// The problem to answer: 401 without a valid token, 403 when it is confined to tenants.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let claims = self.verified(bearer(headers)?)?;
        let scopes = scopes(&claims);
        if claims.contains_key(&self.tenant_claim) {
            return Err(Problem::needs_scope(
                Scope::TenantsAll,
                "the token is confined to tenants by its tenant claim, which this version does not serve yet; \
                 use a token without that claim and with the scope tenants:all",
            ));
        }
        if !scopes.contains(&Scope::TenantsAll) {
            return Err(Problem::needs_scope(
                Scope::TenantsAll,
                "a token without a tenant claim needs the scope tenants:all",
            ));
        }
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str).map(ToOwned::to_owned);
        Ok(Caller {
            name: text("sub").or_else(|| text("client_id")).or_else(|| text("azp")),
            issuer: text("iss"),
            scopes,
        })
    }

    fn verified(&self, token: &str) -> Result<Map<String, Value>, Problem> {
        if token.len() > LONGEST_TOKEN {
            return Err(Problem::bad_token("the token is too long"));
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| Problem::bad_token("this is not a signed JSON Web Token of a known algorithm"))?;
        if header.crit.is_some() {
            // RFC 7515 section 4.1.11: what must be understood and is not makes the token invalid.
            return Err(Problem::bad_token(
                "the token demands extensions that are not supported",
            ));
        }
        let claims: Document = self
            .keys
            .iter()
            .filter(|key| key.fits(header.alg))
            .find_map(|key| key.open(token))
            .ok_or_else(|| Problem::bad_token("no trusted key signed the token"))?;
        if !claims.faults.is_empty() {
            return Err(Problem::bad_token(
                "a claim is given more than once or contains the character U+0000",
            ));
        }
        let Value::Object(claims) = claims.value else {
            return Err(Problem::bad_token("the token's claims are not a JSON object"));
        };
        self.judge(&claims).map_err(Problem::bad_token)?;
        Ok(claims)
    }

    /// RFC 7519 section 4.1; the reason is public and holds nothing of the token.
    fn judge(&self, claims: &Map<String, Value>) -> Result<(), &'static str> {
        let now = self.clock.now().as_duration().as_secs_f64();
        let Some(expiry) = claims.get("exp") else {
            return Err("the token never expires; exp is required");
        };
        if expiry.as_f64().ok_or("exp is not a number")? + self.leeway <= now {
            return Err("the token has expired");
        }
        if let Some(start) = claims.get("nbf")
            && start.as_f64().ok_or("nbf is not a number")? - self.leeway > now
        {
            return Err("the token is not valid yet");
        }
        if let Some(issuer) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err("the token comes from another issuer");
        }
        if let Some(audience) = &self.audience
            && !words(claims.get("aud")).any(|word| word == audience)
        {
            return Err("the token is meant for another audience");
        }
        Ok(())
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

/// The scopes of `scope` (RFC 8693: words with blanks between) and `scp` (an array, or the same as `scope`).
fn scopes(claims: &Map<String, Value>) -> BTreeSet<Scope> {
    words(claims.get("scope"))
        .chain(words(claims.get("scp")))
        .flat_map(|text| text.split(' '))
        .filter_map(Scope::parse)
        .collect()
}

/// The strings of a claim that is a string or an array of strings.
fn words(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match claim {
        Some(Value::Array(many)) => (None, many.as_slice()),
        one => (one, [].as_slice()),
    };
    one.into_iter().chain(many).filter_map(Value::as_str)
}

/// Lets requests under `/api` pass with a valid token only, and leaves the caller with the request.
pub(super) async fn authenticate(
    State(edge): State<HttpState>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if path != "/api" && !path.starts_with("/api/") {
        return next.run(request).await;
    }
    match edge.authenticator().caller(request.headers()) {
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

#[cfg(test)]
mod tests;
