//! JSON → XML: schema order, attributes as attributes, everything checked before a byte is trusted to EM.
//!
//! Members may come in any order while EM insists on its own: each is written as it is read, and where the order was
//! another the parts of the element are put in EM's at its end. Every fault is collected with its JSON pointer; the XML of
//! a document with faults is thrown away.

use super::MIRROR;
use super::content::Content;
use super::error::{EncodeError, FieldFault, FieldFaultKind};
use super::json::{BOM, Names, NotJson, Reader, Token};
use super::listing;
use super::xml::{At, Xml};
use crate::catalogue::{Catalogue, Field, Form, Kind, NAMESPACE, Place, Root, Shape, TypeDef, TypeId, Value};
use crate::text::push_step;

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

/// What is read cannot go on where the text is no JSON; values that do not fit are recorded.
pub(super) type Read = Result<(), NotJson>;

/// One step of a JSON pointer.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Member(&'static str),
    Item(usize),
}

/// What a member became; it ends where the next one begins.
#[derive(Clone, Copy)]
struct Part {
    /// Index of the field.
    field: usize,
    start: usize,
}

/// The encoder's state: what it reads, where it writes, where it is, what was wrong so far.
pub(super) struct Encoder<'a> {
    pub content: Content<'a>,
    pub json: Reader<'a>,
    pub xml: Xml,
    mode: Mode,
    /// Required fields are checked.
    strict: bool,
    pub path: Vec<Step>,
    /// Of the elements that are begun, the innermost last.
    parts: Vec<Part>,
    faults: Vec<FieldFault>,
    /// What EM shows of the thing, where the root is only what it takes.
    shown: Option<&'static TypeDef>,
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
    let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let xml = Xml::new(indent, bytes.len() + bytes.len() / 4 + 128);
    let mut encoder = Encoder::new(catalogue, root, mode, Reader::new(bytes)?, xml);
    encoder.shown = shown.map(|id| catalogue.ty(id));
    encoder.content.mirror = mirror;
    let read = encoder.root(root);
    encoder.finish(read)?;
    Ok(encoder.xml.out)
}

impl<'a> Encoder<'a> {
    pub(super) fn new(
        catalogue: &'static Catalogue,
        root: Root,
        mode: Mode,
        json: Reader<'a>,
        xml: Xml,
    ) -> Self {
        // What EM answers leaves out fields that it wants in requests.
        let strict = mode == Mode::Request || matches!(catalogue.ty(root.ty).kind, Kind::Spec | Kind::Info);
        Self {
            content: Content {
                catalogue,
                mirror: MIRROR,
            },
            json,
            xml,
            mode,
            strict,
            path: Vec::new(),
            parts: Vec::new(),
            faults: Vec::new(),
            shown: None,
        }
    }

    /// Whether the document was read with this member, which EM does not take back.
    fn is_only_shown(&self, name: &str) -> bool {
        self.path.is_empty()
            && self
                .shown
                .is_some_and(|ty| ty.by_json(name).is_some() || (ty.has_uid && name == "id"))
    }

    fn root(&mut self, root: Root) -> Read {
        let ty = self.content.catalogue.ty(root.ty);
        self.xml.start(root.name);
        self.xml.attribute("xmlns", NAMESPACE);
        let token = self.json.token()?;
        match ty.form {
            Form::List | Form::QueryResult => listing::document(self, ty, token)?,
            Form::Object | Form::Page | Form::QueryPart => self.object(ty, token)?,
        }
        self.xml.end(root.name);
        Ok(())
    }

