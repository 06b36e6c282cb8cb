//! Failover plans of both kinds: read, run, edited, deleted. What the two kinds share is here.

mod cloud;
mod document;
mod on_premises;

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::numbered;
use super::reply::answer;
use crate::api_types::page::Page;
use crate::api_types::plans::Plan;
use crate::app::OpContext;
use crate::app::plans::ActionRequest;
use crate::app::{PageRequest, Sort, SortField};
use crate::domain::id::EmId;
use crate::domain::plan::{ActionKind, PlanKind};
use crate::http::HttpState;
use crate::http::answers::UPSTREAM_WRITE;
use crate::http::codes::Code;
use crate::http::extract::{
    Choice, Conditions, EnumParam, Idempotency, OptionalJson, PageNumber, PageSize, Wait, entity_tag,
};
use crate::http::failures;
use crate::http::problem::Problem;

/// What an action may end in.
const ACTION_PROBLEMS: &[&[Code]] = &[UPSTREAM_WRITE, &[Code::PlanBusy, Code::IdempotencyKeyReused]];

/// What a change of a plan may end in.
const EDIT_PROBLEMS: &[&[Code]] = &[
    UPSTREAM_WRITE,
    &[
        Code::PlanBusy,
        Code::IdempotencyKeyReused,
        Code::PreconditionFailed,
    ],
];

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::default()
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
struct PlanQuery {
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
    sort_asc: Option<ByName>,
    /// Largest first. Not together with `sortAsc`.
    #[param(inline)]
    sort_desc: Option<ByName>,
}

impl PlanQuery {
    fn request(&self) -> Result<PageRequest, Problem> {
        let by_name = |descending| Sort {
            by: SortField::Name,
            descending,
        };
        Ok(PageRequest {
            page: self.page.0,
            page_size: self.page_size.0,
            sort: one_order(
                self.sort_asc.as_ref().map(|_| by_name(false)),
                self.sort_desc.as_ref().map(|_| by_name(true)),
            )?,
        })
    }
}

/// Ascending or descending, not both.
pub(super) fn one_order(ascending: Option<Sort>, descending: Option<Sort>) -> Result<Option<Sort>, Problem> {
    match (ascending, descending) {
        (Some(_), Some(_)) => Err(Problem::fault("sortDesc", "cannot be combined with sortAsc")),
        (ascending, descending) => Ok(ascending.or(descending)),
    }
}

/// What may be said beside the start of a failover.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "restorePoint": {"before": "2026-01-31T12:00:00Z"},
    "callback": {"url": "https://portal.example/hooks/failover"},
    "metadata": {"ticket": "DR-1042"},
}))]
pub struct StartOptions {
    /// Which restore points are taken; the latest when absent.
    pub restore_point: Option<RestorePoint>,
    /// A one-off webhook that tells the operation's end.
    pub callback: Option<CallbackRequest>,
    /// Notes of the caller's own, given back with the operation: at most 50 strings, 16 KiB together.
    pub metadata: Option<Metadata>,
}

/// What may be said beside any other action: these choose their restore points themselves.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "callback": {"url": "https://portal.example/hooks/failover"},
    "metadata": {"ticket": "DR-1042"},
}))]
pub struct ActionOptions {
    /// A one-off webhook that tells the operation's end.
    pub callback: Option<CallbackRequest>,
    /// Notes of the caller's own, given back with the operation: at most 50 strings, 16 KiB together.
    pub metadata: Option<Metadata>,
}

impl From<ActionOptions> for StartOptions {
    fn from(options: ActionOptions) -> Self {
        Self {
            restore_point: None,
            callback: options.callback,
            metadata: options.metadata,
        }
    }
}

/// Which restore points are taken.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestorePoint {
    /// The latest restore points before this moment, which must not lie in the future.
    pub before: Timestamp,
}

/// A one-off webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallbackRequest {
    /// Where it goes.
    #[schema(format = "uri")]
    pub url: String,
    /// What signs it, `whsec_` and base64; made by the gateway and shown once when absent.
    #[schema(value_type = Option<String>)]
    pub secret: Option<SecretString>,
}

/// Notes of the caller's own.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Metadata(BTreeMap<String, String>);

impl TryFrom<BTreeMap<String, String>> for Metadata {
    type Error = &'static str;

    fn try_from(notes: BTreeMap<String, String>) -> Result<Self, &'static str> {
        let bytes: usize = notes.iter().map(|(name, note)| name.len() + note.len()).sum();
        if notes.len() > 50 {
            Err("has more than 50 entries")
        } else if bytes > 16 * 1024 {
            Err("is larger than 16 KiB")
        } else {
            Ok(Self(notes))
        }
    }
}

async fn list(
    edge: &HttpState,
    context: &OpContext,
    kind: PlanKind,
    query: &PlanQuery,
    uri: &Uri,
) -> Result<Json<Page<Plan>>, Problem> {
    let page = edge.app().plans(context, kind, &query.request()?).await?;
    Ok(Json(Page {
        page: numbered(edge.links(), uri, &page),
        items: page
            .items
            .iter()
            .map(|plan| Plan::new(edge.links(), plan))
            .collect(),
    }))
}

async fn get(
    edge: &HttpState,
    context: &OpContext,
    kind: PlanKind,
    id: &EmId,
    conditions: &Conditions,
) -> Result<Response, Problem> {
    let plan = edge.app().plan(context, kind, id).await?;
    let bytes = representation(&Plan::new(edge.links(), &plan))?;
    let tag = entity_tag(&bytes);
    let response = ([(CONTENT_TYPE, "application/json")], bytes).into_response();
    Ok(conditions.tagged(&tag, response))
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

/// Whether a plan is still what the caller saw.
fn unchanged(
    edge: &HttpState,
    conditions: Conditions,
) -> impl FnOnce(&crate::domain::plan::Plan) -> bool + Send {
    let links = edge.links().clone();
    move |plan| match (conditions.expected(), representation(&Plan::new(&links, plan))) {
        (None, _) => true,
        (Some(tags), Ok(bytes)) => tags.contains(&entity_tag(&bytes)),
        (Some(_), Err(_)) => false,
    }
}

/// One request for an action, the same for both kinds of plan.
struct ActionCall {
    kind: PlanKind,
    action: ActionKind,
    context: OpContext,
    id: EmId,
    wait: Wait,
    idempotency: Idempotency,
    body: OptionalJson<StartOptions>,
}

impl ActionCall {
    async fn run(self, edge: &HttpState) -> Result<Response, Problem> {
        let options = self.body.typed.unwrap_or_default();
        let callback = match options.callback {
            Some(wanted) => {
                let secret = wanted.secret.as_ref().map(ExposeSecret::expose_secret);
                Some(
                    edge.app()
                        .webhooks()
                        .callback(&self.context, &wanted.url, secret)
                        .await?,
                )
            }
            None => None,
        };
        let generated = callback
            .as_ref()
            .filter(|new| new.generated)
            .map(|new| new.callback.secret.clone());
        let request = ActionRequest {
            restore_point_given: options.restore_point.is_some(),
            before: options.restore_point.map(|point| point.before),
            callback: callback.map(|new| new.callback),
            metadata: options.metadata.unwrap_or_default().0,
            idempotency: self.idempotency.of(self.body.value),
        };
        let submitted = edge
            .app()
            .act(&self.context, self.kind, &self.id, self.action, request)
            .await
            .map_err(failures::of_action)?;
        answer(edge, &self.context, &submitted, self.wait, generated).await
    }
}
