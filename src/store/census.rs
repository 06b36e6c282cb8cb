//! How many there are of what is worth a gauge: counted anew every few seconds, so every count is answered by an index or
//! from a table of few rows.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;

use super::engine::Engine;
use super::readable::ENDPOINTS;
use super::row::Columns as _;
use super::webhooks::endpoints::{HEALTH_COLUMNS, health_from};
use super::{Error, Store};
use crate::domain::operation::OperationState;
use crate::domain::webhook::Health;

/// The conditions are those of the indexes `operations_open` and `operations_awaiting`, word by word: SQLite uses a partial
/// index for nothing else.
const OPERATIONS_SQL: &str = "select state, count(*) as number from operations \
         where state in ('submitting', 'running', 'unknown') group by state \
     union all select state, count(*) as number from operations where state = 'awaitingApproval' group by state";

/// Those of which the store knows that they are alive (`replicas`).
const REPLICAS_SQL: &str = "select count(*) as number from replicas \
     where beat_at > (extract(epoch from clock_timestamp()) * 1000000)::bigint - 8000000";

/// What the store holds at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Operations that have not ended, and those of unknown end.
    pub operations: BTreeMap<OperationState, i64>,
    /// Endpoints that deliveries go out to.
    pub endpoints: BTreeMap<Health, i64>,
    /// Endpoints that are disabled.
    pub disabled_endpoints: i64,
    /// Replicas that work on the store; 1 where it is a file.
    pub replicas: i64,
}

impl Store {
    /// Counts what there is.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn census(&self) -> Result<Census, Error> {
        let mut census = Census {
            replicas: self.count_replicas().await?,
            ..Census::default()
        };
        let rows = sqlx::query(OPERATIONS_SQL).fetch_all(self.reader()).await?;
        for row in &rows {
            if let Some(state) = OperationState::parse(&row.text("state")?) {
                census.operations.insert(state, row.int("number")?);
            }
        }
        let sql = format!("select id, enabled, {HEALTH_COLUMNS} from webhook_endpoints");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(self.reader())
            .await?;
        let judged = |row: &AnyRow| Ok((row.flag("enabled")?, health_from(row)?.state()));
        for (is_enabled, health) in self.read_rows(ENDPOINTS, &rows, judged)? {
            if is_enabled {
                *census.endpoints.entry(health).or_default() += 1;
            } else {
                census.disabled_endpoints += 1;
            }
        }
        Ok(census)
    }

    async fn count_replicas(&self) -> Result<i64, Error> {
        match self.0.engine {
            Engine::Sqlite => Ok(1),
            Engine::Postgres => {
                let row = sqlx::query(REPLICAS_SQL).fetch_one(self.reader()).await?;
                row.int("number")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[tokio::test]
    async fn what_there_is_is_counted_by_state() {
        let store = testing::temporary().await;
        let empty = store.census().await.expect("counts");
        let alone = Census {
            replicas: empty.replicas,
            ..Census::default()
        };
        assert_eq!(empty, alone);
        let mut tx = store.begin().await.expect("a transaction");
        let open = OperationState::ALL.iter().copied();
        let open: Vec<_> = open.filter(|state| *state != OperationState::Finished).collect();
        for state in &open {
            let mut operation = testing::new_operation(&store);
            operation.state = *state;
            let command = testing::new_command();
            tx.insert_operation(&operation, &command).await.expect("written");
        }
        tx.commit().await.expect("committed");
        let census = store.census().await.expect("counts");
        assert_eq!(
            census.operations,
            open.into_iter().map(|state| (state, 1)).collect()
        );
    }
}
