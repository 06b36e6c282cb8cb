//! The one reader of the event log in a process, which all streams share, and the watch over those that fall behind.
//!
//! It reads what was committed, whichever replica did so, into a ring of bounded size. A stream is a place in the log: it
//! takes what follows from the ring, and from the store where the ring does not reach back as far. While there is no
//! stream, nothing is read.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use crate::api_types::events::EventItem;
use crate::domain::access::Tenancy;
use crate::domain::event::EventType;
use crate::domain::id::EventId;
use crate::store::event_log::{LogFilter, LoggedEvent};
use crate::store::{Error as StoreError, Store};
use crate::telemetry::names;

/// How often the log is read without a notice of changes, since a notice can be lost, and streams are checked.
const PERIOD: Duration = Duration::from_secs(1);
/// How many rows are read at a time, for the ring and for one stream.
const PART: i64 = 500;
const PAGE: i64 = 32;
/// What the ring holds at most: events, and bytes of their JSON.
const MOST_EVENTS: usize = 4096;
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// How many streams read the store at a time, so that a crowd of them leaves connections to others.
const MOST_READS: usize = 4;
/// How far a stream may be behind the log: in events, and in the time that its reader takes nothing of what is there.
const MOST_BEHIND: i64 = 1000;
const LONGEST_BEHIND: Duration = Duration::from_secs(30);

/// An event as streams send it; those that send it share it.
#[derive(Debug)]
pub struct Entry {
    /// The event, and what it is about.
    pub(super) logged: LoggedEvent,
    /// Its item of the log as JSON, on one line.
    json: Bytes,
    /// What it looks like on the wire, made by whoever sends it first.
    frame: OnceLock<Bytes>,
    read_at: Instant,
}

impl Entry {
    /// None for an event whose body cannot be read, which is logged.
    fn of(mut logged: LoggedEvent) -> Option<Arc<Self>> {
        let event = &logged.event;
        let item = EventItem::from_body(event.id, event.kind, &event.body);
        let json = item.and_then(|item| serde_json::to_vec(&item));
        let json = json
            .inspect_err(|error| {
                tracing::error!(event = %event.id, error = error as &dyn std::error::Error, "a stored event cannot be read");
            })
            .ok()?;
        // The item has all that is sent of it.
        logged.event.body = String::new();
        Some(Arc::new(Self {
            json: json.into(),
            frame: OnceLock::new(),
            read_at: Instant::now(),
            logged,
        }))
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.logged.event.id
    }

    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> EventType {
        self.logged.event.kind
    }

    /// What it looks like on the wire, by `make` of its JSON where nobody has made it yet.
    pub fn frame(&self, make: impl FnOnce(&[u8]) -> Bytes) -> Bytes {
        self.frame.get_or_init(|| make(&self.json)).clone()
    }

    /// Its place in the log.
    pub(super) const fn place(&self) -> i64 {
        self.logged.event.seq
    }
}

/// What the ring has after a place.
pub(super) enum After {
    /// The log ends here, as far as it was read.
    Nothing,
    /// These, and the place that they end at.
    Entries(Vec<Arc<Entry>>, i64),
    /// It does not reach back as far.
    Older,
}

/// The last events of the log: every one after `floor`, up to the head.
struct Ring {
    floor: i64,
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
}

impl Ring {
    const fn empty(floor: i64) -> Self {
        Self {
            floor,
            entries: VecDeque::new(),
            bytes: 0,
        }
    }

    fn push(&mut self, entry: Arc<Entry>) {
        self.bytes += entry.json.len();
        self.entries.push_back(entry);
        while self.entries.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= oldest.json.len();
            self.floor = oldest.place();
        }
    }

    fn after(&self, place: i64) -> impl Iterator<Item = &Arc<Entry>> {
        let first = self.entries.partition_point(|entry| entry.place() <= place);
        self.entries.range(first..)
    }
}

/// The shared reader.
pub(in crate::app) struct Feed {
    store: Store,
    ring: Mutex<Ring>,
    /// The place up to which the log was read.
    head: watch::Sender<i64>,
    readers: Mutex<Vec<Weak<Reader>>>,
    added: Notify,
    reads: Semaphore,
}

impl Feed {
    pub(in crate::app) fn new(store: Store) -> Self {
        Self {
            store,
            ring: Mutex::new(Ring::empty(i64::MAX)),
            head: watch::Sender::new(NOT_READ),
            readers: Mutex::default(),
            added: Notify::new(),
            reads: Semaphore::new(MOST_READS),
        }
    }

    /// Reads the log for the streams there are, until it is dropped.
    pub(in crate::app) async fn run(self: Arc<Self>) {
        let mut changes = self.store.changes();
        let mut checked = Instant::now();
        loop {
            if self.readers.lock().is_empty() {
                *self.ring.lock() = Ring::empty(i64::MAX);
                self.head.send_replace(NOT_READ);
                self.added.notified().await;
            } else {
                tokio::select! {
                    () = self.added.notified() => {}
                    changed = changes.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                    () = tokio::time::sleep(PERIOD) => {}
                }
            }
            changes.mark_unchanged();
            loop {
                match self.read_on().await {
                    Ok(true) => {}
                    Ok(false) => break,
                    // The streams wait; the store may be back before their readers are gone.
                    Err(error) => {
                        tracing::debug!(
                            error = &error as &dyn std::error::Error,
                            "the event log could not be read for its streams"
                        );
                        break;
                    }
                }
            }
            let now = Instant::now();
            if now.duration_since(checked) >= PERIOD {
                checked = now;
                self.check_readers(now);
            }
        }
    }

