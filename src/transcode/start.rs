//! Start tags of known types: attributes into members, and what some attributes mean (`UID`, `Href`, `Rel`, `nil`).

use super::attributes::Attributes;
use super::decode::local;
use super::error::{DecodeError, excerpt};
use super::frame::Frame;
use super::leaf::typed_text;
use super::source::Tag;
use super::state::State;
use super::text::{self, Raw};
use super::{AnomalyKind, scalar, unknown};
use crate::catalogue::{Field, Place, Role, TypeDef, Value};
use crate::text::lower_camel;

/// Writes `{` and the attributes.
#[inline]
pub(super) fn begin(
    st: &mut State<'_>,
    ty: &'static TypeDef,
    tag: &Tag<'_>,
) -> Result<Box<Frame>, DecodeError> {
    let mut frame = Frame::new(st, ty);
    if !tag.attributes.is_empty() {
        attributes(st, &mut frame, tag)?;
    }
    Ok(frame)
}

fn attributes(st: &mut State<'_>, frame: &mut Frame, tag: &Tag<'_>) -> Result<(), DecodeError> {
    let ty = frame.ty;
    let mut others: Vec<&str> = Vec::new();
    let mut all = Attributes::new(tag.attributes, tag.attributes_at());
    for nth in 0.. {
        // Elements of a type have their attributes in one order throughout a document.
        let guess = st.habit(ty, nth);
        if let Some(field) = ty.fields.get(guess)
            && field.place == Place::Attribute
            && frame.seen & (1 << guess) == 0
            && let Some((value, at)) = all.next_if(&field.lead)
        {
            frame.seen |= 1 << guess;
            attribute(st, frame, field, value, at)?;
            continue;
        }
        let Some(a) = all.next()? else { break };
        let Some((index, field)) = ty.attribute(a.name.as_bytes()) else {
            if others.contains(&a.name) || others.len() >= 256 {
                return Err(twice(a.name, a.at));
            }
            others.push(a.name);
            other_attribute(st, frame, a.name, a.value, a.at)?;
            continue;
        };
        if frame.seen & (1 << index) != 0 {
            return Err(twice(a.name, a.at));
        }
        frame.seen |= 1 << index;
        st.learn(ty, nth, index);
        attribute(st, frame, field, a.value, a.at)?;
    }
    Ok(())
}

#[cold]
pub(super) fn twice(name: &str, at: u64) -> DecodeError {
    DecodeError::Malformed {
        what: format!("attribute {} twice, or too many", excerpt(name)),
        at,
    }
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

/// An attribute that the type does not have by this spelling.
#[cold]
fn other_attribute(
    st: &mut State<'_>,
    frame: &mut Frame,
    name: &str,
    value: &str,
    at: u64,
) -> Result<(), DecodeError> {
    if is_namespace_machinery(name) {
        frame.nil |= is_nil(name, value);
        return Ok(());
    }
    let ty = frame.ty;
    let known = ty.attribute(local(name).as_bytes()).or_else(|| {
        ty.by_json(&lower_camel(local(name)))
            .filter(|(_, field)| field.place == Place::Attribute)
    });
    if let Some((index, field)) = known {
        if field.name != local(name) {
            st.note(AnomalyKind::UnknownName, ty.name, name);
        }
        if frame.seen & (1 << index) != 0 {
            return Err(twice(name, at));
        }
        frame.seen |= 1 << index;
        return attribute(st, frame, field, value, at);
    }
    st.note(AnomalyKind::UnknownName, ty.name, name);
    let (key, json) = unknown::attribute(st.mirror, name, value, at)?;
    frame.extra().add(st, &key, true, &json)?;
    if local(name) == "UID"
        && let Some(id) = unknown::urn_id(value)
    {
        let mut json = Vec::new();
        text::write_json_string(id, &mut json);
        frame.extra().add(st, "id", true, &json)?;
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
        plain_attribute(st, frame, field, raw)
    } else {
        escaped_attribute(st, frame, field, raw, at)
    }
}

/// An attribute whose value needs no escape in either format.
#[inline]
fn plain_attribute(
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    plain: &str,
) -> Result<(), DecodeError> {
    let mirror = st.mirror;
    let out = &mut st.out.buf;
    frame.key(&field.opening, out);
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
        Role::Url => {
            if let Some(rest) = below_api(plain) {
                out.push(b'"');
                out.extend_from_slice(mirror.as_bytes());
                out.extend_from_slice(rest.as_bytes());
            } else {
                out.push(b'"');
                out.extend_from_slice(plain.as_bytes());
            }
            out.push(b'"');
        }
        Role::Relation => match plain.as_bytes() {
            [first @ b'A'..=b'Z', rest @ ..] if rest.iter().all(u8::is_ascii_lowercase) => {
                out.extend_from_slice(&[b'"', first.to_ascii_lowercase()]);
                out.extend_from_slice(rest);
                out.push(b'"');
            }
            _ => text::write_json_string(&lower_camel(plain), out),
        },
    }
    Ok(())
}

