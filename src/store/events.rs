//! The event log: what happened, in the order in which the gateway saw it.
//!
//! An event and its deliveries are written in the transaction that notices it; there is no second step.

use serde::Serialize;
use sqlx::any::AnyRow;

use super::cursor::{Cursor, Page};
use super::engine::Engine;
use super::readable::EVENTS;
use super::row::{Columns as _, json, micros};
use super::sets::{DOCUMENT, Documents, Place, Shape, parameter, portions};
use super::sql::Sql;
use super::webhooks::fan_out::Appended;
use super::{Error, Store, Tx, UPSTREAM, tenants};
use crate::domain::access::Tenancy;
use crate::domain::event::{EventType, NewEvent};
use crate::domain::id::{EmId, EventId};

/// An event as the log holds it.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its place in the log.
    pub seq: i64,
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub kind: EventType,
    /// The JSON body, as it is delivered.
    pub body: String,
}

impl Tx {
    /// Appends an event to the log; [`Tx::commit`] writes a delivery for every endpoint that wants it.
    ///
    /// # Errors
    /// [`Error::Database`] when the database refuses, also for a second event with the same number in a session.
    pub async fn append_event(&mut self, event: &NewEvent) -> Result<(), Error> {
        self.append_events(std::slice::from_ref(event)).await
    }

    /// Appends events to the log in their order, as [`Tx::append_event`] does, by one statement for many.
    ///
    /// # Errors
    /// As [`Tx::append_event`].
    pub async fn append_events(&mut self, events: &[NewEvent]) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        self.lock_event_log().await?;
        self.note_deliveries();
        for some in portions(events, |event| event.body.len()) {
            let mut bodies = Documents::default();
            let rows = some.iter().map(|event| EventRow::of(event, &mut bodies));
            let rows: Vec<EventRow<'_>> = rows.collect::<Result<_, _>>()?;
            sqlx::query(sqlx::AssertSqlSafe(insert_sql(self.engine())))
                .bind(parameter(&rows)?)
                .bind(UPSTREAM)
                .bind(bodies.into_bytes())
                .execute(self.connection())
                .await?;
            for event in some {
                self.note_event(Appended::new(event));
            }
        }
        Ok(())
    }
}

/// A row of `events` to be written.
#[derive(Serialize)]
struct EventRow<'e> {
    event: String,
    kind: &'static str,
    happened: i64,
    content: Place,
    session: Option<String>,
    number: Option<i64>,
    plan: Option<String>,
    tenant_document: Option<String>,
    outcome: Option<&'e str>,
    operation: Option<String>,
    of_tenant: Option<String>,
    tenant_called: Option<String>,
    owner: Option<String>,
}

const EVENT_ROWS: Shape = &[
    ("event", "text"),
    ("kind", "text"),
    ("happened", "bigint"),
    ("content", DOCUMENT),
    ("session", "text"),
    ("number", "bigint"),
    ("plan", "text"),
    ("tenant_document", "text"),
    ("outcome", "text"),
    ("operation", "text"),
    ("of_tenant", "text"),
    ("tenant_called", "text"),
    ("owner", "text"),
];

impl<'e> EventRow<'e> {
    fn of(event: &'e NewEvent, bodies: &mut Documents) -> Result<Self, Error> {
        let routing = &event.routing;
        let (of_tenant, tenant_called) = tenants::columns(routing.tenant.as_ref());
        let tenant = routing
            .tenant
            .as_ref()
            .map(|tenant| json(tenant, "events.tenant"));
        Ok(Self {
            event: event.id.to_string(),
            kind: event.kind.as_str(),
            happened: micros(event.at),
            content: bodies.add(&event.body),
            session: routing.session.as_ref().map(EmId::key),
            number: routing.sequence,
            plan: routing.plan.as_ref().map(EmId::key),
            tenant_document: tenant.transpose()?,
            outcome: routing.result.as_deref(),
            operation: routing.operation.map(|id| id.to_string()),
            of_tenant,
            tenant_called,
            owner: tenants::owner_column(routing.endpoint_owner.as_ref())?,
        })
    }
}

/// Their places follow their order in the set.
fn insert_sql(engine: Engine) -> String {
    let rows = engine.table_beside("$1", "$3", EVENT_ROWS);
    format!(
        "insert into events (id, type, at, body, session_key, sequence, plan_key, tenant, result, operation_id, \
         upstream_id, tenant_id, tenant_name, owner_tenants, tenant_read) \
         select r.event, r.kind, r.happened, r.content, r.session, r.number, r.plan, r.tenant_document, r.outcome, \
         r.operation, $2, r.of_tenant, r.tenant_called, r.owner, 1 from {rows}"
    )
}

