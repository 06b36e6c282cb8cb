//! The time by which age is measured: the clock's, once it is trusted.
//!
//! A machine whose clock is far ahead when it boots would find everything too old at once. So the store records the time
//! each minute. When the clock is ahead of that by more than a plausible downtime, age is measured by the last trusted
//! time and the time that the process has run since, until it has run for so long that an operator would have corrected
//! the clock. Then, or when it is corrected, the clock is trusted again. Only what is removed or given up for its age
//! uses this time; everything else uses the clock.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::row::{Columns as _, json, micros, moment};
use super::{Error, Inner, Store, Tx};
use crate::clock::later;
use crate::runtime::{Turn, Worker};

/// A step of the clock that is no news: a restart, a pause of the machine. Idempotency keys count for an hour less than
/// they are kept.
const STEP: Duration = Duration::from_hours(1);

/// How long a gateway that was away longer has to run first: an hour in which the clock may be set right, doubled.
const SETTLED: Duration = Duration::from_hours(2);

/// The longest plausible downtime; a longer one is taken for a fault of the clock until it is proven.
const ABSENCE: Duration = Duration::from_hours(7 * 24);

/// The proof: the process ran for this long, and the clock was not corrected.
const PROVEN: Duration = Duration::from_hours(24);

/// How often the time is remembered.
const TICK: Duration = Duration::from_mins(1);

/// The rows in `meta`.
const MARK: &str = "clock_mark";
const DOUBT: &str = "clock_doubt";

/// A clock that is ahead of what the store remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct ClockSkew {
    /// What the clock showed when it was noticed, and when it was last read.
    since: i64,
    seen: i64,
    /// For how long the gateway has run with it, and has to.
    ran: Duration,
    needed: Duration,
}

impl ClockSkew {
    fn new(now: Timestamp, ahead: Duration) -> Self {
        Self {
            since: micros(now),
            seen: micros(now),
            ran: Duration::ZERO,
            needed: needed(ahead),
        }
    }

    const fn is_severe(&self) -> bool {
        self.needed.as_secs() >= PROVEN.as_secs()
    }
}

fn needed(ahead: Duration) -> Duration {
    if ahead > ABSENCE { PROVEN } else { SETTLED }
}

fn ahead(now: i64, of: i64) -> Duration {
    Duration::from_micros(u64::try_from(now.saturating_sub(of)).unwrap_or_default())
}

/// What is remembered of time.
#[derive(Debug, Default)]
pub(super) struct TrustedClock {
    /// The last moment that was believed; none in a store that remembers nothing.
    mark: Option<Timestamp>,
    doubt: Option<ClockSkew>,
}

impl TrustedClock {
    /// Records what the clock shows. Returns the time by which age is measured.
    fn look(&mut self, now: Timestamp) -> Timestamp {
        let mark = *self.mark.get_or_insert(now);
        let distance = ahead(micros(now), micros(mark));
        if distance <= STEP {
            if self.doubt.take().is_some_and(|doubt| doubt.is_severe()) {
                tracing::info!("the clock was corrected; ages are measured by it again");
            }
            self.mark = Some(now);
            return now;
        }
        let mut doubt = match self.doubt {
            // Set back, but not far enough: decided anew.
            Some(known) if ahead(known.seen, micros(now)) > STEP => ClockSkew::new(now, distance),
            Some(known) => known,
            None => ClockSkew::new(now, distance),
        };
        let step = ahead(micros(now), doubt.seen);
        if step > STEP {
            doubt.needed = doubt.needed.max(needed(step));
        } else {
            doubt.ran += step;
        }
        doubt.seen = micros(now);
        if doubt.ran >= doubt.needed {
            tracing::info!("the clock is trusted from now on; ages are measured by it");
            self.mark = Some(now);
            self.doubt = None;
            return now;
        }
        if self.doubt.is_none_or(|known| known.needed != doubt.needed) {
            tell(&doubt, mark, now);
        }
        self.doubt = Some(doubt);
        later(mark, doubt.ran)
    }
}

fn tell(doubt: &ClockSkew, mark: Timestamp, now: Timestamp) {
    if doubt.is_severe() {
        tracing::warn!(
            clock = %now,
            remembered = %mark,
            "the clock is more than a week ahead of the last time that the store recorded; until it is \
             corrected, or the gateway has run with it for 24 hours, nothing is removed and no webhook \
             endpoint disabled for its age"
        );
    } else {
        tracing::info!(
            clock = %now,
            remembered = %mark,
            "the gateway did not run for some time; nothing is removed for its age in the next 2 hours"
        );
    }
}

impl Inner {
    fn trusted_now(&self) -> Timestamp {
        let mut trusted_clock = self.trusted_clock.lock();
        trusted_clock.look(self.clock.now())
    }
}

impl Store {
    /// The time by which age is measured: never ahead of the clock, and behind it while that is not trusted.
    #[must_use]
    pub fn trusted_now(&self) -> Timestamp {
        self.0.trusted_now()
    }

    /// Since when, by itself, the clock is further ahead than any absence explains; none when it is not.
    #[must_use]
    pub fn clock_doubted(&self) -> Option<Timestamp> {
        let _ = self.trusted_now();
        let trusted_clock = self.0.trusted_clock.lock();
        let doubt = trusted_clock.doubt.filter(ClockSkew::is_severe)?;
        Timestamp::from_microsecond(doubt.since).ok()
    }

