//! Bodies of requests as examples: what EM wants to have, and what it lets one write.

use serde_json::{Map, Value, json};

use super::schemas::is_ignored;
use crate::catalogue::{self, Field, Form, Scalar, TypeDef, TypeId, catalogue};

/// Optional fields are shown this deep.
const DEPTH: usize = 2;

/// A body of this type that EM would accept.
pub(super) fn of(id: TypeId) -> Value {
    of_type(catalogue().ty(id), 0)
}

fn of_type(ty: &TypeDef, depth: usize) -> Value {
    if ty.form == Form::List {
        let item = ty.fields.iter().find(|field| field.is_list());
        return json!({"items": item.map(|field| one(field, depth)).into_iter().collect::<Vec<_>>()});
    }
    let mut object = Map::new();
    for (at, field) in ty.fields.iter().enumerate() {
        let shown = field.required || (field.writable == Some(true) && depth < DEPTH);
        if shown && !is_ignored(field) && !yields(ty, at, &object) {
            let one = one(field, depth);
            let value = if field.is_list() { json!([one]) } else { one };
            object.insert(field.json.to_string(), value);
        }
    }
    // Of a choice the first is shown where none was.
    for choice in &ty.choices {
        let mut fields = choice.iter().filter_map(|at| ty.fields.get(usize::from(*at)));
        if !fields.clone().any(|field| object.contains_key(&*field.json))
            && depth < DEPTH
            && let Some(field) = fields.next()
        {
            object.insert(field.json.to_string(), one(field, depth));
        }
    }
    Value::Object(object)
}

/// Whether another field of its choice is shown already.
fn yields(ty: &TypeDef, at: usize, shown: &Map<String, Value>) -> bool {
    let is_here = |other: &u8| usize::from(*other) == at;
    ty.choices
        .iter()
        .filter(|choice| choice.iter().any(is_here))
        .any(|choice| {
            let mut fields = choice
                .iter()
                .filter_map(|other| ty.fields.get(usize::from(*other)));
            fields.any(|field| shown.contains_key(&*field.json))
        })
}

fn one(field: &Field, depth: usize) -> Value {
    const ID: &str = "3f56fa52-c902-4655-9774-2022fde214d2";
    match field.value {
        catalogue::Value::Type(id) => of_type(catalogue().ty(id), depth + 1),
        catalogue::Value::Enum(id) => json!(catalogue().enumeration(id).values.first()),
        catalogue::Value::Scalar(scalar) => match scalar {
            Scalar::String if field.hint == Some("ipv4") => json!("192.0.2.10"),
            Scalar::String => json!(field.name),
            Scalar::Url => json!("https://em.example"),
            Scalar::Urn => json!(format!("urn:veeam:Thing:{ID}")),
            Scalar::Uuid => json!(ID),
            Scalar::Time => json!("22:00:00"),
            Scalar::Int | Scalar::Long => json!(1),
            Scalar::Decimal => json!(1.5),
            Scalar::Boolean => json!(true),
            Scalar::DateTime => json!("2026-05-06T07:08:09Z"),
        },
    }
}
