//! JSON → XML: one value as the text of an element or an attribute.
//!
//! What is written already as EM wants it is not copied before it is in the document.

use std::borrow::Cow;

use super::MIRROR;
use super::encode::{Encoder, Read};
use super::error::FieldFaultKind;
use super::json::Token;
use super::scalar;
use super::xml::{At, Fitness, fitness};
use crate::catalogue::{Field, Role, Scalar, Value};
use crate::text::upper_first;

/// EM's "never".
const NEVER: &str = "1753-01-01T00:00:00Z";

impl<'a> Encoder<'a> {
    /// Writes a scalar; nothing for null, but EM's "never" for a time.
    pub(super) fn scalar(&mut self, at: At, field: &'static Field, token: Token<'a>) -> Read {
        let fault = match (field.value, token) {
            (Value::Scalar(Scalar::DateTime), Token::Null) => return self.plain(at, NEVER),
            (_, Token::Null) => return self.plain(at, ""),
            (Value::Enum(id), Token::String(text)) => {
                let known = self.catalogue.enumeration(id);
                match known.find(&text.get()) {
                    Some(word) => return self.plain(at, word),
                    None => {
                        FieldFaultKind::Enum(known.values.iter().chain(&*known.observed).copied().collect())
                    }
                }
            }
            (Value::Scalar(Scalar::Boolean), Token::Bool(true)) => return self.plain(at, "true"),
            (Value::Scalar(Scalar::Boolean), Token::Bool(false)) => return self.plain(at, "false"),
            (Value::Scalar(Scalar::Int | Scalar::Long), Token::Number(text)) => match integer(text) {
                Some(text) => return self.plain(at, &text),
                None => FieldFaultKind::Type("a whole number of at most 64 bits"),
            },
            (Value::Scalar(Scalar::Decimal), Token::Number(text)) => return self.plain(at, text),
            (Value::Scalar(Scalar::DateTime), Token::String(text)) => match date_time(&text.get()) {
                Some(text) => return self.plain(at, &text),
                None => FieldFaultKind::Type("a date-time such as 2026-01-31T12:00:00Z"),
            },
            (Value::Scalar(scalar), Token::String(text)) if scalar.is_text() => {
                if self.text(at, field.role, &text.get()) {
                    return Ok(());
                }
                FieldFaultKind::Character
            }
            (wanted, _) => FieldFaultKind::Type(match wanted {
                Value::Scalar(Scalar::Boolean) => "true or false",
                Value::Scalar(Scalar::Int | Scalar::Long) => "a whole number",
                Value::Scalar(Scalar::Decimal) => "a number",
                Value::Scalar(_) | Value::Enum(_) => "a string",
                Value::Type(_) => "an object",
            }),
        };
        self.refuse(token, fault)
    }

    fn plain(&mut self, at: At, text: &str) -> Read {
        self.xml.put(at, "", text, true);
        Ok(())
    }

    /// False, and nothing written, where XML cannot hold it.
    pub(super) fn text(&mut self, at: At, role: Role, text: &str) -> bool {
        let is_plain = match fitness(text) {
            Fitness::Plain => true,
            Fitness::Escaped => false,
            Fitness::Unfit => return false,
        };
        match role {
            Role::Plain | Role::Uid => self.xml.put(at, "", text, is_plain),
            Role::Url => {
                let (head, rest) = em_url(self.mirror, text);
                self.xml.put(at, head, rest, is_plain);
            }
            Role::Relation => match self.catalogue.relation(text) {
                Some(known) => self.xml.put(at, "", known, true),
                None => self.xml.put(at, "", &upper_first(text), is_plain),
            },
        }
        true
    }

    /// Records a fault of a value, which is read over.
    pub(super) fn refuse(&mut self, token: Token<'a>, what: FieldFaultKind) -> Read {
        self.fault(what);
        self.json.rest(token).map(drop)
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
