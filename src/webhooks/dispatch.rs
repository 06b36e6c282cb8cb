//! The dispatcher: claims what is due, sends it, writes what came of it.
//!
//! One turn is one transaction: the outcomes that came in since the last turn are written and new deliveries claimed
//! with one commit. No transaction is held while a request is under way. An outcome that cannot be written, because
//! the store does not answer, waits in memory (there are never more than attempts under way) and nothing new is sent.
//! After a crash the rows of the last process are released at once; the attempt's end is then not known, and the
//! delivery goes out again under the same id.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Config;
use super::bots;
use super::client::Client;
use super::deliver::{self, Outcome, Sender};
use super::dispatcher_health::DispatcherHealth;
use super::fairness;
use super::in_flight::{Agenda, InFlight, Sweep};
use super::receivers;
use super::record_outcome::{Finished, Rules, Written};
use crate::clock::SharedClock;
use crate::domain::webhook::rules::{Schedule, elapsed};
use crate::domain::webhook::{AttemptError, DeliveryState};
use crate::runtime::{Nudge, Tasks, Turn, Worker};
use crate::store::webhooks::claims::Claimed;
use crate::store::webhooks::lanes::Lane;
use crate::store::webhooks::opened::OpenedDestinations;
use crate::store::webhooks::outcomes::Attempt;
use crate::store::{self, Store};
use crate::telemetry::names;
use crate::telemetry::traces::{Kind, Span};

/// Sends deliveries until the program stops; what is under way then still ends.
pub struct Dispatcher(Arc<Engine>);

struct Engine {
    store: Store,
    sender: Sender,
    rules: Rules,
    tasks: Tasks,
    /// This process in the rows that it sends.
    owner: String,
    wake: Nudge,
    health: DispatcherHealth,
    /// One turn at a time: the worker's, or the last ones at the end.
    turn: tokio::sync::Mutex<()>,
    in_flight: InFlight,
    opened: OpenedDestinations,
}

impl Dispatcher {
    /// A dispatcher over these rooms.
    #[must_use]
    pub fn new(store: Store, client: Client, config: &Config, clock: SharedClock, tasks: Tasks) -> Self {
        let sender = Sender {
            client,
            clock: clock.clone(),
            store: store.clone(),
            links: config.links.clone(),
        };
        let schedule = Schedule {
            pauses: config.retry_schedule.clone(),
            timeout: config.timeout,
        };
        Self(Arc::new(Engine {
            owner: store.replica().to_owned(),
            wake: store.deliveries_nudge(),
            health: DispatcherHealth::default(),
            store,
            sender,
            rules: Rules { schedule, clock },
            tasks,
            turn: tokio::sync::Mutex::default(),
            in_flight: InFlight::new(),
            opened: OpenedDestinations::default(),
        }))
    }

    /// How it does.
    #[must_use]
    pub fn health(&self) -> DispatcherHealth {
        self.0.health.clone()
    }

    /// Runs until the program stops, and until what is under way then has ended and is written.
    pub fn start(self) {
        let engine = self.0.clone();
        let (tasks, wake) = (engine.tasks.clone(), engine.wake.clone());
        tasks.spawn(async move { engine.finish().await });
        tasks.drive(self, wake);
    }
}

impl Worker for Dispatcher {
    const NAME: &'static str = "webhooks";

    async fn activate(&mut self) -> Turn {
        match self.0.turn().await {
            Ok(turn) => {
                if self.0.health.worked() {
                    tracing::info!("webhooks are sent again");
                }
                turn
            }
            Err(error) => {
                if self.0.health.failed(self.0.rules.clock.now()) {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "webhooks wait for the store"
                    );
                }
                metrics::counter!(names::WORKER_TURNS, "worker" => Self::NAME, "outcome" => "failed")
                    .increment(1);
                Turn::Rest(fairness::POLL)
            }
        }
    }
}

