//! Conditional requests (RFC 9110 section 13): entity tags for what can be edited.

use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::http::HttpState;
use crate::http::problem::Problem;

/// The request's `If-Match` and `If-None-Match`.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    if_match: Option<Vec<String>>,
    if_none_match: Option<Vec<String>>,
}

impl Conditions {
    /// The entity tags of `If-Match`, as they were sent; `None` when there is no such header or it is `*`, which
    /// anything that exists fulfils.
    #[must_use]
    pub fn expected(&self) -> Option<&[String]> {
        let tags = self.if_match.as_deref()?;
        (!tags.iter().any(|tag| tag == "*")).then_some(tags)
    }

    /// Tags `response`, or answers 304 when the caller has it already (weak comparison, RFC 9110 section 8.8.3.2).
    #[must_use]
    pub fn tagged(&self, tag: &str, response: Response) -> Response {
        let known = self.if_none_match.as_ref().is_some_and(|tags| {
            tags.iter()
                .any(|known| known == "*" || opaque(known) == opaque(tag))
        });
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            response
        };
        if let Ok(tag) = HeaderValue::from_str(tag) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

/// What a tag says besides its strength.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// A strong entity tag: the hash of the representation.
#[must_use]
pub fn entity_tag(representation: &[u8]) -> String {
    use base64::Engine as _;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, representation);
    let half = hash.as_ref().get(..16).unwrap_or_default();
    format!(
        "\"{}\"",
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(half)
    )
}

impl FromRequestParts<HttpState> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &HttpState) -> Result<Self, Problem> {
        check_if_match(&parts.headers)?;
        Ok(Self {
            if_match: tags(&parts.headers, &IF_MATCH),
            if_none_match: tags(&parts.headers, &IF_NONE_MATCH),
        })
    }
}

/// Refuses an `If-Match` that is no list of entity tags: whoever sends one wants a write to be guarded.
fn check_if_match(headers: &HeaderMap) -> Result<(), Problem> {
    let fits = |value: &HeaderValue| value.to_str().is_ok_and(is_tag_list);
    if headers.get_all(IF_MATCH).iter().all(fits) {
        Ok(())
    } else {
        let detail = "must be entity tags in double quotes, separated by commas, or *";
        Err(Problem::fault("If-Match", detail))
    }
}

/// `*`, or at least one entity tag (RFC 9110 section 8.8.3); empty places between commas are read over.
fn is_tag_list(text: &str) -> bool {
    let mut rest = text.trim();
    if rest == "*" {
        return true;
    }
    let mut found = false;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return found;
        }
        let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"');
        let Some((tag, after)) = quoted.and_then(|tag| tag.split_once('"')) else {
            return false;
        };
        let after = after.trim_start_matches([' ', '\t']);
        if !tag.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e))
            || !(after.is_empty() || after.starts_with(','))
        {
            return false;
        }
        found = true;
        rest = after;
    }
}

/// The tags of a header's list. Our tags hold no comma, so that a foreign one that does merely matches nothing.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    Some(
        values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|tag| tag.trim().to_owned())
            .filter(|tag| !tag.is_empty())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("*", true)]
    #[case(" * ", true)]
    #[case("\"abc\"", true)]
    #[case("W/\"abc\"", true)]
    #[case("\"\"", true)]
    #[case("\"a,b\" , W/\"c\",,\"d\"", true)]
    #[case("", false)]
    #[case(",", false)]
    #[case("abc", false)]
    #[case("\"abc", false)]
    #[case("\"a\" \"b\"", false)]
    #[case("w/\"a\"", false)]
    #[case("*, \"a\"", false)]
    #[case("\"a b\"", false)]
    fn an_if_match_is_a_list_of_entity_tags(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_tag_list(text), expected, "{text}");
    }
}
