//! XML → JSON: known types, field by field, written straight from events.
//!
//! No tree is built. A type's element becomes an object as its events come: attributes first, then children in
//! document order, at the end the lists that did not occur. What must be remembered is one bit per field, and the
//! unknown children (`unknown.rs`). Corrections in place (`out.rs`) serve documents that repeat a list after
//! something else or name an attribute like an unknown child; EM sends neither.

use quick_xml::events::{BytesStart, Event};

use super::attributes::Attributes;
use super::error::{DecodeError, excerpt};
use super::out::{Mark, Out};
use super::result;
use super::scalar;
use super::source::Source;
use super::text::{self, Raw};
use super::unknown::{self, Members};
use super::{Anomalies, AnomalyKind};
use crate::catalogue::names::lower_camel;
use crate::catalogue::{Catalogue, Field, Form, Place, Role, Scalar, Shape, TypeDef, Value};

/// Elements may nest this deep.
pub(super) const MAX_DEPTH: u32 = 64;

/// Everything but the source.
pub(super) struct State<'w> {
    pub catalogue: &'static Catalogue,
    pub out: Out<'w>,
    pub anomalies: Anomalies,
    depth: u32,
    /// Bytes of unknown elements held.
    held: usize,
}

impl<'w> State<'w> {
    pub(super) fn new(catalogue: &'static Catalogue, out: Out<'w>) -> Self {
        let anomalies = Anomalies::default();
        Self {
            catalogue,
            out,
            anomalies,
            depth: 0,
            held: 0,
        }
    }

    #[inline]
    pub(super) fn enter(&mut self, at: u64) -> Result<(), DecodeError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(DecodeError::TooDeep { limit: MAX_DEPTH, at })
        } else {
            Ok(())
        }
    }

    #[inline]
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.held += bytes;
        if self.held > unknown::BUDGET {
            let limit = unknown::BUDGET as u64;
            return Err(DecodeError::TooLarge {
                limit,
                what: "elements that the catalogue does not know",
            });
        }
        Ok(())
    }

    pub(super) fn give_back(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }

    #[cold]
    pub(super) fn note(&mut self, kind: AnomalyKind, ty: &'static str, name: &str) {
        self.anomalies.note(kind, ty, &excerpt(name));
    }
}

/// The object being written.
pub(super) struct Frame {
    pub ty: &'static TypeDef,
    /// Where its `{` stands.
    pub start: Mark,
    /// Bit per field that occurred.
    seen: u64,
    /// The repeated field whose array is open.
    open: Option<u8>,
    /// Nothing written after the `{`.
    first: bool,
    nil: bool,
    /// `id` was made from `uid`.
    made_id: bool,
    /// Unknown attributes and children.
    extra: Option<Box<Members>>,
}

impl Frame {
    pub(super) fn new(st: &mut State<'_>, ty: &'static TypeDef) -> Self {
        let start = st.out.mark();
        st.out.buf.push(b'{');
        Self {
            ty,
            start,
            seen: 0,
            open: None,
            first: true,
            nil: false,
            made_id: false,
            extra: None,
        }
    }

    #[inline]
    pub(super) fn key(&mut self, key: &str, out: &mut Vec<u8>) {
        let key = if std::mem::replace(&mut self.first, false) {
            key.get(1..).unwrap_or_default()
        } else {
            key
        };
        out.extend_from_slice(key.as_bytes());
    }

    pub(super) fn extra(&mut self) -> &mut Members {
        self.extra.get_or_insert_default()
    }
}

/// The part of a name behind its prefix.
pub(super) fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// Namespace declarations and XML Schema's instance attributes, which are not data.
pub(super) fn is_namespace_machinery(name: &str) -> bool {
    match name.split_once(':') {
        None => name == "xmlns",
        Some(("xmlns" | "xml", _)) => true,
        Some((_, local)) => matches!(
            local,
            "nil" | "type" | "schemaLocation" | "noNamespaceSchemaLocation"
        ),
    }
}

/// `xsi:nil="true"`, whatever the prefix.
pub(super) fn is_nil(name: &str, value: &str) -> bool {
    name.ends_with(":nil") && matches!(scalar::trim(value), "true" | "1")
}

