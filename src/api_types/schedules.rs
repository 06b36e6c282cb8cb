//! Schedules of plans as JSON (docs/behaviour.md#schedules), in both directions. Unknown members are refused.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Moment;
use super::actions::Purpose;
use super::purpose::ReportPurpose;
use crate::domain::evidence::schedule::{LastRun, Schedule as DomainSchedule, SkipReason};

/// When a plan is tested by itself, as it was set.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "cron": "0 3 1 */3 *", "timeZone": "Europe/Berlin", "skipIfBusy": false,
    "purpose": {"reason": "quarterly test", "ticket": null, "scenario": "loss of the site", "kind": "test", "incidentAt": null,
        "participants": []},
}))]
pub struct PlanSchedule {
    /// Minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// The zone whose clock they are about.
    pub time_zone: String,
    /// What the tests are for.
    #[schema(required)]
    pub purpose: Option<ReportPurpose>,
    /// Whether a test is skipped while its plan is busy, instead of waiting.
    pub skip_if_busy: bool,
}

impl From<&DomainSchedule> for PlanSchedule {
    fn from(schedule: &DomainSchedule) -> Self {
        Self {
            cron: schedule.cron.clone(),
            time_zone: schedule.time_zone.clone(),
            purpose: schedule.purpose.as_ref().map(Into::into),
            skip_if_busy: schedule.skip_if_busy,
        }
    }
}

/// The schedule of a plan, and what became of it so far.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "cron": "0 3 1 */3 *", "timeZone": "Europe/Berlin", "purpose": null, "skipIfBusy": false,
    "setBy": "ann", "setAt": "2026-02-13T08:00:00Z", "nextAt": "2026-04-01T01:00:00Z", "waiting": null,
    "last": {"dueAt": "2026-01-01T02:00:00Z", "operationId": "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01", "skipped": null},
}))]
pub struct Schedule {
    #[serde(flatten)]
    pub set: PlanSchedule,
    /// Who set it: tests are on their behalf.
    #[schema(required)]
    pub set_by: Option<String>,
    /// When.
    pub set_at: Moment,
    /// When it is due next; null when it never is.
    #[schema(required)]
    pub next_at: Option<Moment>,
    /// Why what is due could not be run so far: `busy` or `unavailable`.
    #[schema(required)]
    pub waiting: Option<&'static str>,
    /// What became of the last due time; null before the first.
    #[schema(required)]
    pub last: Option<ScheduledRun>,
}

/// What became of a due time.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledRun {
    /// When it was due.
    pub due_at: Moment,
    /// The operation that it became.
    #[schema(required)]
    pub operation_id: Option<String>,
    /// Why it was skipped: `missed`, `busy`, `unavailable`, `refused`, `policyDenied` or `planGone`.
    #[schema(required)]
    pub skipped: Option<&'static str>,
}

impl From<&LastRun> for ScheduledRun {
    fn from(last: &LastRun) -> Self {
        Self {
            due_at: last.due_at.into(),
            operation_id: last.operation_id.clone(),
            skipped: last.skipped.map(SkipReason::as_str),
        }
    }
}

/// What is known of a schedule beside what was set.
#[derive(Debug, Clone, Copy)]
pub struct Course<'a> {
    /// Who set it.
    pub set_by: Option<&'a str>,
    /// When.
    pub set_at: Timestamp,
    /// The next due time.
    pub next_at: Option<Timestamp>,
    /// Why it waits.
    pub waiting: Option<SkipReason>,
    /// What became of the last.
    pub last: Option<&'a LastRun>,
}

impl Schedule {
    /// The JSON of a schedule.
    #[must_use]
    pub fn new(schedule: &DomainSchedule, course: Course<'_>) -> Self {
        Self {
            set: schedule.into(),
            set_by: course.set_by.map(ToOwned::to_owned),
            set_at: course.set_at.into(),
            next_at: course.next_at.map(Moment),
            waiting: course.waiting.map(SkipReason::as_str),
            last: course.last.map(Into::into),
        }
    }
}

/// The schedule that a plan is to have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "cron": "0 3 1 */3 *", "timeZone": "Europe/Berlin",
    "purpose": {"reason": "quarterly test", "scenario": "loss of the site"}, "skipIfBusy": false,
}))]
pub struct ScheduleInput {
    /// Five fields of a cron expression: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday).
    #[schema(min_length = 9, max_length = 100)]
    pub cron: String,
    /// The zone whose clock they are about, by its name in the IANA database.
    #[schema(max_length = 100)]
    pub time_zone: String,
    /// What the tests are for; its `reason` is that of their requests as well.
    pub purpose: Option<Purpose>,
    /// Whether a test is skipped while its plan is busy, instead of waiting up to an hour.
    #[serde(default)]
    pub skip_if_busy: bool,
}

impl From<ScheduleInput> for DomainSchedule {
    fn from(input: ScheduleInput) -> Self {
        Self {
            cron: input.cron,
            time_zone: input.time_zone,
            purpose: input.purpose.map(Into::into),
            skip_if_busy: input.skip_if_busy,
        }
    }
}
