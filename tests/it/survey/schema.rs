//! The catalogue against schema files: written from the catalogue itself, so that nothing differs, then changed.

use std::fmt::Write as _;

use emgate::catalogue::{Catalogue, EnumId, Place, Scalar, Shape, TypeDef, Value, catalogue};
use rstest::rstest;
use serde_json::json;

use super::{Em, text};

/// The catalogue as one schema file, with lists that have names and types that have none, as .NET writes them.
fn written() -> String {
    let known = catalogue();
    let mut schema = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:tns=\"http://www.veeam.com/ent/v1.0\" targetNamespace=\"http://www.veeam.com/ent/v1.0\">\n",
    );
    for root in known.roots().iter().filter(|root| !root.guessed) {
        let ty = known.ty(root.ty).name;
        _ = writeln!(schema, "<xs:element name=\"{}\" type=\"tns:{ty}\"/>", root.name);
    }
    for words in known.enums() {
        _ = writeln!(
            schema,
            "<xs:simpleType name=\"{}\"><xs:restriction base=\"xs:string\">",
            words.name
        );
        for value in &words.values {
            _ = writeln!(
                schema,
                "<xs:enumeration value=\"{}\"/>",
                value.replace('&', "&amp;")
            );
        }
        schema.push_str("</xs:restriction></xs:simpleType>\n");
    }
    let mut lists = String::new();
    for (_, ty) in known.types() {
        write_type(known, ty, &mut schema, &mut lists);
    }
    schema + &lists + "</xs:schema>\n"
}

fn write_type(known: &Catalogue, ty: &TypeDef, schema: &mut String, lists: &mut String) {
    _ = writeln!(schema, "<xs:complexType name=\"{}\"><xs:sequence>", ty.name);
    for field in ty.fields.iter().filter(|field| field.place == Place::Element) {
        let least = u8::from(field.required);
        let (kind, most) = match field.shape {
            Shape::One => (name_of(known, field.value), "1"),
            Shape::Repeated => (name_of(known, field.value), "unbounded"),
            Shape::Wrapped => {
                let list = format!("ListOf{}In{}", field.name, ty.name);
                _ = writeln!(
                    lists,
                    "<xs:complexType name=\"{list}\"><xs:sequence><xs:element name=\"{}\" type=\"{}\" minOccurs=\"0\" \
                     maxOccurs=\"unbounded\"/></xs:sequence></xs:complexType>",
                    field.items[0],
                    name_of(known, field.value)
                );
                (format!("tns:{list}"), "1")
            }
        };
        _ = writeln!(
            schema,
            "<xs:element name=\"{}\" type=\"{kind}\" minOccurs=\"{least}\" maxOccurs=\"{most}\"/>",
            field.name
        );
    }
    schema.push_str("</xs:sequence>\n");
    for field in ty.fields.iter().filter(|field| field.place == Place::Attribute) {
        let name = name_of(known, field.value);
        let needed = if field.required { "required" } else { "optional" };
        _ = writeln!(
            schema,
            "<xs:attribute name=\"{}\" type=\"{name}\" use=\"{needed}\"/>",
            field.name
        );
    }
    schema.push_str("</xs:complexType>\n");
}

fn name_of(known: &Catalogue, value: Value) -> String {
    let of_enum = |id: EnumId| format!("tns:{}", known.enumeration(id).name);
    match value {
        Value::Type(id) => format!("tns:{}", known.ty(id).name),
        Value::Enum(id) => of_enum(id),
        Value::Scalar(Scalar::Int) => "xs:int".to_owned(),
        Value::Scalar(Scalar::Long) => "xs:long".to_owned(),
        Value::Scalar(Scalar::Decimal) => "xs:double".to_owned(),
        Value::Scalar(Scalar::Boolean) => "xs:boolean".to_owned(),
        Value::Scalar(Scalar::DateTime) => "xs:dateTime".to_owned(),
        Value::Scalar(_) => "xs:string".to_owned(),
    }
}

fn compared(schema: &str) -> serde_json::Value {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), schema).expect("written");
    let schema = emgate::survey::Schema::read(&[file.path().to_owned()]).expect("a schema");
    serde_json::to_value(emgate::survey::compare_schema(&schema)).expect("JSON")
}

#[test]
fn a_schema_that_says_what_the_catalogue_says_differs_in_nothing() {
    let report = compared(&written());
    assert_eq!(report["differences"], json!([]));
    assert_eq!(report["typesCompared"], 365);
}

