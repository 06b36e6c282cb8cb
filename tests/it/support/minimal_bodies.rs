//! Minimal bodies for EM's operations, made from the schema.

use emgate::catalogue::{Field, Form, Operation, Scalar, TypeDef, Value as FieldValue, catalogue};
use serde_json::{Map, Value, json};

/// The minimal body of that type, as JSON.
pub fn minimal(ty: &TypeDef) -> Value {
    if ty.form == Form::List {
        return json!({ "items": minimal_value(&ty.fields[0]) });
    }
    let mut object = Map::new();
    let mut add = |field: &Field| {
        object.insert(field.json.to_string(), minimal_value(field));
    };
    for field in &ty.fields {
        if field.required {
            add(field);
        }
    }
    for group in &ty.choices {
        let first = group.first().and_then(|at| ty.fields.get(usize::from(*at)));
        if let Some(field) = first.filter(|field| !field.required) {
            add(field);
        }
    }
    Value::Object(object)
}

/// The minimal body of an operation that has one.
pub fn minimal_body(operation: &Operation) -> Option<Value> {
    Some(minimal(catalogue().ty(operation.body?.root.ty)))
}

fn minimal_value(field: &Field) -> Value {
    let id = "3f56fa52-c902-4655-9774-2022fde214d2";
    let one = match field.value {
        FieldValue::Type(ty) => minimal(catalogue().ty(ty)),
        FieldValue::Enum(id) => json!(catalogue().enumeration(id).values.first()),
        FieldValue::Scalar(scalar) => match scalar {
            Scalar::String | Scalar::Url => json!("1.2.3.4"),
            Scalar::Urn => json!(format!("urn:veeam:Thing:{id}")),
            Scalar::Uuid => json!(id),
            Scalar::Time => json!("22:00:00"),
            Scalar::Int | Scalar::Long => json!(7),
            Scalar::Decimal => json!(1.5),
            Scalar::Boolean => json!(true),
            Scalar::DateTime => json!("2026-01-02T03:04:05Z"),
        },
    };
    if field.is_list() { json!([one]) } else { one }
}
