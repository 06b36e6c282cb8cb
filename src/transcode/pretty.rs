//! JSON indented while it streams past.

use std::io::{self, Write};

/// Indents compact JSON by two; memory does not grow with the document.
pub(super) struct Pretty<W> {
    to: W,
    line: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The last byte was an opening bracket whose line break waits: `[]` and `{}` stay together.
    opened: bool,
}

impl<W: Write> Pretty<W> {
    pub(super) fn new(to: W) -> Self {
        let line = Vec::with_capacity(8192);
        Self {
            to,
            line,
            depth: 0,
            in_string: false,
            escaped: false,
            opened: false,
        }
    }

    fn new_line(&mut self) {
        self.line.push(b'\n');
        self.line.resize(self.line.len() + 2 * self.depth, b' ');
    }

    fn byte(&mut self, b: u8) {
        if self.in_string {
            self.line.push(b);
            if self.escaped {
                self.escaped = false;
            } else if b == b'\\' {
                self.escaped = true;
            } else if b == b'"' {
                self.in_string = false;
            }
            return;
        }
        if matches!(b, b' ' | b'\n' | b'\r' | b'\t') {
            return;
        }
        let opened = std::mem::take(&mut self.opened);
        match b {
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if !opened {
                    self.new_line();
                }
                self.line.push(b);
            }
            _ => {
                if opened {
                    self.new_line();
                }
                self.line.push(b);
                match b {
                    b'{' | b'[' => {
                        self.depth += 1;
                        self.opened = true;
                    }
                    b',' => self.new_line(),
                    b':' => self.line.push(b' '),
                    b'"' => self.in_string = true,
                    _ => {}
                }
            }
        }
    }
}

impl<W: Write> Write for Pretty<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        for b in buf {
            self.byte(*b);
            if self.line.len() >= 8000 {
                self.to.write_all(&self.line)?;
                self.line.clear();
            }
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.write_all(&self.line)?;
        self.line.clear();
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_indentation_is_that_of_serde_json() {
        for text in [
            r#"{"a":[1,{"b":[],"c":{}},"x,y:{[\"\\"],"d":null}"#,
            "[]",
            "{}",
            "[[[]],[{}]]",
            "\"only: [text]\"",
            "3",
        ] {
            let mut out = Vec::new();
            let mut pretty = Pretty::new(&mut out);
            for byte in text.as_bytes().chunks(3) {
                assert!(pretty.write_all(byte).is_ok());
            }
            assert!(pretty.flush().is_ok());
            let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
            assert_eq!(
                String::from_utf8_lossy(&out),
                serde_json::to_string_pretty(&value).unwrap_or_default()
            );
        }
    }
}
