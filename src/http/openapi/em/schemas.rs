//! EM's types as JSON Schemas, named as the transcoder names their fields.
//!
//! An answer says what is always there: lists are, everything else may be absent. A request says what EM wants to
//! have. A type that is in both has two schemas, the second with the suffix `Input`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::names;
use crate::catalogue::{
    self, Field, Form, Kind, Place, Query, Role, Scalar, Shape, TypeDef, TypeId, catalogue,
};
use crate::http::openapi::constraints;

/// The direction in which a type is used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Answer,
    Request,
}

/// Everything that was referred to, and what is still to be written.
#[derive(Default)]
pub(super) struct Schemas {
    wanted: BTreeSet<(Way, TypeId)>,
    enums: BTreeSet<(Way, &'static str)>,
    queries: BTreeSet<&'static str>,
}

impl Schemas {
    /// A reference to a type; the type will be written.
    pub(super) fn of(&mut self, way: Way, id: TypeId) -> Value {
        let ty = catalogue().ty(id);
        if ty.form == Form::Page {
            return reference("EmPage");
        }
        self.wanted.insert((way, id));
        reference(&self.name(way, ty))
    }

    /// A reference to the names a query may be sorted by.
    pub(super) fn fields_of(&mut self, query: &'static Query) -> Value {
        self.queries.insert(query.name);
        reference(&names::of_fields(query))
    }

    /// Bodies that only requests have need no suffix.
    fn name(&self, way: Way, ty: &TypeDef) -> String {
        if way == Way::Answer || ty.kind == Kind::Spec {
            names::of_type(ty)
        } else {
            names::of_input(ty)
        }
    }

    /// Every schema that was referred to, and those that they refer to.
    pub(super) fn write(mut self) -> Map<String, Value> {
        let mut all: std::collections::BTreeMap<String, Value> = std::collections::BTreeMap::new();
        while let Some((way, id)) = self.wanted.iter().copied().find(|(way, id)| {
            let name = self.name(*way, catalogue().ty(*id));
            !all.contains_key(&name)
        }) {
            let ty = catalogue().ty(id);
            let name = self.name(way, ty);
            let schema = match ty.form {
                Form::List => self.list(way, ty),
                Form::QueryResult => self.query_result(ty),
                Form::Object | Form::Page | Form::QueryPart => self.object(way, ty),
            };
            all.insert(name, schema);
        }
        for of in catalogue().enums() {
            if self.enums.contains(&(Way::Answer, of.name)) {
                all.insert(names::of_enum(of), enumeration(of));
            }
            if self.enums.contains(&(Way::Request, of.name)) {
                all.insert(names::of_closed_enum(of), closed_enumeration(of));
            }
        }
        for query in catalogue()
            .queries()
            .iter()
            .filter(|query| self.queries.contains(query.name))
        {
            let fields: Vec<&str> = query.fields.iter().map(|field| field.name).collect();
            let mut about = format!("What `{}` can be filtered and sorted by.", query.name);
            about += &meanings(
                query
                    .fields
                    .iter()
                    .filter_map(|field| Some((field.name, field.about?))),
            );
            all.insert(
                names::of_fields(query),
                json!({"type": "string", "description": about, "enum": fields}),
            );
        }
        all.insert("EmPage".to_owned(), page());
        all.into_iter().collect()
    }

    fn list(&mut self, way: Way, ty: &TypeDef) -> Value {
        let item = ty.fields.iter().find(|field| field.is_list());
        let items = item.map_or(json!({}), |field| self.value(way, field.value));
        let mut list = listing(&about(ty), &items);
        if way == Way::Request {
            put(&mut list, "required", json!(["items"]));
            put(&mut list, "additionalProperties", json!(false));
            if let Some(page) = list.pointer_mut("/properties/page") {
                put(page, "readOnly", json!(true));
            }
        }
        list
    }

