//! One document against the catalogue: which types and fields are there, and in what it differs.
//!
//! A second look beside the transcoder's, which keeps what it does not know and tells no more than that: order, cardinality,
//! links and forms of values are looked at here. Names are compared as the transcoder compares them, prefixes aside.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::{BytesStart, Event};

use super::form;
use super::sums::{Finding, Kind, Sums};
use crate::catalogue::{
    Catalogue, Field, Form, Kind as TypeKind, NAMESPACE, Place, Role, Scalar, Shape, TypeDef, TypeId, Value,
    catalogue,
};
use crate::transcode;
use crate::upstream::below_api;

/// Encodings that are declared though the document is in UTF-8, without a meaning.
const USUAL_ENCODINGS: [&str; 6] = ["utf-8", "utf8", "utf-16", "utf-16le", "utf-16be", "us-ascii"];
/// Other names of encodings that are told; what else is declared could be anything.
const OTHER_ENCODINGS: [&str; 6] = [
    "iso-8859-1",
    "iso-8859-15",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "utf-32",
];

/// What a document shows.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub sums: Sums,
    /// Paths below `/api/` that its links lead to, without query.
    pub paths: Vec<String>,
    /// Which page it is, and of how many.
    pub page: Option<(u64, u64)>,
}

/// Looks at a document. What is not well-formed is seen as far as it can be; that it is not is the transcoder's to tell.
pub(super) fn document(xml: &[u8]) -> Observed {
    let mut look = Look {
        catalogue: catalogue(),
        observed: Observed::default(),
        seen: BTreeMap::new(),
        open: Vec::new(),
        page: (None, None),
    };
    if let Ok(text) = transcode::text_of(xml) {
        look.read(&text);
    }
    look.finish()
}

