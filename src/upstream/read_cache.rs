//! Many readers cost EM one request: identical reads share the request that is under way, and its answer for a second.
//!
//! A write ends the memory of all reads: who reads after it never gets what was there before.

use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
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
    remembered: HashMap<Key, (Timestamp, Arc<Decoded>)>,
    /// The bytes of what is remembered.
    bytes: usize,
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

    /// Whether anything is remembered.
    pub fn remembers(&self) -> bool {
        !self.ttl.is_zero()
    }

    /// The outcome of `read`, or of one like it that is under way.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn share<F>(&self, key: Key, read: F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        match self.join(&key, read) {
            Joined::Remembered(decoded) => Ok(decoded),
            Joined::Reading { reading, .. } => reading.await,
        }
    }

    /// The outcome of `read`, or of one like it that is under way or just over.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn read<F>(&self, key: Key, read: F) -> Outcome
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
        state.bytes = 0;
        metrics::gauge!(names::UPSTREAM_REMEMBERED_BYTES).set(0.0);
    }

    fn join<F>(&self, key: &Key, read: F) -> Joined
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
        let read: Reading = Box::pin(traces::carried(read));
        let reading = read.shared();
        state
            .under_way
            .retain(|_, reading| reading.upgrade().is_some_and(|reading| reading.peek().is_none()));
        if let Some(weak) = reading.downgrade() {
            state.under_way.insert(key.clone(), weak);
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
        let ttl = self.ttl;
        state
            .remembered
            .retain(|_, (at, _)| now.duration_since(*at).unsigned_abs() < ttl);
        state.remembered.insert(key, (now, decoded.clone()));
        state.bytes = state.remembered.values().map(|(_, one)| weight(one)).sum();
        // All are of the last moments, in which the oldest was useful longest.
        while state.bytes > MOST
            && let Some(oldest) = state.remembered.iter().min_by_key(|(_, (at, _))| *at)
        {
            let oldest = oldest.0.clone();
            if let Some((_, gone)) = state.remembered.remove(&oldest) {
                state.bytes -= weight(&gone);
            }
        }
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
