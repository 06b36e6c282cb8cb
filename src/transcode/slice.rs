//! A document in memory, cut into tokens where it lies.
//!
//! What EM writes (tags with attributes in double quotes, end tags that match, text) is cut here in one look at each
//! byte; whatever looks different goes to quick-xml, piece by piece, so that both sources refuse and accept the same.

use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::error::DecodeError;
use super::source::{Source, Tag, Token, aside, translate};
use super::words::{self, below, equal};

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A document in memory.
pub(super) struct Slice<'a> {
    text: &'a str,
    /// Behind the last token.
    at: usize,
    skip: bool,
    /// Names of the elements whose end is to come.
    open: Vec<&'a str>,
}

/// The text of a document in UTF-8; a byte order mark is not part of it.
pub(super) fn utf8(xml: &[u8]) -> Result<&str, DecodeError> {
    let xml = xml.strip_prefix(UTF8_MARK).unwrap_or(xml);
    std::str::from_utf8(xml).map_err(|e| DecodeError::Encoding {
        encoding: "UTF-8".to_owned(),
        at: e.valid_up_to() as u64,
    })
}

impl<'a> Slice<'a> {
    pub(super) fn new(xml: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Self {
            text: utf8(xml)?,
            at: 0,
            skip: false,
            open: Vec::with_capacity(16),
        })
    }

    /// A start tag as EM writes them; none, and nothing consumed, if it is another.
    #[inline]
    fn start(&mut self) -> Option<Token<'a>> {
        let inside = self.text.get(self.at + 1..)?;
        let bytes = inside.as_bytes();
        let name = name_length(bytes).filter(|length| *length > 0)?;
        let end = match bytes.get(name)? {
            b'>' => name,
            b'/' if bytes.get(name + 1) == Some(&b'>') => name + 1,
            b' ' | b'\n' | b'\r' | b'\t' => tag_length(bytes, name)?,
            _ => return None,
        };
        let empty = bytes.get(end - 1) == Some(&b'/');
        let (name, attributes) = (inside.get(..name)?, inside.get(name..end - usize::from(empty))?);
        let at = self.at as u64;
        self.at += end + 2;
        let tag = Tag { name, attributes, at };
        if empty {
            return Some(Token::Empty(tag));
        }
        self.open.push(name);
        Some(Token::Start(tag))
    }

    /// Takes the end tag of the innermost element; false, and nothing consumed, if something else is there.
    #[inline]
    fn end(&mut self) -> bool {
        let rest = self.text.as_bytes().get(self.at + 2..).unwrap_or_default();
        let length = match self.open.last() {
            Some(name) if rest.starts_with(name.as_bytes()) => name.len(),
            _ => return false,
        };
        if rest.get(length) != Some(&b'>') {
            return false;
        }
        self.open.pop();
        self.at += length + 3;
        true
    }

    /// Whatever comes next, as quick-xml sees it; `before` is the place before the blanks that were skipped.
    #[cold]
    fn any(&mut self, before: usize) -> Result<Token<'a>, DecodeError> {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let mut reader = Reader::from_reader(rest.as_bytes());
        // It does not know which elements are open.
        reader.config_mut().allow_unmatched_ends = true;
        let event = reader.read_event();
        let length = usize::try_from(reader.buffer_position()).unwrap_or_default();
        self.at += length;
        let refuse = |e: &Error, at: u64| Err(translate(e, at, (start + length) as u64));
        // The text of an event that ends so many bytes before the reader's position.
        let cut = |text: &str, behind: usize| {
            let end = length - behind;
            rest.get(end - text.len()..end).unwrap_or_default()
        };
        let tag = |content: &'a str, name: usize| {
            let (name, attributes) = content.split_at_checked(name).unwrap_or_default();
            let at = start as u64;
            Tag { name, attributes, at }
        };
        match event {
            Ok(Event::Start(e)) => {
                let tag = tag(cut(&e, 1), e.name().as_ref().len());
                self.open.push(tag.name);
                Ok(Token::Start(tag))
            }
            Ok(Event::Empty(e)) => Ok(Token::Empty(tag(cut(&e, 2), e.name().as_ref().len()))),
            Ok(Event::End(e)) => {
                let found = e.name().as_ref().to_owned();
                match self.open.pop() {
                    Some(expected) if expected == found => Ok(Token::End),
                    Some(expected) => {
                        let expected = expected.to_owned();
                        let wrong = IllFormedError::MismatchedEndTag { expected, found };
                        refuse(&Error::IllFormed(wrong), start as u64)
                    }
                    None => {
                        let wrong = IllFormedError::UnmatchedEndTag(found);
                        refuse(&Error::IllFormed(wrong), start as u64)
                    }
                }
            }
            Ok(Event::Text(t)) => Ok(Token::Text(cut(&t, 0))),
            Ok(Event::CData(t)) => Ok(Token::CData(cut(&t, 3))),
            Ok(Event::GeneralRef(r)) => Ok(Token::Reference(cut(&r, 1))),
            Ok(other) => aside(&other, before as u64),
            Err(e) => refuse(&e, start as u64 + reader.error_position()),
        }
    }
}

