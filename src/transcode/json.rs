//! JSON as it was written: numbers keep their text, a member given twice is refused.
//!
//! A [`Reader`] hands it out token by token, so that what is written at once needs no tree; a [`Json`] is what must be
//! held. Of its own instead of `serde_json` because that turns long integers into floats and `1.10` into `1.1`.

use std::borrow::Cow;
use std::collections::HashSet;

use super::error::EncodeError;
use super::words::{self, below, equal};

/// The byte order mark of UTF-8.
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

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
    let mut reader = Reader::new(bytes.strip_prefix(BOM).unwrap_or(bytes))?;
    let mut whole = || {
        let token = reader.token()?;
        let value = reader.rest(token)?;
        reader.end()?;
        Ok(value)
    };
    whole().map_err(|NotJson| reader.refusal())
}

/// The text is no JSON; what is wrong with it, and where, the reader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotJson;

/// What a string says, as it is written between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text<'a> {
    raw: &'a str,
    has_escapes: bool,
}

impl<'a> Text<'a> {
    #[inline]
    pub(super) fn get(self) -> Cow<'a, str> {
        if self.has_escapes {
            Cow::Owned(unescaped(self.raw))
        } else {
            Cow::Borrowed(self.raw)
        }
    }
}

/// What a value begins with; of all but arrays and objects that is all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    /// As written, valid by the grammar.
    Number(&'a str),
    String(Text<'a>),
    /// The items follow, see [`Reader::item`].
    Array,
    /// The members follow, see [`Reader::member`].
    Object,
}

/// The names of an object's members, to find those given twice.
#[derive(Default)]
pub(super) struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    /// Few objects are wide; those get a set, so that looking for doubles stays cheap.
    many: Option<HashSet<Cow<'a, str>>>,
}

impl<'a> Names<'a> {
    /// False if the name is there already.
    pub(super) fn insert(&mut self, name: Cow<'a, str>) -> bool {
        if self.few.len() < 64 {
            let new = !self.few.contains(&name);
            self.few.push(name);
            return new;
        }
        let many = self
            .many
            .get_or_insert_with(|| self.few.iter().cloned().collect());
        many.insert(name)
    }
}

