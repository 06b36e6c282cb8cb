//! How many streams are open: of one subject, and in all. A stream is counted until its answer is dropped.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::problem::{Code, Problem};
use crate::domain::access::Caller;
use crate::telemetry::names;
use crate::text::counted;

/// Streams at a time in this process; connections are left for others.
const MOST_STREAMS: usize = 6144;
/// When a caller with too many streams may try again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What a stream follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    /// The event log.
    Events,
    /// An operation.
    Operation,
    /// A failover session.
    Session,
}

impl StreamKind {
    const ALL: [Self; 3] = [Self::Events, Self::Operation, Self::Session];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Operation => "operation",
            Self::Session => "session",
        }
    }

    fn gauge(self) -> metrics::Gauge {
        metrics::gauge!(names::STREAMS, "kind" => self.as_str())
    }
}

/// The streams that are open; clones share them.
#[derive(Clone)]
pub(super) struct StreamSlots(Arc<Inner>);

struct Inner {
    of_one: usize,
    hashing: RandomState,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_subject: HashMap<u64, usize>,
}

/// A stream's place among those that are open.
pub(super) struct Slot {
    slots: StreamSlots,
    subject: u64,
    counted: Option<StreamKind>,
}

impl StreamSlots {
    pub(super) fn new(of_one: usize) -> Self {
        for kind in StreamKind::ALL {
            kind.gauge().set(0.0);
        }
        Self(Arc::new(Inner {
            of_one,
            hashing: RandomState::new(),
            open: Mutex::default(),
        }))
    }

    /// Counts one more stream of the caller.
    ///
    /// # Errors
    /// 429 when the subject has as many as it may, 503 when there are too many in all.
    pub(super) fn take(&self, caller: &Caller) -> Result<Slot, Problem> {
        let subject = self.0.hashing.hash_one((&caller.issuer, &caller.name));
        let mut open = self.0.open.lock();
        if open.all >= MOST_STREAMS {
            return Err(Problem::new(
                Code::Overloaded,
                "too many streams are open; this one was not opened",
            ));
        }
        let of_subject = open.by_subject.entry(subject).or_default();
        if *of_subject >= self.0.of_one {
            let most = self.0.of_one;
            let most = counted(most, "stream");
            let detail =
                format!("no more than {most} of this subject may be open (limits.streams): close one first");
            return Err(Problem::new(Code::RateLimited, detail).retry_after(Some(TRY_AGAIN)));
        }
        *of_subject += 1;
        open.all += 1;
        Ok(Slot {
            slots: self.clone(),
            subject,
            counted: None,
        })
    }
}

impl Slot {
    /// Shows the stream among those of its kind.
    pub(super) fn count_as(&mut self, kind: StreamKind) {
        kind.gauge().increment(1);
        self.counted = Some(kind);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.0.open.lock();
        open.all = open.all.saturating_sub(1);
        if let Some(count) = open.by_subject.get_mut(&self.subject) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_subject.remove(&self.subject);
            }
        }
        if let Some(kind) = self.counted {
            kind.gauge().decrement(1);
        }
    }
}
