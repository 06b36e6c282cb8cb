//! Marks in the text of a damaged element, and the bytes that they become once the document is written.

/// Stands in the text of a damaged element; the character behind it says for what.
pub const MARK: char = '\u{F8FF}';
/// Levels of `deep`.
const LEVELS: usize = 100;
/// Bytes of `huge`.
const HUGE: usize = 2 * 1024 * 1024;

/// The document with its marks replaced by their values.
pub fn carried_out(document: String) -> Vec<u8> {
    if !document.contains(MARK) {
        return document.into_bytes();
    }
    let mut parts = document.split(MARK);
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let mut rest = part.chars();
        match rest.next() {
            Some('e') => out.extend_from_slice(b"\x1b[31mfailed"),
            Some('u') => out.extend_from_slice(b"caf\xe9 is down"),
            Some('b') => out.extend_from_slice(b"K&ouml;ln"),
            Some('a') => out.extend_from_slice(b"R & D"),
            Some('m') => out.extend_from_slice(b"</State>"),
            Some('o') => out.extend_from_slice(b"<b>bold"),
            Some('d') => {
                out.extend_from_slice("<X>".repeat(LEVELS).as_bytes());
                out.extend_from_slice("</X>".repeat(LEVELS).as_bytes());
            }
            Some('h') => out.extend(std::iter::repeat_n(b'x', HUGE)),
            _ => {}
        }
        out.extend_from_slice(rest.as_str().as_bytes());
    }
    out
}
