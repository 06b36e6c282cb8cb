//! The verbs: whatever needs two rooms together.
//!
//! A handler at the edge calls one verb and wraps its answer; a verb knows no status code and no header.

pub mod error;

pub use error::{Error, FieldError};
