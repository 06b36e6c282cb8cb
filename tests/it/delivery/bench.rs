//! The test bench of deliveries: a store, the verbs, a dispatcher, and a clock to move.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::support::context::operator;
use crate::waiting::{eventually, holds, slowly};
use emgate::api_types::events::{UpstreamEventData, event};
use emgate::api_types::webhooks::{WebhookEndpointCreate, WebhookEndpointPatch};
use emgate::app::webhooks::{DeliveryFilter, Webhooks};
use emgate::clock::{Clock as _, ManualClock, SystemClock};
use emgate::domain::event::{EventType, Routing};
use emgate::domain::id::{EmId, EndpointId, EventId};
use emgate::domain::webhook::{Delivery, DeliveryState, Endpoint};
use emgate::runtime::Tasks;
use emgate::store::{self, Store};
use emgate::webhooks::{Client, Config, Dispatcher, DispatcherHealth, EgressPolicy};
use secrecy::ExposeSecret as _;

pub struct Bench {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub verbs: Webhooks,
    pub tasks: Tasks,
    pub config: Config,
    guard: EgressPolicy,
    directory: Arc<tempfile::TempDir>,
}

/// An endpoint and its secret.
pub struct Registered {
    pub id: EndpointId,
    pub secret: String,
}

/// Over a sweep, which looks at what receivers showed.
pub const SWEEP: Duration = Duration::from_secs(20);

/// What the tests allow: receivers on loopback, plain HTTP, half a second for an answer.
pub fn lab() -> Config {
    Config {
        allow_private_networks: true,
        allow_http: true,
        timeout: Duration::from_millis(500),
        ..Config::default()
    }
}

impl Bench {
    /// With a dispatcher that runs.
    pub async fn start() -> Self {
        let bench = Self::idle(lab()).await;
        bench.dispatch();
        bench
    }

    /// Without one.
    pub async fn idle(config: Config) -> Self {
        let directory = Arc::new(tempfile::tempdir().expect("a directory"));
        Self::over(directory, config, ManualClock::at(SystemClock.now())).await
    }

    async fn over(directory: Arc<tempfile::TempDir>, config: Config, clock: Arc<ManualClock>) -> Self {
        let path: PathBuf = directory.path().join("emgate.db");
        let at = store::Config {
            url: format!("sqlite://{}", path.display()),
            encryption_key_file: None,
        };
        let store = Store::open(&at, clock.clone()).await.expect("a store");
        let guard = EgressPolicy::new(&config, Vec::new());
        let verbs = Webhooks::new(store.clone(), guard.clone(), clock.clone());
        Self {
            store,
            clock,
            verbs,
            tasks: Tasks::new(),
            config,
            guard,
            directory,
        }
    }

    pub fn store_url(&self) -> String {
        format!("sqlite://{}", self.directory.path().join("emgate.db").display())
    }

    pub fn dispatch(&self) -> DispatcherHealth {
        self.dispatch_with(Client::of(self.guard.clone(), &self.config))
    }

    pub fn dispatch_with(&self, client: Client) -> DispatcherHealth {
        let clock = self.clock.clone();
        let dispatcher = Dispatcher::new(
            self.store.clone(),
            client,
            &self.config,
            clock,
            self.tasks.clone(),
        );
        let health = dispatcher.health();
        dispatcher.start();
        health
    }

    /// The same store in the next process, without a dispatcher. The outcome of deliveries in flight is not recorded.
    pub async fn reopen(self) -> Self {
        let Self {
            store,
            clock,
            config,
            directory,
            tasks,
            verbs,
            guard,
        } = self;
        tasks.stop(Duration::from_secs(5)).await;
        store.close().await;
        drop((store, verbs, guard, tasks));
        // The lock of the store goes with its last user.
        let lock = directory.path().join("emgate.db.lock");
        holds("the store is unused", || {
            std::fs::File::open(&lock).is_ok_and(|file| file.try_lock().is_ok())
        })
        .await;
        Self::over(directory, config, clock).await
    }

    pub async fn endpoint(&self, url: &str) -> Registered {
        self.endpoint_with(url, serde_json::json!({})).await
    }

