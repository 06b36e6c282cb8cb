//! Which problem a caller gets for an error of the rooms below, and what of it is logged.
//!
//! This is the one file that knows every room's errors. An error is logged here, once, with the request's span around
//! it; the problem holds public text only.

use std::time::Duration;

use super::codes::Code;
use super::problem::Problem;
use crate::api_types::Moment;
use crate::app::error::{BusyWith, StoreError};
use crate::app::{self, UpstreamError, UpstreamFault};
use crate::auth::Refusal;
use crate::domain::policy::Denial;
use crate::json;
use crate::text::counted;

/// When to come again where a number of things is limited. Time does not lower it, so that this is no more than what keeps a
/// client that goes by `Retry-After` alone from asking without end.
const COUNT_PAUSE: Duration = Duration::from_hours(1);
/// When to come again while a job is under way: some thousand deliveries further.
const JOB_PAUSE: Duration = Duration::from_secs(30);

/// What was requested when Enterprise Manager did not answer in time.
#[derive(Clone, Copy)]
enum Requested {
    Read,
    /// Never answered with 504, which would leave open whether it was done. A time-out comes here only before anything
    /// was sent; one that comes later is answered with 202.
    Action,
}

impl From<app::Error> for Problem {
    fn from(error: app::Error) -> Self {
        logged(&error, Requested::Read)
    }
}

