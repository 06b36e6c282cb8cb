//! EM's filter language: parsed, checked against a query's fields, and written anew.
//!
//! `Name=="x y";State==Working,(Result!=Success)`: comparisons joined by `;` (and) and `,` (or), parentheses group. EM
//! answers a bad filter with status 500 and drops blanks outside quotes, so nothing is sent that was not understood
//! here (pages `query_comparison`, `query_and_or`, `query_grouping`, `optional_query_parameters`). What is written has
//! EM's spelling of names and enumeration values and quotes around all other values; the structure stays as given.

use super::{Catalogue, Query, QueryField, Scalar, Value};

/// Longer filters are refused; a URL has to hold them.
const MAX_LENGTH: usize = 4096;
/// Deeper nesting is refused.
const MAX_DEPTH: usize = 32;

/// Longest first, so that `<=` is not read as `<`.
const OPERATORS: [&str; 6] = ["==", "!=", "<=", ">=", "<", ">"];

/// A mistake in a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at position {position}: {message}")]
pub struct FilterError {
    /// Where, in characters from 1.
    pub position: usize,
    /// What is wrong and what is allowed, for people.
    pub message: String,
}

/// Checks `filter` for `query` and writes it as EM is to get it.
///
/// # Errors
/// [`FilterError`] with the position of the first mistake.
pub fn rewrite(catalogue: &Catalogue, query: &Query, filter: &str) -> Result<String, FilterError> {
    let mut parser = Parser {
        catalogue,
        query,
        text: filter,
        at: 0,
        depth: 0,
        out: String::with_capacity(filter.len() + 16),
    };
    if filter.len() > MAX_LENGTH {
        return Err(parser.fault(format!("the filter is longer than {MAX_LENGTH} bytes")));
    }
    parser.expression()?;
    match parser.peek() {
        None => Ok(parser.out),
        Some(')') => Err(parser.fault("this parenthesis closes nothing".to_owned())),
        Some(_) => Err(parser.fault("expected ; (and), , (or), or the end".to_owned())),
    }
}

/// The names of a query's fields, for messages.
#[must_use]
pub fn field_names(query: &Query) -> String {
    query
        .fields
        .iter()
        .map(|field| field.name)
        .collect::<Vec<_>>()
        .join(", ")
}

struct Parser<'a> {
    catalogue: &'a Catalogue,
    query: &'a Query,
    text: &'a str,
    at: usize,
    depth: usize,
    out: String,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character that is no blank, without taking it.
    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(' ').len();
        self.rest().chars().next()
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.peek().is_some() && self.rest().starts_with(token);
        if found {
            self.at += token.len();
            self.out.push_str(token);
        }
        found
    }

    fn fault(&self, message: String) -> FilterError {
        self.fault_at(self.at, message)
    }

    fn fault_at(&self, at: usize, message: String) -> FilterError {
        let position = self.text.get(..at).map_or(0, |before| before.chars().count()) + 1;
        FilterError { position, message }
    }

    fn expression(&mut self) -> Result<(), FilterError> {
        loop {
            self.factor()?;
            if !self.take(";") && !self.take(",") {
                return Ok(());
            }
        }
    }

    fn factor(&mut self) -> Result<(), FilterError> {
        if !self.take("(") {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fault(format!("parentheses are nested deeper than {MAX_DEPTH}")));
        }
        self.expression()?;
        if !self.take(")") {
            return Err(self.fault("expected ) or ; (and) or , (or)".to_owned()));
        }
        self.depth -= 1;
        Ok(())
    }

    fn comparison(&mut self) -> Result<(), FilterError> {
        self.peek();
        let start = self.at;
        let name = self.word();
        let names = || field_names(self.query);
        if name.is_empty() {
            return Err(self.fault(format!("expected a field, one of {}, or (", names())));
        }
        let Some(field) = self.query.field(name) else {
            return Err(self.fault_at(
                start,
                format!(
                    "{} has no field {name} to filter by; it has {}",
                    self.query.name,
                    names()
                ),
            ));
        };
        self.out.push_str(field.name);
        if !OPERATORS.iter().any(|operator| self.take(operator)) {
            return Err(self.fault(format!(
                "expected an operator after {}, one of {}",
                field.name,
                OPERATORS.join(" ")
            )));
        }
        self.peek();
        let start = self.at;
        let value = self.value()?;
        let written = self
            .checked(field, &value)
            .map_err(|message| self.fault_at(start, message))?;
        self.out.push_str(&written);
        Ok(())
    }

    /// Letters, digits and underscores.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn value(&mut self) -> Result<String, FilterError> {
        if !self.rest().starts_with('"') {
            let word = self.word();
            return match self.rest().chars().next() {
                _ if word.is_empty() => Err(self.fault("expected a value: letters, digits and _, or any text in double quotes".to_owned())),
                None | Some(';' | ',' | ')' | ' ') => Ok(word.to_owned()),
                Some(letter) => Err(self.fault(format!(
                    "{letter:?} needs the value in double quotes; without them only letters, digits and _ are allowed"
                ))),
            };
        }
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        loop {
            let rest = self.rest();
            let Some(end) = rest.find('"') else {
                return Err(self.fault_at(
                    start,
                    "the quoted value does not end; write a quote within it twice".to_owned(),
                ));
            };
            value.push_str(rest.get(..end).unwrap_or_default());
            self.at += end + 1;
            if !self.rest().starts_with('"') {
                break;
            }
            value.push('"');
            self.at += 1;
        }
        if value.chars().any(char::is_control) {
            return Err(self.fault_at(start, "control characters are not allowed in a value".to_owned()));
        }
        Ok(value)
    }

    /// The value as EM is to get it.
    fn checked(&self, field: &QueryField, value: &str) -> Result<String, String> {
        let expects = |what: &str| format!("{} takes {what}, not {value:?}", field.name);
        match field.value {
            Value::Enum(id) => {
                let known = self.catalogue.enumeration(id);
                known.find(value).map(ToOwned::to_owned).ok_or_else(|| {
                    let values: Vec<&str> = known.values.iter().chain(&*known.observed).copied().collect();
                    expects(&format!("one of {}", values.join(", ")))
                })
            }
            Value::Scalar(scalar) => scalar_value(scalar, value).ok_or_else(|| expects(expected(scalar))),
            Value::Type(_) => Ok(quoted(value)),
        }
    }
}