impl Engine {
    /// After the signal to stop: what is under way ends and is written; nothing new is sent.
    async fn finish(self: &Arc<Self>) {
        self.tasks.stopping().cancelled().await;
        loop {
            // The turn comes first: it waits for one that began before the signal and may still claim.
            if let Err(error) = self.turn().await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "webhooks wait for the store"
                );
            }
            if self.in_flight.is_idle() {
                return;
            }
            self.wake.wait(fairness::POLL).await;
        }
    }

    async fn turn(self: &Arc<Self>) -> Result<Turn, store::Error> {
        let _one_at_a_time = self.turn.lock().await;
        let now = self.rules.clock.now();
        let stopping = self.tasks.stopping().is_cancelled();
        let agenda = self.in_flight.agenda(now, stopping);
        if agenda.is_empty() {
            let lanes = if stopping {
                Vec::new()
            } else {
                fairness::paced(store::with_timeout(self.store.waiting_lanes()).await?, now)
            };
            if !fairness::may_send(&lanes, &self.in_flight.by_lane(&HashSet::new()), now) {
                return Ok(Turn::Rest(fairness::rest(&lanes, now)));
            }
        }
        let result = store::with_timeout(self.transact(&agenda, stopping, now)).await;
        let Ok((claimed, written, lanes)) = result else {
            // The commit's outcome may be unknown: what it claimed without our knowledge is released next time.
            self.in_flight.commit_is_uncertain();
            return result.map(|_| Turn::Again);
        };
        let under_way = self.in_flight.committed(&agenda, &claimed, now);
        metrics::gauge!(names::WEBHOOK_FLYING).set(under_way as f64);
        self.measure(&written);
        let more = agenda.is_full() || !claimed.is_empty() || !agenda.finished.is_empty();
        for delivery in claimed {
            self.send(delivery);
        }
        Ok(if more {
            Turn::Again
        } else {
            Turn::Rest(fairness::rest(&lanes, now))
        })
    }

    async fn transact(
        &self,
        agenda: &Agenda,
        stopping: bool,
        now: Timestamp,
    ) -> Result<(Vec<Claimed>, Vec<Written>, Vec<Lane>), store::Error> {
        // Of several replicas one at a time, so that what is counted here stays true until the commit.
        let mut tx = self.store.begin_ordered().await?;
        if agenda.claims_uncertain {
            let alive = self.in_flight.alive();
            let released = tx.reclaim(&alive).await?;
            if released > 0 {
                tracing::info!(
                    released,
                    "deliveries whose last attempt has no known end are sent again"
                );
            }
        }
        let written = self.rules.settle(&mut tx, &agenda.finished, &self.owner).await?;
        if let Some(Sweep { set_back }) = agenda.sweep {
            self.rules.sweep(&mut tx, set_back).await?;
            let unreadable = tx.count_unreadable_endpoints().await?;
            self.health.unreadable(unreadable, now);
            let refused = receivers::look(&mut tx, now).await?;
            self.health.clock_refused(refused, now);
            let waiting = tx.waiting_deliveries().await?;
            let late = waiting.oldest_due.map_or(Duration::ZERO, |due| elapsed(now, due));
            metrics::gauge!(names::WEBHOOK_WAITING).set(waiting.deliveries as f64);
            metrics::gauge!(names::WEBHOOK_OLDEST).set(late.as_secs_f64());
        }
        let (mut claimed, mut lanes) = (Vec::new(), Vec::new());
        if !stopping && tx.is_alive().await? {
            lanes = fairness::paced(tx.waiting_lanes().await?, now);
            let settled: HashSet<Attempt> = agenda.finished.iter().map(|finished| finished.attempt).collect();
            let own = self.in_flight.by_lane(&settled).values().sum();
            let rotation = self.in_flight.rotate();
            let shares = fairness::shares(&lanes, own, rotation, now);
            let claims = tx.claim(&shares, &self.owner, &self.opened).await?;
            claimed = claims.claimed;
            let quarantined = u64::try_from(claims.quarantined).unwrap_or(u64::MAX);
            let state = DeliveryState::Quarantined.as_str();
            metrics::counter!(names::WEBHOOK_ENDED, "state" => state).increment(quarantined);
            for endpoint in claims.unreadable {
                self.rules.disable_unreadable(&mut tx, endpoint).await?;
            }
        }
        tx.commit().await?;
        Ok((claimed, written, lanes))
    }

    /// Counts what a commit ended.
    fn measure(&self, written: &[Written]) {
        let now = self.rules.clock.now();
        for written in written {
            match written {
                Written::Stale => metrics::counter!(names::WEBHOOK_FENCED).increment(1),
                Written::Pending => {}
                Written::Final(state, created_at) => {
                    metrics::counter!(names::WEBHOOK_ENDED, "state" => state.as_str()).increment(1);
                    if *state == DeliveryState::Delivered {
                        metrics::histogram!(names::WEBHOOK_LAG)
                            .record(elapsed(now, *created_at).as_secs_f64());
                    }
                }
            }
        }
    }

    /// Sends a claimed delivery in a task of its own.
    fn send(self: &Arc<Self>, delivery: Claimed) {
        let guard = OutcomeGuard {
            engine: self.clone(),
            attempt: Attempt {
                delivery: delivery.id,
                number: delivery.number,
            },
            outcome: None,
        };
        let engine = self.clone();
        self.tasks.spawn(async move {
            let mut guard = guard;
            let span = traced(&delivery);
            let attempt = async {
                match bots::attempt(&engine.sender, &delivery).await {
                    Some(outcome) => outcome,
                    None => deliver::attempt(&engine.sender, &delivery).await,
                }
            };
            let outcome = span.around(attempt).await;
            if let Some(status) = outcome.end.status {
                span.set("http.response.status_code", i64::from(status));
            }
            if let Some(error) = outcome.end.error {
                span.failed(error.as_str());
            }
            drop(span);
            let word = outcome.end.error.map_or("delivered", AttemptError::as_str);
            metrics::counter!(names::WEBHOOK_ATTEMPTS, "outcome" => word).increment(1);
            if let Some(time) = outcome.end.duration {
                metrics::histogram!(names::WEBHOOK_SECONDS).record(time.as_secs_f64());
            }
            guard.outcome = Some(outcome);
        });
    }
}

