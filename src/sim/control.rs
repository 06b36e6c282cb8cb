//! The control API below `/_sim`: the requests that tests may send the simulator, in JSON and without a logon.

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::damage::Damage;
use super::failover::{Outcome, Scenario};
use super::faults::{Fault, Faults};
use super::inventory::{Action, Kind};
use super::wire::{Request, Response};
use super::world::{Full, World};

type Controlled = Result<Response, (StatusCode, String)>;

/// The answer to a control request.
pub fn answer(world: &mut World, faults: &mut Faults, request: &Request, now: Timestamp) -> Response {
    let path = request.path().trim_end_matches('/');
    let handled = match (request.method.as_str(), path) {
        ("GET", "/_sim/stats") => Ok(stats(world, now)),
        ("POST", "/_sim/failovers") => start(world, request, now),
        ("DELETE", "/_sim/failovers") => forget(world, request),
        ("POST", "/_sim/outcomes") => set_outcome(world, request),
        ("POST", "/_sim/damage") => damage(world, request),
        ("DELETE", "/_sim/damage") => heal(world, request),
        ("POST", "/_sim/faults") => add_fault(faults, request),
        ("DELETE", "/_sim/faults") => {
            faults.clear();
            Ok(Response::empty(StatusCode::NO_CONTENT))
        }
        ("POST", "/_sim/points") => {
            world.replicate(now);
            Ok(Response::empty(StatusCode::NO_CONTENT))
        }
        ("DELETE", "/_sim/points") => {
            world.remove_points();
            Ok(Response::empty(StatusCode::NO_CONTENT))
        }
        ("POST", "/_sim/expire") => {
            world.logons.expire_all();
            Ok(Response::empty(StatusCode::NO_CONTENT))
        }
        (
            _,
            "/_sim/stats" | "/_sim/failovers" | "/_sim/outcomes" | "/_sim/damage" | "/_sim/faults"
            | "/_sim/points" | "/_sim/expire",
        ) => Err((
            StatusCode::METHOD_NOT_ALLOWED,
            "that path has no such method".to_owned(),
        )),
        _ => Err((
            StatusCode::NOT_FOUND,
            "the control API has no such path".to_owned(),
        )),
    };
    handled.unwrap_or_else(|(status, message)| json_response(status, &json!({ "error": message })))
}

fn json_response(status: StatusCode, value: &Value) -> Response {
    Response::with_body(status, "application/json", value.to_string().into_bytes())
}

fn read<'a, T: Deserialize<'a>>(request: &'a Request) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(&request.body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

/// `requests` counts by method and path as sent, the query left out; requests that met a fault count as well.
/// `unauthorized` counts those that were refused for their logon session and did nothing.
fn stats(world: &mut World, now: Timestamp) -> Response {
    world.expire_logons(now);
    let stats = &world.stats;
    json_response(
        StatusCode::OK,
        &json!({
            "logons": stats.logons,
            "logoffs": stats.logoffs,
            "activeSessions": world.logons.len(),
            "maxConcurrent": stats.max_concurrent,
            "requests": stats.requests,
            "unauthorized": stats.unauthorized,
        }),
    )
}

/// How a failover is going to be, in the control API's words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wish {
    plan_id: Uuid,
    action: Option<String>,
    result: Option<String>,
    failure_message: Option<String>,
    seconds: Option<f64>,
}

impl Wish {
    fn scenario(&self, world: &World) -> Result<Scenario, (StatusCode, String)> {
        let bad = |message: &str| (StatusCode::BAD_REQUEST, message.to_owned());
        let outcome = match self.result.as_deref() {
            None => Outcome::Success,
            Some(name) => {
                Outcome::parse(name).ok_or_else(|| bad("result must be success, warning, failed or none"))?
            }
        };
        let usual = world
            .plans
            .iter()
            .find(|plan| plan.id == self.plan_id)
            .map(World::usual_seconds);
        let seconds = self.seconds.or(usual).unwrap_or(30.0);
        if !(seconds.is_finite() && (0.0..=1e7).contains(&seconds)) {
            return Err(bad("seconds must be a number from 0 to 10000000"));
        }
        let failure_message = match (self.failure_message.clone(), outcome) {
            (Some(message), _) => Some(message),
            (None, Outcome::Failed) => Some("Host is not available".to_owned()),
            (None, Outcome::Warning) => Some("Some machines started with warnings".to_owned()),
            (None, Outcome::Success | Outcome::None) => None,
        };
        Ok(Scenario {
            seconds,
            outcome,
            failure_message,
        })
    }
}

/// A failover as if from EM's console: no logon, no task, and a plan at work is no obstacle, so that several
/// sessions of one name can run side by side. An undo has no session, so there is nothing to start.
fn start(world: &mut World, request: &Request, now: Timestamp) -> Controlled {
    let wish: Wish = read(request)?;
    let action = wish.action.as_deref().unwrap_or("test");
    if !matches!(Action::parse(action), Some(Action::Test | Action::Start)) {
        return Err((StatusCode::BAD_REQUEST, "action must be test or start".to_owned()));
    }
    let scenario = wish.scenario(world)?;
    let plan = world.plan(Kind::Cloud, wish.plan_id, now).cloned();
    let plan = plan.ok_or_else(|| {
        (
            StatusCode::NOT_FOUND,
            "there is no such cloud failover plan".to_owned(),
        )
    })?;
    match world.start(&plan, now, 0.0, now, Some(scenario)) {
        Ok(id) => Ok(json_response(StatusCode::CREATED, &json!({ "sessionId": id }))),
        Err(Full) => Err((StatusCode::SERVICE_UNAVAILABLE, "too many sessions".to_owned())),
    }
}

/// Forgets the session `?id=…`, or all of them, as an EM that was restored from a backup does.
fn forget(world: &mut World, request: &Request) -> Controlled {
    let Some(id) = request.parameter("id") else {
        world.failovers.clear();
        return Ok(Response::empty(StatusCode::NO_CONTENT));
    };
    let before = world.failovers.len();
    world
        .failovers
        .retain(|failover| failover.id.to_string() != id.to_ascii_lowercase());
    if world.failovers.len() == before {
        return Err((StatusCode::NOT_FOUND, "there is no such session".to_owned()));
    }
    Ok(Response::empty(StatusCode::NO_CONTENT))
}

/// How failovers of a plan end from now on that are started through EM's API.
fn set_outcome(world: &mut World, request: &Request) -> Controlled {
    let wish: Wish = read(request)?;
    let scenario = wish.scenario(world)?;
    world.outcomes.insert(wish.plan_id, scenario);
    Ok(Response::empty(StatusCode::NO_CONTENT))
}

/// Damages a failover session or plan until it is healed.
fn damage(world: &mut World, request: &Request) -> Controlled {
    world.damages.set(read::<Damage>(request)?);
    Ok(Response::empty(StatusCode::NO_CONTENT))
}

/// Heals the record `?id=…`, or all of them.
fn heal(world: &mut World, request: &Request) -> Controlled {
    let id = match request.parameter("id") {
        None => None,
        Some(id) => Some(
            id.parse()
                .map_err(|_| (StatusCode::BAD_REQUEST, "that is not an id".to_owned()))?,
        ),
    };
    world.damages.heal(id);
    Ok(Response::empty(StatusCode::NO_CONTENT))
}

fn add_fault(faults: &mut Faults, request: &Request) -> Controlled {
    let fault: Fault = read(request)?;
    faults
        .add(fault)
        .map_err(|message| (StatusCode::BAD_REQUEST, message))?;
    Ok(Response::empty(StatusCode::NO_CONTENT))
}
