//! Fields of EM's documents, read leniently: a value that is not of the type expected is nothing, and costs no other. EM's odd
//! values stay as they are in the JSON (docs/behaviour.md#xml-to-json) and are not known here.
//!
//! Each value becomes a field as it is read: thousands of rows are read in a turn, and a tree of each would cost more than the rest
//! of the reading.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{self, MapAccessDeserializer};
use serde::de::{DeserializeOwned, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A text, number, boolean or moment, or nothing.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(Scalar(PhantomData))
}

/// A text that is not empty, or nothing.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(lenient::<D, String>(deserializer)?.filter(|text| !text.is_empty()))
}

/// An object, or nothing.
pub(super) fn record<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(Record(PhantomData))
}

/// The objects of a list; what is none is left out.
pub(super) fn items<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(Items(PhantomData))
}

/// What a visitor does with values that are none of what it reads.
macro_rules! nothing {
    ($($visit:ident($ty:ty)),*) => {
        $(fn $visit<E>(self, _: $ty) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })*
    };
    (null) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }
    };
    (list) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (object) => {
        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

/// Values without parts.
macro_rules! of {
    ($($visit:ident($ty:ty)),*) => {
        $(fn $visit<E>(self, value: $ty) -> Result<Self::Value, E> {
            let value = IntoDeserializer::<value::Error>::into_deserializer(value);
            Ok(T::deserialize(value).ok())
        })*
    };
}

struct Scalar<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Scalar<T> {
    type Value = Option<T>;

    of!(
        visit_str(&str),
        visit_bool(bool),
        visit_i64(i64),
        visit_u64(u64),
        visit_f64(f64)
    );
    nothing!(null);
    nothing!(list);
    nothing!(object);
}

struct Record<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Record<T> {
    type Value = Option<T>;

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }

    nothing!(
        visit_str(&str),
        visit_bool(bool),
        visit_i64(i64),
        visit_u64(u64),
        visit_f64(f64)
    );
    nothing!(null);
    nothing!(list);
}

/// One of a list.
struct Item<T>(Option<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        record(deserializer).map(Self)
    }
}

struct Items<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Items<T> {
    type Value = Vec<T>;

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Item(item)) = list.next_element()? {
            items.extend(item);
        }
        Ok(items)
    }

    nothing!(
        visit_str(&str),
        visit_bool(bool),
        visit_i64(i64),
        visit_u64(u64),
        visit_f64(f64)
    );
    nothing!(null);
    nothing!(object);
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Document {
        #[serde(deserialize_with = "text")]
        text: Option<String>,
        #[serde(deserialize_with = "lenient")]
        name: Option<String>,
        #[serde(deserialize_with = "lenient")]
        number: Option<u32>,
        #[serde(deserialize_with = "lenient")]
        flag: Option<bool>,
        #[serde(deserialize_with = "lenient")]
        at: Option<Timestamp>,
        #[serde(deserialize_with = "record")]
        part: Option<Box<Document>>,
        #[serde(deserialize_with = "items")]
        parts: Vec<Document>,
    }

    const FIELDS: [&str; 7] = ["text", "name", "number", "flag", "at", "part", "parts"];

    /// Which of the fields are something where each has that value.
    fn known(value: &Value) -> Vec<&'static str> {
        let object: serde_json::Map<String, Value> = FIELDS
            .iter()
            .map(|field| ((*field).to_owned(), value.clone()))
            .collect();
        let text = Value::from(object.clone()).to_string();
        let read: Document = serde_json::from_str(&text).expect("read");
        let of_tree: Document = serde_json::from_value(object.into()).expect("read");
        assert_eq!(read, of_tree);
        let Document {
            text,
            name,
            number,
            flag,
            at,
            part,
            parts,
        } = read;
        let there = [
            text.is_some(),
            name.is_some(),
            number.is_some(),
            flag.is_some(),
            at.is_some(),
            part.is_some(),
            !parts.is_empty(),
        ];
        FIELDS
            .into_iter()
            .zip(there)
            .filter(|(_, there)| *there)
            .map(|(field, _)| field)
            .collect()
    }

    #[rstest]
    #[case::text(json!("a"), &["text", "name"])]
    #[case::empty(json!(""), &["name"])]
    #[case::moment(json!("2026-05-06T20:29:45Z"), &["text", "name", "at"])]
    #[case::number(json!(7), &["number"])]
    #[case::too_large(json!(u64::MAX), &[])]
    #[case::below_zero(json!(-7), &[])]
    #[case::fraction(json!(1.5), &[])]
    #[case::flag(json!(true), &["flag"])]
    #[case::null(json!(null), &[])]
    #[case::object(json!({"number": 1}), &["part"])]
    #[case::list(json!([{"number": 1}]), &["parts"])]
    #[case::other_list(json!(["a", 1, null, [], {"text": {"a": [1]}}]), &["parts"])]
    fn a_value_is_known_where_it_fits_and_costs_no_other(#[case] value: Value, #[case] fits: &[&str]) {
        assert_eq!(known(&value), fits);
    }

    #[test]
    fn what_is_no_object_is_left_out_of_a_list() {
        let read: Document =
            serde_json::from_value(json!({"parts": ["a", {"number": 1}, [], {"number": "x"}, null]}))
                .expect("read");
        let numbers: Vec<Option<u32>> = read.parts.iter().map(|part| part.number).collect();
        assert_eq!(numbers, [Some(1), None]);
    }
}