    pub async fn endpoint_with(&self, url: &str, mut settings: serde_json::Value) -> Registered {
        settings["url"] = url.into();
        let wanted: WebhookEndpointCreate = serde_json::from_value(settings).expect("settings");
        let made = self.verbs.create(&operator(), wanted).await.expect("an endpoint");
        Registered {
            id: made.endpoint.id,
            secret: made.secret.text().expose_secret().to_owned(),
        }
    }

    pub async fn patch(&self, id: EndpointId, patch: serde_json::Value) -> Endpoint {
        let patch: WebhookEndpointPatch = serde_json::from_value(patch).expect("a patch");
        self.verbs
            .patch(&operator(), id, patch)
            .await
            .expect("patched")
            .endpoint
    }

    /// Appends an event that concerns no session.
    pub async fn event(&self) -> EventId {
        self.append(EventType::UpstreamUnavailable, Routing::default())
            .await
    }

    /// Appends an event of a session.
    pub async fn session_event(&self, session: usize, sequence: i64) -> EventId {
        let session: EmId = format!("a986d473-0248-4884-9832-{session:012}")
            .parse()
            .expect("an id");
        let routing = Routing {
            session: Some(session),
            sequence: Some(sequence),
            ..Routing::default()
        };
        self.append(EventType::SessionFinished, routing).await
    }

    pub async fn append(&self, kind: EventType, routing: Routing) -> EventId {
        let id = EventId::new(self.clock.id());
        let now = self.clock.now();
        let data = UpstreamEventData {
            account: "operators — Größe".to_owned(),
            since: now.into(),
            reason: None,
        };
        let event = event(id, kind, now, data, routing).expect("an event");
        let mut tx = self.store.begin().await.expect("begun");
        tx.append_event(&event).await.expect("appended");
        tx.commit().await.expect("committed");
        id
    }

    /// Moves the clock steadily, so that the store trusts it, and wakes the dispatcher.
    pub fn advance(&self, by: Duration) {
        let mut left = by;
        while !left.is_zero() {
            let step = left.min(Duration::from_mins(30));
            self.clock.advance(step);
            let _ = self.store.trusted_now();
            left -= step;
        }
        self.store.deliveries_nudge().now();
    }

    /// All deliveries, oldest first.
    pub async fn deliveries(&self) -> Vec<Delivery> {
        let page = self
            .verbs
            .deliveries(&operator(), &DeliveryFilter::default(), None, 1000)
            .await;
        let mut items = page.expect("a page").items;
        items.sort_by_key(|delivery| (delivery.created_at, delivery.id));
        items
    }

    pub async fn delivery_of(&self, event: EventId) -> Delivery {
        let all = self.deliveries().await;
        all.into_iter()
            .find(|delivery| delivery.event == event)
            .expect("a delivery")
    }

    /// Waits until the only delivery of an event is in a state.
    pub async fn settled(&self, event: EventId, state: DeliveryState) -> Delivery {
        until(&format!("the delivery to be {}", state.as_str()), || async {
            Some(self.delivery_of(event).await).filter(|delivery| delivery.state == state)
        })
        .await
    }

    /// Waits until an attempt has ended and the delivery is in a state.
    pub async fn attempted(&self, event: EventId, attempts: usize, state: DeliveryState) -> Delivery {
        until(
            &format!("attempt {attempts} to end as {}", state.as_str()),
            || async {
                Some(self.delivery_of(event).await)
                    .filter(|delivery| delivery.attempts.len() == attempts && delivery.state == state)
            },
        )
        .await
    }

    pub async fn get(&self, id: EndpointId) -> Endpoint {
        self.verbs.get(&operator(), id).await.expect("an endpoint")
    }
}

/// Waits until something is there.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let mut found = None;
    let look = async || {
        found = look().await;
        found.is_some()
    };
    eventually(what, look, |is_there| *is_there).await;
    found.expect("it is there")
}

/// Gives the dispatcher the time in which it would have done what it must not do. For promises that something does not
/// happen there is no condition to wait for; the dispatcher is woken and its poll passes.
pub async fn quiet(bench: &Bench) {
    bench.store.deliveries_nudge().now();
    slowly(Duration::from_millis(150)).await;
}
