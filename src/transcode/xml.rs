//! XML being written: tags, attributes, text, indentation.

use super::text::is_xml_char;
use super::words;

/// XML Schema's instance namespace, declared where `nil` is used.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// A document under construction.
pub(super) struct Xml {
    pub out: Vec<u8>,
    indent: bool,
    depth: usize,
    /// A start tag whose `>` is not written yet.
    open: bool,
    /// The last thing written was text: no indentation before the end tag.
    text: bool,
}

impl Xml {
    pub(super) fn new(indent: bool) -> Self {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"utf-8\"?>");
        Self {
            out,
            indent,
            depth: 0,
            open: false,
            text: false,
        }
    }

    fn close_tag(&mut self) {
        if std::mem::take(&mut self.open) {
            self.out.push(b'>');
        }
    }

    fn line(&mut self) {
        if self.indent {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * self.depth, b' ');
        }
    }

    /// `<name`; attributes may follow.
    pub(super) fn start(&mut self, name: &str) {
        self.close_tag();
        self.line();
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.depth += 1;
        self.open = true;
        self.text = false;
    }

    /// ` name="value"`, on a start tag just begun.
    pub(super) fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(b' ');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"=\"");
        self.escape(value, true);
        self.out.push(b'"');
    }

    pub(super) fn nil(&mut self) {
        self.attribute("xsi:nil", "true");
        self.attribute("xmlns:xsi", XSI);
    }

    pub(super) fn text(&mut self, value: &str) {
        if value.is_empty() {
            return;
        }
        self.close_tag();
        self.escape(value, false);
        self.text = true;
    }

    /// `</name>`, or `/>` if nothing is inside.
    pub(super) fn end(&mut self, name: &str) {
        self.depth -= 1;
        if std::mem::take(&mut self.open) {
            self.out.extend_from_slice(b" />");
        } else {
            if !self.text {
                self.line();
            }
            self.out.extend_from_slice(b"</");
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'>');
        }
        self.text = false;
    }

    /// Line ends and tabs are written as references where a reader would otherwise change them.
    fn escape(&mut self, value: &str, attribute: bool) {
        let bytes = value.as_bytes();
        if !words::any(bytes, |b| (b < b' ') | matches!(b, b'"' | b'&' | b'<' | b'>')) {
            self.out.extend_from_slice(bytes);
            return;
        }
        let mut done = 0;
        for (i, b) in bytes.iter().enumerate() {
            let escaped: &[u8] = match b {
                b'&' => b"&amp;",
                b'<' => b"&lt;",
                b'>' => b"&gt;",
                b'"' if attribute => b"&quot;",
                b'\r' => b"&#13;",
                b'\n' if attribute => b"&#10;",
                b'\t' if attribute => b"&#9;",
                _ => continue,
            };
            self.out.extend_from_slice(bytes.get(done..i).unwrap_or_default());
            self.out.extend_from_slice(escaped);
            done = i + 1;
        }
        self.out.extend_from_slice(bytes.get(done..).unwrap_or_default());
    }
}

/// Whether XML can hold the text at all.
pub(super) fn fits(text: &str) -> bool {
    // The only ones beyond the control characters begin with the byte 0xEF.
    !words::any(text.as_bytes(), |b| b < b' ' || b == 0xEF) || text.chars().all(is_xml_char)
}
