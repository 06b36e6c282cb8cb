//! The mirror's error answers: from the one table of codes, shared as components because they are the same everywhere.

use serde_json::{Map, Value, json};
use utoipa::openapi::path::Operation;

use super::endpoint::Endpoint;
use crate::http::answers;
use crate::http::codes::Code;

/// What every operation may answer besides the answers of EM itself.
const ALWAYS: &[Code] = &[Code::NotFound, Code::InvalidRequest];

const WRITE: &[Code] = &[Code::IdempotencyKeyReused, Code::PreconditionFailed];

const BODY: &[Code] = &[
    Code::MalformedRequest,
    Code::PayloadTooLarge,
    Code::UnsupportedMediaType,
];

/// Writes to failover plans, which the curated routes make as well.
const PLAN_WRITE: &[Code] = &[Code::PlanBusy, Code::PolicyDenied];

/// Error answers written so far, by their name in the components.
#[derive(Default)]
pub(super) struct Problems(pub Map<String, Value>);

impl Problems {
    /// References to the error answers of an endpoint, by status.
    pub(super) fn of(&mut self, endpoint: &Endpoint) -> Map<String, Value> {
        let is_plan = matches!(
            endpoint.resource.path,
            "/cloud/cloudFailoverPlans/{ID}" | "/failoverPlans/{ID}"
        );
        let groups: &[&[Code]] = match (endpoint.reads(), is_plan) {
            (true, _) => &[answers::GUARDED, ALWAYS, answers::UPSTREAM_READ],
            (false, false) => &[answers::GUARDED, ALWAYS, answers::UPSTREAM_WRITE, WRITE, BODY],
            (false, true) => &[
                answers::GUARDED,
                ALWAYS,
                answers::UPSTREAM_WRITE,
                WRITE,
                BODY,
                PLAN_WRITE,
            ],
        };
        let mut operation = Operation::new();
        answers::document(&mut operation, &groups.concat());
        answers::complete(&mut operation);
        let mut references = Map::new();
        for (status, response) in &operation.responses.responses {
            let Ok(response) = serde_json::to_value(response) else {
                continue;
            };
            references.insert(status.clone(), self.reference(status, response));
        }
        references
    }

    /// Answers that are alike have one name: `EmProblem409`, and `EmProblem409B` for what differs.
    fn reference(&mut self, status: &str, response: Value) -> Value {
        for suffix in ["", "B", "C", "D"] {
            let name = format!("EmProblem{status}{suffix}");
            let known = self.0.entry(name.clone()).or_insert_with(|| response.clone());
            if *known == response {
                return json!({ "$ref": format!("#/components/responses/{name}") });
            }
        }
        response
    }
}
