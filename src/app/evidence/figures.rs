//! The worker that shows plans among the metrics: when each was last tested, what that measured, what is wanted
//! (`metrics.per_plan`).
//!
//! Each replica shows all plans, from the store. EM is asked which plans there are every few minutes only; the store is read in one
//! go, and not at all where nothing was committed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::app::{App, Error};
use crate::domain::evidence::objectives::Objectives;
use crate::domain::plan::{ActionKind, Plan, PlanKind};
use crate::runtime::{Turn, Worker};
use crate::store::evidence::LastFigures;
use crate::telemetry::{self, MOST_PLANS, PlanFigures, Throttle};

/// Shorter than most intervals at which metrics are read.
const PERIOD: Duration = Duration::from_secs(10);

/// How often it is asked which plans there are: a new one may be missing so long.
const PLANS_ASKED: SignedDuration = SignedDuration::from_mins(5);

const DAY_SECONDS: u32 = 24 * 3600;

/// See the module.
pub struct PlanGauges {
    app: App,
    /// The first plans by name, both kinds.
    plans: Vec<Plan>,
    asked_at: Option<Timestamp>,
    /// The state of the store that is shown.
    shown: Option<u64>,
    failing: Throttle,
    cut: Throttle,
}

impl PlanGauges {
    /// Of these verbs' store.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self {
            app: app.for_workers(),
            plans: Vec::new(),
            asked_at: None,
            shown: None,
            failing: Throttle::reminder(),
            cut: Throttle::every(Duration::from_hours(24)),
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        let now = self.app.clock.now();
        // A clock that was set back is followed.
        let is_old = |at: Timestamp| now.duration_since(at).abs() >= PLANS_ASKED;
        if self.asked_at.is_none_or(is_old) {
            self.plans = first_plans(&self.app).await?;
            (self.asked_at, self.shown) = (Some(now), None);
        }
        let state = self.app.store_revision();
        if state.is_some() && state == self.shown {
            return Ok(());
        }
        let settings = self.app.read_settings().await?;
        let tests = self.app.store.last_figures().await?;
        let figures: Vec<PlanFigures> = self
            .plans
            .iter()
            .map(|plan| of_plan(plan, tests.get(&plan.id.key()), &settings.objectives(&plan.id)))
            .collect();
        let left_out = telemetry::show_plans(&figures);
        self.shown = state;
        if left_out > 0 && self.cut.due() {
            tracing::warn!(
                left_out,
                "not all plans fit among the metrics; the first by name are shown"
            );
        }
        Ok(())
    }
}

impl Worker for PlanGauges {
    const NAME: &'static str = "plan-gauges";

    async fn activate(&mut self) -> Turn {
        let done = self.look().await;
        self.failing.tell(
            done,
            "the figures of plans could not be read; the last ones known are shown",
        );
        Turn::Rest(PERIOD)
    }
}

async fn first_plans(app: &App) -> Result<Vec<Plan>, Error> {
    let mut plans = app.em.all_plans(PlanKind::Cloud).await?;
    plans.extend(app.em.all_plans(PlanKind::OnPremises).await?);
    plans.sort_by(|one, other| (&one.name, one.id.key()).cmp(&(&other.name, other.id.key())));
    plans.truncate(MOST_PLANS);
    Ok(plans)
}

#[expect(clippy::cast_precision_loss, reason = "moments and spans, far below 2^52")]
fn of_plan(plan: &Plan, last: Option<&LastFigures>, wanted: &Objectives) -> PlanFigures {
    let seconds = |millis: Option<i64>| millis.map(|millis| millis as f64 / 1000.0);
    // A plan that Enterprise Manager cannot test is not overdue.
    let is_testable = plan.kind.actions().contains(&ActionKind::Test);
    let interval = wanted.test_every_days.filter(|_| is_testable);
    let objectives = [
        ("recovery_time", wanted.rto_seconds.map(f64::from)),
        ("data_loss", wanted.rpo_seconds.map(f64::from)),
        (
            "test_interval",
            interval.map(|days| f64::from(days) * f64::from(DAY_SECONDS)),
        ),
    ];
    let tenant = plan.tenant.as_ref();
    PlanFigures {
        id: plan.id.to_string(),
        name: plan.name.clone(),
        tenant: tenant.map_or_else(String::new, |tenant| {
            tenant.name.clone().unwrap_or_else(|| tenant.id.to_string())
        }),
        last_test: last.map(|last| last.started_at.as_millisecond() as f64 / 1000.0),
        recovery_time: seconds(last.and_then(|last| last.rta_ms)),
        data_loss: seconds(last.and_then(|last| last.rpa_ms)),
        objectives: objectives
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
    }
}
