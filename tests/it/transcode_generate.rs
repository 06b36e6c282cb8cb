//! Documents that the schema can produce, for the transcoder's property tests.
//!
//! A document is a tree made from a seed; it can be written down in more than one way (attribute order, prefix, spaces,
//! comments, CDATA, references, byte order mark), all of which mean the same.

use emgate::catalogue::{Catalogue, Field, Form, Place, Root, Scalar, Shape, TypeDef, Value, catalogue};

/// An element.
pub struct Node {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Node>,
    /// Only without children.
    pub text: String,
}

/// Small deterministic numbers.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9E37_79B9_7F4A_7C15)
    }

    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides.max(1)
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.roll(of.len())]
    }
}

/// A document of this root.
pub fn document(root: Root, seed: u64) -> Node {
    let mut g = Generator {
        c: catalogue(),
        dice: Dice::new(seed),
        left: 150,
    };
    let ty = g.c.ty(root.ty);
    if ty.form == Form::QueryResult {
        return g.query_result(root, ty);
    }
    let mut node = Node::new(root.name);
    g.fill(&mut node, ty, 0);
    node
}

struct Generator {
    c: &'static Catalogue,
    dice: Dice,
    /// Elements still allowed, so that documents stay small.
    left: usize,
}

impl Generator {
    fn fill(&mut self, node: &mut Node, ty: &'static TypeDef, depth: usize) {
        // Of each choice one alternative, or none.
        let mut out: Vec<usize> = Vec::new();
        for group in &ty.choices {
            let keep = self.dice.roll(group.len() + 1);
            out.extend(
                group
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| *i != keep)
                    .map(|(_, f)| usize::from(*f)),
            );
        }
        for (index, field) in ty.fields.iter().enumerate() {
            let wanted = field.required || self.dice.roll(3) > 0;
            if out.contains(&index) || !wanted {
                continue;
            }
            match field.place {
                Place::Attribute => {
                    let value = if field.name == "Type" && !ty.link_types.is_empty() {
                        ty.link_types[0].to_owned()
                    } else {
                        self.scalar(field)
                    };
                    node.attributes.push((field.name.to_owned(), value));
                }
                Place::Text => node.text = self.scalar(field),
                Place::Element => self.children(node, field, depth),
            }
        }
    }

    fn children(&mut self, node: &mut Node, field: &'static Field, depth: usize) {
        let complex = matches!(field.value, Value::Type(_));
        if (self.left == 0 || depth > 8) && complex && !field.required {
            return;
        }
        let count = match field.shape {
            Shape::One => 1,
            _ if depth > 8 || self.left == 0 => 0,
            _ => self.dice.roll(4),
        };
        match field.shape {
            Shape::One | Shape::Repeated => {
                for _ in 0..count {
                    let child = self.element(field.name, field, depth);
                    node.children.push(child);
                }
            }
            Shape::Wrapped => {
                let mut wrapper = Node::new(field.name);
                let name = self.dice.pick(&field.items);
                for _ in 0..count {
                    let child = self.element(name, field, depth);
                    wrapper.children.push(child);
                }
                node.children.push(wrapper);
            }
        }
    }

    fn element(&mut self, name: &str, field: &'static Field, depth: usize) -> Node {
        self.left = self.left.saturating_sub(1);
        let mut node = Node::new(name);
        match field.value {
            Value::Type(id) if self.c.ty(id).form == Form::Page => node = self.page(),
            Value::Type(id) => self.fill(&mut node, self.c.ty(id), depth + 1),
            Value::Scalar(_) | Value::Enum(_) => match self.dice.roll(12) {
                0 => {}
                1 => node.attributes.push(("xsi:nil".to_owned(), "true".to_owned())),
                _ => node.text = self.scalar(field),
            },
        }
        node
    }

    fn query_result(&mut self, root: Root, ty: &'static TypeDef) -> Node {
        let mut node = Node::new(root.name);
        let part = self.dice.pick(&["Refs", "Entities", "Resources"]);
        let (_, field) = ty.element(part.as_bytes()).unwrap();
        if part == "Refs" {
            self.children(&mut node, field, 0);
        } else if let Value::Type(id) = field.value {
            let mut inner = Node::new(field.name);
            let lists = &self.c.ty(id).fields;
            let list = &lists[self.dice.roll(lists.len())];
            self.children(&mut inner, list, 0);
            node.children.push(inner);
        }
        // What a query result holds says what it is.
        fn mark(node: &mut Node, c: &'static Catalogue, ty: &'static TypeDef, reference: bool) {
            if ty.attribute(b"Type").is_some() {
                node.attributes.retain(|(name, _)| name != "Type");
                let kind = match (reference, ty.link_types.first()) {
                    (true, _) => "JobReference",
                    (false, Some(kind)) => kind,
                    (false, None) => return,
                };
                node.attributes.push(("Type".to_owned(), kind.to_owned()));
            }
            let _ = c;
        }
        for child in &mut node.children {
            let Some((_, field)) = ty.element(child.name.as_bytes()) else {
                continue;
            };
            let Value::Type(id) = field.value else { continue };
            let inner = self.c.ty(id);
            if field.is_list() {
                child
                    .children
                    .iter_mut()
                    .for_each(|item| mark(item, self.c, inner, true));
                continue;
            }
            for list in &mut child.children {
                let Some((
                    _,
                    Field {
                        value: Value::Type(id),
                        ..
                    },
                )) = inner.element(list.name.as_bytes())
                else {
                    continue;
                };
                list.children
                    .iter_mut()
                    .for_each(|item| mark(item, self.c, self.c.ty(*id), false));
            }
        }
        if self.dice.roll(2) == 0 {
            let page = self.page();
            node.children.push(page);
        }
        node
    }

    fn page(&mut self) -> Node {
        let mut node = Node::new("PagingInfo");
        for name in ["PageNum", "PageSize", "PagesCount"] {
            node.attributes
                .push((name.to_owned(), self.dice.roll(100).to_string()));
        }
        let mut links = Node::new("Links");
        for rel in ["First", "Next", "Previous"] {
            if self.dice.roll(2) == 0 {
                let mut link = Node::new("Link");
                link.attributes.push(("Rel".to_owned(), rel.to_owned()));
                let page = self.dice.roll(9);
                link.attributes.push((
                    "Href".to_owned(),
                    format!("https://em:9398/api/query?type=Job&page={page}"),
                ));
                links.children.push(link);
            }
        }
        node.children.push(links);
        node
    }

    fn scalar(&mut self, field: &'static Field) -> String {
        let text = match field.value {
            Value::Enum(id) => {
                let e = self.c.enumeration(id);
                let all: Vec<&str> = e.values.iter().chain(&*e.observed).copied().collect();
                self.dice.pick(&all)
            }
            Value::Scalar(s) => match s {
                Scalar::String => self.dice.pick(&[
                    "plain",
                    "",
                    "  outer blanks ",
                    "007",
                    "1e3",
                    "true",
                    "null",
                    "R&D <B> \"q\" 'a'",
                    "tab\tline\nend",
                    "Füße 日本 😀",
                    "__proto__",
                    "a]]>b",
                    "&amp;",
                    "C:\\Users\\x",
                    "{\"json\":[1]}",
                ]),
                Scalar::Urn => self.dice.pick(&[
                    "urn:veeam:Job:3f56fa52-c902-4655-9774-2022fde214d2",
                    "urn:VMware:Vm:8e5c.vm-42",
                    "",
                    "urn:veeam:CatalogVm:srv with:colon",
                    "bare",
                ]),
                Scalar::Uuid => self.dice.pick(&["3f56fa52-c902-4655-9774-2022fde214d2", ""]),
                Scalar::Url => self.dice.pick(&[
                    "https://localhost:9398/api/jobs/1?format=Entity&x=%20",
                    "http://em/api",
                    "/api/query?type=Job",
                    "https://help.example/page",
                    "",
                    "https://em:9398/apiary",
                ]),
                Scalar::Time => self.dice.pick(&["22:00:00.0000000-07:00", "06:00:00", ""]),
                Scalar::Int => self.dice.pick(&["0", "-5", "2147483647", "042", "", " 7 "]),
                Scalar::Long => self.dice.pick(&[
                    "9007199254740993",
                    "-9223372036854775808",
                    "18446744073709551615",
                    "",
                    "1",
                ]),
                Scalar::Decimal => self.dice.pick(&["1.5", "-0.25", "100", "", ".5"]),
                Scalar::Boolean => self.dice.pick(&["true", "False", "1", "0", ""]),
                Scalar::DateTime => self.dice.pick(&[
                    "2026-05-06T20:29:45.1234567+02:00",
                    "2026-05-06T20:29:45Z",
                    "1753-01-01T00:00:00Z",
                    "",
                    "2024-02-29T23:59:59.5",
                ]),
            },
            Value::Type(_) => "",
        };
        let text = text.to_owned();
        // A relation is one word.
        if field.name == "Rel" {
            self.dice
                .pick(&["Up", "QuickBackup", "Delete", "Novel"])
                .to_owned()
        } else {
            text
        }
    }
}

