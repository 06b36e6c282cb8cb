//! The world at one time, and one item of it: what documents are written about.
//!
//! What there is, and what belongs to what, is computed in `generic`.

use std::sync::Arc;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::dice::Dice;
use super::generic::kinds::Kind;
use super::world::World;

/// What stays readable in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The world at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub world: &'a World,
    pub now: Timestamp,
}

/// One thing.
#[derive(Debug, Clone)]
pub struct Row {
    pub kind: &'static Kind,
    pub index: usize,
    /// As it is in paths, not encoded.
    pub id: String,
    /// The id, or the name or number that replaces it.
    pub key: Uuid,
    pub owner: Option<Arc<Row>>,
}

impl Row {
    /// Its path below `/api`.
    pub fn path(&self) -> String {
        if self.kind.single {
            return self.id.clone();
        }
        format!("{}/{}", self.collection(), segment(&self.id))
    }

    /// The path of the collection that holds it.
    pub fn collection(&self) -> String {
        collection_path(self.kind, self.owner.as_deref())
    }

    /// The URN that names it.
    pub fn uid(&self) -> String {
        format!("urn:veeam:{}:{}", self.kind.label, self.id)
    }
}

/// One segment of a path, encoded.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// The path of a collection below `/api`.
pub fn collection_path(kind: &Kind, owner: Option<&Row>) -> String {
    match owner {
        None => kind.path.to_owned(),
        Some(owner) => {
            let tail = kind.path.rsplit_once('}').map_or("", |(_, tail)| tail);
            format!("{}{tail}", owner.path())
        }
    }
}

/// A number that depends on all parts, and on nothing else.
pub fn hash(parts: &[&str]) -> u64 {
    Dice::from_name(&parts.join("\u{1f}")).next()
}
