//! The watcher's observations, turn by turn on a clock that the test moves: lists that change while they are read, reads
//! that fail half way, sessions of one name, and an EM that forgets.

mod away;
mod beside;
mod crash;
mod damaged;
mod looks;
mod machines;
mod namesakes;
mod pages;
mod readiness;
mod remembered;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use emgate::app::webhooks::Messages;
use emgate::app::{App, AppParts, Limits};
use emgate::clock::ManualClock;
use emgate::domain::plan::PlanKind;
use emgate::runtime::{Nudge, Tasks, Worker as _};
use emgate::sim::{Options, Running, Simulator};
use emgate::store::{self, Store};
use emgate::upstream::EmClient;
use emgate::watcher::{self, Watcher};
use emgate::webhooks;
use serde_json::{Value, json};

use crate::em_bench::config;
use crate::support::client;
use crate::support::scripted_server::ScriptedServer;

/// The query that observes.
const QUERY: &str = "GET /api/query?type=CloudFailoverSession";

/// EM, a watcher of it, and the store it writes to.
struct Observatory {
    sim: Running,
    /// Between the two.
    scripted: ScriptedServer,
    clock: Arc<ManualClock>,
    store: Store,
    em: EmClient,
    watcher: Watcher,
    upstream: emgate::upstream::Config,
    plans: Vec<String>,
    _directory: tempfile::TempDir,
}

impl Observatory {
    async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let clock = ManualClock::at("2026-05-06T08:00:00Z".parse().expect("a time"));
        let mut options = Options {
            vms: 1,
            ..Options::on_any_port()
        };
        change(&mut options);
        let sim = Simulator::start_at(options, clock.clone())
            .await
            .expect("a simulator");
        let scripted = ScriptedServer::start().await;
        let mut config = config(&sim.base_url());
        scripted.put_before(&mut config);
        let em = EmClient::new(&config, clock.clone()).expect("a room");
        let directory = tempfile::tempdir().expect("a directory");
        let place = store::Config {
            url: format!("sqlite://{}", directory.path().join("emgate.db").display()),
            encryption_key_file: None,
        };
        let store = Store::open(&place, clock.clone()).await.expect("a store");
        let plans = em.all_plans(PlanKind::Cloud).await.expect("plans");
        let watcher = watcher_of(&em, &store, &clock);
        Self {
            sim,
            scripted,
            clock,
            store,
            em,
            watcher,
            upstream: config,
            plans: plans.into_iter().map(|plan| plan.id.to_string()).collect(),
            _directory: directory,
        }
    }

    /// The verbs over the same rooms.
    fn app(&self, tasks: Tasks) -> App {
        let rooms = AppParts {
            em: self.em.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            tasks,
            watcher: Nudge::default(),
            guard: webhooks::EgressPolicy::new(&webhooks::Config::default(), vec![]),
            health: webhooks::DispatcherHealth::default(),
            policies: emgate::domain::policy::Policies::default(),
            objectives: emgate::domain::evidence::objectives::Objectives::default(),
            configuration: Value::Null,
            template: None,
            messages: Messages::default(),
        };
        let limits = Limits {
            answer: Duration::from_secs(60),
            unknown_after: Duration::from_mins(20),
            endpoints: 50,
            events_kept: Duration::from_hours(30 * 24),
            attempt: Duration::from_mins(1),
            look_every: Duration::from_secs(2),
        };
        App::new(rooms, limits)
    }

    /// The gateway ends, however far it had come, and begins anew.
    fn restart(&mut self) {
        self.em = EmClient::new(&self.upstream, self.clock.clone()).expect("a room");
        self.watcher = watcher_of(&self.em, &self.store, &self.clock);
    }

    /// Observes once, two seconds after the last time. True when the observation was complete.
    async fn look(&mut self) -> bool {
        self.clock.advance(Duration::from_secs(2));
        let before = self.observations().await;
        self.watcher.activate().await;
        self.observations().await > before
    }

    async fn observations(&self) -> i64 {
        self.store.observation().await.expect("a number")
    }

    /// A failover of that plan from EM's console; its session.
    async fn begin(&self, plan: usize, seconds: u32) -> String {
        begin(&self.sim.base_url(), &self.plans[plan], seconds).await
    }

    /// One session for each plan, begun with that pause in between, none of which ends by itself in a test's time.
    async fn begin_all(&self, pause: Duration) -> Vec<String> {
        let mut sessions = Vec::new();
        for plan in 0..self.plans.len() {
            sessions.push(self.begin(plan, 1_000_000).await);
            self.clock.advance(pause);
        }
        sessions
    }

    /// The events of each session, in order, without progress.
    async fn reported(&self) -> BTreeMap<String, Vec<String>> {
        let mut reported: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in self.events().await {
            let kind = event["type"].as_str().expect("a type");
            if let Some(step) = kind
                .strip_prefix("failover.session.")
                .filter(|step| *step != "progressed")
            {
                let session = event["data"]["session"]["id"]
                    .as_str()
                    .expect("an id")
                    .to_lowercase();
                reported.entry(session).or_default().push(step.to_owned());
            }
        }
        reported
    }

    async fn events(&self) -> Vec<Value> {
        let log = self
            .store
            .events_after(&emgate::domain::access::Tenancy::All, 0, 100_000)
            .await
            .expect("the log");
        log.iter()
            .map(|event| serde_json::from_str(&event.body).expect("JSON"))
            .collect()
    }

    async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        control(&self.sim.base_url(), method, path, body).await
    }
}

fn watcher_of(em: &EmClient, store: &Store, clock: &Arc<ManualClock>) -> Watcher {
    Watcher::new(
        em.clone(),
        store.clone(),
        clock.clone(),
        watcher::Config::default(),
        Duration::from_mins(20),
    )
}

/// Starts a failover at that simulator; its session.
async fn begin(sim: &str, plan: &str, seconds: u32) -> String {
    let wish = json!({"planId": plan, "action": "test", "seconds": seconds});
    let made = control(sim, "POST", "failovers", wish).await;
    made["sessionId"].as_str().expect("an id").to_lowercase()
}

async fn control(sim: &str, method: &str, path: &str, body: Value) -> Value {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(client::plain);
    let answer = CLIENT
        .request(method.parse().expect("a method"), format!("{sim}/_sim/{path}"))
        .body(body.to_string())
        .send()
        .await
        .expect("an answer");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    serde_json::from_str(&answer.text().await.expect("a body")).unwrap_or(Value::Null)
}
