//! JSON without blanks in, JSON with two blanks per level out, byte by byte and without memory of what passed.

use std::io::{self, Write};

/// Indents the JSON that is written to it; the JSON must be whole and without blanks between its tokens.
pub(super) struct Indented<W> {
    out: W,
    depth: usize,
    text: Text,
    /// An opening bracket was written, and what follows decides whether it stays empty.
    opened: bool,
}

/// Whether the bytes are within a string, where brackets mean nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    Escaped,
}

impl<W: Write> Indented<W> {
    pub fn new(out: W) -> Self {
        Self {
            out,
            depth: 0,
            text: Text::Outside,
            opened: false,
        }
    }

    fn line(&mut self) -> io::Result<()> {
        write!(self.out, "\n{:width$}", "", width = 2 * self.depth)
    }

    fn byte(&mut self, byte: u8) -> io::Result<()> {
        if self.text != Text::Outside {
            self.text = match (self.text, byte) {
                (Text::Inside, b'\\') => Text::Escaped,
                (Text::Inside, b'"') => Text::Outside,
                _ => Text::Inside,
            };
            return self.out.write_all(&[byte]);
        }
        let closes = matches!(byte, b'}' | b']');
        let opened = std::mem::take(&mut self.opened);
        if opened && !closes {
            self.depth += 1;
            self.line()?;
        } else if closes && !opened {
            self.depth = self.depth.saturating_sub(1);
            self.line()?;
        }
        self.out.write_all(&[byte])?;
        match byte {
            b'{' | b'[' => self.opened = true,
            b'"' => self.text = Text::Inside,
            b',' => self.line()?,
            b':' => self.out.write_all(b" ")?,
            _ => {}
        }
        Ok(())
    }
}

impl<W: Write> Write for Indented<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        bytes.iter().try_for_each(|byte| self.byte(*byte))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn indented(json: &str, piece: usize) -> String {
        let mut out = Vec::new();
        let mut writer = Indented::new(&mut out);
        for bytes in json.as_bytes().chunks(piece) {
            writer.write_all(bytes).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            r#"[a-z"\\{}\[\],:\n ]{0,6}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((r#"[a-z"\\{}]{0,3}"#, inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_writes_what_serde_json_writes(value in any_json(), piece in 1_usize..5) {
            let expected = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(indented(&value.to_string(), piece), expected);
        }
    }
}
