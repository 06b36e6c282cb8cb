//! Properties of the transcoder over documents that the schema can produce.

use emgate::catalogue::{Form, Place, Root, Scalar, Shape, TypeDef, Value as Kind, catalogue};
use emgate::transcode::{DecodeError, Mode, Options, Target, convert, decode, decode_stream, encode};
use proptest::prelude::*;
use serde_json::Value;

use crate::transcode_decode::value;
use crate::transcode_generate::{Dice, document};

fn any_document() -> impl Strategy<Value = (Root, u64)> {
    let roots = catalogue().roots();
    (0..roots.len(), any::<u64>()).prop_map(move |(i, seed)| (roots[i], seed))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn xml_to_json_to_xml_to_json_changes_nothing((root, seed) in any_document()) {
        there_and_back(root, seed).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn spelling_does_not_change_the_json((root, seed) in any_document(), disguise in any::<u64>()) {
        spelled_otherwise(root, seed, disguise).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_shape_is_that_of_the_catalogue_whatever_the_data((root, seed) in any_document()) {
        let xml = document(root, seed).plain();
        let json = value(xml.as_bytes());
        let ty = catalogue().ty(root.ty);
        if let Err(why) = conforms(ty, &json, true) {
            return Err(TestCaseError::fail(format!("{why}\n{xml}\n{json:#}")));
        }
    }

    #[test]
    fn a_cut_document_is_refused((root, seed) in any_document(), cut in 0.0_f64..1.0) {
        let xml = document(root, seed).plain();
        let mut at = (xml.len() as f64 * cut) as usize;
        while !xml.is_char_boundary(at) {
            at -= 1;
        }
        prop_assert!(decode(&xml.as_bytes()[..at]).is_err());
    }

    #[test]
    fn convert_is_the_transcoder_with_line_ends((root, seed) in any_document(), compact in any::<bool>()) {
        let xml = document(root, seed).plain();
        let options = Options { to: None, root: None, compact };
        let mut json = Vec::new();
        let done = convert(xml.as_bytes(), &mut json, options).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!((done.to, done.root), (Target::Json, root.name));
        prop_assert_eq!(json.last(), Some(&b'\n'));
        let there: Value = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(&there, &value(xml.as_bytes()));
        let mut back = Vec::new();
        let options = Options { to: Some(Target::Xml), root: Some(root.name), compact };
        convert(json.as_slice(), &mut back, options)
            .map_err(|e| TestCaseError::fail(format!("{e}\n{}", String::from_utf8_lossy(&json))))?;
        prop_assert_eq!(value(&back), there, "{}", String::from_utf8_lossy(&back));
    }

    #[test]
    fn the_order_of_members_changes_nothing((root, seed) in any_document(), order in any::<u64>()) {
        let json = value(document(root, seed).plain().as_bytes());
        let mixed = mixed(json.clone(), &mut Dice::new(order)).to_string();
        let xml = |text: &str| encode(text.as_bytes(), root.name, Mode::Document).map(|xml| String::from_utf8(xml).unwrap());
        prop_assert_eq!(xml(&json.to_string()), xml(&mixed), "{}", mixed);
    }

    #[test]
    fn damaged_json_fails_alike_in_memory_and_as_a_stream(
        (root, seed) in any_document(),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(JSON_DAMAGES)), 0..3),
    ) {
        let mut json = decode(document(root, seed).plain().as_bytes()).unwrap().json;
        for (at, damage) in damages {
            let at = at.index(json.len());
            json.splice(at..=at, damage.iter().copied());
        }
        let mut streamed = Vec::new();
        let options = Options { to: Some(Target::Xml), root: Some(root.name), compact: true };
        let stream = convert(json.as_slice(), &mut streamed, options);
        match encode(&json, root.name, Mode::Document) {
            Ok(xml) => {
                prop_assert!(stream.is_ok(), "{:?}\n{}", stream, String::from_utf8_lossy(&json));
                prop_assert_eq!([xml.as_slice(), b"\n"].concat(), streamed);
            }
            Err(e) => prop_assert!(stream.is_err(), "{}\n{}", e, String::from_utf8_lossy(&json)),
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = encode(&bytes, "Job", Mode::Request);
    }

    #[test]
    fn a_damaged_document_is_refused_or_becomes_json((root, seed) in any_document(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut xml = document(root, seed).plain().into_bytes();
        let at = at.index(xml.len());
        xml[at] = byte;
        if let Ok(decoded) = decode(&xml) {
            let json: Result<crate::transcode_decode::UniqueKeys, _> = serde_json::from_slice(&decoded.json);
            prop_assert!(json.is_ok(), "{}\n{}", String::from_utf8_lossy(&xml), String::from_utf8_lossy(&decoded.json));
        }
    }

    #[test]
    fn a_damaged_document_fails_alike_in_memory_and_as_a_stream(
        (root, seed) in any_document(),
        disguise in any::<u64>(),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(DAMAGES)), 0..4),
    ) {
        let mut xml = document(root, seed).disguised(disguise);
        for (at, damage) in damages {
            let at = at.index(xml.len());
            xml.splice(at..=at, damage.iter().copied());
        }
        let mut streamed = Vec::new();
        let stream = decode_stream(xml.as_slice(), &mut streamed);
        match decode(&xml) {
            // In memory it is searched before anything else.
            Err(DecodeError::Encoding { .. }) => prop_assert!(stream.is_err()),
            Err(e) => prop_assert_eq!(Err(e), stream, "{}", String::from_utf8_lossy(&xml)),
            Ok(decoded) => {
                prop_assert_eq!(Ok((decoded.root, decoded.anomalies)), stream);
                prop_assert_eq!(decoded.json, streamed, "{}", String::from_utf8_lossy(&xml));
            }
        }
    }
}

