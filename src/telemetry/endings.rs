//! The end of an operation: counted, and a line in the log that says how it ended, alike wherever the end is recorded.

use std::fmt::Display;

use super::names;

/// How an operation ended, as far as operators are told.
#[derive(Clone, Copy)]
pub struct Ending<'a> {
    /// The operation's id.
    pub operation: &'a dyn Display,
    /// What was asked for.
    pub action: &'a str,
    /// The plan's name; none of a write through the mirror.
    pub plan_name: Option<&'a str>,
    /// The path that was written to through the mirror.
    pub path: Option<&'a str>,
    /// The result's word; none when no evidence of it was found.
    pub result: Option<&'a str>,
    /// Why it failed, where that is known.
    pub reason: Option<&'a str>,
}

/// To be called once for each end, after it was committed. Whatever is neither a success nor a cancellation is a warning, so
/// that a log of warnings alone does not miss it.
pub fn operation_ended(ending: Ending<'_>) {
    let Ending {
        operation,
        action,
        plan_name,
        path,
        result,
        reason,
    } = ending;
    let result = result.unwrap_or("unknown");
    let labels = [("action", action.to_owned()), ("result", result.to_owned())];
    metrics::counter!(names::OPERATIONS_ENDED, &labels).increment(1);
    match result {
        "success" | "cancelled" => {
            tracing::info!(%operation, action, plan_name, path, result, reason, "an operation ended");
        }
        _ => tracing::warn!(%operation, action, plan_name, path, result, reason, "an operation ended"),
    }
}
