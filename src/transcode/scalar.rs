//! Single values: what EM writes as text and JSON as number, boolean or normalised time.
//!
//! Works on text only, never through floating point: a long integer keeps its digits and `1.10` its zero.

use crate::catalogue::Scalar;

/// Whether decoding reads a text without blanks around it as a value of that scalar. Scalars that are text in JSON take any.
#[must_use]
pub fn is_value(scalar: Scalar, text: &str) -> bool {
    match scalar {
        Scalar::Int | Scalar::Long => write_integer(text, &mut Vec::new()),
        Scalar::Decimal => write_decimal(text, &mut Vec::new()),
        Scalar::Boolean => boolean(text).is_some(),
        Scalar::DateTime => date_time(text).is_some(),
        Scalar::String | Scalar::Urn | Scalar::Uuid | Scalar::Url | Scalar::Time => true,
    }
}

/// Blanks as XML knows them.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

/// `true`, `True`, `1`… → true.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Whether there is a minus, and what follows the sign.
fn sign(text: &str) -> (bool, &[u8]) {
    let bytes = text.as_bytes();
    match bytes.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, bytes.strip_prefix(b"+").unwrap_or(bytes)),
    }
}

/// Writes a 64-bit integer as JSON; false (and nothing written) if it is none.
pub(super) fn write_integer(text: &str, out: &mut Vec<u8>) -> bool {
    let (negative, digits) = sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let zeros = digits.iter().take_while(|d| **d == b'0').count();
    let digits = digits.get(zeros..).unwrap_or_default();
    // 18 digits always fit; beyond that ask the parser.
    let fits = digits.len() <= 18
        || std::str::from_utf8(digits).is_ok_and(|d| match (negative, d.parse::<u64>()) {
            (true, Ok(n)) => n <= i64::MIN.unsigned_abs(),
            (false, Ok(_)) => true,
            (_, Err(_)) => false,
        });
    if !fits {
        return false;
    }
    if digits.is_empty() {
        out.push(b'0');
        return true;
    }
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(digits);
    true
}

/// Writes a decimal as JSON with the digits it has (an exponent, too, as .NET's doubles write it).
pub(super) fn write_decimal(text: &str, out: &mut Vec<u8>) -> bool {
    let (negative, rest) = sign(text);
    let (mantissa, exponent) = match rest.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(e) => (rest.get(..e).unwrap_or_default(), rest.get(e + 1..)),
        None => (rest, None),
    };
    let (whole, fraction) = match mantissa.iter().position(|b| *b == b'.') {
        Some(dot) => (
            mantissa.get(..dot).unwrap_or_default(),
            mantissa.get(dot + 1..).unwrap_or_default(),
        ),
        None => (mantissa, &[][..]),
    };
    let digits = |d: &[u8]| d.iter().all(u8::is_ascii_digit);
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return false;
    }
    if let Some(exponent) = exponent {
        let unsigned = exponent
            .strip_prefix(b"+")
            .or(exponent.strip_prefix(b"-"))
            .unwrap_or(exponent);
        if unsigned.is_empty() || unsigned.len() > 3 || !digits(unsigned) {
            return false;
        }
    }
    let zeros = whole.iter().take_while(|d| **d == b'0').count();
    let whole = whole.get(zeros..).unwrap_or_default();
    if negative {
        out.push(b'-');
    }
    if whole.is_empty() {
        out.push(b'0');
    }
    out.extend_from_slice(whole);
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
    if let Some(exponent) = exponent {
        out.push(b'e');
        out.extend_from_slice(exponent);
    }
    true
}

/// A date-time in UTC, ready to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateTime<'a> {
    /// One of the days that stand for "never"; EM's own is 1753-01-01.
    Never,
    At {
        /// Year, month, day, hour, minute, second in UTC.
        fields: [u32; 6],
        /// Fraction digits without trailing zeros.
        fraction: &'a str,
    },
}

/// The first days of SQL Server's two kinds of time and of .NET's: what programs write that have no time to write.
const NEVER: [[u32; 3]; 3] = [[1753, 1, 1], [1900, 1, 1], [1, 1, 1]];

/// What a date-time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// EM's "never".
    Never,
    /// This one.
    At(jiff::Timestamp),
}

/// What a text stands for where a body may hold a date-time: the same texts are accepted, and the same instant is meant.
#[must_use]
pub fn moment(text: &str) -> Option<Moment> {
    let at = date_time(text)?;
    if at == DateTime::Never {
        return Some(Moment::Never);
    }
    let mut json = Vec::new();
    write_date_time(at, &mut json);
    let text = std::str::from_utf8(&json).ok()?.trim_matches('"');
    text.parse().ok().map(Moment::At)
}

