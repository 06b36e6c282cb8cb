//! JSON from outside, read whole before anything is made of it: every body, and the claims of every token.
//!
//! What is not JSON is distinguished from JSON that cannot be accepted: a name given more than once, U+0000 in a text.
//! Readers behind this one need not check again. `typed` reads the values that callers send into their types.

mod typed;

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::domain::field_error::FieldError;
use crate::text::json_pointer;
pub use typed::read;

/// The byte order mark in UTF-8. One before a JSON text may be skipped (RFC 8259 section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Faults reported at most.
const MAX_FAULTS: usize = 50;

/// A JSON value, and what is wrong with it as a whole.
#[derive(Debug)]
pub struct Document {
    /// The value; of a name given more than once, the last.
    pub value: Value,
    /// Names given more than once, and texts with U+0000, each with its JSON pointer.
    pub faults: Vec<FieldError>,
}

/// The bytes without the one byte order mark that may precede them.
#[must_use]
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Why a text is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not JSON.
    #[error("cannot be read as JSON: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It is JSON that readers could understand differently; never empty.
    #[error("is JSON that is not accepted")]
    Faults(Vec<FieldError>),
}

/// Reads a whole text as one value.
///
/// # Errors
/// That it is not JSON, or each fault with its pointer.
pub fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let document = Document::deserialize(&mut reader)?;
    reader.end()?;
    if document.faults.is_empty() {
        Ok(document.value)
    } else {
        Err(Error::Faults(document.faults))
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut state = State::default();
        let value = Node(&mut state).deserialize(deserializer)?;
        Ok(Self {
            value,
            faults: state.faults,
        })
    }
}

/// Where the reader is, and what it found so far.
#[derive(Default)]
struct State {
    pointer: String,
    faults: Vec<FieldError>,
}

impl State {
    fn fault(&mut self, detail: &str) {
        let fault = FieldError::new(&self.pointer, detail);
        if self.faults.len() < MAX_FAULTS && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Goes one step down; gives what leads back.
    fn enter(&mut self, step: &str) -> usize {
        let back = self.pointer.len();
        self.pointer.push_str(step);
        back
    }

    fn leave(&mut self, back: usize) {
        self.pointer.truncate(back);
    }
}

/// Reads one value at the present place.
struct Node<'s>(&'s mut State);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        if text.contains('\0') {
            self.0
                .fault("contains the character U+0000, which no text here may contain");
        }
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        loop {
            let back = self.0.enter(&format!("/{}", all.len()));
            let item = items.next_element_seed(Node(self.0))?;
            self.0.leave(back);
            match item {
                Some(item) => all.push(item),
                None => return Ok(Value::Array(all)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let back = self.0.enter(&json_pointer("", &name));
            if name.contains('\0') {
                self.0
                    .fault("the name contains the character U+0000, which no text here may contain");
            }
            let value = members.next_value_seed(Node(self.0))?;
            if all.insert(name, value).is_some() {
                self.0.fault("is given more than once");
            }
            self.0.leave(back);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn pointers(text: &str) -> Vec<String> {
        match parse(text.as_bytes()) {
            Ok(_) => Vec::new(),
            Err(Error::Faults(faults)) => faults.into_iter().map(|fault| fault.pointer).collect(),
            Err(Error::Malformed(error)) => panic!("{error}"),
        }
    }

    #[rstest]
    #[case("null")]
    #[case("[1,-2,18446744073709551615,1.5,true,\"x\",{}]")]
    #[case(r#"{"b":{"a":1},"a":{"a":1}}"#)]
    #[case(r#"{"$serde_json::private::RawValue":"[1]"}"#)]
    fn a_sound_document_is_the_value_it_was(#[case] text: &str) {
        let value = parse(text.as_bytes()).expect("sound");
        assert_eq!(value.to_string(), text);
    }

    #[rstest]
    #[case(r#"{"a":1,"a":2}"#, &["/a"])]
    #[case(r#"{"a":1,"a":2,"a":3}"#, &["/a"])]
    #[case(r#"{"a":1,"\u0061":1}"#, &["/a"])]
    #[case(r#"[{"x":[0,{"a/b~":1,"a/b~":1}]}]"#, &["/0/x/1/a~1b~0"])]
    #[case(r#"{"a":{"b":1,"b":1},"a":{}}"#, &["/a/b", "/a"])]
    #[case(r#""\u0000""#, &[""])]
    #[case(r#"{"a":["x","y\u0000"],"b":"\u0000"}"#, &["/a/1", "/b"])]
    #[case(r#"{"a\u0000":1}"#, &["/a\0"])]
    fn every_fault_is_named_with_its_place(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(pointers(text), expected);
    }

    #[rstest]
    #[case("")]
    #[case("{")]
    #[case("{} {}")]
    #[case("{\"a\":1,}")]
    #[case("\"\u{0}\"")]
    #[case(r#""\ud800""#)]
    #[case(r#""\udc00""#)]
    #[case(r#""\ud800\u0041""#)]
    #[case("\u{feff}{}")]
    #[case(r#"{"a":"\u0000","a":1"#)]
    fn what_is_not_json_is_malformed(#[case] text: &str) {
        let error = parse(text.as_bytes()).expect_err("refused");
        assert!(matches!(error, Error::Malformed(_)));
    }

    #[test]
    fn what_is_not_utf_8_or_nests_too_deep_is_malformed() {
        for bytes in [&b"\"\xff\""[..], b"{\"\xff\":1}", "[".repeat(200).as_bytes()] {
            let error = parse(bytes).expect_err("refused");
            assert!(matches!(error, Error::Malformed(_)));
        }
    }

    #[test]
    fn one_byte_order_mark_is_skipped() {
        for (given, rest) in [
            ("\u{feff}{}", "{}"),
            ("\u{feff}\u{feff}{}", "\u{feff}{}"),
            ("{}", "{}"),
        ] {
            assert_eq!(without_mark(given.as_bytes()), rest.as_bytes());
        }
    }
}
