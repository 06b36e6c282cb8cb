//! A request through the mirror, understood: which operation of EM's it means, and what EM is to be sent.

use super::PlanVerb;
use crate::catalogue::{Body, Method, Operation, Resource, catalogue, filter};
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
    /// The values of the path's parameters, decoded, in order.
    pub path_values: Vec<String>,
    /// The operation named by `?operation=`.
    pub operation_id: Option<OperationId>,
    /// How the gateway's own list is to be cut.
    pub listing: Listing,
    /// Where EM's query service is asked for a collection within something: the target of that something, since the
    /// service finds nothing in what does not exist.
    pub parent: Option<String>,
}

/// How the gateway's own list of tasks is to be cut.
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
    /// What it does to a failover plan; none if it is no such write.
    #[must_use]
    pub fn plan_verb(&self) -> Option<PlanVerb> {
        PlanVerb::of(self.resource, self.operation)
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
        for id in self.path_values.iter().filter(|value| filter::is_id(value)) {
            target = target.replacen(id.as_str(), &id.to_ascii_lowercase(), 1);
        }
        target
    }

    /// Path and query by which EM shows the resource, in the form that the mirror shows by itself; none where
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
