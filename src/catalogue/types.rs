//! Types out of their lines: inheritance, JSON names, look-up tables, and the checks of one type.

use super::Catalogue;
use super::error::FaultKind;
use super::line;
use super::loader::{Loader, area_of};
use super::model::{Field, Form, Key, Kind, Lead, Place, Role, Root, Scalar, Shape, TypeDef, TypeId, Value};
use super::raw::{RawType, Text};
use super::table::{NameTable, Print};

/// File, name and text of each type, in the order of ids.
type Raw = [(&'static str, &'static str, RawType)];

/// Builds every type and every document root into `catalogue`.
#[expect(clippy::cast_possible_truncation, reason = "an index of some hundred entries")]
pub(super) fn build(loader: &mut Loader, catalogue: &mut Catalogue, raw: &Raw) {
    for (index, entire) in raw.iter().enumerate() {
        let (file, name, entry) = entire;
        let id = TypeId(index as u16);
        for root in roots(entry, id) {
            if catalogue.roots.insert(root.name, root).is_some() {
                loader.fault(file, *name, FaultKind::Duplicate);
            }
        }
        let mut path = Vec::new();
        let fields = flatten(loader, raw, id, &mut path);
        catalogue.types.push(define(loader, entire, id, fields));
    }
}

/// The fields of a type: those of its base first, a line of the same name and place replacing the inherited one.
fn flatten(loader: &mut Loader, raw: &Raw, id: TypeId, path: &mut Vec<TypeId>) -> Vec<Field> {
    let Some((file, name, entry)) = raw.get(usize::from(id.0)) else {
        return Vec::new();
    };
    if path.contains(&id) {
        loader.fault(
            file,
            *name,
            FaultKind::Cycle(entry.extends.map_or("", |t| t.0).to_owned()),
        );
        return Vec::new();
    }
    path.push(id);
    let mut fields = Vec::new();
    if let Some(Text(base)) = entry.extends {
        match loader.value(base) {
            Some(Value::Type(base)) => {
                fields = flatten(loader, raw, base, path);
                for field in &mut fields {
                    field.from.get_or_insert(base);
                }
            }
            _ => loader.fault(file, *name, FaultKind::UnknownBase(base.to_owned())),
        }
    }
    // Only the type's own pass reports its lines, or a base's fault would be reported once per heir.
    let report = path.len() == 1;
    for Text(text) in &entry.fields {
        let read = match line::field(text) {
            Ok(read) => read,
            Err(why) => {
                if report {
                    loader.fault(file, *name, FaultKind::Line((*text).to_owned(), why));
                }
                continue;
            }
        };
        let Some(value) = loader.value(read.value) else {
            if report {
                let what = FaultKind::UnknownType(read.value.to_owned());
                loader.fault(file, format!("{name}.{}", read.name), what);
            }
            continue;
        };
        if let Some(why) = misplaced(raw, read.place, value) {
            if report {
                loader.fault(file, *name, FaultKind::Line((*text).to_owned(), why));
            }
            continue;
        }
        let json = json_name(read.name, read.place);
        let field = resolved(read, value, json);
        let same = |f: &&mut Field| f.name == field.name && f.place == field.place;
        match fields.iter_mut().find(same) {
            Some(inherited) if inherited.from.is_some() => *inherited = field,
            Some(_) => {
                if report {
                    loader.fault(file, format!("{name}.{}", field.name), FaultKind::Duplicate);
                }
            }
            None => fields.push(field),
        }
    }
    path.pop();
    fields.sort_by_key(|f| match f.place {
        Place::Attribute => 0,
        Place::Element => 1,
        Place::Text => 2,
    });
    fields
}

/// Why a value cannot stand where a line puts it.
fn misplaced(raw: &Raw, place: Place, value: Value) -> Option<&'static str> {
    let Value::Type(id) = value else { return None };
    let kind = raw
        .get(usize::from(id.0))
        .map(|(.., entry)| Kind::from(entry.kind));
    match (place, kind) {
        (Place::Attribute | Place::Text, _) => Some("an attribute or text holds a scalar"),
        (Place::Element, Some(Kind::List)) => {
            Some("a list type is a document; a field says \"Type[] of Item\"")
        }
        (Place::Element, _) => None,
    }
}

