//! A receiver's answer, as far as anything is made of it.

/// An answer's head, and what was read of its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Location`, as it came.
    pub location: Option<String>,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// `Date`, as it came.
    pub date: Option<String>,
    /// The beginning of the body, where it is text.
    pub text: Option<String>,
}