    /// Reads what is remembered; of a store that an earlier program wrote, when EM was observed last.
    pub(super) async fn load_trusted_time(&self) -> Result<(), Error> {
        let rows = sqlx::query("select key, value from meta where key in ($1, $2, 'observed_at')")
            .bind(MARK)
            .bind(DOUBT)
            .fetch_all(self.reader())
            .await?;
        let (mut mark, mut observed, mut doubt) = (None, None, None);
        for row in rows {
            match row.text("key")?.as_str() {
                MARK => mark = Some(moment(row.parsed("value")?, "meta.clock_mark")?),
                DOUBT => doubt = Some(row.document("value")?),
                _ => observed = Some(moment(row.parsed("value")?, "meta.observed_at")?),
            }
        }
        {
            let mut trusted_clock = self.0.trusted_clock.lock();
            trusted_clock.mark = mark.or(observed);
            trusted_clock.doubt = doubt;
        }
        let _ = self.trusted_now();
        Ok(())
    }

    /// Remembers what time it is. A replica whose clock is in doubt leaves the mark to the others.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn save_trusted_time(&self) -> Result<(), Error> {
        let _ = self.trusted_now();
        let (mark, doubt) = {
            let trusted_clock = self.0.trusted_clock.lock();
            (trusted_clock.mark, trusted_clock.doubt)
        };
        let mut tx = self.begin().await?;
        match (doubt, mark) {
            (Some(doubt), _) => tx.write_meta(DOUBT, json(&doubt, "meta.clock_doubt")?).await?,
            (None, Some(mark)) => {
                tx.write_meta(MARK, micros(mark).to_string()).await?;
                sqlx::query("delete from meta where key = $1")
                    .bind(DOUBT)
                    .execute(tx.connection())
                    .await?;
            }
            (None, None) => {}
        }
        tx.commit().await
    }
}

impl Tx {
    /// As [`Store::trusted_now`].
    #[must_use]
    pub fn trusted_now(&self) -> Timestamp {
        self.store.trusted_now()
    }

    async fn write_meta(&mut self, key: &'static str, value: String) -> Result<(), Error> {
        sqlx::query(
            "insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

/// The worker that remembers the time.
pub struct ClockRecorder(Store);

impl ClockRecorder {
    /// Of this store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self(store)
    }
}

impl Worker for ClockRecorder {
    const NAME: &'static str = "time";

    async fn activate(&mut self) -> Turn {
        if let Err(error) = super::with_timeout(self.0.save_trusted_time()).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the time could not be recorded"
            );
        }
        Turn::Rest(TICK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn begin() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().expect("a moment")
    }

    fn known() -> TrustedClock {
        let mut trusted_clock = TrustedClock::default();
        assert_eq!(
            trusted_clock.look(begin()),
            begin(),
            "a store without a memory believes"
        );
        trusted_clock
    }

    /// Looks once an hour until `now + time`; the first moment that is believed.
    fn run(trusted_clock: &mut TrustedClock, now: Timestamp, time: Duration) -> Option<Duration> {
        let mut ran = Duration::ZERO;
        while ran <= time {
            if trusted_clock.look(now + ran) == now + ran {
                return Some(ran);
            }
            ran += HOUR;
        }
        None
    }

    #[test]
    fn a_clock_that_advances_steadily_is_trusted_at_once() {
        let mut trusted_clock = known();
        assert_eq!(
            run(&mut trusted_clock, begin() + HOUR, Duration::ZERO),
            Some(Duration::ZERO)
        );
        let earlier = begin() - 30 * 24 * HOUR;
        assert_eq!(trusted_clock.look(earlier), earlier, "nothing is too old by it");
    }

    #[test]
    fn after_some_days_away_the_gateway_runs_two_hours_first() {
        let mut trusted_clock = known();
        let back = begin() + 3 * 24 * HOUR;
        assert_eq!(trusted_clock.look(back), begin());
        assert!(!trusted_clock.doubt.expect("a doubt").is_severe());
        assert_eq!(run(&mut trusted_clock, back, 5 * HOUR), Some(SETTLED));
    }

    #[test]
    fn a_clock_that_is_far_ahead_is_trusted_after_a_day_without_jumps() {
        let mut trusted_clock = known();
        let far = begin() + 400 * 24 * HOUR;
        assert_eq!(run(&mut trusted_clock, far, 23 * HOUR), None);
        assert!(trusted_clock.doubt.expect("a doubt").is_severe());
        assert_eq!(
            trusted_clock.look(far + 100 * 24 * HOUR),
            begin() + 23 * HOUR,
            "a jump is no time"
        );
        assert_eq!(
            run(&mut trusted_clock, far + 100 * 24 * HOUR, 5 * HOUR),
            Some(HOUR),
            "what was run counts"
        );
    }

    #[test]
    fn a_clock_is_believed_at_once_only_when_it_is_set_fully_right() {
        let mut trusted_clock = known();
        trusted_clock.look(begin() + 400 * 24 * HOUR);
        assert_eq!(trusted_clock.look(begin() + HOUR), begin() + HOUR);
        trusted_clock.look(begin() + 400 * 24 * HOUR);
        let half = begin() + 30 * 24 * HOUR;
        assert_eq!(run(&mut trusted_clock, half, 48 * HOUR), Some(PROVEN));
    }
}
