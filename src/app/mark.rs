//! Which operation a request became, for the edge: once the record is there, no answer to the request may keep quiet
//! about it, whatever then goes wrong. It accompanies the request's task, so that no verb can forget to pass it on.

use parking_lot::Mutex;
use std::sync::Arc;

use crate::domain::id::OperationId;

tokio::task_local! {
    static MARK: Mark;
}

/// Where a request leaves the operation that it became; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Mark(Arc<Mutex<Option<OperationId>>>);

impl Mark {
    /// Does `work`, the handling of a request, with this mark.
    pub async fn around<F: Future>(&self, work: F) -> F::Output {
        MARK.scope(self.clone(), work).await
    }

    /// The operation that is or may be there because of the request.
    #[must_use]
    pub fn operation(&self) -> Option<OperationId> {
        *self.0.lock()
    }

    /// The mark of the request at hand; nobody's where there is none.
    pub(super) fn of_this_request() -> Self {
        MARK.try_with(Clone::clone).unwrap_or_default()
    }

    pub(super) fn set(&self, operation: OperationId) {
        *self.0.lock() = Some(operation);
    }

    /// It turned out that there is none.
    pub(super) fn clear(&self) {
        *self.0.lock() = None;
    }
}
