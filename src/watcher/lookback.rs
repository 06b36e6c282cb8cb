//! How far back an observation reaches, and when the next one is late: arithmetic over moments, without I/O.

use std::time::Duration;

use jiff::Timestamp;

use crate::store::observations::WatchState;

/// How far the query reaches back at the least.
const REACH: Duration = Duration::from_hours(1);

/// How much EM's clock may be off without consequences: the query always reaches back that much further.
pub(super) const CLOCK_SLACK: Duration = Duration::from_mins(15);

/// Without a complete observation for so long, or for so many intervals, something is wrong.
const LATE: Duration = Duration::from_secs(30);
const LATE_INTERVALS: u32 = 5;

/// How far back the query has to reach: to the oldest session whose end is awaited (those that were `lost` among them,
/// and the oldest that is `damaged`, if asked for), to what may have happened since the last observation, and an hour at
/// the least; `None` (all that EM keeps) before the baseline. `behind`: by how much EM's clock is known to be slow.
#[must_use]
pub(super) fn lookback_start(
    before: &WatchState,
    lost: bool,
    damaged: Option<Timestamp>,
    behind: Duration,
    now: Timestamp,
) -> Option<Timestamp> {
    let last = before.observed_at?.min(now).checked_sub(REACH).ok()?;
    // What EM creates now has the time that EM believes it is; the ages of sessions are EM's own times already.
    let last = last.checked_sub(behind).ok()?;
    let oldest_lost = before.oldest_lost.filter(|_| lost);
    let damaged = damaged.filter(|_| lost);
    [before.oldest_open, oldest_lost, damaged]
        .into_iter()
        .flatten()
        .fold(last, Timestamp::min)
        .checked_sub(CLOCK_SLACK)
        .ok()
}

/// How long after a complete observation the next one is late, where they follow each other so.
pub(super) fn late_after(interval: Duration) -> Duration {
    (interval * LATE_INTERVALS).max(LATE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOW: i64 = 1_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a moment")
    }

    fn state(observed: Option<i64>, open: Option<i64>, lost: Option<i64>) -> WatchState {
        WatchState {
            observed_at: observed.map(at),
            oldest_open: open.map(at),
            oldest_lost: lost.map(at),
            oldest_damaged: None,
            operations: Vec::new(),
        }
    }

    const HOUR: i64 = 3600;
    const SLACK: i64 = 900;

    #[rstest]
    #[case::an_hour_at_the_least(state(Some(NOW), None, None), false, Some(NOW - HOUR - SLACK))]
    #[case::to_the_oldest_open(state(Some(NOW), Some(5000), None), false, Some(5000 - SLACK))]
    #[case::to_lost_ones_when_asked_for(state(Some(NOW), None, Some(6000)), true, Some(6000 - SLACK))]
    #[case::not_to_lost_ones_otherwise(state(Some(NOW), None, Some(6000)), false, Some(NOW - HOUR - SLACK))]
    #[case::a_clock_set_back_changes_nothing(state(Some(NOW + 90_000), None, None), false, Some(NOW - HOUR - SLACK))]
    #[case::all_before_the_baseline(state(None, Some(5000), None), true, None)]
    fn the_query_reaches_back(#[case] before: WatchState, #[case] lost: bool, #[case] since: Option<i64>) {
        let start = lookback_start(&before, lost, None, Duration::ZERO, at(NOW));
        assert_eq!(start, since.map(at));
    }

    #[test]
    fn a_slow_clock_of_em_lengthens_the_reach() {
        let behind = Duration::from_hours(2);
        let start = lookback_start(&state(Some(NOW), None, None), false, None, behind, at(NOW));
        assert_eq!(start, Some(at(NOW - HOUR - SLACK - 2 * HOUR)));
    }

    #[test]
    fn an_observation_is_late_after_30_seconds_or_5_intervals() {
        assert_eq!(late_after(Duration::from_secs(2)), Duration::from_secs(30));
        assert_eq!(late_after(Duration::from_secs(60)), Duration::from_mins(5));
    }
}
