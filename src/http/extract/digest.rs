//! An entity tag for documents whose members may be in another order at the next read.
//!
//! Enterprise Manager writes attributes in any order, and the order of members in JSON means nothing, so the tag names
//! the JSON value: the same whichever order the bytes have, another as soon as anything else differs. One pass over the text
//! writes the value in one form, and one digest is made of that.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::entity_tag;

/// A strong entity tag of the JSON value in `json`; of its bytes, should it not be JSON.
#[must_use]
pub fn json_etag(json: &[u8]) -> String {
    let mut form = Vec::with_capacity(json.len() * 2);
    let written = OneForm(&mut form).deserialize(&mut serde_json::Deserializer::from_slice(json));
    entity_tag(if written.is_ok() { &form } else { json })
}

/// Writes a value so that equal values, and no others, have the same bytes: each part begins with its kind, texts with their
/// length, and members are sorted.
struct OneForm<'f>(&'f mut Vec<u8>);

impl OneForm<'_> {
    fn put(self, kind: u8, bytes: &[u8]) {
        self.0.push(kind);
        self.0.extend_from_slice(bytes);
    }
}

impl<'de> DeserializeSeed<'de> for OneForm<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneForm<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.put(b'n', b"");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.put(b'b', &[u8::from(value)]);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.put(b'i', &value.to_be_bytes());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.put(b'u', &value.to_be_bytes());
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.put(b'f', &value.to_bits().to_be_bytes());
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.0.push(b's');
        self.0.extend_from_slice(&value.len().to_be_bytes());
        self.0.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.push(b'[');
        while items.next_element_seed(OneForm(&mut *self.0))?.is_some() {}
        self.0.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.push(b'{');
        let begin = self.0.len();
        let mut written: Vec<Range<usize>> = Vec::with_capacity(16);
        loop {
            let at = self.0.len();
            if members.next_key_seed(OneForm(&mut *self.0))?.is_none() {
                break;
            }
            members.next_value_seed(OneForm(&mut *self.0))?;
            written.push(at..self.0.len());
        }
        let member = |range: &Range<usize>| self.0.get(range.clone()).unwrap_or_default();
        if !written.is_sorted_by_key(member) {
            written.sort_unstable_by_key(member);
            let sorted: Vec<&[u8]> = written.iter().map(member).collect();
            let sorted = sorted.concat();
            self.0.truncate(begin);
            self.0.extend_from_slice(&sorted);
        }
        self.0.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_does_not_matter_and_everything_else_does() {
        let tag = |text: &str| json_etag(text.as_bytes());
        let one = tag(r#"{"a":1,"b":[{"c":null,"d":"x"}],"e":true}"#);
        assert_eq!(one, tag(r#" {"e":true,"b":[{"d":"x","c":null}],"a":1} "#));
        for other in [
            r#"{"a":2,"b":[{"c":null,"d":"x"}],"e":true}"#,
            r#"{"a":"1","b":[{"c":null,"d":"x"}],"e":true}"#,
            r#"{"a":1,"b":[{"c":null,"d":"x"}],"e":false}"#,
            r#"{"a":1,"b":[{"c":"","d":"x"}],"e":true}"#,
            r#"{"a":1,"b":[{"c":null,"d":"x"},{}],"e":true}"#,
            r#"{"a":1,"b":[[{"c":null,"d":"x"}]],"e":true}"#,
            r#"{"a":1,"b":[{"c":null}],"d":"x","e":true}"#,
            r#"{"b":1,"a":[{"c":null,"d":"x"}],"e":true}"#,
        ] {
            assert_ne!(one, tag(other), "{other}");
        }
        assert_ne!(tag("[1,2]"), tag("[2,1]"));
        assert_ne!(tag("[]"), tag("{}"));
        assert_ne!(tag("9007199254740993"), tag("9007199254740992"));
        assert!(tag("no JSON").starts_with('"'));
    }
}
