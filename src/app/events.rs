//! The event log: page by page, oldest first, and one event alone.

use super::page::{LogPage, one_more};
use super::{App, Error, OpContext};
use crate::domain::access::Tenancy;
use crate::domain::id::EventId;
use crate::store::cursor::Cursor;
use crate::store::event_log::LogFilter;
use crate::store::events::StoredEvent;

/// Where a page of the event log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventPlace {
    /// Before the oldest event.
    Start,
    /// By its place in the log.
    Seq(i64),
    /// By the event's id.
    Id(EventId),
}

impl App {
    /// An event of the log.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn event(&self, context: &OpContext, id: EventId) -> Result<StoredEvent, Error> {
        let found = self.store.event(id, context.tenancy()).await?;
        found.ok_or(Error::NotFound { what: "the event" })
    }

    /// A page of the event log, oldest first or newest first, of the events that are wanted.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the event that marks the place is not in the log, [`Error::Store`].
    pub async fn events(
        &self,
        context: &OpContext,
        filter: &LogFilter,
        newest_first: bool,
        cursor: Option<Cursor<EventPlace>>,
        size: usize,
    ) -> Result<LogPage<StoredEvent, Cursor<EventPlace>>, Error> {
        let (more, tenancy) = (one_more(size), context.tenancy());
        let seq = match cursor {
            None => None,
            Some(Cursor::After(place)) => Some(Cursor::After(self.place(tenancy, place, "after").await?)),
            Some(Cursor::Before(place)) => Some(Cursor::Before(self.place(tenancy, place, "before").await?)),
        };
        let found = self.store.log_page(tenancy, filter, newest_first, seq, more);
        let events = found.await?;
        // Numbers in the log count everybody's events; whoever sees only some of them is given ids.
        let confined = tenancy.is_confined();
        let place = |event: &StoredEvent| {
            if confined {
                EventPlace::Id(event.id)
            } else {
                EventPlace::Seq(event.seq)
            }
        };
        Ok(LogPage::cut(events, cursor, size, place))
    }

    async fn place(&self, tenancy: &Tenancy, place: EventPlace, parameter: &str) -> Result<i64, Error> {
        let unknown = || Error::invalid(parameter, "this event is not in the log; it may have been pruned");
        match place {
            EventPlace::Start => Ok(0),
            // A number that was not given to this caller.
            EventPlace::Seq(_) if tenancy.is_confined() => Err(unknown()),
            EventPlace::Seq(seq) => Ok(seq),
            EventPlace::Id(id) => self.store.event_place(id, tenancy).await?.ok_or_else(unknown),
        }
    }
}
