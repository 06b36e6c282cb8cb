//! How the slots for sending are shared out: no lane can take them all, and none waits for another. Pure: what waits and
//! what is under way come in as values.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::formats;
use crate::clock::later;
use crate::domain::webhook::rules::{earlier, elapsed};
use crate::store::webhooks::lanes::{Lane, Share};

/// The longest rest: what a nudge missed is found within it.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// How many attempts may be under way at once, over all lanes. Each costs a connection and some 50 KiB.
const IN_FLIGHT_LIMIT: usize = 512;

/// How many deliveries are claimed in one transaction.
const CLAIM_LIMIT: usize = 256;

/// What a rate lets out at once: what it allows in a second.
const BURST: Duration = Duration::from_secs(1);

/// A rate that is used up further ahead was so by a clock that was ahead, and is not.
const PACE_LIMIT: Duration = Duration::from_mins(1);

/// The lanes as their rates let them go: what is due waits until there is room for one.
pub(super) fn paced(mut lanes: Vec<Lane>, now: Timestamp) -> Vec<Lane> {
    for lane in &mut lanes {
        let own = || lane.format.and_then(formats::default_rate);
        let Some(rate) = lane.rate.or_else(own).filter(|rate| *rate > 0) else {
            continue;
        };
        let interval = Duration::from_micros(1_000_000 / u64::from(rate));
        lane.interval = Some(interval);
        lane.paced_until = lane
            .paced_until
            .filter(|until| *until > now && *until <= later(now, PACE_LIMIT));
        if let Some(until) = lane.paced_until {
            let opens = earlier(later(until, interval), BURST);
            lane.due = lane.due.max(opens);
            lane.urgent = lane.urgent.map(|urgent| urgent.max(opens));
        }
    }
    lanes
}

/// How many deliveries a lane's rate has room for.
fn room(lane: &Lane, now: Timestamp) -> usize {
    let Some(interval) = lane.interval else {
        return usize::MAX;
    };
    let used = lane
        .paced_until
        .map_or(Duration::ZERO, |until| elapsed(until, now));
    let room = BURST.saturating_sub(used).as_micros() / interval.as_micros().max(1);
    usize::try_from(room).unwrap_or(usize::MAX)
}

/// A lane that has something to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LaneLoad {
    /// How many it may have under way.
    cap: usize,
    /// How many it has under way.
    in_flight: usize,
}

/// Whether any lane may send something now, `in_flight` being under way in this process.
pub(super) fn may_send(lanes: &[Lane], in_flight: &HashMap<String, usize>, now: Timestamp) -> bool {
    let is_full = in_flight.values().sum::<usize>() >= IN_FLIGHT_LIMIT;
    !is_full
        && lanes.iter().any(|lane| {
            let in_flight = in_flight.get(&lane.key).copied().unwrap_or_default();
            let urgent = lane.urgent.is_some_and(|at| at <= now);
            lane.due <= now && in_flight < lane.cap && (urgent || !lane.down || in_flight == 0)
        })
}

/// Who may claim how many, and whether a probe: of what is under way in all replicas the lanes' own bounds count, of
/// this process' `own` the total. `rotation` changes from turn to turn, and with it the lane that begins.
pub(super) fn shares(lanes: &[Lane], own: usize, rotation: usize, now: Timestamp) -> Vec<Share> {
    let mut due: Vec<Lane> = lanes.iter().filter(|lane| lane.due <= now).cloned().collect();
    due.sort_by(|one, other| one.key.cmp(&other.key));
    let begin = rotation % due.len().max(1);
    due.rotate_left(begin);
    let loads: Vec<LaneLoad> = due
        .iter()
        .map(|lane| LaneLoad {
            cap: lane.cap.min(lane.under_way.saturating_add(room(lane, now))),
            in_flight: lane.under_way,
        })
        .collect();
    let limits = fair_shares(&loads, own);
    due.into_iter()
        .zip(limits)
        .filter(|(_, limit)| *limit > 0)
        .map(|(lane, limit)| {
            let probe = lane.under_way == 0;
            Share { lane, limit, probe }
        })
        .collect()
}

/// How long nothing is due. Moments are the wall clock's, the rest is not: it is never longer than the poll, so that a
/// clock that jumps delays nothing.
pub(super) fn rest(lanes: &[Lane], now: Timestamp) -> Duration {
    lanes
        .iter()
        .map(|lane| elapsed(lane.due, now))
        .filter(|pause| !pause.is_zero())
        .min()
        .unwrap_or(POLL)
        .min(POLL)
}