/// XML → JSON → XML → JSON: the same JSON, and nothing in it that the catalogue does not know.
pub fn there_and_back(root: Root, seed: u64) -> Result<(), String> {
    let xml = document(root, seed).plain();
    let first = decode(xml.as_bytes()).map_err(|e| format!("{e}\n{xml}"))?;
    let json = String::from_utf8_lossy(&first.json);
    if !first.anomalies.is_empty() {
        return Err(format!("{:?}\n{xml}", first.anomalies));
    }
    let again = encode(&first.json, root.name, Mode::Document).map_err(|e| format!("{e}\n{xml}\n{json}"))?;
    if value(&again) == value(xml.as_bytes()) {
        Ok(())
    } else {
        let again = String::from_utf8_lossy(&again);
        Err(format!("{xml}\nbecame\n{json}\nbecame\n{again}"))
    }
}

/// The same document, spelled in another way, is the same JSON.
pub fn spelled_otherwise(root: Root, seed: u64, disguise: u64) -> Result<(), String> {
    let node = document(root, seed);
    let disguised = node.disguised(disguise);
    if value(&disguised) == value(node.plain().as_bytes()) {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&disguised).into_owned())
    }
}

/// The value with the members of its objects in another order.
fn mixed(json: Value, order: &mut Dice) -> Value {
    match json {
        Value::Array(items) => items.into_iter().map(|item| mixed(item, order)).collect(),
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().collect();
            for last in (1..members.len()).rev() {
                members.swap(last, order.roll(last + 1));
            }
            let members = members
                .into_iter()
                .map(|(name, value)| (name, mixed(value, order)));
            Value::Object(members.collect())
        }
        other => other,
    }
}

/// What may replace a byte of JSON.
const JSON_DAMAGES: &[&[u8]] = &[
    b"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b" ",
    b"\\",
    b"0",
    b"null",
    b"{}",
    b"[]",
    b"\"items\":[],",
    b"\x01",
    b"\xff",
];

/// What may replace a byte.
const DAMAGES: &[&[u8]] = &[
    b"",
    b"<",
    b">",
    b"&",
    b"\"",
    b"'",
    b"/",
    b"/>",
    b" ",
    b"\n",
    b"=",
    b"\x01",
    b"\xff",
    b"</",
    b"</a >",
    b"<a b='>'>",
    b"&amp;",
    b"&none;",
    b"<!-- -->",
    b"<![CDATA[",
    b"]]>",
    b"<?p q?>",
    b"<?xml version='1.0'?>",
    b"<!DOCTYPE a>",
    b"\xEF\xBB\xBF",
];

/// Whether `json` has the shape that the catalogue promises for `ty`, checked without the decoder.
fn conforms(ty: &'static TypeDef, json: &Value, root: bool) -> Result<(), String> {
    let object = json
        .as_object()
        .ok_or_else(|| format!("{} is no object", ty.name))?;
    if ty.form == Form::Page || (root && matches!(ty.form, Form::List | Form::QueryResult)) {
        let page = if ty.form == Form::Page {
            object
        } else {
            object["page"].as_object().ok_or("no page")?
        };
        for key in ["size", "next", "previous"] {
            page.get(key).ok_or_else(|| format!("page without {key}"))?;
        }
        if ty.form == Form::List {
            let field = ty.fields.iter().find(|f| f.is_list()).ok_or("no item")?;
            for item in object["items"].as_array().ok_or("no items")? {
                one(field.value, item)?;
            }
        }
        return Ok(());
    }
    for key in object.keys() {
        if ty.by_json(key).is_none() && !(key == "id" && ty.has_uid) {
            return Err(format!("{} has {key}", ty.name));
        }
    }
    for field in &ty.fields {
        match (field.shape, object.get(&*field.json)) {
            (Shape::One, None) if field.place == Place::Text => {
                return Err(format!("{} has no value", ty.name));
            }
            (Shape::One, None) => {}
            (Shape::One, Some(value)) => {
                one(field.value, value).map_err(|e| format!("{}: {e}", field.name))?
            }
            (_, None) => return Err(format!("{}.{} is not there", ty.name, field.name)),
            (_, Some(value)) => {
                for item in value
                    .as_array()
                    .ok_or_else(|| format!("{} is no array", field.name))?
                {
                    one(field.value, item)?;
                }
            }
        }
    }
    Ok(())
}

fn one(kind: Kind, json: &Value) -> Result<(), String> {
    if json.is_null() {
        return Ok(());
    }
    let fits = match kind {
        Kind::Type(id) => return conforms(catalogue().ty(id), json, false),
        Kind::Enum(_) => json.is_string(),
        Kind::Scalar(Scalar::Int | Scalar::Long) => json.is_i64() || json.is_u64(),
        Kind::Scalar(Scalar::Decimal) => json.is_number(),
        Kind::Scalar(Scalar::Boolean) => json.is_boolean(),
        Kind::Scalar(Scalar::DateTime) => json.as_str().is_some_and(|t| t.ends_with('Z')),
        Kind::Scalar(_) => json.is_string(),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{json} is no {kind:?}"))
    }
}
