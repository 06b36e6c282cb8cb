//! Query parameters: one struct is both the reader and the documentation, so that the two cannot disagree.
//!
//! A value that does not fit is 422, naming its parameter. Unknown parameters are refused before, where the route is
//! registered (`parameters`).

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::id::{EmId, EndpointId, OperationId};
use crate::http::HttpState;
use crate::http::openapi::constraints;
use crate::http::problem::Problem;
use crate::text::{MOMENT, moment};

/// The query, read into a struct that derives `Deserialize` and `IntoParams`.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<HttpState> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &HttpState) -> Result<Self, Problem> {
        read(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let name = error.path().to_string();
        let name = if name == "." { String::new() } else { name };
        Problem::fault(name, error.into_inner().to_string())
    })
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D, expected: &str) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| D::Error::custom(format!("`{text}` is not {expected}")))
}

/// `true` or `false`.
///
/// # Errors
/// What was expected.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    parsed(deserializer, "true or false")
}

/// A whole number from one to another.
///
/// # Errors
/// What was expected.
pub fn bounded<'de, D: Deserializer<'de>>(deserializer: D, least: u32, most: u32) -> Result<u32, D::Error> {
    let expected = if most == u32::MAX {
        format!("a whole number from {least}")
    } else {
        format!("a whole number from {least} to {most}")
    };
    let number: u32 = parsed(deserializer, &expected)?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(D::Error::custom(format!("`{number}` is not {expected}")))
    }
}

/// How many items a page holds, 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(pub u32);

impl Default for PageSize {
    fn default() -> Self {
        Self(50)
    }
}

impl<'de> Deserialize<'de> for PageSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, 100).map(Self)
    }
}

impl PartialSchema for PageSize {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(100))
            .default(Some(50.into()))
            .into()
    }
}

impl ToSchema for PageSize {}

/// The number of a page, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageNumber(pub u32);

impl Default for PageNumber {
    fn default() -> Self {
        Self(1)
    }
}

impl<'de> Deserialize<'de> for PageNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, u32::MAX).map(Self)
    }
}

impl PartialSchema for PageNumber {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(u32::MAX))
            .default(Some(1.into()))
            .into()
    }
}

impl ToSchema for PageNumber {}

/// A word of a closed list, for filters and sorting.
pub trait EnumParam: Sized + Clone + 'static {
    /// Every word there is.
    fn words() -> Vec<&'static str>;

    /// Reads one of them.
    fn parse(word: &str) -> Option<Self>;
}

fn word<T: EnumParam, E: serde::de::Error>(text: &str) -> Result<T, E> {
    T::parse(text).ok_or_else(|| E::custom(format!("`{text}` is not one of {}", T::words().join(", "))))
}

fn words_schema<T: EnumParam>() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(T::words()))
}

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<T>(pub T);

impl<'de, T: EnumParam> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word(&String::deserialize(deserializer)?).map(Self)
    }
}

impl<T: EnumParam> PartialSchema for Choice<T> {
    fn schema() -> RefOr<Schema> {
        words_schema::<T>().into()
    }
}

impl<T: EnumParam> ToSchema for Choice<T> {}

/// Several words, separated by commas; any of them matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices<T>(pub Vec<T>);

impl<T> Default for Choices<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: EnumParam> Deserialize<'de> for Choices<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.split(',').map(word).collect::<Result<_, _>>().map(Self)
    }
}

impl<T: EnumParam> PartialSchema for Choices<T> {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(words_schema::<T>())
            .min_items(Some(1))
            .into()
    }
}

impl<T: EnumParam> ToSchema for Choices<T> {}

/// A timestamp in RFC 3339, with any offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampParam(pub Timestamp);

impl<'de> Deserialize<'de> for TimestampParam {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refused = || D::Error::custom(format!("`{text}` is not {MOMENT} (a + must be written %2B)"));
        moment(&text).map(Self).ok_or_else(refused)
    }
}

impl PartialSchema for TimestampParam {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for TimestampParam {}

/// A name to compare with. An empty one names nothing: whoever sends it has a variable that was not set, and would take the
/// empty list for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameFilter(pub String);

impl<'de> Deserialize<'de> for NameFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name.is_empty() {
            return Err(D::Error::custom(
                "`` is not a name; leave the parameter out for all",
            ));
        }
        Ok(Self(name))
    }
}

