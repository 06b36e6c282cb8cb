//! XML → JSON: objects and lists of known types, written straight from the reader's tokens.
//!
//! No tree is built. A type's element becomes an object as its tokens come: attributes first (`start.rs`), then children
//! in document order (scalars in `leaf.rs`), at the end the lists that did not occur. What must be remembered is one bit
//! per field, and the unknown children (`unknown.rs`). Corrections in place (`out.rs`) serve documents that repeat a
//! list after something else or name an attribute like an unknown child; EM sends neither.

use super::error::DecodeError;
use super::frame::Frame;
use super::leaf::{self, typed_text};
use super::source::{Source, Tag, Token};
use super::state::State;
use super::unknown::{self, Members};
use super::{AnomalyKind, page::Page, start, text};
use crate::catalogue::{Field, Form, Place, Shape, Value};
use crate::text::lower_camel;

/// The part of a name behind its prefix.
pub(super) fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// What a start tag led to, once the tag itself is let go.
pub(super) enum Next {
    Object(Box<Frame>),
    Scalar {
        field: &'static Field,
        nil: bool,
    },
    /// A wrapper: its items follow.
    List(&'static Field),
    Page(Box<Page>),
    Unknown(Box<(String, Members, bool)>),
}

/// Writes the rest of an object, whose start is read.
pub(super) fn object<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    mut frame: Box<Frame>,
    empty: bool,
) -> Result<(), DecodeError> {
    if !empty {
        body(src, st, &mut frame)?;
    }
    finish(src, st, frame)
}

/// Reads the children of an object up to its end tag.
fn body<S: Source>(src: &mut S, st: &mut State<'_>, frame: &mut Frame) -> Result<(), DecodeError> {
    let textual = frame.ty.text;
    let mut plain = String::new();
    loop {
        src.skip_blanks(textual.is_none() && plain.is_empty());
        let at = src.position();
        // Looked at where it is: taking tokens apart by value is what this loop would spend its time on.
        let token = &src.next();
        let (tag, empty) = match token {
            Ok(Token::End) => break,
            Ok(Token::Start(tag)) => (tag, false),
            Ok(Token::Empty(tag)) => (tag, true),
            Err(e) => return Err(e.clone()),
            Ok(other) => {
                let before = plain.len();
                text::push_token(other, at, &mut plain)?;
                if textual.is_none() && text::is_blank(&plain) {
                    plain.clear();
                }
                st.spend(plain.len().saturating_sub(before))?;
                continue;
            }
        };
        let next = child(st, frame, tag)?;
        rest_of_child(src, st, frame, next, empty)?;
    }
    if let Some(index) = textual {
        text_field(st, frame, index, &plain)?;
    } else if !plain.is_empty() {
        st.note(AnomalyKind::UnknownName, frame.ty.name, "#text");
        let mut extra = frame.extra.take().unwrap_or_default();
        unknown::add_text(st, &mut extra, &plain)?;
        frame.extra = Some(extra);
    }
    st.give_back(plain.len());
    Ok(())
}

/// The character data of a type that has such a field.
fn text_field(st: &mut State<'_>, frame: &mut Frame, index: u8, plain: &str) -> Result<(), DecodeError> {
    let Some(field) = frame.ty.fields.get(usize::from(index)) else {
        return Ok(());
    };
    frame.seen |= 1 << index;
    frame.key(&field.key, &mut st.out.buf);
    typed_text(st, frame.ty, field, plain)
}

/// The start of a child: looks its name up, writes its key, reads its attributes.
#[inline]
fn child(st: &mut State<'_>, frame: &mut Frame, tag: &Tag<'_>) -> Result<Next, DecodeError> {
    let ty = frame.ty;
    let known = ty.element_near(frame.next, tag.name.as_bytes());
    let Some((index, field)) = known.or_else(|| other_element(st, frame, tag.name)) else {
        return unknown_child(st, frame, tag);
    };
    frame.next = index + 1;
    let bit = 1 << index;
    #[expect(clippy::cast_possible_truncation, reason = "a type has at most 63 fields")]
    let this = index as u8;
    if let Some(open) = frame.open
        && open != this
    {
        st.out.buf.push(b']');
        frame.open = None;
    }
    if frame.seen & bit == 0 {
        frame.seen |= bit;
        if field.shape == Shape::One {
            frame.key(&field.key, &mut st.out.buf);
        } else {
            frame.key(&field.opening, &mut st.out.buf);
            frame.open = (field.shape == Shape::Repeated).then_some(this);
        }
    } else if field.shape == Shape::One {
        return Err(DecodeError::Repeated {
            ty: ty.name,
            field: field.name.to_owned(),
            at: tag.at,
        });
    } else if frame.open == Some(this) {
        st.out.buf.push(b',');
    } else {
        frame.late = Some((st.out.mark(), field));
    }
    if field.shape == Shape::Wrapped {
        more_attributes(st, frame, field, tag)?;
        return Ok(Next::List(field));
    }
    item(st, frame, field, tag)
}

#[cold]
fn unknown_child(st: &mut State<'_>, frame: &Frame, tag: &Tag<'_>) -> Result<Next, DecodeError> {
    st.note(AnomalyKind::UnknownName, frame.ty.name, local(tag.name));
    unknown::open(st, tag).map(|start| Next::Unknown(Box::new(start)))
}

