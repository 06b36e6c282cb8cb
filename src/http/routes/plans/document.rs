//! What the documents of all plan operations share: parameters and answers, never made, only described.

use utoipa::{IntoParams, IntoResponses};

use crate::api_types::dry_run::OperationOrDryRun;
use crate::api_types::operations::Operation;

/// The headers of an edit or a deletion.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct EditHeaders {
    /// The entity tag of the state that was read, or several separated by commas; `*` matches any state.
    #[param(
        rename = "If-Match",
        pattern = "^(\\*|(W/)?\"[!#-~]*\"([ \\t]*,[ \\t]*(W/)?\"[!#-~]*\")*)$"
    )]
    if_match: Option<String>,
    /// `wait=SECONDS` waits until the operation ends. `respond-async` asks for the address of its result in `Location`, and
    /// `respond-async, ticket` for one that needs no token, where `auth.tickets` is on. Other preferences, and preferences that
    /// cannot be parsed, are ignored (RFC 7240).
    #[param(rename = "Prefer", example = "wait=30")]
    prefer: Option<String>,
    /// The same request with the same key is the same operation for 24 hours.
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
    /// `wait=SECONDS` waits until the operation ends. `respond-async` asks for the address of its result in `Location`, and
    /// `respond-async, ticket` for one that needs no token, where `auth.tickets` is on. Other preferences, and preferences that
    /// cannot be parsed, are ignored (RFC 7240).
    #[param(rename = "Prefer", example = "wait=30")]
    prefer: Option<String>,
    /// The same request with the same key is the same operation for 24 hours.
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
    /// Recorded and sent, or `awaitingApproval`; read the operation for its outcome.
    #[response(status = 202,
        headers(("Location" = String, description = "The operation's address; with `respond-async` that of its result."),
            ("Preference-Applied" = String, description = "What was granted of the preferences.")))]
    Recorded(Operation),
    #[response(status = 200, description = "The operation ended within the requested wait, or the request repeats an earlier one with the same key; with `dryRun=true` what the request would become.",
        headers(("Location" = String, description = "The operation's address; with `respond-async` that of its result."),
            ("Idempotency-Replayed" = String, description = "`true` when the key was used before and nothing was sent again."),
            ("Preference-Applied" = String, description = "What was granted of the preferences.")))]
    Done(OperationOrDryRun),
}

/// How an action is answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum ActionResponses {
    #[response(status = 202, description = "Recorded; `running` when Enterprise Manager accepted it, \
        `submitting` while that is not known, `awaitingApproval` when a policy holds it back.",
        headers(("Location" = String, description = "The operation's address; with `respond-async` that of its result."),
            ("Preference-Applied" = String, description = "What was granted of the preferences.")))]
    Recorded(Operation),
    #[response(status = 200, description = "The operation ended within the requested wait, or the request repeats an earlier one with the same key; with `dryRun=true` what the request would become.",
        headers(("Location" = String, description = "The operation's address; with `respond-async` that of its result."),
            ("Idempotency-Replayed" = String, description = "`true` when the key was used before and nothing was sent again."),
            ("Preference-Applied" = String, description = "What was granted of the preferences.")))]
    Ended(OperationOrDryRun),
}
