//! What a failover is for, as reports and schedules show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;
use crate::domain::evidence::asked::{Purpose, PurposeKind};

/// Why a failover was requested.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportPurpose {
    /// The reason.
    #[schema(required)]
    pub reason: Option<String>,
    /// The ticket or change that it belongs to.
    #[schema(required)]
    pub ticket: Option<String>,
    /// The scenario that is tested.
    #[schema(required)]
    pub scenario: Option<String>,
    /// `test`, `exercise` or `realFailover`.
    #[schema(required)]
    pub kind: Option<&'static str>,
    /// When the incident began, by the caller's clock.
    #[schema(required)]
    pub incident_at: Option<Moment>,
    /// Who takes part.
    pub participants: Vec<String>,
}

impl From<&Purpose> for ReportPurpose {
    fn from(purpose: &Purpose) -> Self {
        Self {
            reason: purpose.reason.clone(),
            ticket: purpose.ticket.clone(),
            scenario: purpose.scenario.clone(),
            kind: purpose.kind.map(PurposeKind::as_str),
            incident_at: purpose.incident_at.map(Moment),
            participants: purpose.participants.clone(),
        }
    }
}
