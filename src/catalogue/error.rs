//! What can be wrong with the data files: each fault names its file and the entry.

use std::fmt;

use crate::text::counted;

/// The data files do not hold together; every fault found, in file order.
#[derive(Debug, thiserror::Error)]
#[error("the catalogue has {}: {}", counted(.0.len(), "fault"), Faults(.0))]
pub struct CatalogueError(pub Vec<Fault>);

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Data file, such as `cloud.toml`.
    pub file: &'static str,
    /// The entry: a type, `Type.Field`, an enumeration, a path, a query.
    pub name: String,
    pub what: FaultKind,
}

/// The kinds of faults the loader finds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    #[error("is not TOML of the expected shape: {0}")]
    Unreadable(String),
    #[error("the line \"{0}\" does not read: {1}")]
    Line(String, &'static str),
    #[error("is defined twice")]
    Duplicate,
    #[error("names {0}, which is neither a scalar, an enumeration nor a type")]
    UnknownType(String),
    #[error("extends {0}, which does not exist")]
    UnknownBase(String),
    #[error("extends itself through {0}")]
    Cycle(String),
    #[error("has {0} and {1}, which are both {2} in JSON")]
    NameClash(String, String, String),
    #[error("has more than 63 fields")]
    TooManyFields,
    #[error("has both text and child elements")]
    MixedContent,
    #[error("is a list and must have exactly one repeated child")]
    NotAList,
    #[error("names the field {0}, which it does not have")]
    UnknownField(String),
    #[error("names the document element {0}, which no type has")]
    UnknownRoot(String),
    #[error("names the query {0}, which does not exist")]
    UnknownQuery(String),
    #[error("begins with a parameter, not with a word of EM's")]
    NoFirstWord,
    #[error("names the resource {0}, which does not exist")]
    UnknownResource(String),
    #[error("names the link relation {0}, which does not exist")]
    UnknownRelation(String),
    #[error("has no values")]
    Empty,
    #[error("has two operations {0}")]
    SameOperation(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.file, self.name, self.what)
    }
}

struct Faults<'a>(&'a [Fault]);

impl fmt::Display for Faults<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}
