//! Rules of writing that several rooms share: how a name of EM becomes a JSON name, how a place in a JSON value is named, how
//! things are counted in a sentence, how text from outside is shown, how a caller writes a moment.
//!
//! Pure functions over text, below every other room. What a name means is none of its business.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Writes `name` in lowerCamelCase: words split before an upper-case letter that follows a lower-case letter
/// or digit, and before the last upper-case letter of a run that a lower-case letter follows
/// (docs/behaviour.md#xml-to-json).
///
/// `UID` → `uid`, `CreationTimeUTC` → `creationTimeUtc`, `FailoverPlanVMId` → `failoverPlanVmId`.
/// What is neither letter nor digit stays where it is.
#[must_use]
pub fn lower_camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut previous = Kind::Other;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        let kind = Kind::of(c);
        let next = chars.peek().map_or(Kind::Other, |&n| Kind::of(n));
        let starts_word = kind == Kind::Upper
            && !out.is_empty()
            && match previous {
                Kind::Lower | Kind::Digit => true,
                Kind::Upper => next == Kind::Lower,
                Kind::Other => false,
            };
        if kind == Kind::Upper && !starts_word {
            out.extend(c.to_lowercase());
        } else {
            out.push(c);
        }
        previous = kind;
    }
    out
}

/// So many of something, whose plural ends in `s`: `1 row`, `2 rows`, `0 rows`.
#[must_use]
pub fn counted<N: fmt::Display + Copy + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// The first letter in upper case: EM's spelling of a relation that the catalogue does not know.
#[must_use]
pub fn upper_first(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// Whether a character breaks, hides or reorders what stands around it.
#[must_use]
pub fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            // soft hyphen, Arabic letter mark, Mongolian vowel separator
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            // no width, and marks of direction
            | '\u{200b}' | '\u{200e}' | '\u{200f}'
            // separators of lines and paragraphs
            | '\u{2028}' | '\u{2029}'
            // embeddings and overrides, invisible operators, isolates and deprecated marks
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // byte order mark, annotations, tags
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` for one line of a terminal: harmful characters as escapes (`\n`, `\u{202e}`).
#[must_use]
pub fn spelled_out(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_harmful(letter) {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Upper,
    Lower,
    Digit,
    Other,
}

impl Kind {
    fn of(c: char) -> Self {
        if c.is_uppercase() {
            Self::Upper
        } else if c.is_lowercase() {
            Self::Lower
        } else if c.is_numeric() {
            Self::Digit
        } else {
            Self::Other
        }
    }
}

/// Appends a step down to a member called `name` to a JSON pointer (RFC 6901).
pub fn push_step(pointer: &mut String, name: &str) {
    pointer.push('/');
    for letter in name.chars() {
        match letter {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// The JSON pointer (RFC 6901) of the member called `name` of the value at `parent`; `""` is the whole document.
#[must_use]
pub fn json_pointer(parent: &str, name: &str) -> String {
    let mut pointer = parent.to_owned();
    push_step(&mut pointer, name);
    pointer
}

/// What a timestamp must be.
pub const MOMENT: &str = "a timestamp in RFC 3339, such as 2026-01-31T12:00:00Z";

/// The moment that a caller's text names: a `date-time` of RFC 3339 section 5.6 and nothing else, where jiff alone is more lenient
/// (what EM sends is read by it). With any offset and a fraction of up to nine digits, in the years 1 to 9999. A leap second
/// (`:60`) has no moment of its own and is refused.
#[must_use]
pub fn moment(text: &str) -> Option<Timestamp> {
    let (date_time, rest) = text.split_at_checked("0000-00-00T00:00:00".len())?;
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let fits = has_shape(date_time, "0000-00-00T00:00:00") && !date_time.ends_with("60") && is_offset(offset);
    let at: Timestamp = fits.then(|| text.parse().ok())??;
    (TimeZone::UTC.to_datetime(at).year() >= 1).then_some(at)
}

fn is_offset(text: &str) -> bool {
    let is_numbers = has_shape(text, "+00:00") || has_shape(text, "-00:00");
    has_shape(text, "Z") || is_numbers && text.get(1..3).is_some_and(|hours| hours < "24")
}

/// Whether a text is as long as its shape, with a digit for each `0` and the same letter, in either case, for any other.
fn has_shape(text: &str, shape: &str) -> bool {
    let fits = |(found, wanted): (u8, u8)| match wanted {
        b'0' => found.is_ascii_digit(),
        _ => found.eq_ignore_ascii_case(&wanted),
    };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("UID", "uid")]
    #[case("CreationTimeUTC", "creationTimeUtc")]
    #[case("FailoverPlanVMId", "failoverPlanVmId")]
    #[case("vCloudTenant", "vCloudTenant")]
    #[case("VCloudVApp", "vCloudVApp")]
    #[case("sInObjectJob", "sInObjectJob")]
    #[case("NASJob", "nasJob")]
    #[case("PublicIPCount", "publicIpCount")]
    #[case("Vendor2027Level", "vendor2027Level")]
    #[case("EnterpiseRoles", "enterpiseRoles")]
    #[case("Href", "href")]
    #[case("QuickBackup", "quickBackup")]
    #[case("a", "a")]
    #[case("", "")]
    #[case("__proto__", "__proto__")]
    #[case("My-Odd.Name", "my-odd.name")]
    #[case("ÄrgerNAME", "ärgerName")]
    fn names_follow_the_rule(#[case] em: &str, #[case] json: &str) {
        assert_eq!(lower_camel(em), json);
    }

    #[test]
    fn a_relation_round_trips() {
        for rel in ["Up", "QuickBackup", "VeeamZip", "ToggleScheduleEnabled"] {
            assert_eq!(upper_first(&lower_camel(rel)), rel);
        }
    }

    #[rstest]
    #[case(0, "0 rows")]
    #[case(1, "1 row")]
    #[case(21, "21 rows")]
    fn a_counted_word_agrees_with_its_number(#[case] number: u64, #[case] text: &str) {
        assert_eq!(counted(number, "row"), text);
    }

    #[rstest]
    #[case("", "a", "/a")]
    #[case("/headers", "x/y", "/headers/x~1y")]
    #[case("/0", "~1", "/0/~01")]
    #[case("/a", "", "/a/")]
    fn a_pointer_escapes_tilde_and_slash(#[case] parent: &str, #[case] name: &str, #[case] pointer: &str) {
        assert_eq!(json_pointer(parent, name), pointer);
    }

    #[rstest]
    #[case::ordinary("Müller & Søn 日本 👩‍🚒", "Müller & Søn 日本 👩‍🚒")]
    #[case::lines("a\r\nb", "a\\r\\nb")]
    #[case::terminal("\u{1b}[2J", "\\u{1b}[2J")]
    #[case::reordered("a\u{202e}b", "a\\u{202e}b")]
    #[case::another_line("a\u{2028}b", "a\\u{2028}b")]
    fn what_is_harmful_is_spelled_out(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(spelled_out(text), shown);
    }

    #[rstest]
    #[case("2026-11-30T12:00:00Z", "2026-11-30T12:00:00Z")]
    #[case("2026-11-30t12:00:00z", "2026-11-30T12:00:00Z")]
    #[case("2026-11-30T12:00:00.5Z", "2026-11-30T12:00:00.5Z")]
    #[case("2026-11-30T12:00:00.123456789Z", "2026-11-30T12:00:00.123456789Z")]
    #[case("2026-11-30T12:00:00.000+02:00", "2026-11-30T10:00:00Z")]
    #[case("2026-11-30T12:00:00-05:30", "2026-11-30T17:30:00Z")]
    #[case("2026-11-30T12:00:00-00:00", "2026-11-30T12:00:00Z")]
    #[case("2026-11-30T12:00:00+23:59", "2026-11-29T12:01:00Z")]
    #[case("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z")]
    #[case("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z")]
    #[case("9999-12-30T21:59:59Z", "9999-12-30T21:59:59Z")]
    fn a_date_time_is_read(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(moment(text).map(|at| at.to_string()).as_deref(), Some(expected));
    }

    #[rstest]
    #[case::basic_format("20261130T120000Z")]
    #[case::no_minutes("2026-11-30T12Z")]
    #[case::no_seconds("2026-11-30T12:00Z")]
    #[case::leap_second("2026-11-30T12:00:60Z")]
    #[case::leap_second_that_was("2016-12-31T23:59:60Z")]
    #[case::long_offset("2026-11-30T12:00:00+25:00")]
    #[case::offset_of_a_day("2026-11-30T12:00:00+24:00")]
    #[case::minutes_of_an_offset("2026-11-30T12:00:00+02:60")]
    #[case::seconds_of_an_offset("2026-11-30T12:00:00+02:00:30")]
    #[case::short_offset("2026-11-30T12:00:00+02")]
    #[case::offset_without_colon("2026-11-30T12:00:00+0200")]
    #[case::no_offset("2026-11-30T12:00:00")]
    #[case::expanded_year("-000001-01-01T00:00:00Z")]
    #[case::year_0("0000-06-01T00:00:00Z")]
    #[case::year_0_by_its_offset("0001-01-01T00:00:00+01:00")]
    #[case::year_10000("9999-12-31T23:59:59-01:00")]
    #[case::zone("2026-11-30T12:00:00Z[UTC]")]
    #[case::zone_behind_an_offset("2026-11-30T12:00:00+01:00[Europe/Berlin]")]
    #[case::space_between("2026-11-30 12:00:00Z")]
    #[case::space_before(" 2026-11-30T12:00:00Z")]
    #[case::space_behind("2026-11-30T12:00:00Z ")]
    #[case::plus_of_a_query("2026-11-30T12:00:00 02:00")]
    #[case::comma("2026-11-30T12:00:00,5Z")]
    #[case::no_fraction("2026-11-30T12:00:00.Z")]
    #[case::hour_24("2026-11-30T24:00:00Z")]
    #[case::no_such_day("2026-02-29T00:00:00Z")]
    #[case::other_digits("２026-11-30T12:00:00Z")]
    #[case::minus_sign("2026-11-30T12:00:00−05:00")]
    #[case::day("2026-11-30")]
    #[case::number("1796040000")]
    #[case::nothing("")]
    fn what_is_no_date_time_is_refused(#[case] text: &str) {
        assert_eq!(moment(text), None);
    }
}
