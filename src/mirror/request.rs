//! A parsed request of the mirror: the operation of EM's that it means, and what EM is to be sent.

use super::PlanVerb;
use crate::catalogue::{Body, Method, Operation, Resource, catalogue, filter};
use crate::domain::id::OperationId;

/// What answers a read.
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
    /// The page of the gateway's own list.
    pub listing: Listing,
    /// The target of the parent, where EM's query service searches a collection within one: the service finds nothing
    /// within a parent that does not exist, instead of answering 404.
    pub parent: Option<String>,
}

/// The page of the gateway's own list of tasks.
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

    /// The body that EM expects.
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

    /// Path and query of the resource that the path names, in the mirror's default form; none where EM has no read
    /// of it.
    #[must_use]
    pub fn representation(&self) -> Option<String> {
        let plain = |operation: &&Operation| operation.method == Method::Get && operation.action.is_none();
        let read = self.resource.operations.iter().find(plain)?;
        let mut path = self.path.trim_start_matches('/');
        // An action at the end of the path applies to the resource that the rest of it names.
        if self.operation.action_in_path
            && let Some((resource, _)) = path.rsplit_once('/')
        {
            path = resource;
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
