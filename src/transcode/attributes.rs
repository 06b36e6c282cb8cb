//! The attributes of a start tag, one after the other.
//!
//! A tokenizer of its own because it runs for nearly half of EM's bytes: no allocation, one pass, and what is not
//! well-formed is refused.

use super::error::DecodeError;
use crate::catalogue::Lead;

/// One attribute: its name with prefix, its value with references still in it.
#[derive(Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    pub value: &'a str,
    /// Where the value begins in the document.
    pub at: u64,
}

/// Iterates over what is behind the name in a start tag.
pub(super) struct Attributes<'a> {
    raw: &'a str,
    position: usize,
    start: u64,
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\n' | b'\t' | b'\r')
}

impl<'a> Attributes<'a> {
    /// `raw` begins behind the element's name; `start` is its place in the document.
    pub(super) fn new(raw: &'a str, start: u64) -> Self {
        Self {
            raw,
            position: 0,
            start,
        }
    }

    fn malformed(&self, what: &str) -> DecodeError {
        DecodeError::Malformed {
            what: what.to_owned(),
            at: self.start + self.position as u64,
        }
    }

    fn skip_blanks(&mut self) -> usize {
        let rest = self.raw.as_bytes().get(self.position..).unwrap_or_default();
        let blanks = rest.iter().take_while(|b| is_blank(**b)).count();
        self.position += blanks;
        blanks
    }

    /// The value of the next attribute if it begins with `lead` (` Name="`), which is the usual spelling.
    #[inline]
    pub(super) fn next_if(&mut self, lead: &Lead) -> Option<(&'a str, u64)> {
        let rest = self.raw.get(self.position..)?;
        let value = lead.strip(rest)?;
        let length = memchr::memchr(b'"', value.as_bytes())?;
        self.position += rest.len() - value.len();
        let at = self.start + self.position as u64;
        self.position += length + 1;
        Some((value.get(..length)?, at))
    }

    /// The next attribute, none at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Attribute<'a>>, DecodeError> {
        let bytes = self.raw.as_bytes();
        let blanks = self.skip_blanks();
        let begin = self.position;
        let Some(rest) = bytes.get(begin..).filter(|r| !r.is_empty()) else {
            return Ok(None);
        };
        if blanks == 0 {
            return Err(self.malformed("attributes without a blank between them"));
        }
        let Some(length) = rest.iter().position(|b| *b == b'=' || is_blank(*b)) else {
            return Err(self.malformed("an attribute without a value"));
        };
        self.position += length;
        if rest.get(length) != Some(&b'=') {
            self.skip_blanks();
        }
        let name = self.raw.get(begin..begin + length).unwrap_or_default();
        if name.is_empty() {
            return Err(self.malformed("an attribute without a name"));
        }
        if bytes.get(self.position) != Some(&b'=') {
            return Err(self.malformed("an attribute without a value"));
        }
        self.position += 1;
        if !matches!(bytes.get(self.position), Some(b'"' | b'\'')) {
            self.skip_blanks();
        }
        let quote = match bytes.get(self.position) {
            Some(quote @ (b'"' | b'\'')) => *quote,
            _ => return Err(self.malformed("an attribute's value without quotes")),
        };
        self.position += 1;
        let value = self.raw.get(self.position..).unwrap_or_default();
        let Some(length) = memchr::memchr(quote, value.as_bytes()) else {
            return Err(self.malformed("an attribute's value without its end"));
        };
        let value = value.get(..length).unwrap_or_default();
        let at = self.start + self.position as u64;
        self.position += length + 1;
        Ok(Some(Attribute { name, value, at }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn read(raw: &str) -> Result<Vec<(String, String)>, DecodeError> {
        let mut all = Vec::new();
        let mut attributes = Attributes::new(raw, 0);
        while let Some(a) = attributes.next()? {
            all.push((a.name.to_owned(), a.value.to_owned()));
        }
        Ok(all)
    }

    #[test]
    fn attributes_come_in_document_order_however_they_are_spaced() {
        let all = read(" A=\"1\"\n\tb:C = '2\"x'  D=\"\" ").unwrap_or_default();
        let expected = [("A", "1"), ("b:C", "2\"x"), ("D", "")];
        assert_eq!(all, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(read("").unwrap_or_default(), []);
        assert_eq!(read(" \n ").unwrap_or_default(), []);
    }

    #[rstest]
    #[case(" A")]
    #[case(" A=")]
    #[case(" A=1")]
    #[case(" A=\"1")]
    #[case(" A=\"1\"B=\"2\"")]
    #[case(" =\"1\"")]
    #[case(" A \"1\"")]
    fn what_is_not_well_formed_is_refused(#[case] raw: &str) {
        assert!(read(raw).is_err());
    }
}
