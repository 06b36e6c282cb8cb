//! All routes on a page, grouped by noun. Each is registered with its scope and its own problems; what every route may
//! answer is added by `register`.

mod audit;
mod em;
mod events;
mod evidence;
mod identity;
mod lists;
mod meta;
mod operations;
mod pages;
mod paths;
mod plans;
mod programme;
mod reply;
mod reports;
mod sessions;
mod streams;
mod webhooks;

use super::HttpState;
use crate::http::routing::Routes;
pub(super) use meta::{get_health, metrics, not_ready};

/// Every route with its documentation.
pub(super) fn all() -> Routes {
    Routes::default()
        .merge(plans::routes())
        .merge(operations::routes())
        .merge(sessions::routes())
        .merge(events::routes())
        .merge(streams::routes())
        .merge(webhooks::routes())
        .merge(em::routes())
        .merge(reports::routes())
        .merge(evidence::routes())
        .merge(programme::routes())
        .merge(audit::routes())
        .merge(identity::routes())
        .merge(meta::routes())
}

/// The pages for people, which are not in the document.
pub(super) fn pages() -> axum::Router<HttpState> {
    pages::routes()
}
