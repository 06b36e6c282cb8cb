//! The program's background work: workers that are activated by a period or a nudge, tracked tasks, and the one
//! signal that ends them.
//!
//! A worker reads the store, does what is due and returns; a nudge only saves time, the row is the message. A
//! worker that panics ends the process, because a running process without a watcher would seem healthy.

pub mod memory;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::telemetry::{names, traces};

/// Wakes a worker before its period is over. Nudges given while it works are not lost: they cause one more turn.
#[derive(Debug, Clone, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// Asks for a turn as soon as possible.
    pub fn now(&self) {
        self.0.notify_one();
    }

    /// Waits for a nudge, `period` at most.
    pub async fn wait(&self, period: Duration) {
        let _ = tokio::time::timeout(period, self.0.notified()).await;
    }
}

/// What an activation found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// More is due already: run again at once.
    Again,
    /// Nothing is due before this much time has passed.
    Rest(Duration),
}

/// Something that is activated again and again.
pub trait Worker: Send + 'static {
    /// The worker's name in logs.
    const NAME: &'static str;

    /// Does what is due. Twice in a row must be harmless.
    fn activate(&mut self) -> impl Future<Output = Turn> + Send;
}

/// The program's tracked tasks and the signal that ends them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    failed: CancellationToken,
}

impl Tasks {
    /// No task yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns work that must be completed even if its caller disconnects (a caller that hangs up must not stop a
    /// failover half way). It is a part of what it is spawned in, for the traces.
    pub fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(traces::carried(work))
    }

    /// Runs `worker` until the program stops.
    pub fn drive<W: Worker>(&self, mut worker: W, nudge: Nudge) {
        let stop = self.stop.clone();
        let guard = FailureGuard {
            name: W::NAME,
            stop: stop.clone(),
            failed: self.failed.clone(),
        };
        self.tracker.spawn(async move {
            let _guard = guard;
            while !stop.is_cancelled() {
                let turn = worker.activate().await;
                let outcome = if turn == Turn::Again { "again" } else { "rest" };
                metrics::counter!(names::WORKER_TURNS, "worker" => W::NAME, "outcome" => outcome)
                    .increment(1);
                match turn {
                    Turn::Again => tokio::task::yield_now().await,
                    Turn::Rest(period) => {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = nudge.wait(period) => {}
                        }
                    }
                }
            }
        });
    }

    /// The signal that work should end.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Resolves when a worker has ended unexpectedly.
    pub async fn worker_failed(&self) {
        self.failed.cancelled().await;
    }

    /// Asks all work to end and waits for it, `limit` at most. True when everything ended in time.
    pub async fn stop(&self, limit: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

struct FailureGuard {
    name: &'static str,
    stop: CancellationToken,
    failed: CancellationToken,
}

impl Drop for FailureGuard {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            tracing::error!(worker = self.name, "a worker ended by itself; the process stops");
            self.failed.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counting(Arc<AtomicUsize>, Nudge);

    impl Worker for Counting {
        const NAME: &'static str = "counting";
        async fn activate(&mut self) -> Turn {
            assert!(
                self.0.fetch_add(1, Ordering::SeqCst) < 2,
                "a worker that fails on its third turn"
            );
            self.1.now();
            Turn::Rest(Duration::from_hours(1))
        }
    }

    #[tokio::test]
    async fn a_worker_that_panics_is_noticed() {
        let tasks = Tasks::new();
        let nudge = Nudge::default();
        let turns = Arc::new(AtomicUsize::new(0));
        tasks.drive(Counting(turns.clone(), nudge.clone()), nudge);
        tokio::time::timeout(Duration::from_secs(5), tasks.worker_failed())
            .await
            .expect("noticed");
        assert_eq!(turns.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn stopping_waits_for_tracked_tasks() {
        let tasks = Tasks::new();
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let handle = tasks.spawn(async move { receiver.await.is_ok() });
        assert!(!tasks.stop(Duration::from_millis(10)).await);
        sender.send(()).expect("the task waits");
        assert!(tasks.stop(Duration::from_secs(5)).await);
        assert!(handle.await.expect("joined"));
    }
}
