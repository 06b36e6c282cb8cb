//! Turns: how many callers may be under way in an account's sessions at a time. Their number follows the share.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of one account.
pub(super) struct FairQueue {
    semaphore: Arc<Semaphore>,
    size: Mutex<Size>,
}

struct Size {
    wished: usize,
    /// Turns that are out and go when they come back.
    surplus: usize,
}

/// One turn; dropping it gives it back.
pub(super) struct Turn {
    turns: Arc<FairQueue>,
    permit: Option<OwnedSemaphorePermit>,
}

impl FairQueue {
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            semaphore: Arc::new(Semaphore::new(count)),
            size: Mutex::new(Size {
                wished: count,
                surplus: 0,
            }),
        })
    }

    /// The next turn, in the order of asking; none any more once they were closed.
    pub async fn take(self: &Arc<Self>) -> Option<Turn> {
        let permit = self.semaphore.clone().acquire_owned().await.ok()?;
        Some(Turn {
            turns: self.clone(),
            permit: Some(permit),
        })
    }

    /// From now on there are so many. Those that are out stay out until they come back.
    pub fn resize(&self, count: usize) {
        let mut size = self.lock();
        if let Some(more) = count.checked_sub(size.wished) {
            let kept = more.min(size.surplus);
            size.surplus -= kept;
            self.semaphore.add_permits(more - kept);
        } else {
            let fewer = size.wished - count;
            size.surplus += fewer - self.semaphore.forget_permits(fewer);
        }
        size.wished = count;
    }

    /// Gives out no more, and wakes those who wait.
    pub fn close(&self) {
        self.semaphore.close();
    }

    fn lock(&self) -> MutexGuard<'_, Size> {
        self.size.lock()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut size = self.turns.lock();
        if let Some(permit) = self.permit.take() {
            if size.surplus > 0 {
                size.surplus -= 1;
                permit.forget();
            } else {
                // Under the lock, or a change of size at this moment would miss it.
                drop(permit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn take(turns: &Arc<FairQueue>) -> Option<Turn> {
        turns.take().now_or_never().flatten()
    }

    fn take_all(turns: &Arc<FairQueue>) -> Vec<Turn> {
        std::iter::from_fn(|| take(turns)).collect()
    }

    #[tokio::test]
    async fn fewer_turns_take_effect_as_those_that_are_out_come_back() {
        let turns = FairQueue::new(4);
        let mut out = take_all(&turns);
        assert_eq!(out.len(), 4);
        turns.resize(1);
        for left in [3, 2, 1] {
            out.pop();
            assert_eq!(out.len(), left);
            assert!(take(&turns).is_none(), "{left} are still out");
        }
        out.pop();
        assert_eq!(take_all(&turns).len(), 1);
    }

    #[tokio::test]
    async fn new_turns_first_cancel_pending_removals() {
        let turns = FairQueue::new(3);
        let out = take_all(&turns);
        turns.resize(1);
        turns.resize(4);
        let more = take_all(&turns);
        assert_eq!((out.len(), more.len()), (3, 1));
        drop((out, more));
        assert_eq!(take_all(&turns).len(), 4);
        turns.resize(0);
        assert!(take(&turns).is_none());
        turns.resize(2);
        assert_eq!(take_all(&turns).len(), 2);
    }

    #[tokio::test]
    async fn a_waiter_gets_a_new_turn_unless_the_queue_is_closed() {
        let turns = FairQueue::new(0);
        let (held, ()) = tokio::join!(turns.take(), async { turns.resize(1) });
        assert!(held.is_some());
        let (none, ()) = tokio::join!(turns.take(), async { turns.close() });
        assert!(none.is_none());
    }
}
