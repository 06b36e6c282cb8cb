//! What the documents of all plan operations share: parameters and answers, never made, only described.

use utoipa::{IntoParams, IntoResponses};

use crate::api_types::operations::Operation;

/// The headers of an edit or a deletion.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct EditHeaders {
    /// The entity tag of the state that was read, or several separated by commas; `*` is any.
    #[param(
        rename = "If-Match",
        pattern = "^(\\*|(W/)?\"[!#-~]*\"([ \\t]*,[ \\t]*(W/)?\"[!#-~]*\")*)$"
    )]
    if_match: Option<String>,
    /// `wait=SECONDS` waits for the end. Other preferences, and what cannot be read, are ignored (RFC 7240).
    #[param(rename = "Prefer", example = "wait=30")]
    prefer: Option<String>,
    /// The same request under the same key is the same operation for 24 hours.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]{1,255}$"
    )]
    idempotency_key: Option<String>,
}

/// The headers of an action.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct ActionHeaders {
    /// `wait=SECONDS` waits for the end. Other preferences, and what cannot be read, are ignored (RFC 7240).
    #[param(rename = "Prefer", example = "wait=30")]
    prefer: Option<String>,
    /// The same request under the same key is the same operation for 24 hours.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]{1,255}$"
    )]
    idempotency_key: Option<String>,
}

/// How an edit or a deletion is answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum EditResponses {
    /// Recorded and sent; the operation tells how it ends.
    #[response(status = 202, headers(("Location" = String, description = "The operation.")))]
    Recorded(Operation),
    #[response(status = 200, description = "Done within the wait that was asked for, or asked for before under the same key.",
        headers(("Location" = String, description = "The operation."),
            ("Idempotency-Replayed" = String, description = "`true` when the key came before and nothing new was done."),
            ("Preference-Applied" = String, description = "The wait that was granted.")))]
    Done(Operation),
}

/// How an action is answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum ActionResponses {
    #[response(status = 202, description = "Recorded; `running` when Enterprise Manager took it, `submitting` when that is \
        not known yet.", headers(("Location" = String, description = "The operation.")))]
    Recorded(Operation),
    #[response(status = 200, description = "Ended within the wait that was asked for, or asked for before under the same key.",
        headers(("Location" = String, description = "The operation."),
            ("Idempotency-Replayed" = String, description = "`true` when the key came before and nothing new was done."),
            ("Preference-Applied" = String, description = "The wait that was granted.")))]
    Ended(Operation),
}