    /// The items of all lists in all parts of the result: references first, then whole entities.
    fn query_result(&mut self, ty: &TypeDef) -> Value {
        let mut items = Vec::new();
        for field in &ty.fields {
            let catalogue::Value::Type(id) = field.value else {
                continue;
            };
            match catalogue().ty(id).form {
                Form::QueryPart => {
                    let inner = catalogue().ty(id).fields.iter();
                    items.extend(inner.map(|field| self.value(Way::Answer, field.value)));
                }
                Form::Object if field.is_list() && field.name == "Refs" => {
                    items.push(self.value(Way::Answer, field.value));
                }
                Form::Object | Form::List | Form::QueryResult | Form::Page => {}
            }
        }
        let mut once: Vec<Value> = Vec::new();
        for item in items {
            if !once.contains(&item) {
                once.push(item);
            }
        }
        listing(&about(ty), &json!({ "anyOf": once }))
    }

    fn object(&mut self, way: Way, ty: &TypeDef) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in &ty.fields {
            let mut schema = self.field(way, field);
            if way == Way::Request && is_ignored(field) {
                put(&mut schema, "readOnly", json!(true));
            }
            let always = match way {
                Way::Answer => field.is_list() || field.place == Place::Text,
                Way::Request => field.required && !is_ignored(field),
            };
            if always {
                required.push(json!(field.json));
            }
            properties.insert(field.json.to_string(), schema);
            if field.role == Role::Uid && ty.has_uid {
                let mut id = json!({"type": "string", "description": "The last part of `uid`."});
                if way == Way::Request {
                    put(&mut id, "readOnly", json!(true));
                }
                properties.insert("id".to_owned(), id);
            }
        }
        let mut schema = json!({"type": "object", "description": description(ty)});
        if !properties.is_empty() {
            put(&mut schema, "properties", Value::Object(properties));
        }
        if !required.is_empty() {
            put(&mut schema, "required", Value::Array(required));
        }
        // An answer may hold what no schema knows; a request may not.
        if way == Way::Request {
            put(&mut schema, "additionalProperties", json!(false));
        }
        schema
    }

    fn field(&mut self, way: Way, field: &Field) -> Value {
        let mut schema = match field.shape {
            Shape::One => {
                let plain = self.value(way, field.value);
                // In a request a null says the same as an empty element.
                let nullable = match way {
                    Way::Answer => field.may_be_null(),
                    Way::Request => !field.must_be_given(),
                };
                if nullable { or_null(plain) } else { plain }
            }
            Shape::Wrapped | Shape::Repeated => {
                let items = self.value(way, field.value);
                match way {
                    Way::Answer => json!({"type": "array", "items": items}),
                    Way::Request => {
                        // A word of a list is there or not.
                        let is_word = matches!(field.value, catalogue::Value::Enum(_));
                        let items = if is_word { items } else { or_null(items) };
                        let list = json!({"type": "array", "items": items});
                        if field.must_be_given() {
                            list
                        } else {
                            or_null(list)
                        }
                    }
                }
            }
        };
        if let Some(about) = field.about {
            put(&mut schema, "description", json!(sentence(about)));
        }
        schema
    }

    fn value(&mut self, way: Way, value: catalogue::Value) -> Value {
        match value {
            catalogue::Value::Type(id) => self.of(way, id),
            catalogue::Value::Enum(id) => {
                let of = catalogue().enumeration(id);
                self.enums.insert((way, of.name));
                match way {
                    Way::Answer => reference(&names::of_enum(of)),
                    Way::Request => reference(&names::of_closed_enum(of)),
                }
            }
            catalogue::Value::Scalar(scalar) => match way {
                Way::Answer => scalar_schema(scalar),
                Way::Request => bounded_schema(scalar),
            },
        }
    }
}

/// Members that a request may carry and that are never sent to EM.
pub(super) fn is_ignored(field: &Field) -> bool {
    field.name == "Links"
        || field.name == "Href"
        || (field.writable == Some(false) && !field.required && field.name != "Id")
}