/// What may stand between elements without meaning: comments and processing instructions; refuses the rest.
pub(super) fn aside(event: &Event<'_>, at: u64) -> Result<(), DecodeError> {
    match event {
        Event::Comment(_) | Event::PI(_) => Ok(()),
        Event::Eof => Err(DecodeError::Truncated { at }),
        Event::DocType(_) => Err(DecodeError::Dtd { at }),
        Event::Decl(_) => Err(DecodeError::Malformed {
            what: "an XML declaration that is not at the beginning".into(),
            at,
        }),
        Event::Start(_)
        | Event::End(_)
        | Event::Empty(_)
        | Event::Text(_)
        | Event::CData(_)
        | Event::GeneralRef(_) => Err(DecodeError::Malformed {
            what: "content where none belongs".to_owned(),
            at,
        }),
    }
}

/// Writes the rest of the root element, whose start is read.
pub(super) fn whole<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    mut frame: Frame,
    empty: bool,
) -> Result<(), DecodeError> {
    if !empty {
        body(src, st, &mut frame)?;
    }
    finish(src, st, frame)
}

/// The text of one event.
pub(super) fn plain_of(event: &Event<'_>, at: u64) -> Result<String, DecodeError> {
    let mut plain = String::new();
    push_event(event, at, &mut plain)?;
    Ok(plain)
}

/// The start of an element of a known type: `{` and its attributes.
#[inline]
pub(super) fn begin(
    st: &mut State<'_>,
    ty: &'static TypeDef,
    tag: &BytesStart<'_>,
    at: u64,
) -> Result<Frame, DecodeError> {
    let mut frame = Frame::new(st, ty);
    let raw = tag.attributes_raw();
    if !raw.is_empty() {
        attributes(st, &mut frame, raw, at + 1 + (tag.len() - raw.len()) as u64)?;
    }
    Ok(frame)
}

fn attributes(st: &mut State<'_>, frame: &mut Frame, raw: &str, at: u64) -> Result<(), DecodeError> {
    let ty = frame.ty;
    let mut unknown: Vec<&str> = Vec::new();
    let mut all = Attributes::new(raw, at);
    while let Some(a) = all.next()? {
        let known = match ty.attribute(a.name.as_bytes()) {
            Some(known) => Some(known),
            None if is_namespace_machinery(a.name) => {
                frame.nil |= is_nil(a.name, a.value);
                None
            }
            None => match other_attribute(ty, a.name) {
                Some(known) => {
                    if known.1.name != local(a.name) {
                        st.note(AnomalyKind::UnknownName, ty.name, a.name);
                    }
                    Some(known)
                }
                None => {
                    if unknown.contains(&a.name) || unknown.len() >= 256 {
                        let what = format!("attribute {} twice, or too many", excerpt(a.name));
                        return Err(DecodeError::Malformed { what, at: a.at });
                    }
                    unknown.push(a.name);
                    unknown_attribute(st, frame, a.name, a.value, a.at)?;
                    None
                }
            },
        };
        let Some((index, field)) = known else { continue };
        if frame.seen & (1 << index) != 0 {
            let what = format!("attribute {} twice", excerpt(a.name));
            return Err(DecodeError::Malformed { what, at: a.at });
        }
        frame.seen |= 1 << index;
        attribute(st, frame, field, a.value, a.at)?;
    }
    Ok(())
}

/// A known attribute under a prefix, or spelled otherwise than the catalogue has it.
#[cold]
fn other_attribute(ty: &'static TypeDef, name: &str) -> Option<(usize, &'static Field)> {
    let name = local(name);
    ty.attribute(name.as_bytes()).or_else(|| {
        let known = ty.by_json(&lower_camel(name))?;
        (known.1.place == Place::Attribute).then_some(known)
    })
}

