//! A JSON value read into a type, strictly: an object is an object and never an array of its fields.
//!
//! Each value is checked by what its type expects, so the texts name JSON types and never the program's own.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer as _, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use crate::domain::field_error::FieldError;
use crate::text::json_pointer;

/// Reads `value` as a `T`.
///
/// # Errors
/// The first fault, with its JSON pointer.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, FieldError> {
    T::deserialize(Node(value)).map_err(|misfit| FieldError::new(misfit.pointer, misfit.detail))
}

/// Why a value does not fit, and where; the pointer grows on the way up.
#[derive(Debug)]
struct Misfit {
    pointer: String,
    detail: String,
}

impl Misfit {
    fn must_be(wanted: &str, value: &Value) -> Self {
        Self::custom(format_args!("must be {wanted}, not {}", kind(value)))
    }

    fn under(mut self, name: &str) -> Self {
        self.pointer.insert_str(0, &json_pointer("", name));
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    fn custom<T: fmt::Display>(detail: T) -> Self {
        Self {
            pointer: String::new(),
            detail: detail.to_string(),
        }
    }

    fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::custom("has the wrong JSON type")
    }

    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::custom("has a value that is not allowed here")
    }

    fn invalid_length(length: usize, _: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "has {length} items, which is not what is expected here"
        ))
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Self::custom(format_args!("must be one of {}", known.join(", ")))
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        if known.is_empty() {
            return Self::custom("there is no such member; none are known here");
        }
        Self::custom(format_args!(
            "there is no such member; known here: {}",
            known.join(", ")
        ))
    }

    fn missing_field(name: &'static str) -> Self {
        Self::custom("is required").under(name)
    }
}

/// The JSON type of a value, with its article.
const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The number as an integer, also where it is written with a fraction of zero (`6.0`). One beyond 64 bits is only near the
/// one that was written, and as far beyond every bound.
fn whole(value: &Value) -> Result<i128, Misfit> {
    let Value::Number(number) = value else {
        return Err(Misfit::must_be("a whole number", value));
    };
    if let Some(number) = number.as_i128() {
        return Ok(number);
    }
    let number = number.as_f64().unwrap_or(f64::NAN);
    if number.fract() != 0.0 {
        return Err(Misfit::custom("must be a whole number"));
    }
    format!("{number:.0}")
        .parse()
        .or(Ok(if number < 0.0 { i128::MIN } else { i128::MAX }))
}

/// One value.
struct Node<'a>(&'a Value);

