//! Streams of events (docs/streams.md): of the whole log, of one operation, of one failover session.
//!
//! A stream is a place in the log that moves forward over what its caller sees and wants; `feed` reads the log for all of
//! them. Invariant: a place is left behind only when everything up to it was sent or is not for this stream, so that
//! whoever comes back with the id of the last event misses nothing and gets nothing twice, from whichever replica.
//! Tests: `tests/it/streams`, `tests/it/replicas/streams.rs`.

mod feed;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use self::feed::{After, Reader};
pub use self::feed::{Cut, Entry};
use super::waiting::Waiter;
use super::{App, Error, OpContext};
use crate::domain::access::Tenancy;
use crate::domain::event::EventType;
use crate::domain::id::{EmId, EventId, OperationId};
use crate::domain::session::SessionPhase;
pub use crate::store::event_log::LogFilter;
use crate::store::event_log::Viewer;

pub(in crate::app) use self::feed::Feed;

/// How many entries a stream takes from the ring at a time.
const AT_A_TIME: usize = 64;

/// How long the end of the log is believed to be where it was read: other replicas and retention move it as well.
const POSITION_KNOWN: Duration = Duration::from_secs(1);

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStart {
    /// After the last event of this moment.
    Now,
    /// With the oldest event of the log.
    Oldest,
    /// After this event.
    After(EventId),
    /// After something that is no event of the log.
    Unknown,
}

/// A place in the log that callers are told: after this event, or before all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition(pub Option<EventId>);

/// The end of the log as it was read, and the state of the store that it was read in.
#[derive(Debug, Clone)]
pub(in crate::app) struct KnownPosition {
    commits: u64,
    at: Instant,
    position: LogPosition,
}

/// What comes next in a stream.
#[derive(Debug)]
pub enum Step {
    /// An event.
    Event(Arc<Entry>),
    /// The thing that the stream is about is over, and its last event was sent.
    End,
    /// The reader was too slow.
    Cut,
}

/// How a caller asks for a stream.
pub struct StreamRequest {
    /// Where it begins.
    pub start: StreamStart,
    /// Closes its connection.
    pub cut: Cut,
}

/// A stream that was opened.
pub struct OpenStream {
    /// The events.
    pub stream: EventStream,
    /// Where it begins, when the caller did not say so.
    pub position: Option<LogPosition>,
    /// Whether the event that it was to begin after is not in the log.
    pub is_reset: bool,
}

/// The events of a stream, in the order of the log.
pub struct EventStream {
    feed: Arc<Feed>,
    reader: Arc<Reader>,
    head: watch::Receiver<i64>,
    tenancy: Tenancy,
    viewer: Viewer,
    filter: LogFilter,
    /// Up to here the log was looked through.
    place: i64,
    /// The last event that was sent, or the beginning.
    sent: i64,
    queue: VecDeque<Arc<Entry>>,
    over: Over,
}

/// When a stream is over.
enum Over {
    /// Never.
    Never,
    /// With the end of an operation, whether that is an event or not.
    WithOperation(Arc<Waiter>),
    /// With the event of the end of a failover session.
    WithSession,
    /// When the log was looked through up to this place.
    At(i64),
}