    /// Reads what follows in the log; true when there may be more.
    async fn read_on(&self) -> Result<bool, StoreError> {
        let head = *self.head.borrow();
        if head == NOT_READ {
            let place = self.end().await?;
            *self.ring.lock() = Ring::empty(place);
            self.head.send_replace(place);
            return Ok(true);
        }
        let (logged, end) = self.store.log_part(head, PART).await?;
        if end == head {
            return Ok(false);
        }
        let entries: Vec<_> = logged.into_iter().filter_map(Entry::of).collect();
        {
            let mut ring = self.ring.lock();
            for entry in entries {
                ring.push(entry);
            }
        }
        self.head.send_replace(end);
        Ok(true)
    }

    /// The place up to which the log was read, and its changes.
    pub(super) fn head(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }

    /// What follows `place`, `most` entries at most.
    pub(super) fn after(&self, place: i64, most: usize) -> After {
        let ring = self.ring.lock();
        let head = *self.head.borrow();
        if place >= head {
            return After::Nothing;
        }
        if place < ring.floor {
            return After::Older;
        }
        let entries: Vec<_> = ring.after(place).take(most).cloned().collect();
        // What was just read is in the ring before the head tells of it.
        let end = match entries.last().map(|last| last.place()) {
            Some(last) if entries.len() == most => last,
            Some(last) => last.max(head),
            None => head,
        };
        After::Entries(entries, end)
    }

    /// What follows `place` in the store, and the place that it ends at.
    pub(super) async fn stored_after(
        &self,
        tenancy: &Tenancy,
        filter: &LogFilter,
        place: i64,
    ) -> Result<(Vec<Arc<Entry>>, i64), StoreError> {
        let _permit = self.reads.acquire().await;
        // Read before the rows: what was read up to here is committed, and so among the rows.
        let head = *self.head.borrow();
        let logged = self.store.log_after(tenancy, filter, place, PAGE).await?;
        let last = logged.last().map_or(place, |last| last.event.seq);
        let is_whole = i64::try_from(logged.len()).unwrap_or(i64::MAX) < PAGE;
        let end = if is_whole { last.max(head) } else { last };
        Ok((logged.into_iter().filter_map(Entry::of).collect(), end))
    }

    /// The place that the log ends at now.
    pub(super) async fn end(&self) -> Result<i64, StoreError> {
        let last = self.store.last_event(&Tenancy::All).await?;
        Ok(last.map_or(0, |(place, _)| place))
    }

    /// Adds a stream at `place` that is closed by `cut` when it falls behind.
    pub(super) fn add(&self, place: i64, cut: Cut) -> Arc<Reader> {
        let reader = Arc::new(Reader {
            place: AtomicI64::new(place),
            is_live: AtomicBool::new(false),
            was_behind: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            taken_at: Mutex::new(Instant::now()),
            cut,
        });
        self.readers.lock().push(Arc::downgrade(&reader));
        self.added.notify_one();
        reader
    }

    /// Cuts the streams that are too far behind.
    fn check_readers(&self, now: Instant) {
        let mut readers = self.readers.lock();
        readers.retain(|reader| {
            let Some(reader) = reader.upgrade() else {
                return false;
            };
            if self.is_lost(&reader, now) {
                tracing::debug!("a stream is closed: its reader is too slow");
                metrics::counter!(names::STREAMS_DROPPED, "reason" => "slow").increment(1);
                reader.is_cut.store(true, Ordering::Relaxed);
                (reader.cut)();
                return false;
            }
            true
        });
    }

    fn is_lost(&self, reader: &Reader, now: Instant) -> bool {
        let longest = |since: Instant| now.duration_since(since) > LONGEST_BEHIND;
        if !reader.is_live.load(Ordering::Relaxed) {
            return longest(*reader.taken_at.lock());
        }
        let place = reader.place.load(Ordering::Relaxed);
        let behind = self.head.borrow().saturating_sub(place) > MOST_BEHIND;
        // Many events may come in one commit: whoever takes them until the next check is not behind.
        if reader.was_behind.swap(behind, Ordering::Relaxed) && behind {
            return true;
        }
        let ring = self.ring.lock();
        let oldest = ring.after(place).next().map(|entry| entry.read_at);
        oldest.is_some_and(longest)
    }
}

/// Of a log that was not read yet; no place is below it.
const NOT_READ: i64 = -1;

/// Closes the connection of a stream, whose body is not asked for more while its reader takes nothing.
pub type Cut = Box<dyn Fn() + Send + Sync>;

/// How far the reader of a stream is.
pub(super) struct Reader {
    place: AtomicI64,
    /// Whether it has reached the head of the log once.
    is_live: AtomicBool,
    was_behind: AtomicBool,
    is_cut: AtomicBool,
    taken_at: Mutex<Instant>,
    cut: Cut,
}

impl Reader {
    /// Everything up to `place` was taken.
    pub(super) fn took(&self, place: i64) {
        self.place.store(place, Ordering::Relaxed);
        *self.taken_at.lock() = Instant::now();
    }

    /// The head of the log at `place` was reached.
    pub(super) fn is_at_head(&self, place: i64) {
        self.took(place);
        self.is_live.store(true, Ordering::Relaxed);
    }

    /// Whether the stream was cut.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }
}
