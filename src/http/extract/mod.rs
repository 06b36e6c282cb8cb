//! What handlers extract from a request, each refusing with a problem of `codes` (docs/behaviour.md#requests).

mod body;
mod conditional;
mod cursor;
mod digest;
mod idempotency;
mod op_context;
mod parameters;
mod path;
mod prefer;
mod query;

pub use body::{JsonBody, JsonValue, NoBody, OptionalJson, RawJson};
pub use conditional::{Conditions, entity_tag};
pub use cursor::{
    AuditCursor, EventCursor, FromCursor, IntoCursor, OpaqueCursor, START, cursor, position_header,
    position_text,
};
pub use digest::json_etag;
pub use idempotency::{Idempotency, no_idempotency_key};
pub use parameters::{KnownParameters, pairs};
pub use path::{Id, Ids};
pub use prefer::Preferences;
pub use query::{
    Choice, Choices, EnumParam, IdFilter, NameFilter, PageNumber, PageSize, Query, TimestampParam, bounded,
    flag, text_of,
};