#[cold]
fn unknown_attribute(
    st: &mut State<'_>,
    frame: &mut Frame,
    name: &str,
    value: &str,
    at: u64,
) -> Result<(), DecodeError> {
    st.note(AnomalyKind::UnknownName, frame.ty.name, name);
    if let Some((key, json)) = unknown::attribute(st, name, value, at)? {
        frame.extra().add(st, &key, true, &json)?;
        if local(name) == "UID"
            && !frame.ty.has_uid
            && let Some(id) = unknown::urn_id(value)
        {
            let mut json = Vec::new();
            text::write_json_string(id, &mut json);
            frame.extra().add(st, "id", true, &json)?;
        }
    }
    Ok(())
}

#[inline]
fn attribute(
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    raw: &str,
    at: u64,
) -> Result<(), DecodeError> {
    if text::is_plain(raw) {
        return plain_attribute(st, frame, field, raw);
    }
    let mut plain = String::with_capacity(raw.len());
    text::push_plain(raw, Raw::Attribute, at, &mut plain)?;
    if text::is_plain(&plain) {
        return plain_attribute(st, frame, field, &plain);
    }
    // Rare: what must be escaped for JSON.
    let out = &mut st.out.buf;
    match (field.role, field.value) {
        (Role::Plain, Value::Scalar(s)) if s.is_text() => {
            frame.key(&field.key, out);
            text::write_json_string(&plain, out);
        }
        (Role::Plain, _) => {
            frame.key(&field.key, out);
            typed_text(st, frame.ty, field, &plain)?;
        }
        (Role::Uid, _) => {
            frame.key(&field.key, out);
            text::write_json_string(&plain, out);
            if let Some(id) = unknown::urn_id(&plain).filter(|_| frame.ty.has_uid) {
                out.extend_from_slice(b",\"id\":");
                text::write_json_string(id, out);
                frame.made_id = true;
            }
        }
        (Role::Url, _) => {
            frame.key(&field.key, out);
            text::write_json_string(&api_url(&plain), out);
        }
        (Role::Relation, _) => {
            frame.key(&field.key, out);
            text::write_json_string(&lower_camel(&plain), out);
        }
    }
    Ok(())
}

/// An attribute whose value needs no escape in either format.
#[inline]
fn plain_attribute(
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    plain: &str,
) -> Result<(), DecodeError> {
    frame.key(&field.opening, &mut st.out.buf);
    let out = &mut st.out.buf;
    match field.role {
        Role::Plain => match field.value {
            Value::Scalar(s) if s.is_text() => {
                out.extend_from_slice(plain.as_bytes());
                out.push(b'"');
            }
            _ => return typed_text(st, frame.ty, field, plain),
        },
        Role::Uid => {
            out.push(b'"');
            out.extend_from_slice(plain.as_bytes());
            if let Some(id) = unknown::urn_id(plain).filter(|_| frame.ty.has_uid) {
                out.extend_from_slice(b"\",\"id\":\"");
                out.extend_from_slice(id.as_bytes());
                frame.made_id = true;
            }
            out.push(b'"');
        }
        Role::Url => write_plain_url(plain, out),
        Role::Relation => write_relation(plain, out),
    }
    Ok(())
}

/// A JSON string of text that mostly needs no escape.
#[inline]
pub(super) fn write_plain(plain: &str, out: &mut Vec<u8>) {
    if text::is_plain(plain) {
        out.push(b'"');
        out.extend_from_slice(plain.as_bytes());
        out.push(b'"');
    } else {
        text::write_json_string(plain, out);
    }
}

fn write_relation(plain: &str, out: &mut Vec<u8>) {
    match plain.as_bytes() {
        [first @ b'A'..=b'Z', rest @ ..] if rest.iter().all(u8::is_ascii_lowercase) => {
            out.extend_from_slice(&[b'"', first.to_ascii_lowercase()]);
            out.extend_from_slice(rest);
            out.push(b'"');
        }
        _ => text::write_json_string(&lower_camel(plain), out),
    }
}

/// Writes a URL without escapes as a JSON string, with our own path if it leads into EM's API.
#[inline]
fn write_plain_url(plain: &str, out: &mut Vec<u8>) {
    if let Some(rest) = below_api(plain) {
        out.extend_from_slice(b"\"/api/v1/em");
        out.extend_from_slice(rest.as_bytes());
    } else {
        out.push(b'"');
        out.extend_from_slice(plain.as_bytes());
    }
    out.push(b'"');
}