/// The finished type: names without clashes, tables, masks.
fn define(
    loader: &mut Loader,
    (file, name, entry): &(&'static str, &'static str, RawType),
    id: TypeId,
    mut fields: Vec<Field>,
) -> TypeDef {
    let kind = Kind::from(entry.kind);
    separate(&mut fields);
    if fields.len() > 63 {
        loader.fault(file, *name, FaultKind::TooManyFields);
        fields.truncate(63);
    }
    for (i, one) in fields.iter().enumerate() {
        if let Some(other) = fields.iter().skip(i + 1).find(|f| f.json == one.json) {
            let json = one.json.to_string();
            loader.fault(
                file,
                *name,
                FaultKind::NameClash(one.name.into(), other.name.into(), json),
            );
        }
    }
    let has_uid = fields
        .iter()
        .any(|f| f.name == "UID" && f.place == Place::Attribute);
    if has_uid && let Some(id) = fields.iter().find(|f| &*f.json == "id") {
        let clash = FaultKind::NameClash("UID".to_owned(), id.name.to_owned(), "id".to_owned());
        loader.fault(file, *name, clash);
    }
    let text = fields.iter().position(|f| f.place == Place::Text);
    if text.is_some() && fields.iter().any(|f| f.place == Place::Element) {
        loader.fault(file, *name, FaultKind::MixedContent);
    }
    let form = form_of(loader, file, name, kind, &fields);
    let choices = choices(loader, file, name, entry, &fields);
    let named = |place: Place| -> Vec<(&str, usize)> {
        fields
            .iter()
            .enumerate()
            .filter(|(_, f)| f.place == place)
            .map(|(i, f)| (f.name, i))
            .collect()
    };
    let attributes = NameTable::new(&named(Place::Attribute));
    let elements = NameTable::new(&named(Place::Element));
    let json: Vec<(&str, usize)> = fields.iter().enumerate().map(|(i, f)| (&*f.json, i)).collect();
    let json = NameTable::new(&json);
    let extends = entry.extends.and_then(|b| match loader.value(b.0) {
        Some(Value::Type(base)) => Some(base),
        _ => None,
    });
    TypeDef {
        id,
        name,
        area: area_of(file),
        kind,
        form,
        extends,
        roots: roots(entry, id).map(|r| r.name).collect(),
        link_types: entry.link_types.iter().map(|t| t.0).collect(),
        choices,
        about: entry.about.map(|t| t.0),
        list_mask: mask(&fields, Field::is_list),
        required_mask: mask(&fields, |f| f.required),
        has_uid,
        text: text.and_then(|t| u8::try_from(t).ok()),
        attributes,
        elements,
        json,
        fields: fields.into(),
    }
}

/// Where an attribute and a child share a name, the child has it and the attribute gets a suffix.
fn separate(fields: &mut [Field]) {
    let children: Vec<Box<str>> = fields
        .iter()
        .filter(|f| f.place == Place::Element)
        .map(|f| f.json.clone())
        .collect();
    for field in fields
        .iter_mut()
        .filter(|f| f.place == Place::Attribute && children.contains(&f.json))
    {
        let json = format!("{}Attribute", field.json);
        let key = format!(",\"{json}\":");
        field.opening = Key::new(opening(&key, field.shape, field.value, field.role));
        field.key = Key::new(key);
        field.json = json.into();
    }
}

fn mask(fields: &[Field], holds: impl Fn(&Field) -> bool) -> u64 {
    fields
        .iter()
        .enumerate()
        .filter(|(_, f)| holds(f))
        .fold(0, |m, (i, _)| m | 1 << i)
}

fn form_of(loader: &mut Loader, file: &'static str, name: &str, kind: Kind, fields: &[Field]) -> Form {
    match (kind, name) {
        (Kind::List, _) => {
            if fields.iter().filter(|f| f.shape == Shape::Repeated).count() != 1 {
                loader.fault(file, name, FaultKind::NotAList);
            }
            Form::List
        }
        (Kind::Query, "QueryResultType") => Form::QueryResult,
        (Kind::Query, "PagingInfoType") => Form::Page,
        (Kind::Query, _) => Form::QueryPart,
        _ => Form::Object,
    }
}

fn choices(
    loader: &mut Loader,
    file: &'static str,
    name: &str,
    entry: &RawType,
    fields: &[Field],
) -> Box<[Box<[u8]>]> {
    let mut all = Vec::new();
    for group in &entry.choice {
        let mut indexes = Vec::new();
        for Text(wanted) in group {
            match fields
                .iter()
                .position(|f| f.name == *wanted)
                .and_then(|i| u8::try_from(i).ok())
            {
                Some(index) => indexes.push(index),
                None => loader.fault(file, name, FaultKind::UnknownField((*wanted).to_owned())),
            }
        }
        all.push(indexes.into());
    }
    all.into()
}

/// The key of a field with what always follows it: `"` of a text, `[` of a list.
fn opening(key: &str, shape: Shape, value: Value, role: Role) -> String {
    match (shape, value, role) {
        (Shape::Wrapped | Shape::Repeated, ..) => format!("{key}["),
        (Shape::One, Value::Scalar(s), Role::Plain) if s.is_text() => format!("{key}\""),
        _ => key.to_owned(),
    }
}

/// A field line that is resolved.
fn resolved(read: line::FieldLine, value: Value, json: String) -> Field {
    let role = match (read.place, read.name, value) {
        (Place::Attribute, "UID", _) => Role::Uid,
        (Place::Attribute, "Rel", _) => Role::Relation,
        (_, _, Value::Scalar(Scalar::Url)) => Role::Url,
        _ => Role::Plain,
    };
    let key = format!(",{}:", serde_json::Value::String(json.clone()));
    let opening = opening(&key, read.shape, value, role);
    Field {
        name: read.name,
        json: json.into(),
        key: Key::new(key),
        opening: Key::new(opening),
        lead: Lead::new(read.name),
        print: Print::of(read.name.as_bytes()),
        place: read.place,
        shape: read.shape,
        value,
        role,
        items: read.items.into(),
        required: read.required,
        writable: read.writable,
        nillable: read.nillable,
        doubtful: read.doubtful,
        hint: read.hint,
        from: None,
        about: read.about,
    }
}

/// The JSON name of a field: `value` for character data.
fn json_name(name: &str, place: Place) -> String {
    if place == Place::Text {
        "value".to_owned()
    } else {
        crate::text::lower_camel(name)
    }
}

/// Documents of a type, guessed ones last.
fn roots(raw: &RawType, ty: TypeId) -> impl Iterator<Item = Root> {
    let shown = raw.root.iter().map(move |name| Root {
        name: name.0,
        ty,
        guessed: false,
    });
    shown.chain(raw.root_guess.map(move |name| Root {
        name: name.0,
        ty,
        guessed: true,
    }))
}
