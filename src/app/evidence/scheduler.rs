//! The worker that runs scheduled tests, and tells what is overdue and where the audit log ends.
//!
//! One replica does it at a time, by a lease. A due time becomes one operation over all replicas and kills: its request has an
//! idempotency key of plan and time, and the time is done with only after that (docs/behaviour.md#schedules). It never starts a
//! failover: the only action here is a test.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::programme::is_overdue;
use crate::api_types::test_events;
use crate::app::idempotency::IdempotentRequest;
use crate::app::plan_requests::ActionRequest;
use crate::app::{App, Channel, Error, OpContext, OperationSlot};
use crate::domain::evidence::schedule::{LastRun, SkipReason, Times, is_late};
use crate::domain::id::EmId;
use crate::domain::links::API;
use crate::domain::plan::{ActionKind, PlanKind};
use crate::runtime::{Turn, Worker};
use crate::store::evidence::{Notice, ScheduleRecord};
use crate::store::replicas::LeaseName;
use crate::telemetry::Throttle;
use crate::telemetry::traces::{Kind, Span};

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(2);

/// How many due times a turn looks at, and how many at a time.
const AT_ONCE: i64 = 200;
const AT_A_TIME: usize = 4;

/// How often it is looked at what is told once a day.
const TOLD: SignedDuration = SignedDuration::from_hours(1);

/// What a scheduled test is requested by.
const REQUESTER: &str = "schedule";

/// The reason of a scheduled test that has no other.
const REASON: &str = "scheduled test";

/// What became of a due time.
enum Outcome {
    /// It is an operation.
    Ran(String),
    /// It is tried again.
    Waits(SkipReason),
    /// It is not tried again.
    Skipped(SkipReason, String, Option<String>),
}

/// See the module.
pub struct Scheduler {
    app: App,
    told_at: Option<Timestamp>,
    reminder: Throttle,
}

impl Scheduler {
    /// Of these verbs.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self {
            app: app.for_workers(),
            told_at: None,
            reminder: Throttle::reminder(),
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        let app = &self.app;
        if app.store.lease(LeaseName::Schedules).await?.is_none() {
            return Ok(());
        }
        let now = app.clock.now();
        let due = app.store.schedules_due(now, AT_ONCE).await?;
        let runs = stream::iter(due)
            .map(|record| async move { (record.plan.id.clone(), app.keep_due(&record).await) });
        let ended: Vec<(EmId, Result<(), Error>)> = runs.buffer_unordered(AT_A_TIME).collect().await;
        for (plan, outcome) in ended {
            match outcome {
                Ok(()) => {}
                Err(Error::Store(error)) if !error.is_about_the_row() => return Err(error.into()),
                Err(error) => tracing::warn!(
                    %plan,
                    error = &error as &dyn std::error::Error,
                    "a scheduled test could not be looked at; it is tried again"
                ),
            }
        }
        // A clock that was set back is followed.
        if self.told_at.is_none_or(|at| now.duration_since(at).abs() >= TOLD) {
            app.tell_checkpoint(now).await?;
            if app.tell_overdue(now).await? {
                self.told_at = Some(now);
            }
        }
        Ok(())
    }
}

impl Worker for Scheduler {
    const NAME: &'static str = "schedules";

    async fn activate(&mut self) -> Turn {
        let done = self.look().await;
        self.reminder
            .tell(done, "scheduled tests could not be looked at; it is tried again");
        Turn::Rest(PERIOD)
    }
}

impl App {
    /// Keeps a due time: runs its test, waits, or tells that it is skipped.
    async fn keep_due(&self, record: &ScheduleRecord) -> Result<(), Error> {
        let Some(due) = record.due_at else {
            return Ok(());
        };
        let now = self.clock.now();
        let times = Times::of(&record.schedule);
        if is_late(due, now) {
            let (missed, next) = times.map_or((1, None), |times| times.missed(due, now));
            let reason = record.waiting.unwrap_or(SkipReason::Missed);
            let detail = match reason {
                SkipReason::Missed => "the gateway did not run it within an hour",
                SkipReason::Busy => "the plan was busy for an hour",
                _ => "it could not be run for an hour",
            };
            let skipped = Outcome::Skipped(reason, detail.to_owned(), None);
            return self.done_with(record, due, missed.max(1), next, skipped).await;
        }
        let next = times.ok().and_then(|times| times.after(due));
        match self.run_due(record, due).await? {
            Outcome::Waits(why) => {
                if record.waiting != Some(why) {
                    let mut tx = self.store.begin().await?;
                    tx.note_waiting_schedule(record, why).await?;
                    tx.commit().await?;
                }
                Ok(())
            }
            outcome => self.done_with(record, due, 1, next, outcome).await,
        }
    }

