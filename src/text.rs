//! Rules of writing that several rooms share: how a name of EM becomes a JSON name, how a place in a JSON value is named, how
//! things are counted in a sentence, how text from outside is shown.
//!
//! Pure functions over text, below every other room. What a name means is none of its business.

use std::fmt;

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
}
