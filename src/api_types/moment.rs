//! Moments in the JSON: RFC 3339, UTC, `Z`, with 0, 3, 6 or 9 fraction digits, the fewest that lose nothing.

use jiff::Timestamp;
use serde::{Deserialize as _, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::text::{MOMENT, moment};

/// A moment that serialises as an RFC 3339 string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanos = self.0.subsec_nanosecond();
        let digits = match nanos {
            0 => 0,
            n if n % 1_000_000 == 0 => 3,
            n if n % 1_000 == 0 => 6,
            _ => 9,
        };
        write!(f, "{:.digits$}", self.0)
    }
}

/// Reads a moment of a request: RFC 3339, with any offset.
///
/// # Errors
/// What is expected, in place of what a library misses.
pub(super) fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    read(&String::deserialize(deserializer)?)
}

/// The same where there may be none.
///
/// # Errors
/// As [`given`].
pub(super) fn given_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| read(&text)).transpose()
}

fn read<E: serde::de::Error>(text: &str) -> Result<Timestamp, E> {
    moment(text).ok_or_else(|| E::custom(format_args!("must be {MOMENT}")))
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Moment {}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn a_moment_has_the_fewest_digits_of_0_3_6_9_that_lose_nothing() {
        for (given, told) in [
            ("2026-01-13T16:23:16Z", "2026-01-13T16:23:16Z"),
            ("2026-01-13T16:23:16.07Z", "2026-01-13T16:23:16.070Z"),
            ("2026-01-13T16:23:16.1234Z", "2026-01-13T16:23:16.123400Z"),
            ("2026-01-13T16:23:16.1234567Z", "2026-01-13T16:23:16.123456700Z"),
        ] {
            assert_eq!(Moment(given.parse().expect("a moment")).to_string(), told);
        }
    }
}
