//! Patterns in which `*` stands for any run of characters; every other character stands for itself.

/// Whether `text` is as `pattern` says, letter case included.
#[must_use]
pub fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(start) else {
        return false;
    };
    let (inner, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in inner.split('*') {
        match left.split_once(part) {
            _ if part.is_empty() => {}
            Some((_, behind)) => left = behind,
            None => return false,
        }
    }
    left.ends_with(end)
}

/// The same, whatever the letter case.
#[must_use]
pub fn fits_any_case(pattern: &str, text: &str) -> bool {
    fits(&pattern.to_lowercase(), &text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ERP*", "erp production", true)]
    #[case("ERP*", "the ERP", false)]
    #[case("*erp*", "the ERP plan", true)]
    #[case("*", "", true)]
    #[case("a*b*c", "A-B-C", true)]
    #[case("a*b*c", "acb", false)]
    #[case("ÄRZTE*", "Ärzte Süd", true)]
    #[case("erp", "ERP ", false)]
    fn a_name_fits_its_pattern_whatever_the_letter_case(
        #[case] pattern: &str,
        #[case] text: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(fits_any_case(pattern, text), expected, "{pattern} {text}");
    }
}
