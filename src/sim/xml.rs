//! The simulator's own XML: a small tree that writes itself, and a reader for request bodies.
//!
//! It shares nothing with the program's transcoder, so that a mistake there cannot cancel itself out here.
//! What is written varies on purpose (see [`Style`]): EM's own answers do.

use std::fmt::Write as _;

use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use quick_xml::{NsReader, XmlVersion};

/// The namespace of every EM document.
pub const NAMESPACE: &str = "http://www.veeam.com/ent/v1.0";

/// How deep a request body may nest.
const MAX_DEPTH: usize = 32;

/// An element that is going to be written.
#[derive(Debug, Clone, Default)]
pub struct Element {
    pub(super) name: &'static str,
    pub(super) attributes: Vec<(&'static str, String)>,
    pub(super) text: Option<String>,
    pub(super) children: Vec<Element>,
}

/// How one answer is spelled. EM's answers differ between versions and between resources in all of these.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Starts with a byte order mark.
    pub bom: bool,
    /// Has an XML declaration.
    pub prolog: bool,
    /// Declares the `xsd` and `xsi` prefixes at the root, unused.
    pub schema_prefixes: bool,
    /// By how many places the attributes of every element are rotated.
    pub rotate: usize,
    /// Writes `'` as `&#39;` and `/` as `&#x2F;`.
    pub references: bool,
    /// Line breaks and indentation between the elements.
    pub indent: bool,
    /// Puts an element into the root that no schema knows.
    pub unknown_element: bool,
}

impl Element {
    /// An element without content.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// An element that holds text only.
    pub fn leaf(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// The same with one more attribute.
    #[must_use]
    pub fn attr(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// The same with one more child at the end.
    #[must_use]
    pub fn child(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }

    /// The same with one more child holding text.
    #[must_use]
    pub fn text_child(self, name: &'static str, text: impl Into<String>) -> Self {
        self.child(Self::leaf(name, text))
    }

    /// The same with that text, for elements with attributes and text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The same with more children at the end.
    #[must_use]
    pub fn children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children);
        self
    }

    /// The whole document, this element being the root.
    pub fn document(mut self, style: Style) -> Vec<u8> {
        if style.unknown_element {
            self.children.push(
                Element::new("AddedInALaterVersion")
                    .attr("Level", "3")
                    .text_child("Note", "not in any schema")
                    .text_child("Note", "and repeated"),
            );
        }
        let mut out = String::with_capacity(512);
        if style.bom {
            out.push('\u{feff}');
        }
        if style.prolog {
            out.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>");
            if style.indent {
                out.push('\n');
            }
        }
        self.write(&mut out, style, 0);
        super::marks::carried_out(out)
    }

    fn write(&self, out: &mut String, style: Style, depth: usize) {
        out.push('<');
        out.push_str(self.name);
        if depth == 0 {
            if style.schema_prefixes {
                out.push_str(
                    " xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
                     xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"",
                );
            }
            let _ = write!(out, " xmlns=\"{NAMESPACE}\"");
        }
        let count = self.attributes.len();
        let shift = if count == 0 { 0 } else { style.rotate % count };
        for (name, value) in self.attributes.iter().cycle().skip(shift).take(count) {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            escape(out, value, style);
            out.push('"');
        }
        match (&self.text, self.children.is_empty()) {
            (None, true) => out.push_str(" />"),
            (Some(text), true) => {
                out.push('>');
                escape(out, text, style);
                let _ = write!(out, "</{}>", self.name);
            }
            (_, false) => {
                out.push('>');
                for child in &self.children {
                    break_line(out, style, depth + 1);
                    child.write(out, style, depth + 1);
                }
                break_line(out, style, depth);
                let _ = write!(out, "</{}>", self.name);
            }
        }
    }
}

fn break_line(out: &mut String, style: Style, depth: usize) {
    if style.indent {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    }
}

fn escape(out: &mut String, text: &str, style: Style) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' if style.references => out.push_str("&#39;"),
            '/' if style.references => out.push_str("&#x2F;"),
            '\n' | '\r' | '\t' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// An element of a request body: local names only, the namespace checked while reading.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// The local name.
    pub name: String,
    /// The attributes by their names as written, namespace declarations included.
    pub attributes: Vec<(String, String)>,
    /// The text directly inside, joined.
    pub text: String,
    /// The child elements in document order.
    pub children: Vec<Node>,
}

