//! Failover sessions: EM's own list, with what the gateway knows beside it.

use std::collections::HashMap;

use super::plans::not_found;
use super::{App, Error, OpContext};
use crate::domain::id::{EmId, OperationId};
use crate::domain::plan::ActionKind;
use crate::domain::session::{Session, SessionFacts, SessionRecord};
use crate::upstream::{Page, SessionQuery};

impl App {
    /// A page of failover sessions, by EM's own numbering, filter and sorting.
    ///
    /// # Errors
    /// [`Error::Upstream`], [`Error::Store`].
    pub async fn sessions(&self, _context: &OpContext, query: &SessionQuery) -> Result<Page<Session>, Error> {
        let page = self.em.sessions(query).await?;
        Ok(Page {
            items: self.known(page.items).await?,
            number: page.number,
            size: page.size,
            total: page.total,
        })
    }

    /// A failover session as EM describes it now.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Upstream`], [`Error::Store`].
    pub async fn session(&self, _context: &OpContext, id: &EmId) -> Result<Session, Error> {
        let facts = self
            .em
            .session(id)
            .await
            .map_err(|error| not_found(error, "the failover session"))?;
        self.known(vec![facts])
            .await?
            .pop()
            .ok_or(Error::Internal("a session was lost on the way"))
    }

    /// Adds plan, operation and backup server, as far as the gateway knows them.
    async fn known(&self, sessions: Vec<SessionFacts>) -> Result<Vec<Session>, Error> {
        let ids: Vec<EmId> = sessions.iter().map(|facts| facts.id.clone()).collect();
        let mut records: HashMap<String, SessionRecord> = HashMap::new();
        for record in self.store.sessions_known(&ids).await? {
            records.insert(record.facts.id.key(), record);
        }
        let mut operations: HashMap<String, (OperationId, Option<ActionKind>)> = HashMap::new();
        for (session, operation, action) in self.store.operations_behind(&ids).await? {
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