    /// Requests the test as any caller would: once for each due time, whatever fails.
    async fn run_due(&self, record: &ScheduleRecord, due: Timestamp) -> Result<Outcome, Error> {
        let plan = &record.plan.id;
        let span = Span::root(Kind::Internal, None, || "scheduled test");
        let key = format!("{REQUESTER}:{plan}:{due}");
        let context = OpContext {
            caller: Arc::new(record.set_by.caller(format!("{REQUESTER}:{plan}"))),
            request_id: key.as_str().into(),
            client: None,
            operation: OperationSlot::default(),
            channel: Channel::Schedule(record.set_by.who.clone()),
            traceparent: span.traceparent().map(Into::into),
        };
        let purpose = record.schedule.purpose.clone();
        let reason = purpose.as_ref().and_then(|purpose| purpose.reason.clone());
        let request = ActionRequest {
            idempotency: Some(IdempotentRequest {
                key: key
                    .parse()
                    .map_err(|_| Error::Internal("the key of a scheduled test is none"))?,
                method: "POST".to_owned(),
                path: format!("{API}/{}/{plan}/test", record.plan.kind.collection()),
                body: Value::Null,
            }),
            reason: reason
                .filter(|reason| !reason.trim().is_empty())
                .or_else(|| Some(REASON.to_owned())),
            purpose,
            ..ActionRequest::default()
        };
        let asking = self.act(&context, PlanKind::Cloud, plan, ActionKind::Test, request);
        let requested = span.around(asking).await;
        let operation = context.operation.get().map(|id| id.to_string());
        let error = match requested {
            Ok(submitted) => return Ok(Outcome::Ran(submitted.operation.id.to_string())),
            Err(error) => error,
        };
        let detail = error.to_string();
        Ok(match error {
            Error::PlanBusy(_) if record.schedule.skip_if_busy => {
                Outcome::Skipped(SkipReason::Busy, detail, None)
            }
            Error::PlanBusy(_) => Outcome::Waits(SkipReason::Busy),
            Error::NotReady => Outcome::Waits(SkipReason::Unavailable),
            Error::Upstream(_) if operation.is_none() => Outcome::Waits(SkipReason::Unavailable),
            Error::NotFound { .. } => Outcome::Skipped(SkipReason::PlanGone, detail, None),
            Error::PolicyDenied(_) | Error::Invalid(_) => {
                Outcome::Skipped(SkipReason::PolicyDenied, detail, None)
            }
            Error::Refused { .. } => Outcome::Skipped(SkipReason::Refused, detail, operation),
            other => return Err(other),
        })
    }

    /// Is done with a due time, and tells when nothing was run.
    async fn done_with(
        &self,
        record: &ScheduleRecord,
        due: Timestamp,
        count: u32,
        next: Option<Timestamp>,
        outcome: Outcome,
    ) -> Result<(), Error> {
        let (operation_id, skipped) = match &outcome {
            Outcome::Ran(id) => (Some(id.clone()), None),
            Outcome::Skipped(reason, _, id) => (id.clone(), Some(*reason)),
            Outcome::Waits(_) => return Ok(()),
        };
        let last = LastRun {
            due_at: due,
            operation_id: operation_id.clone(),
            skipped,
        };
        let mut tx = self.store.begin().await?;
        if !tx.advance_schedule(record, next, &last).await? {
            return Ok(());
        }
        if let Outcome::Skipped(reason, detail, _) = outcome {
            let told = test_events::Skipped {
                plan: &record.plan,
                due_at: due,
                count,
                reason,
                detail: &detail,
                operation_id,
                next_at: next,
            };
            let event = test_events::skipped(&self.origin(), &told).map_err(|_| UNREPRESENTABLE)?;
            tx.append_event(&event).await?;
            tracing::warn!(plan = %record.plan.id, %due, reason = reason.as_str(), "a scheduled test was skipped: {detail}");
        }
        Ok(tx.commit().await?)
    }

    /// Tells which plans should have been tested, each once a day; false when that is not known.
    async fn tell_overdue(&self, now: Timestamp) -> Result<bool, Error> {
        let settings = self.known_settings().await?;
        if !settings.wants_tests() {
            return Ok(true);
        }
        let plans = match self.em.all_plans(PlanKind::Cloud).await {
            Ok(plans) => plans,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "it is not known which plans are overdue"
                );
                return Ok(false);
            }
        };
        let tests = self.store.tests_of_plans(now, now).await?;
        let told = self.store.told_within_a_day(now).await?;
        for plan in plans {
            let objectives = settings.objectives(&plan.id);
            let of_plan = tests.get(&plan.id.key()).and_then(|tests| tests.last.as_ref());
            let last = of_plan.map(|last| last.started_at);
            let name = format!("overdue:{}", plan.id.key());
            if told.contains(&name) || is_overdue(now, last, objectives.test_every_days) != Some(true) {
                continue;
            }
            let mut tx = self.store.begin().await?;
            if tx.tell_daily(&name, now).await? == Notice::Told {
                continue;
            }
            let event = test_events::overdue(&self.origin(), &plan.reference(), &objectives, last)
                .map_err(|_| UNREPRESENTABLE)?;
            tx.append_event(&event).await?;
            tx.commit().await?;
        }
        Ok(true)
    }

    /// Tells where the audit log ends, once a day, a day after the first start at the earliest.
    async fn tell_checkpoint(&self, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        match tx.tell_daily(CHECKPOINT, now).await? {
            Notice::Told => return Ok(()),
            Notice::First => {}
            Notice::Again => {
                let head = self.store.audit_head().await?;
                let event = test_events::checkpoint(&self.origin(), head.sequence, &head.hash)
                    .map_err(|_| UNREPRESENTABLE)?;
                tx.append_event(&event).await?;
            }
        }
        Ok(tx.commit().await?)
    }
}

const CHECKPOINT: &str = "audit.checkpoint";

const UNREPRESENTABLE: Error = Error::Internal("an event could not be represented");
