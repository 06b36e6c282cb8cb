//! Tickets, which stand for a token where a request cannot carry one: only their digests are stored, with whom they stand for.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::row::{Columns as _, json, micros, moment};
use super::{Error, Store, Tx};
use crate::domain::access::{Caller, Scope, Tenancy};
use crate::domain::id::OperationId;

/// A caller as a ticket keeps it.
#[derive(Serialize, Deserialize)]
struct KeptCaller {
    name: Option<String>,
    issuer: Option<String>,
    scopes: BTreeSet<String>,
    /// None: not confined.
    tenants: Option<BTreeSet<String>>,
    token_id: Option<String>,
    /// Microseconds since 1970.
    expires_at: i64,
    rules: Vec<String>,
}

impl From<&Caller> for KeptCaller {
    fn from(caller: &Caller) -> Self {
        Self {
            name: caller.name.clone(),
            issuer: caller.issuer.clone(),
            scopes: caller
                .scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
            tenants: match &caller.tenancy {
                Tenancy::All => None,
                Tenancy::Only(tenants) => Some(tenants.clone()),
            },
            token_id: caller.token_id.clone(),
            expires_at: micros(caller.expires_at),
            rules: caller.rules.clone(),
        }
    }
}

impl KeptCaller {
    fn restored(self) -> Result<Caller, Error> {
        Ok(Caller {
            name: self.name,
            issuer: self.issuer,
            // A scope that a newer program knows gives nothing here.
            scopes: self.scopes.iter().filter_map(|word| Scope::parse(word)).collect(),
            tenancy: self.tenants.map_or(Tenancy::All, Tenancy::Only),
            token_id: self.token_id,
            expires_at: moment(self.expires_at, "caller")?,
            rules: self.rules,
        })
    }
}

impl Tx {
    /// Keeps a ticket for one stream.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn add_stream_ticket(
        &mut self,
        hash: &str,
        caller: &Caller,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        sqlx::query("insert into stream_tickets (hash, caller, expires_at) values ($1, $2, $3)")
            .bind(hash.to_owned())
            .bind(json(&KeptCaller::from(caller), "stream_tickets.caller")?)
            .bind(micros(expires_at))
            .execute(self.connection())
            .await?;
        self.note_writing();
        Ok(())
    }

    /// Keeps a ticket for reading an operation.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn add_operation_ticket(
        &mut self,
        hash: &str,
        operation: OperationId,
        caller: &Caller,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        sqlx::query(
            "insert into operation_tickets (hash, operation_id, caller, expires_at) values ($1, $2, $3, $4)",
        )
        .bind(hash.to_owned())
        .bind(operation.to_string())
        .bind(json(&KeptCaller::from(caller), "operation_tickets.caller")?)
        .bind(micros(expires_at))
        .execute(self.connection())
        .await?;
        self.note_writing();
        Ok(())
    }

    /// Takes a ticket for a stream away and returns its caller; of several who ask at once, one gets it.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn take_stream_ticket(&mut self, hash: &str, now: Timestamp) -> Result<Option<Caller>, Error> {
        let row =
            sqlx::query("delete from stream_tickets where hash = $1 and expires_at > $2 returning caller")
                .bind(hash.to_owned())
                .bind(micros(now))
                .fetch_optional(self.connection())
                .await?;
        self.note_writing();
        row.map(|row| row.document::<KeptCaller>("caller")?.restored())
            .transpose()
    }
}

impl Store {
    /// The caller that a ticket for this operation stands for.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn operation_ticket(
        &self,
        hash: &str,
        operation: OperationId,
        now: Timestamp,
    ) -> Result<Option<Caller>, Error> {
        let row = sqlx::query(
            "select caller from operation_tickets where hash = $1 and operation_id = $2 and expires_at > $3",
        )
        .bind(hash.to_owned())
        .bind(operation.to_string())
        .bind(micros(now))
        .fetch_optional(self.reader())
        .await?;
        row.map(|row| row.document::<KeptCaller>("caller")?.restored())
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock as _, SystemClock, later};
    use crate::store::testing::temporary;

    fn caller(tenancy: Tenancy) -> Caller {
        Caller {
            name: Some("portal".to_owned()),
            issuer: None,
            scopes: [Scope::EventsRead, Scope::SessionsRead].into(),
            tenancy,
            token_id: Some("1".to_owned()),
            expires_at: moment(1_900_000_000_000_000, "caller").expect("a moment"),
            rules: vec!["operators".to_owned()],
        }
    }

    #[tokio::test]
    async fn a_ticket_for_a_stream_is_taken_once_with_its_caller() {
        let store = temporary().await;
        let (now, hash) = (SystemClock.now(), "a".repeat(64));
        let confined = caller(Tenancy::Only(["ABC Company".to_owned()].into()));
        let mut tx = store.begin().await.expect("begun");
        tx.add_stream_ticket(&hash, &confined, later(now, Duration::from_secs(60)))
            .await
            .expect("kept");
        tx.commit().await.expect("committed");
        for expected in [Some(confined), None] {
            let mut tx = store.begin().await.expect("begun");
            let taken = tx.take_stream_ticket(&hash, now).await.expect("asked");
            tx.commit().await.expect("committed");
            assert_eq!(taken, expected);
        }
    }

    #[tokio::test]
    async fn a_ticket_counts_for_its_operation_until_it_expires() {
        let store = temporary().await;
        let (now, hash) = (SystemClock.now(), "b".repeat(64));
        let [this, other] = [(); 2].map(|()| OperationId::new(SystemClock.id()));
        let end = later(now, Duration::from_secs(60));
        let mut tx = store.begin().await.expect("begun");
        tx.add_operation_ticket(&hash, this, &caller(Tenancy::All), end)
            .await
            .expect("kept");
        tx.commit().await.expect("committed");
        let ask = async |hash: &str, operation, at| {
            let found = store.operation_ticket(hash, operation, at).await;
            found.expect("asked").map(|caller| caller.name)
        };
        assert_eq!(ask(&hash, this, now).await, Some(Some("portal".to_owned())));
        assert_eq!(ask(&hash, other, now).await, None);
        assert_eq!(ask(&hash, this, end).await, None);
        assert_eq!(ask(&"c".repeat(64), this, now).await, None);
    }
}