/// Reads EM's date-times: 0 and more fraction digits, `Z`, an offset, or no zone (then UTC).
pub(super) fn date_time(text: &str) -> Option<DateTime<'_>> {
    let b = text.as_bytes();
    let (head, mut rest) = b.split_at_checked(19)?;
    let digits = |range: std::ops::Range<usize>| -> Option<u32> {
        head.get(range)?.iter().try_fold(0_u32, |n, d| {
            d.is_ascii_digit().then(|| n * 10 + u32::from(d - b'0'))
        })
    };
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let at = |i: usize| head.get(i).copied();
    if separators.iter().any(|(i, c)| at(*i) != Some(*c)) || !matches!(at(10), Some(b'T' | b't')) {
        return None;
    }
    let fields = [
        digits(0..4)?,
        digits(5..7)?,
        digits(8..10)?,
        digits(11..13)?,
        digits(14..16)?,
        digits(17..19)?,
    ];
    let [year, month, day, hour, minute, second] = fields;
    if year == 0 || day == 0 || day > days_in(year, month)? || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix(b".") {
        let count = after.iter().take_while(|d| d.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        fraction = text.get(20..20 + count)?.trim_end_matches('0');
        rest = after.get(count..)?;
    }
    if fraction.len() > 9 {
        return None;
    }
    let offset = match rest {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), zone @ ..] => {
            let minutes = offset_minutes(zone)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    if NEVER.contains(&[year, month, day]) {
        return Some(DateTime::Never);
    }
    let fields = if offset == 0 {
        fields
    } else {
        shift(fields, -offset)?
    };
    let [year, month, day, ..] = fields;
    if NEVER.contains(&[year, month, day]) {
        return Some(DateTime::Never);
    }
    Some(DateTime::At { fields, fraction })
}

/// The fraction digits of the plain form `2026-05-06T20:29:45[.123]Z`; none for any other text, which may be a date-time in
/// another form.
#[inline]
fn plain_date_time(text: &str) -> Option<&[u8]> {
    let b = text.as_bytes();
    let (Some(head), Some(rest)) = (b.first_chunk::<19>(), b.get(19..)) else {
        return None;
    };
    let fraction = match rest {
        [b'Z'] => &[][..],
        [b'.', fraction @ .., b'Z'] => fraction,
        _ => return None,
    };
    let digit = |i: usize| head.get(i).map_or(u8::MAX, |b| b.wrapping_sub(b'0'));
    let two = |i: usize| digit(i) * 10 + digit(i + 1);
    let mut wrong = false;
    for i in [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18] {
        wrong |= digit(i) > 9;
    }
    // Days 29 to 31, years before 1800, and fractions that must change are left to the careful way.
    if wrong
        || !matches!(
            head,
            [
                _,
                _,
                _,
                _,
                b'-',
                _,
                _,
                b'-',
                _,
                _,
                b'T',
                _,
                _,
                b':',
                _,
                _,
                b':',
                ..
            ]
        )
        || two(0) < 18
        || head.starts_with(b"1900-01-01")
        || !(1..=12).contains(&two(5))
        || !(1..=28).contains(&two(8))
        || two(11) > 23
        || two(14) > 59
        || two(17) > 59
        || fraction.len() > 9
        || (fraction.is_empty() && rest.len() > 1)
        || !fraction.iter().all(u8::is_ascii_digit)
    {
        return None;
    }
    Some(fraction)
}

/// Whether a text is certainly a date-time as [`write_date_time`] writes it; those in the last days of a month are left to the
/// careful way.
pub(super) fn is_written_date_time(text: &str) -> bool {
    plain_date_time(text).is_some_and(|f| f.len().is_multiple_of(3) && !f.ends_with(b"000"))
}

/// Writes the plain form as JSON; false (and nothing written) if it is another form, which may still be a date-time.
#[inline]
pub(super) fn write_plain_date_time(text: &str, out: &mut Vec<u8>) -> bool {
    let (Some(fraction), Some(head)) = (plain_date_time(text), text.as_bytes().first_chunk::<19>()) else {
        return false;
    };
    if fraction.last() == Some(&b'0') {
        return false;
    }
    out.push(b'"');
    out.extend_from_slice(head);
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
        let padding = (3 - fraction.len() % 3) % 3;
        out.extend_from_slice(b"00".get(..padding).unwrap_or_default());
    }
    out.extend_from_slice(b"Z\"");
    true
}

