//! Why a document was refused, in either direction.
//!
//! The texts may reach a caller: they quote at most a short excerpt of names, never values.

use crate::text::counted;

/// Why XML could not become JSON. `at` is the byte position in the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the document is empty")]
    Empty,
    #[error("this is not XML: {what} (byte {at})")]
    Malformed { what: String, at: u64 },
    #[error("the document ends in the middle (byte {at})")]
    Truncated { at: u64 },
    #[error("the document carries a DTD (byte {at})")]
    Dtd { at: u64 },
    #[error("the entity &{name}; is not declared (byte {at})")]
    Entity { name: String, at: u64 },
    #[error("the document holds a character that XML does not allow, U+{code:04X} (byte {at})")]
    Character { code: u32, at: u64 },
    #[error("elements nest deeper than {limit} (byte {at})")]
    TooDeep { limit: u32, at: u64 },
    /// More bytes than allowed, in the document or in the JSON it would become.
    #[error("the document is too large: more than {limit} bytes of {what}")]
    TooLarge { limit: u64, what: &'static str },
    #[error("the bytes are not {encoding} (byte {at})")]
    Encoding { encoding: String, at: u64 },
    #[error("the document element {name} is not one of EM's (byte {at})")]
    UnknownRoot { name: String, at: u64 },
    /// A document of EM's, but not the one asked for.
    #[error("the document element is {found}, not {expected}")]
    UnexpectedRoot { found: &'static str, expected: String },
    #[error("{ty} has {field} more than once (byte {at})")]
    Repeated {
        ty: &'static str,
        field: String,
        at: u64,
    },
    #[error("{ty}: names clash too late in a large document to be told apart (byte {at})")]
    LateClash { ty: &'static str, at: u64 },
    #[error("cannot read the document: {0}")]
    Io(String),
}

/// Why JSON could not become XML; `pointer` is a JSON pointer (RFC 6901) to the offending value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("this is not JSON: {what} (byte {at})")]
    Syntax { what: &'static str, at: usize },
    #[error("EM has no document element or type called {0}")]
    UnknownRoot(String),
    #[error("{} {} not fit: {}", counted(.0.len(), "value"), if .0.len() == 1 { "does" } else { "do" }, Faults(.0))]
    Invalid(Vec<FieldFault>),
    #[error("cannot read or write the document: {0}")]
    Io(String),
}

impl EncodeError {
    /// The same where the text that was read begins with byte `base` of the document.
    pub(super) fn behind(self, base: usize) -> Self {
        match self {
            Self::Syntax { what, at } => Self::Syntax { what, at: base + at },
            other => other,
        }
    }
}

/// One value that does not fit EM's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// JSON pointer, `""` for the whole document.
    pub pointer: String,
    pub what: FieldFaultKind,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldFaultKind {
    #[error("EM's {0} has no such field")]
    Unknown(&'static str),
    #[error("is given twice")]
    Twice,
    #[error("is required")]
    Missing,
    #[error("must be {0}")]
    Type(&'static str),
    #[error("must be one of {}", .0.join(", "))]
    Enum(Vec<&'static str>),
    #[error("cannot be given together with {0}")]
    Choice(String),
    #[error("holds a character that XML does not allow")]
    Character,
    #[error("needs a member \"type\" that says what it is")]
    UnknownItem,
    #[error("nests too deep")]
    TooDeep,
}

impl std::fmt::Display for FieldFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pointer = if self.pointer.is_empty() {
            "the document"
        } else {
            &self.pointer
        };
        write!(f, "{pointer} {}", self.what)
    }
}

struct Faults<'a>(&'a [FieldFault]);

impl std::fmt::Display for Faults<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, fault) in self.0.iter().take(5).enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{fault}")?;
        }
        if self.0.len() > 5 {
            write!(f, "; …")
        } else {
            Ok(())
        }
    }
}

/// At most forty characters of a name, without anything that could hurt a log line.
pub(super) fn excerpt(name: &str) -> String {
    let mut out: String = name
        .chars()
        .take(40)
        .map(|c| if c.is_control() || c == '"' { '?' } else { c })
        .collect();
    if out.len() < name.len() && name.chars().count() > 40 {
        out.push('…');
    }
    out
}
