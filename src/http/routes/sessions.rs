//! Failover sessions, wherever they were started.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::numbered;
use super::plans::one_order;
use crate::api_types::page::Page;
use crate::api_types::sessions::FailoverSession;
use crate::app::OpContext;
use crate::app::{PageRequest, SessionQuery, Sort, SortField};
use crate::domain::access::Scope;
use crate::domain::id::EmId;
use crate::http::HttpState;
use crate::http::answers::{STORED, UPSTREAM_READ};
use crate::http::extract::{Choice, Choices, EnumParam, Id, Moment, PageNumber, PageSize, Query};
use crate::http::problem::Problem;
use crate::http::register::require_scope;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::default()
        .routes(require_scope(
            Scope::SessionsRead,
            &[UPSTREAM_READ, STORED],
            routes!(list_failover_sessions),
        ))
        .routes(require_scope(
            Scope::SessionsRead,
            &[UPSTREAM_READ, STORED],
            routes!(get_failover_session),
        ))
}

/// A documented state of a session.
#[derive(Debug, Clone)]
struct Phase(String);

impl EnumParam for Phase {
    fn words() -> Vec<&'static str> {
        vec!["starting", "working", "stopping", "stopped"]
    }

    fn parse(word: &str) -> Option<Self> {
        Self::words().contains(&word).then(|| Self(word.to_owned()))
    }
}

/// A documented result of a session.
#[derive(Debug, Clone)]
struct Outcome(String);

impl EnumParam for Outcome {
    fn words() -> Vec<&'static str> {
        vec!["success", "warning", "failed"]
    }

    fn parse(word: &str) -> Option<Self> {
        Self::words().contains(&word).then(|| Self(word.to_owned()))
    }
}

impl EnumParam for SortField {
    fn words() -> Vec<&'static str> {
        Self::ALL.iter().map(|field| field.as_str()).collect()
    }

    fn parse(word: &str) -> Option<Self> {
        Self::parse(word)
    }
}

type States = Choices<Phase>;
type Results = Choices<Outcome>;
type Order = Choice<SortField>;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct SessionFilter {
    /// Only these states, separated by commas.
    #[param(inline, style = Form, explode = false)]
    state: Option<States>,
    /// Only these results, separated by commas.
    #[param(inline, style = Form, explode = false)]
    result: Option<Results>,
    /// Only sessions of the plan of this name; letter case does not matter.
    #[param(pattern = "^[^\\u0000]*$")]
    plan_name: Option<String>,
    /// Only sessions started at this moment or later.
    #[param(inline)]
    started_after: Option<Moment>,
    /// Only sessions started before this moment.
    #[param(inline)]
    started_before: Option<Moment>,
    /// Which page, from 1.
    #[serde(default)]
    #[param(inline, required = false)]
    page: PageNumber,
    /// How many items a page holds.
    #[serde(default)]
    #[param(inline, required = false)]
    page_size: PageSize,
    /// Smallest first. Not together with `sortDesc`.
    #[param(inline)]
    sort_asc: Option<Order>,
    /// Largest first; `startedAt` when nothing is said. Not together with `sortAsc`.
    #[param(inline)]
    sort_desc: Option<Order>,
}

/// List failover sessions
///
/// Of the last 30 days, as far as Enterprise Manager keeps them; newest first unless sorted otherwise.
#[utoipa::path(get, path = "/api/v1/failover-sessions", operation_id = "listFailoverSessions", tag = "sessions",
    params(SessionFilter),
    responses((status = 200, description = "A page of sessions.", body = Page<FailoverSession>)))]
async fn list_failover_sessions(
    State(edge): State<HttpState>,
    context: OpContext,
    Query(filter): Query<SessionFilter>,
    uri: Uri,
) -> Result<Json<Page<FailoverSession>>, Problem> {
    let sort = |order: Option<Order>, descending| order.map(|Choice(by)| Sort { by, descending });
    let newest_first = Sort {
        by: SortField::StartedAt,
        descending: true,
    };
    let query = SessionQuery {
        states: filter
            .state
            .unwrap_or_default()
            .0
            .into_iter()
            .map(|state| state.0)
            .collect(),
        results: filter
            .result
            .unwrap_or_default()
            .0
            .into_iter()
            .map(|outcome| outcome.0)
            .collect(),
        plan_name: filter.plan_name,
        started_after: filter.started_after.map(|moment| moment.0),
        started_before: filter.started_before.map(|moment| moment.0),
        page: PageRequest {
            page: filter.page.0,
            page_size: filter.page_size.0,
            sort: one_order(sort(filter.sort_asc, false), sort(filter.sort_desc, true))?
                .or(Some(newest_first)),
        },
    };
    let page = edge.app().sessions(&context, &query).await?;
    Ok(Json(Page {
        page: numbered(edge.links(), &uri, &page),
        items: page
            .items
            .iter()
            .map(|session| FailoverSession::new(edge.links(), session))
            .collect(),
    }))
}

/// Read a failover session
#[utoipa::path(get, path = "/api/v1/failover-sessions/{sessionId}", operation_id = "getFailoverSession",
    tag = "sessions",
    params(("sessionId" = String, Path, description = "The session's id, bare or as URN.", example = "a986d473-0248-4884-9832-17ec982ee393")),
    responses((status = 200, description = "The session.", body = FailoverSession)))]
async fn get_failover_session(
    State(edge): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
) -> Result<Json<FailoverSession>, Problem> {
    let session = edge.app().session(&context, &id).await?;
    Ok(Json(FailoverSession::new(edge.links(), &session)))
}
