//! Character data: from XML's escapes to JSON's, without a detour through an owned string where none is needed.

use super::error::{DecodeError, excerpt};
use super::source::Token;
use super::words::{self, below, equal};

/// What a run of raw XML text may hold besides plain characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Raw {
    /// Between tags: references come as events of their own, blanks stay.
    Text,
    /// An attribute's value: references inside, literal blanks become spaces.
    Attribute,
    /// CDATA: nothing is special.
    CData,
}

/// The position of the first byte that cannot be copied unchanged.
#[inline]
fn first_special(bytes: &[u8]) -> Option<usize> {
    words::find(bytes, |word| {
        below(word, 0x20) | equal(word, b'"') | equal(word, b'\\') | equal(word, b'&') | equal(word, b'<')
    })
}

/// Appends raw XML text to a JSON string. `at` is where `raw` begins in the document.
pub(super) fn write_json(raw: &str, kind: Raw, at: u64, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let bytes = raw.as_bytes();
    if is_plain(raw) {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    let mut done = 0;
    while let Some(rest) = bytes.get(done..) {
        let Some(next) = first_special(rest) else {
            out.extend_from_slice(rest);
            break;
        };
        out.extend_from_slice(rest.get(..next).unwrap_or_default());
        let here = done + next;
        let position = at + here as u64;
        done = here + 1;
        match rest.get(next).copied().unwrap_or_default() {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' | b'\n' if kind == Raw::Attribute => out.push(b' '),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => {
                // A line end is one character however it is spelled (XML 1.0, 2.11).
                if bytes.get(done) == Some(&b'\n') {
                    done += 1;
                }
                out.extend_from_slice(if kind == Raw::Attribute { b" " } else { b"\\n" });
            }
            b'&' if kind == Raw::Attribute => {
                let name = bytes.get(done..).unwrap_or_default();
                let end = name.iter().take(64).position(|b| *b == b';');
                let Some(name) = end.and_then(|end| raw.get(done..done + end)) else {
                    let what = "a reference without its semicolon".to_owned();
                    return Err(DecodeError::Malformed { what, at: position });
                };
                done += name.len() + 1;
                write_json_char(reference(name, position)?, out);
            }
            b'<' if kind == Raw::Attribute => {
                let what = "a < inside an attribute".to_owned();
                return Err(DecodeError::Malformed { what, at: position });
            }
            control if control < 0x20 => {
                return Err(DecodeError::Character {
                    code: u32::from(control),
                    at: position,
                });
            }
            other => out.push(other),
        }
    }
    Ok(())
}

/// Appends one decoded character to a JSON string.
pub(super) fn write_json_char(c: char, out: &mut Vec<u8>) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Appends raw XML text as plain text.
pub(super) fn push_plain(raw: &str, kind: Raw, at: u64, out: &mut String) -> Result<(), DecodeError> {
    if is_plain(raw) {
        out.push_str(raw);
        return Ok(());
    }
    let mut done = 0;
    while let Some(rest) = raw.get(done..).filter(|r| !r.is_empty()) {
        let plain = rest
            .find(|c: char| c < ' ' || c == '&' || c == '<')
            .unwrap_or(rest.len());
        out.push_str(rest.get(..plain).unwrap_or_default());
        done += plain;
        let position = at + done as u64;
        let Some(special) = raw.as_bytes().get(done).copied() else {
            break;
        };
        done += 1;
        match special {
            b'\t' | b'\n' if kind == Raw::Attribute => out.push(' '),
            b'\r' => {
                if raw.as_bytes().get(done) == Some(&b'\n') {
                    done += 1;
                }
                out.push(if kind == Raw::Attribute { ' ' } else { '\n' });
            }
            b'&' if kind == Raw::Attribute => {
                let name = raw
                    .get(done..)
                    .and_then(|r| r.split_once(';'))
                    .map(|(name, _)| name);
                let Some(name) = name.filter(|n| n.len() < 64) else {
                    let what = "a reference without its semicolon".to_owned();
                    return Err(DecodeError::Malformed { what, at: position });
                };
                done += name.len() + 1;
                out.push(reference(name, position)?);
            }
            b'<' if kind == Raw::Attribute => {
                let what = "a < inside an attribute".to_owned();
                return Err(DecodeError::Malformed { what, at: position });
            }
            b'\t' | b'\n' | b'&' | b'<' => out.push(char::from(special)),
            control => {
                return Err(DecodeError::Character {
                    code: u32::from(control),
                    at: position,
                });
            }
        }
    }
    Ok(())
}

/// Appends what a token says as text: nothing for comments; refuses the end of the document and misplaced tags.
pub(super) fn push_token(token: &Token<'_>, at: u64, out: &mut String) -> Result<(), DecodeError> {
    match token {
        Token::Text(t) => push_plain(t, Raw::Text, at, out),
        Token::CData(t) => push_plain(t, Raw::CData, at, out),
        Token::Reference(name) => {
            out.push(reference(name, at)?);
            Ok(())
        }
        Token::Aside => Ok(()),
        Token::Eof => Err(DecodeError::Truncated { at }),
        Token::Start(_) | Token::Empty(_) | Token::End => Err(DecodeError::Malformed {
            what: "a tag where none belongs".to_owned(),
            at,
        }),
    }
}

