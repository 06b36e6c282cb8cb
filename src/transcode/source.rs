//! Where events come from: a document in memory, or a stream read piece by piece.
//!
//! Both are quick-xml's reader; this hides the difference, turns its errors into ours with their position, and refuses
//! what it would let pass (DTDs, declared encodings that are not read).

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
    /// What stands behind the name, not yet taken apart.
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

/// A document in memory. Tokens are cut out of the text by the reader's position, which costs nothing.
pub(super) struct Slice<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
}

impl<'a> Slice<'a> {
    /// A byte order mark is not part of the text.
    pub(super) fn new(xml: &'a [u8]) -> Result<Self, DecodeError> {
        let xml = xml.strip_prefix(UTF8_MARK).unwrap_or(xml);
        match std::str::from_utf8(xml) {
            Ok(text) => Ok(Self {
                text,
                reader: Reader::from_reader(xml),
            }),
            Err(e) => {
                let at = e.valid_up_to() as u64;
                Err(DecodeError::Encoding {
                    encoding: "UTF-8".to_owned(),
                    at,
                })
            }
        }
    }

    /// The text of a token that ended `behind` bytes ago.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a position inside a slice")]
    fn cut(&self, length: usize, behind: usize) -> &'a str {
        let end = self.reader.buffer_position() as usize - behind;
        self.text.get(end - length..end).unwrap_or_default()
    }

    #[inline]
    fn tag(&self, length: usize, name: usize, behind: usize) -> Tag<'a> {
        let content = self.cut(length, behind);
        let at = self.reader.buffer_position() - (length + behind + 1) as u64;
        let (name, attributes) = content.split_at_checked(name).unwrap_or_default();
        Tag { name, attributes, at }
    }
}

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

impl Source for Slice<'_> {
    #[inline]
    fn next(&mut self) -> Result<Token<'_>, DecodeError> {
        let start = self.reader.buffer_position();
        match self.reader.read_event() {
            Ok(event) => Ok(match &event {
                Event::Start(e) => Token::Start(self.tag(e.len(), e.name().as_ref().len(), 1)),
                Event::Empty(e) => Token::Empty(self.tag(e.len(), e.name().as_ref().len(), 2)),
                Event::End(_) => Token::End,
                Event::Text(t) => Token::Text(self.cut(t.len(), 0)),
                Event::CData(t) => Token::CData(self.cut(t.len(), 3)),
                Event::GeneralRef(r) => Token::Reference(self.cut(r.len(), 1)),
                other => aside(other, start)?,
            }),
            Err(e) => Err(translate(
                &e,
                self.reader.error_position(),
                self.reader.buffer_position(),
            )),
        }
    }

    #[inline]
    fn position(&self) -> u64 {
        self.reader.buffer_position()
    }

    #[inline]
    fn skip_blanks(&mut self, skip: bool) {
        self.reader.config_mut().trim_text_start = skip;
    }
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
fn aside(event: &Event<'_>, start: u64) -> Result<Token<'static>, DecodeError> {
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

/// A stream in UTF-16 as UTF-8, a few kilobytes at a time.
pub(super) struct Utf16<R> {
    input: R,
    little: bool,
    /// UTF-8, and how much of it is consumed.
    ready: Vec<u8>,
    taken: usize,
    /// A byte or a high surrogate that waits for its other half.
    pending: Vec<u8>,
}

/// UTF-8 or UTF-16, by the first bytes.
pub(super) enum Text<R> {
    Utf8(R),
    Utf16(Utf16<R>),
}

/// Looks at the first bytes of a stream.
pub(super) fn detect<R: BufRead>(mut input: R) -> std::io::Result<Text<R>> {
    let (little, mark) = match input.fill_buf()? {
        [0xFF, 0xFE, ..] => (true, 2),
        [0xFE, 0xFF, ..] => (false, 2),
        [b'<', 0, ..] => (true, 0),
        [0, b'<', ..] => (false, 0),
        _ => return Ok(Text::Utf8(input)),
    };
    input.consume(mark);
    Ok(Text::Utf16(Utf16 {
        input,
        little,
        ready: Vec::new(),
        taken: 0,
        pending: Vec::new(),
    }))
}

impl<R: BufRead> Utf16<R> {
    fn refill(&mut self) -> std::io::Result<()> {
        let wrong = || std::io::Error::new(std::io::ErrorKind::InvalidData, NOT_UTF16);
        self.ready.clear();
        self.taken = 0;
        while self.ready.is_empty() {
            let piece = self.input.fill_buf()?;
            if piece.is_empty() {
                return if self.pending.is_empty() {
                    Ok(())
                } else {
                    Err(wrong())
                };
            }
            let length = piece.len().min(8192);
            self.pending
                .extend_from_slice(piece.get(..length).unwrap_or_default());
            self.input.consume(length);
            let unit = |pair: &[u8]| match pair {
                [a, b] if self.little => u16::from_le_bytes([*a, *b]),
                [a, b] => u16::from_be_bytes([*a, *b]),
                _ => 0,
            };
            let mut whole = self.pending.len() & !1;
            // A pair of surrogates may be cut in two.
            if let Some(last) = self.pending.get(whole.saturating_sub(2)..whole)
                && (0xD800..0xDC00).contains(&unit(last))
            {
                whole -= 2;
            }
            let units = self.pending.get(..whole).unwrap_or_default().chunks(2).map(unit);
            let text: String = char::decode_utf16(units)
                .collect::<Result<_, _>>()
                .map_err(|_| wrong())?;
            self.ready.extend_from_slice(text.as_bytes());
            self.pending.drain(..whole);
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        read_buffered(self, buf)
    }
}

impl<R: BufRead> BufRead for Utf16<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.taken >= self.ready.len() {
            self.refill()?;
        }
        Ok(self.ready.get(self.taken..).unwrap_or_default())
    }

    fn consume(&mut self, n: usize) {
        self.taken += n;
    }
}

const NOT_UTF16: &str = "the bytes are not UTF-16";

/// `read` of a buffered reader.
fn read_buffered(input: &mut impl BufRead, buf: &mut [u8]) -> std::io::Result<usize> {
    let available = input.fill_buf()?;
    let n = available.len().min(buf.len());
    if let (Some(to), Some(from)) = (buf.get_mut(..n), available.get(..n)) {
        to.copy_from_slice(from);
    }
    input.consume(n);
    Ok(n)
}

/// A document in UTF-16 (by its byte order mark, or by the look of its first characters) as UTF-8; none if it is
/// not in UTF-16.
pub(super) fn utf16(xml: &[u8]) -> Result<Option<String>, DecodeError> {
    let (body, little) = match xml {
        [0xFF, 0xFE, rest @ ..] => (rest, true),
        [0xFE, 0xFF, rest @ ..] => (rest, false),
        [b'<', 0, ..] => (xml, true),
        [0, b'<', ..] => (xml, false),
        _ => return Ok(None),
    };
    let unit = |pair: &[u8]| match pair {
        [a, b] if little => u16::from_le_bytes([*a, *b]),
        [a, b] => u16::from_be_bytes([*a, *b]),
        // Half a character at the end.
        _ => 0xD800,
    };
    let text: Result<String, _> = char::decode_utf16(body.chunks(2).map(unit)).collect();
    text.map(Some).map_err(|_| DecodeError::Encoding {
        encoding: "UTF-16".to_owned(),
        at: xml.len() as u64,
    })
}

/// quick-xml's error as ours.
#[cold]
fn translate(error: &Error, at: u64, read: u64) -> DecodeError {
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
