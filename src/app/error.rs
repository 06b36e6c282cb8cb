//! The errors of verbs; `http::failures` gives each its status and code.

use crate::domain::access::Scope;
pub use crate::domain::field_error::FieldError;
use crate::domain::id::{EmId, OperationId};
use crate::domain::operation::OperationState;
use crate::domain::policy::Denial;
use crate::mirror;
use crate::store;
pub use crate::store::Error as StoreError;
use crate::text::counted;

/// What keeps a plan busy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusyWith {
    /// An operation that has not ended.
    Operation(OperationId),
    /// A failover session that has not stopped.
    Session(EmId),
    /// Something that the caller does not see.
    Unnamed,
}

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The resource does not exist, or not for this caller.
    #[error("{what} was not found")]
    NotFound {
        /// The kind of thing, for people.
        what: &'static str,
    },
    /// EM's resource does not accept this method; it accepts these.
    #[error("the resource does not support this method")]
    NoSuchMethod(Vec<crate::catalogue::Method>),
    /// What was sent is well-formed but not acceptable.
    #[error("the request is not valid")]
    Invalid(Vec<FieldError>),
    /// The caller has as many of these as there may be.
    #[error("there may be no more than {}", counted(*most, "webhook endpoint"))]
    TooManyEndpoints {
        /// How many there may be.
        most: usize,
    },
    /// The endpoint has a job under way, or there are as many as there may be.
    #[error("{0}")]
    TooManyJobs(&'static str),
    /// The plan runs already.
    #[error("the plan is busy")]
    PlanBusy(BusyWith),
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// EM has not been observed completely yet, so that its running sessions are not known.
    #[error("Enterprise Manager has not been observed completely yet")]
    NotReady,
    /// The caller lacks a scope that depends on what the request is about.
    #[error("the request needs the scope {0}")]
    NeedsScope(Scope),
    /// The resource has changed since the caller read it.
    #[error("the resource has changed since it was read")]
    PreconditionFailed,
    /// The operation has ended; there is nothing to stop.
    #[error("the operation has ended")]
    OperationFinished(OperationId),
    /// The operation has not ended, so that there is no report of it yet.
    #[error("the operation has not ended")]
    OperationRunning(OperationId),
    /// The session has not ended, so that there is no report of it yet.
    #[error("the failover session has not ended")]
    SessionRunning(EmId),
    /// The operation does not wait for approval, or no longer.
    #[error("the operation does not wait for approval: it is {state}")]
    NotAwaitingApproval {
        /// Which.
        operation: OperationId,
        /// Its state.
        state: OperationState,
    },
    /// A policy does not allow it.
    #[error("a policy does not allow it")]
    PolicyDenied(Denial),
    /// A caller would approve or reject what they requested, or approved before.
    #[error("the caller requested or approved it themselves")]
    SelfApproval(OperationId),
    /// The plan is not what it was when the operation was requested; the operation has ended.
    #[error("the plan has changed since the operation was requested")]
    PlanChanged(OperationId),
    /// The operation has no task yet, or no longer one, that EM could stop.
    #[error("the operation cannot be cancelled: {reason}")]
    NotCancellable {
        /// Why, for people.
        reason: &'static str,
    },
    /// EM definitely refused the request of an operation; the operation has ended.
    #[error("Enterprise Manager refused the operation")]
    Refused {
        /// The operation that records the refusal.
        operation: OperationId,
        /// EM's answer.
        #[source]
        source: crate::upstream::Error,
    },
    /// EM could not be reached, or its answer is invalid.
    #[error("Enterprise Manager could not answer")]
    Upstream(#[from] crate::upstream::Error),
    /// The store failed.
    #[error("the store could not answer")]
    Store(#[from] store::Error),
    /// A fault of the gateway's own.
    #[error("{0}")]
    Internal(&'static str),
}

impl Error {
    /// A single fault in what was sent.
    #[must_use]
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, detail)])
    }
}

impl From<crate::transcode::FieldFault> for FieldError {
    fn from(fault: crate::transcode::FieldFault) -> Self {
        Self::new(fault.pointer, fault.what.to_string())
    }
}

impl From<mirror::Error> for Error {
    fn from(error: mirror::Error) -> Self {
        match error {
            mirror::Error::NoSuchResource => Self::NotFound { what: "the resource" },
            mirror::Error::NoSuchMethod(methods) => Self::NoSuchMethod(methods),
            mirror::Error::Invalid(faults) => Self::Invalid(faults),
        }
    }
}
