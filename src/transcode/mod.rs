//! XML ⇄ JSON by the catalogue: bytes in, bytes out (docs/behaviour.md#xml-to-json, #json-to-xml).
//!
//! Decoding streams: events of quick-xml become JSON text at once, no tree is built, and [`convert`] runs in constant
//! memory whatever the size of the document. Shapes, names and types come from the catalogue only, never from the data
//! itself; what the catalogue does not know passes by general rules and is reported in [`Decoded::anomalies`].
//! Never does I/O of its own, knows nothing of HTTP. The files of the decoder (`decode`, `leaf`, `page`, `start`, `unknown`) import
//! each other as the grammar recurs, and so do `encode` and `listing`.
//!
//! Invariant: what is not a whole, well-formed document of EM's is refused, and nothing is dropped silently.
//! Tests: beside each part, `tests/it/transcode*.rs`, and the fuzz targets in `fuzz/`.

mod attributes;
mod content;
mod convert;
mod cut;
mod decode;
mod encode;
mod error;
mod frame;
mod json;
mod leaf;
mod listing;
mod out;
mod page;
mod pretty;
mod result;
mod rows;
mod scalar;
mod slice;
mod source;
mod start;
mod state;
mod text;
mod unknown;
mod utf16;
mod words;
mod xml;

use std::borrow::Cow;
use std::io::{BufRead, Write};

use crate::catalogue::{Root, TypeId, catalogue};

pub use convert::{ConvertError, Converted, Options, Target, convert};
pub use encode::Mode;
pub use error::{DecodeError, EncodeError, FieldFault, FieldFaultKind};
pub use rows::{DamagedRow, Rows};
pub use scalar::{Moment, is_value, moment};

/// What EM's `/api` becomes in addresses, where nothing else is asked for.
pub const MIRROR: &str = "/api/v1/em";

/// Bytes of JSON that one document in memory may become: many empty elements grow by their empty lists.
const MAX_JSON: usize = 512 * 1024 * 1024;

/// Distinct anomalies remembered of one document.
const MAX_ANOMALIES: usize = 64;

/// One of EM's documents as JSON.
#[derive(Debug)]
pub struct Decoded {
    /// The document element, such as `CloudFailoverSession` or `Error`.
    pub root: &'static str,
    pub ty: TypeId,
    /// UTF-8, without blanks.
    pub json: Vec<u8>,
    /// What the catalogue did not know, for the metrics.
    pub anomalies: Anomalies,
}

/// What in a document the catalogue did not foresee; nothing of it is lost in the JSON.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Anomalies {
    list: Vec<Anomaly>,
    /// Further ones beyond the distinct ones that are remembered.
    pub more: u64,
}

/// One anomaly and how often it occurred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    pub kind: AnomalyKind,
    /// EM's name of the type.
    pub ty: &'static str,
    /// The element, attribute or field; at most forty characters.
    pub name: String,
    pub count: u64,
}

/// The kinds of anomalies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnomalyKind {
    /// An element or attribute that the type does not have, or has in another spelling.
    UnknownName,
    /// A number, boolean or time that is none; it stays a string.
    UnparsedValue,
    /// A value that the enumeration does not list.
    UnknownValue,
}