/// The span of an attempt, which points to the request behind its operation.
fn traced(delivery: &Claimed) -> Span {
    let span = Span::root(Kind::Client, None, || "webhook attempt");
    if span.is_recording() {
        span.link(delivery.traceparent.as_deref());
        span.set("emgate.delivery.id", delivery.id.to_string());
        span.set("emgate.event.type", delivery.kind.as_str());
        span.set("emgate.attempt", delivery.number);
        span.set("emgate.format", delivery.to.format.as_str());
    }
    span
}

/// Hands in an attempt's outcome when its task ends, however it ends: a panic in it must not lose the delivery.
struct OutcomeGuard {
    engine: Arc<Engine>,
    attempt: Attempt,
    outcome: Option<Outcome>,
}

impl Drop for OutcomeGuard {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(Outcome::crashed);
        let attempt = self.attempt;
        self.engine.in_flight.hand_in(Finished { attempt, outcome });
        self.engine.wake.now();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::clock::{Clock as _, ManualClock, SystemClock};
    use crate::domain::event::{EventType, NewEvent, Routing};
    use crate::domain::id::{DeliveryId, EndpointId, EventId};
    use crate::domain::webhook::endpoint::{Settings, SigningSecret};
    use crate::domain::webhook::target::TargetUrl;
    use crate::store::testing::{many_due, temporary_with};
    use crate::store::webhooks::deliveries::DeliveryFilter;
    use crate::webhooks::EgressPolicy;