/// The URL as the gateway offers it: `https://any:9398/api/jobs?x` → `/api/v1/em/jobs?x`; others stay.
pub(super) fn api_url(url: &str) -> String {
    below_api(url).map_or_else(|| url.to_owned(), |rest| format!("/api/v1/em{rest}"))
}

/// What follows `/api` in a URL into EM's API, whatever host stands there.
#[inline]
pub(super) fn below_api(url: &str) -> Option<&str> {
    let scheme = |name: &[u8]| {
        url.as_bytes()
            .get(..name.len())
            .is_some_and(|s| s.eq_ignore_ascii_case(name))
    };
    let host = if scheme(b"https://") {
        8
    } else if scheme(b"http://") {
        7
    } else {
        0
    };
    let mut path = url.get(host..)?;
    if host > 0 {
        path = path.get(memchr::memchr3(b'/', b'?', b'#', path.as_bytes())?..)?;
    }
    let (api, rest) = path.split_at_checked(4)?;
    (api.eq_ignore_ascii_case("/api") && matches!(rest.as_bytes().first(), None | Some(b'/' | b'?' | b'#')))
        .then_some(rest)
}

/// What a start tag led to, once the tag itself is let go.
pub(super) enum Next {
    Object(Frame),
    Scalar {
        field: &'static Field,
        nil: bool,
    },
    /// A wrapper: its items follow.
    List(&'static Field),
    Page(Box<result::Page>),
    Unknown(Box<UnknownStart>),
}

/// An unknown child: its JSON name and its attributes.
pub(super) struct UnknownStart {
    key: String,
    members: Members,
    nil: bool,
}

/// A child's start, and where its items must go if its list was closed before.
pub(super) struct Child {
    next: Next,
    late: Option<(Mark, &'static Field)>,
}

/// Reads the children of an object up to its end tag.
fn body<S: Source>(src: &mut S, st: &mut State<'_>, frame: &mut Frame) -> Result<(), DecodeError> {
    let textual = frame.ty.text;
    let mut plain = String::new();
    loop {
        src.skip_blanks(textual.is_none() && plain.is_empty());
        let at = src.position();
        match src.next()? {
            Event::End(_) => break,
            Event::Start(tag) => {
                let child = child(st, frame, &tag, at)?;
                rest_of_child(src, st, frame, child, false)?;
            }
            Event::Empty(tag) => {
                let child = child(st, frame, &tag, at)?;
                rest_of_child(src, st, frame, child, true)?;
            }
            event @ (Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)) => {
                let before = plain.len();
                push_event(&event, at, &mut plain)?;
                if textual.is_none() && text::is_blank(&plain) {
                    plain.clear();
                }
                st.spend(plain.len().saturating_sub(before))?;
            }
            other => aside(&other, at)?,
        }
    }
    if let Some(index) = textual {
        write_text_field(st, frame, index, &plain)?;
    } else if !plain.is_empty() {
        st.note(AnomalyKind::UnknownName, frame.ty.name, "#text");
        let mut extra = frame.extra.take().unwrap_or_default();
        unknown::add_text(st, &mut extra, &plain)?;
        frame.extra = Some(extra);
    }
    st.give_back(plain.len());
    Ok(())
}

fn push_event(event: &Event<'_>, at: u64, plain: &mut String) -> Result<(), DecodeError> {
    match event {
        Event::Text(t) => text::push_plain(t, Raw::Text, at, plain),
        Event::CData(t) => text::push_plain(t, Raw::CData, at, plain),
        Event::GeneralRef(r) => {
            plain.push(text::reference(r, at)?);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The character data of a type that has such a field.
fn write_text_field(
    st: &mut State<'_>,
    frame: &mut Frame,
    index: u8,
    plain: &str,
) -> Result<(), DecodeError> {
    let Some(field) = frame.ty.fields.get(usize::from(index)) else {
        return Ok(());
    };
    frame.seen |= 1 << index;
    frame.key(&field.key, &mut st.out.buf);
    typed_text(st, frame.ty, field, plain)
}

/// The start of a child: looks its name up, writes its key, reads its attributes.
#[inline]
fn child(st: &mut State<'_>, frame: &mut Frame, tag: &BytesStart<'_>, at: u64) -> Result<Child, DecodeError> {
    let name = tag.name().into_inner();
    let ty = frame.ty;
    let Some((index, field)) = ty
        .element(name.as_bytes())
        .or_else(|| other_element(st, frame, name))
    else {
        st.note(AnomalyKind::UnknownName, ty.name, local(name));
        let (key, members, nil) = unknown::open(st, tag, at)?;
        return Ok(Child {
            next: Next::Unknown(Box::new(UnknownStart { key, members, nil })),
            late: None,
        });
    };
    let bit = 1 << index;
    #[expect(clippy::cast_possible_truncation, reason = "a type has at most 63 fields")]
    let this = index as u8;
    if let Some(open) = frame.open
        && open != this
    {
        st.out.buf.push(b']');
        frame.open = None;
    }
    let mut late = None;
    if frame.seen & bit == 0 {
        frame.seen |= bit;
        if field.is_list() {
            frame.key(&field.opening, &mut st.out.buf);
            if field.shape == Shape::Repeated {
                frame.open = Some(this);
            }
        } else {
            frame.key(&field.key, &mut st.out.buf);
        }
    } else if !field.is_list() {
        return Err(DecodeError::Repeated {
            ty: ty.name,
            field: field.name.to_owned(),
            at,
        });
    } else if frame.open == Some(this) {
        st.out.buf.push(b',');
    } else {
        late = Some((st.out.mark(), field));
    }
    if field.shape == Shape::Wrapped {
        more_attributes(st, frame, field, tag, at)?;
        return Ok(Child {
            next: Next::List(field),
            late,
        });
    }
    Ok(Child {
        next: item(st, frame, field, tag, at)?,
        late,
    })
}

/// The start of a single value: of a child, or of an item in a list.
#[inline]
fn item(
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    tag: &BytesStart<'_>,
    at: u64,
) -> Result<Next, DecodeError> {
    let Value::Type(id) = field.value else {
        let nil = more_attributes(st, frame, field, tag, at)?;
        return Ok(Next::Scalar { field, nil });
    };
    let ty = st.catalogue.ty(id);
    if ty.form == Form::Page {
        let mut page = result::Page::default();
        page.attributes(st, tag, at)?;
        return Ok(Next::Page(Box::new(page)));
    }
    begin(st, ty, tag, at).map(Next::Object)
}

/// A known child under a prefix, spelled otherwise, or where the catalogue has an attribute.
#[cold]
fn other_element(st: &mut State<'_>, frame: &Frame, name: &str) -> Option<(usize, &'static Field)> {
    let ty = frame.ty;
    let name = local(name);
    if let Some(known) = ty.element(name.as_bytes()) {
        return Some(known);
    }
    let known = ty.by_json(&lower_camel(name))?;
    let free = match known.1.place {
        Place::Element => true,
        // An attribute that is there already keeps its value; the child is then an unknown one.
        Place::Attribute => frame.seen & (1 << known.0) == 0,
        Place::Text => false,
    };
    if free {
        st.note(AnomalyKind::UnknownName, ty.name, name);
    }
    free.then_some(known)
}

/// Attributes of an element that should have none (a scalar, a wrapper); true if it is nil.
#[inline]
fn more_attributes(
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    tag: &BytesStart<'_>,
    at: u64,
) -> Result<bool, DecodeError> {
    if tag.attributes_raw().is_empty() {
        return Ok(false);
    }
    let mut members = Members::default();
    let at = at + 1 + tag.name().into_inner().len() as u64;
    let nil = unknown::attributes(st, tag, at, &mut members)?;
    more(st, frame, field, members)?;
    Ok(nil)
}

/// What an element has that its type has no place for: kept beside it.
fn more(
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    members: Members,
) -> Result<(), DecodeError> {
    if members.is_empty() {
        return Ok(());
    }
    st.note(AnomalyKind::UnknownName, frame.ty.name, field.name);
    let mut json = vec![b'{'];
    members.write(st, true, &mut json);
    json.push(b'}');
    frame
        .extra()
        .add(st, &unknown::more_key(&field.json), false, &json)
}

#[inline]
fn rest_of_child<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    frame: &mut Frame,
    child: Child,
    empty: bool,
) -> Result<(), DecodeError> {
    st.enter(src.position())?;
    match child.next {
        Next::List(field) if child.late.is_some() => {
            if !empty {
                items(src, st, frame, field)?;
            }
        }
        Next::List(field) => {
            if !empty {
                items(src, st, frame, field)?;
            }
            st.out.buf.push(b']');
        }
        next => rest_of_item(src, st, frame, next, empty)?,
    }
    if let Some((tail, field)) = child.late
        && !st.out.move_into_array(frame.start, &field.json, tail)
    {
        return Err(DecodeError::LateClash {
            ty: frame.ty.name,
            at: src.position(),
        });
    }
    st.leave();
    st.out.breathe()
}

#[inline]
pub(super) fn rest_of_item<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    frame: &mut Frame,
    next: Next,
    empty: bool,
) -> Result<(), DecodeError> {
    match next {
        Next::Object(mut inner) => {
            if !empty {
                body(src, st, &mut inner)?;
            }
            finish(src, st, inner)
        }
        Next::Scalar { field, nil } => scalar(src, st, frame, field, nil, empty),
        Next::Page(page) => result::page_field(src, st, *page, empty),
        Next::Unknown(unknown) => {
            let UnknownStart { key, members, nil } = *unknown;
            let json = unknown::element(src, st, members, nil, empty)?;
            frame.extra().add(st, &key, false, &json)
        }
        Next::List(_) => Ok(()),
    }
}

/// The items of a wrapper, comma-separated, up to its end tag; every child is an item, whatever its name.
fn items<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
) -> Result<(), DecodeError> {
    items_from(src, st, frame, field, 0).map(|_| ())
}

/// The same behind `count` items; gives their new number.
pub(super) fn items_from<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    mut count: u64,
) -> Result<u64, DecodeError> {
    let mut plain = String::new();
    loop {
        src.skip_blanks(plain.is_empty());
        let at = src.position();
        let (next, empty) = match src.next()? {
            Event::End(_) => break,
            Event::Start(tag) => (list_item(st, frame, field, &tag, at, count)?, false),
            Event::Empty(tag) => (list_item(st, frame, field, &tag, at, count)?, true),
            event @ (Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)) => {
                push_event(&event, at, &mut plain)?;
                if plain.len() > unknown::BUDGET {
                    st.spend(plain.len())?;
                }
                continue;
            }
            other => {
                aside(&other, at)?;
                continue;
            }
        };
        st.enter(src.position())?;
        rest_of_item(src, st, frame, next, empty)?;
        st.leave();
        st.out.breathe()?;
        count += 1;
    }
    if !text::is_blank(&plain) {
        let mut members = Members::default();
        unknown::add_text(st, &mut members, &plain)?;
        more(st, frame, field, members)?;
    }
    Ok(count)
}

