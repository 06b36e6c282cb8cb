//! The verbs: whatever needs two rooms together.
//!
//! A handler in `http` calls one verb and wraps its answer; a verb knows no status code and no header, and takes the
//! context of its request first ([`OpContext`]). Invariant: what changes EM or the store in more than one step runs in a
//! tracked task, so that a caller who disconnects interrupts nothing. Tests: beside the files, and `tests/it/<noun>.rs`.
//!
//! | file | holds |
//! |---|---|
//! | `context` | who asks, and the slot for the operation |
//! | `plans`, `plan_edit`, `operations`, `sessions`, `events`, `webhooks`, `em` | the verbs, by noun |
//! | `submit`, `record_reply`, `ending`, `idempotency` | the life of a request that changes EM |
//! | `waiting` | callers who wait for the end of an operation |
//! | `page`, `readiness`, `json_value`, `error` | what several verbs share |

pub mod context;
pub mod em;
mod ending;
pub mod error;
pub mod events;
pub mod idempotency;
pub mod json_value;
pub mod operations;
pub mod page;
mod plan_edit;
pub mod plans;
pub mod readiness;
mod record_reply;
pub mod sessions;
pub mod submit;
mod waiting;
pub mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::SharedClock;
use crate::runtime::{Nudge, Tasks};
use crate::store::Store;
pub use crate::store::cursor::Cursor;
pub use crate::store::events::StoredEvent;
pub use crate::store::operations::OperationFilter;
use crate::upstream::EmClient;
pub use crate::upstream::{
    Error as UpstreamError, Kind as UpstreamFault, Page, PageRequest, SessionQuery, Sort, SortField,
};
pub use crate::webhooks::formats::supported as supported_formats;
pub use context::{OpContext, OperationSlot};
pub use error::{BusyWith, Error, FieldError};
pub use page::LogPage;

/// How many operations are read at a time for those who waited for them; fewer than the store's connections.
const MAX_CONCURRENT_READS: usize = 4;

/// The time limits that verbs work by.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long EM's answer to a request may take, everything included.
    pub answer: Duration,
    /// How long evidence of an operation of unknown outcome is looked for.
    pub unknown_after: Duration,
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
    /// Judges the addresses of webhooks.
    pub guard: crate::webhooks::EgressPolicy,
    /// How the sending of webhooks does.
    pub health: crate::webhooks::DispatcherHealth,
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
    reads: Arc<tokio::sync::Semaphore>,
    webhooks: webhooks::Webhooks,
    health: crate::webhooks::DispatcherHealth,
    limits: Limits,
}

impl App {
    /// Verbs over these rooms, within these limits.
    #[must_use]
    pub fn new(rooms: AppParts, limits: Limits) -> Self {
        let waiters = waiting::CompletionWaiters::default();
        let looking = {
            let store = rooms.store.clone();
            let ask = async move |ids: Vec<_>| store.open_among(&ids).await;
            waiters.clone().run(rooms.store.changes(), ask)
        };
        let stopping = rooms.tasks.stopping();
        rooms
            .tasks
            .spawn(async move { stopping.run_until_cancelled(looking).await });
        let webhooks = webhooks::Webhooks::new(rooms.store.clone(), rooms.guard, rooms.clock.clone());
        Self {
            em: rooms.em,
            store: rooms.store,
            clock: rooms.clock,
            tasks: rooms.tasks,
            watcher: rooms.watcher,
            waiters,
            reads: Arc::new(tokio::sync::Semaphore::new(MAX_CONCURRENT_READS)),
            webhooks,
            health: rooms.health,
            limits,
        }
    }

    /// The verbs for webhooks.
    #[must_use]
    pub const fn webhooks(&self) -> &webhooks::Webhooks {
        &self.webhooks
    }
}