impl Node {
    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Reads a request body.
///
/// Every element must be in EM's namespace; document types, undeclared entities and deep nesting are refused.
/// The error is a sentence for the Message of EM's error document.
pub fn read(body: &[u8]) -> Result<Node, String> {
    let text = std::str::from_utf8(body).map_err(|_| "The request body is not UTF-8".to_owned())?;
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}'));
    let mut stack: Vec<Node> = Vec::new();
    let mut root = None;
    loop {
        let (namespace, event) = reader
            .read_resolved_event()
            .map_err(|error| format!("The request body is not XML: {error}"))?;
        let in_namespace = matches!(namespace, ResolveResult::Bound(ns) if ns.as_ref() == NAMESPACE);
        match event {
            Event::Start(ref start) | Event::Empty(ref start) => {
                let name = start.local_name().as_ref().to_owned();
                if !in_namespace {
                    return Err(format!("Element '{name}' is not in the namespace '{NAMESPACE}'"));
                }
                if stack.len() >= MAX_DEPTH {
                    return Err("The request body nests too deeply".to_owned());
                }
                let mut attributes = Vec::new();
                for attribute in start.attributes() {
                    let attribute =
                        attribute.map_err(|error| format!("The request body is not XML: {error}"))?;
                    let value = attribute
                        .normalized_value(XmlVersion::Implicit1_0)
                        .map_err(|error| format!("The request body is not XML: {error}"))?;
                    attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
                }
                stack.push(Node {
                    name,
                    attributes,
                    ..Node::default()
                });
                if matches!(event, Event::Empty(_)) {
                    close(&mut stack, &mut root)?;
                }
            }
            Event::End(_) => close(&mut stack, &mut root)?,
            Event::Text(text) => append(&mut stack, &text.into_inner())?,
            Event::CData(text) => append(&mut stack, &text.into_inner())?,
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref() {
                    Ok(Some(c)) => c.to_string(),
                    _ => quick_xml::escape::resolve_predefined_entity(&reference)
                        .ok_or_else(|| format!("The entity '{}' is not declared", &*reference))?
                        .to_owned(),
                };
                append(&mut stack, &resolved)?;
            }
            Event::DocType(_) => return Err("A document type is not allowed".to_owned()),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    match root {
        Some(root) if stack.is_empty() => Ok(root),
        _ => Err("The request body is cut or empty".to_owned()),
    }
}

fn close(stack: &mut Vec<Node>, root: &mut Option<Node>) -> Result<(), String> {
    let node = stack.pop().ok_or("The request body is not XML")?;
    match stack.last_mut() {
        Some(parent) => parent.children.push(node),
        None if root.is_none() => *root = Some(node),
        None => return Err("The request body has two roots".to_owned()),
    }
    Ok(())
}

fn append(stack: &mut [Node], text: &str) -> Result<(), String> {
    match stack.last_mut() {
        Some(node) => node.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("The request body has text outside of its root".to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_written_in_every_style_reads_back_the_same() {
        for bits in 0..64_u32 {
            let on = |bit: u32| bits & (1 << bit) != 0;
            let style = Style {
                bom: on(0),
                prolog: on(1),
                schema_prefixes: on(2),
                rotate: (bits as usize) % 3,
                references: on(3),
                indent: on(4),
                unknown_element: on(5),
            };
            let document = Element::new("Task")
                .attr("Type", "Task")
                .attr("Href", "http://a/?b&c")
                .text_child("Message", "it's <here> & \"there\"/x\n")
                .child(Element::new("Empty"))
                .document(style);
            let node = read(&document).unwrap();
            assert_eq!(node.name, "Task");
            assert_eq!(node.child("Message").unwrap().text, "it's <here> & \"there\"/x\n");
            assert_eq!(node.children.len(), if style.unknown_element { 3 } else { 2 });
        }
    }

    #[test]
    fn hostile_or_foreign_bodies_are_refused() {
        for body in [
            "",
            "<A",
            "<A xmlns=\"http://www.veeam.com/ent/v1.0\">",
            "<A/>",
            "<A xmlns=\"urn:other\"/>",
            "<!DOCTYPE A [<!ENTITY x \"y\">]><A xmlns=\"http://www.veeam.com/ent/v1.0\">&x;</A>",
            "<A xmlns=\"http://www.veeam.com/ent/v1.0\">&x;</A>",
            "<A xmlns=\"http://www.veeam.com/ent/v1.0\"/><A xmlns=\"http://www.veeam.com/ent/v1.0\"/>",
        ] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
