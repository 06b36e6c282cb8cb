//! What runs once the store is open: each room made of its section of the configuration, the workers, the state of the routes.
//!
//! What is started here stops with the tasks that it is started among, so that a start that is given up leaves nothing behind.

use std::net::SocketAddr;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::gauges::{self, Gauges};
use super::{Error, shares};
use crate::app::{self, App, ApprovalClock, PlanGauges, Recorder, Scheduler, SettingsKeeper};
use crate::auth::Verifier;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::id::LogonId;
use crate::http::HttpState;
use crate::runtime::{Nudge, Tasks};
#[cfg(feature = "postgres")]
use crate::store::notifications::NotificationListener;
use crate::store::replicas::Heartbeat;
use crate::store::retention::Pruner;
use crate::store::{ClockRecorder, Store};
use crate::upstream::EmClient;
use crate::watcher::Watcher;
use crate::webhooks;

/// What runs once the store is open.
pub(super) struct Opened {
    pub em: EmClient,
    pub store: Store,
    pub tasks: Tasks,
    pub heartbeat: AbortOnDropHandle<()>,
    pub notifications: AbortOnDropHandle<()>,
    pub state: HttpState,
}

impl Opened {
    #[expect(
        clippy::disallowed_methods,
        reason = "the tasks of the heartbeat and the listener for notifications are held, and ended by stop"
    )]
    /// Opens the store and starts all that works on it. `own`: the gateway's listeners, which webhooks never reach.
    ///
    /// # Errors
    /// [`Error`]: a part that cannot be started.
    pub async fn open(
        mut config: Config,
        own: Vec<SocketAddr>,
        clock: SharedClock,
        tasks: Tasks,
    ) -> Result<Self, Error> {
        let store = Store::open(&config.store, clock.clone()).await?;
        let of_workers = store.for_workers();
        config.upstream.links = config.server.links();
        config.webhooks.links = config.upstream.links.clone();
        let em = EmClient::new(&config.upstream, clock.clone())?;
        let heartbeat = Heartbeat::new(of_workers.clone(), shares::LogonShares::of(&em, &of_workers));
        let heartbeat = AbortOnDropHandle::new(tokio::spawn(heartbeat.run()));
        resume_logons(&store, &em).await?;
        let guard = webhooks::EgressPolicy::new(&config.webhooks, off_limits(own, &config.upstream.url));
        let answer = em.longest_write();
        let limits = app::Limits {
            answer,
            unknown_after: config.upstream.unknown_after.max(answer),
            endpoints: config.server.limits.endpoints,
            events_kept: config.retention.events,
            attempt: config.webhooks.max_timeout,
            look_every: config.watch.interval,
        };
        let watcher_nudge = Nudge::default();
        let client = webhooks::Client::of(guard.clone(), &config.webhooks);
        let dispatcher = webhooks::Dispatcher::new(
            of_workers.clone(),
            client,
            &config.webhooks,
            clock.clone(),
            tasks.clone(),
        );
        let rooms = app::AppParts {
            em: em.clone(),
            store: store.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            watcher: watcher_nudge.clone(),
            guard,
            health: dispatcher.health(),
            messages: app::webhooks::Messages {
                links: config.webhooks.links.clone(),
                example: crate::http::example_event,
            },
            policies: config.policies.clone(),
            objectives: config.reports.objectives.clone(),
            configuration: config.server.shown.clone(),
            template: config.reports.template.clone(),
        };
        gauges::show_configuration(&config);
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let app = App::new(rooms, limits);
        tasks.drive(ApprovalClock::new(&app), Nudge::default());
        tasks.drive(SettingsKeeper::new(&app), of_workers.settings_nudge());
        tasks.drive(Scheduler::new(&app), Nudge::default());
        if config.server.metrics.per_plan {
            tasks.drive(PlanGauges::new(&app), Nudge::default());
        }
        let recorder_nudge = Nudge::default();
        tasks.drive(Recorder::new(&app), recorder_nudge.clone());
        let (stopping, commits) = (tasks.stopping(), of_workers.changes());
        tasks.spawn(async move {
            let waking = wake_after_commits(commits, recorder_nudge);
            stopping.run_until_cancelled(waking).await
        });
        let verifier = Verifier::new(&config.auth, clock.clone())?;
        drive_keys(&verifier, &tasks);
        let state = HttpState::new(app, config.server.clone(), verifier, clock.clone());

        #[cfg(feature = "postgres")]
        let notifications = NotificationListener::new(of_workers.clone(), watcher_nudge.clone()).run();
        #[cfg(not(feature = "postgres"))]
        let notifications = std::future::pending();
        let watcher = Watcher::new(
            em.clone(),
            of_workers.clone(),
            clock,
            config.watch,
            limits.unknown_after,
        );
        tasks.drive(watcher, watcher_nudge);
        tasks.drive(webhooks::Jobs::new(of_workers.clone()), Nudge::default());
        tasks.drive(ClockRecorder::new(of_workers.clone()), Nudge::default());
        tasks.drive(
            Pruner::new(of_workers.clone(), &config.retention),
            Nudge::default(),
        );
        dispatcher.start();
        let gauges = Gauges {
            em: em.clone(),
            store: of_workers,
            state: state.clone(),
        };
        tasks.drive(gauges, Nudge::default());

        Ok(Self {
            em,
            store,
            tasks,
            heartbeat,
            notifications: AbortOnDropHandle::new(tokio::spawn(notifications)),
            state,
        })
    }
}

