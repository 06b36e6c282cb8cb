//! Who waits for operations to end.
//!
//! All operations that somebody waits for are looked at together, in one query each time something changed: thousands
//! of callers who wait cost the store no more than one. Those who wait for the same one share what is read at the end.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Error;
use super::operations::OperationView;
use crate::domain::id::OperationId;

/// How often operations are looked at while they are waited for, in case another process changed one.
const STEP: Duration = Duration::from_secs(1);

/// Knows who waits for what; clones share it.
#[derive(Clone, Default)]
pub(super) struct CompletionWaiters(Arc<Inner>);

#[derive(Default)]
struct Inner {
    waited: Mutex<HashMap<OperationId, Arc<Waiter>>>,
    came: Notify,
}

/// An operation that somebody waits for.
#[derive(Default)]
pub(super) struct Waiter {
    over: watch::Sender<bool>,
    /// As it was read last, and when that began.
    view: tokio::sync::Mutex<Option<(Instant, OperationView)>>,
}

impl CompletionWaiters {
    /// Waits for an operation from now on, with all others who do.
    pub(super) fn watch(&self, id: OperationId) -> Arc<Waiter> {
        let waited = self.waited().entry(id).or_default().clone();
        self.0.came.notify_one();
        waited
    }

    /// Looks whenever something changed, somebody came or a while has passed, until it is dropped. `ask` tells which
    /// of these operations have not ended.
    pub(super) async fn run<E: std::error::Error + 'static>(
        self,
        mut changes: watch::Receiver<u64>,
        ask: impl AsyncFn(Vec<OperationId>) -> Result<HashSet<OperationId>, E>,
    ) {
        loop {
            if self.waited().is_empty() {
                self.0.came.notified().await;
            } else {
                tokio::select! {
                    () = self.0.came.notified() => {}
                    changed = changes.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                    () = tokio::time::sleep(STEP) => {}
                }
            }
            self.look(&ask).await;
        }
    }

    async fn look<E: std::error::Error + 'static>(
        &self,
        ask: &impl AsyncFn(Vec<OperationId>) -> Result<HashSet<OperationId>, E>,
    ) {
        let asked: Vec<OperationId> = {
            let mut waited = self.waited();
            // Nobody else holds it: all who waited have gone.
            waited.retain(|_, one| Arc::strong_count(one) > 1);
            waited.keys().copied().collect()
        };
        if asked.is_empty() {
            return;
        }
        match ask(asked.clone()).await {
            Ok(open) => {
                let mut waited = self.waited();
                for id in asked.iter().filter(|id| !open.contains(id)) {
                    if let Some(one) = waited.remove(id) {
                        one.over.send_replace(true);
                    }
                }
            }
            // They go on waiting; the store may be back before their time is over.
            Err(error) => tracing::debug!(
                error = &error as &dyn std::error::Error,
                "operations that callers wait for could not be read"
            ),
        }
    }

    fn waited(&self) -> MutexGuard<'_, HashMap<OperationId, Arc<Waiter>>> {
        self.0.waited.lock()
    }
}

impl Waiter {
    /// Resolves when the operation has ended, is called unknown, or is not there.
    pub(super) async fn over(&self) {
        // It fails when the sender is gone, which is this.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// The operation as it is now: as `read` reads it, or somebody else who waits has begun to read it since.
    pub(super) async fn view(
        &self,
        read: impl AsyncFnOnce() -> Result<OperationView, Error>,
    ) -> Result<OperationView, Error> {
        let came = Instant::now();
        let mut known = self.view.lock().await;
        if let Some((begun, view)) = &*known
            && *begun > came
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
    async fn hundreds_who_wait_are_looked_after_together_and_woken_when_theirs_is_over() {
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
        let looking = tasks.spawn(waiters.clone().run(changes, async move |ids: Vec<OperationId>| {
            count.fetch_add(1, Ordering::Relaxed);
            assert!(ids.len() <= 2, "each once: {ids:?}");
            Ok::<_, std::io::Error>(still.lock().clone())
        }));
        let wait = |id| {
            let waited = waiters.watch(id);
            tasks.spawn(async move { waited.over().await })
        };
        let waiting: Vec<_> = (0..300).map(|_| wait(here)).collect();
        let other = wait(there);
        let until_asked = async |more: usize| {
            let wanted = asked.load(Ordering::Relaxed) + more;
            let begun = Instant::now();
            while asked.load(Ordering::Relaxed) < wanted {
                assert!(begun.elapsed() < PATIENCE, "nobody looks");
                tokio::task::yield_now().await;
            }
        };
        for _ in 0..10 {
            changed.send_modify(|turn| *turn += 1);
            until_asked(1).await;
        }
        assert!(asked.load(Ordering::Relaxed) < 300, "a look for each who waits");
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
        looking.abort();
    }

    #[tokio::test]
    async fn a_look_that_fails_wakes_nobody_and_is_made_again() {
        let id = OperationId::new(SystemClock.id());
        let (_changed, changes) = watch::channel(0u64);
        let waiters = CompletionWaiters::default();
        let failing = AtomicUsize::new(2);
        let waited = waiters.watch(id);
        let looking = waiters.run(changes, async |_: Vec<OperationId>| {
            match failing.load(Ordering::Relaxed) {
                0 => Ok(HashSet::new()),
                left => {
                    failing.store(left - 1, Ordering::Relaxed);
                    Err(std::io::Error::other("away"))
                }
            }
        });
        tokio::select! {
            () = looking => {}
            over = tokio::time::timeout(PATIENCE, waited.over()) => over.expect("woken in the end"),
        }
        assert_eq!(
            failing.load(Ordering::Relaxed),
            0,
            "the looks that failed woke nobody"
        );
    }
}
