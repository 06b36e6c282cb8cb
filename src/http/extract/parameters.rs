//! The query as text: which parameters a route knows, each given once, each of them clean text.
//!
//! Checked where a route is registered, before its handler runs, so that a parameter that is not read is refused and
//! never ignored: a caller who writes `?dryRun=true` must not start a failover.

use std::borrow::Cow;

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use crate::domain::field_error::FieldError;
use crate::http::problem::Problem;

/// The query parameters of a route.
#[derive(Debug, Clone, Copy)]
pub struct KnownParameters(&'static [&'static str]);

impl KnownParameters {
    /// Those of these names.
    #[must_use]
    pub const fn new(names: &'static [&'static str]) -> Self {
        Self(names)
    }

    /// Whether all parameters of a request are known to its route, each given once.
    ///
    /// # Errors
    /// 422 that names the others.
    pub fn check(self, uri: &Uri) -> Result<(), Problem> {
        match uri.query() {
            None | Some("") => Ok(()),
            Some(query) => check(query, self.0),
        }
    }
}

fn check(query: &str, known: &[&str]) -> Result<(), Problem> {
    let pairs = pairs(query)?;
    let mut seen: Vec<&str> = Vec::new();
    let mut faults: Vec<FieldError> = Vec::new();
    for (name, _) in &pairs {
        let detail = if !known.contains(&name.as_str()) {
            unknown(known)
        } else if seen.contains(&name.as_str()) {
            "is given more than once".to_owned()
        } else {
            seen.push(name);
            continue;
        };
        let fault = FieldError::new(name, detail);
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(faults))
    }
}

fn unknown(known: &[&str]) -> String {
    if known.is_empty() {
        "there is no such parameter; none are known here".to_owned()
    } else {
        format!("there is no such parameter; known here: {}", known.join(", "))
    }
}

/// Names and values of a query, decoded.
///
/// # Errors
/// 422 naming each parameter that is not UTF-8 when decoded, or that contains U+0000.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs = Vec::new();
    let mut faults: Vec<FieldError> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (raw, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, detail) = match (text(raw), text(value)) {
            (Ok(name), Ok(value)) => {
                pairs.push((name, value));
                continue;
            }
            // A name that is no text is quoted as it was written.
            (Err(detail), _) => (raw.to_owned(), detail),
            (Ok(name), Err(detail)) => (name, detail),
        };
        faults.push(FieldError::new(name, detail));
    }
    if faults.is_empty() {
        Ok(pairs)
    } else {
        Err(Problem::invalid(faults))
    }
}

/// The text of an encoded name or value.
fn text(raw: &str) -> Result<String, &'static str> {
    let spaced: Cow<'_, str> = if raw.contains('+') {
        raw.replace('+', " ").into()
    } else {
        raw.into()
    };
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(text) if text.contains('\0') => Err("contains the character U+0000 (%00), which is not allowed"),
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err("is not UTF-8 when its percent-encoding is decoded"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn refused(query: &str, known: &[&str]) -> Vec<String> {
        match check(query, known) {
            Ok(()) => Vec::new(),
            Err(problem) => problem
                .faults()
                .iter()
                .map(|fault| fault.pointer.clone())
                .collect(),
        }
    }

    #[rstest]
    #[case("", &[])]
    #[case("&&", &[])]
    #[case("page=1&pageSize=", &[])]
    #[case("p%61ge=1", &[])]
    #[case("page", &[])]
    #[case("x=1", &["x"])]
    #[case("x", &["x"])]
    #[case("=1", &[""])]
    #[case("Page=1", &["Page"])]
    #[case("x=1&page=1&x=2&y=3", &["x", "y"])]
    #[case("page=1&page=1&p%61ge=1", &["page"])]
    #[case("page=%FF", &["page"])]
    #[case("page=%C3&pageSize=%00", &["page", "pageSize"])]
    #[case("p%FF=1", &["p%FF"])]
    #[case("p%00=1", &["p%00"])]
    fn only_known_parameters_that_are_given_once_as_text_pass(#[case] query: &str, #[case] faults: &[&str]) {
        assert_eq!(refused(query, &["page", "pageSize"]), faults);
    }

    #[test]
    fn a_route_without_parameters_knows_none() {
        assert_eq!(refused("x=1", &[]), ["x"]);
        let problem = check("x=1", &[]).expect_err("refused");
        assert!(problem.faults()[0].detail.ends_with("none are known here"));
    }

    #[rstest]
    #[case("a=b%20c+d&%C3%A4=%2B", &[("a", "b c d"), ("ä", "+")])]
    #[case("a=%zz&b=1=2", &[("a", "%zz"), ("b", "1=2")])]
    fn names_and_values_are_decoded(#[case] query: &str, #[case] expected: &[(&str, &str)]) {
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(pairs(query).expect("text"), expected);
    }
}
