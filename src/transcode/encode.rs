//! JSON → XML: schema order, attributes as attributes, everything checked before a byte is trusted to EM.
//!
//! Members may come in any order while EM insists on its own, so an object is held until it is complete. Every fault
//! is collected with its JSON pointer; the XML of a document with faults is thrown away.

use std::borrow::Cow;

use super::MIRROR;
use super::error::{EncodeError, FieldFault, FieldFaultKind};
use super::json::{self, Json};
use super::listing;
use super::scalar;
use super::xml::{self, Xml};
use crate::catalogue::{
    Catalogue, Field, Form, Kind, NAMESPACE, Place, Role, Root, Scalar, Shape, TypeDef, TypeId, Value,
};
use crate::text::{push_step, upper_first};

/// How much of the JSON becomes XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything: the XML decodes to the same JSON again.
    Document,
    /// The body of a request: without `links`, `href`, and what EM never lets one write.
    Request,
}

/// Faults reported at most.
const MAX_FAULTS: usize = 50;

/// One step of a JSON pointer.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

/// The encoder's state: where it writes, where it is, what was wrong so far.
pub(super) struct Encoder<'a> {
    pub catalogue: &'static Catalogue,
    pub xml: Xml,
    mode: Mode,
    /// Required fields are checked.
    strict: bool,
    pub path: Vec<Step<'a>>,
    faults: Vec<FieldFault>,
    /// What EM shows of the thing, where the root is only what it takes.
    shown: Option<&'static TypeDef>,
    /// The address of the mirror.
    pub mirror: &'a str,
}

/// Encodes a whole JSON text.
pub(super) fn document(
    catalogue: &'static Catalogue,
    bytes: &[u8],
    mirror: &str,
    root: Root,
    mode: Mode,
    indent: bool,
    shown: Option<TypeId>,
) -> Result<Vec<u8>, EncodeError> {
    let value = json::parse(bytes)?;
    let mut encoder = Encoder::new(catalogue, root, mode, indent);
    encoder.shown = shown.map(|id| catalogue.ty(id));
    encoder.mirror = mirror;
    encoder.root(root, &value);
    encoder.finish()
}

impl<'a> Encoder<'a> {
    pub(super) fn new(catalogue: &'static Catalogue, root: Root, mode: Mode, indent: bool) -> Self {
        // What EM answers leaves out fields that it wants in requests.
        let strict = mode == Mode::Request || matches!(catalogue.ty(root.ty).kind, Kind::Spec | Kind::Info);
        Self {
            catalogue,
            xml: Xml::new(indent),
            mode,
            strict,
            path: Vec::new(),
            faults: Vec::new(),
            shown: None,
            mirror: MIRROR,
        }
    }

    /// Whether the document was read with this member, which EM does not take back.
    fn is_only_shown(&self, name: &str) -> bool {
        self.path.is_empty()
            && self
                .shown
                .is_some_and(|ty| ty.by_json(name).is_some() || (ty.has_uid && name == "id"))
    }

    fn root(&mut self, root: Root, value: &'a Json<'a>) {
        let ty = self.catalogue.ty(root.ty);
        self.xml.start(root.name);
        self.xml.attribute("xmlns", NAMESPACE);
        match ty.form {
            Form::List => listing::list(self, ty, value),
            Form::QueryResult => listing::query_result(self, ty, value),
            Form::Object | Form::Page | Form::QueryPart => self.object(ty, value),
        }
        self.xml.end(root.name);
    }

