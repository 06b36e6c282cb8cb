//! Scalars: one piece of text as a rule, several where CDATA, references or comments stand between.

use super::decode::more;
use super::error::DecodeError;
use super::frame::Frame;
use super::out::Checkpoint;
use super::source::{Source, Token};
use super::start::api_url;
use super::state::State;
use super::text::{self, Raw};
use super::unknown::{self, Members};
use super::{AnomalyKind, scalar};
use crate::catalogue::{Field, Role, Scalar, TypeDef, Value};

/// Writes one scalar, up to its end tag.
#[inline]
pub(super) fn scalar<S: Source>(
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
    // Text goes straight into a JSON string, everything else is gathered and parsed at the end.
    let direct = as_text && field.role == Role::Plain;
    let mark = st.out.mark();
    let mut gathered = std::mem::take(&mut st.scratch);
    gathered.clear();
    let mut any = false;
    if direct {
        st.out.buf.push(b'"');
    }
    loop {
        let at = src.position();
        match &src.next() {
            Ok(Token::End) => break,
            Ok(Token::Text(t)) if direct => {
                any = true;
                text::write_json(t, Raw::Text, at, &mut st.out.buf)?;
            }
            // Taken as it is: what parses as a number, a time or a known value holds nothing that needs care.
            Ok(Token::Text(t)) if !as_text => gathered.push_str(t),
            Ok(Token::CData(t)) if direct => {
                any |= !t.is_empty();
                text::write_json(t, Raw::CData, at, &mut st.out.buf)?;
            }
            Ok(Token::Reference(name)) if direct => {
                any = true;
                text::write_json_char(text::reference(name, at)?, &mut st.out.buf);
            }
            Ok(Token::Start(tag)) => {
                let start = unknown::open(st, tag)?;
                child(src, st, frame, field, (start, false))?;
            }
            Ok(Token::Empty(tag)) => {
                let start = unknown::open(st, tag)?;
                child(src, st, frame, field, (start, true))?;
            }
            Ok(other) => text::push_token(other, at, &mut gathered)?,
            Err(e) => return Err(e.clone()),
        }
    }
    if direct {
        st.out.buf.push(b'"');
        if nil && !any {
            null_instead(st, mark);
        }
    } else if nil && gathered.is_empty() {
        st.out.buf.extend_from_slice(b"null");
    } else {
        typed_text(st, frame.ty, field, &gathered)?;
    }
    st.scratch = gathered;
    Ok(())
}

#[cold]
fn null_instead(st: &mut State<'_>, mark: Checkpoint) {
    if st.out.rewind(mark) {
        st.out.buf.extend_from_slice(b"null");
    }
}

/// A child where only text should be.
#[cold]
fn child<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    ((key, members, nil), empty): ((String, Members, bool), bool),
) -> Result<(), DecodeError> {
    st.enter(src.position())?;
    let json = unknown::element(src, st, members, nil, empty)?;
    st.leave();
    src.skip_blanks(false);
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
    let mirror = st.mirror;
    let out = &mut st.out.buf;
    let scalar = match field.value {
        Value::Scalar(Scalar::Url) => {
            write_plain(&api_url(mirror, plain), out);
            return Ok(());
        }
        Value::Scalar(s) if s.is_text() => {
            write_plain(plain, out);
            return Ok(());
        }
        Value::Scalar(s) => Some(s),
        Value::Enum(_) | Value::Type(_) => None,
    };
    if scalar == Some(Scalar::DateTime) && scalar::write_plain_date_time(plain, out) {
        return Ok(());
    }
    let trimmed = scalar::trim(plain);
    if trimmed.is_empty() {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let parsed = match scalar {
        Some(Scalar::Int | Scalar::Long) => scalar::write_integer(trimmed, out),
        Some(Scalar::Decimal) => scalar::write_decimal(trimmed, out),
        Some(Scalar::Boolean) => scalar::boolean(trimmed).is_some_and(|value| {
            out.extend_from_slice(if value { b"true" } else { b"false" });
            true
        }),
        Some(Scalar::DateTime) => scalar::date_time(trimmed).is_some_and(|value| {
            scalar::write_date_time(value, out);
            true
        }),
        _ => {
            if let Value::Enum(id) = field.value
                && !st.catalogue.enumeration(id).knows(trimmed.as_bytes())
            {
                unparsed(st, trimmed)?;
                st.note(AnomalyKind::UnknownValue, ty.name, field.name);
            } else {
                st.out.buf.push(b'"');
                st.out.buf.extend_from_slice(trimmed.as_bytes());
                st.out.buf.push(b'"');
            }
            return Ok(());
        }
    };
    if !parsed {
        unparsed(st, plain)?;
        st.note(AnomalyKind::UnparsedValue, ty.name, field.name);
    }
    Ok(())
}

/// A value that is none of its type: the text, with the care that other text gets.
#[cold]
fn unparsed(st: &mut State<'_>, plain: &str) -> Result<(), DecodeError> {
    st.out.buf.push(b'"');
    text::write_json(plain, Raw::CData, 0, &mut st.out.buf)?;
    st.out.buf.push(b'"');
    Ok(())
}

/// A JSON string of text that mostly needs no escape.
#[inline]
fn write_plain(plain: &str, out: &mut Vec<u8>) {
    if text::is_plain(plain) {
        out.push(b'"');
        out.extend_from_slice(plain.as_bytes());
        out.push(b'"');
    } else {
        text::write_json_string(plain, out);
    }
}
