//! What requests changed: things created, removed and edited. The rest of the world is computed.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::catalogue::{Field, Place, Shape, TypeDef, Value, catalogue};
use crate::sim::xml::{Element, Node};

/// Everything that requests changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// How many things each collection has beyond what it began with.
    created: BTreeMap<String, usize>,
    removed: BTreeSet<Uuid>,
    names: BTreeMap<Uuid, String>,
    edits: BTreeMap<Uuid, Vec<Node>>,
}

impl Changes {
    /// How many things were created in a collection.
    pub fn created(&self, collection: &str) -> usize {
        self.created.get(collection).copied().unwrap_or(0)
    }

    /// Whether a thing is gone.
    pub fn removed(&self, key: Uuid) -> bool {
        self.removed.contains(&key)
    }

    /// The name that a request gave to a thing.
    pub fn name(&self, key: Uuid) -> Option<&str> {
        self.names.get(&key).map(String::as_str)
    }

    /// The text of a field that a request changed.
    pub fn text(&self, key: Uuid, field: &str) -> Option<&str> {
        let node = self.edits.get(&key)?.iter().find(|node| node.name == field)?;
        Some(&node.text)
    }

    /// A changed field as elements of a thing's document.
    pub fn edited(&self, key: Uuid, field: &'static Field) -> Option<Vec<Element>> {
        let nodes = self.edits.get(&key)?;
        let mut own = nodes.iter().filter(|node| node.name == field.name).peekable();
        own.peek()?;
        Some(own.map(|node| copy(node, field.name, field)).collect())
    }
}

fn copy(node: &Node, name: &'static str, field: &'static Field) -> Element {
    if field.shape == Shape::Wrapped {
        let item = field.items.first().copied().unwrap_or(name);
        let items = node.children.iter().map(|child| copy_value(child, item, field));
        return Element::new(name).children(items);
    }
    copy_value(node, name, field)
}

fn copy_value(node: &Node, name: &'static str, field: &'static Field) -> Element {
    match field.value {
        Value::Type(ty) => copy_type(node, name, catalogue().ty(ty)),
        _ => Element::leaf(name, node.text.as_str()),
    }
}

fn copy_type(node: &Node, name: &'static str, ty: &'static TypeDef) -> Element {
    let mut element = Element::new(name);
    for (attribute, value) in &node.attributes {
        if let Some((_, field)) = ty.attribute(attribute.as_bytes()) {
            element = element.attr(field.name, value.as_str());
        }
    }
    for child in &node.children {
        if let Some((_, field)) = ty.element(child.name.as_bytes()) {
            element = element.child(copy(child, field.name, field));
        }
    }
    match ty.fields.iter().find(|field| field.place == Place::Text) {
        Some(_) => element.text(node.text.as_str()),
        None => element,
    }
}
