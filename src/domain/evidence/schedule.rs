//! When a plan is tested by itself (docs/behaviour.md#schedules): the times of a cron expression in a time zone, and what
//! becomes of one that cannot be kept.
//!
//! A due time is a local time. One that the zone's clock skips is due at the moment at which it skips; one that the clock
//! shows twice is due the first time.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::asked::Purpose;
use super::cron::Cron;
use crate::domain::access::{Caller, Principal, Scope, Tenancy};
use crate::domain::words::words;

/// How late a test may begin: what is due for longer is skipped.
pub const LATE: Duration = Duration::from_hours(1);

/// More local times than a clock that is set back repeats: by three hours and a minute each.
const MOST_REPEATED: usize = 200;

/// The most due times of a schedule that are counted as missed at once.
const MOST_MISSED: u32 = 10_000;

/// When a plan is tested by itself, and what for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Schedule {
    /// Five fields: minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// The zone whose clock they are about, by its name in the IANA database.
    pub time_zone: String,
    /// What the tests are for.
    pub purpose: Option<Purpose>,
    /// Whether a test is skipped while its plan is busy, instead of waiting.
    pub skip_if_busy: bool,
}

/// Who set a schedule, with the rights that they had: its tests are on their behalf.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SetBy {
    /// Who.
    pub who: Principal,
    /// The words of their scopes.
    pub scopes: Vec<String>,
    /// The tenants that they are confined to.
    pub tenants: Option<BTreeSet<String>>,
}

impl SetBy {
    /// This caller.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        Self {
            who: Principal::of(caller),
            scopes: caller
                .scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
            tenants: caller.tenancy.confinement(),
        }
    }

    /// The caller that a scheduled test is requested by: of the name `requester`, seeing and holding what who set it did.
    #[must_use]
    pub fn caller(&self, requester: String) -> Caller {
        Caller {
            name: Some(requester),
            issuer: None,
            scopes: self.scopes.iter().filter_map(|word| Scope::parse(word)).collect(),
            tenancy: self.tenants.clone().map_or(Tenancy::All, Tenancy::Only),
            token_id: None,
            expires_at: Timestamp::MAX,
            rules: Vec::new(),
        }
    }
}

words! {
    /// Why a scheduled test was not run.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub enum SkipReason {
        /// The gateway did not run, or could not write, until it was too late.
        Missed = "missed",
        /// The plan was busy.
        Busy = "busy",
        /// Enterprise Manager could not be asked.
        Unavailable = "unavailable",
        /// Enterprise Manager refused the test.
        Refused = "refused",
        /// A policy does not allow it.
        PolicyDenied = "policyDenied",
        /// Enterprise Manager no longer has the plan, or does not show it to who set the schedule.
        PlanGone = "planGone",
    }
}

/// What became of a due time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    /// When it was due.
    pub due_at: Timestamp,
    /// The operation that it became.
    pub operation_id: Option<String>,
    /// Why it was skipped.
    pub skipped: Option<SkipReason>,
}

/// The text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The cron expression cannot be read.
    #[error("{0}")]
    Cron(String),
    /// There is no such time zone.
    #[error("is no time zone of the IANA database, such as Europe/Berlin or UTC")]
    Zone,
    /// No time fits.
    #[error("is never due within four years")]
    Never,
}

/// The due times of a schedule.
#[derive(Debug, Clone)]
pub struct Times {
    cron: Cron,
    zone: TimeZone,
}

impl Times {
    /// Reads a schedule.
    ///
    /// # Errors
    /// Every [`Fault`] of its texts.
    pub fn of(schedule: &Schedule) -> Result<Self, Vec<Fault>> {
        // The system's list of zones, or the one that is part of the program.
        let zone = TimeZone::get(&schedule.time_zone).map_err(|_| Fault::Zone);
        match (Cron::parse(&schedule.cron).map_err(Fault::Cron), zone) {
            (Ok(cron), Ok(zone)) => Ok(Self { cron, zone }),
            (cron, zone) => Err(cron.err().into_iter().chain(zone.err()).collect()),
        }
    }

    /// The first due time after a moment; none within the years to come.
    #[must_use]
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let mut local = self.zone.to_datetime(at);
        for _ in 0..MOST_REPEATED {
            local = self.cron.after(local)?;
            let due = self.moment(local)?;
            if due > at {
                return Some(due);
            }
        }
        None
    }

    /// The first due time after now.
    ///
    /// # Errors
    /// [`Fault::Never`].
    pub fn first(&self, now: Timestamp) -> Result<Timestamp, Fault> {
        self.after(now).ok_or(Fault::Never)
    }

    fn moment(&self, local: DateTime) -> Option<Timestamp> {
        let found = self.zone.to_ambiguous_timestamp(local);
        match found.offset() {
            AmbiguousOffset::Gap { .. } => {
                let after = found
                    .later()
                    .ok()?
                    .checked_add(SignedDuration::from_secs(1))
                    .ok()?;
                let skip = self.zone.preceding(after).next()?;
                Some(skip.timestamp())
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => found.earlier().ok(),
        }
    }

    /// Of the due times from `due` on, those for which it is too late at `now`: how many, and the first for which it is not.
    #[must_use]
    pub fn missed(&self, due: Timestamp, now: Timestamp) -> (u32, Option<Timestamp>) {
        let (mut count, mut next) = (0, Some(due));
        while let Some(at) = next.filter(|at| is_late(*at, now)) {
            if count >= MOST_MISSED {
                return (count, self.after(now.checked_sub(LATE).unwrap_or(now)));
            }
            count += 1;
            next = self.after(at);
        }
        (count, next)
    }
}

