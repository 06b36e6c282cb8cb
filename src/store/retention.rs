//! Retention: what is old enough is removed, in small steps, so that no write waits long behind a removal.

use std::time::Duration;

use super::config::Retention;
use super::row::micros;
use super::{Error, Store};
use crate::runtime::{Turn, Worker};

/// How many rows one step removes at the most.
const STEP: i64 = 500;

/// How long to rest between two looks for something old.
const PAUSE: Duration = Duration::from_mins(10);

/// Ended sessions are remembered longer than EM shows them (30 days), or they would be news again.
const SESSIONS: Duration = Duration::from_hours(45 * 24);

/// Idempotency keys count for 24 hours.
const KEYS: Duration = Duration::from_hours(25);

/// What is told daily is told again by then, or no longer.
const NOTICES: Duration = Duration::from_hours(7 * 24);

/// One kind of row with the statement that removes up to `$2` of those older than `$1`.
struct Rule {
    name: &'static str,
    age: Duration,
    sql: &'static str,
}

/// Rows of a table that are kept by the hash of what their owner has, until their own moment.
macro_rules! expired {
    ($name:literal, $table:literal) => {
        Rule {
            name: $name,
            age: Duration::ZERO,
            sql: concat!(
                "delete from ",
                $table,
                " where hash in (select hash from ",
                $table,
                " where expires_at < $1 order by expires_at limit $2)"
            ),
        }
    };
}

/// The worker that removes what is old.
pub struct Pruner {
    store: Store,
    rules: Vec<Rule>,
    audit: Duration,
}

impl Pruner {
    /// A worker that keeps rows as long as `retention` says.
    #[must_use]
    pub fn new(store: Store, retention: &Retention) -> Self {
        let rules = vec![
            Rule {
                name: "deliveries",
                age: retention.deliveries,
                sql: "delete from webhook_deliveries where id in (select id from webhook_deliveries \
                      where ended_at < $1 order by ended_at limit $2)",
            },
            Rule {
                name: "jobs of webhook endpoints",
                age: retention.deliveries,
                sql: "delete from webhook_jobs where id in (select id from webhook_jobs \
                      where finished_at < $1 order by finished_at limit $2)",
            },
            Rule {
                name: "deliveries held for a disabled endpoint",
                age: retention.deliveries,
                sql: "delete from webhook_deliveries where id in (select id from webhook_deliveries \
                      where state = 'held' and created_at < $1 limit $2)",
            },
            Rule {
                name: "messages of bots",
                age: retention.deliveries,
                sql: "delete from webhook_messages where (endpoint_id, failover) in (select endpoint_id, failover \
                      from webhook_messages where updated_at < $1 order by updated_at limit $2)",
            },
            Rule {
                name: "callbacks",
                age: retention.deliveries,
                sql: "delete from webhook_callbacks where operation_id in (select c.operation_id from webhook_callbacks c \
                      where c.created_at < $1 and (not exists (select 1 from operations o where o.id = c.operation_id) \
                      or (c.delivery_id is not null and not exists \
                         (select 1 from webhook_deliveries d where d.id = c.delivery_id))) limit $2)",
            },
            Rule {
                name: "events",
                age: retention.events,
                sql: "delete from events where seq in (select seq from events where at < $1 and not exists \
                      (select 1 from webhook_deliveries where webhook_deliveries.event_id = events.id) order by seq limit $2)",
            },
            Rule {
                name: "operations",
                age: retention.operations,
                sql: "delete from operations where id in (select id from operations where requested_at < $1 \
                      and state in ('finished', 'unknown') order by id limit $2)",
            },
            Rule {
                name: "idempotency keys",
                age: KEYS,
                sql: "delete from idempotency_keys where scope in (select scope from idempotency_keys \
                      where created_at < $1 order by created_at limit $2)",
            },
            expired!("tickets of streams", "stream_tickets"),
            expired!("tickets of operations", "operation_tickets"),
            expired!("sessions of the console", "console_sessions"),
            expired!("logins to the console", "console_logins"),
            Rule {
                name: "recovery reports",
                age: retention.reports,
                sql: "delete from recovery_runs where id in (select id from recovery_runs \
                      where started_at < $1 and hold is null order by started_at limit $2)",
            },
            Rule {
                name: "notices of a day",
                age: NOTICES,
                sql: "delete from daily_notices where (upstream_id, name) in (select upstream_id, name \
                      from daily_notices where told_at < $1 limit $2)",
            },
            Rule {
                name: "restore points",
                age: retention.reports,
                sql: "delete from recovery_points where (upstream_id, point_key) in (select upstream_id, point_key \
                      from recovery_points where read_at < $1 order by read_at limit $2)",
            },
            Rule {
                name: "failover sessions",
                age: SESSIONS,
                sql: "delete from failover_sessions where key in (select key from failover_sessions \
                      where first_seen_at < $1 and phase <> 'open' order by first_seen_at limit $2)",
            },
        ];
        Self {
            store,
            rules,
            audit: retention.audit,
        }
    }