const BY_HAND: &str =
    "<xs:element name=\"MemoryUsageLimitMb\" type=\"xs:int\" minOccurs=\"1\" maxOccurs=\"1\"/>\n";

#[rstest]
#[case::type_of_the_schema(
    "</xs:schema>",
    "<xs:complexType name=\"NewType\"/></xs:schema>",
    "typeNotInCatalogue",
    "NewType",
    ""
)]
#[case::type_of_the_catalogue(
    "name=\"CloudHardwarePlanEntityType\"",
    "name=\"\"",
    "typeNotInSchema",
    "CloudHardwarePlanEntityType",
    ""
)]
#[case::document(
    "</xs:schema>",
    "<xs:element name=\"New\" type=\"xs:int\"/></xs:schema>",
    "documentNotInCatalogue",
    "New",
    ""
)]
#[case::field_of_the_schema(
    "<xs:element name=\"ProcessorUsageLimitMhz\"",
    "<xs:element name=\"New\" minOccurs=\"0\"/><xs:element name=\"ProcessorUsageLimitMhz\"",
    "fieldNotInCatalogue",
    "",
    "New"
)]
#[case::field_of_the_catalogue(BY_HAND, "", "fieldNotInSchema", "", "MemoryUsageLimitMb")]
#[case::required(
    BY_HAND,
    "<xs:element name=\"MemoryUsageLimitMb\" type=\"xs:int\" minOccurs=\"0\"/>",
    "required",
    "",
    "MemoryUsageLimitMb"
)]
#[case::cardinality(
    BY_HAND,
    "<xs:element name=\"MemoryUsageLimitMb\" type=\"xs:int\" maxOccurs=\"unbounded\"/>",
    "cardinality",
    "",
    "MemoryUsageLimitMb"
)]
#[case::scalar(
    BY_HAND,
    "<xs:element name=\"MemoryUsageLimitMb\" type=\"xs:boolean\"/>",
    "scalar",
    "",
    "MemoryUsageLimitMb"
)]
#[case::place(
    "<xs:attribute name=\"PageNum\" type=\"xs:int\" use=\"optional\"/>",
    "",
    "fieldNotInSchema",
    "PagingInfoType",
    "PageNum"
)]
#[case::word(
    "<xs:enumeration value=\"Everyday\"/>",
    "<xs:enumeration value=\"Always\"/>",
    "valueNotInCatalogue",
    "",
    ""
)]
fn each_change_of_a_schema_is_a_difference(
    #[case] from: &str,
    #[case] to: &str,
    #[case] kind: &str,
    #[case] ty: &str,
    #[case] field: &str,
) {
    let schema = written();
    assert!(schema.contains(from), "{from}");
    let report = compared(&schema.replacen(from, to, 1));
    let found = report["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .any(|one| {
            one["kind"] == kind
                && (ty.is_empty() || one["type"] == ty)
                && one["field"].as_str().unwrap_or_default() == field
        });
    assert!(found, "{report:#}");
}

#[test]
fn elements_in_another_order_are_a_difference() {
    let schema = written();
    let at = schema.find(BY_HAND).expect("there");
    let behind = at + BY_HAND.len();
    let end = behind + schema[behind..].find('\n').expect("a line") + 1;
    let swapped = format!(
        "{}{}{BY_HAND}{}",
        &schema[..at],
        &schema[behind..end],
        &schema[end..]
    );
    let report = compared(&swapped);
    let kinds: Vec<&str> = report["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["order"], "{report:#}");
}

#[tokio::test]
async fn a_schema_file_on_the_command_line_is_part_of_the_report() {
    let em = Em::start(&[]).await;
    let changed = written().replacen(BY_HAND, "", 1);
    std::fs::write(em.folder.path().join("em.xsd"), changed).expect("written");
    let done = em.survey(&["--xsd", "em.xsd", "--max-pages", "1"]).await;
    assert_eq!(done.status.code(), Some(3), "{}", text(&done.stderr));
    let differences = &em.report()["schema"]["differences"];
    assert_eq!(differences[0]["field"], "MemoryUsageLimitMb", "{differences}");
    let said = text(&done.stdout);
    assert!(said.contains("365 types compared, 1 difference\n"), "{said}");
    std::fs::write(em.folder.path().join("em.xsd"), "<html/>").expect("written");
    assert_eq!(em.survey(&["--xsd", "em.xsd"]).await.status.code(), Some(2));
}
