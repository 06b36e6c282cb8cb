//! The product's own schema files, as far as they say what the catalogue says: types, members, order, cardinality, words.
//!
//! XML Schema 1.0 in the subset that .NET's generators write. Files are local and are read whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Larger files are no schema of EM's.
const LARGEST: u64 = 64 * 1024 * 1024;
/// Elements nest no deeper in a schema.
const DEEPEST: usize = 100;

/// Why a schema cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// Its name.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It is something else.
    #[error("{} is not an XML schema: {why}", path.display())]
    NotASchema {
        /// Its name.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// A child or an attribute of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub name: String,
    pub attribute: bool,
    /// The name of its type, without prefix; empty where the type has none.
    pub ty: String,
    /// Its type, where that has no name.
    pub own: Option<Box<Type>>,
    pub required: bool,
    pub repeated: bool,
}

/// A complex type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Type {
    pub base: Option<String>,
    pub members: Vec<Member>,
}

/// What the files define.
#[derive(Debug, Default)]
pub struct Schema {
    pub(super) types: BTreeMap<String, Type>,
    /// Document elements and the names of their types; empty where the type has none.
    pub(super) roots: BTreeMap<String, String>,
    pub(super) enums: BTreeMap<String, Vec<String>>,
    /// Other files that these refer to.
    pub(super) includes: usize,
}