/// The addresses that webhooks never reach, whatever the configuration allows: the gateway's own and EM's.
fn off_limits(own: Vec<SocketAddr>, upstream: &url::Url) -> Vec<webhooks::DeniedTarget> {
    let own = own.into_iter().map(webhooks::DeniedTarget::Listener);
    let mut places: Vec<_> = own.collect();
    if let (Some(host), Some(port)) = (upstream.host_str(), upstream.port_or_known_default()) {
        places.push(webhooks::DeniedTarget::Server {
            host: host.to_owned(),
            port,
        });
    }
    places
}

/// Wakes a worker after commits, a few times a second at the most.
async fn wake_after_commits(mut commits: tokio::sync::watch::Receiver<u64>, nudge: Nudge) {
    const PAUSE: Duration = Duration::from_millis(200);
    while commits.changed().await.is_ok() {
        nudge.now();
        tokio::time::sleep(PAUSE).await;
    }
}

/// Keeps the keys of issuers fresh.
fn drive_keys(verifier: &Verifier, tasks: &Tasks) {
    for (worker, nudge) in verifier.refreshes() {
        tasks.drive(worker, nudge);
    }
}

/// The same for a command that verifies a token and ends.
#[must_use]
pub fn fetch_keys(verifier: &Verifier) -> Tasks {
    let tasks = Tasks::new();
    drive_keys(verifier, &tasks);
    tasks
}

/// Adopts the logon sessions that the last process, however it ended, kept for unfinished tasks; those of a living
/// replica stay with it.
async fn resume_logons(store: &Store, em: &EmClient) -> Result<(), Error> {
    let needed: Vec<LogonId> = store
        .unfinished_operations()
        .await?
        .iter()
        .filter_map(|operation| operation.task.as_ref().and_then(|task| task.logon))
        .collect();
    for kept in store.kept_logons().await? {
        if !store.take_logon(kept.id).await? {
            continue;
        }
        let pins = needed.iter().filter(|id| **id == kept.id).count();
        for _ in 0..pins {
            if !em.resume_logon(&kept, true) {
                tracing::warn!(
                    account = kept.account,
                    "a logon session was kept for an account that is not configured"
                );
            }
        }
        if pins == 0 && em.resume_logon(&kept, true) {
            // No task needs it any more; as an ordinary session of the pool it is used and logged off like the others.
            em.release(kept.id);
        }
    }
    Ok(())
}
