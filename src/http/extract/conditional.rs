//! Conditional requests (RFC 9110 section 13): entity tags for what can be edited.

use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
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

    /// Whether the caller has the state of this tag already (`If-None-Match`).
    #[must_use]
    pub fn know(&self, tag: &str) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| {
            tags.iter()
                .any(|known| known == "*" || opaque(known) == opaque(tag))
        })
    }

    /// Tags `response`, or answers 304 when the caller has it already (weak comparison, RFC 9110 section 8.8.3.2).
    #[must_use]
    pub fn tagged(&self, tag: &str, response: Response) -> Response {
        let response = if self.know(tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            response
        };
        ([(ETAG, tag)], response).into_response()
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
        let if_match = tags(&parts.headers, &IF_MATCH).map_err(|Unreadable| {
            // Whoever sends one wants a write to be guarded.
            let detail = "must be entity tags in double quotes, separated by commas, or *";
            Problem::fault("If-Match", detail)
        })?;
        Ok(Self {
            if_match,
            // A malformed one is ignored: the caller only gets a copy of what it has.
            if_none_match: tags(&parts.headers, &IF_NONE_MATCH).unwrap_or_default(),
        })
    }
}

/// The header is no list of entity tags.
struct Unreadable;

/// The entity tags of all headers of this name; none where there is no such header.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Vec<String>>, Unreadable> {
    let mut all = None;
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| Unreadable)?;
        let tags = tag_list(text).ok_or(Unreadable)?;
        all.get_or_insert_with(Vec::new)
            .extend(tags.into_iter().map(ToOwned::to_owned));
    }
    Ok(all)
}

/// `*`, or at least one entity tag (RFC 9110 section 8.8.3); empty places between commas are skipped.
fn tag_list(text: &str) -> Option<Vec<&str>> {
    let mut rest = text.trim();
    if rest == "*" {
        return Some(vec![rest]);
    }
    let mut tags = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return (!tags.is_empty()).then_some(tags);
        }
        let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?;
        let (opaque, after) = quoted.split_once('"')?;
        let tag = rest.strip_suffix(after)?;
        let after = after.trim_start_matches([' ', '\t']);
        if !opaque.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e))
            || !(after.is_empty() || after.starts_with(','))
        {
            return None;
        }
        tags.push(tag);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("*", &["*"])]
    #[case(" * ", &["*"])]
    #[case("\"abc\"", &["\"abc\""])]
    #[case("W/\"abc\"", &["W/\"abc\""])]
    #[case("\"\"", &["\"\""])]
    #[case("\"a,b\" , W/\"c\",,\"d\"", &["\"a,b\"", "W/\"c\"", "\"d\""])]
    fn entity_tags_are_read_whole(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(tag_list(text).as_deref(), Some(expected));
    }

    #[rstest]
    #[case("")]
    #[case(",")]
    #[case("abc")]
    #[case("\"abc")]
    #[case("\"a\" \"b\"")]
    #[case("w/\"a\"")]
    #[case("*, \"a\"")]
    #[case("\"a b\"")]
    fn what_is_no_list_of_entity_tags_is_not_read(#[case] text: &str) {
        assert_eq!(tag_list(text), None);
    }
}
