//! Failover sessions, wherever they were started.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::lists::{NumberedList, NumberedParams, one_order};
use super::paths::SessionPath;
use crate::api_types::page::Page;
use crate::api_types::sessions::FailoverSession;
use crate::app::sessions::SessionsRead;
use crate::app::{OpContext, PageRequest, SessionQuery, Sort, SortField};
use crate::domain::access::Scope;
use crate::domain::id::EmId;
use crate::http::HttpState;
use crate::http::answers::{STORED, UPSTREAM_READ};
use crate::http::extract::{Choice, Choices, EnumParam, Id, NameFilter, Query, TimestampParam};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::remembered::{Answer, Asked, Basis};
use crate::http::routing::{Routes, route};

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(require_scope(
            Scope::SessionsRead,
            &[UPSTREAM_READ, STORED],
            route!(list_failover_sessions),
        ))
        .with(require_scope(
            Scope::SessionsRead,
            &[UPSTREAM_READ, STORED],
            route!(get_failover_session),
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
    /// Only sessions of the plan with this name; case is ignored.
    #[param(inline)]
    plan_name: Option<NameFilter>,
    /// Only sessions started at or after this timestamp.
    #[param(inline)]
    started_after: Option<TimestampParam>,
    /// Only sessions started before this timestamp.
    #[param(inline)]
    started_before: Option<TimestampParam>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct SessionOrder {
    /// Sort by this field, ascending. Cannot be combined with `sortDesc`.
    #[param(inline)]
    sort_asc: Option<Order>,
    /// Sort by this field, descending; `startedAt` by default. Cannot be combined with `sortAsc`.
    #[param(inline)]
    sort_desc: Option<Order>,
}

impl SessionFilter {
    /// The query for a page of what the filter lets through.
    fn on(self, page: PageRequest) -> SessionQuery {
        let (states, results) = (
            self.state.unwrap_or_default().0,
            self.result.unwrap_or_default().0,
        );
        SessionQuery {
            states: states.into_iter().map(|state| state.0).collect(),
            results: results.into_iter().map(|outcome| outcome.0).collect(),
            plan_name: self.plan_name.map(|name| name.0),
            started_after: self.started_after.map(|at| at.0),
            started_before: self.started_before.map(|at| at.0),
            page,
        }
    }
}

impl SessionOrder {
    /// Newest first where the caller does not say.
    fn sort(self) -> Result<Sort, Problem> {
        let by = |order: Option<Order>, descending| order.map(|Choice(by)| Sort { by, descending });
        let newest_first = Sort {
            by: SortField::StartedAt,
            descending: true,
        };
        Ok(one_order(by(self.sort_asc, false), by(self.sort_desc, true))?.unwrap_or(newest_first))
    }
}

/// List failover sessions
///
/// Of the last 30 days, as far as Enterprise Manager keeps them; newest first unless sorted otherwise.
#[utoipa::path(get, path = "/api/v1/failover-sessions", operation_id = "listFailoverSessions", tag = "sessions",
    params(SessionFilter, NumberedParams, SessionOrder),
    responses((status = 200, description = "A page of sessions.", body = Page<FailoverSession>)))]
async fn list_failover_sessions(
    State(state): State<HttpState>,
    context: OpContext,
    Query(filter): Query<SessionFilter>,
    Query(order): Query<SessionOrder>,
    list: NumberedList,
    asked: Asked,
) -> Result<Response, Problem> {
    let (app, links) = (state.app(), state.links());
    let query = filter.on(list.request(Some(order.sort()?)));
    let revision = app.store_revision();
    let read = app.read_sessions(&context, &query).await?;
    let sources = read.iter().map(SessionsRead::source).collect();
    let basis = Basis::reads(sources).and_store(revision);
    let making = async {
        let page = app.sessions_on(&context, &query, read).await?;
        Answer::json(&list.page(links, &page, |session| FailoverSession::new(links, session)))
    };
    let answer = state.answers().of(context.tenancy(), &asked, basis, making);
    Ok(answer.await?.response(&asked))
}

/// Read a failover session
#[utoipa::path(get, path = "/api/v1/failover-sessions/{sessionId}", operation_id = "getFailoverSession",
    tag = "sessions",
    params(SessionPath),
    responses((status = 200, description = "The session.", body = FailoverSession)))]
async fn get_failover_session(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
) -> Result<Json<FailoverSession>, Problem> {
    let session = state.app().session(&context, &id).await?;
    Ok(Json(FailoverSession::new(state.links(), &session)))
}
