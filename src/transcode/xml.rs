//! XML being written: tags, attributes, text, indentation.

use super::text::is_xml_char;
use super::words;

/// XML Schema's instance namespace, declared where `nil` is used.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// A document under construction.
#[derive(Default)]
pub(super) struct Xml {
    pub out: Vec<u8>,
    indent: bool,
    depth: usize,
    /// A start tag whose `>` is not written yet.
    pub open: bool,
    /// The last thing written was text: no indentation before the end tag.
    pub text: bool,
}

/// Where in an element a value is.
#[derive(Clone, Copy)]
pub(super) enum At {
    Attribute(&'static str),
    Text,
}

impl Xml {
    /// About `capacity` bytes will be written.
    pub(super) fn new(indent: bool, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
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

    /// ` name="value"`, on a start tag just begun. The value needs no escapes.
    pub(super) fn attribute(&mut self, name: &'static str, value: &str) {
        self.put(At::Attribute(name), "", value, true);
    }

    pub(super) fn nil(&mut self) {
        self.attribute("xsi:nil", "true");
        self.attribute("xmlns:xsi", XSI);
    }

    /// A value: its head, which needs no escapes, and the rest, which needs none either where it `is_plain`.
    pub(super) fn put(&mut self, at: At, head: &str, rest: &str, is_plain: bool) {
        match at {
            At::Attribute(name) => {
                self.out.push(b' ');
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"=\"");
            }
            At::Text if head.is_empty() && rest.is_empty() => return,
            At::Text => {
                self.close_tag();
                self.text = true;
            }
        }
        self.out.extend_from_slice(head.as_bytes());
        if is_plain {
            self.out.extend_from_slice(rest.as_bytes());
        } else {
            self.escape(rest.as_bytes(), matches!(at, At::Attribute(_)));
        }
        if let At::Attribute(_) = at {
            self.out.push(b'"');
        }
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
    fn escape(&mut self, bytes: &[u8], attribute: bool) {
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

/// How XML can hold a text.
#[derive(PartialEq, Eq)]
pub(super) enum Fitness {
    /// As it is.
    Plain,
    /// With escapes, perhaps.
    Escaped,
    /// Not at all.
    Unfit,
}

pub(super) fn fitness(text: &str) -> Fitness {
    // The only characters that do not fit beyond the control characters begin with the byte 0xEF.
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "so it is a few vector comparisons; lazily it halves the speed of the encoder"
    )]
    let special = |b| (b < b' ') | (b == 0xEF) | matches!(b, b'"' | b'&' | b'<' | b'>');
    if !words::any(text.as_bytes(), special) {
        Fitness::Plain
    } else if text.chars().all(is_xml_char) {
        Fitness::Escaped
    } else {
        Fitness::Unfit
    }
}
