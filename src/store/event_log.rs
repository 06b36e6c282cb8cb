//! Reading the event log as streams do: what follows a place, with what each event is about, and where the log ends now.
//!
//! `events` writes the log, one transaction at a time, so that a number is never passed by a reader and committed later.

use std::collections::BTreeSet;

use sqlx::any::AnyRow;

use super::cursor::{Cursor, Page};
use super::events::{StoredEvent, and_of_types, event_from};
use super::readable::EVENTS;
use super::row::Columns as _;
use super::sql::Sql;
use super::{Error, Store, tenants};
use crate::domain::access::Tenancy;
use crate::domain::event::EventType;
use crate::domain::id::{EmId, EventId, OperationId};

/// What is read of an event beside [`StoredEvent`].
const COLUMNS: &str =
    "seq, id, type, body, session_key, plan_key, operation_id, tenant_id, tenant_name, owner_tenants";

/// An event of the log with what it is about.
#[derive(Debug, Clone)]
pub struct LoggedEvent {
    /// The event.
    pub event: StoredEvent,
    /// Its failover session, in lower case.
    pub session: Option<String>,
    /// Its plan, in lower case.
    pub plan: Option<String>,
    /// Its operation.
    pub operation: Option<OperationId>,
    /// Its tenant's id, in lower case.
    tenant_id: Option<String>,
    /// Its tenant's name.
    tenant_name: Option<String>,
    /// Whose endpoint it is about.
    owner: Option<BTreeSet<String>>,
}

impl LoggedEvent {
    /// Whether `viewer` sees it, by the same rule as statements (`store/tenants`).
    #[must_use]
    pub fn is_seen_by(&self, viewer: &Viewer) -> bool {
        let Viewer(Some((names, keys))) = viewer else {
            return true;
        };
        let named = self.tenant_name.as_ref().is_some_and(|name| names.contains(name));
        let identified = self.tenant_id.as_ref().is_some_and(|id| keys.contains(id));
        named || identified || self.owner.as_ref() == Some(keys)
    }
}

/// A [`Tenancy`] that events in memory are compared with.
#[derive(Debug, Clone)]
pub struct Viewer(Option<(BTreeSet<String>, BTreeSet<String>)>);

impl From<&Tenancy> for Viewer {
    fn from(tenancy: &Tenancy) -> Self {
        Self(match tenancy {
            Tenancy::All => None,
            Tenancy::Only(names) => Some((names.clone(), tenancy.confinement().unwrap_or_default())),
        })
    }
}

/// Which events of the log are wanted; all of the conditions hold at once.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// Of one of these types; of any when empty.
    pub types: Vec<EventType>,
    /// About this plan.
    pub plan: Option<EmId>,
    /// About this operation.
    pub operation: Option<OperationId>,
    /// About this failover session.
    pub session: Option<EmId>,
    /// About this operation or, once it is known, its failover session.
    pub either: Option<(OperationId, Option<EmId>)>,
}

impl LogFilter {
    /// Whether an event is wanted.
    #[must_use]
    pub fn wants(&self, event: &LoggedEvent) -> bool {
        let is = |given: Option<&EmId>, key: Option<&String>| {
            given.is_none_or(|id| key.is_some_and(|key| id.as_str().eq_ignore_ascii_case(key)))
        };
        let of_either = match &self.either {
            None => true,
            Some((operation, session)) => {
                event.operation == Some(*operation)
                    || session.is_some() && is(session.as_ref(), event.session.as_ref())
            }
        };
        (self.types.is_empty() || self.types.contains(&event.event.kind))
            && is(self.plan.as_ref(), event.plan.as_ref())
            && is(self.session.as_ref(), event.session.as_ref())
            && self.operation.is_none_or(|id| event.operation == Some(id))
            && of_either
    }

    fn confine(&self, query: &mut Sql) {
        let keys = [
            ("plan_key", self.plan.as_ref().map(EmId::key)),
            ("session_key", self.session.as_ref().map(EmId::key)),
            ("operation_id", self.operation.map(|id| id.to_string())),
        ];
        for (column, key) in keys {
            if let Some(key) = key {
                // By the index of what it is about, however long the log is.
                query.confine().push(" and ").push(column).push(" = ").bind(key);
            }
        }
        if let Some((operation, session)) = &self.either {
            query
                .confine()
                .push(" and (operation_id = ")
                .bind(operation.to_string());
            if let Some(session) = session {
                query.push(" or session_key = ").bind(session.key());
            }
            query.push(")");
        }
        and_of_types(query, &self.types);
    }
}

