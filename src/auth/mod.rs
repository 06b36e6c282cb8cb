//! Verifies bearer tokens: each becomes a [`Caller`](crate::domain::access::Caller), or the reason why it is refused
//! (docs/behaviour.md#tokens).
//!
//! The room knows tokens, keys and claims; it knows nothing of HTTP. Signatures are checked by the library, times by
//! the clock that is passed in. Invariant: no text of a token reaches a log, an error or a `Debug` output.

mod claims;
pub mod config;
mod keys;
mod refusal;
mod verifier;

pub use config::AuthConfig;
pub use keys::{Key, KeyError, public_key_algorithm};
pub use refusal::Refusal;
pub use verifier::Verifier;

#[cfg(test)]
mod tests;
