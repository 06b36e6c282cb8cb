//! The event log, page by page, oldest first.

use super::{App, Error, LogPage, OpContext, one_more};
use crate::domain::id::EventId;
use crate::store::cursor::Cursor;
use crate::store::events::StoredEvent;

/// Where a page of the event log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventPlace {
    /// By its place in the log.
    Seq(i64),
    /// By the event's id.
    Id(EventId),
}

impl App {
    /// A page of the event log, oldest first.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the event that marks the place is not in the log, [`Error::Store`].
    pub async fn events(
        &self,
        _context: &OpContext,
        cursor: Option<Cursor<EventPlace>>,
        size: usize,
    ) -> Result<LogPage<StoredEvent, Cursor<i64>>, Error> {
        let more = one_more(size);
        let cursor = match cursor {
            None => None,
            Some(Cursor::After(place)) => Some(Cursor::After(self.place(place, "after").await?)),
            Some(Cursor::Before(place)) => Some(Cursor::Before(self.place(place, "before").await?)),
        };
        let events = match cursor {
            Some(Cursor::Before(seq)) => self.store.events_before(seq, more).await?,
            Some(Cursor::After(seq)) => self.store.events_after(seq, more).await?,
            None => self.store.events_after(0, more).await?,
        };
        Ok(LogPage::cut(events, cursor, size, |event| event.seq))
    }

    async fn place(&self, place: EventPlace, parameter: &str) -> Result<i64, Error> {
        match place {
            EventPlace::Seq(seq) => Ok(seq),
            EventPlace::Id(id) => self.store.event_place(id).await?.ok_or_else(|| {
                Error::invalid(parameter, "this event is not in the log; it may have been pruned")
            }),
        }
    }
}
