//! Verifies bearer tokens: each becomes a [`Caller`](crate::domain::access::Caller), or the reason why it is refused
//! (docs/behaviour.md#tokens).
//!
//! The room knows tokens, keys and claims, and asks identity providers for their keys; it knows nothing of the requests
//! that tokens come with. Signatures are checked by the library, times by the clock that is passed in. Invariant: no text of a token reaches a log, an error or a `Debug` output.

mod claims;
pub mod config;
mod fetch;
mod inspect;
mod issuer;
mod jws;
mod key_set;
mod keys;
pub mod login;
mod probe;
mod refusal;
mod rules;
mod verified;
mod verifier;

pub use config::{Asynchrony, AuthConfig, ClientConfig};
pub use fetch::SetupError;
pub use inspect::{Inspection, KeyOf, Rights};
pub use issuer::KeyRefresh;
pub use keys::{Key, KeyError, public_key_algorithm};
pub use probe::{ProbeError, probe};
pub use refusal::Refusal;
pub use verifier::Verifier;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
