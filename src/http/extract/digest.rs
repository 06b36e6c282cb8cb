//! An entity tag for documents whose members may be in another order at the next read.
//!
//! Enterprise Manager writes attributes in any order, and the order of members in JSON means nothing, so the tag names
//! the JSON value: the same whichever order the bytes have, another as soon as anything else differs. One pass, no tree.

use base64::Engine as _;

use crate::app::json_value::value_digest;

/// A strong entity tag of the JSON value in `json`; of its bytes, should it not be JSON.
#[must_use]
pub fn json_etag(json: &[u8]) -> String {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let Ok(sum) = value_digest(&mut reader) else {
        return super::entity_tag(json);
    };
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sum.to_be_bytes());
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_does_not_matter_and_everything_else_does() {
        let tag = |text: &str| json_etag(text.as_bytes());
        let one = tag(r#"{"a":1,"b":[{"c":null,"d":"x"}],"e":true}"#);
        assert_eq!(one, tag(r#" {"e":true,"b":[{"d":"x","c":null}],"a":1} "#));
        for other in [
            r#"{"a":2,"b":[{"c":null,"d":"x"}],"e":true}"#,
            r#"{"a":"1","b":[{"c":null,"d":"x"}],"e":true}"#,
            r#"{"a":1,"b":[{"c":null,"d":"x"}],"e":false}"#,
            r#"{"a":1,"b":[{"c":"","d":"x"}],"e":true}"#,
            r#"{"a":1,"b":[{"c":null,"d":"x"},{}],"e":true}"#,
            r#"{"a":1,"b":[[{"c":null,"d":"x"}]],"e":true}"#,
            r#"{"a":1,"b":[{"c":null}],"d":"x","e":true}"#,
            r#"{"b":1,"a":[{"c":null,"d":"x"}],"e":true}"#,
        ] {
            assert_ne!(one, tag(other), "{other}");
        }
        assert_ne!(tag("[1,2]"), tag("[2,1]"));
        assert_ne!(tag("[]"), tag("{}"));
        assert_ne!(tag("9007199254740993"), tag("9007199254740992"));
        assert!(tag("no JSON").starts_with('"'));
    }
}