    /// The document, or everything that was wrong with it.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, EncodeError> {
        self.check()?;
        Ok(self.xml.out)
    }

    pub(super) fn check(&mut self) -> Result<(), EncodeError> {
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(EncodeError::Invalid(std::mem::take(&mut self.faults)))
        }
    }

    /// Records a fault at the present place.
    pub(super) fn fault(&mut self, what: FieldFaultKind) {
        if self.faults.len() >= MAX_FAULTS {
            return;
        }
        let mut pointer = String::new();
        for step in &self.path {
            match step {
                Step::Member(name) => push_step(&mut pointer, name),
                Step::Item(index) => push_step(&mut pointer, &index.to_string()),
            }
        }
        self.faults.push(FieldFault { pointer, what });
    }

    pub(super) fn fault_at(&mut self, member: &'a str, what: FieldFaultKind) {
        self.path.push(Step::Member(member));
        self.fault(what);
        self.path.pop();
    }

    /// Whether a request leaves this field out: what EM only ever returns. A real `Id` stays, and so does what EM
    /// wants to see though it may not change.
    fn dropped(&self, field: &Field) -> bool {
        self.mode == Mode::Request
            && (field.name == "Links"
                || field.name == "Href"
                || (field.writable == Some(false) && !field.required && field.name != "Id"))
    }

    /// Attributes and children of an element whose start tag is begun.
    pub(super) fn object(&mut self, ty: &'static TypeDef, value: &'a Json<'a>) {
        let Json::Object(members) = value else {
            return self.fault(FieldFaultKind::Type("an object"));
        };
        let mut given: [Option<&'a Json<'a>>; 64] = [None; 64];
        for (name, value) in members {
            match ty.by_json(name) {
                Some((index, _)) => {
                    if let Some(slot) = given.get_mut(index) {
                        *slot = Some(value);
                    }
                }
                // Made from `uid`, and made again when the document is read.
                None if ty.has_uid && name == "id" => {}
                None if self.is_only_shown(name) => {}
                None => self.fault_at(name, FieldFaultKind::Unknown(ty.name)),
            }
        }
        self.choices(ty, &mut given);
        for (field, value) in ty.fields.iter().zip(given) {
            if self.dropped(field) {
                continue;
            }
            match value {
                Some(Json::Null) if self.mode == Mode::Request && field.must_be_given() => {
                    self.fault_at(&field.json, FieldFaultKind::Missing);
                }
                Some(value) => {
                    self.path.push(Step::Member(&field.json));
                    self.field(ty, field, value);
                    self.path.pop();
                }
                None if field.required && self.strict => {
                    self.fault_at(&field.json, FieldFaultKind::Missing);
                }
                None => {}
            }
        }
    }

    /// Of a choice at most one is given; a null beside another is none.
    fn choices(&mut self, ty: &'static TypeDef, given: &mut [Option<&'a Json<'a>>; 64]) {
        for group in &ty.choices {
            let is_given = |i: &usize| given.get(*i).is_some_and(|v| v.is_some_and(|v| *v != Json::Null));
            let set: Vec<usize> = group.iter().map(|i| usize::from(*i)).filter(is_given).collect();
            let [first, others @ ..] = set.as_slice() else {
                continue;
            };
            for other in group.iter().map(|i| usize::from(*i)).filter(|i| !set.contains(i)) {
                if let Some(slot) = given.get_mut(other) {
                    *slot = None;
                }
            }
            for other in others {
                if let (Some(first), Some(other)) = (ty.fields.get(*first), ty.fields.get(*other)) {
                    self.fault_at(&other.json, FieldFaultKind::Choice(first.json.to_string()));
                }
            }
        }
    }

    fn field(&mut self, ty: &'static TypeDef, field: &'static Field, value: &'a Json<'a>) {
        match (field.place, field.shape) {
            (Place::Attribute, _) => {
                if let Some(text) = self.attribute_text(field, value) {
                    self.xml.attribute(field.name, &text);
                }
            }
            (Place::Text, _) => {
                if let Some(text) = self.text(field, value) {
                    self.xml.text(&text);
                }
            }
            (Place::Element, Shape::One) => self.element(field.name, field, value),
            (Place::Element, Shape::Repeated) => {
                self.each(value, |e, item| e.item(field.name, field, item));
            }
            (Place::Element, Shape::Wrapped) => self.wrapped(ty, field, value),
        }
    }

    fn wrapped(&mut self, ty: &'static TypeDef, field: &'static Field, value: &'a Json<'a>) {
        let empty = matches!(value, Json::Null) || matches!(value, Json::Array(items) if items.is_empty());
        if empty && self.mode == Mode::Request {
            // Read from EM, an empty list may as well have been absent; only where a request may empty it, and
            // where it stands for nothing else, does it say so.
            let index = ty.fields.iter().position(|f| std::ptr::eq(f, field));
            let in_choice = |i: usize| ty.choices.iter().flatten().any(|c| usize::from(*c) == i);
            let meant = field.required || field.writable == Some(true);
            if !meant || index.is_some_and(in_choice) {
                return;
            }
        }
        let item = field.items.first().copied().unwrap_or(field.name);
        self.xml.start(field.name);
        self.each(value, |e, value| e.item(item, field, value));
        self.xml.end(field.name);
    }

    /// One element of a list. A word of a list is there or not, so that null is none.
    fn item(&mut self, name: &'static str, field: &'static Field, value: &'a Json<'a>) {
        let word = matches!(field.value, Value::Enum(_));
        if word && self.mode == Mode::Request && *value == Json::Null {
            return self.fault(FieldFaultKind::Type("a string"));
        }
        self.element(name, field, value);
    }

    pub(super) fn each(&mut self, value: &'a Json<'a>, mut one: impl FnMut(&mut Self, &'a Json<'a>)) {
        match value {
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Step::Item(index));
                    one(self, item);
                    self.path.pop();
                }
            }
            Json::Null => {}
            _ => self.fault(FieldFaultKind::Type("an array")),
        }
    }

    /// One element with its content.
    pub(super) fn element(&mut self, name: &'static str, field: &'static Field, value: &'a Json<'a>) {
        self.xml.start(name);
        match field.value {
            Value::Type(id) if *value == Json::Null => {
                // An empty element is what a request says; a document must come back as null.
                if self.mode == Mode::Document && self.catalogue.ty(id).form != Form::Page {
                    self.xml.nil();
                }
            }
            Value::Type(id) => {
                let ty = self.catalogue.ty(id);
                if ty.form == Form::Page {
                    listing::page(self, value);
                } else {
                    self.object(ty, value);
                }
            }
            Value::Scalar(s) if *value == Json::Null && s.is_text() => self.xml.nil(),
            Value::Scalar(_) | Value::Enum(_) => {
                if let Some(text) = self.text(field, value) {
                    self.xml.text(&text);
                }
            }
        }
        self.xml.end(name);
    }

    /// The text of an attribute; none where nothing is to be written.
    fn attribute_text(&mut self, field: &'static Field, value: &'a Json<'a>) -> Option<Cow<'a, str>> {
        match (value, field.value) {
            (Json::Null, Value::Scalar(s)) if s.is_text() => None,
            _ => self.text(field, value),
        }
    }

    /// The text of a scalar; empty for null, but EM's "never" for a time.
    fn text(&mut self, field: &'static Field, value: &'a Json<'a>) -> Option<Cow<'a, str>> {
        let scalar = match field.value {
            Value::Scalar(s) => s,
            Value::Enum(_) if *value == Json::Null => return Some(Cow::Borrowed("")),
            Value::Enum(id) => {
                let Json::String(text) = value else {
                    return self.refuse(FieldFaultKind::Type("a string"));
                };
                let known = self.catalogue.enumeration(id);
                return if let Some(value) = known.find(text) {
                    Some(Cow::Borrowed(value))
                } else {
                    let all = known.values.iter().chain(&*known.observed).copied().collect();
                    self.refuse(FieldFaultKind::Enum(all))
                };
            }
            Value::Type(_) => return self.refuse(FieldFaultKind::Type("an object")),
        };
        match (scalar, value) {
            (Scalar::DateTime, Json::Null) => Some(Cow::Borrowed("1753-01-01T00:00:00Z")),
            (_, Json::Null) => Some(Cow::Borrowed("")),
            (Scalar::Boolean, Json::Bool(value)) => {
                Some(Cow::Borrowed(if *value { "true" } else { "false" }))
            }
            (Scalar::Boolean, _) => self.refuse(FieldFaultKind::Type("true or false")),
            (Scalar::Int | Scalar::Long, Json::Number(text)) => match integer(text) {
                Some(text) => Some(text),
                None => self.refuse(FieldFaultKind::Type("a whole number of at most 64 bits")),
            },
            (Scalar::Int | Scalar::Long, _) => self.refuse(FieldFaultKind::Type("a whole number")),
            (Scalar::Decimal, Json::Number(text)) => Some(Cow::Borrowed(text)),
            (Scalar::Decimal, _) => self.refuse(FieldFaultKind::Type("a number")),
            (Scalar::DateTime, Json::String(text)) => match date_time(text) {
                Some(text) => Some(Cow::Owned(text)),
                None => self.refuse(FieldFaultKind::Type("a date-time such as 2026-01-31T12:00:00Z")),
            },
            (_, Json::String(text)) if !xml::fits(text) => self.refuse(FieldFaultKind::Character),
            (_, Json::String(text)) => Some(match field.role {
                Role::Plain | Role::Uid => Cow::Borrowed(&**text),
                Role::Url => em_url(self.mirror, text),
                Role::Relation => {
                    let known = self.catalogue.relation(text);
                    known.map_or_else(|| Cow::Owned(upper_first(text)), Cow::Borrowed)
                }
            }),
            _ => self.refuse(FieldFaultKind::Type("a string")),
        }
    }

    fn refuse(&mut self, what: FieldFaultKind) -> Option<Cow<'a, str>> {
        self.fault(what);
        None
    }
}