pub(super) fn list_item(
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    tag: &BytesStart<'_>,
    at: u64,
    count: u64,
) -> Result<Next, DecodeError> {
    let name = tag.name().into_inner();
    if !field.items.contains(&name) && !field.items.contains(&local(name)) && name != field.name {
        unknown::check_name(name, at)?;
        st.note(AnomalyKind::UnknownName, frame.ty.name, local(name));
    }
    if count > 0 {
        st.out.buf.push(b',');
    }
    item(st, frame, field, tag, at)
}

/// Writes one scalar, up to its end tag.
#[inline]
fn scalar<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    nil: bool,
    empty: bool,
) -> Result<(), DecodeError> {
    let as_text = matches!(field.value, Value::Scalar(s) if s.is_text());
    if empty {
        let nothing: &[u8] = if as_text && !nil { b"\"\"" } else { b"null" };
        st.out.buf.extend_from_slice(nothing);
        return Ok(());
    }
    src.skip_blanks(false);
    let at = src.position();
    let (first, alone) = src.next_before_end()?;
    if alone && let Event::Text(t) = &first {
        if as_text && field.role == Role::Plain {
            st.out.buf.push(b'"');
            text::write_json(t, Raw::Text, at, &mut st.out.buf)?;
            st.out.buf.push(b'"');
        } else if text::is_plain(t) {
            typed_text(st, frame.ty, field, t)?;
        } else {
            let mut plain = String::new();
            text::push_plain(t, Raw::Text, at, &mut plain)?;
            typed_text(st, frame.ty, field, &plain)?;
        }
        // The end tag is there, `alone` says so; whether it is the right one says the reader.
        let at = src.position();
        return match src.next()? {
            Event::End(_) => Ok(()),
            other => aside(&other, at),
        };
    }
    let mut pieces = Pieces::new(st, as_text && field.role == Role::Plain);
    let mut step = pieces.take(st, first, at)?;
    loop {
        match step {
            Piece::End => return pieces.finish(st, frame, field, nil),
            Piece::Child(child) => child_of_scalar(src, st, frame, field, *child)?,
            Piece::Text => {}
        }
        src.skip_blanks(false);
        let at = src.position();
        let event = src.next()?;
        step = pieces.take(st, event, at)?;
    }
}