/// The character of `&name;`: one of XML's five, or a number. One that XML does not have becomes U+FFFD: the writers of
/// .NET put the colours of a script's output into messages so, and a whole page must not be lost for them.
pub(super) fn reference(name: &str, at: u64) -> Result<char, DecodeError> {
    match name {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => {}
    }
    let Some(number) = name.strip_prefix('#') else {
        return Err(DecodeError::Entity {
            name: excerpt(name),
            at,
        });
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hex| (hex, 16));
    // from_str_radix takes a sign, XML does not.
    let code = digits.bytes().next().filter(u8::is_ascii_hexdigit);
    let code = code.and_then(|_| u32::from_str_radix(digits, radix).ok());
    let Some(code) = code else {
        return Err(DecodeError::Entity {
            name: excerpt(name),
            at,
        });
    };
    match char::from_u32(code) {
        Some(c) if is_xml_char(c) => Ok(c),
        Some(_) => Ok(char::REPLACEMENT_CHARACTER),
        None => Err(DecodeError::Character { code, at }),
    }
}

/// XML 1.0's characters (production 2).
pub(super) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Writes a whole plain string as JSON, quotes included.
pub(super) fn write_json_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        if c < ' ' && !matches!(c, '\t' | '\n' | '\r') {
            // Cannot come from a document; kept valid JSON all the same.
            out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
        } else {
            write_json_char(c, out);
        }
    }
    out.push(b'"');
}

/// Whether text can be copied into JSON and read from XML as it is.
#[inline]
pub(super) fn is_plain(text: &str) -> bool {
    !words::any(text.as_bytes(), is_special)
}

#[inline]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch would keep the compiler from comparing many at once"
)]
fn is_special(b: u8) -> bool {
    (b < 0x20) | (b == b'"') | (b == b'\\') | (b == b'&') | (b == b'<')
}

/// Whether text is nothing but XML's blanks.
pub(super) fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn json(raw: &str, kind: Raw) -> Result<String, DecodeError> {
        let mut out = Vec::new();
        write_json(raw, kind, 0, &mut out)?;
        Ok(String::from_utf8(out).unwrap_or_default())
    }

    #[rstest]
    #[case(
        "plain text that is longer than eight",
        Raw::Text,
        "plain text that is longer than eight"
    )]
    #[case("say \"hi\" \\ there", Raw::Text, "say \\\"hi\\\" \\\\ there")]
    #[case("a\r\nb\rc\nd\te", Raw::Text, "a\\nb\\nc\\nd\\te")]
    #[case("a\r\nb\rc\nd\te", Raw::Attribute, "a b c d e")]
    #[case("a&#10;b&#x9;c&#xD;d", Raw::Attribute, "a\\nb\\tc\\rd")]
    #[case(
        "R&amp;D &#x2F; &lt;B&gt; &quot;&apos;&#39;",
        Raw::Attribute,
        "R&D / <B> \\\"''"
    )]
    #[case("&#128512;&#x1F600;é", Raw::Attribute, "😀😀é")]
    #[case("a&#0;b&#x1B;c&#xFFFF;", Raw::Attribute, "a\u{fffd}b\u{fffd}c\u{fffd}")]
    #[case("a<b & c", Raw::CData, "a<b & c")]
    #[case("", Raw::Text, "")]
    fn text_is_escaped_for_json(#[case] raw: &str, #[case] kind: Raw, #[case] expected: &str) {
        assert_eq!(json(raw, kind).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case("a&b;c")]
    #[case("a&b")]
    #[case("a<b")]
    #[case("a&#xD800;b")]
    #[case("a&#x110000;b")]
    #[case("a&#+65;b")]
    #[case("a&#;b")]
    #[case("a\u{1}b")]
    #[case("12345678\u{b}")]
    fn hostile_text_is_refused(#[case] raw: &str) {
        assert!(json(raw, Raw::Attribute).is_err(), "{raw:?}");
        assert!(
            push_plain(raw, Raw::Attribute, 0, &mut String::new()).is_err(),
            "{raw:?}"
        );
    }

    #[test]
    fn both_ways_of_reading_text_agree() {
        for raw in [
            "x&amp;y",
            "tab\there",
            "é&#233;\"\\",
            "line\r\nend",
            "plain and long enough for a chunk",
        ] {
            let mut plain = String::new();
            assert_eq!(push_plain(raw, Raw::Attribute, 0, &mut plain), Ok(()));
            let mut whole = Vec::new();
            write_json_string(&plain, &mut whole);
            let parts = format!("\"{}\"", json(raw, Raw::Attribute).unwrap_or_default());
            assert_eq!(String::from_utf8(whole).unwrap_or_default(), parts);
        }
    }
}
