//! The JSON of the API (docs/behaviour.md#values), seen by callers and webhook receivers alike; built from domain values.
//!
//! Every field is always there: null means not known or not applicable, arrays are never null. Key order is as
//! written here, but nobody may depend on it.

pub mod events;
pub mod moment;
pub mod operations;
pub mod page;
pub mod plans;
pub mod sessions;
pub mod webhooks;

pub use moment::Moment;