/// A value as a text of EM's filter language: in quotes, quotes within it doubled.
#[must_use]
pub fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}

/// Numbers and moments are printed anew: what a lenient reader here takes, EM may not.
fn scalar_value(scalar: Scalar, value: &str) -> Option<String> {
    match scalar {
        Scalar::String | Scalar::Url | Scalar::Time => Some(quoted(value)),
        Scalar::Uuid => is_uuid(value).then(|| quoted(value)),
        // EM takes the bare GUID as well as the URN (catalogue: quirks, query).
        Scalar::Urn => is_id(value).then(|| quoted(value)),
        Scalar::Int | Scalar::Long => value.parse::<i64>().ok().map(|number| {
            if number < 0 {
                quoted(&number.to_string())
            } else {
                number.to_string()
            }
        }),
        Scalar::Decimal => value
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map(|_| quoted(value)),
        Scalar::Boolean => match value.to_ascii_lowercase().as_str() {
            "true" | "1" => Some("True".to_owned()),
            "false" | "0" => Some("False".to_owned()),
            _ => None,
        },
        Scalar::DateTime => moment(value).map(|moment| quoted(&moment)),
    }
}

/// A day, a local time or a moment, printed anew. A day stays a day: EM gives it a meaning of its own.
fn moment(value: &str) -> Option<String> {
    // A time zone in brackets (RFC 9557) would be dropped unheard.
    if value.contains('[') {
        return None;
    }
    if let Ok(moment) = value.parse::<jiff::Timestamp>() {
        return Some(moment.to_string());
    }
    if value.contains(['T', 't', ' ', ':']) {
        let local = value.parse::<jiff::civil::DateTime>().ok();
        return local.map(|local| local.to_string());
    }
    let day = value.parse::<jiff::civil::Date>().ok();
    day.map(|day| day.to_string())
}

/// Whether EM takes `value` as the id of something in a filter.
#[must_use]
pub fn is_id(value: &str) -> bool {
    is_uuid(value) || is_urn(value)
}

fn is_uuid(value: &str) -> bool {
    value.len() == 36 && uuid::Uuid::try_parse(value).is_ok()
}

/// `urn:NAMESPACE:TYPE:ID`, as EM writes all of its own.
fn is_urn(value: &str) -> bool {
    let mut parts = value.splitn(4, ':');
    let scheme = parts.next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("urn") && parts.filter(|part| !part.is_empty()).count() == 3
}