impl App {
    /// A stream of the log.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn stream_events(
        &self,
        context: &OpContext,
        filter: LogFilter,
        request: StreamRequest,
    ) -> Result<OpenStream, Error> {
        self.opened(context, filter, request, Over::Never).await
    }

    /// A stream of an operation's events, those of its failover session included; it ends with the operation.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn stream_operation(
        &self,
        context: &OpContext,
        id: OperationId,
        request: StreamRequest,
    ) -> Result<OpenStream, Error> {
        // Who listens for another tenant's operation would learn when it ends.
        self.operation(context, id).await?;
        let waiter = self.waiters.watch(id);
        // A report, and each revision of it, is made after the last event: it would come or not with the moment of asking.
        let types = EventType::ALL.iter().copied();
        let filter = LogFilter {
            either: Some((id, None)),
            types: types.filter(|kind| *kind != EventType::ReportReady).collect(),
            ..LogFilter::default()
        };
        let mut open = self
            .opened(context, filter, request, Over::WithOperation(waiter))
            .await?;
        // Read after the stream's place is fixed: what is joined later is told by an event of the stream.
        let view = self.operation(context, id).await?;
        open.stream.filter.either = Some((id, view.operation.session.clone()));
        if !view.operation.state.is_open() {
            open.stream.over = Over::At(self.feed.end().await?);
        }
        Ok(open)
    }

    /// A stream of a failover session's events; it ends with the session.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Upstream`], [`Error::Store`].
    pub async fn stream_session(
        &self,
        context: &OpContext,
        id: &EmId,
        request: StreamRequest,
    ) -> Result<OpenStream, Error> {
        let filter = LogFilter {
            session: Some(id.clone()),
            ..LogFilter::default()
        };
        let mut open = self.opened(context, filter, request, Over::WithSession).await?;
        let known = self
            .store
            .sessions_known(std::slice::from_ref(id), context.tenancy())
            .await?;
        match known.first().map(|record| record.phase) {
            Some(SessionPhase::Open) => {}
            Some(_) => open.stream.over = Over::At(self.feed.end().await?),
            // One that was over before the gateway was there is known to Enterprise Manager alone.
            None => {
                self.session(context, id).await?;
                open.stream.over = Over::At(self.feed.end().await?);
            }
        }
        Ok(open)
    }

    /// The position of the log for a caller, to be read before a list that is to include it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn log_position(&self, context: &OpContext) -> Result<LogPosition, Error> {
        // An earlier position is right too: what came after it may be in the list already. So a commit of another replica
        // may be noticed late.
        let (tenancy, now) = (context.tenancy(), Instant::now());
        let commits = self.store.revision().commits;
        if let Some(known) = self.positions.get(tenancy)
            && known.commits == commits
            && now.duration_since(known.at) < POSITION_KNOWN
        {
            return Ok(known.position);
        }
        let last = self.store.last_event(tenancy).await?;
        let position = LogPosition(last.map(|(_, id)| id));
        let at = now;
        self.positions.insert(
            tenancy.clone(),
            KnownPosition {
                commits,
                at,
                position,
            },
        );
        Ok(position)
    }

    async fn opened(
        &self,
        context: &OpContext,
        filter: LogFilter,
        request: StreamRequest,
        over: Over,
    ) -> Result<OpenStream, Error> {
        let tenancy = context.tenancy();
        let known = match request.start {
            StreamStart::Oldest => Some(0),
            StreamStart::After(id) => self.store.event_place(id, tenancy).await?,
            StreamStart::Now | StreamStart::Unknown => None,
        };
        let (place, position) = match known {
            Some(place) => (place, None),
            None => {
                let last = self.store.last_event(tenancy).await?;
                let position = LogPosition(last.map(|(_, id)| id));
                (last.map_or(0, |(place, _)| place), Some(position))
            }
        };
        let feed = self.feed.clone();
        let stream = EventStream {
            reader: feed.add(place, request.cut),
            head: feed.head(),
            feed,
            tenancy: tenancy.clone(),
            viewer: Viewer::from(tenancy),
            filter,
            place,
            sent: place,
            queue: VecDeque::new(),
            over,
        };
        Ok(OpenStream {
            stream,
            position,
            is_reset: known.is_none() && request.start != StreamStart::Now,
        })
    }
}

impl EventStream {
    /// Waits for what comes next. May be dropped while it waits, and called again: nothing is lost by that.
    ///
    /// # Errors
    /// [`Error::Store`]; the stream can be asked again.
    pub async fn next(&mut self) -> Result<Step, Error> {
        loop {
            if self.reader.is_cut() {
                return Ok(Step::Cut);
            }
            if let Some(step) = self.queued() {
                return Ok(step);
            }
            match self.feed.after(self.place, AT_A_TIME) {
                After::Entries(entries, end) => self.look_through(entries, end),
                After::Older => {
                    // Rare and large: within, each stream that waits would keep room for it.
                    let read = self.feed.stored_after(&self.tenancy, &self.filter, self.place);
                    let (entries, end) = Box::pin(read).await?;
                    self.look_through(entries, end);
                }
                After::Nothing => {
                    self.reader.is_at_head(self.place);
                    if matches!(self.over, Over::At(end) if self.place >= end) {
                        return Ok(Step::End);
                    }
                    self.wait().await?;
                }
            }
        }
    }

    /// What is ready to be sent.
    fn queued(&mut self) -> Option<Step> {
        let entry = self.queue.pop_front()?;
        self.sent = entry.place();
        self.reader.took(self.sent);
        let is_end = matches!(entry.kind(), EventType::SessionFinished | EventType::SessionLost);
        if is_end && matches!(self.over, Over::WithSession) {
            self.queue.clear();
            self.over = Over::At(self.sent);
            // Whatever the log holds beyond this is not looked at any more.
            self.place = i64::MAX;
        }
        Some(Step::Event(entry))
    }

    /// Takes what is for this stream of the log's next part, which ends at `end`.
    fn look_through(&mut self, entries: Vec<Arc<Entry>>, end: i64) {
        for entry in entries {
            if !self.filter.wants(&entry.logged) || !entry.logged.is_seen_by(&self.viewer) {
                continue;
            }
            if let Some((_, session @ None)) = &mut self.filter.either
                && let Some(joined) = entry.logged.session.as_ref().and_then(|key| key.parse().ok())
            {
                // The session's earlier events were not known to be the operation's.
                *session = Some(joined);
                self.queue.clear();
                self.place = self.sent;
                return;
            }
            self.queue.push_back(entry);
        }
        self.place = end;
        if self.queue.is_empty() {
            self.reader.took(end);
        }
    }

    /// Waits until the log has grown, or what the stream is about has ended.
    async fn wait(&mut self) -> Result<(), Error> {
        let ended = async {
            match &self.over {
                Over::WithOperation(waiter) => waiter.finished().await,
                Over::Never | Over::WithSession | Over::At(_) => std::future::pending().await,
            }
        };
        let place = self.place;
        tokio::select! {
            grown = self.head.wait_for(|head| *head > place) => {
                if grown.is_err() {
                    return Err(Error::Internal("the event log is not read any more"));
                }
                return Ok(());
            }
            () = ended => {}
        }
        // What the operation's end wrote is in the log by now.
        self.over = Over::At(self.feed.end().await?);
        Ok(())
    }
}
