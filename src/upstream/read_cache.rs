//! Many readers cost EM one request: identical reads share the request that is under way, and its answer for a second.
//!
//! A write ends the memory of all reads: who reads after it never gets what was there before.

use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};
use jiff::Timestamp;

use super::documents::Decoded;
use super::error::Error;
use crate::clock::SharedClock;
use crate::telemetry::{names, traces};

/// The bytes of all answers that are remembered, and of the largest.
const MOST: usize = 32 * 1024 * 1024;
const LARGEST: usize = 256 * 1024;
/// What is made of an answer costs about as much again, and its place a little.
const OVERHEAD: usize = 1024;
/// Reads that are over are looked for once so many more are noted as under way as there were.
const BETWEEN_SWEEPS: usize = 64;

/// What a read brings.
pub(super) type Outcome = Result<Arc<Decoded>, Error>;
type Reading = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// On whose behalf EM is asked. What was read for one audience is never shown to another, whatever it holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Audience {
    /// The account, by its place in the configuration.
    pub account: usize,
    /// The tenants that the callers are confined to; none for everybody else and the gateway itself.
    pub tenants: Option<Arc<BTreeSet<String>>>,
}

/// The audience and what is read.
pub(super) type Key = (Audience, String);

pub(super) struct ReadCache {
    clock: SharedClock,
    coalesce: bool,
    ttl: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Counts writes: an answer that was asked for before the last one is not remembered.
    generation: u64,
    under_way: HashMap<Key, WeakShared<Reading>>,
    /// How many may be noted as under way until those that are over are looked for.
    sweep_at: usize,
    remembered: HashMap<Key, (Timestamp, Arc<Decoded>)>,
    /// What is remembered, oldest first; also what was replaced since.
    order: VecDeque<(Timestamp, Key)>,
    /// The bytes of what is remembered.
    bytes: usize,
}

impl State {
    fn begin(&mut self, key: Key, reading: WeakShared<Reading>) {
        if self.under_way.len() >= self.sweep_at {
            self.under_way
                .retain(|_, reading| reading.upgrade().is_some_and(|reading| reading.peek().is_none()));
            self.sweep_at = 2 * self.under_way.len() + BETWEEN_SWEEPS;
        }
        self.under_way.insert(key, reading);
    }

    fn remember(&mut self, key: Key, at: Timestamp, decoded: &Arc<Decoded>) {
        self.bytes += weight(decoded);
        if let Some((_, before)) = self.remembered.insert(key.clone(), (at, decoded.clone())) {
            self.bytes -= weight(&before);
        }
        self.order.push_back((at, key));
    }

    /// Forgets the oldest while they are `over`, or too many bytes are remembered.
    fn shrink(&mut self, over: impl Fn(Timestamp) -> bool) {
        while let Some((at, key)) = self.order.pop_front_if(|(at, _)| over(*at) || self.bytes > MOST) {
            if self.remembered.get(&key).is_some_and(|(since, _)| *since == at)
                && let Some((_, gone)) = self.remembered.remove(&key)
            {
                self.bytes -= weight(&gone);
            }
        }
    }
}

impl ReadCache {
    pub fn new(coalesce: bool, ttl: Duration, clock: SharedClock) -> Self {
        Self {
            clock,
            coalesce,
            ttl,
            state: Mutex::default(),
        }
    }

    /// The outcome of what `read` begins, or of a read like it that is under way.
    ///
    /// # Errors
    /// Those of the read.
    pub async fn share<F>(&self, key: Key, read: impl FnOnce() -> F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        match self.join(&key, read) {
            Joined::Remembered(decoded) => Ok(decoded),
            Joined::Reading { reading, .. } => reading.await,
        }
    }

    /// The outcome of what `read` begins, or of a read like it that is under way or just over.
    ///
    /// # Errors
    /// Those of the read.
    pub async fn read<F>(&self, key: Key, read: impl FnOnce() -> F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (reading, generation, leader) = match self.join(&key, read) {
            Joined::Remembered(decoded) => return Ok(decoded),
            Joined::Reading {
                reading,
                generation,
                leader,
            } => (reading, generation, leader),
        };
        // The callers who wait drive it; when the last one disconnects, it is dropped and its connection with it.
        let outcome = reading.await;
        if leader && let Ok(decoded) = &outcome {
            self.remember(key, generation, decoded);
        }
        outcome
    }

    /// Forgets all: something was written.
    pub fn forget(&self) {
        let mut state = self.lock();
        state.generation += 1;
        state.under_way.clear();
        state.remembered.clear();
        state.order.clear();
        state.bytes = 0;
        metrics::gauge!(names::UPSTREAM_REMEMBERED_BYTES).set(0.0);
    }

