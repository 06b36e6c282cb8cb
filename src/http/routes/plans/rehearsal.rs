//! `?dryRun=true`: what the request would become, as its answer (docs/behaviour.md#dry-runs).

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use crate::api_types::dry_run::{DryRun, MachineRehearsal, NewestPoint};
use crate::app::{self, OpContext};
use crate::http::HttpState;
use crate::http::extract::{Query, flag};
use crate::http::failures;
use crate::http::problem::Problem;

/// The query of a request that can be tried.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct DryRunParam {
    /// Only answers what the request would become, and what stands in its way: nothing is recorded or sent.
    #[serde(default, deserialize_with = "flag")]
    #[param(required = false)]
    dry_run: bool,
}

/// Whether a request is only to be tried.
pub(super) struct Rehearsal {
    pub wanted: bool,
    path: String,
}

impl Rehearsal {
    /// What the request would become.
    pub(super) fn answer(
        &self,
        state: &HttpState,
        context: &OpContext,
        found: Result<app::dry_run::DryRun, app::Error>,
    ) -> Result<Response, Problem> {
        let found = found.map_err(failures::of_action)?;
        let instance = state.links().to(&self.path);
        let problems = found.problems.into_iter().map(|error| {
            let problem = failures::of_action(error);
            let body = problem.body(state.links(), &context.request_id, &instance);
            serde_json::to_value(body).map_err(|_| Problem::internal())
        });
        let machines = found.plan.machines.iter().zip(&found.newest_points);
        let body = DryRun {
            would_be: found.would_be.as_str(),
            problems: problems.collect::<Result<Vec<Value>, Problem>>()?,
            plan: super::shown(state, &found.plan, &found.settings),
            machines: machines
                .map(|(machine, point)| MachineRehearsal {
                    name: machine.name.clone(),
                    newest_point: point.as_ref().map(NewestPoint::from),
                })
                .collect(),
            policies: found.policies,
            approvers: found.approvers,
        };
        Ok(Json(body).into_response())
    }
}

impl FromRequestParts<HttpState> for Rehearsal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        let Query(param) = Query::<DryRunParam>::from_request_parts(parts, state).await?;
        Ok(Self {
            wanted: param.dry_run,
            path: parts.uri.path().to_owned(),
        })
    }
}
