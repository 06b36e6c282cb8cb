//! EM's words in the curated JSON: lowerCamelCase (docs/behaviour.md#values).

/// Turns a word of EM's such as `FailoverPlan` into `failoverPlan`. Words are split before an upper-case letter that
/// follows a lower-case letter or digit, and before the last upper-case letter of a run that a lower-case
/// letter follows.
#[must_use]
pub fn lower_camel(word: &str) -> String {
    let letters: Vec<char> = word.chars().collect();
    let mut out = String::with_capacity(word.len());
    let mut first_word = true;
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at)).copied();
        let after = letters.get(at + 1).copied();
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_uppercase() && after.is_some_and(char::is_lowercase))
            });
        first_word = first_word && !starts_word;
        if starts_word && !first_word {
            out.extend(letter.to_uppercase());
        } else {
            out.extend(letter.to_lowercase());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::lower_camel;

    #[test]
    fn words_are_split_by_the_rule_of_names() {
        for (word, expected) in [
            ("FailoverPlan", "failoverPlan"),
            ("UID", "uid"),
            ("CreationTimeUTC", "creationTimeUtc"),
            ("FailoverPlanVMId", "failoverPlanVmId"),
            ("vCloudTenant", "vCloudTenant"),
            ("Stopped", "stopped"),
            ("", ""),
        ] {
            assert_eq!(lower_camel(word), expected);
        }
    }
}