impl PartialSchema for NameFilter {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .pattern(Some(constraints::TEXT))
            .into()
    }
}

impl ToSchema for NameFilter {}

/// An id given as a filter; one that cannot exist is a fault here, since it is a parameter and not a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdFilter<T>(pub T);

impl<'de, T: FromStr> Deserialize<'de> for IdFilter<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, "an id").map(Self)
    }
}

/// How an id is written, as a pattern of the document.
pub trait Written {
    /// The pattern.
    const PATTERN: &'static str;
}

impl Written for EmId {
    const PATTERN: &'static str = constraints::EM_ID;
}

impl Written for OperationId {
    const PATTERN: &'static str = constraints::OPERATION_ID;
}

impl Written for EndpointId {
    const PATTERN: &'static str = constraints::ENDPOINT_ID;
}

impl<T: Written> PartialSchema for IdFilter<T> {
    fn schema() -> RefOr<Schema> {
        text_of(T::PATTERN)
    }
}

/// The schema of a text by its pattern.
pub fn text_of(pattern: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
        .into()
}

impl<T: Written> ToSchema for IdFilter<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Colour(String);

    impl EnumParam for Colour {
        fn words() -> Vec<&'static str> {
            vec!["red", "green"]
        }

        fn parse(word: &str) -> Option<Self> {
            Self::words().contains(&word).then(|| Self(word.to_owned()))
        }
    }

    type Colours = Choices<Colour>;
    type PlanId = IdFilter<EmId>;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Sample {
        #[serde(default)]
        page_size: PageSize,
        #[serde(default)]
        page: PageNumber,
        colour: Option<Colours>,
        since: Option<TimestampParam>,
        plan_id: Option<PlanId>,
        name: Option<NameFilter>,
        #[serde(default, deserialize_with = "flag")]
        dry_run: bool,
    }

    #[test]
    fn what_is_absent_has_its_default_and_what_is_there_is_read() {
        let all: Sample = read("").expect("nothing is required");
        assert_eq!((all.page_size.0, all.page.0), (50, 1));
        let query = "pageSize=100&page=7&colour=red,green&since=2026-01-31T12:00:00%2B02:00&name=a%20b+c&dryRun=true\
                     &planId=3f56fa52-c902-4655-9774-2022fde214d2";
        let sample: Sample = read(query).expect("all fits");
        assert_eq!((sample.page_size.0, sample.page.0), (100, 7));
        assert_eq!(sample.colour.expect("colours").0.len(), 2);
        assert_eq!(
            sample.since.expect("a moment").0.to_string(),
            "2026-01-31T10:00:00Z"
        );
        assert_eq!(sample.name, Some(NameFilter("a b c".to_owned())));
        assert!(sample.plan_id.is_some() && sample.dry_run && !all.dry_run);
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused_by_name() {
        for (query, name) in [
            ("pageSize=0", "pageSize"),
            ("pageSize=101", "pageSize"),
            ("pageSize=", "pageSize"),
            ("page=-1", "page"),
            ("page=1.5", "page"),
            ("colour=blue", "colour"),
            ("colour=red,", "colour"),
            ("since=yesterday", "since"),
            ("since=20261130T120000Z", "since"),
            ("since=2026-11-30T12:00:60Z", "since"),
            ("planId=7", "planId"),
            ("name=", "name"),
            ("name", "name"),
            ("dryRun=yes", "dryRun"),
            ("dryRun=", "dryRun"),
            ("dryRun=True", "dryRun"),
        ] {
            let problem = read::<Sample>(query).expect_err(query);
            assert_eq!(problem.code().as_str(), "invalid-request");
            assert_eq!(problem.faults()[0].pointer, name, "{query}");
            // The value as it was given, so that it is found in the caller's own code.
            let value = query.split_once('=').map_or("", |(_, value)| value);
            let shown = format!("`{}`", value.rsplit_once(',').map_or(value, |(_, last)| last));
            let detail = &problem.faults()[0].detail;
            assert!(detail.starts_with(&shown), "{query}: {detail}");
        }
    }
}
