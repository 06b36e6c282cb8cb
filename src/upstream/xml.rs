//! The door to the transcoder, and the few small bodies that the gateway writes itself.

use crate::telemetry::{count_unknown, names};
use crate::transcode::{self, AnomalyKind};

/// The namespace of EM's documents, in requests as in answers.
const NAMESPACE: &str = "http://www.veeam.com/ent/v1.0";

/// One of EM's documents, with one of these roots, as the JSON of contract section 4.
///
/// # Errors
/// A sentence about what is wrong with it; it quotes names at the most.
pub(super) fn decode(xml: &[u8], roots: &[&str]) -> Result<Vec<u8>, String> {
    let decoded = transcode::decode_expecting(xml, roots).map_err(|error| error.to_string())?;
    for anomaly in decoded.anomalies.iter() {
        let metric = match anomaly.kind {
            AnomalyKind::UnknownName => names::TRANSCODE_UNKNOWN,
            AnomalyKind::UnparsedValue | AnomalyKind::UnknownValue => names::TRANSCODE_UNPARSED,
        };
        count_unknown(metric, anomaly.ty, &anomaly.name);
    }
    Ok(decoded.json)
}

/// What an element of a body holds.
pub(super) enum Content<'a> {
    /// `true` or `false`
    Flag(bool),
    /// A text, written so that every character of it arrives.
    Text(&'a str),
    /// Elements, in EM's order: its bodies are sequences.
    Children(&'a [(&'static str, Content<'a>)]),
}

/// A body with that root.
///
/// # Errors
/// A sentence, when a text holds a character that XML cannot carry.
pub(super) fn body(root: &str, children: &[(&'static str, Content<'_>)]) -> Result<Vec<u8>, String> {
    let mut out = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<{root} xmlns=\"{NAMESPACE}\">");
    elements(&mut out, children)?;
    out.push_str(&format!("</{root}>"));
    Ok(out.into_bytes())
}

fn elements(out: &mut String, children: &[(&'static str, Content<'_>)]) -> Result<(), String> {
    for (name, content) in children {
        out.push_str(&format!("<{name}>"));
        match content {
            Content::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Content::Text(text) => text.chars().try_for_each(|c| character(out, c))?,
            Content::Children(children) => elements(out, children)?,
        }
        out.push_str(&format!("</{name}>"));
    }
    Ok(())
}

/// XML 1.0, production 2; a carriage return survives as a reference only (section 2.11).
fn character(out: &mut String, c: char) -> Result<(), String> {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '\r' => out.push_str("&#13;"),
        '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}' => out.push(c),
        _ => {
            return Err(format!(
                "the character U+{:04X} cannot be sent to Enterprise Manager",
                u32::from(c)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_arrives_character_by_character_and_in_order() {
        let options = [
            ("B", Content::Text("a<b> & \"c\"\r\n]]>")),
            ("A", Content::Flag(false)),
        ];
        let body = body("Root", &[("Options", Content::Children(&options))]).expect("writable");
        assert_eq!(
            String::from_utf8(body).expect("UTF-8"),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Root xmlns=\"http://www.veeam.com/ent/v1.0\"><Options>\
             <B>a&lt;b&gt; &amp; \"c\"&#13;\n]]&gt;</B><A>false</A></Options></Root>"
        );
    }

    #[test]
    fn what_xml_cannot_carry_is_not_sent() {
        for text in ["\0", "\u{1}", "\u{b}", "\u{ffff}"] {
            assert!(body("Root", &[("A", Content::Text(text))]).is_err(), "{text:?}");
        }
    }
}