    fn join<F>(&self, key: &Key, read: impl FnOnce() -> F) -> Joined
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let now = self.clock.now();
        let mut state = self.lock();
        let generation = state.generation;
        if let Some((at, decoded)) = state.remembered.get(key)
            && now.duration_since(*at).unsigned_abs() < self.ttl
        {
            metrics::counter!(names::UPSTREAM_SHARED, "by" => "cache").increment(1);
            return Joined::Remembered(decoded.clone());
        }
        let under_way = state.under_way.get(key).and_then(WeakShared::upgrade);
        if let Some(reading) = under_way.filter(|_| self.coalesce) {
            metrics::counter!(names::UPSTREAM_SHARED, "by" => "coalescing").increment(1);
            return Joined::Reading {
                reading,
                generation,
                leader: false,
            };
        }
        // Whoever waits drives it, and it is a part of what began it.
        let read: Reading = Box::pin(traces::carried(read()));
        let reading = read.shared();
        if let Some(weak) = reading.downgrade() {
            state.begin(key.clone(), weak);
        }
        Joined::Reading {
            reading,
            generation,
            leader: true,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "bytes of a memory of some megabytes")]
    fn remember(&self, key: Key, generation: u64, decoded: &Arc<Decoded>) {
        let now = self.clock.now();
        let mut state = self.lock();
        if generation != state.generation {
            // What is under way by now was asked for after the write, and stays to be shared.
            return;
        }
        state.under_way.remove(&key);
        if self.ttl.is_zero() || decoded.json.len() > LARGEST {
            return;
        }
        state.remember(key, now, decoded);
        state.shrink(|at| now.duration_since(at).unsigned_abs() >= self.ttl);
        metrics::gauge!(names::UPSTREAM_REMEMBERED_BYTES).set(state.bytes as f64);
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// What an answer takes of the memory.
fn weight(decoded: &Decoded) -> usize {
    2 * decoded.json.len() + OVERHEAD
}

enum Joined {
    Remembered(Arc<Decoded>),
    Reading {
        reading: Shared<Reading>,
        generation: u64,
        leader: bool,
    },
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::{SignedDuration, ToSpan as _};

    use super::super::documents::Made;
    use super::*;

    fn decoded(bytes: usize) -> Arc<Decoded> {
        Arc::new(Decoded {
            root: "CloudFailoverPlan",
            json: Bytes::from(vec![b'x'; bytes]),
            damaged: Vec::new(),
            made: Made::default(),
        })
    }

    fn key(name: usize) -> Key {
        (Audience::default(), format!("plans/{name}"))
    }

    /// What is kept, and whether the books agree with it.
    fn kept(state: &State) -> usize {
        let bytes: usize = state.remembered.values().map(|(_, one)| weight(one)).sum();
        assert_eq!(bytes, state.bytes);
        assert!(state.order.len() >= state.remembered.len());
        state.remembered.len()
    }

    #[test]
    fn the_oldest_answers_make_room() {
        let mut state = State::default();
        for name in 0..500 {
            state.remember(key(name), Timestamp::UNIX_EPOCH, &decoded(LARGEST));
            state.shrink(|_| false);
            assert!(state.bytes <= MOST, "{}", state.bytes);
        }
        assert!(kept(&state) < 100);
        assert!(state.remembered.contains_key(&key(499)));
        assert!(!state.remembered.contains_key(&key(0)));
    }

    #[test]
    fn an_answer_that_was_replaced_ends_in_its_own_time() {
        let mut state = State::default();
        let at = |seconds: i64| Timestamp::UNIX_EPOCH + seconds.seconds();
        state.remember(key(1), at(0), &decoded(10));
        state.remember(key(2), at(0), &decoded(10));
        state.remember(key(1), at(5), &decoded(20));
        assert_eq!(kept(&state), 2);
        state.shrink(|since| at(6).duration_since(since) >= SignedDuration::from_secs(3));
        assert_eq!(kept(&state), 1);
        assert!(state.remembered.contains_key(&key(1)));
        state.shrink(|since| at(9).duration_since(since) >= SignedDuration::from_secs(3));
        assert_eq!(kept(&state), 0);
        assert!(state.order.is_empty());
    }

    #[tokio::test]
    async fn reads_that_are_over_are_not_noted_for_ever() {
        let cache = ReadCache::new(true, Duration::ZERO, Arc::new(crate::clock::SystemClock));
        for name in 0..2_000 {
            let read = cache.read(key(name), || async { Ok(decoded(10)) });
            assert!(read.await.is_ok());
            let given_up = cache.share(key(name), std::future::pending);
            assert!(given_up.now_or_never().is_none());
        }
        assert!(cache.lock().under_way.len() <= 2 * BETWEEN_SWEEPS);
        assert_eq!(kept(&cache.lock()), 0);
    }
}
