//! The mirror's endpoints: one for each path and method, whichever operations of EM are behind it.

use super::names;
use crate::catalogue::{Method, Operation, Resource, catalogue};
use crate::mirror::is_mirrored;

/// What one method on one path does.
pub(super) struct Endpoint {
    pub resource: &'static Resource,
    pub method: Method,
    pub path: String,
    /// Names of the path's parameters.
    pub parameters: Vec<String>,
    pub operations: Vec<&'static Operation>,
}

impl Endpoint {
    pub fn reads(&self) -> bool {
        self.method == Method::Get
    }

    /// The query parameter that distinguishes EM's operations.
    pub fn choice(&self) -> Option<&'static str> {
        if self.operations.iter().any(|o| o.query.is_some()) {
            Some("type")
        } else if self
            .operations
            .iter()
            .any(|o| o.action.is_some() && !o.action_in_path)
        {
            Some("action")
        } else {
            None
        }
    }
}

/// Every endpoint of the mirror, in the catalogue's order.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut all: Vec<Endpoint> = Vec::new();
    for resource in catalogue()
        .resources()
        .iter()
        .filter(|resource| is_mirrored(resource))
    {
        for operation in &resource.operations {
            let action = operation.action.filter(|_| operation.action_in_path);
            let (path, parameters) = names::path(resource, action);
            let same = |known: &&mut Endpoint| known.path == path && known.method == operation.method;
            match all.iter_mut().find(same) {
                Some(known) => known.operations.push(operation),
                None => all.push(Endpoint {
                    resource,
                    method: operation.method,
                    path,
                    parameters,
                    operations: vec![operation],
                }),
            }
        }
    }
    all
}