/// How many deliveries each lane may claim now, `in_flight` attempts being under way over all lanes: one each in turn, up
/// to its cap while half of the slots are free. The other half is kept for lanes that have nothing under way, so that
/// the last to come finds a slot even when all before it hang.
fn fair_shares(lanes: &[LaneLoad], in_flight: usize) -> Vec<usize> {
    let mut allotted = vec![0; lanes.len()];
    let mut given = 0;
    loop {
        let before = given;
        for (lane, mine) in lanes.iter().zip(&mut allotted) {
            let used = in_flight + given;
            let cap = if used < IN_FLIGHT_LIMIT / 2 {
                lane.cap
            } else {
                lane.cap.min(1)
            };
            if given < CLAIM_LIMIT && used < IN_FLIGHT_LIMIT && lane.in_flight + *mine < cap {
                *mine += 1;
                given += 1;
            }
        }
        if given == before {
            return allotted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::Format;

    const fn idle(cap: usize) -> LaneLoad {
        LaneLoad { cap, in_flight: 0 }
    }

    fn lane(rate: Option<u32>, format: Format, paced_until: Option<Timestamp>) -> Lane {
        Lane {
            key: "ep_1".to_owned(),
            endpoint: None,
            cap: 32,
            under_way: 0,
            down: false,
            due: at(0),
            urgent: None,
            paused_until: None,
            format: Some(format),
            rate,
            paced_until,
            interval: None,
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + millis).expect("a moment")
    }

    /// How many deliveries of a lane may go out at a moment, and when the next may.
    fn let_out(lane: Lane, millis: i64) -> (usize, i64) {
        let lanes = paced(vec![lane], at(millis));
        let due = lanes[0].due.as_millisecond() - at(0).as_millisecond();
        let shares = shares(&lanes, 0, 0, at(millis));
        (shares.first().map_or(0, |share| share.limit), due)
    }

    #[test]
    fn a_rate_lets_out_what_it_allows_in_a_second() {
        let standard = Format::Standard;
        assert_eq!(let_out(lane(None, standard, None), 0), (32, 0), "no rate");
        assert_eq!(let_out(lane(Some(5), standard, None), 0), (5, 0));
        assert_eq!(
            let_out(lane(None, Format::Slack, None), 0),
            (1, 0),
            "the format's own"
        );
        assert_eq!(
            let_out(lane(Some(9), Format::Slack, None), 0),
            (9, 0),
            "its owner's"
        );
        // All of the second is used up: the next may go when a fifth of it is over.
        let used = || lane(Some(5), standard, Some(at(1000)));
        assert_eq!(let_out(used(), 0), (0, 200));
        assert_eq!(let_out(used(), 199), (0, 200));
        assert_eq!(let_out(used(), 200), (1, 200));
        assert_eq!(let_out(used(), 600), (3, 200));
        assert_eq!(let_out(used(), 5000), (5, 0));
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_stop_a_lane_with_a_rate() {
        let ahead = lane(Some(1), Format::Standard, Some(at(3_600_000)));
        assert_eq!(let_out(ahead, 0), (1, 0));
    }

    #[test]
    fn each_lane_gets_its_turn_before_any_gets_a_second() {
        let lanes = [idle(32); CLAIM_LIMIT + 36];
        let allotted = fair_shares(&lanes, 0);
        assert_eq!(allotted.iter().sum::<usize>(), CLAIM_LIMIT);
        assert!(allotted.iter().all(|given| *given <= 1));
    }

    #[test]
    fn a_lane_never_has_more_under_way_than_its_cap() {
        assert_eq!(
            fair_shares(
                &[
                    LaneLoad { cap: 4, in_flight: 3 },
                    LaneLoad { cap: 4, in_flight: 4 }
                ],
                7
            ),
            [1, 0]
        );
        assert_eq!(fair_shares(&[idle(4)], 0), [4]);
    }

    #[test]
    fn hung_lanes_leave_slots_for_the_next_to_come() {
        let mut in_flight = 0;
        for lane in 0..IN_FLIGHT_LIMIT / 2 {
            let given = fair_shares(&[idle(32)], in_flight);
            assert!(
                given[0] >= 1,
                "lane {lane} found nothing at {in_flight} under way"
            );
            in_flight += given[0];
        }
        assert!(in_flight <= IN_FLIGHT_LIMIT);
    }

    #[test]
    fn nothing_is_claimed_beyond_the_limit() {
        assert_eq!(fair_shares(&[idle(4)], IN_FLIGHT_LIMIT), [0]);
        assert_eq!(fair_shares(&[], 0), Vec::<usize>::new());
    }
}
