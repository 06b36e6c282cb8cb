//! XML → JSON as docs/behaviour.md#xml-to-json says: fixtures hold exactly, and each rule by an example of its own.

use emgate::transcode::{AnomalyKind, DecodeError, decode, decode_expecting, decode_stream};
use rstest::rstest;
use serde_json::{Value, json};

/// The JSON of a document, which must decode the same from memory and as a stream.
pub fn value(xml: &[u8]) -> Value {
    let decoded = decode(xml).unwrap_or_else(|e| panic!("{e}\n{}", String::from_utf8_lossy(xml)));
    let mut streamed = Vec::new();
    let (root, anomalies) = decode_stream(xml, &mut streamed).unwrap_or_else(|e| panic!("streamed: {e}"));
    assert_eq!(root, decoded.root);
    assert_eq!(anomalies, decoded.anomalies);
    assert_eq!(
        String::from_utf8_lossy(&streamed),
        String::from_utf8_lossy(&decoded.json)
    );
    let unique: UniqueKeys = serde_json::from_slice(&decoded.json)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&decoded.json)));
    unique.0
}

fn of(xml: &str) -> Value {
    value(xml.as_bytes())
}

fn refused(xml: &[u8]) -> DecodeError {
    let mut sink = Vec::new();
    assert!(
        decode_stream(xml, &mut sink).is_err(),
        "the stream must be refused as well"
    );
    decode(xml)
        .map(|d| String::from_utf8_lossy(&d.json).into_owned())
        .expect_err("must be refused")
}

/// JSON that is refused when an object has a key twice.
pub struct UniqueKeys(pub Value);

impl<'de> serde::Deserialize<'de> for UniqueKeys {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> serde::de::Visitor<'de> for V {
            type Value = Value;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
                Ok(v.into())
            }
            fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
                Ok(v.into())
            }
            fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
                Ok(v.into())
            }
            fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
                Ok(v.into())
            }
            fn visit_str<E>(self, v: &str) -> Result<Value, E> {
                Ok(v.into())
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut a: A) -> Result<Value, A::Error> {
                let mut all = Vec::new();
                while let Some(UniqueKeys(v)) = a.next_element()? {
                    all.push(v);
                }
                Ok(all.into())
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut a: A) -> Result<Value, A::Error> {
                let mut all = serde_json::Map::new();
                while let Some((k, UniqueKeys(v))) = a.next_entry::<String, _>()? {
                    if all.insert(k.clone(), v).is_some() {
                        return Err(serde::de::Error::custom(format!("key {k} twice")));
                    }
                }
                Ok(Value::Object(all))
            }
        }
        d.deserialize_any(V).map(UniqueKeys)
    }
}

macro_rules! fixture {
    ($name:literal, $kind:literal) => {
        include_bytes!(concat!("../fixtures/em/", $name, ".", $kind)).as_slice()
    };
}

/// The fixtures: XML beside the JSON it must become.
pub const FIXTURES: &[(&str, &[u8], &[u8])] = &[
    (
        "failover-session",
        fixture!("failover-session", "xml"),
        fixture!("failover-session", "json"),
    ),
    (
        "query-sessions",
        fixture!("query-sessions", "xml"),
        fixture!("query-sessions", "json"),
    ),
    (
        "references",
        fixture!("references", "xml"),
        fixture!("references", "json"),
    ),
    ("task", fixture!("task", "xml"), fixture!("task", "json")),
    ("error", fixture!("error", "xml"), fixture!("error", "json")),
];

/// The XML of a fixture.
fn fixture(name: &str) -> &'static [u8] {
    let found = FIXTURES.iter().find(|(known, _, _)| *known == name);
    found.unwrap_or_else(|| panic!("there is no fixture {name}")).1
}

#[test]
fn every_fixture_becomes_exactly_its_json() {
    for (name, xml, expected) in FIXTURES {
        let expected: Value = serde_json::from_slice(expected).unwrap();
        let found = value(xml);
        assert!(
            found == expected,
            "{name}: the JSON differs from tests/fixtures/em/{name}.json; it is now\n{found:#}"
        );
    }
}

#[test]
fn every_fixture_on_disk_is_in_the_table() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/em");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            FIXTURES.iter().any(|(known, _, _)| *known == name),
            "{} is tested by nothing; add a row to FIXTURES",
            path.display()
        );
    }
}

#[test]
fn unknown_parts_are_reported_by_type_and_name() {
    let decoded = decode(fixture("failover-session")).unwrap();
    let found: Vec<_> = decoded
        .anomalies
        .iter()
        .map(|a| (a.kind, a.ty, a.name.as_str(), a.count))
        .collect();
    assert_eq!(
        found,
        [
            (
                AnomalyKind::UnknownName,
                "CloudFailoverTaskSessionInfoType",
                "Zone2031",
                1
            ),
            (
                AnomalyKind::UnknownValue,
                "CloudFailoverTaskSessionInfoType",
                "State",
                1
            ),
            (
                AnomalyKind::UnparsedValue,
                "CloudFailoverTaskSessionInfoType",
                "Progress",
                1
            ),
        ]
    );
}

#[test]
fn a_document_of_another_kind_is_refused() {
    let error = fixture("error");
    let found = decode_expecting(error, &["Task"]).unwrap_err();
    assert_eq!(
        found,
        DecodeError::UnexpectedRoot {
            found: "Error",
            expected: "Task".to_owned()
        }
    );
    assert_eq!(decode_expecting(error, &["Task", "Error"]).unwrap().root, "Error");
}

#[rstest]
#[case::empty(b"", "the document is empty")]
#[case::blank(b" \n ", "the document is empty")]
#[case::html(b"<html><body>Sign in</body></html>", "html is not one of EM's")]
#[case::no_xml(b"{\"a\":1}", "this is not XML")]
fn what_is_no_document_of_ems_is_refused(#[case] xml: &[u8], #[case] why: &str) {
    let e = refused(xml).to_string();
    assert!(e.contains(why), "{e}");
}

#[test]
fn an_empty_query_result_has_its_shape() {
    let expected = json!({"items": [], "page": {"size": 0, "next": null, "previous": null}});
    for xml in [
        "<QueryResult/>",
        "<QueryResult><Entities/></QueryResult>",
        "<Jobs/>",
        "<Jobs></Jobs>",
    ] {
        assert_eq!(of(xml), expected, "{xml}");
    }
}