/// What an open element is.
#[derive(Clone, Copy)]
enum What {
    Object(TypeId),
    /// A wrapper of that field.
    Items(TypeId, &'static Field),
    Scalar(TypeId, &'static Field),
    Unknown,
}

struct Open {
    what: What,
    /// Bit per field of an object that was seen.
    fields: u64,
    /// The furthest field of an object so far.
    furthest: usize,
    nil: bool,
    text: String,
}

struct Look {
    catalogue: &'static Catalogue,
    observed: Observed,
    /// Per type how often it was seen, and each of its fields.
    seen: BTreeMap<usize, (TypeId, u64, Vec<u64>)>,
    open: Vec<Open>,
    page: (Option<u64>, Option<u64>),
}

/// The part of a name behind its prefix.
fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// What belongs to XML and its schemas, and not to a type.
fn is_machinery(name: &str) -> bool {
    match name.split_once(':') {
        None => name == "xmlns",
        Some(("xmlns" | "xml" | "xsi", _)) => true,
        Some((_, local)) => matches!(
            local,
            "nil" | "type" | "schemaLocation" | "noNamespaceSchemaLocation"
        ),
    }
}

impl Look {
    fn read(&mut self, text: &str) {
        let mut reader = Reader::from_str(text);
        loop {
            match reader.read_event() {
                Ok(Event::Decl(declaration)) => {
                    if let Some(Ok(encoding)) = declaration.encoding() {
                        self.encoding(&encoding);
                    }
                }
                Ok(Event::Start(tag)) => self.start(&tag),
                Ok(Event::Empty(tag)) => {
                    self.start(&tag);
                    self.end();
                }
                Ok(Event::End(_)) => self.end(),
                Ok(Event::Text(text)) => self.text(&text.xml10_content()),
                Ok(Event::CData(text)) => self.text(&text.xml10_content()),
                Ok(Event::GeneralRef(reference)) => match reference.resolve_char_ref() {
                    Ok(Some(c)) => self.text(c.encode_utf8(&mut [0; 4])),
                    Ok(None) | Err(_) => self.text(resolve_xml_entity(&reference).unwrap_or("&")),
                },
                Ok(Event::Comment(_) | Event::PI(_)) => {}
                Ok(Event::DocType(_) | Event::Eof) | Err(_) => return,
            }
        }
    }

    fn find(&mut self, kind: Kind, ty: &str, field: &str, detail: String) {
        let finding = Finding {
            kind,
            ty: ty.to_owned(),
            field: field.to_owned(),
            detail,
        };
        self.observed.sums.find(finding, 1);
    }

    fn encoding(&mut self, declared: &str) {
        let is = |known: &str| known.eq_ignore_ascii_case(declared);
        if USUAL_ENCODINGS.iter().any(|known| is(known)) {
            return;
        }
        let known = OTHER_ENCODINGS.iter().find(|known| is(known));
        let detail = known.map_or_else(|| form::of_value(declared), |known| (*known).to_owned());
        self.find(Kind::OtherEncoding, "", "", detail);
    }

    fn text(&mut self, text: &str) {
        if let Some(open) = self.open.last_mut() {
            open.text.push_str(text);
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) {
        let name = tag.name();
        let name: &str = name.as_ref();
        let what = match self.open.last().map(|open| open.what) {
            None => self.root(tag, local(name)),
            Some(What::Object(ty)) => self.child(ty, local(name)),
            Some(What::Items(ty, field)) => self.item(ty, field, local(name)),
            Some(What::Scalar(ty, field)) => {
                let detail = format!("within {}", field.name);
                let ty = self.catalogue.ty(ty).name;
                self.find(Kind::UnknownElement, ty, &form::of_name(local(name)), detail);
                What::Unknown
            }
            Some(What::Unknown) => What::Unknown,
        };
        self.open.push(Open {
            what,
            fields: 0,
            furthest: 0,
            nil: false,
            text: String::new(),
        });
        if let What::Object(ty) = what {
            let fields = self.catalogue.ty(ty).fields.len();
            let (_, count, _) = self
                .seen
                .entry(ty.index())
                .or_insert_with(|| (ty, 0, vec![0; fields]));
            *count += 1;
        }
        self.attributes(tag, what);
    }

    fn root(&mut self, tag: &BytesStart<'_>, name: &str) -> What {
        let root = self.catalogue.root(name);
        let ty = root.map_or_else(
            || form::of_name(name),
            |root| self.catalogue.ty(root.ty).name.to_owned(),
        );
        let qualified = tag.name();
        let qualified: &str = qualified.as_ref();
        let declaration = qualified
            .split_once(':')
            .map_or_else(|| "xmlns".to_owned(), |(prefix, _)| format!("xmlns:{prefix}"));
        let namespace = tag
            .attributes()
            .flatten()
            .find(|attribute| AsRef::<str>::as_ref(&attribute.key) == declaration);
        match namespace.map(|namespace| namespace.value.into_owned()) {
            Some(namespace) if namespace == NAMESPACE => {}
            Some(other) => self.find(Kind::OtherNamespace, &ty, "", form::of_value(&other)),
            None => self.find(Kind::OtherNamespace, &ty, "", "none".to_owned()),
        }
        match root {
            Some(root) => What::Object(root.ty),
            None => {
                self.find(Kind::UnknownDocument, &ty, "", String::new());
                What::Unknown
            }
        }
    }

    fn child(&mut self, id: TypeId, name: &str) -> What {
        let ty = self.catalogue.ty(id);
        let Some((index, field)) = ty.element(name.as_bytes()) else {
            return self.other_child(id, ty, name);
        };
        self.saw(id, index);
        let bit = 1 << index;
        let (mut again, mut before) = (false, None);
        if let Some(open) = self.open.last_mut() {
            again = open.fields & bit != 0 && field.shape != Shape::Repeated;
            open.fields |= bit;
            if index < open.furthest {
                before = ty.fields.get(open.furthest);
            }
            open.furthest = open.furthest.max(index);
        }
        if again {
            self.find(Kind::Repeated, ty.name, field.name, String::new());
        }
        if let Some(before) = before.filter(|_| !again) {
            let detail = format!("behind {}", before.name);
            self.find(Kind::WrongOrder, ty.name, field.name, detail);
        }
        match field.shape {
            Shape::Wrapped => What::Items(id, field),
            Shape::One | Shape::Repeated => value_of(id, field),
        }
    }

    /// A child that its type does not have by that name.
    fn other_child(&mut self, id: TypeId, ty: &'static TypeDef, name: &str) -> What {
        // Every list of EM's may say which page it is.
        if name == "PagingInfo"
            && matches!(ty.form, Form::List | Form::QueryResult | Form::QueryPart)
            && let Some(page) = self.catalogue.type_named("PagingInfoType")
        {
            return What::Object(page);
        }
        self.find(Kind::UnknownElement, ty.name, &form::of_name(name), String::new());
        let listed = ty.fields.iter().find(|field| field.is_list());
        match listed.filter(|_| ty.form == Form::List) {
            Some(field) => value_of(id, field),
            None => What::Unknown,
        }
    }

    fn item(&mut self, id: TypeId, field: &'static Field, name: &str) -> What {
        if !field.items.contains(&name) && field.name != name {
            let (ty, detail) = (self.catalogue.ty(id).name, format!("within {}", field.name));
            self.find(Kind::UnknownElement, ty, &form::of_name(name), detail);
        }
        value_of(id, field)
    }

    fn saw(&mut self, ty: TypeId, index: usize) {
        let field = self
            .seen
            .get_mut(&ty.index())
            .and_then(|(_, _, fields)| fields.get_mut(index));
        if let Some(count) = field {
            *count += 1;
        }
    }

    fn attributes(&mut self, tag: &BytesStart<'_>, what: What) {
        for attribute in tag.attributes().flatten() {
            let name: &str = attribute.key.as_ref();
            if is_machinery(name) {
                let yes = matches!(attribute.value.trim(), "true" | "1");
                if let Some(open) = self.open.last_mut().filter(|_| name.ends_with(":nil") && yes) {
                    open.nil = true;
                }
                continue;
            }
            let name = local(name);
            match what {
                What::Object(id) => {
                    let ty = self.catalogue.ty(id);
                    let Some((index, field)) = ty.attribute(name.as_bytes()) else {
                        self.find(
                            Kind::UnknownAttribute,
                            ty.name,
                            &form::of_name(name),
                            String::new(),
                        );
                        continue;
                    };
                    if let Some(open) = self.open.last_mut() {
                        open.fields |= 1 << index;
                    }
                    self.saw(id, index);
                    match unescape(&attribute.value) {
                        Ok(value) => self.attribute(ty, field, &value),
                        // The transcoder refuses it, and says so.
                        Err(_) => return,
                    }
                }
                What::Items(id, field) | What::Scalar(id, field) => {
                    let (ty, detail) = (self.catalogue.ty(id).name, format!("on {}", field.name));
                    self.find(Kind::UnknownAttribute, ty, &form::of_name(name), detail);
                }
                What::Unknown => {}
            }
        }
    }

    fn attribute(&mut self, ty: &'static TypeDef, field: &'static Field, value: &str) {
        match field.role {
            Role::Relation => {
                let relations = self.catalogue.link_relations();
                if !relations.iter().any(|(known, _)| *known == value) {
                    self.find(
                        Kind::UnknownLinkRelation,
                        ty.name,
                        field.name,
                        form::of_value(value),
                    );
                }
            }
            Role::Url if field.name == "Href" => self.address(ty, value),
            Role::Plain if field.name == "Type" && !is_type(self.catalogue, value) => {
                self.find(Kind::UnknownType, ty.name, field.name, form::of_value(value));
            }
            Role::Plain | Role::Uid | Role::Url => self.value(ty, field, value),
        }
        if ty.form == Form::Page {
            let number = value.trim().parse().ok();
            match field.name {
                "PageNum" => self.page.0 = number,
                "PagesCount" => self.page.1 = number,
                _ => {}
            }
        }
    }

    fn address(&mut self, ty: &'static TypeDef, value: &str) {
        let below = below_api(value);
        let path = below
            .as_deref()
            .map_or("", |path| path.split(['?', '#']).next().unwrap_or(""));
        let root = value.trim_end_matches('/').ends_with("/api");
        if root || value.trim().is_empty() {
            return;
        }
        if self.catalogue.resource(path).is_some() {
            self.observed.paths.push(path.to_owned());
            return;
        }
        let detail = match known_part(self.catalogue, path) {
            Some(known) => format!("below {known}"),
            None => "below no resource".to_owned(),
        };
        self.find(Kind::UnknownAddress, ty.name, "Href", detail);
    }

    /// A value against its scalar or enumeration. Empty is "none" whatever the type.
    fn value(&mut self, ty: &'static TypeDef, field: &'static Field, text: &str) {
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        if text.is_empty() {
            return;
        }
        match field.value {
            Value::Scalar(scalar) if !fits(scalar, text) => {
                let detail = format!("{}: {}", scalar.name(), form::of_value(text));
                self.find(Kind::ValueDoesNotFit, ty.name, field.name, detail);
            }
            Value::Enum(id) if !self.catalogue.enumeration(id).knows(text.as_bytes()) => {
                let detail = format!(
                    "{}: {}",
                    self.catalogue.enumeration(id).name,
                    form::of_value(text)
                );
                self.find(Kind::UnknownEnumValue, ty.name, field.name, detail);
            }
            Value::Scalar(_) | Value::Enum(_) | Value::Type(_) => {}
        }
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        match open.what {
            What::Scalar(id, field) => self.value(self.catalogue.ty(id), field, &open.text),
            What::Items(id, field) => {
                if !open.text.trim().is_empty() {
                    let detail = format!("within {}", field.name);
                    self.find(Kind::UnknownText, self.catalogue.ty(id).name, "", detail);
                }
            }
            What::Object(id) => self.end_of_object(id, &open),
            What::Unknown => {}
        }
    }

    fn end_of_object(&mut self, id: TypeId, open: &Open) {
        let ty = self.catalogue.ty(id);
        match ty.text.and_then(|index| ty.fields.get(usize::from(index))) {
            Some(field) => self.value(ty, field, &open.text),
            None if !open.text.trim().is_empty() => {
                self.find(Kind::UnknownText, ty.name, "", form::of_value(open.text.trim()));
            }
            None => {}
        }
        if open.nil || ty.kind == TypeKind::Spec {
            return;
        }
        for (index, field) in ty.fields.iter().enumerate() {
            if field.required && field.place != Place::Text && open.fields & (1 << index) == 0 {
                self.find(Kind::Missing, ty.name, field.name, String::new());
            }
        }
    }

    fn finish(mut self) -> Observed {
        for (id, count, fields) in self.seen.into_values() {
            let ty = self.catalogue.ty(id);
            let sums = self.observed.sums.types.entry(ty.name.to_owned()).or_default();
            sums.seen = count;
            for (field, count) in ty.fields.iter().zip(fields).filter(|(_, count)| *count > 0) {
                sums.fields.insert(field.name.to_owned(), count);
            }
        }
        self.observed.page = self.page.0.zip(self.page.1);
        self.observed
    }
}

fn value_of(owner: TypeId, field: &'static Field) -> What {
    match field.value {
        Value::Type(id) => What::Object(id),
        Value::Scalar(_) | Value::Enum(_) => What::Scalar(owner, field),
    }
}

/// As decoding reads it, and where it keeps a text as it is, by the form of such texts.
fn fits(scalar: Scalar, text: &str) -> bool {
    match scalar {
        Scalar::Uuid => uuid::Uuid::try_parse(text).is_ok(),
        Scalar::Urn => text.starts_with("urn:"),
        scalar => transcode::is_value(scalar, text),
    }
}

/// Whether a `Type` attribute names a type of the catalogue, or references to one.
fn is_type(catalogue: &Catalogue, value: &str) -> bool {
    let names = |wanted: &str| {
        catalogue
            .types()
            .any(|(_, ty)| ty.link_types.contains(&wanted) || ty.roots.contains(&wanted))
    };
    let list = value.strip_suffix("ReferenceList");
    names(value)
        || value.strip_suffix("Reference").is_some_and(names)
        || list.is_some_and(|item| names(&format!("{item}List")) || names(item))
}

/// The longest beginning of a path that is a resource, in the catalogue's own words.
fn known_part(catalogue: &'static Catalogue, path: &str) -> Option<&'static str> {
    let mut rest = path;
    while let Some((front, _)) = rest.rsplit_once('/') {
        if let Some(found) = catalogue.resource(front) {
            return Some(found.resource.path);
        }
        rest = front;
    }
    None
}
