//! Callers who wait for operations to end.
//!
//! All awaited operations are checked together, in one query after each change, so that thousands of waiting callers
//! cost the store no more than one. Callers who wait for the same operation share what is read at its end.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Error;
use super::operations::OperationView;
use crate::domain::id::OperationId;

/// How often awaited operations are checked without a change in this process, since another process may change one.
const CHECK_PERIOD: Duration = Duration::from_secs(1);

/// The waiters by operation; clones share them.
#[derive(Clone, Default)]
pub(super) struct CompletionWaiters(Arc<Inner>);

#[derive(Default)]
struct Inner {
    waiters: Mutex<HashMap<OperationId, Arc<Waiter>>>,
    added: Notify,
}

/// An operation that callers wait for.
#[derive(Default)]
pub(super) struct Waiter {
    finished: watch::Sender<bool>,
    /// The operation as read last, and when that read began.
    view: tokio::sync::Mutex<Option<(Instant, OperationView)>>,
}

impl CompletionWaiters {
    /// Waits for an operation from now on, with all others who do.
    pub(super) fn watch(&self, id: OperationId) -> Arc<Waiter> {
        let waiter = self.waiters().entry(id).or_default().clone();
        self.0.added.notify_one();
        waiter
    }

    /// Checks the awaited operations after each change, each new waiter and each period, until it is dropped.
    /// `still_open` returns those of the given operations that have not ended.
    pub(super) async fn run<E: std::error::Error + 'static>(
        self,
        mut changes: watch::Receiver<u64>,
        still_open: impl AsyncFn(Vec<OperationId>) -> Result<HashSet<OperationId>, E>,
    ) {
        loop {
            if self.waiters().is_empty() {
                self.0.added.notified().await;
            } else {
                tokio::select! {
                    () = self.0.added.notified() => {}
                    changed = changes.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                    () = tokio::time::sleep(CHECK_PERIOD) => {}
                }
            }
            self.check(&still_open).await;
        }
    }

    async fn check<E: std::error::Error + 'static>(
        &self,
        still_open: &impl AsyncFn(Vec<OperationId>) -> Result<HashSet<OperationId>, E>,
    ) {
        let awaited: Vec<OperationId> = {
            let mut waiters = self.waiters();
            // The map holds the last reference once every caller has gone.
            waiters.retain(|_, one| Arc::strong_count(one) > 1);
            waiters.keys().copied().collect()
        };
        if awaited.is_empty() {
            return;
        }
        match still_open(awaited.clone()).await {
            Ok(open) => {
                let mut waiters = self.waiters();
                for id in awaited.iter().filter(|id| !open.contains(id)) {
                    if let Some(one) = waiters.remove(id) {
                        one.finished.send_replace(true);
                    }
                }
            }
            // The callers keep waiting; the store may be back before their time is over.
            Err(error) => tracing::debug!(
                error = &error as &dyn std::error::Error,
                "operations that callers wait for could not be read"
            ),
        }
    }

    fn waiters(&self) -> MutexGuard<'_, HashMap<OperationId, Arc<Waiter>>> {
        self.0.waiters.lock()
    }
}

impl Waiter {
    /// Resolves when the operation has ended, is called unknown, or does not exist.
    pub(super) async fn finished(&self) {
        // It fails only when the sender is gone, and `self` owns the sender.
        let _ = self.finished.subscribe().wait_for(|finished| *finished).await;
    }

    /// The operation as it is now, by `read` or by the read that another waiting caller has begun since.
    pub(super) async fn view(
        &self,
        read: impl AsyncFnOnce() -> Result<OperationView, Error>,
    ) -> Result<OperationView, Error> {
        let called = Instant::now();
        let mut known = self.view.lock().await;
        if let Some((begun, view)) = &*known
            && *begun > called
        {
            return Ok(view.clone());
        }
        let begun = Instant::now();
        let view = read().await?;
        *known = Some((begun, view.clone()));
        Ok(view)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::runtime::Tasks;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn callers_who_wait_share_one_query() {
        let (here, there) = (
            OperationId::new(SystemClock.id()),
            OperationId::new(SystemClock.id()),
        );
        let open = Arc::new(Mutex::new(HashSet::from([here, there])));
        let asked = Arc::new(AtomicUsize::new(0));
        let (changed, changes) = watch::channel(0u64);
        let waiters = CompletionWaiters::default();
        let (still, count) = (open.clone(), asked.clone());
        let tasks = Tasks::new();
        let checking = tasks.spawn(waiters.clone().run(changes, async move |ids: Vec<OperationId>| {
            count.fetch_add(1, Ordering::Relaxed);
            assert!(ids.len() <= 2, "each once: {ids:?}");
            Ok::<_, std::io::Error>(still.lock().clone())
        }));
        let wait = |id| {
            let waiter = waiters.watch(id);
            tasks.spawn(async move { waiter.finished().await })
        };
        let waiting: Vec<_> = (0..300).map(|_| wait(here)).collect();
        let other = wait(there);
        let until_asked = async |more: usize| {
            let wanted = asked.load(Ordering::Relaxed) + more;
            let begun = Instant::now();
            while asked.load(Ordering::Relaxed) < wanted {
                assert!(begun.elapsed() < PATIENCE, "no query");
                tokio::task::yield_now().await;
            }
        };
        for _ in 0..10 {
            changed.send_modify(|turn| *turn += 1);
            until_asked(1).await;
        }
        assert!(asked.load(Ordering::Relaxed) < 300, "a query for each caller");
        open.lock().remove(&here);
        changed.send_modify(|turn| *turn += 1);
        for one in waiting {
            tokio::time::timeout(PATIENCE, one)
                .await
                .expect("woken")
                .expect("whole");
        }
        assert!(!other.is_finished(), "its operation has not ended");
        other.abort();
        checking.abort();
    }

    #[tokio::test]
    async fn a_query_that_fails_is_repeated() {
        let id = OperationId::new(SystemClock.id());
        let (_changed, changes) = watch::channel(0u64);
        let waiters = CompletionWaiters::default();
        let failing = AtomicUsize::new(2);
        let waiter = waiters.watch(id);
        let checking = waiters.run(changes, async |_: Vec<OperationId>| {
            match failing.load(Ordering::Relaxed) {
                0 => Ok(HashSet::new()),
                left => {
                    failing.store(left - 1, Ordering::Relaxed);
                    Err(std::io::Error::other("away"))
                }
            }
        });
        tokio::select! {
            () = checking => {}
            finished = tokio::time::timeout(PATIENCE, waiter.finished()) => finished.expect("woken in the end"),
        }
        assert_eq!(
            failing.load(Ordering::Relaxed),
            0,
            "a failed query woke the caller"
        );
    }
}