fn or_null(mut schema: Value) -> Value {
    match schema.get("type").and_then(Value::as_str).map(ToOwned::to_owned) {
        Some(kind) => {
            put(&mut schema, "type", json!([kind, "null"]));
            schema
        }
        None => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

fn scalar_schema(scalar: Scalar) -> Value {
    match scalar {
        // Text passes as EM writes it, so that a format would promise more than is known.
        Scalar::String | Scalar::Urn | Scalar::Uuid | Scalar::Url | Scalar::Time => json!({"type": "string"}),
        Scalar::Int => json!({"type": "integer", "format": "int32"}),
        Scalar::Long => json!({"type": "integer", "format": "int64"}),
        Scalar::Decimal => json!({"type": "number"}),
        Scalar::Boolean => json!({"type": "boolean"}),
        Scalar::DateTime => json!({"type": "string", "format": "date-time"}),
    }
}

/// What a request may hold: characters of XML, integers of 64 bits.
fn bounded_schema(scalar: Scalar) -> Value {
    let mut schema = scalar_schema(scalar);
    match scalar {
        Scalar::String | Scalar::Urn | Scalar::Uuid | Scalar::Url | Scalar::Time => {
            put(&mut schema, "pattern", json!(constraints::XML_TEXT));
        }
        Scalar::Int | Scalar::Long => {
            put(&mut schema, "format", json!("int64"));
            put(&mut schema, "minimum", json!(i64::MIN));
            put(&mut schema, "maximum", json!(i64::MAX));
        }
        Scalar::Decimal | Scalar::Boolean | Scalar::DateTime => {}
    }
    schema
}

/// The words that a request may hold.
fn closed_enumeration(of: &catalogue::EnumDef) -> Value {
    let about = format!("One of these values.{}", meanings(of.meanings.iter().copied()));
    json!({"description": about, "type": "string", "enum": words(of)})
}

/// Open: the values that are known, and any other word.
fn enumeration(of: &catalogue::EnumDef) -> Value {
    json!({
        "description": format!("Other values are possible.{}", meanings(of.meanings.iter().copied())),
        "anyOf": [{"type": "string", "enum": words(of)}, {"type": "string"}],
    })
}

/// The words of an enumeration, each in one spelling.
fn words(of: &catalogue::EnumDef) -> Vec<&'static str> {
    let mut known: Vec<&str> = Vec::new();
    for value in of.values.iter().chain(&*of.observed) {
        // Another spelling of a known word would be a second constant of one name in generated code.
        if !known.iter().any(|known| known.eq_ignore_ascii_case(value)) {
            known.push(value);
        }
    }
    known
}

/// What words mean that do not say it themselves, behind a sentence.
fn meanings(of: impl Iterator<Item = (&'static str, &'static str)>) -> String {
    let each: Vec<String> = of.map(|(word, meaning)| format!("`{word}`: {meaning}")).collect();
    if each.is_empty() {
        String::new()
    } else {
        format!(" {}.", each.join("; "))
    }
}

fn listing(about: &str, items: &Value) -> Value {
    json!({
        "type": "object",
        "description": about,
        "properties": {"items": {"type": "array", "items": items}, "page": reference("EmPage")},
        "required": ["items", "page"],
    })
}

fn page() -> Value {
    let link = |about: &str| json!({"type": ["string", "null"], "description": about});
    json!({
        "type": "object",
        "description": "A page's position in its list.",
        "properties": {
            "size": {"type": "integer", "format": "int64", "description": "The requested number of items, or the number of all items."},
            "next": link("The next page; null on the last."),
            "previous": link("The previous page; null on the first."),
            "number": {"type": "integer", "format": "int64", "description": "Counted from 1."},
            "total": {"type": "integer", "format": "int64", "description": "How many pages there are."},
        },
        "required": ["size", "next", "previous"],
    })
}

fn about(ty: &TypeDef) -> String {
    ty.about
        .map_or_else(|| format!("Enterprise Manager's `{}`.", ty.name), sentence)
}

fn description(ty: &TypeDef) -> String {
    let mut text = about(ty);
    for choice in &ty.choices {
        let names: Vec<String> = choice
            .iter()
            .filter_map(|at| ty.fields.get(usize::from(*at)))
            .map(|field| format!("`{}`", field.json))
            .collect();
        text.push_str(&format!(" At most one of {}.", names.join(", ")));
    }
    text
}

/// Catalogue texts begin small and end without a full stop.
pub(super) fn sentence(text: &str) -> String {
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    crate::text::upper_first(text) + end
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Puts a member into an object.
pub(super) fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(name.to_owned(), value);
    }
}
