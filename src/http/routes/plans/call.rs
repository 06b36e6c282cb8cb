//! What the requests that change a plan have in common: what is extracted, the verb that is called, the answer.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::Response;
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::unchanged;
use crate::api_types::actions::{Metadata, StartOptions};
use crate::app::OpContext;
use crate::app::plans::ActionRequest;
use crate::domain::id::EmId;
use crate::domain::plan::{ActionKind, PlanKind};
use crate::http::HttpState;
use crate::http::extract::{Conditions, Id, Idempotency, OptionalJson, Wait};
use crate::http::failures;
use crate::http::problem::Problem;
use crate::http::routes::reply::answer;

/// A request for an action on a plan, with options of the type `B`.
pub(super) struct ActionCall<B> {
    id: EmId,
    context: OpContext,
    wait: Wait,
    idempotency: Idempotency,
    body: OptionalJson<B>,
}

impl<B: Into<StartOptions>> ActionCall<B> {
    /// Runs the action and answers with its operation.
    pub(super) async fn run(
        self,
        state: &HttpState,
        kind: PlanKind,
        action: ActionKind,
    ) -> Result<Response, Problem> {
        let (app, context) = (state.app(), &self.context);
        let options: StartOptions = self.body.typed.map(Into::into).unwrap_or_default();
        let callback = match options.callback {
            Some(wanted) => {
                let secret = wanted.secret.as_ref().map(|secret| secret.expose_secret());
                Some(app.webhooks().callback(context, &wanted.url, secret).await?)
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
            metadata: options.metadata.map(Metadata::into_inner).unwrap_or_default(),
            idempotency: self.idempotency.of(self.body.value),
        };
        let submitted = app.act(context, kind, &self.id, action, request).await;
        let submitted = submitted.map_err(failures::of_action)?;
        answer(state, context, &submitted, self.wait, generated).await
    }
}

impl<B: DeserializeOwned> FromRequest<HttpState> for ActionCall<B> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let context = OpContext::from_request_parts(&mut parts, state).await?;
        let Id(id) = Id::from_request_parts(&mut parts, state).await?;
        let Ok(wait) = Wait::from_request_parts(&mut parts, state).await;
        let idempotency = Idempotency::from_request_parts(&mut parts, state).await?;
        let body = OptionalJson::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self {
            id,
            context,
            wait,
            idempotency,
            body,
        })
    }
}

/// A request that changes a plan itself.
pub(super) struct EditCall {
    id: EmId,
    context: OpContext,
    conditions: Conditions,
    wait: Wait,
    idempotency: Idempotency,
}

impl EditCall {
    /// Edits the plan; `body` is the plan as it was read, with the changes in it.
    pub(super) async fn update(
        self,
        state: &HttpState,
        kind: PlanKind,
        body: Value,
    ) -> Result<Response, Problem> {
        let (app, context) = (state.app(), &self.context);
        let key = self.idempotency.of(body.clone());
        let unchanged = unchanged(state, self.conditions);
        let submitted = app
            .edit_plan(context, kind, &self.id, &body, unchanged, key)
            .await;
        let submitted = submitted.map_err(failures::of_action)?;
        answer(state, context, &submitted, self.wait, None).await
    }

    /// Deletes the cloud plan.
    pub(super) async fn delete(self, state: &HttpState) -> Result<Response, Problem> {
        let (app, context) = (state.app(), &self.context);
        let key = self.idempotency.of(Value::Null);
        let unchanged = unchanged(state, self.conditions);
        let submitted = app.delete_cloud_plan(context, &self.id, unchanged, key).await;
        let submitted = submitted.map_err(failures::of_action)?;
        answer(state, context, &submitted, self.wait, None).await
    }
}

impl FromRequestParts<HttpState> for EditCall {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        let context = OpContext::from_request_parts(parts, state).await?;
        let Id(id) = Id::from_request_parts(parts, state).await?;
        let conditions = Conditions::from_request_parts(parts, state).await?;
        let Ok(wait) = Wait::from_request_parts(parts, state).await;
        let idempotency = Idempotency::from_request_parts(parts, state).await?;
        Ok(Self {
            id,
            context,
            conditions,
            wait,
            idempotency,
        })
    }
}
