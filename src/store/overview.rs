//! What waits, runs and fails at one moment, as a caller sees it: counts for a page that shows the whole gateway. Every count is
//! answered by an index of what is open.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::any::AnyRow;

use super::readable::ENDPOINTS;
use super::row::Columns as _;
use super::sql::Sql;
use super::webhooks::endpoints::{HEALTH_COLUMNS, health_from};
use super::{Error, Store, UPSTREAM};
use crate::domain::access::Tenancy;
use crate::domain::operation::OperationState;
use crate::domain::webhook::{DeliveryState, Health};

/// The conditions of partial indexes, word by word: SQLite uses one for nothing else.
const OPEN: &str = "state in ('submitting', 'running', 'unknown')";
const AWAITING: &str = "state = 'awaitingApproval'";
const PENDING: &str = "state = 'pending' and since > 0";
const SENDING: &str = "state = 'sending'";
const HELD: &str = "state = 'held'";
const GIVEN_UP: &str = "state in ('exhausted', 'quarantined')";

/// The replicas that are registered, with the leases that each has.
const REPLICAS: &str = "select id, started_at, beat_at, (select coalesce(string_agg(name, ',' order by name), '') from leases \
     where owner = replicas.id) as leases from replicas order by started_at, id";

/// Webhook endpoints by how they do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointCounts {
    /// Those that deliveries go out to.
    pub enabled: BTreeMap<Health, i64>,
    /// Those that are disabled.
    pub disabled: i64,
}

/// Deliveries that have not arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// By state.
    pub states: BTreeMap<DeliveryState, i64>,
    /// When the first of those was due that wait to be sent.
    pub oldest_due_at: Option<Timestamp>,
}

/// A moment of the database's clock in the precision of the gateway's own (docs/behaviour.md#values).
fn whole_milliseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// A process that shares the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaRow {
    /// Its id.
    pub id: String,
    /// When it started, by the clock of the database's server.
    pub started_at: Timestamp,
    /// Its last heartbeat, by the same clock.
    pub last_seen_at: Timestamp,
    /// What it does for all.
    pub leases: Vec<String>,
}

