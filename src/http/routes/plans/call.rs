//! What the requests that change a plan have in common: what is extracted, the verb that is called, the answer.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::Response;
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::rehearsal::Rehearsal;
use super::unchanged;
use crate::api_types::actions::{DeletionOptions, Metadata, Reason, StartOptions};
use crate::app::OpContext;
use crate::app::plan_requests::{ActionRequest, EditRequest};
use crate::domain::id::EmId;
use crate::domain::plan::{ActionKind, PlanKind};
use crate::http::HttpState;
use crate::http::extract::{Conditions, Id, Idempotency, OptionalJson, Preferences};
use crate::http::failures;
use crate::http::problem::Problem;
use crate::http::routes::reply::answer;

/// A request for an action on a plan, with options of the type `B`.
pub(super) struct ActionCall<B> {
    id: EmId,
    context: OpContext,
    wait: Preferences,
    idempotency: Idempotency,
    rehearsal: Rehearsal,
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
                let secret = wanted.secret.as_ref().map(ExposeSecret::expose_secret);
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
            reason: options.reason.map(Reason::into_inner),
            purpose: options.purpose.map(Into::into),
        };
        if self.rehearsal.wanted {
            let found = app.try_act(context, kind, &self.id, action, request).await;
            return self.rehearsal.answer(state, context, found);
        }
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
        let Ok(wait) = Preferences::from_request_parts(&mut parts, state).await;
        let idempotency = Idempotency::from_request_parts(&mut parts, state).await?;
        let rehearsal = Rehearsal::from_request_parts(&mut parts, state).await?;
        let body = OptionalJson::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self {
            id,
            context,
            wait,
            idempotency,
            rehearsal,
            body,
        })
    }
}

/// A request that changes a plan itself.
pub(super) struct EditCall {
    id: EmId,
    context: OpContext,
    conditions: Conditions,
    wait: Preferences,
    idempotency: Idempotency,
    rehearsal: Rehearsal,
}

impl EditCall {
    /// Edits the plan; `body` is the plan as it was read, with the changes in it.
    pub(super) async fn update(
        self,
        state: &HttpState,
        kind: PlanKind,
        mut body: Value,
    ) -> Result<Response, Problem> {
        let (app, context) = (state.app(), &self.context);
        let idempotency = self.idempotency.of(body.clone());
        let request = EditRequest {
            unchanged: unchanged(state, &self.conditions),
            idempotency,
            reason: take_reason(&mut body)?,
        };
        if self.rehearsal.wanted {
            let found = app.try_edit_plan(context, kind, &self.id, &body, request).await;
            return self.rehearsal.answer(state, context, found);
        }
        let submitted = app.edit_plan(context, kind, &self.id, &body, request).await;
        let submitted = submitted.map_err(failures::of_action)?;
        answer(state, context, &submitted, self.wait, None).await
    }

    /// Deletes the cloud plan.
    pub(super) async fn delete(
        self,
        state: &HttpState,
        body: OptionalJson<DeletionOptions>,
    ) -> Result<Response, Problem> {
        let (app, context) = (state.app(), &self.context);
        let options = body.typed.unwrap_or_default();
        let request = EditRequest {
            unchanged: unchanged(state, &self.conditions),
            idempotency: self.idempotency.of(body.value),
            reason: options.reason.map(Reason::into_inner),
        };
        if self.rehearsal.wanted {
            let found = app.try_delete_cloud_plan(context, &self.id, request).await;
            return self.rehearsal.answer(state, context, found);
        }
        let submitted = app.delete_cloud_plan(context, &self.id, request).await;
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
        let Ok(wait) = Preferences::from_request_parts(parts, state).await;
        let idempotency = Idempotency::from_request_parts(parts, state).await?;
        let rehearsal = Rehearsal::from_request_parts(parts, state).await?;
        Ok(Self {
            id,
            context,
            conditions,
            wait,
            idempotency,
            rehearsal,
        })
    }
}

/// Takes the reason out of the body of an edit, where it stands beside the members of the plan.
fn take_reason(body: &mut Value) -> Result<Option<String>, Problem> {
    let given = body.as_object_mut().and_then(|body| body.shift_remove("reason"));
    let refused = |detail: &str| Problem::fault("/reason", detail);
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => match Reason::try_from(text) {
            Ok(reason) => Ok(Some(reason.into_inner())),
            Err(detail) => Err(refused(detail)),
        },
        Some(_) => Err(refused("must be a string or null")),
    }
}
