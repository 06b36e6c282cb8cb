//! A webhook endpoint in the events about it, which go to the other endpoints of its owners.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::webhook::Endpoint;

/// The data of events about webhook endpoints.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EndpointEventData {
    /// The endpoint; it does not receive this event itself.
    pub endpoint: EndpointSummary,
}

/// A webhook endpoint in an event about it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EndpointSummary {
    /// Its id.
    pub id: String,
    /// The owner's description.
    #[schema(required)]
    pub description: Option<String>,
    /// Its health: `up`, `degraded` or `down`.
    pub health: &'static str,
    /// What happened, for people.
    #[schema(required)]
    pub reason: Option<String>,
}

impl EndpointEventData {
    /// The endpoint, and the reason.
    #[must_use]
    pub fn new(endpoint: &Endpoint, reason: Option<String>) -> Self {
        Self {
            endpoint: EndpointSummary {
                id: endpoint.id.to_string(),
                description: endpoint.settings.description.clone(),
                health: endpoint.health.state().as_str(),
                reason,
            },
        }
    }
}
