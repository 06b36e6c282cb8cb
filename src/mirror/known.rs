//! The query parameters that an operation of EM has through the mirror.

use super::search;
use crate::catalogue::{Method, Operation, Resource};

/// The query parameters of an operation, in the order in which they are documented.
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
        operation.method == Method::Get && operation.query.is_none() && search::of(resource).is_some();
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

/// The values of `format`: EM's word for references, which are EM's default, and the one for whole entities.
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
