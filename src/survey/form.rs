//! How a value is told without telling it: its length and the kinds of characters in it.

use crate::text::counted;

/// Names of markup longer than this are not told.
const LONGEST_NAME: usize = 60;

/// `text of 12 characters: letters and blanks, no digits`.
pub(super) fn of_value(value: &str) -> String {
    let count = value.chars().count();
    let kinds = [
        ("letters", value.chars().any(|c| c.is_ascii_alphabetic())),
        (
            "other letters",
            value.chars().any(|c| c.is_alphabetic() && !c.is_ascii()),
        ),
        ("digits", value.chars().any(char::is_numeric)),
        ("blanks", value.chars().any(char::is_whitespace)),
        (
            "signs",
            value.chars().any(|c| !c.is_alphanumeric() && !c.is_whitespace()),
        ),
    ];
    let has: Vec<&str> = kinds
        .iter()
        .filter(|(_, has)| *has)
        .map(|(kind, _)| *kind)
        .collect();
    let no_digits = if has.contains(&"digits") {
        ""
    } else {
        ", no digits"
    };
    format!(
        "text of {}: {}{no_digits}",
        counted(count, "character"),
        has.join(", ")
    )
}

/// The name of an element or attribute, where it looks like one that a schema has.
pub(super) fn of_name(name: &str) -> String {
    let plain = name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain {
        name.to_owned()
    } else {
        format!("(a name that is not told, {})", of_value(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("DC-Paris 01", "text of 11 characters: letters, digits, blanks, signs")]
    #[case("Paused", "text of 6 characters: letters, no digits")]
    #[case("Ä", "text of 1 character: other letters, no digits")]
    #[case("12", "text of 2 characters: digits")]
    fn a_value_is_told_by_its_form_alone(#[case] value: &str, #[case] told: &str) {
        assert_eq!(of_value(value), told);
    }

    #[test]
    fn a_name_is_told_where_a_schema_could_have_it() {
        assert_eq!(of_name("VmDisplayName2"), "VmDisplayName2");
        for odd in ["srv-01.corp.example", "Ärchive", "3f56fa52", &"x".repeat(61)] {
            assert!(of_name(odd).starts_with("(a name that is not told"), "{odd}");
        }
    }
}