/// The start of a single value: of a child, or of an item in a list.
#[inline]
fn item(
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    tag: &Tag<'_>,
) -> Result<Next, DecodeError> {
    let Value::Type(id) = field.value else {
        let nil = more_attributes(st, frame, field, tag)?;
        return Ok(Next::Scalar { field, nil });
    };
    let ty = st.catalogue.ty(id);
    if ty.form == Form::Page {
        return Page::open(st, tag).map(|page| Next::Page(Box::new(page)));
    }
    start::begin(st, ty, tag).map(Next::Object)
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
    tag: &Tag<'_>,
) -> Result<bool, DecodeError> {
    if tag.attributes.is_empty() {
        return Ok(false);
    }
    let mut members = Members::default();
    let nil = unknown::attributes(st, tag, &mut members)?;
    more(st, frame, field, members)?;
    Ok(nil)
}

/// What an element has that its type has no place for: kept beside it.
pub(super) fn more(
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
    next: Next,
    empty: bool,
) -> Result<(), DecodeError> {
    st.enter(src.position())?;
    let late = frame.late.take();
    match next {
        Next::List(field) => {
            if !empty {
                items(src, st, frame, field, 0)?;
            }
            if late.is_none() {
                st.out.buf.push(b']');
            }
        }
        next => rest_of_item(src, st, frame, next, empty)?,
    }
    if let Some((tail, field)) = late
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

/// Writes what follows a start tag.
#[inline]
pub(super) fn rest_of_item<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    frame: &mut Frame,
    next: Next,
    empty: bool,
) -> Result<(), DecodeError> {
    match next {
        Next::Object(inner) => object(src, st, inner, empty),
        Next::Scalar { field, nil } => leaf::scalar(src, st, frame, field, nil, empty),
        Next::Page(page) => page.finish(src, st, empty),
        Next::Unknown(start) => {
            let (key, members, nil) = *start;
            let json = unknown::element(src, st, members, nil, empty)?;
            frame.extra().add(st, &key, false, &json)
        }
        Next::List(_) => Ok(()),
    }
}

/// The items of a wrapper, comma-separated, up to its end tag; `count` are there already, their new number is given.
/// Every child is an item, whatever its name.
pub(super) fn items<S: Source>(
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
        let token = &src.next();
        let (tag, empty) = match token {
            Ok(Token::End) => break,
            Ok(Token::Start(tag)) => (tag, false),
            Ok(Token::Empty(tag)) => (tag, true),
            Err(e) => return Err(e.clone()),
            Ok(other) => {
                let before = plain.len();
                text::push_token(other, at, &mut plain)?;
                st.spend(plain.len() - before)?;
                continue;
            }
        };
        let next = list_item(st, frame, field, tag, count)?;
        st.enter(at)?;
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
    st.give_back(plain.len());
    Ok(count)
}

/// The start of an item behind `count` others.
#[inline]
pub(super) fn list_item(
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    tag: &Tag<'_>,
    count: u64,
) -> Result<Next, DecodeError> {
    if !field.items.contains(&tag.name) && field.name != tag.name {
        other_item(st, frame, field, tag)?;
    }
    if count > 0 {
        st.out.buf.push(b',');
    }
    item(st, frame, field, tag)
}

/// An item under a prefix, or by a name that the catalogue does not give to items here.
#[cold]
fn other_item(st: &mut State<'_>, frame: &Frame, field: &Field, tag: &Tag<'_>) -> Result<(), DecodeError> {
    let name = local(tag.name);
    if !field.items.contains(&name) && field.name != name {
        unknown::check_name(tag.name, tag.at)?;
        st.note(AnomalyKind::UnknownName, frame.ty.name, name);
    }
    Ok(())
}

/// Ends an object: the lists that did not occur, what the catalogue does not know, `}`.
fn finish<S: Source>(src: &S, st: &mut State<'_>, mut frame: Box<Frame>) -> Result<(), DecodeError> {
    if frame.nil && frame.first && frame.extra.is_none() && st.out.rewind(frame.start) {
        st.out.buf.extend_from_slice(b"null");
        st.frames.push(frame);
        return Ok(());
    }
    if frame.open.is_some() {
        st.out.buf.push(b']');
    }
    let ty = frame.ty;
    let mut missing = ty.list_mask & !frame.seen;
    while missing != 0 {
        if let Some(field) = ty.fields.get(missing.trailing_zeros() as usize) {
            frame.key(&field.opening, &mut st.out.buf);
            st.out.buf.push(b']');
        }
        missing &= missing - 1;
    }
    if let Some(index) = ty.text
        && frame.seen & (1 << index) == 0
    {
        text_field(st, &mut frame, index, "")?;
    }
    close(src, st, frame)
}

/// Writes the unknown members and the `}`.
#[inline]
pub(super) fn close<S: Source>(
    src: &S,
    st: &mut State<'_>,
    mut frame: Box<Frame>,
) -> Result<(), DecodeError> {
    if frame.extra.is_some() && !write_extra(st, &mut frame) {
        return Err(DecodeError::LateClash {
            ty: frame.ty.name,
            at: src.position(),
        });
    }
    st.out.buf.push(b'}');
    st.frames.push(frame);
    Ok(())
}

/// Writes the unknown members, after giving way to each other: a child has its name, an attribute of that name
/// gets a suffix, and an `id` made from `uid` yields to a real one. False if what must give way is out of reach.
#[cold]
fn write_extra(st: &mut State<'_>, frame: &mut Frame) -> bool {
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
    st.out.buf = json;
    true
}
