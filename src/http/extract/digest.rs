//! An entity tag for documents whose members may come in another order the next time.
//!
//! Enterprise Manager writes attributes in any order, and the order of members in JSON means nothing, so the tag names
//! the JSON value: the same whichever order the bytes have, another as soon as anything else differs. One pass, no tree.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// A strong entity tag of the JSON value in `json`; of its bytes, should it not be JSON.
#[must_use]
pub fn json_etag(json: &[u8]) -> String {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let Ok(sum) = ValueHasher.deserialize(&mut reader) else {
        return super::entity_tag(json);
    };
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sum.to_be_bytes());
    format!("\"{text}\"")
}

/// Half of the hash of `kind` and `bytes`.
fn hashed(kind: u8, bytes: &[u8]) -> u128 {
    let mut all = Vec::with_capacity(bytes.len() + 1);
    all.push(kind);
    all.extend_from_slice(bytes);
    let hash = digest(&SHA256, &all);
    let half = hash.as_ref().first_chunk::<16>().copied().unwrap_or_default();
    u128::from_be_bytes(half)
}

fn combine(kind: u8, one: u128, other: u128) -> u128 {
    let mut bytes = [0; 32];
    let (front, back) = bytes.split_at_mut(16);
    front.copy_from_slice(&one.to_be_bytes());
    back.copy_from_slice(&other.to_be_bytes());
    hashed(kind, &bytes)
}

/// Reads a value and gives its hash.
#[derive(Clone, Copy)]
struct ValueHasher;

impl<'de> DeserializeSeed<'de> for ValueHasher {
    type Value = u128;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u128, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueHasher {
    type Value = u128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<u128, E> {
        Ok(hashed(b'n', b""))
    }

    fn visit_bool<E>(self, value: bool) -> Result<u128, E> {
        Ok(hashed(b'b', &[u8::from(value)]))
    }

    fn visit_i64<E>(self, value: i64) -> Result<u128, E> {
        Ok(hashed(b'i', &value.to_be_bytes()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<u128, E> {
        Ok(hashed(b'u', &value.to_be_bytes()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<u128, E> {
        Ok(hashed(b'f', &value.to_bits().to_be_bytes()))
    }

    fn visit_str<E>(self, value: &str) -> Result<u128, E> {
        Ok(hashed(b's', value.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u128, A::Error> {
        let mut sum = hashed(b'[', b"");
        while let Some(item) = items.next_element_seed(ValueHasher)? {
            sum = combine(b',', sum, item);
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u128, A::Error> {
        let mut sum = 0_u128;
        let mut count = 0_u128;
        while let Some(name) = members.next_key_seed(ValueHasher)? {
            let value = members.next_value_seed(ValueHasher)?;
            // A sum does not know in which order it was made.
            sum = sum.wrapping_add(combine(b':', name, value));
            count += 1;
        }
        Ok(combine(b'{', sum, count))
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
