//! The verbs: each use case that needs two modules together. A handler in `http` calls one verb and wraps its answer.
//!
//! A verb never knows a status code or a header. Invariant: what changes EM or the store in more than one step runs in a
//! tracked task, so that a caller who disconnects interrupts nothing. Every verb takes the context of its request first
//! ([`OpContext`]). Tests: beside the files, and `tests/it/<noun>.rs`.
//!
//! | file | holds |
//! |---|---|
//! | `context` | the caller, and the slot for the operation |
//! | `plans`, `plan_requests`, `plan_edit`, `operations`, `sessions`, `events`, `webhooks`, `em` | the verbs, by noun |
//! | `audit` | what verbs tell the audit log, refusals, reading it |
//! | `intent`, `submit`, `record_reply`, `ending`, `idempotency` | the life of a request that changes EM |
//! | `busy` | whether a plan is free |
//! | `evidence` | objectives of plans, what is kept of failovers, their reports |
//! | `policies`, `approvals`, `approval_clock`, `dry_run` | what policies hold back, and what a request would become |
//! | `waiting` | callers who wait for the end of an operation |
//! | `streams` | the events of the log as they are written, for callers who stay |
//! | `tickets` | what stands for a token where a request cannot carry one |
//! | `page`, `readiness`, `json_value`, `error` | what several verbs share |

mod approval_clock;
mod approvals;
pub mod audit;
mod busy;
pub mod config;
pub mod console;
pub mod context;
pub mod dry_run;
pub mod em;
mod ending;
pub mod error;
pub mod events;
pub mod evidence;
pub mod idempotency;
pub mod intent;
pub mod json_value;
pub mod operations;
pub mod page;
mod plan_edit;
pub mod plan_requests;
pub mod plans;
mod policies;
pub mod readiness;
mod record_reply;
pub mod sessions;
pub mod streams;
pub mod submit;
pub mod system;
pub mod tickets;
mod waiting;
pub mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::SharedClock;
use crate::domain::access::Tenancy;
use crate::domain::evidence::objectives::Objectives;
use crate::domain::policy::Policies;
pub use crate::reports::Format as ReportFormat;
use crate::runtime::{Nudge, Tasks};
use crate::store::Store;
pub use crate::store::cursor::Cursor;
pub use crate::store::events::StoredEvent;
pub use crate::store::operations::OperationFilter;
use crate::upstream::EmClient;
pub use crate::upstream::mirror::Source;
pub use crate::upstream::{
    Error as UpstreamError, Kind as UpstreamFault, Page, PageRequest, SessionQuery, Sort, SortField,
};
pub use crate::webhooks::formats::supported as supported_formats;
pub use approval_clock::ApprovalClock;
pub use context::{Channel, OpContext, OperationSlot};
pub use error::{BusyWith, Error, FieldError};
pub use evidence::{PlanGauges, Recorder, Scheduler, SettingsKeeper};
pub use page::LogPage;

/// The most operations that are read at a time for waiting callers; fewer than the store's connections.
const MAX_CONCURRENT_READS: usize = 4;

/// The time limits that verbs work by.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long EM's answer to a request may take, everything included.
    pub answer: Duration,
    /// After how long an operation of unknown outcome without evidence is called unknown.
    pub unknown_after: Duration,
    /// How many webhook endpoints there may be.
    pub endpoints: usize,
    /// How long events are kept.
    pub events_kept: Duration,
    /// The longest time of an attempt that a webhook endpoint may ask for.
    pub attempt: Duration,
    /// How often EM is looked at while a failover runs.
    pub look_every: Duration,
}