impl Node {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            attributes: Vec::new(),
            children: Vec::new(),
            text: String::new(),
        }
    }

    /// The document in one plain spelling.
    pub fn plain(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, None, "", true);
        out
    }

    /// The same document in another spelling.
    pub fn disguised(&self, seed: u64) -> Vec<u8> {
        let mut dice = Dice::new(seed);
        let mut out = String::new();
        if dice.roll(2) == 0 {
            out.push('\u{feff}');
        }
        if dice.roll(2) == 0 {
            out.push_str("<?xml version='1.0' encoding='UTF-8' standalone=\"yes\"?>");
        }
        noise(&mut out, &mut dice);
        let prefix = dice.pick(&["", "v", "ns0", "Veeam.Ent-1"]);
        self.write(&mut out, Some(&mut dice), prefix, true);
        noise(&mut out, &mut dice);
        if dice.roll(6) == 0 {
            let units = out.trim_start_matches('\u{feff}').encode_utf16();
            return std::iter::once(0xFEFF)
                .chain(units)
                .flat_map(u16::to_le_bytes)
                .collect();
        }
        out.into_bytes()
    }

    fn write(&self, out: &mut String, mut dice: Option<&mut Dice>, prefix: &str, root: bool) {
        let (colon, declared) = match prefix {
            "" => (String::new(), "xmlns".to_owned()),
            prefix => (format!("{prefix}:"), format!("xmlns:{prefix}")),
        };
        out.push_str(&format!("<{colon}{}", self.name));
        let mut attributes = self.attributes.clone();
        if root {
            attributes.push((declared, "http://www.veeam.com/ent/v1.0".to_owned()));
            attributes.push((
                "xmlns:xsi".to_owned(),
                "http://www.w3.org/2001/XMLSchema-instance".to_owned(),
            ));
        }
        if let Some(dice) = &mut dice {
            for i in (1..attributes.len()).rev() {
                let j = dice.roll(i + 1);
                attributes.swap(i, j);
            }
        }
        for (name, value) in &attributes {
            let blank = dice.as_mut().map_or(" ", |d| d.pick(&[" ", "\n\t", "  "]));
            let single = dice.as_mut().is_some_and(|d| d.roll(2) == 0);
            let mut escaped = String::new();
            for c in value.chars() {
                match c {
                    '&' => escaped.push_str("&amp;"),
                    '<' => escaped.push_str("&lt;"),
                    '"' => escaped.push_str("&quot;"),
                    '\'' => escaped.push_str("&#39;"),
                    '\n' => escaped.push_str("&#10;"),
                    '\t' => escaped.push_str("&#x9;"),
                    '/' if single => escaped.push_str("&#x2F;"),
                    c => escaped.push(c),
                }
            }
            let quote = if single { '\'' } else { '"' };
            out.push_str(&format!("{blank}{name}={quote}{escaped}{quote}"));
        }
        let hollow = self.children.is_empty() && self.text.is_empty();
        if hollow && dice.as_mut().is_none_or(|d| d.roll(2) == 0) {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for child in &self.children {
            if let Some(dice) = &mut dice {
                noise(out, dice);
            }
            child.write(out, dice.as_deref_mut(), prefix, false);
        }
        if !self.children.is_empty()
            && let Some(dice) = &mut dice
        {
            noise(out, dice);
        }
        text(out, &self.text, dice);
        out.push_str(&format!("</{colon}{}>", self.name));
    }
}

/// Blanks, comments and processing instructions, where they mean nothing.
fn noise(out: &mut String, dice: &mut Dice) {
    out.push_str(dice.pick(&[
        "",
        "\n  ",
        "\r\n",
        "<!-- <nothing/> & -->",
        "\t<?target data?> ",
        "",
    ]));
}

fn text(out: &mut String, text: &str, mut dice: Option<&mut Dice>) {
    for c in text.chars() {
        let style = dice.as_mut().map_or(9, |d| d.roll(9));
        match (style, c) {
            (0, c) => out.push_str(&format!("&#x{:X};", u32::from(c))),
            (1, c) => out.push_str(&format!("&#{};", u32::from(c))),
            (2, c) => out.push_str(&format!("<![CDATA[{c}]]>")),
            (3, c) => {
                out.push_str("<!-- in the middle -->");
                plain_char(out, c);
            }
            (_, c) => plain_char(out, c),
        }
    }
}

fn plain_char(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c => out.push(c),
    }
}
