//! Failover sessions: EM's own list, with what the gateway knows beside it.

use std::collections::HashMap;
use std::sync::Arc;

use super::plans::not_found;
use super::{App, Error, OpContext, Source};
use crate::domain::id::{EmId, OperationId};
use crate::domain::plan::ActionKind;
use crate::domain::session::{Session, SessionFacts, SessionPhase, SessionRecord};
use crate::store::session_list::{SessionOrder, SessionSelection};
use crate::upstream::{Page, SessionQuery, SortField};

impl App {
    /// A page of failover sessions, by EM's own numbering, filter and sorting; for callers who are confined to tenants, of
    /// their sessions as they were observed last.
    ///
    /// # Errors
    /// [`Error::Upstream`], [`Error::Store`].
    pub async fn sessions(&self, context: &OpContext, query: &SessionQuery) -> Result<Page<Session>, Error> {
        let read = self.read_sessions(context, query).await?;
        self.sessions_on(context, query, read).await
    }

    /// What EM says of a page of failover sessions; nothing for callers who are confined to tenants.
    ///
    /// # Errors
    /// [`Error::Upstream`].
    pub async fn read_sessions(
        &self,
        context: &OpContext,
        query: &SessionQuery,
    ) -> Result<Option<SessionsRead>, Error> {
        if context.tenancy().is_confined() {
            return Ok(None);
        }
        Ok(Some(SessionsRead(self.em.shared_sessions(query).await?)))
    }

    /// The page that was read so, with what the gateway knows of its sessions.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sessions_on(
        &self,
        context: &OpContext,
        query: &SessionQuery,
        read: Option<SessionsRead>,
    ) -> Result<Page<Session>, Error> {
        let Some(SessionsRead(page)) = read else {
            return self.observed_sessions(context, query).await;
        };
        Ok(Page {
            items: self.known(context, page.items.clone()).await?,
            number: page.number,
            size: page.size,
            total: page.total,
        })
    }

    /// A failover session as EM describes it now.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Upstream`], [`Error::Store`].
    pub async fn session(&self, context: &OpContext, id: &EmId) -> Result<Session, Error> {
        if context.tenancy().is_confined() {
            return self.observed_session(context, id).await;
        }
        let facts = self
            .em
            .session(id)
            .await
            .map_err(|error| not_found(error, NO_SESSION))?;
        self.known(context, vec![facts])
            .await?
            .pop()
            .ok_or(Error::Internal("a session was lost on the way"))
    }

    /// Whose session one is, only the gateway knows: EM can neither filter nor count by that, and what it would be asked for
    /// is others' as well.
    async fn observed_sessions(
        &self,
        context: &OpContext,
        query: &SessionQuery,
    ) -> Result<Page<Session>, Error> {
        let size = query.page.page_size.max(1);
        let number = query.page.page.max(1);
        let sort = query.page.sort;
        let selection = SessionSelection {
            states: query.states.clone(),
            results: query.results.clone(),
            plan_name: query.plan_name.clone(),
            started_after: query.started_after,
            started_before: query.started_before,
            order: sort.map_or(SessionOrder::StartedAt, |sort| order(sort.by)),
            descending: sort.is_none_or(|sort| sort.descending),
            offset: i64::from(number - 1).saturating_mul(i64::from(size)),
            limit: i64::from(size),
        };
        let (records, count) = self.store.list_sessions(context.tenancy(), &selection).await?;
        let total = count.div_ceil(u64::from(size)).max(1);
        Ok(Page {
            items: self.joined(context, records).await?,
            number,
            size,
            total: u32::try_from(total).unwrap_or(u32::MAX),
        })
    }

    async fn observed_session(&self, context: &OpContext, id: &EmId) -> Result<Session, Error> {
        let known = self
            .store
            .sessions_known(std::slice::from_ref(id), context.tenancy())
            .await?;
        let shown = known
            .into_iter()
            .filter(|record| record.phase != SessionPhase::Lost);
        let found = self.joined(context, shown.collect()).await?.pop();
        found.ok_or(Error::NotFound { what: NO_SESSION })
    }

    async fn joined(&self, context: &OpContext, records: Vec<SessionRecord>) -> Result<Vec<Session>, Error> {
        let facts = records.iter().map(|record| record.facts.clone()).collect();
        let records = records
            .into_iter()
            .map(|record| (record.facts.id.key(), record))
            .collect();
        self.with_operations(context, facts, records).await
    }

    /// Adds plan, operation and backup server, as far as the gateway knows them.
    async fn known(&self, context: &OpContext, sessions: Vec<SessionFacts>) -> Result<Vec<Session>, Error> {
        let ids: Vec<EmId> = sessions.iter().map(|facts| facts.id.clone()).collect();
        let mut records: HashMap<String, SessionRecord> = HashMap::new();
        for record in self.store.sessions_known(&ids, context.tenancy()).await? {
            records.insert(record.facts.id.key(), record);
        }
        self.with_operations(context, sessions, records).await
    }

    async fn with_operations(
        &self,
        context: &OpContext,
        sessions: Vec<SessionFacts>,
        mut records: HashMap<String, SessionRecord>,
    ) -> Result<Vec<Session>, Error> {
        let ids: Vec<EmId> = sessions.iter().map(|facts| facts.id.clone()).collect();
        let mut operations: HashMap<String, (OperationId, Option<ActionKind>)> = HashMap::new();
        for (session, operation, action) in self.store.operations_behind(&ids, context.tenancy()).await? {
            operations.insert(session, (operation, ActionKind::parse(&action)));
        }
        let joined = sessions.into_iter().map(|mut facts| {
            let record = records.remove(&facts.id.key());
            let operation = operations.remove(&facts.id.key());
            if facts.backup_server.is_none() {
                facts.backup_server = record
                    .as_ref()
                    .and_then(|record| record.facts.backup_server.clone());
            }
            Session {
                plan: record.and_then(|record| record.plan),
                action: operation.and_then(|(_, action)| action),
                operation: operation.map(|(id, _)| id),
                facts,
            }
        });
        Ok(joined.collect())
    }
}

/// A page of failover sessions as EM shows them.
pub struct SessionsRead(Arc<Page<SessionFacts>>);

impl SessionsRead {
    /// EM's answer that it is made of.
    #[must_use]
    pub fn source(&self) -> Source {
        Source(self.0.clone())
    }
}

const NO_SESSION: &str = "the failover session";

const fn order(field: SortField) -> SessionOrder {
    match field {
        SortField::Name => SessionOrder::Name,
        SortField::StartedAt => SessionOrder::StartedAt,
        SortField::EndedAt => SessionOrder::EndedAt,
        SortField::State => SessionOrder::State,
        SortField::Result => SessionOrder::Result,
    }
}
