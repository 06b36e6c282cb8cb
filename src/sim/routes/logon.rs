//! Logging on and off (EM's manual: "Authentication and Security", "Logging On").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use jiff::Timestamp;
use uuid::Uuid;

use super::{TOKEN, expired_status};
use crate::sim::exchange::{Answer, Call, Handled, Refusal};
use crate::sim::inventory::Tenant;
use crate::sim::render::Documents;
use crate::sim::wire::Request;
use crate::sim::world::World;
use crate::sim::xml::{Element, read};

/// The logon session that a request belongs to. A cookie beats the header, even a dead one.
pub fn authorize(world: &mut World, request: &Request, now: Timestamp) -> Result<Uuid, Refusal> {
    let token = request
        .cookie(TOKEN)
        .or_else(|| request.header("x-restsvcsessionid"));
    match token {
        None => Err(Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized")),
        Some(token) => world
            .logons
            .touch(token, now)
            .ok_or_else(|| Refusal::new(expired_status(world), "The logon session has expired")),
    }
}

/// `GET /api/`: the versions, without a logon.
#[expect(clippy::unnecessary_wraps, reason = "a handler's signature")]
pub fn base(call: &mut Call<'_>) -> Handled {
    Ok(Answer::ok(call.documents().base()))
}

/// `POST /api/sessionMngr/?v=…`
pub fn log_on(call: &mut Call<'_>) -> Handled {
    // Seen by clients in the field: EM takes a Content-Type for the announcement of a LoginSpec.
    let announced = call.request.header("content-type").is_some();
    if announced == call.request.body.is_empty() {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "A logon has no body and no Content-Type, or a LoginSpec",
        ));
    }
    let spec = if announced { Some(login_spec(call)?) } else { None };
    let version = call.request.parameter("v").unwrap_or_default();
    if !["latest", "v1_5", "v1_6", "v1_7"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(&version))
    {
        return Err(Refusal::bad_request(format!(
            "API version '{version}' is not supported"
        )));
    }
    let sent = credentials(call);
    let tenant = match &spec {
        Some(spec) if sent.as_ref() == Some(spec) => tenant(call, spec),
        Some(_) | None => None,
    };
    let operator = spec.is_none() && sent.is_some_and(|pair| is_operator(call, &pair));
    if tenant.is_none() && !operator {
        let mut refusal = Refusal::new(StatusCode::UNAUTHORIZED, "The user name or password is incorrect");
        refusal.header = Some(("WWW-Authenticate", "Basic Realm=RestSvc".to_owned()));
        return Err(refusal);
    }
    let World {
        logons,
        dice,
        options,
        stats,
        ..
    } = &mut *call.world;
    let Some(logon) = logons.open(dice, call.now, options.max_sessions, tenant).cloned() else {
        return Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The maximum number of logon sessions is reached",
        ));
    };
    stats.logons += 1;
    stats.max_concurrent = stats.max_concurrent.max(logons.len());
    let documents = Documents {
        world: call.world,
        now: call.now,
    };
    Ok(Answer::new(StatusCode::CREATED, documents.logon(&logon))
        .header(TOKEN, logon.token.clone())
        .header(
            "Set-Cookie",
            format!("{TOKEN}={}; Path=/api; HttpOnly", logon.token),
        ))
}

/// A user's name and password.
type Pair = (String, String);

/// Those of the Basic header.
fn credentials(call: &Call<'_>) -> Option<Pair> {
    let sent = call
        .request
        .header("authorization")
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Basic"))
        .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())?;
    let (user, password) = sent.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn is_operator(call: &Call<'_>, (user, password): &Pair) -> bool {
    let options = &call.world.options;
    user.eq_ignore_ascii_case(&options.user) && *password == options.password
}

/// Those of a tenant in the body (EM's manual: "Cloud Connect tenant credentials").
fn login_spec(call: &Call<'_>) -> Result<Pair, Refusal> {
    call.demand_xml()?;
    let root = read(&call.request.body).map_err(Refusal::bad_request)?;
    let spec = root
        .child("TenantCredentials")
        .filter(|_| root.name == "LoginSpec")
        .ok_or_else(|| Refusal::bad_request("A LoginSpec with TenantCredentials was expected"))?;
    let text = |name: &str| spec.child(name).map(|node| node.text.clone()).unwrap_or_default();
    Ok((text("Username"), text("Password")))
}

fn tenant(call: &Call<'_>, (user, password): &Pair) -> Option<Tenant> {
    let world = &call.world;
    let mut tenants = world.plans.iter().filter_map(|plan| plan.tenant.as_ref());
    let known = tenants.find(|tenant| tenant.name.eq_ignore_ascii_case(user));
    known
        .filter(|_| *password == world.options.tenant_password)
        .cloned()
}

/// `GET /api/logonSessions`
#[expect(clippy::unnecessary_wraps, reason = "a handler's signature")]
pub fn list(call: &mut Call<'_>) -> Handled {
    let documents = call.documents();
    let sessions = call.world.logons.iter().map(|logon| documents.logon(logon));
    Ok(Answer::ok(Element::new("LogonSessions").children(sessions)))
}

/// `GET /api/logonSessions/{id}`
pub fn get(call: &mut Call<'_>) -> Handled {
    let id = call.id(0, "Logon session")?;
    let logon = call
        .world
        .logons
        .get(id)
        .ok_or_else(|| Refusal::not_found("Logon session"))?;
    Ok(Answer::ok(call.documents().logon(logon)))
}

/// `DELETE /api/logonSessions/{id}`: one's own only; a sweep through the list is refused.
pub fn log_off(call: &mut Call<'_>) -> Handled {
    let id = call.id(0, "Logon session")?;
    if call.world.logons.get(id).is_none() {
        return Err(Refusal::not_found("Logon session"));
    }
    if id != call.logon {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "Access denied"));
    }
    call.world.logons.close(id);
    call.world.stats.logoffs += 1;
    Ok(Answer::no_content())
}
