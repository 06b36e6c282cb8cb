//! JSON values cut out of a stream, so that only one of them is held at a time.
//!
//! Finds no more than where a value ends; whether it is one says [`Reader`](super::json::Reader).

use std::io::Read;

use super::error::EncodeError;
use super::json::BOM;
use super::words::{self, equal};

/// Bytes asked of the input at a time.
const CHUNK: u64 = 64 * 1024;

/// A JSON text that is read value by value.
pub(super) struct Values<R> {
    input: R,
    /// What was read of the input, from byte `base` of it on.
    held: Vec<u8>,
    /// Where in it the rest begins.
    at: usize,
    base: usize,
}

impl<R: Read> Values<R> {
    /// A byte order mark before the text is skipped.
    pub(super) fn new(input: R) -> Result<Self, EncodeError> {
        let mut values = Self {
            input,
            held: Vec::new(),
            at: 0,
            base: 0,
        };
        values.fill()?;
        if values.held.starts_with(BOM) {
            values.at = BOM.len();
        }
        Ok(values)
    }

    /// Reads on, whatever was used already thrown away; false at the end of the input.
    fn fill(&mut self) -> Result<bool, EncodeError> {
        self.held.drain(..self.at);
        self.base += std::mem::take(&mut self.at);
        let read = self.input.by_ref().take(CHUNK).read_to_end(&mut self.held);
        read.map(|n| n > 0).map_err(|e| EncodeError::Io(e.to_string()))
    }

    pub(super) fn error(&self, what: &'static str) -> EncodeError {
        EncodeError::Syntax {
            what,
            at: self.base + self.at,
        }
    }

    /// The next byte that is no blank, which stays; none at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, EncodeError> {
        loop {
            match self.held.get(self.at).copied() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(other) => return Ok(Some(other)),
                None if self.fill()? => {}
                None => return Ok(None),
            }
        }
    }

    /// Whether the next byte is that one, which is then read.
    pub(super) fn take(&mut self, byte: u8) -> Result<bool, EncodeError> {
        let is_it = self.peek()? == Some(byte);
        self.at += usize::from(is_it);
        Ok(is_it)
    }

    /// The text of the next value as far as there is one, and which byte of the input it begins with.
    pub(super) fn value(&mut self) -> Result<(&[u8], usize), EncodeError> {
        self.peek()?;
        let mut cut = Cut::default();
        let mut length = 0;
        while !cut.is_whole {
            length = cut.end(length, self.held.get(self.at..).unwrap_or_default());
            if !cut.is_whole && !self.fill()? {
                break;
            }
        }
        let begin = self.at;
        self.at = self.held.len().min(begin + length);
        Ok((
            self.held.get(begin..self.at).unwrap_or_default(),
            self.base + begin,
        ))
    }
}

/// How far a value was looked at.
#[derive(Default)]
struct Cut {
    depth: usize,
    is_string: bool,
    is_whole: bool,
}

impl Cut {
    /// Looks at `text`, of which all before `at` was looked at; where the value ends, or how far it was looked at.
    fn end(&mut self, mut at: usize, text: &[u8]) -> usize {
        // Brackets differ from braces in the bit of 0x20 alone, which a quote has as well.
        let brackets = |word: u64| {
            let word = word | 0x2020_2020_2020_2020;
            equal(word, b'{') | equal(word, b'}') | equal(word, b'"')
        };
        while let Some(rest) = text.get(at..) {
            let next = if self.is_string {
                words::find(rest, |word| equal(word, b'"') | equal(word, b'\\'))
            } else if self.depth > 0 {
                words::find(rest, brackets)
            } else if at > 0 {
                rest.iter().position(|b| b",]} \n\r\t".contains(b))
            } else {
                Some(0)
            };
            let Some(next) = next else { return text.len() };
            at += next;
            match text.get(at) {
                // What is escaped may not be there yet.
                Some(b'\\') if self.is_string => at += 1,
                Some(b'"') => {
                    self.is_string = !self.is_string;
                    self.is_whole = !self.is_string && self.depth == 0;
                }
                Some(b'{' | b'[') => self.depth += 1,
                Some(b'}' | b']') if self.depth > 0 => {
                    self.depth -= 1;
                    self.is_whole = self.depth == 0;
                }
                // Behind a number or a word.
                Some(_) if self.depth == 0 && at > 0 => {
                    self.is_whole = true;
                    return at;
                }
                Some(_) => {}
                None => return at,
            }
            at += 1;
            if self.is_whole {
                return at;
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("null", ", 1")]
    #[case("-1.5e3", "]")]
    #[case("12", "\n}")]
    #[case(r#""a \" \\ \u0022 ]}{[ é""#, ", \"b\"")]
    #[case(r#"{"a":["]","}\\",{"b\"":[]}],"c":1}"#, "}")]
    #[case("[[],[{}],\"[\"]", ",{}")]
    fn a_value_ends_there_however_it_comes_in(#[case] value: &str, #[case] behind: &str) {
        let text = [value, behind].concat();
        for step in 1..text.len() {
            let (mut cut, mut at, mut there) = (Cut::default(), 0, 0);
            while !cut.is_whole && there < text.len() {
                there = (there + step).min(text.len());
                at = cut.end(at, &text.as_bytes()[..there]);
            }
            assert!(cut.is_whole);
            assert_eq!(&text[..at], value, "{step} bytes at a time");
        }
    }

    #[test]
    fn values_are_the_same_however_large_they_are() {
        for size in (0..40).map(|n| n * 4093) {
            let long = format!("\"{}\\\"{}\"", "é".repeat(size), "x".repeat(size % 7));
            let text = format!("\u{feff} {long} ,{long},{long} 1");
            let mut values = Values::new(text.as_bytes()).unwrap();
            for n in 0..3 {
                let (value, at) = values.value().unwrap();
                assert!(value == long.as_bytes() && text.as_bytes()[at..].starts_with(long.as_bytes()));
                assert_eq!(values.take(b',').unwrap(), n < 2);
            }
            assert_eq!(values.value().unwrap().0, b"1");
            assert_eq!(values.peek().unwrap(), None);
        }
    }
}