impl Store {
    /// Up to `limit` events that `tenancy` sees, with a place in the log after `after`, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn events_after(
        &self,
        tenancy: &Tenancy,
        after: i64,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, Error> {
        self.events(tenancy, &[], Cursor::After(after), limit).await
    }

    /// Up to `limit` events that `tenancy` sees, with a place in the log before `before`, oldest first: the page that
    /// precedes it.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn events_before(
        &self,
        tenancy: &Tenancy,
        before: i64,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, Error> {
        self.events(tenancy, &[], Cursor::Before(before), limit).await
    }

    /// Up to `limit` events of these types, of any when there are none, that `tenancy` sees, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn events(
        &self,
        tenancy: &Tenancy,
        types: &[EventType],
        cursor: Cursor<i64>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, Error> {
        let mut page = Page::oldest_first(cursor, limit);
        loop {
            let mut query = Sql::new("select seq, id, type, body from events where 1 = 1");
            query.and_event_seen_by(tenancy)?;
            and_of_types(&mut query, types);
            page.confine(&mut query);
            let rows = query.fetch_all(self.reader()).await?;
            if !page.add(self.read_rows(EVENTS, &rows, event_from)?, &rows)? {
                return Ok(page.done());
            }
        }
    }

    /// An event that `tenancy` sees.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`] when it cannot be read.
    pub async fn event(&self, id: EventId, tenancy: &Tenancy) -> Result<Option<StoredEvent>, Error> {
        let mut query = Sql::new("select seq, id, type, body from events where id = ");
        query.bind(id.to_string()).and_event_seen_by(tenancy)?;
        let rows = query.fetch_all(self.reader()).await?;
        rows.first().map(event_from).transpose()
    }

    /// The place in the log of an event that `tenancy` sees.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn event_place(&self, id: EventId, tenancy: &Tenancy) -> Result<Option<i64>, Error> {
        let mut query = Sql::new("select seq from events where id = ");
        query.bind(id.to_string()).and_event_seen_by(tenancy)?;
        let rows = query.fetch_all(self.reader()).await?;
        rows.first().map(|row| row.int("seq")).transpose()
    }
}

/// Narrows a statement about the log to types, after every other condition: one alone is found by its index, if nothing else
/// is; of several the rows in the order of the log are read until the page is full, since each engine would sort all of them.
pub(in crate::store) fn and_of_types(query: &mut Sql, types: &[EventType]) {
    let column = if types.len() == 1 && !query.is_confined() {
        "type"
    } else {
        "type || ''"
    };
    query.and_one_of(column, types.iter().map(|kind| kind.as_str().to_owned()));
}

