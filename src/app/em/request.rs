//! A request through the mirror, understood: which operation of EM's it means.
//!
//! Everything is checked against the catalogue before anything leaves the house; the query is read by `parameters`.

use super::path::{self, MatchedPath};
use super::{parameters, queries};
use crate::app::Error;
use crate::catalogue::{Body, Method, Operation, Refusal, Resource, catalogue, filter};
use crate::domain::id::OperationId;

/// What a read is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of EM's documents.
    Document,
    /// A file's bytes.
    Download,
    /// The caller's own tasks, as `/tasks` or as `/query?type=Task`.
    Tasks,
    /// A task, which lives in the logon session of its operation.
    Task,
}

/// A request through the mirror that EM has an operation for.
#[derive(Debug, Clone)]
pub struct MirrorRequest {
    /// EM's resource.
    pub resource: &'static Resource,
    /// EM's operation.
    pub operation: &'static Operation,
    /// What kind of answer it has.
    pub kind: Kind,
    /// Path and query for EM, below `/api/`.
    pub target: String,
    /// The path without query, for the record; begins with a slash.
    pub path: String,
    /// What the path's parameters are, decoded.
    pub values: Vec<String>,
    /// The operation named by `?operation=`.
    pub of: Option<OperationId>,
    /// What the gateway's own list is to look like.
    pub listing: Listing,
    /// Where EM's query service is asked for a collection within something: the target of that something, since the
    /// service finds nothing in what does not exist.
    pub parent: Option<String>,
}

/// What a list is to look like that the gateway makes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// Whole entities, not references.
    pub entities: bool,
    /// The page, from 1.
    pub page: u32,
    /// Items on a page.
    pub size: u32,
}

impl MirrorRequest {
    /// Understands `method` on `path` (below `/api/v1/em`, as the caller wrote it) with these query parameters.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoSuchMethod`], or [`Error::Invalid`] naming each parameter.
    pub fn read(method: Method, path: &str, query: &[(String, String)]) -> Result<Self, Error> {
        let place = path::place(path).ok_or(Error::NotFound {
            what: "what the path names",
        })?;
        let operation = operation(method, &place, query)?;
        parameters::read(operation, &place, query)
    }

    /// What EM wants in the request's body.
    #[must_use]
    pub fn body(&self) -> Option<Body> {
        self.operation.body
    }

    /// The target as it is remembered with an `Idempotency-Key`: ids are compared ignoring case (docs/behaviour.md#values).
    #[must_use]
    pub fn key_target(&self) -> String {
        let mut target = self.target.clone();
        for id in self.values.iter().filter(|value| filter::is_id(value)) {
            target = target.replacen(id.as_str(), &id.to_ascii_lowercase(), 1);
        }
        target
    }

    /// Path and query by which EM shows what the path names, in the form that the mirror shows by itself; none where
    /// EM does not show it.
    #[must_use]
    pub fn representation(&self) -> Option<String> {
        let plain = |operation: &&Operation| operation.method == Method::Get && operation.action.is_none();
        let read = self.resource.operations.iter().find(plain)?;
        let mut path = self.path.trim_start_matches('/');
        // An action at the end of the path is done to what the rest of it names.
        if self.operation.action_in_path
            && let Some((thing, _)) = path.rsplit_once('/')
        {
            path = thing;
        }
        let whole = read.reference.is_some() && !self.resource.is_collection(catalogue());
        Some(if whole {
            format!("{path}?format=Entity")
        } else {
            path.to_owned()
        })
    }

    /// The word for what is done: EM's action, or its relation behind the method.
    #[must_use]
    pub fn action(&self) -> &'static str {
        self.operation.action.unwrap_or(match self.operation.method {
            Method::Get => "read",
            Method::Post => "create",
            Method::Put => "edit",
            Method::Delete => "delete",
        })
    }
}

fn operation(
    method: Method,
    place: &MatchedPath,
    query: &[(String, String)],
) -> Result<&'static Operation, Error> {
    let resource = place.resource;
    let is_query = resource.operations.iter().any(|o| o.query.is_some());
    let word = if is_query { "type" } else { "action" };
    let wanted = query
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map(|(_, value)| value.as_str());
    match catalogue().operation(method, &place.path, wanted) {
        Ok(found) => Ok(found.operation),
        Err(Refusal::Path) => Err(Error::NotFound {
            what: "what the path names",
        }),
        Err(Refusal::Method(methods)) => Err(Error::NoSuchMethod(methods)),
        Err(Refusal::Action(known)) => Err(no_such_action(resource, method, word, wanted, &known)),
    }
}

fn no_such_action(
    resource: &Resource,
    method: Method,
    word: &str,
    wanted: Option<&str>,
    known: &[&str],
) -> Error {
    let listed = resource
        .operations
        .iter()
        .filter(|o| o.method == method)
        .flat_map(|o| o.parameters.iter().filter(|p| p.name == word))
        .flat_map(|p| p.values.iter().copied());
    let known: Vec<&str> = known.iter().copied().chain(listed).collect();
    let detail = match (known.as_slice(), wanted) {
        ([], _) => format!("{} takes no {word} here", method.as_str()),
        (known, None) => format!("is required: one of {}", known.join(", ")),
        (known, Some(_)) => format!("must be one of {}", known.join(", ")),
    };
    Error::invalid(word, detail)
}

/// The parameters that an operation takes in the query, in the order in which they are documented.
#[must_use]
pub fn known_parameters(resource: &Resource, operation: &Operation) -> Vec<&'static str> {
    let mut known = Vec::new();
    if operation.query.is_some() {
        known.push("type");
    }
    if operation.action.is_some() && !operation.action_in_path {
        known.push("action");
    }
    if is_task(resource) {
        known.push("operation");
    }
    if operation.reference.is_some() {
        known.push("format");
    }
    let is_listing =
        operation.method == Method::Get && operation.query.is_none() && queries::of(resource).is_some();
    if is_listing {
        known.extend(["filter", "sortAsc", "sortDesc", "page", "pageSize"]);
    }
    known.extend(operation.parameters.iter().map(|own| own.name));
    let mut once: Vec<&'static str> = Vec::with_capacity(known.len());
    for name in known {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

/// What `format` may be: EM's own word for whole entities, and one for references, which EM gives without asking.
#[must_use]
pub fn formats(operation: &Operation) -> [&'static str; 2] {
    if operation.query.is_some() {
        ["References", "Entities"]
    } else {
        ["Reference", "Entity"]
    }
}

/// Whether the resource is one task.
#[must_use]
pub fn is_task(resource: &Resource) -> bool {
    resource.path == "/tasks/{ID}"
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
