//! The ids in paths, each described once for the document. Handlers read them by `Id`, so that nothing reads these.

use utoipa::IntoParams;

/// Which failover plan.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct PlanPath {
    /// The plan's id, plain or as a URN.
    #[param(rename = "planId", example = "3f56fa52-c902-4655-9774-2022fde214d2")]
    plan_id: String,
}

/// Which operation.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct OperationPath {
    /// The operation's id.
    #[param(rename = "operationId", example = "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01")]
    operation_id: String,
}

/// A ticket in the place of a token. It is taken before a handler runs.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct TicketParam {
    /// A ticket that was issued for this, in the place of a token.
    ticket: Option<String>,
}

/// Which event.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct EventPath {
    /// The event's id, which is also the `webhook-id` of its deliveries.
    #[param(rename = "eventId", example = "evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c0001")]
    event_id: String,
}

/// Which failover session.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct SessionPath {
    /// The session's id, plain or as a URN.
    #[param(rename = "sessionId", example = "a986d473-0248-4884-9832-17ec982ee393")]
    session_id: String,
}

/// Which webhook endpoint.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct EndpointPath {
    /// The endpoint's id.
    #[param(rename = "endpointId", example = "ep_019c55e5-9d00-7a1c-9f60-2f3f1d0c000a")]
    endpoint_id: String,
}

/// Which webhook delivery.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct DeliveryPath {
    /// The delivery's id.
    #[param(rename = "deliveryId", example = "dlv_019c55e5-9d00-7a1c-9f60-2f3f1d0c000d")]
    delivery_id: String,
}

/// Which job of a webhook endpoint.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct JobPath {
    /// The job's id.
    #[param(rename = "jobId", example = "job_019c55e5-9d00-7a1c-9f60-2f3f1d0c000f")]
    job_id: String,
}

/// The condition of a change.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct ChangeConditions {
    /// The entity tag of the state that was read, or several separated by commas; `*` matches any state.
    #[param(
        rename = "If-Match",
        required = false,
        pattern = "^(\\*|(W/)?\"[!#-~]*\"([ \\t]*,[ \\t]*(W/)?\"[!#-~]*\")*)$"
    )]
    if_match: Option<String>,
}
