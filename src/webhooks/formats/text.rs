//! Text from outside, made fit for a message: cleaned of what hides or reorders, cut to a length, and escaped by the
//! dialect of the service, so that a machine called `@everyone` is a name and nothing else.

use crate::text::is_harmful;

/// Stands between two characters that a service would read as one sign; it has no width.
const ZERO_WIDTH: char = '\u{200b}';

/// How a service reads text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As it is.
    Plain,
    /// Slack's mrkdwn: `<…>` are links and mentions; entities escape.
    Slack,
    /// The Markdown of Adaptive Cards.
    Teams,
    /// Markdown, and Slack's `<!channel>` as well.
    Mattermost,
    /// Markdown with mentions.
    Discord,
    /// A little HTML.
    GoogleChat,
}

impl Dialect {
    /// `text` as the service shows it letter by letter.
    pub(super) fn escape(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + text.len() / 8);
        for letter in text.chars() {
            match (self, letter) {
                (Self::Slack | Self::GoogleChat, '&') => out.push_str("&amp;"),
                (Self::Slack | Self::GoogleChat, '<') => out.push_str("&lt;"),
                (Self::Slack | Self::GoogleChat, '>') => out.push_str("&gt;"),
                // Its own reading of Slack's signs comes before that of Markdown and knows no backslash.
                (Self::Mattermost, '<' | '@') | (Self::Discord, '@') => out.extend([letter, ZERO_WIDTH]),
                (Self::Teams | Self::Discord, '<') => out.extend(['\\', '<']),
                (
                    Self::Teams | Self::Mattermost | Self::Discord,
                    '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '~' | '|' | '>' | '#',
                ) => out.extend(['\\', letter]),
                _ => out.push(letter),
            }
        }
        out
    }
}

/// Takes the sting out of signs where a service neither escapes nor says how to: names of mentions and links.
pub(super) fn defused(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '<' => out.push('‹'),
            '>' => out.push('›'),
            '@' | ']' => out.extend([letter, ZERO_WIDTH]),
            _ => out.push(letter),
        }
    }
    out
}

/// `text` on one line without what hides or reorders, of at most `units` UTF-16 units, which is what the strictest of the
/// services count; what was cut is shown by an ellipsis. Never empty.
pub(super) fn clean(text: &str, units: usize) -> String {
    let mut out = String::new();
    let (mut used, mut gap) = (0, false);
    // Of the last character that leaves room for an ellipsis.
    let mut safe = 0;
    for letter in text.chars() {
        if letter.is_whitespace() {
            gap = !out.is_empty();
            continue;
        }
        if is_harmful(letter) {
            continue;
        }
        let wide = letter.len_utf16() + usize::from(gap);
        if used + wide > units {
            out.truncate(safe);
            out.push('…');
            return out;
        }
        if gap {
            out.push(' ');
            gap = false;
        }
        out.push(letter);
        used += wide;
        if used < units {
            safe = out.len();
        }
    }
    if out.is_empty() {
        out.push('?');
    }
    out
}

/// `text` without what hides or reorders; lines and lengths stay.
pub(super) fn visible(text: &str) -> String {
    text.chars()
        .filter(|letter| matches!(letter, '\n' | '\t') || !is_harmful(*letter))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("srv 01", "srv 01")]
    #[case("  srv\n\t 01 ", "srv 01")]
    #[case("\u{202e}gpj.exe", "gpj.exe")]
    #[case("a\u{200b}b\u{feff}c", "abc")]
    #[case("", "?")]
    #[case("\u{202e}", "?")]
    #[case("1234567890", "1234567890")]
    #[case("12345678901", "123456789…")]
    #[case("12345678😀", "12345678😀")]
    #[case("12345678😀1", "12345678…")]
    #[case("👩‍💻", "👩‍💻")]
    fn text_from_outside_is_one_visible_line(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(clean(text, 10), shown);
    }

    #[rstest]
    #[case(Dialect::Plain, "<!channel> @here *b*")]
    #[case(Dialect::Slack, "&lt;!channel&gt; @here *b*")]
    #[case(Dialect::Teams, "\\<!channel\\> @here \\*b\\*")]
    #[case(Dialect::Mattermost, "<\u{200b}!channel\\> @\u{200b}here \\*b\\*")]
    #[case(Dialect::Discord, "\\<!channel\\> @\u{200b}here \\*b\\*")]
    #[case(Dialect::GoogleChat, "&lt;!channel&gt; @here *b*")]
    fn names_are_escaped_by_the_dialect(#[case] dialect: Dialect, #[case] escaped: &str) {
        assert_eq!(dialect.escape("<!channel> @here *b*"), escaped);
    }
}
