//! What sends webhooks once more: one delivery, those that were given up, those that never were; and the jobs that do it.

use axum::Json;
use axum::extract::State;
use axum::middleware::from_fn;

use super::super::lists::{CursorParams, Log};
use super::super::paths::{DeliveryPath, EndpointPath, JobPath};
use super::super::reply::Accepted;
use crate::api_types::page::Page;
use crate::api_types::webhooks::{WebhookDelivery, WebhookJob, WebhookResend};
use crate::app::OpContext;
use crate::domain::access::Scope;
use crate::domain::id::{DeliveryId, EndpointId, JobId};
use crate::domain::webhook::job::JobKind;
use crate::http::HttpState;
use crate::http::answers::{BODY, STORED};
use crate::http::extract::{Id, Ids, JsonBody, NoBody, no_idempotency_key};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::routing::{Routes, route};

pub(super) fn routes() -> Routes {
    let (read, write) = (Scope::WebhooksRead, Scope::WebhooksWrite);
    Routes::default()
        .with(require_scope(write, &[STORED], route!(recover_webhook_endpoint)))
        .with(require_scope(write, &[STORED], route!(replay_webhook_endpoint)))
        .with(require_scope(
            write,
            &[STORED, BODY],
            route!(redeliver_webhook_delivery),
        ))
        .map(|router| router.route_layer(from_fn(no_idempotency_key)))
        .with(require_scope(read, &[STORED], route!(list_webhook_jobs)))
        .with(require_scope(read, &[STORED], route!(get_webhook_job)))
}

/// Send what was given up again
///
/// Deliveries to this endpoint that were given up since a moment (`exhausted` or `quarantined`) go out again, in the order of
/// the event log. The job says how far it is.
#[utoipa::path(post, path = "/api/v1/webhook-endpoints/{endpointId}/recover", operation_id = "recoverWebhookEndpoint",
    tag = "webhooks",
    params(EndpointPath),
    request_body = WebhookResend,
    responses((status = 202, description = "The job.", body = WebhookJob,
        headers(("Location" = String, description = "The job.")))))]
async fn recover_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
    JsonBody(wanted): JsonBody<WebhookResend>,
) -> Result<Accepted<WebhookJob>, Problem> {
    begin_job(&state, &context, id, JobKind::Recover, &wanted).await
}

/// Send what an endpoint never got
///
/// Events since a moment that the endpoint wants, and that were neither delivered to it nor are on their way, go out in the
/// order of the event log, under their own ids. A moment from which retention has removed events is refused, and the answer
/// says from when it can be done. Tests are not sent again.
#[utoipa::path(post, path = "/api/v1/webhook-endpoints/{endpointId}/replay", operation_id = "replayWebhookEndpoint",
    tag = "webhooks",
    params(EndpointPath),
    request_body = WebhookResend,
    responses((status = 202, description = "The job.", body = WebhookJob,
        headers(("Location" = String, description = "The job.")))))]
async fn replay_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
    JsonBody(wanted): JsonBody<WebhookResend>,
) -> Result<Accepted<WebhookJob>, Problem> {
    begin_job(&state, &context, id, JobKind::Replay, &wanted).await
}

async fn begin_job(
    state: &HttpState,
    context: &OpContext,
    id: EndpointId,
    kind: JobKind,
    wanted: &WebhookResend,
) -> Result<Accepted<WebhookJob>, Problem> {
    let job = state
        .app()
        .webhooks()
        .begin_job(context, id, kind, wanted.since)
        .await?;
    let path = format!("/webhook-endpoints/{id}/jobs/{}", job.id);
    Ok(Accepted {
        location: state.links().api(&path),
        body: WebhookJob::from(&job),
    })
}

/// List a webhook endpoint's jobs
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/webhook-endpoints/{endpointId}/jobs", operation_id = "listWebhookJobs",
    tag = "webhooks",
    params(EndpointPath, CursorParams),
    responses((status = 200, description = "A page of jobs.", body = Page<WebhookJob>)))]
async fn list_webhook_jobs(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
    log: Log<JobId>,
) -> Result<Json<Page<WebhookJob>>, Problem> {
    let webhooks = state.app().webhooks();
    let page = webhooks.jobs(&context, id, log.from, log.size).await?;
    Ok(log.page(state.links(), &page, WebhookJob::from))
}

/// Read a webhook endpoint's job
#[utoipa::path(get, path = "/api/v1/webhook-endpoints/{endpointId}/jobs/{jobId}", operation_id = "getWebhookJob",
    tag = "webhooks",
    params(EndpointPath, JobPath),
    responses((status = 200, description = "The job.", body = WebhookJob)))]
async fn get_webhook_job(
    State(state): State<HttpState>,
    context: OpContext,
    Ids(endpoint, id): Ids<EndpointId, JobId>,
) -> Result<Json<WebhookJob>, Problem> {
    let job = state.app().webhooks().job(&context, endpoint, id).await?;
    Ok(Json(WebhookJob::from(&job)))
}

/// Send a webhook delivery again
///
/// Whatever came of it: it goes out at once, through the endpoint's pauses and past the others of its session, under the same
/// event id. One under way stays as it is; one of a disabled endpoint is held. Its attempts go on counting.
#[utoipa::path(post, path = "/api/v1/webhook-deliveries/{deliveryId}/redeliver",
    operation_id = "redeliverWebhookDelivery", tag = "webhooks",
    params(DeliveryPath),
    responses((status = 202, description = "The delivery, which is due.", body = WebhookDelivery,
        headers(("Location" = String, description = "The delivery.")))))]
async fn redeliver_webhook_delivery(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<DeliveryId>,
    NoBody: NoBody,
) -> Result<Accepted<WebhookDelivery>, Problem> {
    let delivery = state.app().webhooks().redeliver(&context, id).await?;
    let location = state.links().api(&format!("/webhook-deliveries/{}", delivery.id));
    let body = WebhookDelivery::from(&delivery);
    Ok(Accepted { location, body })
}
