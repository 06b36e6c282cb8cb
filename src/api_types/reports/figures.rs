//! Figures of a report: each with its unit, source and clock, and where it is absent, why.

use serde::Serialize;
use utoipa::ToSchema;

use super::super::Moment;
use crate::domain::evidence::clocks::Span;
use crate::domain::evidence::measure;

/// A figure.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Measure {
    /// Milliseconds; a begun one counts whole. Null when there is none.
    #[schema(required)]
    pub value: Option<i64>,
    /// `ms`.
    pub unit: &'static str,
    /// What it was computed from.
    pub source: &'static str,
    /// By whose clock: `em`, `gateway`, `caller`, or two of them, such as `emAndCaller`. Null when there is no value.
    #[schema(required)]
    pub clock: Option<&'static str>,
    /// Why there is none, in one word.
    #[schema(required)]
    pub reason: Option<&'static str>,
    /// Milliseconds that it may be off, either way, where that is known.
    #[schema(required)]
    pub precision: Option<i64>,
    /// Whether it was not measured at the thing itself.
    pub estimated: bool,
}

impl From<&measure::Measure> for Measure {
    fn from(measure: &measure::Measure) -> Self {
        let figure = measure.figure();
        Self {
            value: figure.ok().map(Span::millis),
            unit: "ms",
            source: measure.source().as_str(),
            clock: figure.ok().map(|span| span.clocks().as_str()),
            reason: figure.err().map(measure::Absence::as_str),
            precision: measure
                .precision()
                .filter(|_| figure.is_ok())
                .map(|precision| i64::try_from(precision.as_millis()).unwrap_or(i64::MAX)),
            estimated: figure.is_ok() && measure.is_estimated(),
        }
    }
}

/// A figure beside its target.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JudgedMeasure {
    /// The figure.
    #[serde(flatten)]
    #[schema(inline)]
    pub measure: Measure,
    /// Seconds that it may be; null when there is no target.
    #[schema(required)]
    pub target_seconds: Option<u32>,
    /// `met`, `missed`, `noTarget` or `notMeasured`.
    pub verdict: &'static str,
}

impl From<&measure::Judged> for JudgedMeasure {
    fn from(judged: &measure::Judged) -> Self {
        Self {
            measure: judged.measure().into(),
            target_seconds: judged.target(),
            verdict: judged.verdict().as_str(),
        }
    }
}

/// A machine and its figures.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportMachine {
    /// Its name.
    pub name: String,
    /// Its position in the plan's start order.
    #[schema(required)]
    pub order: Option<i64>,
    /// Whether the plan has it.
    pub in_plan: bool,
    /// `success`, `warning` or `failed`; null when Enterprise Manager gave none.
    #[schema(required)]
    pub result: Option<String>,
    /// Enterprise Manager's message.
    #[schema(required)]
    pub message: Option<String>,
    /// When it was begun, by Enterprise Manager's clock.
    #[schema(required)]
    pub started_at: Option<Moment>,
    /// When it ended, by Enterprise Manager's clock.
    #[schema(required)]
    pub ended_at: Option<Moment>,
    /// From the session's start to its own.
    pub wait: Measure,
    /// From its start to its end.
    pub time: Measure,
    /// From the session's start to its end, if it recovered.
    pub rta: JudgedMeasure,
    /// The restore point that it was started from; null when none is named.
    #[schema(required)]
    pub point: Option<ReportPoint>,
    /// How old the restore point was when it was needed.
    pub rpa: JudgedMeasure,
    /// From the restore point to the bound that was given; negative when the point is newer.
    pub distance_to_bound: Measure,
}

/// A restore point.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportPoint {
    /// Its id.
    pub id: String,
    /// When it was made, by Enterprise Manager's clock; null when it was gone before it could be read.
    #[schema(required)]
    pub created_at: Option<Moment>,
    /// `CDP`, `Full`, `ReverseIncrement`, `Increment` or `Snapshot`, in Enterprise Manager's words.
    #[serde(rename = "type")]
    #[schema(required)]
    pub kind: Option<String>,
}

/// The figures of the plan.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measures {
    /// From the session's start to the end of its last machine, if all recovered.
    pub rta: Measure,
    /// The greatest data loss of a machine.
    pub rpa: JudgedMeasure,
    /// The figure that is held against the target of the recovery time.
    pub rto: JudgedMeasure,
    /// Which figure that is: `rta` (of tests), `endToEnd`, or `sinceIncident`.
    pub held_against_rto: &'static str,
    /// How many machines of the plan recovered; null where Enterprise Manager does not show it.
    #[schema(required)]
    pub machines_recovered: Option<usize>,
    /// How many machines the plan has.
    pub machines: usize,
    /// When the last machine that recovered ended, by Enterprise Manager's clock.
    #[schema(required)]
    pub last_recovered_at: Option<Moment>,
    /// From the session's start to its end, scripts included; no recovery time.
    pub session_time: Measure,
    /// From the request to its last approval.
    pub approval_wait: Measure,
    /// From the sending to the session's start, corrected by the difference of the clocks.
    pub hand_over: Measure,
    /// Approval, hand-over and recovery together.
    pub end_to_end: Measure,
    /// From the incident to the end of the last machine.
    pub since_incident: Measure,
    /// From the session's start to the last check that passed.
    pub application: Measure,
    /// From the end of the last machine to the request of the undo.
    pub on_replica: Measure,
    /// From the request of the undo to its end.
    #[serde(rename = "return")]
    pub returned: Measure,
}

/// The last tests of the plan beside this one.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The last 12 tests before this one, newest first.
    pub tests: Vec<PastTest>,
    /// The recovery time of the test before, in milliseconds.
    #[schema(required)]
    pub previous_rta_ms: Option<i64>,
    /// The median of the recovery times.
    #[schema(required)]
    pub median_rta_ms: Option<i64>,
    /// The longest of them.
    #[schema(required)]
    pub worst_rta_ms: Option<i64>,
    /// By how many percent this recovery took longer than the one before; negative when it was faster.
    #[schema(required)]
    pub change_percent: Option<i64>,
    /// Whether this recovery took more than 1.2 times the median of the last five; null when that cannot be told.
    #[schema(required)]
    pub regression: Option<bool>,
    /// Whether the plan was changed since the test before; null when there was none, or one of both plans is not known.
    #[schema(required)]
    pub plan_changed: Option<bool>,
    /// What was changed: `machines`, `order`, `scripts`, `description`.
    pub changes: Vec<&'static str>,
}

/// An earlier test.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastTest {
    /// The id of its report.
    pub report_id: String,
    /// The operation that asked for it.
    #[schema(required)]
    pub operation_id: Option<String>,
    /// Enterprise Manager's session, of those that were started elsewhere.
    #[schema(required)]
    pub session_id: Option<String>,
    /// When.
    pub at: Moment,
    /// `passed`, `failed` or `notMeasured`.
    #[schema(required)]
    pub verdict: Option<String>,
    /// Enterprise Manager's result.
    #[schema(required)]
    pub result: Option<String>,
    /// The recovery time, in milliseconds.
    #[schema(required)]
    pub rta_ms: Option<i64>,
    /// The data loss, in milliseconds.
    #[schema(required)]
    pub rpa_ms: Option<i64>,
    /// How many machines.
    pub machines: i64,
}
