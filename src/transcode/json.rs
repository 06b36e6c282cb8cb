//! JSON as it was written: numbers keep their text, members their order, a member given twice is refused.
//!
//! A value of its own instead of `serde_json::Value` because that turns long integers into floats and `1.10` into
//! `1.1`.

use std::borrow::Cow;

use super::error::EncodeError;
use super::words::{self, below, equal};

/// Arrays and objects may nest this deep.
const MAX_DEPTH: usize = 128;

/// A JSON value that borrows its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    /// As written, valid by the grammar.
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// A member of an object.
    pub(super) fn get(&self, key: &str) -> Option<&Json<'a>> {
        match self {
            Self::Object(members) => members.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads one JSON text; a byte order mark before it is skipped.
pub(super) fn parse(bytes: &[u8]) -> Result<Json<'_>, EncodeError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| EncodeError::Syntax {
        what: "wrong UTF-8",
        at: e.valid_up_to(),
    })?;
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    let value = parser.value()?;
    parser.blanks();
    if parser.at < text.len() {
        Err(parser.error("text behind the value"))
    } else {
        Ok(value)
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, what: &'static str) -> EncodeError {
        EncodeError::Syntax { what, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, EncodeError> {
        if self
            .text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word))
        {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.error("no JSON value"))
        }
    }

    fn value(&mut self) -> Result<Json<'a>, EncodeError> {
        self.blanks();
        match self.peek() {
            None => Err(self.error("the end where a value was due")),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Json::String),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.error("no JSON value")),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Json<'a>, EncodeError>,
    ) -> Result<Json<'a>, EncodeError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("values nested too deep"));
        }
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Json<'a>, EncodeError> {
        let mut all = Vec::new();
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(all));
        }
        loop {
            all.push(self.value()?);
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(all));
                }
                _ => return Err(self.error("neither , nor ] in an array")),
            }
        }
    }

    fn object(&mut self) -> Result<Json<'a>, EncodeError> {
        let mut all: Vec<(Cow<'a, str>, Json<'a>)> = Vec::with_capacity(8);
        // Few objects are wide; those get a set, so that looking for doubles stays cheap.
        let mut wide = std::collections::HashSet::new();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(all));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.error("no name where a member was due"));
            }
            let key = self.string()?;
            if all.len() == 64 {
                wide.extend(all.iter().map(|(k, _)| k.to_string()));
            }
            let double = if all.len() < 64 {
                all.iter().any(|(k, _)| *k == key)
            } else {
                !wide.insert(key.to_string())
            };
            if double {
                return Err(self.error("a member twice"));
            }
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(self.error("no : behind a name"));
            }
            self.at += 1;
            let value = self.value()?;
            all.push((key, value));
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(all));
                }
                _ => return Err(self.error("neither , nor } in an object")),
            }
        }
    }

    fn number(&mut self) -> Result<Json<'a>, EncodeError> {
        let start = self.at;
        let digits = |p: &mut Self| {
            let from = p.at;
            while matches!(p.peek(), Some(b'0'..=b'9')) {
                p.at += 1;
            }
            p.at > from
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else if !digits(self) {
            return Err(self.error("no digit in a number"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if !digits(self) {
                return Err(self.error("no digit behind the point"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !digits(self) {
                return Err(self.error("no digit in the exponent"));
            }
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.error("a number that begins with 0"));
        }
        Ok(Json::Number(self.text.get(start..self.at).unwrap_or_default()))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, EncodeError> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut plain = start;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at += words::find(rest, |word| {
                equal(word, b'"') | equal(word, b'\\') | below(word, 0x20)
            })
            .unwrap_or(rest.len());
            match self.peek() {
                Some(b'"') => {
                    let rest = self.text.get(plain..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(match owned {
                        Some(text) => Cow::Owned(text + rest),
                        None => Cow::Borrowed(rest),
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(self.text.get(plain..self.at).unwrap_or_default());
                    self.at += 1;
                    let c = self.escape()?;
                    text.push(c);
                    plain = self.at;
                }
                Some(_) => return Err(self.error("a control character in a string")),
                None => return Err(self.error("a string without its end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, EncodeError> {
        let c = self
            .peek()
            .ok_or_else(|| self.error("a string without its end"))?;
        self.at += 1;
        Ok(match c {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.four()?;
                if let 0xD800..=0xDBFF = first {
                    if self.text.get(self.at..self.at + 2) != Some("\\u") {
                        return Err(self.error("half a surrogate pair"));
                    }
                    self.at += 2;
                    let second = self.four()?;
                    let pair = char::decode_utf16([first, second]).next();
                    return pair
                        .and_then(Result::ok)
                        .ok_or_else(|| self.error("half a surrogate pair"));
                }
                char::from_u32(u32::from(first)).ok_or_else(|| self.error("half a surrogate pair"))?
            }
            _ => return Err(self.error("an unknown escape")),
        })
    }

    fn four(&mut self) -> Result<u16, EncodeError> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|d| u16::from_str_radix(d, 16).ok());
        let code = code.ok_or_else(|| self.error("\\u without four digits"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("null")]
    #[case(" [1, -0.50, 1e+9 , true,false,null] ")]
    #[case(r#"{"a":{"b":[{}, []]}, "c":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀"}"#)]
    #[case("18446744073709551616")]
    fn what_serde_json_accepts_is_accepted(#[case] text: &str) {
        assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
        assert!(parse(text.as_bytes()).is_ok(), "{text}");
    }

    #[rstest]
    #[case("")]
    #[case("{")]
    #[case("[1,]")]
    #[case("{\"a\":1,}")]
    #[case("{a:1}")]
    #[case("01")]
    #[case("1.")]
    #[case(".5")]
    #[case("+1")]
    #[case("tru")]
    #[case("\"a")]
    #[case("\"\u{1}\"")]
    #[case(r#""\ud800""#)]
    #[case(r#""\ud800\u0041""#)]
    #[case(r#""\udc00""#)]
    #[case(r#""\u12""#)]
    #[case(r#""\u+123""#)]
    #[case(r#""\x""#)]
    #[case("1 2")]
    #[case("NaN")]
    fn what_serde_json_refuses_is_refused(#[case] text: &str) {
        assert!(serde_json::from_str::<serde_json::Value>(text).is_err());
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(parse(b"1.10"), Ok(Json::Number("1.10")));
        assert_eq!(parse(b"9007199254740993"), Ok(Json::Number("9007199254740993")));
        assert_eq!(
            parse(br#""a\u0041\ud83d\ude00b""#),
            Ok(Json::String("aA😀b".into()))
        );
    }

    #[test]
    fn a_member_given_twice_is_refused_however_large_the_object() {
        assert!(parse(br#"{"a":1,"a":2}"#).is_err());
        let members: Vec<String> = (0..100).map(|i| format!("\"k{i}\":{i},")).collect();
        let mut wide = members.concat();
        assert!(parse(format!("{{{}}}", wide.trim_end_matches(',')).as_bytes()).is_ok());
        wide.push_str("\"k70\":0");
        assert!(parse(format!("{{{wide}}}").as_bytes()).is_err());
    }

    #[test]
    fn depth_is_limited() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(parse(nested(128).as_bytes()).is_ok());
        assert!(parse(nested(129).as_bytes()).is_err());
        assert!(parse("[".repeat(1_000_000).as_bytes()).is_err());
    }
}
