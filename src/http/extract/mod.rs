//! What handlers take from a request, each refusing with a problem of `codes` (docs/behaviour.md#requests).

mod body;
mod conditional;
mod digest;
mod idempotency;
mod parameters;
mod path;
mod prefer;
mod query;

pub use body::{JsonBody, JsonValue, OptionalJson, RawJson};
pub use conditional::{Conditions, entity_tag};
pub use digest::value_tag;
pub use idempotency::{Idempotency, no_idempotency_key};
pub use parameters::{KnownParameters, only_known, pairs};
pub use path::Id;
pub use prefer::Wait;
pub use query::{
    AnyOf, EventCursor, IdFilter, Moment, One, OpaqueCursor, PageNumber, PageSize, Query, Word, cursor,
};
