//! Windows: hours of the week, by the clock of a time zone, in which something is allowed.
//!
//! A window is a pair of local times, so its length follows daylight saving time: a time that a change of the clock skips
//! is the moment after the gap, and of a time that comes twice the first counts.

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

/// How often an opening of several policies is searched for before they are taken never to meet.
const MOST_STEPS: usize = 400;

/// How many openings that join each other are followed to find when they close.
const MOST_JOINED: usize = 50;

/// A time of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeekTime {
    /// The day.
    pub day: Weekday,
    /// Minutes since its midnight, 0 to 1440; 1440 is the midnight at its end.
    pub minute: i16,
}

/// Hours that come every week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// When it opens.
    pub from: WeekTime,
    /// When it closes; at or before `from` in the week, it closes in the next one.
    pub to: WeekTime,
    /// Whose clock counts.
    pub zone: TimeZone,
}

/// One time that windows are open, from the first moment to the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// When it begins.
    pub from: Timestamp,
    /// When it is over.
    pub to: Timestamp,
}

impl WeekTime {
    /// Its place in the week, in minutes since the beginning of Monday.
    #[must_use]
    pub fn place(self) -> i32 {
        i32::from(self.day.to_monday_zero_offset()) * 24 * 60 + i32::from(self.minute)
    }

    /// The moment in the week that begins on `monday`.
    fn moment(self, monday: Date, zone: &TimeZone) -> Option<Timestamp> {
        let days = i64::from(self.day.to_monday_zero_offset());
        let midnight = monday.checked_add(days.days()).ok()?.at(0, 0, 0, 0);
        let local = midnight.checked_add(i64::from(self.minute).minutes()).ok()?;
        zone.to_ambiguous_zoned(local)
            .compatible()
            .ok()
            .map(|zoned| zoned.timestamp())
    }
}

impl Window {
    /// The first opening that is not over at `at`; it may have begun.
    fn opening(&self, at: Timestamp) -> Option<Opening> {
        let today = self.zone.to_datetime(at).date();
        let monday = today
            .checked_sub(i64::from(today.weekday().to_monday_zero_offset()).days())
            .ok()?;
        let wraps = i64::from(self.to.place() <= self.from.place());
        // One that a change of the clock empties is passed over, so that a third week is looked at.
        (-1..=3i64).find_map(|week| {
            let begins = monday.checked_add((7 * week).days()).ok()?;
            let ends = monday.checked_add((7 * (week + wraps)).days()).ok()?;
            let from = self.from.moment(begins, &self.zone)?;
            let to = self.to.moment(ends, &self.zone)?;
            (from < to && at < to).then_some(Opening { from, to })
        })
    }
}

/// The first time at `at` or later when each of `sets` has an open window; none when that never comes.
#[must_use]
pub fn next_opening(sets: &[&[Window]], at: Timestamp) -> Option<Opening> {
    let mut begin = at;
    for _ in 0..MOST_STEPS {
        let before = begin;
        for windows in sets {
            let openings = windows.iter().filter_map(|window| window.opening(begin));
            let earliest = openings.map(|opening| opening.from).min()?;
            begin = begin.max(earliest);
        }
        if begin == before {
            let to = sets.iter().map(|windows| closes(windows, begin)).min();
            return Some(Opening {
                from: begin,
                to: to.unwrap_or(Timestamp::MAX),
            });
        }
    }
    None
}

