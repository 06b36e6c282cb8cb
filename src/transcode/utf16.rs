//! Documents in UTF-16, as UTF-8: by their byte order mark, or by the look of their first characters.

use std::io::{BufRead, Read};

use super::error::DecodeError;
use super::source::read_buffered;

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

/// A document in UTF-16 (by its byte order mark, or by the look of its first characters) as UTF-8; none if it is
/// not in UTF-16.
pub(super) fn whole(xml: &[u8]) -> Result<Option<String>, DecodeError> {
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