macro_rules! strings {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            match self.0 {
                Value::String(text) => visitor.visit_borrowed_str(text),
                other => Err(Misfit::must_be("a string", other)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Misfit;

    strings! {
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_identifier
    }

    // Members that are whole numbers are `i128`, which every number fits, so that a number too large or too small is refused
    // by who knows the bounds of the member, and names these.
    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_i128(whole(self.0)?)
    }

    forward_to_deserialize_any! { i8 i16 i32 i64 u8 u16 u32 u64 u128 }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => visitor.visit_i64(number),
                (None, Some(number)) => visitor.visit_u64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Object(members) => visitor.visit_map(Members::of(members)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(*value),
            other => Err(Misfit::must_be("true or false", other)),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0.as_f64() {
            Some(number) => visitor.visit_f64(number),
            None => Err(Misfit::must_be("a number", self.0)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            other => Err(Misfit::must_be("null", other)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            other => Err(Misfit::must_be("an array", other)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Object(members) => visitor.visit_map(Members::of(members)),
            other => Err(Misfit::must_be("an object", other)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(text) => {
                let word: StrDeserializer<'_, Misfit> = text.as_str().into_deserializer();
                visitor.visit_enum(word)
            }
            other => Err(Misfit::must_be("a string", other)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }
}

/// The items of an array.
struct Items<'a>(std::iter::Enumerate<std::slice::Iter<'a, Value>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some((index, item)) = self.0.next() else {
            return Ok(None);
        };
        seed.deserialize(Node(item))
            .map(Some)
            .map_err(|misfit| misfit.under(&index.to_string()))
    }
}

/// The members of an object.
struct Members<'a> {
    rest: serde_json::map::Iter<'a>,
    /// The member whose name was read.
    current: Option<(&'a str, &'a Value)>,
}

impl<'a> Members<'a> {
    fn of(members: &'a Map<String, Value>) -> Self {
        Self {
            rest: members.iter(),
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some((name, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.current = Some((name, value));
        let text: StrDeserializer<'_, Misfit> = name.as_str().into_deserializer();
        seed.deserialize(text)
            .map(Some)
            .map_err(|misfit| misfit.under(name))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Misfit> {
        let Some((name, value)) = self.current.take() else {
            return Err(Misfit::custom("has no value"));
        };
        seed.deserialize(Node(value)).map_err(|misfit| misfit.under(name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        inner: Option<Inner>,
        list: Vec<Inner>,
        map: BTreeMap<String, Option<String>>,
        flag: bool,
        long: i128,
        ratio: f64,
        word: Option<Word>,
        pair: Option<(i128, String)>,
        name: Name,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        number: i128,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase")]
    enum Word {
        Red,
        DarkGreen,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    struct Name(String);

    #[test]
    fn what_fits_is_read() {
        let sample: Sample = read(&json!({
            "inner": {"number": 6.0}, "list": [{"number": -1}], "map": {"a": null, "b": "x"}, "flag": true,
            "long": i64::MIN, "ratio": 2, "word": "darkGreen", "pair": [1, "x"], "name": "n",
        }))
        .expect("all fits");
        assert_eq!(sample.inner, Some(Inner { number: 6 }));
        assert_eq!(sample.list, [Inner { number: -1 }]);
        assert_eq!(sample.map.len(), 2);
        assert!(sample.flag);
        assert_eq!(sample.long, i64::MIN.into());
        assert_eq!(sample.word, Some(Word::DarkGreen));
        assert_eq!(sample.pair, Some((1, "x".to_owned())));
        assert_eq!(sample.name, Name("n".to_owned()));
        assert_eq!(
            read::<Sample>(&json!({})).expect("nothing is required"),
            Sample::default()
        );
    }

    #[rstest]
    #[case(json!([]), "", "must be an object, not an array")]
    #[case(json!(null), "", "must be an object, not null")]
    #[case(json!("x"), "", "must be an object, not a string")]
    #[case(json!({"inner": [1]}), "/inner", "must be an object, not an array")]
    #[case(json!({"inner": false}), "/inner", "must be an object, not a boolean")]
    #[case(json!({"inner": {}}), "/inner/number", "is required")]
    #[case(json!({"list": {}}), "/list", "must be an array, not an object")]
    #[case(json!({"list": [{"number": 1}, [1]]}), "/list/1", "must be an object, not an array")]
    #[case(json!({"list": [{"number": "1"}]}), "/list/0/number", "must be a whole number, not a string")]
    #[case(json!({"map": []}), "/map", "must be an object, not an array")]
    #[case(json!({"map": {"a/b": 1}}), "/map/a~1b", "must be a string, not a number")]
    #[case(json!({"flag": 1}), "/flag", "must be true or false, not a number")]
    #[case(json!({"long": 1.5}), "/long", "must be a whole number")]
    #[case(json!({"ratio": []}), "/ratio", "must be a number, not an array")]
    #[case(json!({"word": "blue"}), "/word", "must be one of red, darkGreen")]
    #[case(json!({"word": {"red": null}}), "/word", "must be a string, not an object")]
    #[case(json!({"name": ["n"]}), "/name", "must be a string, not an array")]
    fn a_value_that_does_not_fit_is_named_by_pointer(
        #[case] value: Value,
        #[case] pointer: &str,
        #[case] detail: &str,
    ) {
        let fault = read::<Sample>(&value).expect_err("refused");
        assert_eq!((fault.pointer.as_str(), fault.detail.as_str()), (pointer, detail));
    }

    #[rstest]
    #[case(json!(u64::MAX), u64::MAX.into())]
    #[case(json!(9_007_199_254_740_994.0), 9_007_199_254_740_994)]
    #[case(json!(1e300), i128::MAX)]
    #[case(json!(-1e300), i128::MIN)]
    fn a_whole_number_of_any_size_is_left_to_the_bounds_of_its_member(
        #[case] value: Value,
        #[case] read_as: i128,
    ) {
        let sample: Sample = read(&json!({ "long": value })).expect("a whole number");
        assert_eq!(sample.long, read_as);
    }

    #[test]
    fn an_unknown_member_is_named_with_those_that_are_known() {
        let fault = read::<Sample>(&json!({"inner": {"number": 1, "x/y": 2}})).expect_err("refused");
        assert_eq!(fault.pointer, "/inner/x~1y");
        assert_eq!(fault.detail, "there is no such member; known here: number");
    }
}
