//! A digest of a JSON value, independent of how the value is written; entity tags and idempotency keys are made of it.
//!
//! The order of members means nothing in JSON, and EM writes its attributes in any order. One pass over the reader, no
//! tree.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The digest of the value that `deserializer` reads.
///
/// # Errors
/// Those of the deserializer.
pub fn value_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    ValueHasher.deserialize(deserializer)
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
            // A sum does not depend on the order of its terms.
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
    fn the_order_of_members_does_not_matter() {
        let digest = |text: &str| value_digest(&mut serde_json::Deserializer::from_str(text)).unwrap();
        let one = digest(r#"{"a":1,"b":[{"c":null,"d":"x"}]}"#);
        assert_eq!(one, digest(r#" {"b":[{"d":"x","c":null}],"a":1} "#));
        assert_ne!(one, digest(r#"{"a":1,"b":[{"c":null,"d":"y"}]}"#));
    }

    #[test]
    fn a_value_in_memory_has_the_digest_of_its_text() {
        let value = serde_json::json!({"a": [1, -2, 0.5, true, null], "b": {"c": "x"}});
        let text = value.to_string();
        let read = value_digest(&mut serde_json::Deserializer::from_str(&text)).unwrap();
        assert_eq!(value_digest(&value).unwrap(), read);
    }
}