/// What the verbs are made of.
pub struct AppParts {
    /// EM.
    pub em: EmClient,
    /// The store.
    pub store: Store,
    /// The clock.
    pub clock: SharedClock,
    /// Where work goes that must come to its end.
    pub tasks: Tasks,
    /// Wakes the watcher.
    pub watcher: Nudge,
    /// Checks the addresses of webhooks.
    pub guard: crate::webhooks::EgressPolicy,
    /// The health of the webhook dispatcher.
    pub health: crate::webhooks::DispatcherHealth,
    /// What is allowed with plans.
    pub policies: Policies,
    /// What templates and previews of webhooks are rendered from.
    pub messages: webhooks::Messages,
    /// What is wanted of plans without objectives of their own.
    pub objectives: Objectives,
    /// The configuration as operators may see it.
    pub configuration: serde_json::Value,
    /// What makes the pages of reports, in the place of the built-in template.
    pub template: Option<config::ReportTemplate>,
}

/// What the verbs work with; clones share it.
#[derive(Clone)]
pub struct App {
    em: EmClient,
    store: Store,
    clock: SharedClock,
    tasks: Tasks,
    watcher: Nudge,
    waiters: waiting::CompletionWaiters,
    feed: Arc<streams::Feed>,
    reads: Arc<tokio::sync::Semaphore>,
    webhooks: webhooks::Webhooks,
    health: crate::webhooks::DispatcherHealth,
    policies: Arc<Policies>,
    objectives: Arc<Objectives>,
    itself: system::Itself,
    settings: evidence::KnownSettings,
    template: Arc<Option<config::ReportTemplate>>,
    limits: Limits,
    /// The last event that those see who see the same things, for each in which state of the store, and when that was read.
    positions: Arc<quick_cache::sync::Cache<Tenancy, streams::KnownPosition>>,
}

/// For how many sets of tenants the end of the log is remembered.
const MOST_POSITIONS: usize = 1000;

impl App {
    /// Verbs over these parts, within these limits.
    #[must_use]
    pub fn new(parts: AppParts, limits: Limits) -> Self {
        let waiters = waiting::CompletionWaiters::default();
        let watching = {
            let store = parts.store.clone();
            let still_open = async move |ids: Vec<_>| store.open_among(&ids).await;
            waiters.clone().run(parts.store.changes(), still_open)
        };
        let stopping = parts.tasks.stopping();
        parts
            .tasks
            .spawn(async move { stopping.run_until_cancelled(watching).await });
        let feed = Arc::new(streams::Feed::new(parts.store.for_workers()));
        let (stopping, reading) = (parts.tasks.stopping(), feed.clone().run());
        parts
            .tasks
            .spawn(async move { stopping.run_until_cancelled(reading).await });
        let webhooks = webhooks::Webhooks::new(parts.store.clone(), parts.guard, parts.clock.clone());
        let webhooks = webhooks
            .with_at_most(limits.endpoints)
            .with_events_kept(limits.events_kept)
            .with_max_timeout(limits.attempt)
            .with_messages(parts.messages);
        let itself = system::Itself::new(parts.clock.now(), parts.configuration);
        Self {
            em: parts.em,
            store: parts.store,
            clock: parts.clock,
            tasks: parts.tasks,
            watcher: parts.watcher,
            waiters,
            feed,
            reads: Arc::new(tokio::sync::Semaphore::new(MAX_CONCURRENT_READS)),
            webhooks,
            health: parts.health,
            policies: Arc::new(parts.policies),
            objectives: Arc::new(parts.objectives),
            itself,
            settings: evidence::KnownSettings::default(),
            template: Arc::new(parts.template),
            limits,
            positions: Arc::new(quick_cache::sync::Cache::new(MOST_POSITIONS)),
        }
    }

    /// The state of the store, for what is made of it: the same number means the same content. None where other processes
    /// change it as well.
    #[must_use]
    pub fn store_revision(&self) -> Option<u64> {
        let revision = self.store.revision();
        revision.is_alone.then_some(revision.commits)
    }

    /// The signal that the gateway stops.
    #[must_use]
    pub fn stopping(&self) -> tokio_util::sync::CancellationToken {
        self.tasks.stopping()
    }

    /// The verbs for webhooks.
    #[must_use]
    pub const fn webhooks(&self) -> &webhooks::Webhooks {
        &self.webhooks
    }
}
