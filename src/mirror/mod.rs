//! The grammar of the mirror: which operation of EM's a request under `/api/v1/em` means (docs/behaviour.md#the-mirror).
//!
//! It decides by the catalogue alone and never waits or sends; the verbs that send are in `app::em`, the documentation of
//! the same routes is in `http::openapi::em`. Invariant: a target for EM holds nothing that a server in between could
//! read as another path. Tests: beside each file, and `tests/it/mirror`.
//!
//! | file | holds |
//! |---|---|
//! | `path` | a path matched with EM's resources, and encoded anew |
//! | `known` | the query parameters that an operation takes |
//! | `search` | which collections EM's query service can search |
//! | `read` | method, path and query become a [`MirrorRequest`], or every fault |
//! | `plan_verb` | the writes that curated routes do as well |

mod error;
mod known;
mod path;
mod plan_verb;
mod read;
mod request;
mod search;

pub use error::Error;
pub use known::{formats, is_task, known_parameters};
pub use path::{is_linked, is_mirrored};
pub use plan_verb::{PlanVerb, PlanWrite};
pub use read::methods;
pub use request::{Kind, MirrorRequest};
pub use search::{Queryable, of as queryable};