/// A JSON number as XML's integer; `6.0` is one.
pub(super) fn integer(text: &str) -> Option<Cow<'_, str>> {
    // So many digits always fit.
    let is_plain = text.len() <= 18 && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if is_plain {
        return Some(Cow::Borrowed(text));
    }
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    let mut out = Vec::new();
    if !scalar::write_integer(whole, &mut out) {
        return None;
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// A date-time in UTC as XML text.
fn date_time(text: &str) -> Option<String> {
    match scalar::date_time(text)? {
        scalar::DateTime::Never => Some("1753-01-01T00:00:00Z".to_owned()),
        at @ scalar::DateTime::At { .. } => {
            let mut out = Vec::with_capacity(32);
            scalar::write_date_time(at, &mut out);
            out.retain(|byte| *byte != b'"');
            String::from_utf8(out).ok()
        }
    }
}

/// The gateway's URL as a path of EM's: `/api/v1/em/jobs` → `/api/jobs`, absolute or not; others stay.
pub(super) fn em_url<'u>(mirror: &str, url: &'u str) -> Cow<'u, str> {
    match url.strip_prefix(mirror).or_else(|| url.strip_prefix(MIRROR)) {
        Some(rest) if rest.is_empty() || rest.starts_with(['/', '?', '#']) => {
            Cow::Owned(["/api", rest].concat())
        }
        _ => Cow::Borrowed(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const BELOW: &str = "https://dr.example/emgate/api/v1/em";

    #[rstest]
    #[case("https://dr.example/emgate/api/v1/em/jobs?x", "/api/jobs?x")]
    #[case("https://dr.example/emgate/api/v1/em", "/api")]
    #[case("/api/v1/em/jobs", "/api/jobs")]
    #[case("https://dr.example/api/v1/em/jobs", "https://dr.example/api/v1/em/jobs")]
    #[case("/api/v1/embed", "/api/v1/embed")]
    fn an_address_of_the_mirror_becomes_that_of_enterprise_manager(#[case] ours: &str, #[case] em: &str) {
        assert_eq!(em_url(BELOW, ours), em);
    }
}
