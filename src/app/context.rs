//! The context of a request: its caller, and the slot for its operation. It is the first argument of every verb.
//!
//! A verb cannot be called without it, so that everything is recorded and decided for a known caller. A verb leaves the
//! operation in the slot as soon as its row may exist; from then on every answer names it, errors included.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::access::{Caller, Principal, Tenancy};
use crate::domain::audit::Detail;
use crate::domain::id::OperationId;

/// One request as the verbs see it.
#[derive(Debug, Clone)]
pub struct OpContext {
    /// The caller, by a verified token.
    pub caller: Arc<Caller>,
    /// The request's id, as in `x-request-id`, problems and the log.
    pub request_id: Arc<str>,
    /// The client's address, behind trusted proxies; absent where the server does not know it.
    pub client: Option<IpAddr>,
    /// Holds the operation that the request becomes.
    pub operation: OperationSlot,
    /// How it came.
    pub channel: Channel,
    /// The `traceparent` that what comes of it points to, where it is traced.
    pub traceparent: Option<Arc<str>>,
}

/// What a request shows for its caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Channel {
    /// A token, or a ticket that stands for one.
    #[default]
    Token,
    /// A session of the console.
    Console,
    /// The gateway's own, of a schedule, on behalf of who set that.
    Schedule(Principal),
}

impl Channel {
    /// What the audit log says of it.
    pub(super) fn detail(&self) -> Option<(&'static str, Detail)> {
        match self {
            Self::Token | Self::Schedule(_) => None,
            Self::Console => Some(("channel", "console".into())),
        }
    }
}

impl OpContext {
    /// Whose things the caller may see: what every read takes.
    #[must_use]
    pub fn tenancy(&self) -> &Tenancy {
        &self.caller.tenancy
    }

    /// On whose behalf, where the caller is a schedule.
    #[must_use]
    pub const fn on_behalf_of(&self) -> Option<&Principal> {
        match &self.channel {
            Channel::Schedule(who) => Some(who),
            Channel::Token | Channel::Console => None,
        }
    }

    /// Whom policies judge: who set the schedule, where the caller is one.
    pub(super) fn accountable(&self) -> Cow<'_, Caller> {
        match self.on_behalf_of() {
            Some(who) => Cow::Owned(Caller {
                name: who.name.clone(),
                issuer: who.issuer.clone(),
                ..(*self.caller).clone()
            }),
            None => Cow::Borrowed(&*self.caller),
        }
    }

    /// The same request as if its caller saw the things of `tenancy`.
    pub(super) fn seeing(&self, tenancy: Tenancy) -> Self {
        let mut context = self.clone();
        Arc::make_mut(&mut context.caller).tenancy = tenancy;
        context
    }
}

/// Holds the operation that a request became; clones share it.
#[derive(Debug, Clone, Default)]
pub struct OperationSlot(Arc<Mutex<Option<OperationId>>>);

impl OperationSlot {
    /// The operation that exists, or may exist, because of the request.
    #[must_use]
    pub fn get(&self) -> Option<OperationId> {
        *self.0.lock()
    }

    /// Records that the operation exists, or may exist.
    pub(super) fn set(&self, id: OperationId) {
        *self.0.lock() = Some(id);
    }

    /// Records that there is none.
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