/// Whether it is too late at `now` for what was due then.
#[must_use]
pub fn is_late(due: Timestamp, now: Timestamp) -> bool {
    now.duration_since(due) > SignedDuration::from_hours(1)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn times(cron: &str, zone: &str) -> Times {
        let schedule = Schedule {
            cron: cron.to_owned(),
            time_zone: zone.to_owned(),
            ..Schedule::default()
        };
        Times::of(&schedule).expect("a schedule")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn due(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let times = times(cron, zone);
        let mut now = at(from);
        (0..count)
            .map(|_| {
                now = times.after(now).expect("a due time");
                now.to_string()
            })
            .collect()
    }

    #[rstest]
    #[case::once_a_month("0 3 1 * *", "Europe/Berlin", "2026-01-01T02:00:00Z", "2026-02-01T02:00:00Z")]
    #[case::summer_counts("0 3 1 * *", "Europe/Berlin", "2026-05-02T00:00:00Z", "2026-06-01T01:00:00Z")]
    #[case::monday_is_1("0 0 * * 1", "UTC", "2026-11-28T00:00:00Z", "2026-11-30T00:00:00Z")]
    #[case::sunday_is_0("0 0 * * 0", "UTC", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z")]
    #[case::either_day("0 0 13 * 5", "UTC", "2026-11-07T00:00:00Z", "2026-11-13T00:00:00Z")]
    #[case::within_a_minute("*/5 * * * *", "UTC", "2026-11-28T00:04:59.999Z", "2026-11-28T00:05:00Z")]
    #[case::leap_year("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z")]
    fn a_plan_is_due_when_the_clock_of_its_zone_says_so(
        #[case] cron: &str,
        #[case] zone: &str,
        #[case] now: &str,
        #[case] next: &str,
    ) {
        assert_eq!(times(cron, zone).after(at(now)), Some(at(next)));
    }

    #[test]
    fn a_due_time_that_the_clock_skips_is_due_when_it_skips() {
        // At 02:00 it is 03:00.
        assert_eq!(
            due("30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", 2),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(
            due("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3),
            [
                "2026-03-29T00:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:30:00Z"
            ],
            "several of them are due once"
        );
    }

    #[test]
    fn a_due_time_that_the_clock_shows_twice_is_due_the_first_time() {
        // At 03:00 it is 02:00 once more.
        assert_eq!(
            due("30 2 * * *", "Europe/Berlin", "2026-10-24T02:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
        assert_eq!(
            times("* * * * *", "Europe/Berlin").after(at("2026-10-25T01:10:00Z")),
            Some(at("2026-10-25T02:00:00Z")),
            "in the hour that is repeated nothing is due again"
        );
    }

    #[rstest]
    #[case("60 3 1 * *", "the minute `60` must be 0 to 59,")]
    #[case("*/0 3 1 * *", "the minute `*/0` must be 0 to 59,")]
    #[case("0 24 1 * *", "the hour `24` must be 0 to 23,")]
    #[case("0 3 0 * *", "the day of the month `0` must be 1 to 31,")]
    #[case("0 3 1 13 *", "the month `13` must be 1 to 12,")]
    #[case("0 3 1 * MONDAY", "the day of the week `MONDAY` must be 0 to 7,")]
    #[case("x 24 1 * *", "the minute `x` must be 0 to 59,")]
    #[case("x 24 1 * *", "; the hour `24` must be 0 to 23,")]
    #[case("0 3 *", "must be five fields: minute, hour,")]
    fn a_field_of_an_expression_that_cannot_be_read_is_named_with_its_values(
        #[case] cron: &str,
        #[case] told: &str,
    ) {
        let schedule = Schedule {
            cron: cron.to_owned(),
            time_zone: "UTC".to_owned(),
            ..Schedule::default()
        };
        let faults = Times::of(&schedule).expect_err("no expression");
        let [fault] = &faults[..] else {
            panic!("{faults:?}")
        };
        assert!(fault.to_string().contains(told), "{fault}");
    }

    #[rstest]
    #[case("", "UTC")]
    #[case("* * * *", "UTC")]
    #[case("0 * * * * *", "UTC")]
    #[case("60 * * * *", "UTC")]
    #[case("@daily", "UTC")]
    #[case("0 3 1 * MOO", "UTC")]
    #[case("* * * * Europe/Berlin", "UTC")]
    #[case("0 3 1 * *", "Mars/Olympus")]
    #[case("0 3 1 * *", "")]
    fn what_is_no_schedule_is_refused(#[case] cron: &str, #[case] zone: &str) {
        let schedule = Schedule {
            cron: cron.to_owned(),
            time_zone: zone.to_owned(),
            ..Schedule::default()
        };
        assert!(Times::of(&schedule).is_err());
    }

    #[test]
    fn what_no_calendar_has_is_never_due() {
        let never = times("0 0 30 2 *", "UTC").first(at("2026-01-01T00:00:00Z"));
        assert_eq!(never, Err(Fault::Never));
    }

    #[test]
    fn due_times_of_the_last_hour_are_not_missed() {
        let times = times("*/30 * * * *", "UTC");
        let (due, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T03:10:00Z"));
        assert_eq!(times.missed(due, now), (5, Some(at("2026-01-01T02:30:00Z"))));
        assert_eq!(
            times.missed(at("2026-01-01T02:10:00Z"), now).0,
            0,
            "an hour is not late"
        );
    }

    #[test]
    fn a_month_of_missed_minutes_is_counted_in_bounded_work() {
        let times = times("* * * * *", "UTC");
        let (due, now) = (at("2026-01-01T00:00:00Z"), at("2026-03-01T00:00:00Z"));
        assert_eq!(
            times.missed(due, now),
            (MOST_MISSED, Some(at("2026-02-28T23:01:00Z")))
        );
    }
}