impl Store {
    /// Up to `limit` events after a place in the log that are wanted and that `tenancy` sees, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn log_after(
        &self,
        tenancy: &Tenancy,
        filter: &LogFilter,
        after: i64,
        limit: i64,
    ) -> Result<Vec<LoggedEvent>, Error> {
        let mut page = Page::oldest_first(Cursor::After(after), limit);
        loop {
            let mut query = Sql::new(format!("select {COLUMNS} from events where 1 = 1"));
            query.and_event_seen_by(tenancy)?;
            filter.confine(&mut query);
            page.confine(&mut query);
            let rows = query.fetch_all(self.reader()).await?;
            if !page.add(self.read_rows(EVENTS, &rows, logged_from)?, &rows)? {
                return Ok(page.done());
            }
        }
    }

    /// Up to `limit` events that are wanted and that `tenancy` sees, in the order of the list: oldest first, or newest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn log_page(
        &self,
        tenancy: &Tenancy,
        filter: &LogFilter,
        newest_first: bool,
        cursor: Option<Cursor<i64>>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, Error> {
        let mut page = if newest_first {
            Page::events_newest_first(cursor, limit)
        } else {
            Page::oldest_first(cursor.unwrap_or(Cursor::After(0)), limit)
        };
        loop {
            let mut query = Sql::new("select seq, id, type, body from events where 1 = 1");
            query.and_event_seen_by(tenancy)?;
            filter.confine(&mut query);
            page.confine(&mut query);
            let rows = query.fetch_all(self.reader()).await?;
            if !page.add(self.read_rows(EVENTS, &rows, event_from)?, &rows)? {
                return Ok(page.done());
            }
        }
    }

    /// The next part of the whole log, up to `limit` rows, and the place that it ends at; rows that cannot be read are left
    /// out.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn log_part(&self, after: i64, limit: i64) -> Result<(Vec<LoggedEvent>, i64), Error> {
        let mut query = Sql::new(format!("select {COLUMNS} from events where seq > "));
        query.bind(after).push(" order by seq limit ").bind(limit);
        let rows = query.fetch_all(self.reader()).await?;
        let end = rows.last().map(|row| row.int("seq")).transpose()?;
        Ok((self.read_rows(EVENTS, &rows, logged_from)?, end.unwrap_or(after)))
    }

    /// The last event that `tenancy` sees, with its place.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn last_event(&self, tenancy: &Tenancy) -> Result<Option<(i64, EventId)>, Error> {
        let mut query = Sql::new("select seq, id from events where seq = (select max(place) from (");
        match tenancy {
            Tenancy::All => {
                query.push("select max(seq) as place from events");
            }
            Tenancy::Only(names) => {
                // One end of an index for each, however many events there are.
                let keys = tenancy.confinement();
                let owner = tenants::owner_column(keys.as_ref())?;
                query
                    .push("select max(seq) as place from events where owner_tenants = ")
                    .bind(owner);
                let keys = keys.unwrap_or_default();
                let places = names.iter().map(|name| ("tenant_name", name));
                for (column, text) in places.chain(keys.iter().map(|key| ("tenant_id", key))) {
                    query
                        .push(" union all select max(seq) from events where ")
                        .push(column)
                        .push(" = ")
                        .bind(text.clone());
                }
            }
        }
        query.push(") as places)");
        let rows = query.fetch_all(self.reader()).await?;
        let read = |row: &AnyRow| Ok((row.int("seq")?, row.parsed("id")?));
        rows.first().map(read).transpose()
    }
}

