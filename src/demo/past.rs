//! A year of tests before the demo that stays up, so that programme, trends and reports have something to show.
//!
//! The gateway and the simulator share a clock that begins almost a year ago. Each month the plans are tested through the API, by a
//! caller like any other, and the reports are those that the gateway makes; then the clock shows the machine's time.

use std::time::Duration;

use serde_json::json;

use super::calendar::PAST;
use super::client::{Client, Plan};
use super::exhibit::{control, ended, outcome};
use super::stage::Stage;
use super::{Options, PLAN};
use crate::cli::Failure;

/// Months of tests.
const MONTHS: u32 = 12;
const MONTH: Duration = Duration::from_hours(30 * 24);
/// The longest that the clock goes ahead at once: what is longer is no absence, for the gateway, but a wrong clock.
const LEAP: Duration = Duration::from_hours(6 * 24);
/// The steps in which it goes on after that, and how many of them the gateway wants to believe it.
const STEP: Duration = Duration::from_mins(59);
const STEPS: u32 = 3;
/// The recovery time that every plan is to keep, in seconds; a plan that is tested rarely keeps it as well.
const RTO: u32 = 120;
/// The longest test takes less.
const ROUND: Duration = Duration::from_mins(4);

/// How often a plan is tested.
struct Programme {
    every_months: u32,
    every_days: u32,
    /// Its last tests were left out.
    is_forgotten: bool,
}

/// Most are tested each month, some each quarter; one has been forgotten, and one was never tested.
fn programme(index: usize) -> Option<Programme> {
    let (every_months, every_days, is_forgotten) = match index % 8 {
        4 => (3, 100, false),
        5 => (1, 35, true),
        6 => return None,
        _ => (1, 35, false),
    };
    Some(Programme {
        every_months,
        every_days,
        is_forgotten,
    })
}

/// Makes the past; returns how many tests it has.
pub async fn make(options: &Options, stage: &Stage) -> Result<usize, Failure> {
    let portal = &stage.portal;
    portal.ready(Duration::from_secs(10)).await?;
    let plans = portal.plans().await?;
    let mut tests = 0;
    for (index, plan) in plans.iter().enumerate() {
        let every = programme(index).map_or(35, |programme| programme.every_days);
        portal.set_objectives(&plan.id, RTO, every).await?;
    }
    for month in 0..MONTHS {
        tests += round(options, stage, &plans, month).await?;
        let is_last = month + 1 == MONTHS;
        let until = if is_last {
            Duration::ZERO
        } else {
            PAST.saturating_sub(MONTH * (month + 1))
        };
        pass(stage, until).await?;
    }
    control(stage, "points", &json!({})).await?;
    for plan in &plans {
        outcome(stage, json!({"planId": plan.id})).await?;
    }
    Ok(tests)
}

/// One month's tests.
async fn round(options: &Options, stage: &Stage, plans: &[Plan], month: u32) -> Result<usize, Failure> {
    let portal = &stage.portal;
    control(stage, "points", &json!({})).await?;
    let mut asked = Vec::new();
    for (index, plan) in plans.iter().enumerate() {
        let is_due = programme(index).is_some_and(|programme| {
            let is_left_out = programme.is_forgotten && month > MONTHS / 2;
            month % programme.every_months == programme.every_months - 1 && !is_left_out
        });
        if is_due {
            outcome(stage, wish(options, plan, index, month)).await?;
            let (_, operation) = portal.test_plan(&plan.id).await?;
            asked.push(operation.id);
        }
    }
    stage.calendar.advance(ROUND);
    for operation in &asked {
        ended(portal, operation).await?;
        portal.report(operation).await?;
    }
    Ok(asked.len())
}

/// How a test goes: most plans get faster, one slower, and now and then one fails.
fn wish(options: &Options, plan: &Plan, index: usize, month: u32) -> serde_json::Value {
    let turn = u32::try_from(index).unwrap_or_default();
    let wobble = (month * 7 + turn * 3) % 5 * 3;
    let seconds = match index % 8 {
        3 => 70 + 6 * month + wobble,
        _ => 100 + 4 * (turn % 4) - 3 * month + wobble,
    };
    let seconds = f64::from(seconds) * options.speed();
    let fails = (index, month) == (1, 4) || (index, month) == (2, 9);
    if fails && !plan.id.eq_ignore_ascii_case(PLAN) {
        let message = "Unable to reach the isolated network: the gateway appliance did not answer";
        return json!({"planId": plan.id, "seconds": seconds, "result": "failed", "failureMessage": message});
    }
    json!({"planId": plan.id, "seconds": seconds})
}

/// Lets time go by, until the clock is behind by `until`.
async fn pass(stage: &Stage, until: Duration) -> Result<(), Failure> {
    let client: &Client = &stage.portal;
    loop {
        let left = stage.calendar.behind().saturating_sub(until);
        let steps = STEP * STEPS;
        stage.calendar.advance(left.saturating_sub(steps).min(LEAP));
        for _ in 0..STEPS {
            client.ready(Duration::from_secs(10)).await?;
            let left = stage.calendar.behind().saturating_sub(until);
            stage.calendar.advance(left.min(STEP));
        }
        client.ready(Duration::from_secs(10)).await?;
        if stage.calendar.behind() <= until {
            return Ok(());
        }
    }
}
