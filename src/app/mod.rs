//! The verbs: whatever needs two rooms together.
//!
//! A handler at the edge calls one verb and wraps its answer; a verb knows no status code and no header. What changes
//! EM or the store in more than one step runs in a tracked task, so that a caller who hangs up stops nothing.

pub mod context;
pub mod em;
pub mod error;
pub mod events;
pub mod idempotency;
pub mod json_value;
pub mod operations;
mod plan_edit;
pub mod plans;
mod record_reply;
pub mod sessions;
pub mod submit;
mod waiting;
pub mod webhooks;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

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

    /// Whether the gateway is ready to take work, check by check.
    pub async fn readiness(&self) -> Readiness {
        let mut checks = Vec::new();
        let answers = self.store.ping().await.is_ok();
        let refused = self.store.refuses_writes();
        checks.push(Check {
            since: refused.map(|(since, _)| since),
            reason: match refused {
                _ if !answers => Some("it does not answer".into()),
                Some((_, refusal)) => Some(refusal.reason().into()),
                None => None,
            },
            ..Check::required("store", answers && refused.is_none())
        });
        let baseline = self.store.observation().await.is_ok_and(|number| number > 0);
        checks.push(Check::required("baseline", baseline));
        checks.push(Check::required("running", !self.tasks.stopping().is_cancelled()));
        let observed = self.store.observed().await.ok().flatten();
        let late = observed.is_none_or(|observed| {
            let late_after = observed.late_after;
            late_after.is_some_and(|late_after| self.clock.now() > late_after)
        });
        checks.push(Check {
            name: "observation",
            ok: !late,
            required: false,
            since: observed.filter(|_| late).map(|observed| observed.at),
            reason: late.then_some("failover sessions have not been fully observed since".into()),
        });
        let health = self.em.health();
        checks.push(Check {
            name: "upstream",
            ok: health.up,
            required: false,
            since: health.since,
            reason: None,
        });
        // EM that refuses the credentials is there and of no use.
        let refused = self.em.refused_since();
        checks.push(Check {
            name: "logon",
            ok: refused.is_none(),
            required: false,
            since: refused,
            reason: None,
        });
        let unsent = self.health.failing();
        checks.push(Check::advisory("webhooks", unsent));
        let unreadable = self.store.unreadable_since();
        let unreadable = unreadable.map(|since| {
            (
                since,
                "rows cannot be read and are passed over; the log names them",
            )
        });
        checks.push(Check::advisory("store-rows", unreadable));
        checks.push(Check::advisory("records", self.em.damaged_records()));
        let ahead = "it is ahead of what the store remembers by more than an absence explains";
        let doubted = self.store.clock_doubted().map(|since| (since, ahead));
        checks.push(Check::advisory("clock", doubted));
        // Before they are done there are no verbs to ask.
        checks.push(Check::required("migrations", true));
        Readiness { checks }
    }
}

/// One thing readiness looks at.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// Whether it is well.
    pub ok: bool,
    /// Whether the gateway can take no work without it.
    pub required: bool,
    /// Since when it is as it is, where that is known.
    pub since: Option<Timestamp>,
    /// Why it is not well, where that is known.
    pub reason: Option<Cow<'static, str>>,
}

impl Check {
    /// Something without which the gateway works on, and since when and why it is not well.
    fn advisory(name: &'static str, trouble: Option<(Timestamp, impl Into<Cow<'static, str>>)>) -> Self {
        let (since, reason) = trouble.unzip();
        Self {
            name,
            ok: since.is_none(),
            required: false,
            since,
            reason: reason.map(Into::into),
        }
    }

    const fn required(name: &'static str, ok: bool) -> Self {
        Self {
            name,
            ok,
            required: true,
            since: None,
            reason: None,
        }
    }
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// In the order in which they are told.
    pub checks: Vec<Check>,
}

impl Readiness {
    /// Whether work can be taken.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| check.ok || !check.required)
    }

    /// Whether everything is well.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }
}

/// A page of a log, newest or oldest first as the list says.
#[derive(Debug, Clone)]
pub struct LogPage<T, C> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<C>,
    /// Where the page before begins, if there is one.
    pub previous: Option<C>,
}

impl<T, I: Copy> LogPage<T, Cursor<I>> {
    /// The page that `cursor` asks for, out of up to one item more than it holds: so it is known whether there are more.
    fn cut(mut items: Vec<T>, cursor: Option<Cursor<I>>, size: usize, id: impl Fn(&T) -> I) -> Self {
        let overflows = items.len() > size;
        let backwards = matches!(cursor, Some(Cursor::Before(_)));
        if overflows && backwards {
            items.remove(0);
        }
        items.truncate(size);
        let next = (backwards || overflows)
            .then(|| items.last().map(|last| Cursor::After(id(last))))
            .flatten();
        let goes_back = if backwards { overflows } else { cursor.is_some() };
        let previous = goes_back
            .then(|| items.first().map(|first| Cursor::Before(id(first))))
            .flatten();
        Self {
            items,
            next,
            previous,
        }
    }
}

/// How many items to read for a page of `size`.
fn one_more(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1)
}