    /// Removes one step of each kind, and completes rows of earlier programs; true when there may be more.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn step(&self) -> Result<bool, Error> {
        let now = self.store.trusted_now();
        let mut more = self.store.complete_some_tenants().await?;
        for rule in &self.rules {
            let Ok(oldest) = now.checked_sub(rule.age) else {
                continue;
            };
            let mut tx = self.store.begin().await?;
            let removed = sqlx::query(rule.sql)
                .bind(micros(oldest))
                .bind(STEP)
                .execute(tx.connection())
                .await?
                .rows_affected();
            tx.commit().await?;
            if removed > 0 {
                tracing::debug!(rows = removed, kind = rule.name, "old rows were removed");
            }
            more |= removed >= STEP.unsigned_abs();
        }
        if let Ok(oldest) = now.checked_sub(self.audit) {
            let removed = self.store.prune_audit(oldest, STEP).await?;
            more |= removed >= STEP.unsigned_abs();
        }
        Ok(more)
    }
}

impl Worker for Pruner {
    const NAME: &'static str = "retention";

    async fn activate(&mut self) -> Turn {
        match self.step().await {
            // Others get a turn in between.
            Ok(true) => Turn::Rest(Duration::from_millis(50)),
            Ok(false) => Turn::Rest(PAUSE),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "old rows could not be removed"
                );
                Turn::Rest(PAUSE)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::domain::event::{EventType, NewEvent, Routing};
    use crate::domain::id::EventId;
    use crate::store::Store;
    use crate::store::testing::{pass, temporary_config, temporary_with};

    #[tokio::test]
    async fn old_events_are_removed_in_batches() {
        let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().expect("a moment"));
        let store = temporary_with(clock.clone()).await;
        let mut tx = store.begin().await.expect("begun");
        for _ in 0..STEP + 7 {
            let event = NewEvent {
                id: EventId::new(clock.id()),
                kind: EventType::UpstreamRecovered,
                at: clock.now(),
                body: "{}".into(),
                routing: Routing::default(),
            };
            tx.append_event(&event).await.expect("appended");
        }
        tx.commit().await.expect("committed");
        let retention = Retention::default();
        let pruner = Pruner::new(store.clone(), &retention);
        let nearly = retention.events.checked_sub(Duration::from_secs(1));
        pass(&store, &clock, nearly.expect("long"));
        assert!(!pruner.step().await.expect("nothing is old yet"));
        assert_eq!(
            store
                .events_after(&crate::domain::access::Tenancy::All, 0, 1000)
                .await
                .expect("read")
                .len(),
            507
        );
        clock.advance(Duration::from_secs(2));
        assert!(pruner.step().await.expect("a step"), "more is left");
        assert_eq!(
            store
                .events_after(&crate::domain::access::Tenancy::All, 0, 1000)
                .await
                .expect("read")
                .len(),
            7
        );
        assert!(!pruner.step().await.expect("a step"));
        assert!(
            store
                .events_after(&crate::domain::access::Tenancy::All, 0, 1000)
                .await
                .expect("read")
                .is_empty()
        );
    }

    #[tokio::test]
    async fn a_clock_that_is_far_ahead_at_the_start_removes_nothing() {
        let day = Duration::from_hours(24);
        let begin = "2026-01-01T00:00:00Z".parse().expect("a moment");
        let config = temporary_config().await;
        let store = Store::open(&config, ManualClock::at(begin))
            .await
            .expect("a store");
        let event = NewEvent {
            id: EventId::new(ManualClock::at(begin).id()),
            kind: EventType::UpstreamRecovered,
            at: begin,
            body: "{}".into(),
            routing: Routing::default(),
        };
        let mut tx = store.begin().await.expect("begun");
        tx.append_event(&event).await.expect("appended");
        tx.commit().await.expect("committed");
        store.save_trusted_time().await.expect("remembered");
        store.close().await;
        drop(store);

        let clock = ManualClock::at(begin + 400 * day);
        let store = Store::open(&config, clock.clone()).await.expect("a store");
        let pruner = Pruner::new(store.clone(), &Retention::default());
        pruner.step().await.expect("a step");
        pass(&store, &clock, day / 24);
        pruner.step().await.expect("a step");
        assert_eq!(
            store
                .events_after(&crate::domain::access::Tenancy::All, 0, 10)
                .await
                .expect("read")
                .len(),
            1,
            "it is an hour old"
        );
        assert_eq!(store.clock_doubted(), Some(begin + 400 * day));

        // A restart on the way proves nothing and costs nothing.
        store.save_trusted_time().await.expect("remembered");
        store.close().await;
        drop((store, pruner));
        let store = Store::open(&config, clock.clone()).await.expect("a store");
        let pruner = Pruner::new(store.clone(), &Retention::default());
        pass(&store, &clock, day / 24 * 22);
        pruner.step().await.expect("a step");
        assert_eq!(
            store
                .events_after(&crate::domain::access::Tenancy::All, 0, 10)
                .await
                .expect("read")
                .len(),
            1
        );
        pass(&store, &clock, day / 24);
        assert_eq!(store.clock_doubted(), None, "nobody set it right for a day");
        pruner.step().await.expect("a step");
        assert!(
            store
                .events_after(&crate::domain::access::Tenancy::All, 0, 10)
                .await
                .expect("read")
                .is_empty()
        );
    }
}