fn logged_from(row: &AnyRow) -> Result<LoggedEvent, Error> {
    Ok(LoggedEvent {
        event: event_from(row)?,
        session: row.opt_text("session_key")?,
        plan: row.opt_text("plan_key")?,
        operation: row.opt_parsed("operation_id")?,
        tenant_id: row.opt_text("tenant_id")?,
        tenant_name: row.opt_text("tenant_name")?,
        owner: tenants::owner_from(row)?,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::domain::event::{NewEvent, Routing};
    use crate::domain::plan::Reference;
    use crate::store::testing::temporary;

    const SESSION: &str = "A986D473-0000-4000-8000-000000000001";
    const PLAN: &str = "3f56fa52-c902-4655-9774-2022fde214d2";
    const TENANT: &str = "0B1C2D3E-0000-4000-8000-000000000002";

    fn em(text: &str) -> EmId {
        text.parse().expect("an id")
    }

    async fn append(store: &Store, kind: EventType, routing: Routing) -> EventId {
        let event = NewEvent {
            id: EventId::new(SystemClock.id()),
            kind,
            at: SystemClock.now(),
            body: "{}".into(),
            routing,
        };
        let mut tx = store.begin().await.expect("begun");
        tx.append_event(&event).await.expect("appended");
        tx.commit().await.expect("committed");
        event.id
    }

    fn tenant(name: Option<&str>) -> Reference {
        Reference {
            id: em(TENANT),
            name: name.map(ToOwned::to_owned),
        }
    }

    #[rstest]
    #[case::all(LogFilter::default(), &[0, 1, 2, 3])]
    #[case::types(LogFilter { types: vec![EventType::SessionStarted, EventType::WebhookTest], ..LogFilter::default() }, &[0, 3])]
    #[case::plan(LogFilter { plan: Some(em(&PLAN.to_uppercase())), ..LogFilter::default() }, &[0, 1])]
    #[case::session(LogFilter { session: Some(em(&SESSION.to_lowercase())), ..LogFilter::default() }, &[0, 1])]
    #[case::operation(LogFilter { operation: Some(operation()), ..LogFilter::default() }, &[1, 2])]
    #[case::either(LogFilter { either: Some((operation(), Some(em(SESSION)))), ..LogFilter::default() }, &[0, 1, 2])]
    #[case::either_without(LogFilter { either: Some((operation(), None)), ..LogFilter::default() }, &[1, 2])]
    #[tokio::test]
    async fn statements_and_memory_filter_alike(#[case] filter: LogFilter, #[case] wanted: &[usize]) {
        let store = temporary().await;
        let of_session = |sequence, operation| Routing {
            session: Some(em(SESSION)),
            sequence: Some(sequence),
            plan: Some(em(PLAN)),
            operation,
            ..Routing::default()
        };
        let about = Routing {
            operation: Some(operation()),
            ..Routing::default()
        };
        let ids = [
            append(&store, EventType::SessionStarted, of_session(1, None)).await,
            append(
                &store,
                EventType::SessionFinished,
                of_session(2, Some(operation())),
            )
            .await,
            append(&store, EventType::OperationFinished, about).await,
            append(&store, EventType::WebhookTest, Routing::default()).await,
        ];
        let wanted: Vec<EventId> = wanted.iter().map(|at| ids[*at]).collect();
        let found = store
            .log_after(&Tenancy::All, &filter, 0, 10)
            .await
            .expect("read");
        let found: Vec<EventId> = found.iter().map(|logged| logged.event.id).collect();
        assert_eq!(found, wanted);
        let (all, end) = store.log_part(0, 10).await.expect("read");
        assert_eq!(Some(end), all.last().map(|last| last.event.seq));
        let kept: Vec<EventId> = all
            .iter()
            .filter(|logged| filter.wants(logged))
            .map(|logged| logged.event.id)
            .collect();
        assert_eq!(kept, wanted);
    }

    fn operation() -> OperationId {
        "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01".parse().expect("an id")
    }

    #[rstest]
    #[case::nobody(&[], &[])]
    #[case::by_name(&["ABC"], &[0])]
    #[case::by_id(&[TENANT], &[0, 1])]
    #[case::by_id_in_lower_case(&["0b1c2d3e-0000-4000-8000-000000000002"], &[0, 1])]
    #[case::another(&["Nordwind"], &[])]
    #[case::owner(&["ABC", "Nordwind"], &[0, 2])]
    #[tokio::test]
    async fn statements_and_memory_confine_alike(#[case] tenants: &[&str], #[case] seen: &[usize]) {
        let store = temporary().await;
        let of = |tenant| Routing {
            tenant: Some(tenant),
            ..Routing::default()
        };
        let owner = Routing {
            endpoint_owner: Some(["ABC".to_owned(), "Nordwind".to_owned()].into()),
            ..Routing::default()
        };
        let ids = [
            append(&store, EventType::OperationFinished, of(tenant(Some("ABC")))).await,
            append(&store, EventType::OperationFinished, of(tenant(None))).await,
            append(&store, EventType::EndpointFailing, owner).await,
            append(&store, EventType::UpstreamUnavailable, Routing::default()).await,
        ];
        let tenancy = Tenancy::Only(tenants.iter().map(|&text| text.to_owned()).collect());
        let seen: Vec<EventId> = seen.iter().map(|at| ids[*at]).collect();
        let viewer = Viewer::from(&tenancy);
        let (all, _) = store.log_part(0, 10).await.expect("read");
        let in_memory: Vec<EventId> = all
            .iter()
            .filter(|logged| logged.is_seen_by(&viewer))
            .map(|logged| logged.event.id)
            .collect();
        assert_eq!(in_memory, seen);
        let filter = LogFilter::default();
        let read = store.log_after(&tenancy, &filter, 0, 10).await.expect("read");
        let read: Vec<EventId> = read.iter().map(|logged| logged.event.id).collect();
        assert_eq!(read, seen);
        let last = store.last_event(&tenancy).await.expect("read");
        assert_eq!(last.map(|(_, id)| id), seen.last().copied());
        let everybodys = store.last_event(&Tenancy::All).await.expect("read");
        assert_eq!(everybodys.map(|(_, id)| id), ids.last().copied());
    }
}