impl From<json::Error> for Problem {
    fn from(error: json::Error) -> Self {
        match error {
            json::Error::Malformed(_) => Self::new(Code::MalformedRequest, format!("the body {error}")),
            json::Error::Faults(faults) => Self::invalid(faults),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::bad_token(&refusal.to_string())
    }
}

/// The problem for an action that failed.
#[expect(clippy::needless_pass_by_value, reason = "an argument of map_err")]
pub(super) fn of_action(error: app::Error) -> Problem {
    logged(&error, Requested::Action)
}

fn logged(error: &app::Error, requested: Requested) -> Problem {
    let problem = problem_of(error, requested);
    log(error, problem.code());
    problem
}

/// Logs what operators have to know of; what callers can mend themselves is only answered.
fn log(error: &app::Error, code: Code) {
    use app::Error as E;
    match error {
        E::Store(error) => tracing::error!(error = error as &dyn std::error::Error, "the store failed"),
        E::Internal(what) => tracing::error!(what, "internal error"),
        E::Upstream(source) | E::Refused { source, .. } if code.status().is_server_error() => tracing::warn!(
            error = source as &dyn std::error::Error,
            code = code.as_str(),
            "Enterprise Manager did not carry out a request"
        ),
        E::Upstream(_)
        | E::Refused { .. }
        | E::NotFound { .. }
        | E::NoSuchMethod(_)
        | E::Invalid(_)
        | E::TooManyEndpoints { .. }
        | E::TooManyJobs(_)
        | E::PlanBusy(_)
        | E::KeyReused
        | E::NotReady
        | E::NeedsScope(_)
        | E::PreconditionFailed
        | E::OperationFinished(_)
        | E::OperationRunning(_)
        | E::SessionRunning(_)
        | E::NotAwaitingApproval { .. }
        | E::PolicyDenied(_)
        | E::SelfApproval(_)
        | E::PlanChanged(_)
        | E::NotCancellable { .. } => {}
    }
}

fn problem_of(error: &app::Error, requested: Requested) -> Problem {
    use app::Error as E;
    match error {
        E::NotFound { what } => Problem::not_found(what),
        E::NoSuchMethod(methods) => Problem::no_such_method(methods),
        E::Invalid(faults) => Problem::invalid(faults.clone()),
        E::TooManyEndpoints { most } => {
            let detail = format!(
                "no more than {} may be there (limits.endpoints), and waiting alone makes no room: delete one first, or \
                 have the limit raised",
                counted(*most, "webhook endpoint")
            );
            Problem::new(Code::RateLimited, detail).retry_after(Some(COUNT_PAUSE))
        }
        E::TooManyJobs(detail) => Problem::new(Code::RateLimited, *detail).retry_after(Some(JOB_PAUSE)),
        E::PlanBusy(BusyWith::Operation(id)) => Problem::new(
            Code::PlanBusy,
            format!("operation {id} of this plan has not ended"),
        )
        .about_operation(id),
        E::PlanBusy(BusyWith::Session(id)) => Problem::new(
            Code::PlanBusy,
            format!("failover session {id} of this plan has not stopped"),
        )
        .about_session(id),
        E::PlanBusy(BusyWith::Unnamed) => Problem::new(
            Code::PlanBusy,
            "a failover that may be one of this plan has not stopped",
        ),
        E::KeyReused => Problem::new(
            Code::IdempotencyKeyReused,
            "the key was used for another request; use a new key for each new request",
        ),
        E::NotReady => Problem::new(
            Code::UpstreamUnavailable,
            "Enterprise Manager's failover sessions have not been observed completely yet, so no action is accepted",
        ),
        E::PreconditionFailed => Problem::new(
            Code::PreconditionFailed,
            "the entity tag in If-Match is not that of the current state",
        ),
        E::OperationFinished(id) => {
            Problem::new(Code::OperationFinished, format!("operation {id} has ended")).about_operation(id)
        }
        E::OperationRunning(id) => Problem::new(
            Code::OperationRunning,
            format!("operation {id} has not ended; its report is made then"),
        )
        .about_operation(id),
        E::SessionRunning(id) => Problem::new(
            Code::OperationRunning,
            format!("failover session {id} has not ended; its report is made then"),
        )
        .about_session(id),
        E::NotAwaitingApproval { operation, state } => Problem::new(
            Code::OperationFinished,
            format!("operation {operation} does not wait for approval: it is `{state}`"),
        )
        .about_operation(operation),
        E::SelfApproval(id) => Problem::new(
            Code::SelfApproval,
            "an operation is decided by others than its requester and its earlier approvers",
        )
        .about_operation(id),
        E::PlanChanged(id) => Problem::new(
            Code::PlanChanged,
            format!(
                "the plan of operation {id} was changed or removed since it was requested; nothing was sent"
            ),
        )
        .about_operation(id),
        E::PolicyDenied(denial) => denied(denial),
        E::NeedsScope(scope) => Problem::lacks_scopes(&[*scope]),
        E::NotCancellable { reason } => Problem::new(Code::NotCancellable, *reason),
        E::Refused { operation, source } => upstream(source, requested).about_operation(operation),
        E::Upstream(error) => upstream(error, requested),
        E::Store(error) => store(error),
        E::Internal(_) => Problem::internal(),
    }
}

fn denied(denial: &Denial) -> Problem {
    match denial {
        Denial::Caller { policy } => Problem::new(
            Code::PolicyDenied,
            format!("the policy `{policy}` does not admit this caller"),
        ),
        Denial::Window { policies, next } => {
            let names: Vec<String> = policies.iter().map(|name| format!("`{name}`")).collect();
            let names = names.join(", ");
            let many = policies.len() > 1;
            let detail = match (next, many) {
                (Some(opening), false) => {
                    let from = Moment::from(opening.from);
                    format!(
                        "the policy {names} does not allow it at this time; its next window opens at {from}"
                    )
                }
                (Some(opening), true) => {
                    let from = Moment::from(opening.from);
                    format!(
                        "the policies {names} do not all allow it at this time; their windows are next open together at {from}"
                    )
                }
                (None, _) => format!("the windows of {names} are never open at the same time"),
            };
            Problem::new(Code::PolicyDenied, detail).with_next_window(next.as_ref())
        }
    }
}

fn store(error: &StoreError) -> Problem {
    use StoreError as E;
    match error {
        E::RefusedValue { .. } => Problem::new(
            Code::InvalidRequest,
            "the request has text that the store cannot hold, such as the character U+0000",
        ),
        // The store works, and repeating the request changes nothing.
        E::Unsealable | E::Corrupt { .. } => Problem::internal(),
        E::Database(_) if error.is_about_the_row() => Problem::internal(),
        E::Refused { refusal, .. } => Problem::new(
            Code::StoreUnavailable,
            format!("the gateway's store cannot be written to: {}", refusal.reason()),
        ),
        E::Database(_)
        | E::TooSlow
        | E::At { .. }
        | E::Migration(_)
        | E::Newer { .. }
        | E::Locked { .. }
        | E::Unfit { .. }
        | E::NoDatabase { .. }
        | E::File { .. }
        | E::Url(_)
        | E::BadKey { .. }
        | E::KeyMissing
        | E::WrongKey { .. }
        | E::KeyGone { .. } => Problem::new(Code::StoreUnavailable, "the gateway's store did not answer"),
    }
}

/// What Enterprise Manager's answer, or its silence, means to the caller (docs/upstream-faults.md). Only its own words
/// are quoted, which `upstream` has cut to size; never an address, a path or a stack trace.
fn upstream(error: &UpstreamError, requested: Requested) -> Problem {
    use UpstreamFault as F;
    let quoting = |text: &str, message: &Option<String>| match message {
        Some(message) => format!("{text}: {message}"),
        None => text.to_owned(),
    };
    let (code, detail) = match error.kind() {
        F::Refused { status, message } => {
            let code = match status {
                403 => Code::UpstreamForbidden,
                404 => Code::NotFound,
                409 => Code::UpstreamConflict,
                _ => Code::UpstreamRejected,
            };
            (code, quoting("Enterprise Manager refused the request", message))
        }
        F::CredentialsRefused { message, .. } => (
            Code::UpstreamAuthFailed,
            quoting("Enterprise Manager refuses the gateway's credentials", message),
        ),
        F::Failed { status, message } => (
            Code::UpstreamError,
            quoting(
                &format!("Enterprise Manager failed with status {status}"),
                message,
            ),
        ),
        F::InvalidResponse { .. } => (
            Code::UpstreamInvalidResponse,
            "Enterprise Manager's answer is not a valid document".to_owned(),
        ),
        F::TooLarge { limit } => (
            Code::UpstreamInvalidResponse,
            format!("Enterprise Manager's answer is larger than {limit} bytes"),
        ),
        F::ConnectionLost { .. } => (
            Code::UpstreamError,
            "the connection to Enterprise Manager broke before the answer was complete".to_owned(),
        ),
        F::TimedOut => (
            match requested {
                Requested::Read => Code::UpstreamTimeout,
                Requested::Action => Code::UpstreamUnavailable,
            },
            "Enterprise Manager did not answer in time".to_owned(),
        ),
        F::Overloaded { message, .. } => (
            Code::UpstreamUnavailable,
            quoting("Enterprise Manager is overloaded or in maintenance", message),
        ),
        F::Unreachable { .. } => (
            Code::UpstreamUnavailable,
            "Enterprise Manager cannot be reached".to_owned(),
        ),
        F::CircuitOpen { .. } => (
            Code::UpstreamUnavailable,
            "Enterprise Manager has not answered for some time; the gateway waits before it sends another request"
                .to_owned(),
        ),
        F::NoFreeLogon => (
            Code::UpstreamUnavailable,
            "all logon sessions at Enterprise Manager are in use".to_owned(),
        ),
        F::DeadlinePassed => (
            Code::UpstreamUnavailable,
            "the gateway was delayed for so long that it did not send the request to Enterprise Manager"
                .to_owned(),
        ),
        F::ShuttingDown => (Code::UpstreamUnavailable, "the gateway is stopping".to_owned()),
        F::NotEncodable { .. } => (
            Code::InvalidRequest,
            "the request cannot be written as a document of Enterprise Manager".to_owned(),
        ),
    };
    let problem = Problem::new(code, detail);
    if matches!(code, Code::UpstreamUnavailable | Code::UpstreamAuthFailed) {
        problem.retry_after(error.retry_after())
    } else {
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(StoreError::RefusedValue { source: None }, Code::InvalidRequest)]
    #[case(StoreError::Corrupt { what: "events.body" }, Code::Internal)]
    #[case(StoreError::TooSlow, Code::StoreUnavailable)]
    fn an_error_of_the_store_is_answered_by_what_it_is_about(#[case] error: StoreError, #[case] code: Code) {
        let problem = Problem::from(app::Error::Store(error));
        assert_eq!(problem.code(), code);
    }
}