/// The same for a value with references or with characters that JSON escapes.
fn escaped_attribute(
    st: &mut State<'_>,
    frame: &mut Frame,
    field: &'static Field,
    raw: &str,
    at: u64,
) -> Result<(), DecodeError> {
    let mut plain = String::with_capacity(raw.len());
    text::push_plain(raw, Raw::Attribute, at, &mut plain)?;
    if text::is_plain(&plain) {
        return plain_attribute(st, frame, field, &plain);
    }
    let mirror = st.mirror;
    let out = &mut st.out.buf;
    frame.key(&field.key, out);
    match (field.role, field.value) {
        (Role::Plain, Value::Scalar(s)) if s.is_text() => text::write_json_string(&plain, out),
        (Role::Plain, _) => return typed_text(st, frame.ty, field, &plain),
        (Role::Uid, _) => {
            text::write_json_string(&plain, out);
            if let Some(id) = unknown::urn_id(&plain).filter(|_| frame.ty.has_uid) {
                out.extend_from_slice(b",\"id\":");
                text::write_json_string(id, out);
                frame.made_id = true;
            }
        }
        (Role::Url, _) => text::write_json_string(&api_url(mirror, &plain), out),
        (Role::Relation, _) => text::write_json_string(&lower_camel(&plain), out),
    }
    Ok(())
}

/// The URL as the gateway offers it: `https://any:9398/api/jobs?x` → `/api/v1/em/jobs?x`, where `/api/v1/em` is the
/// address of the mirror; others stay.
pub(super) fn api_url(mirror: &str, url: &str) -> String {
    below_api(url).map_or_else(|| url.to_owned(), |rest| format!("{mirror}{rest}"))
}

/// What follows `/api` in a URL into EM's API, whatever host is there.
#[inline]
fn below_api(url: &str) -> Option<&str> {
    // Letters in lower case; the other bytes of `https://` stay what they are.
    const LOWER: u64 = 0x2020_2020_2020_2020;
    const HTTPS: u64 = u64::from_le_bytes(*b"https://");
    const HTTP: u64 = u64::from_le_bytes(*b"http://\0");
    let begin = url
        .as_bytes()
        .first_chunk::<8>()
        .map_or(0, |b| u64::from_le_bytes(*b) | LOWER);
    let host = match begin {
        HTTPS => 8,
        _ if begin << 8 == (HTTP | LOWER) << 8 => 7,
        _ => 0,
    };
    let mut path = url.get(host..)?;
    if host > 0 {
        path = path.get(memchr::memchr3(b'/', b'?', b'#', path.as_bytes())?..)?;
    }
    let api = path.as_bytes().first_chunk::<4>()?;
    let api = u32::from_le_bytes(*api) | 0x2020_2020 == u32::from_le_bytes(*b"/api");
    (api && matches!(path.as_bytes().get(4), None | Some(b'/' | b'?' | b'#'))).then(|| path.get(4..))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcode::MIRROR;
    use rstest::rstest;

    #[rstest]
    #[case(
        "https://localhost:9398/api/jobs/1?format=Entity",
        "/api/v1/em/jobs/1?format=Entity"
    )]
    #[case("HTTP://EM/API/Jobs", "/api/v1/em/Jobs")]
    #[case("https://em/api", "/api/v1/em")]
    #[case("https://em:9398/api?v=1", "/api/v1/em?v=1")]
    #[case("/api/jobs", "/api/v1/em/jobs")]
    #[case("https://[fe80::1]:9398/api/tasks/task-1", "/api/v1/em/tasks/task-1")]
    #[case(
        "https://em/api/catalog/vms/a%20b/C:/x%2Fy",
        "/api/v1/em/catalog/vms/a%20b/C:/x%2Fy"
    )]
    #[case("https://em/apiary", "https://em/apiary")]
    #[case("https://em", "https://em")]
    #[case("https://em?x=/api/jobs", "https://em?x=/api/jobs")]
    #[case("ftp://em/api/jobs", "ftp://em/api/jobs")]
    #[case("api/jobs", "api/jobs")]
    #[case("", "")]
    #[case("/apí/x", "/apí/x")]
    fn only_urls_of_ems_api_are_rewritten(#[case] em: &str, #[case] ours: &str) {
        assert_eq!(api_url(MIRROR, em), ours);
        let below = "https://dr.example/emgate/api/v1/em";
        assert_eq!(api_url(below, em), ours.replace(MIRROR, below));
    }
}