    /// After the value: whether the text was JSON to its end, and all that was wrong with it.
    pub(super) fn finish(&mut self, read: Read) -> Result<(), EncodeError> {
        let read = read.and_then(|()| self.json.end());
        read.map_err(|NotJson| self.json.refusal())?;
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(EncodeError::Invalid(std::mem::take(&mut self.faults)))
        }
    }

    /// Records a fault at the present place.
    pub(super) fn fault(&mut self, what: FieldFaultKind) {
        self.fault_below(None, what);
    }

    pub(super) fn fault_at(&mut self, member: &str, what: FieldFaultKind) {
        self.fault_below(Some(member), what);
    }

    fn fault_below(&mut self, member: Option<&str>, what: FieldFaultKind) {
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
        if let Some(member) = member {
            push_step(&mut pointer, member);
        }
        self.faults.push(FieldFault { pointer, what });
    }

    /// Records a fault of a value, which is read over.
    pub(super) fn refuse(&mut self, token: Token<'a>, what: FieldFaultKind) -> Read {
        self.fault(what);
        self.json.rest(token).map(drop)
    }

    fn scalar(&mut self, at: At, field: &'static Field, token: Token<'a>) -> Read {
        match self.content.scalar(&mut self.xml, at, field, token) {
            Ok(()) => Ok(()),
            Err(fault) => self.refuse(token, fault),
        }
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
    pub(super) fn object(&mut self, ty: &'static TypeDef, token: Token<'a>) -> Read {
        if token != Token::Object {
            return self.refuse(token, FieldFaultKind::Type("an object"));
        }
        let base = self.parts.len();
        // Bit per field: those that are there, and those that are not null.
        let (mut given, mut valued) = (0, 0);
        let mut others = Names::default();
        let mut first = true;
        while let Some(name) = self.json.member(first)? {
            first = false;
            let name = name.get();
            if let Some((field, def)) = ty.by_json(&name) {
                if given & bit(field) != 0 {
                    return self.json.error("a member twice");
                }
                given |= bit(field);
                let token = self.json.token()?;
                if token != Token::Null {
                    valued |= bit(field);
                }
                if self.dropped(def) {
                    self.json.rest(token)?;
                    continue;
                }
                let start = self.xml.out.len();
                self.parts.push(Part { field, start });
                self.path.push(Step::Member(&def.json));
                self.field(ty, field, def, token)?;
                self.path.pop();
            } else {
                // An `id` is made from `uid`, and made again when the document is read.
                let is_known = (ty.has_uid && name == "id") || self.is_only_shown(&name);
                if !is_known {
                    self.fault_at(&name, FieldFaultKind::Unknown(ty.name));
                }
                if !others.insert(name) {
                    return self.json.error("a member twice");
                }
                let token = self.json.token()?;
                self.json.rest(token)?;
            }
        }
        let idle = self.choices(ty, valued);
        if self.strict {
            self.missing(ty, given & !idle, valued);
        }
        let parts = self.parts.get(base..).unwrap_or_default();
        if given & idle != 0 || !parts.is_sorted_by_key(|part| part.field) {
            self.reorder(ty, base, idle);
        }
        self.parts.truncate(base);
        Ok(())
    }

    /// What a request must have and `given` has not.
    fn missing(&mut self, ty: &'static TypeDef, given: u64, valued: u64) {
        for (index, field) in ty.fields.iter().enumerate() {
            let null_will_not_do = self.mode == Mode::Request && field.must_be_given();
            let there = if null_will_not_do { given & valued } else { given };
            if field.required && there & bit(index) == 0 && !self.dropped(field) {
                self.fault_at(&field.json, FieldFaultKind::Missing);
            }
        }
    }

    /// Of a choice at most one is given; a null beside another is none. The fields, a bit each, that are none.
    fn choices(&mut self, ty: &'static TypeDef, valued: u64) -> u64 {
        let mut idle = 0;
        for group in &ty.choices {
            let all = group.iter().map(|index| usize::from(*index));
            let mut set = all.clone().filter(|index| valued & bit(*index) != 0);
            let Some(first) = set.next() else { continue };
            for other in set {
                if let (Some(first), Some(other)) = (ty.fields.get(first), ty.fields.get(other)) {
                    self.fault_at(&other.json, FieldFaultKind::Choice(first.json.to_string()));
                }
            }
            idle = all.fold(idle, |idle, index| idle | bit(index) & !valued);
        }
        idle
    }

    /// Puts the parts of an element in EM's order, without those that are `idle`.
    fn reorder(&mut self, ty: &'static TypeDef, base: usize, idle: u64) {
        let parts = self.parts.get(base..).unwrap_or_default();
        let Some(begin) = parts.first().map(|part| part.start) else {
            return;
        };
        let starts = parts.iter().map(|part| part.start);
        let ends = starts.skip(1).chain([self.xml.out.len()]);
        let is_child = |field: usize| ty.fields.get(field).is_some_and(|f| f.place != Place::Attribute);
        let mut spans = Vec::with_capacity(parts.len());
        // The first child that was written closed the start tag.
        let mut closed = false;
        for (part, end) in parts.iter().zip(ends) {
            let mut start = part.start;
            if !closed && start < end && is_child(part.field) {
                closed = true;
                start += 1;
            }
            spans.push((part.field, start..end));
        }
        spans.retain(|(field, span)| idle & bit(*field) == 0 && !span.is_empty());
        spans.sort_unstable_by_key(|(field, _)| *field);
        let mut sorted = Vec::with_capacity(self.xml.out.len() - begin);
        (self.xml.open, self.xml.text) = (true, false);
        for (field, span) in spans {
            if is_child(field) && std::mem::take(&mut self.xml.open) {
                sorted.push(b'>');
            }
            self.xml.text = ty.text.is_some_and(|text| usize::from(text) == field);
            sorted.extend_from_slice(self.xml.out.get(span).unwrap_or_default());
        }
        self.xml.out.truncate(begin);
        self.xml.out.extend_from_slice(&sorted);
    }

    fn field(&mut self, ty: &'static TypeDef, index: usize, field: &'static Field, token: Token<'a>) -> Read {
        match (field.place, field.shape) {
            // Null is no text at all.
            (Place::Attribute, _)
                if token == Token::Null && matches!(field.value, Value::Scalar(s) if s.is_text()) =>
            {
                Ok(())
            }
            (Place::Attribute, _) => self.scalar(At::Attribute(field.name), field, token),
            (Place::Text, _) => self.scalar(At::Text, field, token),
            (Place::Element, Shape::One) => self.element(field.name, field, token),
            (Place::Element, Shape::Repeated) => {
                self.each(token, |e, token| e.item(field.name, field, token))
            }
            (Place::Element, Shape::Wrapped) => self.wrapped(ty, index, field, token),
        }
    }

    fn wrapped(
        &mut self,
        ty: &'static TypeDef,
        index: usize,
        field: &'static Field,
        token: Token<'a>,
    ) -> Read {
        // Read from EM, an empty list may as well have been absent; only where a request may empty it, and where it
        // stands for nothing else, does it say so.
        let in_choice = || ty.choices.iter().flatten().any(|c| usize::from(*c) == index);
        let meant = field.required || field.writable == Some(true);
        let silent = self.mode == Mode::Request && (!meant || in_choice());
        if silent
            && (token == Token::Null || (token == Token::Array && self.json.clone().item(true) == Ok(false)))
        {
            return self.json.rest(token).map(drop);
        }
        let item = field.items.first().copied().unwrap_or(field.name);
        self.xml.start(field.name);
        self.each(token, |e, token| e.item(item, field, token))?;
        self.xml.end(field.name);
        Ok(())
    }

    /// One element of a list. A word of a list is there or not, so that null is none.
    fn item(&mut self, name: &'static str, field: &'static Field, token: Token<'a>) -> Read {
        let word = matches!(field.value, Value::Enum(_));
        if word && self.mode == Mode::Request && token == Token::Null {
            self.fault(FieldFaultKind::Type("a string"));
            return Ok(());
        }
        self.element(name, field, token)
    }

    pub(super) fn each(
        &mut self,
        token: Token<'a>,
        mut one: impl FnMut(&mut Self, Token<'a>) -> Read,
    ) -> Read {
        match token {
            Token::Array => {
                let mut index = 0;
                while self.json.item(index == 0)? {
                    let token = self.json.token()?;
                    self.path.push(Step::Item(index));
                    one(self, token)?;
                    self.path.pop();
                    index += 1;
                }
                Ok(())
            }
            Token::Null => Ok(()),
            _ => self.refuse(token, FieldFaultKind::Type("an array")),
        }
    }

    /// One element with its content.
    pub(super) fn element(&mut self, name: &'static str, field: &'static Field, token: Token<'a>) -> Read {
        self.xml.start(name);
        match field.value {
            Value::Type(id) if token == Token::Null => {
                // An empty element is what a request says; a document must come back as null.
                if self.mode == Mode::Document && self.content.catalogue.ty(id).form != Form::Page {
                    self.xml.nil();
                }
            }
            Value::Type(id) => {
                let ty = self.content.catalogue.ty(id);
                if ty.form == Form::Page {
                    listing::page(self, token)?;
                } else {
                    self.object(ty, token)?;
                }
            }
            Value::Scalar(s) if token == Token::Null && s.is_text() => self.xml.nil(),
            Value::Scalar(_) | Value::Enum(_) => self.scalar(At::Text, field, token)?,
        }
        self.xml.end(name);
        Ok(())
    }
}

/// The bit of a field in a mask of them.
fn bit(field: usize) -> u64 {
    1 << field
}