/// When the windows, one of which is open at `at`, are all closed again.
fn closes(windows: &[Window], at: Timestamp) -> Timestamp {
    let mut end = at;
    for _ in 0..MOST_JOINED {
        let openings = windows.iter().filter_map(|window| window.opening(end));
        let open = openings.filter(|opening| opening.from <= end);
        match open.map(|opening| opening.to).max() {
            Some(later) => end = later,
            None => break,
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(day: &str, hour: i16) -> WeekTime {
        let day = match day {
            "Mon" => Weekday::Monday,
            "Tue" => Weekday::Tuesday,
            "Fri" => Weekday::Friday,
            "Sat" => Weekday::Saturday,
            _ => Weekday::Sunday,
        };
        WeekTime {
            day,
            minute: hour * 60,
        }
    }

    fn window(from: (&str, i16), to: (&str, i16), zone: &str) -> Window {
        Window {
            from: at(from.0, from.1),
            to: at(to.0, to.1),
            zone: TimeZone::get(zone).expect("a zone"),
        }
    }

    fn moment(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    const BERLIN: &str = "Europe/Berlin";

    // 2026: Berlin leaves winter time on Sunday 29 March at 02:00 and returns on Sunday 25 October at 03:00.
    #[rstest]
    #[case::before(window(("Sat", 20), ("Sun", 6), BERLIN), "2026-01-07T12:00:00Z", "2026-01-10T19:00:00Z", "2026-01-11T05:00:00Z")]
    #[case::a_moment_before(window(("Sat", 20), ("Sun", 6), BERLIN), "2026-01-10T18:59:59.999Z", "2026-01-10T19:00:00Z", "2026-01-11T05:00:00Z")]
    #[case::at_its_beginning(window(("Sat", 20), ("Sun", 6), BERLIN), "2026-01-10T19:00:00Z", "2026-01-10T19:00:00Z", "2026-01-11T05:00:00Z")]
    #[case::over_midnight(window(("Sat", 20), ("Sun", 6), BERLIN), "2026-01-11T02:00:00Z", "2026-01-11T02:00:00Z", "2026-01-11T05:00:00Z")]
    #[case::at_its_end(window(("Sat", 20), ("Sun", 6), BERLIN), "2026-01-11T05:00:00Z", "2026-01-17T19:00:00Z", "2026-01-18T05:00:00Z")]
    #[case::in_summer(window(("Sat", 20), ("Sun", 6), BERLIN), "2026-07-07T12:00:00Z", "2026-07-11T18:00:00Z", "2026-07-12T04:00:00Z")]
    #[case::shorter_in_the_night_that_lacks_an_hour(window(("Sat", 20), ("Sun", 6), BERLIN), "2026-03-28T12:00:00Z", "2026-03-28T19:00:00Z", "2026-03-29T04:00:00Z")]
    #[case::longer_in_the_night_that_has_one_twice(window(("Sat", 20), ("Sun", 6), BERLIN), "2026-10-24T12:00:00Z", "2026-10-24T18:00:00Z", "2026-10-25T05:00:00Z")]
    #[case::opens_after_the_gap(window(("Sun", 2), ("Sun", 5), BERLIN), "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z")]
    #[case::passes_over_a_week_in_which_it_is_empty(window(("Sun", 2), ("Sun", 3), BERLIN), "2026-03-29T00:00:00Z", "2026-04-05T00:00:00Z", "2026-04-05T01:00:00Z")]
    #[case::opens_at_the_first_of_two_times(window(("Sun", 2), ("Sun", 4), BERLIN), "2026-10-24T23:00:00Z", "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z")]
    #[case::over_the_week(window(("Sun", 22), ("Mon", 4), "UTC"), "2026-01-12T01:00:00Z", "2026-01-12T01:00:00Z", "2026-01-12T04:00:00Z")]
    #[case::nearly_the_whole_week(window(("Tue", 4), ("Tue", 3), "UTC"), "2026-01-13T03:30:00Z", "2026-01-13T04:00:00Z", "2026-01-20T03:00:00Z")]
    #[case::the_end_of_a_day(window(("Fri", 0), ("Fri", 24), "UTC"), "2026-01-08T12:00:00Z", "2026-01-09T00:00:00Z", "2026-01-10T00:00:00Z")]
    #[case::ahead_of_utc(window(("Mon", 0), ("Mon", 1), "Pacific/Auckland"), "2026-01-11T10:00:00Z", "2026-01-11T11:00:00Z", "2026-01-11T12:00:00Z")]
    #[case::over_the_year(window(("Fri", 23), ("Sat", 1), "UTC"), "2027-12-31T23:30:00Z", "2027-12-31T23:30:00Z", "2028-01-01T01:00:00Z")]
    fn a_window_opens_and_closes_by_its_own_clock(
        #[case] window: Window,
        #[case] now: &str,
        #[case] from: &str,
        #[case] to: &str,
    ) {
        let found = next_opening(&[&[window]], moment(now));
        let expected = Opening {
            from: moment(from),
            to: moment(to),
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn windows_that_join_are_one_opening() {
        let windows = [
            window(("Sat", 8), ("Sat", 12), "UTC"),
            window(("Sat", 11), ("Sat", 24), "UTC"),
            window(("Sun", 0), ("Sun", 6), "UTC"),
        ];
        let found = next_opening(&[&windows], moment("2026-01-09T00:00:00Z"));
        let expected = Opening {
            from: moment("2026-01-10T08:00:00Z"),
            to: moment("2026-01-11T06:00:00Z"),
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn windows_of_two_policies_are_open_where_both_are() {
        let (one, other) = (
            [window(("Sat", 8), ("Sat", 20), "UTC")],
            [window(("Sat", 18), ("Sun", 8), "UTC")],
        );
        let found = next_opening(&[&one, &other], moment("2026-01-10T09:00:00Z"));
        let expected = Opening {
            from: moment("2026-01-10T18:00:00Z"),
            to: moment("2026-01-10T20:00:00Z"),
        };
        assert_eq!(found, Some(expected));
        let never = [window(("Mon", 8), ("Mon", 20), "UTC")];
        assert_eq!(
            next_opening(&[&one, &never], moment("2026-01-10T09:00:00Z")),
            None
        );
    }
}
