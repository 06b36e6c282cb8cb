//! Everything that EM shows and does beyond failover: served from the catalogue.
//!
//! The catalogue gives the resources, fields and actions; `plan` decides which items belong together, `facts` what must
//! agree. Invariant: each answer is computed from the path and the seed, and stored nowhere. Requests that `routes` has
//! a handler for never come here.
//!
//! | file | holds |
//! |---|---|
//! | `plan`, `kinds`, `rows`, `facts` | the items and how they belong together |
//! | `names`, `values`, `build`, `links` | their documents |
//! | `place`, `reads`, `files`, `query` | GET, guest file systems and the query service included |
//! | `writes`, `body` | POST, PUT and DELETE, and their bodies; what they changed is in `src/sim/changes.rs` |
//!
//! Its tests are in `tests/it/simulator_world`.

mod body;
mod build;
mod facts;
mod files;
pub mod kinds;
mod links;
mod names;
mod place;
mod plan;
mod query;
mod reads;
mod rows;
mod values;
mod writes;

use http::StatusCode;

pub use self::query::answer as query;
use super::exchange::{Call, Handled, Refusal};
use crate::catalogue::{Method, Refusal as NoOperation, catalogue};

/// Whether EM has an operation of that method there.
pub fn has_method(method: &str, path: &str) -> bool {
    Method::parse(method).is_some_and(|method| {
        !matches!(
            catalogue().operation(method, path, None),
            Err(NoOperation::Path | NoOperation::Method(_))
        )
    })
}

/// The answer to an authorized request; `path` is below `/api`, as sent.
pub fn answer(call: &mut Call<'_>, path: &str) -> Handled {
    let not_found = || Refusal::not_found(&format!("Resource '{path}'"));
    let method = Method::parse(&call.request.method).ok_or_else(|| not_allowed(&[]))?;
    let action = call.request.parameter("action");
    let found = catalogue()
        .operation(method, path, action.as_deref())
        .map_err(|refusal| match refusal {
            NoOperation::Path => not_found(),
            NoOperation::Method(methods) => not_allowed(&methods),
            NoOperation::Action(known) => {
                let action = action.clone().unwrap_or_default();
                Refusal::bad_request(format!(
                    "Action '{action}' is not supported; expected: {}",
                    known.join(", ")
                ))
            }
        })?;
    let place = call.scene().locate(&found.path).ok_or_else(not_found)?;
    if !files::exists(&place) {
        return Err(not_found());
    }
    match method {
        Method::Get => reads::get(call, &place, found.operation),
        Method::Post | Method::Put | Method::Delete => writes::act(call, &place, found.operation),
    }
}

fn not_allowed(methods: &[Method]) -> Refusal {
    let mut refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
    let names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    refusal.header = Some(("Allow", names.join(", ")));
    refusal
}
