//! What `emgate store copy` does: two stores and the clock, and nothing of the gateway.

pub use crate::store::config::Config;
pub use crate::store::copy::{Error, Progress};

use std::path::PathBuf;

use crate::clock::SystemClock;

/// Copies a store into another one, and compares them; the file of the key that both have.
///
/// # Errors
/// [`Error`].
pub async fn copy(old: &Config, new: &Config, tell: impl FnMut(Progress)) -> Result<PathBuf, Error> {
    crate::store::copy::copy(old, new, SystemClock::shared(), tell).await
}
