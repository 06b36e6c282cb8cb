//! Failover plans of both kinds: read, run, edited, deleted. What the two kinds share is here.

mod call;
mod cloud;
mod document;
mod objectives;
mod on_premises;
mod rehearsal;
mod schedules;

use axum::body::Bytes;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::lists::{NumberedList, one_order};
use crate::api_types::plans::Plan;
use crate::app::evidence::PlanSettings;
use crate::app::plan_requests::UnchangedPlan;
use crate::app::{OpContext, Sort, SortField, Source};
use crate::domain::id::EmId;
use crate::domain::plan::{self, PlanKind};
use crate::http::HttpState;
use crate::http::answers::UPSTREAM_WRITE;
use crate::http::codes::Code;
use crate::http::extract::{Choice, Conditions, EnumParam, entity_tag};
use crate::http::problem::Problem;
use crate::http::remembered::{Answer, Asked, Basis};
use crate::http::routing::Routes;

/// What an action may end in.
const ACTION_PROBLEMS: &[&[Code]] = &[
    UPSTREAM_WRITE,
    &[Code::PlanBusy, Code::PolicyDenied, Code::IdempotencyKeyReused],
];

/// What a change of a plan may end in.
const EDIT_PROBLEMS: &[&[Code]] = &[
    UPSTREAM_WRITE,
    &[
        Code::PlanBusy,
        Code::PolicyDenied,
        Code::IdempotencyKeyReused,
        Code::PreconditionFailed,
    ],
];

pub(super) fn routes() -> Routes {
    Routes::default()
        .merge(objectives::routes())
        .merge(schedules::routes())
        .merge(cloud::routes())
        .merge(on_premises::routes())
}

/// What plans are sorted by.
#[derive(Debug, Clone, Copy)]
struct PlanSort;

impl EnumParam for PlanSort {
    fn words() -> Vec<&'static str> {
        vec!["name"]
    }

    fn parse(word: &str) -> Option<Self> {
        (word == "name").then_some(Self)
    }
}

type ByName = Choice<PlanSort>;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct PlanOrder {
    /// Sort by this field, ascending. Cannot be combined with `sortDesc`.
    #[param(inline)]
    sort_asc: Option<ByName>,
    /// Sort by this field, descending. Cannot be combined with `sortAsc`.
    #[param(inline)]
    sort_desc: Option<ByName>,
}

impl PlanOrder {
    fn sort(self) -> Result<Option<Sort>, Problem> {
        let by_name = |order: Option<ByName>, descending| {
            order.map(|_| Sort {
                by: SortField::Name,
                descending,
            })
        };
        one_order(by_name(self.sort_asc, false), by_name(self.sort_desc, true))
    }
}

async fn list(
    state: &HttpState,
    context: &OpContext,
    kind: PlanKind,
    order: PlanOrder,
    list: NumberedList,
    asked: &Asked,
) -> Result<Response, Problem> {
    let (app, links) = (state.app(), state.links());
    let plans = app.plans(context, kind, &list.request(order.sort()?)).await?;
    let settings = app.plan_settings(context).await?;
    let basis = Some(Basis::reads(plans.sources()).and_settings(settings.revision()));
    let making = async {
        let page = plans.page();
        Answer::json(&list.page(links, &page, |plan| shown(state, plan, &settings)))
    };
    let answer = state.answers().of(context.tenancy(), asked, basis, making);
    Ok(answer.await?.response(asked))
}

async fn get(
    state: &HttpState,
    context: &OpContext,
    kind: PlanKind,
    id: &EmId,
    conditions: &Conditions,
    asked: &Asked,
) -> Result<Response, Problem> {
    let plan = state.app().plan(context, kind, id).await?;
    // Callers who are confined to tenants get an answer of Enterprise Manager's own each.
    let app = state.app();
    let is_shared = !context.tenancy().is_confined();
    let settings = app.plan_settings(context).await?;
    let basis = is_shared.then(|| Basis::reads(vec![Source(plan.clone())]).and_settings(settings.revision()));
    let making = async {
        let bytes = representation(&shown(state, &plan, &settings))?;
        let tag = entity_tag(&bytes);
        Ok(Answer::of(bytes).tagged(&tag))
    };
    let answer = state.answers().of(context.tenancy(), asked, basis, making);
    Ok(answer.await?.unless_known(conditions, asked))
}

/// A plan with what is set about it.
fn shown(state: &HttpState, plan: &plan::Plan, settings: &PlanSettings) -> Plan {
    let (objectives, schedule) = (settings.objectives(&plan.id), settings.schedule(&plan.id));
    Plan::new(state.links(), plan, &objectives, schedule)
}

fn representation(plan: &Plan) -> Result<Bytes, Problem> {
    serde_json::to_vec(plan).map(Bytes::from).map_err(|error| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a plan could not be written as JSON"
        );
        Problem::internal()
    })
}

/// Whether a plan is still what the caller saw; none where the caller does not say.
fn unchanged(state: &HttpState, conditions: &Conditions) -> Option<UnchangedPlan> {
    let state = state.clone();
    let tags = conditions.expected()?.to_vec();
    Some(Box::new(move |plan, settings| {
        representation(&shown(&state, plan, settings)).is_ok_and(|bytes| tags.contains(&entity_tag(&bytes)))
    }))
}
