//! Where tokens come from: a document in memory (`slice.rs`), or a stream read piece by piece.
//!
//! Both are quick-xml's idea of XML; this hides the difference, turns its errors into ours with their position, and
//! refuses what it would let pass (DTDs, declared encodings that are not read).

use std::io::{BufRead, Read};

use quick_xml::errors::{Error, IllFormedError, SyntaxError};
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::error::{DecodeError, excerpt};

/// The largest piece (text, tag, comment) a streamed document may have; bounds the memory of `convert`.
const MAX_PIECE: u64 = 16 * 1024 * 1024;

/// A start tag.
#[derive(Clone, Copy)]
pub(super) struct Tag<'s> {
    /// With its prefix.
    pub name: &'s str,
    /// What is behind the name, not yet parsed.
    pub attributes: &'s str,
    /// Where the tag begins in the document.
    pub at: u64,
}

impl Tag<'_> {
    /// Where the attributes begin in the document.
    pub(super) fn attributes_at(&self) -> u64 {
        self.at + 1 + self.name.len() as u64
    }
}

/// What the reader found next.
pub(super) enum Token<'s> {
    Start(Tag<'s>),
    /// `<a/>`, without an end of its own.
    Empty(Tag<'s>),
    End,
    /// Between tags, without references.
    Text(&'s str),
    CData(&'s str),
    /// The name between `&` and `;`.
    Reference(&'s str),
    /// A comment, a processing instruction, the XML declaration: without meaning.
    Aside,
    Eof,
}

/// Tokens of one document.
pub(super) trait Source {
    /// The next token. DTDs and misplaced declarations are refused here.
    fn next(&mut self) -> Result<Token<'_>, DecodeError>;
    /// Byte position behind the last token.
    fn position(&self) -> u64;
    /// Skip blanks before text: right wherever text means nothing.
    fn skip_blanks(&mut self, skip: bool);
}

/// A streamed document; the text of a token lives in a reused buffer.
pub(super) struct Stream<R> {
    reader: Reader<Bounded<R>>,
    buffer: Vec<u8>,
    text: String,
}

impl<R: BufRead> Stream<R> {
    pub(super) fn new(input: R) -> Self {
        let reader = Reader::from_reader(Bounded {
            input,
            left: MAX_PIECE,
        });
        Self {
            reader,
            buffer: Vec::new(),
            text: String::new(),
        }
    }
}

impl<R: BufRead> Source for Stream<R> {
    fn next(&mut self) -> Result<Token<'_>, DecodeError> {
        let start = self.reader.buffer_position();
        self.buffer.clear();
        self.text.clear();
        self.reader.get_mut().left = MAX_PIECE;
        let event = match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(e) => {
                return Err(translate(
                    &e,
                    self.reader.error_position(),
                    self.reader.buffer_position(),
                ));
            }
        };
        let end = self.reader.buffer_position();
        let text = &mut self.text;
        let mut tag = |e: &BytesStart<'_>, behind: usize| {
            text.push_str(e);
            (e.name().as_ref().len(), end - (e.len() + behind + 1) as u64)
        };
        match event {
            Event::Start(e) => {
                let (name, at) = tag(&e, 1);
                let (name, attributes) = self.text.split_at_checked(name).unwrap_or_default();
                Ok(Token::Start(Tag { name, attributes, at }))
            }
            Event::Empty(e) => {
                let (name, at) = tag(&e, 2);
                let (name, attributes) = self.text.split_at_checked(name).unwrap_or_default();
                Ok(Token::Empty(Tag { name, attributes, at }))
            }
            Event::End(_) => Ok(Token::End),
            Event::Text(t) => {
                self.text.push_str(&t);
                Ok(Token::Text(&self.text))
            }
            Event::CData(t) => {
                self.text.push_str(&t);
                Ok(Token::CData(&self.text))
            }
            Event::GeneralRef(r) => {
                self.text.push_str(&r);
                Ok(Token::Reference(&self.text))
            }
            other => aside(&other, start),
        }
    }

    fn position(&self) -> u64 {
        self.reader.buffer_position()
    }

    fn skip_blanks(&mut self, skip: bool) {
        self.reader.config_mut().trim_text_start = skip;
    }
}

/// The tokens that carry nothing, and the ones that no document of EM's may have.
#[cold]
pub(super) fn aside(event: &Event<'_>, start: u64) -> Result<Token<'static>, DecodeError> {
    match event {
        Event::Comment(_) | Event::PI(_) => Ok(Token::Aside),
        Event::Eof => Ok(Token::Eof),
        Event::DocType(_) => Err(DecodeError::Dtd { at: start }),
        Event::Decl(declaration) if start == 0 => {
            let encoding = declaration.encoding().and_then(Result::ok);
            check_encoding(encoding.as_deref())?;
            Ok(Token::Aside)
        }
        _ => {
            let what = "an XML declaration that is not at the beginning".to_owned();
            Err(DecodeError::Malformed { what, at: start })
        }
    }
}

/// .NET writes `utf-16` into documents that it then sends as UTF-8, so that name says nothing.
fn check_encoding(name: Option<&str>) -> Result<(), DecodeError> {
    const READ: [&str; 7] = [
        "utf-8", "utf8", "us-ascii", "ascii", "utf-16", "utf-16le", "utf-16be",
    ];
    match name {
        Some(name) if !READ.iter().any(|known| name.eq_ignore_ascii_case(known)) => {
            let encoding = format!("UTF-8 but {}, which is not read", excerpt(name));
            Err(DecodeError::Encoding { encoding, at: 0 })
        }
        _ => Ok(()),
    }
}

/// Stops reading when one piece of the document grows past the limit.
struct Bounded<R> {
    input: R,
    left: u64,
}

const PIECE_TOO_LARGE: &str = "one piece of the document is too large";

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        read_buffered(self, buf)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.left == 0 {
            return Err(std::io::Error::new(
                std::io::ErrorKind::FileTooLarge,
                PIECE_TOO_LARGE,
            ));
        }
        self.input.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.left = self.left.saturating_sub(n as u64);
        self.input.consume(n);
    }
}