impl Anomalies {
    /// Distinct anomalies, in order of first occurrence.
    pub fn iter(&self) -> impl Iterator<Item = &Anomaly> {
        self.list.iter()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds what another document had.
    fn add(&mut self, others: Self) {
        self.more += others.more;
        for other in others.list {
            let same = |a: &&mut Anomaly| a.kind == other.kind && a.ty == other.ty && a.name == other.name;
            if let Some(known) = self.list.iter_mut().find(same) {
                known.count += other.count;
            } else if self.list.len() < MAX_ANOMALIES {
                self.list.push(other);
            } else {
                self.more += other.count;
            }
        }
    }

    fn note(&mut self, kind: AnomalyKind, ty: &'static str, name: &str) {
        let same = |a: &&mut Anomaly| a.kind == kind && a.ty == ty && a.name == name;
        if let Some(known) = self.list.iter_mut().find(same) {
            known.count += 1;
        } else if self.list.len() < MAX_ANOMALIES {
            self.list.push(Anomaly {
                kind,
                ty,
                name: name.to_owned(),
                count: 1,
            });
        } else {
            self.more += 1;
        }
    }
}

/// Transcodes one document of EM's, whatever its root.
///
/// # Errors
/// Whatever is not a whole, well-formed document with a root of EM's; see [`DecodeError`].
pub fn decode(xml: &[u8]) -> Result<Decoded, DecodeError> {
    decode_below(MIRROR, xml, &[])
}

/// The same into memory that was used before, which is thrown away first.
///
/// # Errors
/// As [`decode`]; the memory is then lost.
pub fn decode_into(xml: &[u8], memory: Vec<u8>) -> Result<Decoded, DecodeError> {
    decode_any(MIRROR, xml, None, memory)
}

/// Transcodes a document whose root is one of `roots`.
///
/// # Errors
/// As [`decode`]; [`DecodeError::UnexpectedRoot`] if it is another document of EM's (such as `Error`).
pub fn decode_expecting(xml: &[u8], roots: &[&str]) -> Result<Decoded, DecodeError> {
    decode_below(MIRROR, xml, roots)
}

/// Transcodes the page of a query for entities called `row`. Rows that are damaged are recognised and left out, or read
/// with U+FFFD in place of the characters that no document may hold.
///
/// # Errors
/// As [`decode_expecting`], where anything but rows is damaged: what is cut, carries a DTD, or is no query's result.
pub fn decode_rows(xml: &[u8], row: &str) -> Result<Rows, DecodeError> {
    let refused = match decode_expecting(xml, &["QueryResult"]) {
        Ok(Decoded { json, anomalies, .. }) => {
            return Ok(Rows {
                json,
                anomalies,
                damaged: Vec::new(),
            });
        }
        Err(refused) => refused,
    };
    match utf16::whole(xml)? {
        Some(text) => rows::one_by_one(text.as_bytes(), row, refused),
        None => rows::one_by_one(xml, row, refused),
    }
}

/// Where in the page of a query the entities called `row` are, where each of them can be taken out without a change to the
/// others; none where that is not certain.
#[must_use]
pub fn rows_within(xml: &[u8], row: &str) -> Option<Vec<std::ops::Range<usize>>> {
    rows::whole(xml, row)
}

/// The document with U+FFFD in place of control characters and of bytes that are not UTF-8; none where it holds nothing of
/// the kind.
#[must_use]
pub fn repaired(xml: &[u8]) -> Option<String> {
    rows::repaired(xml)
}

/// The text of a document as decoding reads it: UTF-8 or UTF-16, without a byte order mark.
///
/// # Errors
/// [`DecodeError::Encoding`].
pub fn text_of(xml: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    match utf16::whole(xml)? {
        Some(text) => Ok(Cow::Owned(text)),
        None => slice::utf8(xml).map(Cow::Borrowed),
    }
}

/// The same with EM's own addresses below `mirror`, whatever their root when there are no `roots`.
///
/// # Errors
/// As [`decode_expecting`].
pub fn decode_below(mirror: &str, xml: &[u8], roots: &[&str]) -> Result<Decoded, DecodeError> {
    decode_any(mirror, xml, (!roots.is_empty()).then_some(roots), Vec::new())
}

fn decode_any(
    mirror: &str,
    xml: &[u8],
    expect: Option<&[&str]>,
    mut memory: Vec<u8>,
) -> Result<Decoded, DecodeError> {
    let text;
    let xml = match utf16::whole(xml)? {
        Some(utf8) => {
            text = utf8;
            text.as_bytes()
        }
        None => xml,
    };
    // JSON is shorter than XML, but for many empty elements.
    memory.reserve(xml.len());
    let mut st = state::State::new(catalogue(), mirror, out::Out::memory(memory, MAX_JSON));
    let root = result::document(&mut slice::Slice::new(xml)?, &mut st, expect)?;
    Ok(Decoded {
        root: root.name,
        ty: root.ty,
        json: st.out.buf,
        anomalies: st.anomalies,
    })
}

/// Transcodes a document from a stream to a stream, in constant memory; JSON without blanks.
///
/// # Errors
/// As [`decode`]. What was already written is then to be thrown away.
pub fn decode_stream(
    input: impl BufRead,
    output: &mut dyn Write,
) -> Result<(&'static str, Anomalies), DecodeError> {
    let mut st = state::State::new(catalogue(), MIRROR, out::Out::sink(output));
    let io = |e: std::io::Error| DecodeError::Io(e.to_string());
    let Root { name, .. } = match utf16::detect(input).map_err(io)? {
        utf16::Text::Utf8(input) => result::document(&mut source::Stream::new(input), &mut st, None)?,
        utf16::Text::Utf16(input) => result::document(&mut source::Stream::new(input), &mut st, None)?,
    };
    Ok((name, st.anomalies))
}

/// Whether a document can hold this text: XML has no control characters but tab and line ends, not even written as
/// references.
#[must_use]
pub fn is_xml_text(text: &str) -> bool {
    xml::fitness(text) != xml::Fitness::Unfit
}

/// Makes XML of a JSON document; `root` is a document element or a type of EM's.
///
/// # Errors
/// Text that is not JSON, a root that EM does not have, or every value that does not fit, each with its JSON pointer.
pub fn encode(json: &[u8], root: &str, mode: Mode) -> Result<Vec<u8>, EncodeError> {
    let found = catalogue()
        .root_or_type(root)
        .ok_or_else(|| EncodeError::UnknownRoot(error::excerpt(root)))?;
    encode::document(catalogue(), json, MIRROR, found, mode, false, None)
}

/// Makes the body of a request that changes a thing which EM shows as `shown`: what it shows and `root` does not take
/// is left out, so that a document can be put back as it was read (docs/behaviour.md#json-to-xml). Addresses below
/// `mirror` become EM's again.
///
/// # Errors
/// As [`encode`].
pub fn encode_edit(
    json: &[u8],
    mirror: &str,
    root: Root,
    shown: Option<TypeId>,
) -> Result<Vec<u8>, EncodeError> {
    encode::document(catalogue(), json, mirror, root, Mode::Request, false, shown)
}