pub(in crate::store) fn event_from(row: &AnyRow) -> Result<StoredEvent, Error> {
    row.document::<serde::de::IgnoredAny>("body")?;
    Ok(StoredEvent {
        seq: row.int("seq")?,
        id: row.parsed("id")?,
        kind: EventType::parse(&row.text("type")?).ok_or(Error::Corrupt { what: "events.type" })?,
        body: row.text("body")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::domain::event::Routing;
    use crate::store::testing::temporary;

    fn event(kind: EventType) -> NewEvent {
        NewEvent {
            id: EventId::new(SystemClock.id()),
            kind,
            at: SystemClock.now(),
            body: "{}".into(),
            routing: Routing::default(),
        }
    }

    #[tokio::test]
    async fn an_event_is_in_the_log_only_after_the_commit() {
        let store = temporary().await;
        let mut tx = store.begin().await.expect("begun");
        let event = event(EventType::UpstreamUnavailable);
        tx.append_event(&event).await.expect("appended");
        assert!(
            store
                .events_after(&Tenancy::All, 0, 10)
                .await
                .expect("read")
                .is_empty()
        );
        tx.commit().await.expect("committed");
        let log = store.events_after(&Tenancy::All, 0, 10).await.expect("read");
        assert_eq!(log.len(), 1);
        assert_eq!(log[0].id, event.id);
        assert_eq!(
            store.event_place(event.id, &Tenancy::All).await.expect("read"),
            Some(log[0].seq)
        );
    }

    #[tokio::test]
    async fn events_that_are_appended_together_follow_each_other_in_their_order() {
        let store = temporary().await;
        let mut together: Vec<NewEvent> = (0..1_100)
            .map(|number| NewEvent {
                body: format!("{{\"number\":{number},\"text\":\"\\\\ \\u0000 é\"}}"),
                ..event(EventType::SessionProgressed)
            })
            .collect();
        // Their ids are in another order.
        together.reverse();
        let mut tx = store.begin().await.expect("begun");
        tx.append_events(&together).await.expect("appended");
        tx.commit().await.expect("committed");
        let log = store.events_after(&Tenancy::All, 0, 2_000).await.expect("read");
        let written = log.iter().map(|event| (event.id, event.body.as_str()));
        let given = together.iter().map(|event| (event.id, event.body.as_str()));
        assert!(written.eq(given));
        let mut tx = store.begin().await.expect("begun");
        let mark = tx.mark().await.expect("marked");
        let twice = [event(EventType::SessionLost), together[0].clone()];
        let refused = tx.append_events(&twice).await.expect_err("it is there");
        assert!(refused.is_about_the_row());
        tx.undo(mark).await.expect("undone");
        tx.commit().await.expect("committed");
        let log = store.events_after(&Tenancy::All, 0, 2_000).await.expect("read");
        assert_eq!(log.len(), together.len());
    }

    #[tokio::test]
    async fn the_log_is_read_by_one_type_and_by_several_in_both_directions() {
        use EventType::{SessionLost, UpstreamRecovered, UpstreamUnavailable, WebhookTest};
        let store = temporary().await;
        let mut tx = store.begin().await.expect("begun");
        let mut all = Vec::new();
        for kind in [UpstreamUnavailable, UpstreamRecovered, SessionLost].repeat(2) {
            let event = event(kind);
            tx.append_event(&event).await.expect("appended");
            all.push((event.id, kind));
        }
        tx.commit().await.expect("committed");
        for types in [
            vec![],
            vec![SessionLost],
            vec![WebhookTest],
            vec![UpstreamRecovered, UpstreamUnavailable],
        ] {
            let wanted = all
                .iter()
                .filter(|(_, kind)| types.is_empty() || types.contains(kind));
            let wanted: Vec<EventId> = wanted.map(|(id, _)| *id).collect();
            for from in [Cursor::After(0), Cursor::Before(i64::MAX)] {
                let read = store.events(&Tenancy::All, &types, from, 10).await.expect("read");
                let read: Vec<EventId> = read.iter().map(|event| event.id).collect();
                assert_eq!(read, wanted, "{types:?} {from:?}");
            }
        }
    }

    /// Counts what is counted.
    #[derive(Default)]
    struct Counting(std::sync::Arc<std::sync::atomic::AtomicU64>);

    impl metrics::Recorder for Counting {
        fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
        fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
        fn describe_histogram(
            &self,
            _: metrics::KeyName,
            _: Option<metrics::Unit>,
            _: metrics::SharedString,
        ) {
        }
        fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
            if key.name() == crate::telemetry::names::EVENTS {
                metrics::Counter::from_arc(self.0.clone())
            } else {
                metrics::Counter::noop()
            }
        }
        fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
            metrics::Gauge::noop()
        }
        fn register_histogram(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
            metrics::Histogram::noop()
        }
    }

    #[test]
    fn only_what_was_committed_is_counted() {
        let counting = Counting::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        metrics::with_local_recorder(&counting, || {
            runtime.block_on(async {
                let store = temporary().await;
                let mut tx = store.begin().await.expect("begun");
                let lost = event(EventType::UpstreamRecovered);
                tx.append_event(&lost).await.expect("appended");
                drop(tx);
                let mut tx = store.begin().await.expect("begun");
                let mark = tx.mark().await.expect("marked");
                tx.append_event(&lost).await.expect("appended");
                tx.undo(mark).await.expect("undone");
                let mark = tx.mark().await.expect("marked");
                let kept = event(EventType::UpstreamUnavailable);
                tx.append_event(&kept).await.expect("appended");
                tx.keep(mark).await.expect("kept");
                tx.commit().await.expect("committed");
                let log = store.events_after(&Tenancy::All, 0, 10).await.expect("read");
                assert_eq!((log.len(), log[0].id), (1, kept.id));
            });
        });
        assert_eq!(counting.0.load(std::sync::atomic::Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_dropped_transaction_leaves_nothing() {
        let store = temporary().await;
        let mut tx = store.begin().await.expect("begun");
        tx.append_event(&event(EventType::UpstreamRecovered))
            .await
            .expect("appended");
        drop(tx);
        assert!(
            store
                .events_after(&Tenancy::All, 0, 10)
                .await
                .expect("read")
                .is_empty()
        );
        store.begin().await.expect("the writer is free again");
    }
}