/// `read` of a buffered reader.
pub(super) fn read_buffered(input: &mut impl BufRead, buf: &mut [u8]) -> std::io::Result<usize> {
    let available = input.fill_buf()?;
    let n = available.len().min(buf.len());
    if let (Some(to), Some(from)) = (buf.get_mut(..n), available.get(..n)) {
        to.copy_from_slice(from);
    }
    input.consume(n);
    Ok(n)
}

/// quick-xml's error as ours.
#[cold]
pub(super) fn translate(error: &Error, at: u64, read: u64) -> DecodeError {
    match error {
        Error::Io(e) if e.kind() == std::io::ErrorKind::FileTooLarge => DecodeError::TooLarge {
            limit: MAX_PIECE,
            what: "one text or tag",
        },
        Error::Io(e) if e.kind() == std::io::ErrorKind::InvalidData => DecodeError::Encoding {
            encoding: "UTF-16".to_owned(),
            at: read,
        },
        Error::Io(e) => DecodeError::Io(e.to_string()),
        Error::Encoding(_) => DecodeError::Encoding {
            encoding: "UTF-8".to_owned(),
            at: read,
        },
        Error::Syntax(SyntaxError::InvalidBangMarkup) => DecodeError::Malformed {
            what: "markup that begins with <! and is neither comment nor CDATA".into(),
            at,
        },
        // All the others say that the input ended before something was closed.
        Error::Syntax(_) => DecodeError::Truncated { at },
        Error::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => {
            let what = format!("</{}> where </{}> was due", excerpt(found), excerpt(expected));
            DecodeError::Malformed { what, at }
        }
        Error::IllFormed(IllFormedError::UnmatchedEndTag(found)) => DecodeError::Malformed {
            what: format!("</{}> closes nothing", excerpt(found)),
            at,
        },
        Error::IllFormed(IllFormedError::UnclosedReference) => DecodeError::Malformed {
            what: "a reference without its semicolon".to_owned(),
            at,
        },
        Error::IllFormed(IllFormedError::MissingDoctypeName) => DecodeError::Dtd { at },
        other => DecodeError::Malformed {
            what: excerpt(&other.to_string()),
            at,
        },
    }
}
