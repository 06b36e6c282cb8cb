//! EM's vocabulary as data: types, enumerations, resources, operations, queries, link relations.
//!
//! The single source for the transcoder, the mirror's routes and their documentation, filter checks and the
//! simulator. The facts are in `data/*.toml`, one file per area of EM; the notation is explained at the top of
//! `data/core.toml`, and adding a field is adding a line there. Never holds behaviour, knows nothing of HTTP.
//!
//! Invariant: what [`catalogue`] returns passed every check of `load.rs` (unknown types, duplicates, name clashes
//! after renaming, roots and operations without types). Tests: `tests.rs` here.

mod error;
pub mod filter;
mod line;
mod load;
mod loader;
mod model;
mod paths;
mod raw;
mod table;
#[cfg(test)]
mod tests;
mod types;

use std::collections::HashMap;
use std::sync::LazyLock;

pub use error::{CatalogueError, Fault, FaultKind};
pub use load::{Source, load};
pub use model::{
    Auth, Body, EnumDef, EnumId, Field, Form, Key, Kind, Lead, Method, Operation, Parameter, Place, Query,
};
pub use model::{QueryField, Resource, Role, Root, Scalar, Segment, Shape, TaskLink, TypeDef, TypeId, Value};
pub use paths::{OperationMatch, PathMatch, Refusal};

/// XML namespace of every document of EM.
pub const NAMESPACE: &str = "http://www.veeam.com/ent/v1.0";

macro_rules! data {
    ($($file:literal),* $(,)?) => { &[$(($file, include_str!(concat!("data/", $file)))),*] };
}

/// The data files, one per area.
pub const SOURCES: &[Source] = data![
    "core.toml",
    "cloud.toml",
    "jobs.toml",
    "backups.toml",
    "replicas.toml",
    "sessions.toml",
    "restore.toml",
    "infrastructure.toml",
    "agents.toml",
    "nas.toml",
    "cdp.toml",
    "security.toml",
    "reports.toml",
    "selfservice.toml",
];

#[expect(
    clippy::panic,
    reason = "the data is part of the program, and a test loads it"
)]
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| match load(SOURCES) {
    Ok(catalogue) => catalogue,
    Err(e) => panic!("{e}"),
});

/// The catalogue of the embedded data files; read on first use, some milliseconds.
#[must_use]
pub fn catalogue() -> &'static Catalogue {
    &CATALOGUE
}

/// EM's vocabulary; see the module's text.
#[derive(Debug, Default)]
pub struct Catalogue {
    types: Vec<TypeDef>,
    enums: Vec<EnumDef>,
    roots: HashMap<&'static str, Root>,
    resources: Vec<Resource>,
    /// The places of resources by the first segment of their paths, in small letters.
    by_first: HashMap<String, Vec<usize>>,
    queries: Vec<Query>,
    link_relations: Vec<(&'static str, Method)>,
}

impl Catalogue {
    /// The type of an id this catalogue gave out.
    ///
    /// # Panics
    /// If the id comes from another, larger catalogue.
    #[must_use]
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "an id is a position that this catalogue gave out"
    )]
    pub fn ty(&self, id: TypeId) -> &TypeDef {
        &self.types[usize::from(id.0)]
    }

    /// The enumeration of an id this catalogue gave out.
    ///
    /// # Panics
    /// If the id comes from another, larger catalogue.
    #[must_use]
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "an id is a position that this catalogue gave out"
    )]
    pub fn enumeration(&self, id: EnumId) -> &EnumDef {
        &self.enums[usize::from(id.0)]
    }

    /// Every type, with its id.
    pub fn types(&self) -> impl Iterator<Item = (TypeId, &TypeDef)> {
        (0_u16..).map(TypeId).zip(&self.types)
    }

    /// Every enumeration.
    #[must_use]
    pub fn enums(&self) -> &[EnumDef] {
        &self.enums
    }

    /// A type by EM's name for it, such as `CloudFailoverPlanEntityType`.
    #[must_use]
    pub fn type_named(&self, name: &str) -> Option<TypeId> {
        self.types().find(|(_, t)| t.name == name).map(|(id, _)| id)
    }

    /// The document element of this name.
    #[must_use]
    pub fn root(&self, name: &str) -> Option<Root> {
        self.roots.get(name).copied()
    }

    /// Every document element, guessed ones included, by name.
    #[must_use]
    pub fn roots(&self) -> Vec<Root> {
        let mut all: Vec<Root> = self.roots.values().copied().collect();
        all.sort_by_key(|r| r.name);
        all
    }

    /// A document element named by itself or by its type: `CloudFailoverPlan`, `CloudFailoverPlanEntityType`,
    /// or a value of a `Type` attribute. Exact spelling first, then ignoring case.
    #[must_use]
    pub fn root_or_type(&self, name: &str) -> Option<Root> {
        let of_type = |id: TypeId| self.ty(id).roots.first().and_then(|root| self.root(root));
        self.root(name)
            .or_else(|| self.type_named(name).and_then(of_type))
            .or_else(|| {
                let linked = self.types().find(|(_, t)| t.link_types.contains(&name));
                linked.and_then(|(id, _)| of_type(id))
            })
            .or_else(|| {
                self.roots()
                    .into_iter()
                    .find(|r| r.name.eq_ignore_ascii_case(name))
            })
    }

    /// Every resource, by path.
    #[must_use]
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Every query, by name.
    #[must_use]
    pub fn queries(&self) -> &[Query] {
        &self.queries
    }

    /// What `/query?type=name` asks for; EM ignores the case of `name`.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&Query> {
        self.queries.iter().find(|q| q.name.eq_ignore_ascii_case(name))
    }

    /// Link relations and the HTTP method behind each.
    #[must_use]
    pub fn link_relations(&self) -> &[(&'static str, Method)] {
        &self.link_relations
    }

    /// EM's spelling of a relation given in lowerCamelCase (`quickBackup` → `QuickBackup`).
    #[must_use]
    pub fn relation(&self, json: &str) -> Option<&'static str> {
        self.link_relations
            .iter()
            .map(|(rel, _)| *rel)
            .find(|rel| rel.eq_ignore_ascii_case(json))
    }
}