/// Reads a JSON text from its begin to its end.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// What was wrong at `at`.
    why: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, EncodeError> {
        let text = std::str::from_utf8(bytes).map_err(|e| EncodeError::Syntax {
            what: "wrong UTF-8",
            at: e.valid_up_to(),
        })?;
        Ok(Self::of(text))
    }

    fn of(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            why: "",
        }
    }

    #[cold]
    pub(super) fn error<T>(&mut self, what: &'static str) -> Result<T, NotJson> {
        self.why = what;
        Err(NotJson)
    }

    /// What was wrong with the text.
    pub(super) fn refusal(&self) -> EncodeError {
        EncodeError::Syntax {
            what: self.why,
            at: self.at,
        }
    }

    /// After the value: nothing but blanks may follow.
    pub(super) fn end(&mut self) -> Result<(), NotJson> {
        match self.next() {
            None => Ok(()),
            Some(_) => self.error("text behind the value"),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no blank.
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>, NotJson> {
        let rest = self.text.as_bytes().get(self.at..);
        if rest.is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            Ok(token)
        } else {
            self.error("no JSON value")
        }
    }

    /// The next value, or its opening bracket.
    pub(super) fn token(&mut self) -> Result<Token<'a>, NotJson> {
        match self.next() {
            None => self.error("the end where a value was due"),
            Some(b'"') => self.string().map(Token::String),
            Some(b'{') => self.open(Token::Object),
            Some(b'[') => self.open(Token::Array),
            Some(b't') => self.word("true", Token::Bool(true)),
            Some(b'f') => self.word("false", Token::Bool(false)),
            Some(b'n') => self.word("null", Token::Null),
            Some(b'-' | b'0'..=b'9') => self.number().map(Token::Number),
            Some(_) => self.error("no JSON value"),
        }
    }

    fn open(&mut self, token: Token<'a>) -> Result<Token<'a>, NotJson> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error("values nested too deep");
        }
        self.at += 1;
        Ok(token)
    }

    /// Whether the array has another item, which is then to be read; `first` before the first one.
    pub(super) fn item(&mut self, first: bool) -> Result<bool, NotJson> {
        match self.next() {
            Some(b']') => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ if first => Ok(true),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            _ => self.error("neither , nor ] in an array"),
        }
    }

    /// The name of the object's next member, whose value is then to be read; `first` before the first one.
    #[inline]
    pub(super) fn member(&mut self, first: bool) -> Result<Option<Text<'a>>, NotJson> {
        match self.next() {
            Some(b'}') => {
                self.at += 1;
                self.depth -= 1;
                return Ok(None);
            }
            _ if first => {}
            Some(b',') => self.at += 1,
            _ => return self.error("neither , nor } in an object"),
        }
        if self.next() != Some(b'"') {
            return self.error("no name where a member was due");
        }
        let name = self.string()?;
        if self.next() != Some(b':') {
            return self.error("no : behind a name");
        }
        self.at += 1;
        Ok(Some(name))
    }

    /// The value that begins with `token`.
    pub(super) fn rest(&mut self, token: Token<'a>) -> Result<Json<'a>, NotJson> {
        Ok(match token {
            Token::Null => Json::Null,
            Token::Bool(value) => Json::Bool(value),
            Token::Number(text) => Json::Number(text),
            Token::String(text) => Json::String(text.get()),
            Token::Array => {
                let mut all = Vec::new();
                while self.item(all.is_empty())? {
                    let token = self.token()?;
                    all.push(self.rest(token)?);
                }
                Json::Array(all)
            }
            Token::Object => {
                let (mut all, mut names) = (Vec::new(), Names::default());
                while let Some(name) = self.member(all.is_empty())? {
                    let name = name.get();
                    if !names.insert(name.clone()) {
                        return self.error("a member twice");
                    }
                    let token = self.token()?;
                    all.push((name, self.rest(token)?));
                }
                Json::Object(all)
            }
        })
    }

    fn number(&mut self) -> Result<&'a str, NotJson> {
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
            return self.error("no digit in a number");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if !digits(self) {
                return self.error("no digit behind the point");
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !digits(self) {
                return self.error("no digit in the exponent");
            }
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.error("a number that begins with 0");
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    #[inline]
    fn string(&mut self) -> Result<Text<'a>, NotJson> {
        self.at += 1;
        let start = self.at;
        let mut has_escapes = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at += words::find(rest, |word| {
                equal(word, b'"') | equal(word, b'\\') | below(word, 0x20)
            })
            .unwrap_or(rest.len());
            match self.peek() {
                Some(b'"') => {
                    let raw = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Text { raw, has_escapes });
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                }
                Some(_) => return self.error("a control character in a string"),
                None => return self.error("a string without its end"),
            }
        }
    }

    /// The character that a backslash begins.
    fn escape(&mut self) -> Result<char, NotJson> {
        self.at += 1;
        let Some(c) = self.peek() else {
            return self.error("a string without its end");
        };
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
                let mut second = None;
                if matches!(first, 0xD800..=0xDBFF) && self.text.get(self.at..self.at + 2) == Some("\\u") {
                    self.at += 2;
                    second = Some(self.four()?);
                }
                let units = [first].into_iter().chain(second);
                let mut decoded = char::decode_utf16(units);
                match (decoded.next(), decoded.next()) {
                    (Some(Ok(c)), None) => c,
                    _ => return self.error("half a surrogate pair"),
                }
            }
            _ => return self.error("an unknown escape"),
        })
    }

    fn four(&mut self) -> Result<u16, NotJson> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|d| u16::from_str_radix(d, 16).ok()) else {
            return self.error("\\u without four digits");
        };
        self.at += 4;
        Ok(code)
    }
}

/// The text of a string that was read, its escapes resolved.
fn unescaped(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut reader = Reader::of(raw);
    while let Some(rest) = raw.get(reader.at..) {
        let Some((plain, _)) = rest.split_once('\\') else {
            out.push_str(rest);
            break;
        };
        out.push_str(plain);
        reader.at += plain.len();
        out.extend(reader.escape());
    }
    out
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