/// A scalar that comes in pieces: text, CDATA, references, comments between them. Text goes straight into the JSON
/// string, everything else is gathered and parsed at the end.
struct Pieces {
    direct: bool,
    mark: Mark,
    any: bool,
    gathered: String,
}

enum Piece {
    Text,
    /// A child where only text should be.
    Child(Box<(UnknownStart, bool)>),
    End,
}

impl Pieces {
    fn new(st: &mut State<'_>, direct: bool) -> Self {
        let mark = st.out.mark();
        if direct {
            st.out.buf.push(b'"');
        }
        Self {
            direct,
            mark,
            any: false,
            gathered: String::new(),
        }
    }

    fn take(&mut self, st: &mut State<'_>, event: Event<'_>, at: u64) -> Result<Piece, DecodeError> {
        let out = &mut st.out.buf;
        match event {
            Event::End(_) => return Ok(Piece::End),
            Event::Text(t) if self.direct => {
                text::write_json(&t, Raw::Text, at, out)?;
                self.any = true;
            }
            Event::CData(t) if self.direct => {
                text::write_json(&t, Raw::CData, at, out)?;
                self.any |= !t.is_empty();
            }
            Event::GeneralRef(r) if self.direct => {
                text::write_json_char(text::reference(&r, at)?, out);
                self.any = true;
            }
            event @ (Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)) => {
                push_event(&event, at, &mut self.gathered)?;
            }
            event @ (Event::Start(_) | Event::Empty(_)) => {
                let empty = matches!(event, Event::Empty(_));
                if let Event::Start(tag) | Event::Empty(tag) = event {
                    let (key, members, nil) = unknown::open(st, &tag, at)?;
                    return Ok(Piece::Child(Box::new((
                        UnknownStart { key, members, nil },
                        empty,
                    ))));
                }
            }
            other => aside(&other, at)?,
        }
        Ok(Piece::Text)
    }

    fn finish(
        self,
        st: &mut State<'_>,
        frame: &Frame,
        field: &'static Field,
        nil: bool,
    ) -> Result<(), DecodeError> {
        if self.direct {
            st.out.buf.push(b'"');
            if nil && !self.any && st.out.rewind(self.mark) {
                st.out.buf.extend_from_slice(b"null");
            }
            Ok(())
        } else if nil && self.gathered.is_empty() {
            st.out.buf.extend_from_slice(b"null");
            Ok(())
        } else {
            typed_text(st, frame.ty, field, &self.gathered)
        }
    }
}

