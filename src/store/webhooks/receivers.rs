//! What receivers show of their certificates and clocks, as it is stored, and whether the log was told.

use sqlx::any::AnyRow;

use super::super::readable::ENDPOINTS;
use super::super::row::Columns as _;
use super::super::{Error, Tx};
use crate::domain::id::EndpointId;
use crate::domain::webhook::receiver::ReceiverFacts;

/// The columns of [`ReceiverFacts`].
pub(super) const FACTS_COLUMNS: &str = "certificate_not_after, clock_skew";

/// The receiver of an endpoint that is enabled.
#[derive(Debug, Clone, Copy)]
pub struct Receiver {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// What it showed.
    pub facts: ReceiverFacts,
    /// Whether the last attempt failed.
    pub fails: bool,
    /// What the log was told of.
    pub told: Told,
}

/// What the log was told of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// That the certificate expires soon.
    pub certificate: bool,
    /// That the clocks differ by more than receivers tolerate.
    pub skew: bool,
}

pub(super) fn facts_from(row: &AnyRow) -> Result<ReceiverFacts, Error> {
    Ok(ReceiverFacts {
        certificate_not_after: row.opt_at("certificate_not_after")?,
        clock_skew: row.opt_int("clock_skew")?,
    })
}

impl Tx {
    /// The receivers of enabled endpoints that showed something, or of which the log was told something.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn receivers(&mut self) -> Result<Vec<Receiver>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select id, failures, told_certificate, told_skew, {FACTS_COLUMNS} from webhook_endpoints \
             where enabled = 1 and (certificate_not_after is not null or clock_skew is not null \
                 or told_certificate = 1 or told_skew = 1) order by id"
        )))
        .fetch_all(self.connection())
        .await?;
        let read = self.read_rows(ENDPOINTS, &rows, |row| {
            Ok(Receiver {
                endpoint: row.parsed("id")?,
                facts: facts_from(row)?,
                fails: row.int("failures")? > 0,
                told: Told {
                    certificate: row.flag("told_certificate")?,
                    skew: row.flag("told_skew")?,
                },
            })
        })?;
        Ok(read.items)
    }

    /// Remembers what the log was told of an endpoint's receiver.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn save_told(&mut self, endpoint: EndpointId, told: Told) -> Result<(), Error> {
        sqlx::query("update webhook_endpoints set told_certificate = $1, told_skew = $2 where id = $3")
            .bind(i64::from(told.certificate))
            .bind(i64::from(told.skew))
            .bind(endpoint.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Forgets what an endpoint's receiver showed, because another one takes its place.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn forget_receiver(&mut self, endpoint: EndpointId) -> Result<(), Error> {
        sqlx::query(
            "update webhook_endpoints set certificate_not_after = null, clock_skew = null, told_certificate = 0, \
                 told_skew = 0 where id = $1",
        )
        .bind(endpoint.to_string())
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::domain::access::Tenancy;
    use crate::domain::event::{EventType, NewEvent, Routing};
    use crate::domain::id::EventId;
    use crate::domain::webhook::Owner;
    use crate::domain::webhook::endpoint::{Settings, SigningSecret};
    use crate::domain::webhook::exchange::{Exchange, TlsVersion};
    use crate::domain::webhook::target::TargetUrl;
    use crate::store::Store;
    use crate::store::testing::temporary;
    use crate::store::webhooks::deliveries::DeliveryFilter;
    use crate::store::webhooks::lanes::Share;
    use crate::store::webhooks::opened::OpenedDestinations;
    use crate::store::webhooks::outcomes::{Attempt, AttemptEnd};

    async fn endpoint(store: &Store) -> EndpointId {
        let id = EndpointId::new(SystemClock.id());
        let target = TargetUrl::parse("https://receiver.example/", false).expect("a URL");
        let secret = SigningSecret::from_key(&[1; 32]);
        let mut tx = store.begin().await.expect("begun");
        tx.insert_endpoint(id, &Owner::default(), &target, &secret, &Settings::default())
            .await
            .expect("inserted");
        tx.commit().await.expect("committed");
        id
    }

    #[tokio::test]
    async fn an_attempt_keeps_what_it_saw_of_the_connection() {
        let store = temporary().await;
        endpoint(&store).await;
        let mut tx = store.begin().await.expect("begun");
        let event = NewEvent {
            id: EventId::new(SystemClock.id()),
            kind: EventType::UpstreamUnavailable,
            at: SystemClock.now(),
            body: "{}".into(),
            routing: Routing::default(),
        };
        tx.append_event(&event).await.expect("appended");
        // The commit writes the delivery.
        tx.commit().await.expect("committed");
        let mut tx = store.begin().await.expect("begun");
        let lanes = tx.waiting_lanes().await.expect("lanes").into_iter();
        let share = |lane| Share {
            lane,
            limit: 1,
            probe: true,
        };
        let shares: Vec<Share> = lanes.map(share).collect();
        let claims = tx.claim(&shares, "me", &OpenedDestinations::default()).await;
        let claimed = claims.expect("claimed").claimed.remove(0);
        let attempt = Attempt {
            delivery: claimed.id,
            number: claimed.number,
        };
        let exchange = Exchange {
            dns: Some(Duration::from_micros(7)),
            connect: Some(Duration::from_micros(1234)),
            tls: Some(Duration::from_micros(5678)),
            first_byte: None,
            remote: Some("[2606:2800::1]:443".parse().expect("an address")),
            tls_version: Some(TlsVersion::V12),
            reused: Some(true),
        };
        let end = AttemptEnd {
            exchange: exchange.clone(),
            ..AttemptEnd::default()
        };
        tx.end_attempts(&[attempt.ended_by(SystemClock.now(), &end)])
            .await
            .expect("ended");
        tx.commit().await.expect("committed");
        let filter = DeliveryFilter::default();
        let read = store
            .deliveries(&Tenancy::All, &filter, None, 1)
            .await
            .expect("read");
        assert_eq!(read[0].attempts[0].exchange, exchange);
    }

    #[tokio::test]
    async fn what_a_receiver_showed_is_kept_until_another_takes_its_place() {
        let store = temporary().await;
        let id = endpoint(&store).await;
        let mut tx = store.begin().await.expect("begun");
        assert!(tx.receivers().await.expect("read").is_empty());
        let mut standing = tx
            .standings([id])
            .await
            .expect("read")
            .remove(&id)
            .expect("there");
        standing.facts = ReceiverFacts {
            certificate_not_after: SystemClock.now().round(jiff::Unit::Second).ok(),
            clock_skew: Some(-3),
        };
        tx.save_standings([(id, &standing)]).await.expect("saved");
        let again = tx
            .standings([id])
            .await
            .expect("read")
            .remove(&id)
            .expect("there");
        assert_eq!(again.facts, standing.facts);
        let told = Told {
            certificate: true,
            skew: false,
        };
        tx.save_told(id, told).await.expect("saved");
        let receiver = tx.receivers().await.expect("read").remove(0);
        assert_eq!(
            (receiver.endpoint, receiver.facts, receiver.told),
            (id, standing.facts, told)
        );
        tx.commit().await.expect("committed");
        let shown = store
            .endpoint(id, &Tenancy::All)
            .await
            .expect("read")
            .expect("there");
        assert_eq!(shown.receiver, standing.facts);
        assert!(shown.certificate_expires_soon);
        let mut tx = store.begin().await.expect("begun");
        tx.forget_receiver(id).await.expect("forgotten");
        assert!(tx.receivers().await.expect("read").is_empty());
    }
}
