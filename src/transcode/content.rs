//! JSON → XML: one value as the text of an element or an attribute.
//!
//! What is written already as EM wants it is not copied before it is in the document.

use std::borrow::Cow;

use super::MIRROR;
use super::error::FieldFaultKind;
use super::json::Token;
use super::scalar;
use super::xml::{At, Fitness, Xml, fitness};
use crate::catalogue::{Catalogue, Field, Role, Scalar, Value};
use crate::text::upper_first;

/// EM's "never".
const NEVER: &str = "1753-01-01T00:00:00Z";

/// What turns values into EM's.
pub(super) struct Content<'a> {
    pub catalogue: &'static Catalogue,
    /// The address of the mirror.
    pub mirror: &'a str,
}

impl Content<'_> {
    /// Writes a scalar; nothing for null, but EM's "never" for a time. What is refused is not written.
    pub(super) fn scalar(
        &self,
        xml: &mut Xml,
        at: At,
        field: &'static Field,
        token: Token<'_>,
    ) -> Result<(), FieldFaultKind> {
        let mut plain = |text: &str| {
            xml.put(at, "", text, true);
            Ok(())
        };
        match (field.value, token) {
            (Value::Scalar(Scalar::DateTime), Token::Null) => plain(NEVER),
            (_, Token::Null) => plain(""),
            (Value::Enum(id), Token::String(text)) => {
                let known = self.catalogue.enumeration(id);
                match known.find(&text.get()) {
                    Some(word) => plain(word),
                    None => {
                        let all = known.values.iter().chain(&*known.observed);
                        Err(FieldFaultKind::Enum(all.copied().collect()))
                    }
                }
            }
            (Value::Scalar(Scalar::Boolean), Token::Bool(true)) => plain("true"),
            (Value::Scalar(Scalar::Boolean), Token::Bool(false)) => plain("false"),
            (Value::Scalar(Scalar::Int | Scalar::Long), Token::Number(text)) => match integer(text) {
                Some(text) => plain(&text),
                None => Err(FieldFaultKind::Type("a whole number of at most 64 bits")),
            },
            (Value::Scalar(Scalar::Decimal), Token::Number(text)) => plain(text),
            (Value::Scalar(Scalar::DateTime), Token::String(text)) => match date_time(&text.get()) {
                Some(text) => plain(&text),
                None => Err(FieldFaultKind::Type("a date-time such as 2026-01-31T12:00:00Z")),
            },
            (Value::Scalar(scalar), Token::String(text)) if scalar.is_text() => {
                self.text(xml, at, field.role, &text.get())
            }
            (wanted, _) => Err(FieldFaultKind::Type(match wanted {
                Value::Scalar(Scalar::Boolean) => "true or false",
                Value::Scalar(Scalar::Int | Scalar::Long) => "a whole number",
                Value::Scalar(Scalar::Decimal) => "a number",
                Value::Scalar(_) | Value::Enum(_) => "a string",
                Value::Type(_) => "an object",
            })),
        }
    }

    pub(super) fn text(&self, xml: &mut Xml, at: At, role: Role, text: &str) -> Result<(), FieldFaultKind> {
        let is_plain = match fitness(text) {
            Fitness::Plain => true,
            Fitness::Escaped => false,
            Fitness::Unfit => return Err(FieldFaultKind::Character),
        };
        match role {
            Role::Plain | Role::Uid => xml.put(at, "", text, is_plain),
            Role::Url => {
                let (head, rest) = em_url(self.mirror, text);
                xml.put(at, head, rest, is_plain);
            }
            Role::Relation => match self.catalogue.relation(text) {
                Some(known) => xml.put(at, "", known, true),
                None => xml.put(at, "", &upper_first(text), is_plain),
            },
        }
        Ok(())
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
fn date_time(text: &str) -> Option<Cow<'_, str>> {
    if scalar::is_written_date_time(text) {
        return Some(Cow::Borrowed(text));
    }
    match scalar::date_time(text)? {
        scalar::DateTime::Never => Some(Cow::Borrowed(NEVER)),
        at @ scalar::DateTime::At { .. } => {
            let mut out = Vec::with_capacity(32);
            scalar::write_date_time(at, &mut out);
            out.retain(|byte| *byte != b'"');
            String::from_utf8(out).ok().map(Cow::Owned)
        }
    }
}

/// The gateway's URL as a path of EM's, what is before it and the rest: `/api/v1/em/jobs` → `/api` and `/jobs`, absolute
/// or not; others stay.
fn em_url<'u>(mirror: &str, url: &'u str) -> (&'static str, &'u str) {
    match url.strip_prefix(mirror).or_else(|| url.strip_prefix(MIRROR)) {
        Some(rest) if rest.is_empty() || rest.starts_with(['/', '?', '#']) => ("/api", rest),
        _ => ("", url),
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
        let (head, rest) = em_url(BELOW, ours);
        assert_eq!([head, rest].concat(), em);
    }
}