const fn expected(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::String | Scalar::Url | Scalar::Time => "text",
        Scalar::Uuid => "a UUID such as \"3f56fa52-c902-4655-9774-2022fde214d2\"",
        Scalar::Urn => "a UUID or a URN such as \"urn:veeam:Job:3f56fa52-c902-4655-9774-2022fde214d2\"",
        Scalar::Int | Scalar::Long => "a whole number",
        Scalar::Decimal => "a number",
        Scalar::Boolean => "true or false",
        Scalar::DateTime => "a date such as \"2026-01-31\" or a timestamp such as \"2026-01-31T12:00:00Z\"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::catalogue;

    fn sessions(filter: &str) -> Result<String, FilterError> {
        rewrite(
            catalogue(),
            catalogue().query("cloudfailoversession").expect("a query"),
            filter,
        )
    }

    #[test]
    fn a_filter_is_rewritten_in_ems_spelling() {
        for (given, sent) in [
            ("name==abc", r#"Name=="abc""#),
            (r#"NAME=="it ""is"" so""#, r#"Name=="it ""is"" so""#),
            ("state==working;result!=failed", "State==Working;Result!=Failed"),
            (
                r#"(State==Stopped , state==working) ; creationtime>="2026-01-31""#,
                r#"(State==Stopped,State==Working);CreationTime>="2026-01-31""#,
            ),
            (
                r#"CreationTime<"2026-01-31T12:00:00Z""#,
                r#"CreationTime<"2026-01-31T12:00:00Z""#,
            ),
        ] {
            assert_eq!(sessions(given).as_deref(), Ok(sent), "{given}");
        }
    }

    #[test]
    fn numbers_timestamps_and_ids_are_normalised_or_refused() {
        let repositories = |filter: &str| {
            let query = catalogue().query("Repository").expect("a query");
            rewrite(catalogue(), query, filter)
        };
        for (given, sent) in [
            ("FreeSpace>=\"+5\"", "FreeSpace>=5"),
            ("FreeSpace>=\"-5\"", "FreeSpace>=\"-5\""),
            ("FreeSpace==007", "FreeSpace==7"),
            (
                "UID==\"urn:veeam:Repository:3f56fa52-c902-4655-9774-2022fde214d2\"",
                "UID==\"urn:veeam:Repository:3f56fa52-c902-4655-9774-2022fde214d2\"",
            ),
            (
                "uid==\"3f56fa52-c902-4655-9774-2022fde214d2\"",
                "UID==\"3f56fa52-c902-4655-9774-2022fde214d2\"",
            ),
        ] {
            assert_eq!(repositories(given).as_deref(), Ok(sent), "{given}");
        }
        for wrong in [
            "UID==2afceca8",
            "UID==\"\"",
            "UID==\"urn:veeam:Repository:\"",
            "FreeSpace==\"5 GB\"",
        ] {
            let error = repositories(wrong).expect_err(wrong);
            assert!(error.message.contains(" takes a "), "{wrong}: {error}");
        }
        for (given, sent) in [
            ("CreationTime>20260131", "CreationTime>\"2026-01-31\""),
            (
                "CreationTime>\"2026-01-31T12\"",
                "CreationTime>\"2026-01-31T12:00:00\"",
            ),
            (
                "CreationTime>\"2026-01-31T12:00:00+02:00\"",
                "CreationTime>\"2026-01-31T10:00:00Z\"",
            ),
        ] {
            assert_eq!(sessions(given).as_deref(), Ok(sent), "{given}");
        }
        assert!(sessions("CreationTime>\"2026-01-31T12:00:00[Europe/Berlin]\"").is_err());
    }

    #[test]
    fn what_names_a_thing_is_an_id_in_every_query() {
        for query in catalogue().queries() {
            for field in query
                .fields
                .iter()
                .filter(|field| field.name.eq_ignore_ascii_case("uid"))
            {
                assert_eq!(field.value, Value::Scalar(Scalar::Urn), "{}", query.name);
                let wrong = rewrite(catalogue(), query, &format!("{}==zzz", field.name));
                assert!(wrong.is_err(), "{}", query.name);
            }
        }
    }

    #[test]
    fn every_mistake_in_a_filter_names_its_position() {
        for (given, position, says) in [
            ("", 1, "expected a field"),
            ("Size==1", 1, "has no field Size"),
            ("Name", 5, "expected an operator"),
            ("Name=x", 5, "expected an operator"),
            ("Name==", 7, "expected a value"),
            ("Name=='a'", 7, "double quotes"),
            ("Name==a b", 9, "expected ; (and)"),
            ("Name==a-b", 8, "double quotes"),
            (r#"Name=="open"#, 7, "does not end"),
            ("State==Flying", 8, "one of Starting, Stopping, Working, Stopped"),
            ("CreationTime>yesterday", 14, "a date such as"),
            ("(Name==a", 9, "expected )"),
            ("Name==a)", 8, "closes nothing"),
            ("Name==a;", 9, "expected a field"),
            ("Name==a||Name==b", 8, "double quotes"),
            ("ä==1", 1, "expected a field"),
        ] {
            let error = sessions(given).expect_err(given);
            assert_eq!(error.position, position, "{given}: {error}");
            assert!(error.message.contains(says), "{given}: {error}");
        }
    }

    #[test]
    fn hostile_filters_end_in_an_error() {
        assert!(sessions(&"(".repeat(1000)).is_err());
        assert!(sessions(&format!("Name==\"{}\"", "x".repeat(5000))).is_err());
        assert!(sessions("Name==\"a\u{0}b\"").is_err());
    }

    proptest::proptest! {
        #[test]
        fn rewriting_a_filter_is_idempotent(text in ".{0,60}") {
            if let Ok(once) = sessions(&text) {
                proptest::prop_assert_eq!(sessions(&once), Ok(once));
            }
        }

        #[test]
        fn any_value_survives_its_quotes(value in "[^\\p{Cc}]{0,40}") {
            let sent = sessions(&format!("Name=={}", quoted(&value))).expect("a filter");
            proptest::prop_assert_eq!(sent, format!("Name=={}", quoted(&value)));
        }
    }
}