impl Source for Slice<'_> {
    #[inline]
    fn next(&mut self) -> Result<Token<'_>, DecodeError> {
        let before = self.at;
        let bytes = self.text.as_bytes();
        let mut rest = bytes.get(self.at..).unwrap_or_default();
        if self.skip {
            while let [b' ' | b'\n' | b'\r' | b'\t', behind @ ..] = rest {
                rest = behind;
            }
            self.at = bytes.len() - rest.len();
        }
        match rest {
            [] => Ok(Token::Eof),
            [b'<', b'/', ..] if self.end() => Ok(Token::End),
            [b'<', b'/' | b'!' | b'?', ..] | [b'&', ..] => self.any(before),
            [b'<', ..] => match self.start() {
                Some(token) => Ok(token),
                None => self.any(before),
            },
            _ => {
                let length = memchr::memchr2(b'<', b'&', rest).unwrap_or(rest.len());
                let text = self.text.get(self.at..self.at + length).unwrap_or_default();
                self.at += length;
                Ok(Token::Text(text))
            }
        }
    }

    #[inline]
    fn position(&self) -> u64 {
        self.at as u64
    }

    #[inline]
    fn skip_blanks(&mut self, skip: bool) {
        self.skip = skip;
    }
}

/// The position of the first byte that is a blank, a quote, `/`, `>`, or one that names seldom have.
#[inline]
fn name_length(bytes: &[u8]) -> Option<usize> {
    words::find(bytes, |word| below(word, b'0') | equal(word, b'>'))
}

/// The position of the `>` of a tag whose attributes begin at `at`; none if there is a single quote.
#[inline]
fn tag_length(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += words::find(bytes.get(at..)?, |word| {
            equal(word, b'"') | equal(word, b'>') | equal(word, b'\'')
        })?;
        match bytes.get(at)? {
            b'>' => return Some(at),
            b'"' => at += memchr::memchr(b'"', bytes.get(at + 1..)?)? + 2,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Stream;
    use super::*;
    use rstest::rstest;

    /// Every token with its place, up to the end or to the error.
    fn tokens(mut source: impl Source, skip: bool) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            source.skip_blanks(skip);
            let (told, last) = match source.next() {
                Ok(Token::Start(t)) => (format!("start {}|{}|{}", t.name, t.attributes, t.at), false),
                Ok(Token::Empty(t)) => (format!("empty {}|{}|{}", t.name, t.attributes, t.at), false),
                Ok(Token::End) => ("end".to_owned(), false),
                Ok(Token::Text(t)) => (format!("text {t}"), false),
                Ok(Token::CData(t)) => (format!("cdata {t}"), false),
                Ok(Token::Reference(r)) => (format!("reference {r}"), false),
                Ok(Token::Aside) => ("aside".to_owned(), false),
                Ok(Token::Eof) => ("eof".to_owned(), true),
                Err(e) => (e.to_string(), true),
            };
            all.push(format!("{told} {}", source.position()));
            if last {
                return all;
            }
        }
    }

    #[rstest]
    #[case::plain("<Task Type=\"Task\" Href=\"x\"><State>Finished</State>\n <Result/></Task>")]
    #[case::blanks_in_tags("<a  b = \"c\"\n><d\t/><e ></e ></a\n>")]
    #[case::single_quotes("<a b='>' c=\"'>\" d='\"'>x</a>")]
    #[case::an_end_within_quotes("<a b=\">\" c=\"/>\"/><d e=\"/\">/</d>")]
    #[case::odd_names("<a:b-c.d><e/f><g\"h><é-ü>x</é-ü></g\"h>")]
    #[case::no_name("< a=\"b\"><></></ a>")]
    #[case::slashes("<a/b=\"c\"/></a/>")]
    #[case::a_name_that_begins_like_the_open_one("<ab></abc></ab>")]
    #[case::the_wrong_end("<a><b></a></b>")]
    #[case::an_end_too_many("<a></a></b>")]
    #[case::an_end_with_attributes("<a></a b=\">\"></a>")]
    #[case::asides("\n<?xml version=\"1.0\"?><!-- > --><?p q>?><![CDATA[>]]]]><a>&amp;b&#1;</a>")]
    #[case::late_declaration("<a/> <?xml version=\"1.0\"?>")]
    #[case::a_dtd(" <!DOCTYPE a [<!ENTITY b \">\">]><a/>")]
    #[case::bang("<a><!x></a>")]
    #[case::an_open_reference("<a>b & c</a>")]
    #[case::an_open_tag("<a>b<")]
    #[case::an_open_value("<a b=\"c>")]
    #[case::an_open_end("<a></a")]
    #[case::text_at_the_end("<a/> é ")]
    fn a_document_is_cut_alike_in_memory_and_as_a_stream(#[case] xml: &str) {
        for skip in [false, true] {
            // At every byte, so that whatever can be cut off is.
            for end in (0..=xml.len()).filter(|end| xml.is_char_boundary(*end)) {
                let part = &xml.as_bytes()[..end];
                let slice = Slice::new(part).unwrap();
                assert_eq!(
                    tokens(slice, skip),
                    tokens(Stream::new(part), skip),
                    "{}",
                    &xml[..end]
                );
            }
        }
    }
}