/// `02:00` → 120; XML Schema allows up to 14 hours.
fn offset_minutes(zone: &[u8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2] = zone else { return None };
    let digit = |d: &u8| d.is_ascii_digit().then(|| i64::from(d - b'0'));
    let (hours, minutes) = (digit(h1)? * 10 + digit(h2)?, digit(m1)? * 10 + digit(m2)?);
    (minutes < 60 && hours * 60 + minutes <= 14 * 60).then_some(hours * 60 + minutes)
}

fn leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u32, month: u32) -> Option<u32> {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap(year) { 29 } else { 28 }),
        _ => None,
    }
}

/// Moves a valid time by minutes (less than a day), within years 1 to 9999.
fn shift([year, month, day, hour, minute, second]: [u32; 6], by: i64) -> Option<[u32; 6]> {
    let minutes = i64::from(hour) * 60 + i64::from(minute) + by;
    let in_day = u32::try_from(minutes.rem_euclid(24 * 60)).ok()?;
    let (mut year, mut month, mut day) = (year, month, day);
    match minutes.div_euclid(24 * 60) {
        0 => {}
        days if days < 0 => {
            day -= 1;
            if day == 0 {
                (year, month) = if month == 1 {
                    (year - 1, 12)
                } else {
                    (year, month - 1)
                };
                day = days_in(year, month)?;
            }
        }
        _ => {
            day += 1;
            if day > days_in(year, month)? {
                day = 1;
                (year, month) = if month == 12 {
                    (year + 1, 1)
                } else {
                    (year, month + 1)
                };
            }
        }
    }
    (1..=9999)
        .contains(&year)
        .then_some([year, month, day, in_day / 60, in_day % 60, second])
}

/// Writes a date-time as a JSON string (or null): RFC 3339, `Z`, fraction of 0, 3, 6 or 9 digits.
pub(super) fn write_date_time(value: DateTime<'_>, out: &mut Vec<u8>) {
    let DateTime::At {
        fields: [year, month, day, hour, minute, second],
        fraction,
    } = value
    else {
        out.extend_from_slice(b"null");
        return;
    };
    let two = |n: u32| [digit(n / 10), digit(n % 10)];
    let [y1, y2] = two(year / 100);
    let [y3, y4] = two(year % 100);
    let ([mo1, mo2], [d1, d2], [h1, h2]) = (two(month), two(day), two(hour));
    let ([mi1, mi2], [s1, s2]) = (two(minute), two(second));
    out.extend_from_slice(&[
        b'"', y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1, s2,
    ]);
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
        let padding = (3 - fraction.len() % 3) % 3;
        out.extend_from_slice(b"00".get(..padding).unwrap_or_default());
    }
    out.extend_from_slice(b"Z\"");
}

