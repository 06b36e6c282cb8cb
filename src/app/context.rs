//! Who asks, and what became of it: the first argument of every verb.
//!
//! A verb cannot be called without it, so that what is recorded, decided and answered is always recorded, decided and
//! answered for somebody. It carries the slot in which a verb leaves the operation that the request became: from the
//! moment its row may be there, every answer names it, whatever goes wrong afterwards.

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::access::Caller;
use crate::domain::id::OperationId;

/// One request as the verbs see it.
#[derive(Debug, Clone)]
pub struct OpContext {
    /// Who asks, by a verified token.
    pub caller: Caller,
    /// The request's id, as in `x-request-id`, problems and the log.
    pub request_id: String,
    /// The address that asks, behind trusted proxies; absent where the server does not know it.
    pub client: Option<IpAddr>,
    /// Where the operation is left that the request becomes.
    pub operation: OperationSlot,
}

/// Holds the operation that a request became; clones share it.
#[derive(Debug, Clone, Default)]
pub struct OperationSlot(Arc<Mutex<Option<OperationId>>>);

impl OperationSlot {
    /// The operation that is there, or may be, because of the request.
    #[must_use]
    pub fn get(&self) -> Option<OperationId> {
        *self.0.lock()
    }

    /// Notes that the operation is there, or may be.
    pub(super) fn set(&self, id: OperationId) {
        *self.0.lock() = Some(id);
    }

    /// Notes that there is none.
    pub(super) fn clear(&self) {
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn clones_of_a_slot_share_the_operation() {
        let slot = OperationSlot::default();
        assert_eq!(slot.get(), None);
        let id = OperationId::new(SystemClock.id());
        slot.clone().set(id);
        assert_eq!(slot.get(), Some(id));
        slot.clone().clear();
        assert_eq!(slot.get(), None);
    }
}
