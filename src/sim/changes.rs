//! What requests changed: things created, removed and edited. The rest of the world is computed.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::sim::xml::Node;

/// The most changes that are kept of each sort; what comes later is accepted and forgotten.
const MAX_CHANGES: usize = 10_000;

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

    /// One more thing in a collection.
    pub fn create(&mut self, collection: &str) {
        if self.created.values().sum::<usize>() < MAX_CHANGES {
            *self.created.entry(collection.to_owned()).or_default() += 1;
        }
    }

    /// Whether a thing is gone.
    pub fn removed(&self, key: Uuid) -> bool {
        self.removed.contains(&key)
    }

    /// Takes a thing away.
    pub fn remove(&mut self, key: Uuid) {
        if self.removed.len() < MAX_CHANGES {
            self.removed.insert(key);
        }
    }

    /// The name that a request gave to a thing.
    pub fn name(&self, key: Uuid) -> Option<&str> {
        self.names.get(&key).map(String::as_str)
    }

    /// Gives a thing a name.
    pub fn rename(&mut self, key: Uuid, name: &str) {
        if self.names.len() < MAX_CHANGES {
            self.names.insert(key, name.to_owned());
        }
    }

    /// The text of a field that a request changed.
    pub fn text(&self, key: Uuid, field: &str) -> Option<&str> {
        let node = self.edits.get(&key)?.iter().find(|node| node.name == field)?;
        Some(&node.text)
    }

    /// Replaces fields of a thing; several elements of one name are one field.
    pub fn edit(&mut self, key: Uuid, nodes: Vec<Node>) {
        if self.edits.len() >= MAX_CHANGES && !self.edits.contains_key(&key) {
            return;
        }
        let edits = self.edits.entry(key).or_default();
        edits.retain(|old| nodes.iter().all(|new| new.name != old.name));
        edits.extend(nodes);
    }

    /// The elements of a field that a request changed.
    pub fn edited(&self, key: Uuid, field: &str) -> Option<Vec<&Node>> {
        let nodes = self.edits.get(&key)?;
        let own: Vec<&Node> = nodes.iter().filter(|node| node.name == field).collect();
        (!own.is_empty()).then_some(own)
    }
}
