//! The JSON of the API (docs/behaviour.md#values), in both directions: what callers send, and what callers and webhook
//! receivers get, built from domain values.
//!
//! Every field of an answer is always there: null means not known or not applicable, arrays are never null. Key order is
//! as written here, but no client may depend on it.

pub mod actions;
pub mod audit;
pub mod dry_run;
pub mod events;
pub mod identity;
pub mod moment;
pub mod objectives;
pub mod operations;
pub mod page;
pub mod plans;
pub mod purpose;
pub mod readiness;
pub mod reports;
pub mod schedules;
pub mod sessions;
pub mod system;
pub mod test_events;
pub mod webhooks;

pub use moment::Moment;