fn digit(n: u32) -> u8 {
    b"0123456789".get((n % 10) as usize).copied().unwrap_or(b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn integer(text: &str) -> Option<String> {
        let mut out = Vec::new();
        write_integer(text, &mut out).then(|| String::from_utf8(out).unwrap_or_default())
    }

    fn decimal(text: &str) -> Option<String> {
        let mut out = Vec::new();
        write_decimal(text, &mut out).then(|| String::from_utf8(out).unwrap_or_default())
    }

    fn time(text: &str) -> Option<String> {
        let mut out = Vec::new();
        if write_plain_date_time(text, &mut out) {
            let mut careful = Vec::new();
            write_date_time(date_time(text)?, &mut careful);
            assert_eq!(out, careful, "both ways agree on {text}");
        }
        out.clear();
        write_date_time(date_time(text)?, &mut out);
        Some(String::from_utf8(out).unwrap_or_default())
    }

    #[rstest]
    #[case("0", Some("0"))]
    #[case("-0", Some("0"))]
    #[case("007", Some("7"))]
    #[case("+5", Some("5"))]
    #[case("-42", Some("-42"))]
    #[case("9007199254740993", Some("9007199254740993"))]
    #[case("9223372036854775807", Some("9223372036854775807"))]
    #[case("-9223372036854775808", Some("-9223372036854775808"))]
    #[case("18446744073709551615", Some("18446744073709551615"))]
    #[case("18446744073709551616", None)]
    #[case("-9223372036854775809", None)]
    #[case("1.0", None)]
    #[case("1e3", None)]
    #[case("", None)]
    #[case("-", None)]
    #[case("12 ", None)]
    #[case("٣", None)]
    fn integers_keep_all_64_bits(#[case] text: &str, #[case] json: Option<&str>) {
        assert_eq!(integer(text).as_deref(), json);
    }

    #[rstest]
    #[case("1.10", Some("1.10"))]
    #[case(".5", Some("0.5"))]
    #[case("5.", Some("5"))]
    #[case("-00.25", Some("-0.25"))]
    #[case("12345678901234567890.123456789", Some("12345678901234567890.123456789"))]
    #[case("1E-05", Some("1e-05"))]
    #[case("1,5", None)]
    #[case("NaN", None)]
    #[case("INF", None)]
    #[case(".", None)]
    #[case("1e", None)]
    #[case("1e9999", None)]
    fn decimals_keep_their_digits(#[case] text: &str, #[case] json: Option<&str>) {
        assert_eq!(decimal(text).as_deref(), json);
    }

    #[rstest]
    #[case("2026-05-06T20:29:45Z", Some("\"2026-05-06T20:29:45Z\""))]
    #[case("2026-05-06T20:29:45", Some("\"2026-05-06T20:29:45Z\""))]
    #[case("2026-05-06T20:29:45.07", Some("\"2026-05-06T20:29:45.070Z\""))]
    #[case("2026-05-06T20:29:45.000", Some("\"2026-05-06T20:29:45Z\""))]
    #[case("2026-05-06T20:29:45.1234Z", Some("\"2026-05-06T20:29:45.123400Z\""))]
    #[case(
        "2026-05-06T22:29:50.1234567+02:00",
        Some("\"2026-05-06T20:29:50.123456700Z\"")
    )]
    #[case("2026-01-01T00:30:00+01:00", Some("\"2025-12-31T23:30:00Z\""))]
    #[case("2024-02-29T23:30:00-01:00", Some("\"2024-03-01T00:30:00Z\""))]
    #[case("2025-12-31T23:59:59-00:01", Some("\"2026-01-01T00:00:59Z\""))]
    #[case("1753-01-01T00:00:00Z", Some("null"))]
    #[case("1753-01-01T00:00:00", Some("null"))]
    #[case("1753-01-01T00:00:00+02:00", Some("null"))]
    #[case("1752-12-31T23:30:00-01:00", Some("null"))]
    #[case("1753-01-02T00:00:00Z", Some("\"1753-01-02T00:00:00Z\""))]
    #[case("1900-01-01T00:00:00Z", Some("null"))]
    #[case("1900-01-01T00:00:00.000Z", Some("null"))]
    #[case("1900-01-01T00:00:00", Some("null"))]
    #[case("1900-01-01T00:00:00+02:00", Some("null"))]
    #[case("1899-12-31T23:30:00-01:00", Some("null"))]
    #[case("1900-01-02T00:00:00Z", Some("\"1900-01-02T00:00:00Z\""))]
    #[case("0001-01-01T00:00:00Z", Some("null"))]
    #[case("0001-01-02T00:00:00Z", Some("\"0001-01-02T00:00:00Z\""))]
    #[case("2025-02-29T00:00:00Z", None)]
    #[case("1900-02-29T00:00:00Z", None)]
    #[case("2026-13-01T00:00:00Z", None)]
    #[case("2026-05-06", None)]
    #[case("2026-05-06T24:00:00Z", None)]
    #[case("2026-05-06T20:29:45.Z", None)]
    #[case("2026-05-06T20:29:45.1234567891Z", None)]
    #[case("2026-05-06T20:29:45+15:00", None)]
    #[case("0001-01-01T00:00:00+01:00", Some("null"))]
    #[case("0001-01-01T00:00:00", Some("null"))]
    #[case("gestern", None)]
    #[case("2026-05-06T20:29:4é", None)]
    fn times_come_in_utc_with_the_fewest_digits_that_lose_nothing(
        #[case] text: &str,
        #[case] json: Option<&str>,
    ) {
        assert_eq!(time(text).as_deref(), json);
    }

    #[test]
    fn booleans_come_in_every_spelling_em_uses() {
        for yes in ["true", "True", "TRUE", "1"] {
            assert_eq!(boolean(yes), Some(true), "{yes}");
        }
        for no in ["false", "False", "0"] {
            assert_eq!(boolean(no), Some(false), "{no}");
        }
        for neither in ["yes", "", "2", "tru"] {
            assert_eq!(boolean(neither), None, "{neither}");
        }
    }
}
