//! The programme of recovery tests as JSON: every plan that Enterprise Manager knows, also those that were never tested.

use serde::Serialize;
use utoipa::ToSchema;

use super::super::Moment;
use super::super::plans::PlanReference;
use super::figures::PastTest;

/// The programme of recovery tests.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryProgramme {
    /// When it was put together.
    pub generated_at: Moment,
    /// Tests are counted from this moment on.
    pub from: Moment,
    /// Tests are counted before this moment.
    pub to: Moment,
    /// The tenants whose plans are shown; null when all are.
    #[schema(required)]
    pub tenants: Option<Vec<String>>,
    /// How many plans Enterprise Manager had at that moment, of both kinds, of these tenants.
    pub population: usize,
    /// How many of them were tested in that time.
    pub tested: usize,
    /// How many of them are overdue.
    pub overdue: usize,
    /// The plans, by name.
    pub items: Vec<ProgrammePlan>,
}

/// A plan and its tests.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProgrammePlan {
    /// The plan.
    pub plan: PlanReference,
    /// How many tests it had in that time.
    pub tests: i64,
    /// How many of its failover sessions in that time were started elsewhere. Enterprise Manager does not tell whether they were
    /// tests, so they count as none.
    pub started_elsewhere: i64,
    /// Its last test, whenever that was; null when the gateway knows of none.
    #[schema(required)]
    pub last_test: Option<PastTest>,
    /// How many whole days ago that was.
    #[schema(required)]
    pub days_since: Option<i64>,
    /// The most days between two tests.
    #[schema(required)]
    pub test_every_days: Option<u32>,
    /// Whether it should have been tested since; null when nothing is wanted.
    #[schema(required)]
    pub overdue: Option<bool>,
    /// When its schedule tests it next; null without one.
    #[schema(required)]
    pub next_test_at: Option<Moment>,
    /// Whether Enterprise Manager can test it; of other plans a start whose purpose is `test` or `exercise` counts.
    pub can_be_tested: bool,
    /// How many findings are open: those that people recorded about its tests and failovers, and the gateway's own warnings and
    /// errors about its last test.
    pub open_findings: usize,
    /// The target of its recovery time, in seconds.
    #[schema(required)]
    pub rto_seconds: Option<u32>,
    /// The target of its data loss, in seconds.
    #[schema(required)]
    pub rpo_seconds: Option<u32>,
    /// Who answers for it.
    #[schema(required)]
    pub owner: Option<String>,
}
