//! The operators' console (docs/behaviour.md#console): its files, and who is logged in to it.
//!
//! It is a client of the public API and of nothing else; what is here serves it and knows its sessions. None of it is in the
//! OpenAPI document, which is for programs. Tests: `tests/it/console`.

#[cfg(test)]
mod bundle;
mod files;
mod login;
mod media;
mod origin;
mod pages;
pub(super) mod session;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;

use super::HttpState;
use super::extract::Conditions;
use super::problem::Problem;
pub(super) use pages::Pages;

/// Where the console is.
pub(super) const CONSOLE: &str = "/console/";
/// Where its files are: a handful for a page, and no work to answer.
pub(super) const FILES: &str = "/console/v-";

pub(super) fn routes() -> Router<HttpState> {
    Router::new()
        .route("/console", get(with_slash))
        .route("/console/", get(page))
        .route("/console/login", get(login::begin))
        .route("/console/login-options", get(login::options))
        .route("/console/callback", get(login::end))
        .route(
            session::PATH,
            get(session::who).post(session::log_in).delete(session::log_out),
        )
        .route("/console/{*path}", get(below))
}

async fn with_slash(State(state): State<HttpState>) -> Redirect {
    Redirect::permanent(&state.links().to(CONSOLE))
}

async fn page(State(state): State<HttpState>, headers: HeaderMap, conditions: Conditions) -> Response {
    answer(&state, "", &headers, &conditions).await
}

async fn below(
    State(state): State<HttpState>,
    Path(path): Path<String>,
    headers: HeaderMap,
    conditions: Conditions,
) -> Response {
    answer(&state, &path, &headers, &conditions).await
}

async fn answer(state: &HttpState, path: &str, headers: &HeaderMap, conditions: &Conditions) -> Response {
    let Some(pages) = state.console() else {
        return Problem::not_found("the console").into_response();
    };
    match pages.at(path, state.links(), headers, conditions).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}
