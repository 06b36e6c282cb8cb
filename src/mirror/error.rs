//! Why a request through the mirror is not one that EM has.

use crate::catalogue::Method;
use crate::domain::field_error::FieldError;

/// Why a request means nothing at EM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// EM has no resource at this path, or none that is mirrored.
    #[error("Enterprise Manager has no resource at this path")]
    NoSuchResource,
    /// The resource does not take this method; these it takes.
    #[error("the resource does not support this method")]
    NoSuchMethod(Vec<Method>),
    /// Query parameters that EM would not understand.
    #[error("the query is not valid")]
    Invalid(Vec<FieldError>),
}