impl Schema {
    /// Reads files as one schema.
    ///
    /// # Errors
    /// [`SchemaError`].
    pub fn read(files: &[PathBuf]) -> Result<Self, SchemaError> {
        let mut schema = Self::default();
        for path in files {
            let text = text_of(path)?;
            schema.add(&text).map_err(|why| SchemaError::NotASchema {
                path: path.clone(),
                why,
            })?;
        }
        Ok(schema)
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        let root = tree(text)?;
        if root.name != "schema" {
            return Err("its document element is another".to_owned());
        }
        for node in &root.children {
            match (node.name.as_str(), node.attribute("name")) {
                ("include" | "import", _) => self.includes += 1,
                ("element", Some(name)) => {
                    let ty = match node.child("complexType") {
                        Some(own) => {
                            // The type of a document without a name goes by the document's.
                            self.types.insert(name.to_owned(), complex(own));
                            name
                        }
                        None => local(node.attribute("type").unwrap_or_default()),
                    };
                    self.roots.insert(name.to_owned(), ty.to_owned());
                }
                ("complexType", Some(name)) => {
                    self.types.insert(name.to_owned(), complex(node));
                }
                ("simpleType", Some(name)) => {
                    let values = node.child("restriction").map(words).unwrap_or_default();
                    self.enums.insert(name.to_owned(), values);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The members of a type, those of its bases first, attributes before elements.
    pub(super) fn members_of(&self, ty: &Type) -> Vec<Member> {
        let mut chain = vec![ty];
        while let Some(base) = chain.last().and_then(|ty| self.types.get(ty.base.as_deref()?))
            && chain.len() < DEEPEST
        {
            chain.push(base);
        }
        let all = || chain.iter().rev().flat_map(|ty| &ty.members);
        let attributes = all().filter(|member| member.attribute);
        attributes
            .chain(all().filter(|member| !member.attribute))
            .cloned()
            .collect()
    }

    /// The one element that repeats, of a type that is nothing but a list.
    pub(super) fn item_of(&self, ty: &Type) -> Option<Member> {
        match self.members_of(ty).as_slice() {
            [item] if item.repeated => Some(item.clone()),
            _ => None,
        }
    }
}

fn text_of(path: &Path) -> Result<String, SchemaError> {
    let file = |source| SchemaError::File {
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(file)?.len();
    let not = |why: &str| SchemaError::NotASchema {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    if length > LARGEST {
        return Err(not("it is too large"));
    }
    let bytes = std::fs::read(path).map_err(file)?;
    let text = crate::transcode::text_of(&bytes).map_err(|_| not("it is not text in UTF-8 or UTF-16"))?;
    Ok(text.into_owned())
}

/// An element of the file.
#[derive(Debug, Default)]
struct Node {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Self>,
}

impl Node {
    fn of(tag: &BytesStart<'_>) -> Self {
        let attributes = tag.attributes().flatten().map(|attribute| {
            let name: &str = attribute.key.as_ref();
            (name.to_owned(), attribute.value.trim().to_owned())
        });
        let name = tag.name();
        Self {
            name: local(name.as_ref()).to_owned(),
            attributes: attributes.collect(),
            children: Vec::new(),
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// The part of a name behind its prefix.
fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

fn tree(text: &str) -> Result<Node, String> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Node::default()];
    loop {
        let event = reader
            .read_event()
            .map_err(|_| "it is not well-formed XML".to_owned())?;
        match event {
            Event::Start(tag) => open.push(Node::of(&tag)),
            Event::Empty(tag) => {
                if let Some(parent) = open.last_mut() {
                    parent.children.push(Node::of(&tag));
                }
            }
            Event::End(_) => {
                let done = open.pop();
                if let Some((parent, done)) = open.last_mut().zip(done) {
                    parent.children.push(done);
                }
            }
            Event::DocType(_) => return Err("it has a DTD".to_owned()),
            Event::Eof => break,
            _ => {}
        }
        if open.len() > DEEPEST {
            return Err("it nests too deep".to_owned());
        }
    }
    let root = open
        .pop()
        .and_then(|document| document.children.into_iter().next());
    root.ok_or_else(|| "it is empty".to_owned())
}

fn words(restriction: &Node) -> Vec<String> {
    let values = restriction
        .children
        .iter()
        .filter(|node| node.name == "enumeration");
    values
        .filter_map(|node| node.attribute("value").map(str::to_owned))
        .collect()
}

fn complex(node: &Node) -> Type {
    let mut ty = Type::default();
    collect(node, Occurs::ONCE, &mut ty);
    ty
}

/// How often what is around an element occurs.
#[derive(Clone, Copy)]
struct Occurs {
    always: bool,
    often: bool,
}

impl Occurs {
    const ONCE: Self = Self {
        always: true,
        often: false,
    };

    fn of(self, node: &Node) -> Self {
        let always = node.attribute("minOccurs") != Some("0") && node.name != "choice";
        let often = node
            .attribute("maxOccurs")
            .is_some_and(|most| !matches!(most, "0" | "1"));
        Self {
            always: self.always && always,
            often: self.often || often,
        }
    }
}

/// Adds the members below a node, through groups and extensions.
fn collect(node: &Node, around: Occurs, ty: &mut Type) {
    for child in &node.children {
        match child.name.as_str() {
            "sequence" | "all" | "choice" => collect(child, around.of(child), ty),
            "complexContent" | "simpleContent" => collect(child, around, ty),
            "extension" | "restriction" => {
                ty.base = child.attribute("base").map(|base| local(base).to_owned());
                collect(child, around, ty);
            }
            "element" | "attribute" => {
                let Some(name) = child.attribute("name").or_else(|| child.attribute("ref")) else {
                    continue;
                };
                let attribute = child.name == "attribute";
                let occurs = around.of(child);
                ty.members.push(Member {
                    name: local(name).to_owned(),
                    attribute,
                    ty: local(child.attribute("type").unwrap_or_default()).to_owned(),
                    own: child.child("complexType").map(|own| Box::new(complex(own))),
                    required: if attribute {
                        child.attribute("use") == Some("required")
                    } else {
                        occurs.always
                    },
                    repeated: !attribute && occurs.often,
                });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_through_bases_groups_and_types_without_a_name() {
        let mut schema = Schema::default();
        schema
            .add(
                r#"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:v="urn:x">
                <xs:element name="Job" type="v:JobType"/>
                <xs:complexType name="BaseType"><xs:sequence><xs:element name="Links" type="v:LinkListType" minOccurs="0"/></xs:sequence>
                  <xs:attribute name="Href" type="xs:anyURI"/></xs:complexType>
                <xs:complexType name="LinkListType"><xs:sequence><xs:element name="Link" type="xs:string" maxOccurs="unbounded"/></xs:sequence></xs:complexType>
                <xs:complexType name="JobType"><xs:complexContent><xs:extension base="v:BaseType"><xs:sequence>
                  <xs:element name="Retries"><xs:complexType><xs:attribute name="Count" type="xs:int" use="required"/></xs:complexType></xs:element>
                  <xs:choice><xs:element name="A" type="xs:int"/><xs:element name="B" type="xs:int"/></xs:choice>
                </xs:sequence></xs:extension></xs:complexContent></xs:complexType>
                <xs:simpleType name="StateType"><xs:restriction base="xs:string"><xs:enumeration value="On"/><xs:enumeration value="Off"/></xs:restriction></xs:simpleType>
                </xs:schema>"#,
            )
            .unwrap();
        assert_eq!(schema.roots["Job"], "JobType");
        assert_eq!(schema.enums["StateType"], ["On", "Off"]);
        let members = schema.members_of(&schema.types["JobType"]);
        let told: Vec<(&str, bool)> = members.iter().map(|m| (m.name.as_str(), m.required)).collect();
        let expected = [
            ("Href", false),
            ("Links", false),
            ("Retries", true),
            ("A", false),
            ("B", false),
        ];
        assert_eq!(told, expected);
        assert_eq!(members[2].own.as_ref().unwrap().members[0].name, "Count");
        assert_eq!(
            schema.item_of(&schema.types["LinkListType"]).unwrap().name,
            "Link"
        );
        assert!(schema.item_of(&schema.types["JobType"]).is_none());
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for text in ["", "<a/>", "<a", "<!DOCTYPE a><schema/>", &"<schema>".repeat(200)] {
            assert!(Schema::default().add(text).is_err(), "{text}");
        }
    }
}