impl Store {
    /// Operations that have not ended, and those of unknown end, by state.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn open_operations(&self, tenancy: &Tenancy) -> Result<BTreeMap<OperationState, i64>, Error> {
        let mut counts = BTreeMap::new();
        for condition in [OPEN, AWAITING] {
            let mut sql = counting("operations", condition);
            sql.and_seen_by(tenancy);
            for (state, number) in self.by_state(sql).await? {
                counts.extend(OperationState::parse(&state).map(|state| (state, number)));
            }
        }
        Ok(counts)
    }

    /// How many failover sessions are running, wherever they were started.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn count_running_sessions(&self, tenancy: &Tenancy) -> Result<i64, Error> {
        let mut sql = Sql::new(
            "select count(*) as number from failover_sessions where phase <> 'ended' and phase = 'open' and upstream_id = ",
        );
        sql.bind(UPSTREAM.to_owned()).and_seen_by(tenancy);
        let rows = sql.fetch_all(self.reader()).await?;
        Ok(rows
            .first()
            .map(|row| row.int("number"))
            .transpose()?
            .unwrap_or_default())
    }

    /// Webhook endpoints by how they do.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn endpoint_counts(&self, tenancy: &Tenancy) -> Result<EndpointCounts, Error> {
        let mut sql = Sql::new(format!(
            "select id, enabled, {HEALTH_COLUMNS} from webhook_endpoints where 1 = 1"
        ));
        sql.and_owned_by(tenancy)?;
        let rows = sql.fetch_all(self.reader()).await?;
        let judged = |row: &AnyRow| Ok((row.flag("enabled")?, health_from(row)?.state()));
        let mut counts = EndpointCounts::default();
        for (is_enabled, health) in self.read_rows(ENDPOINTS, &rows, judged)? {
            if is_enabled {
                *counts.enabled.entry(health).or_default() += 1;
            } else {
                counts.disabled += 1;
            }
        }
        Ok(counts)
    }

    /// Deliveries that have not arrived.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn delivery_counts(&self, tenancy: &Tenancy) -> Result<DeliveryCounts, Error> {
        let mut counts = DeliveryCounts::default();
        for condition in [PENDING, SENDING, HELD, GIVEN_UP] {
            let mut sql = counting("webhook_deliveries", condition);
            sql.and_delivery_seen_by(tenancy)?;
            for (state, number) in self.by_state(sql).await? {
                counts
                    .states
                    .extend(DeliveryState::parse(&state).map(|state| (state, number)));
            }
        }
        let mut sql = Sql::new(
            "select min(due_at) as due_at from webhook_deliveries where state = 'pending' and blocked = 0",
        );
        sql.and_delivery_seen_by(tenancy)?;
        let rows = sql.fetch_all(self.reader()).await?;
        counts.oldest_due_at = rows
            .first()
            .map(|row| row.opt_at("due_at"))
            .transpose()?
            .flatten();
        Ok(counts)
    }

    /// The processes that share the store; none where it is a file.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn replica_rows(&self) -> Result<Vec<ReplicaRow>, Error> {
        if !self.is_shared() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(REPLICAS).fetch_all(self.reader()).await?;
        rows.iter()
            .map(|row| {
                let leases = row.text("leases")?;
                Ok(ReplicaRow {
                    id: row.text("id")?,
                    started_at: whole_milliseconds(row.at("started_at")?),
                    last_seen_at: whole_milliseconds(row.at("beat_at")?),
                    leases: leases
                        .split(',')
                        .filter(|name| !name.is_empty())
                        .map(ToOwned::to_owned)
                        .collect(),
                })
            })
            .collect()
    }

    async fn by_state(&self, mut sql: Sql) -> Result<Vec<(String, i64)>, Error> {
        sql.push(" group by state");
        let rows = sql.fetch_all(self.reader()).await?;
        let read = |row: &AnyRow| Ok((row.text("state")?, row.int("number")?));
        rows.iter().map(read).collect()
    }
}

fn counting(table: &str, condition: &str) -> Sql {
    Sql::new(format!(
        "select state, count(*) as number from {table} where {condition}"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[tokio::test]
    async fn open_operations_are_counted_for_whoever_sees_them() {
        let store = testing::temporary().await;
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
        let counts = store.open_operations(&Tenancy::All).await.expect("counts");
        assert_eq!(counts, open.into_iter().map(|state| (state, 1)).collect());
        let confined = Tenancy::Only(["ABC Company".to_owned()].into());
        assert!(store.open_operations(&confined).await.expect("counts").is_empty());
    }

    #[tokio::test]
    async fn replicas_are_told_in_whole_milliseconds() {
        let store = testing::temporary().await;
        let rows = store.replica_rows().await.expect("rows");
        assert_eq!(rows.is_empty(), !store.is_shared());
        for row in rows {
            for at in [row.started_at, row.last_seen_at] {
                assert_eq!(at.subsec_nanosecond() % 1_000_000, 0, "{at}");
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_counted_where_there_is_nothing() {
        let store = testing::temporary().await;
        for tenancy in [Tenancy::All, Tenancy::Only(["ABC Company".to_owned()].into())] {
            assert_eq!(
                store.delivery_counts(&tenancy).await.expect("counts"),
                DeliveryCounts::default()
            );
            assert_eq!(
                store.endpoint_counts(&tenancy).await.expect("counts"),
                EndpointCounts::default()
            );
            assert_eq!(store.count_running_sessions(&tenancy).await.expect("a count"), 0);
        }
        let rows = store.replica_rows().await.expect("rows");
        assert!(rows.iter().all(|row| row.id == store.replica()), "{rows:?}");
    }
}