    async fn fixture() -> (Arc<Engine>, Arc<ManualClock>) {
        let clock = ManualClock::at(SystemClock.now());
        let store = temporary_with(clock.clone()).await;
        let mut tx = store.begin().await.expect("begun");
        let target = TargetUrl::parse("https://receiver.example/", false).expect("a URL");
        let id = EndpointId::new(clock.id());
        tx.insert_endpoint(
            id,
            &crate::domain::webhook::Owner::default(),
            &target,
            &SigningSecret::from_key(&[1; 32]),
            &Settings::default(),
        )
        .await
        .expect("inserted");
        let event = NewEvent {
            id: EventId::new(clock.id()),
            kind: EventType::UpstreamUnavailable,
            at: clock.now(),
            body: "{}".into(),
            routing: Routing::default(),
        };
        tx.append_event(&event).await.expect("appended");
        tx.commit().await.expect("committed");
        let config = Config::default();
        let client = Client::new(EgressPolicy::new(&config, Vec::new()), config.timeout);
        let dispatcher = Dispatcher::new(store, client, &config, clock.clone(), Tasks::new());
        (dispatcher.0, clock)
    }

    #[tokio::test]
    async fn a_start_with_10000_due_rows_takes_a_bounded_number_of_each_endpoint() {
        let clock = ManualClock::at(SystemClock.now());
        let store = temporary_with(clock.clone()).await;
        many_due(&store, 100, 100).await;
        let config = Config::default();
        let client = Client::of(EgressPolicy::new(&config, Vec::new()), &config);
        let engine = Dispatcher::new(store, client, &config, clock.clone(), Tasks::new()).0;
        let agenda = Agenda {
            finished: Vec::new(),
            claims_uncertain: false,
            sweep: None,
        };
        let mut under_way: HashMap<String, Vec<DeliveryId>> = HashMap::new();
        for turn in 1..=5 {
            let now = clock.now();
            let (claimed, _, _) = engine.transact(&agenda, false, now).await.expect("claimed");
            engine.in_flight.committed(&agenda, &claimed, now);
            assert!(claimed.len() <= 256, "turn {turn}: {}", claimed.len());
            for delivery in claimed {
                under_way.entry(delivery.lane).or_default().push(delivery.id);
            }
        }
        assert_eq!(under_way.len(), 100, "every endpoint has something under way");
        for (lane, ids) in &under_way {
            assert!(ids.len() <= 4, "{lane}: {}", ids.len());
        }
        // The oldest of each: numbers below 400 are the first four of the hundred endpoints.
        let numbers = under_way.values().flatten().map(ToString::to_string);
        let latest = numbers.filter_map(|id| {
            id.rsplit('-')
                .next()
                .and_then(|number| number.parse::<u32>().ok())
        });
        assert!(latest.max().is_some_and(|latest| latest < 400));
    }

    #[tokio::test]
    async fn a_delivery_whose_task_keeps_panicking_is_quarantined() {
        let (engine, clock) = fixture().await;
        for crash in 1..=3 {
            let now = clock.now();
            let agenda = Agenda {
                finished: Vec::new(),
                claims_uncertain: false,
                sweep: None,
            };
            let (claimed, written, _) = engine.transact(&agenda, false, now).await.expect("claimed");
            engine.in_flight.committed(&agenda, &claimed, now);
            engine.measure(&written);
            let guard = OutcomeGuard {
                engine: engine.clone(),
                attempt: Attempt {
                    delivery: claimed[0].id,
                    number: claimed[0].number,
                },
                outcome: None,
            };
            let task = engine.tasks.spawn(async move {
                let _landing = guard;
                panic!("as a body that cannot be rendered would");
            });
            assert!(task.await.is_err());
            engine.turn().await.expect("settled");
            let filter = DeliveryFilter::default();
            let delivery = engine
                .store
                .deliveries(&crate::domain::access::Tenancy::All, &filter, None, 1)
                .await
                .expect("read")
                .remove(0);
            let expected = if crash < 3 {
                DeliveryState::Pending
            } else {
                DeliveryState::Quarantined
            };
            assert_eq!(delivery.state, expected, "crash {crash}");
            assert_eq!(
                delivery.attempts.last().and_then(|attempt| attempt.error),
                Some(AttemptError::Internal)
            );
            clock.advance(Duration::from_mins(2));
        }
    }
}
