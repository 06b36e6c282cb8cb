//! What a real Enterprise Manager sends beside what the catalogue says of it: the proof on somebody's own EM.
//!
//! Each collection that can be read is read once, by GET alone; each document is transcoded and held against the catalogue,
//! and what differs is counted. The report tells of types, fields and forms and never of a value: no name, address or id.
//! `catalogue`'s facts come from a manual, so whoever has an EM can find out in minutes where it differs, and tell others.
//!
//! | file | holds |
//! |---|---|
//! | `walk` | what is read next |
//! | `read` | the reads: their pace, their failures |
//! | `entry` | what came of one read |
//! | `observe` | one document against the catalogue |
//! | `form` | how a value is told without telling it |
//! | `sums` | what was seen, added up |
//! | `journal` | what was read, in a file, so that a survey that was interrupted goes on |
//! | `xsd`, `schema` | the product's own schema files, and how the catalogue differs from them |
//! | `report` | what is handed over |
//!
//! Invariant: a word that is told is from the catalogue, from a schema file, or a name of markup. Tests: beside each part,
//! and `tests/it/survey`.

mod entry;
mod form;
mod journal;
mod observe;
mod read;
mod report;
mod schema;
mod sums;
mod walk;
mod xsd;

pub use self::journal::{Journal, JournalError};
pub use self::read::{Error, Options, Progress, read_all};
pub use self::report::Report;
pub use self::schema::{SchemaReport, compare as compare_schema};
pub use self::xsd::{Schema, SchemaError};