#[cold]
fn child_of_scalar<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    (UnknownStart { key, members, nil }, empty): (UnknownStart, bool),
) -> Result<(), DecodeError> {
    st.enter(src.position())?;
    let json = unknown::element(src, st, members, nil, empty)?;
    st.leave();
    let mut all = Members::default();
    all.add(st, &key, false, &json)?;
    more(st, frame, field, all)
}

/// Writes a value of the field's type; what does not parse stays a string and is reported.
pub(super) fn typed_text(
    st: &mut State<'_>,
    ty: &'static TypeDef,
    field: &'static Field,
    plain: &str,
) -> Result<(), DecodeError> {
    let out = &mut st.out.buf;
    let scalar = match field.value {
        Value::Scalar(Scalar::Url) => {
            write_plain(&api_url(plain), out);
            return Ok(());
        }
        Value::Scalar(s) if s.is_text() => {
            write_plain(plain, out);
            return Ok(());
        }
        Value::Scalar(s) => Some(s),
        Value::Enum(_) | Value::Type(_) => None,
    };
    let trimmed = scalar::trim(plain);
    if trimmed.is_empty() {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let parsed = match scalar {
        Some(Scalar::Int | Scalar::Long) => scalar::write_integer(trimmed, out),
        Some(Scalar::Decimal) => scalar::write_decimal(trimmed, out),
        Some(Scalar::Boolean) => match scalar::boolean(trimmed) {
            Some(value) => {
                out.extend_from_slice(if value { b"true" } else { b"false" });
                true
            }
            None => false,
        },
        Some(Scalar::DateTime) => match scalar::date_time(trimmed) {
            Some(value) => {
                scalar::write_date_time(value, out);
                true
            }
            None => false,
        },
        _ => {
            write_plain(trimmed, out);
            if let Value::Enum(id) = field.value
                && !st.catalogue.enumeration(id).knows(trimmed.as_bytes())
            {
                st.note(AnomalyKind::UnknownValue, ty.name, field.name);
            }
            return Ok(());
        }
    };
    if !parsed {
        write_plain(plain, out);
        st.note(AnomalyKind::UnparsedValue, ty.name, field.name);
    }
    Ok(())
}

/// Ends an object: the lists that did not occur, what the catalogue does not know, `}`.
pub(super) fn finish<S: Source>(src: &S, st: &mut State<'_>, mut frame: Frame) -> Result<(), DecodeError> {
    if frame.nil && frame.first && frame.extra.is_none() && st.out.rewind(frame.start) {
        st.out.buf.extend_from_slice(b"null");
        return Ok(());
    }
    if frame.open.is_some() {
        st.out.buf.push(b']');
    }
    let ty = frame.ty;
    let mut missing = ty.list_mask & !frame.seen;
    while missing != 0 {
        if let Some(field) = ty.fields.get(missing.trailing_zeros() as usize) {
            frame.key(&field.key, &mut st.out.buf);
            st.out.buf.extend_from_slice(b"[]");
        }
        missing &= missing - 1;
    }
    if let Some(index) = ty.text
        && frame.seen & (1 << index) == 0
    {
        write_text_field(st, &mut frame, index, "")?;
    }
    if frame.extra.is_some() && !write_extra(st, &mut frame) {
        return Err(DecodeError::LateClash {
            ty: ty.name,
            at: src.position(),
        });
    }
    st.out.buf.push(b'}');
    Ok(())
}

/// Writes the unknown members, after giving way to each other: a child has its name, an attribute of that name
/// gets a suffix, and an `id` made from `uid` yields to a real one.
#[cold]
pub(super) fn write_extra(st: &mut State<'_>, frame: &mut Frame) -> bool {
    let Some(mut extra) = frame.extra.take() else {
        return true;
    };
    let ty = frame.ty;
    if frame.made_id && extra.has("id") && !st.out.remove_member(frame.start, "id") {
        return false;
    }
    for (index, field) in ty.fields.iter().enumerate() {
        let written = frame.seen & (1 << index) != 0;
        if field.place == Place::Attribute && written && extra.has_child(&field.json) {
            let aside = format!("{}Attribute", field.json);
            if !st.out.rename_member(frame.start, &field.json, &aside) {
                return false;
            }
        }
    }
    let seen = frame.seen;
    extra.separate(|key| match ty.by_json(key) {
        Some((_, field)) if field.place == Place::Element => true,
        Some((index, _)) => seen & (1 << index) != 0,
        None => false,
    });
    let mut json = std::mem::take(&mut st.out.buf);
    extra.write(st, frame.first, &mut json);
    frame.first = false;
    st.out.buf = json;
    true
}
