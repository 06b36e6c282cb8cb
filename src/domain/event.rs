//! Events: their types as one table, and what routes them to endpoints.

use jiff::Timestamp;

use super::id::{EmId, EventId, OperationId};

macro_rules! event_types {
    ($($variant:ident = $word:literal, opt_in: $opt_in:literal, $meaning:literal;)*) => {
        /// What an event says (docs/behaviour.md#events).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventType { $(#[doc = $meaning] $variant,)* }

        impl EventType {
            /// Every event type there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in the body.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it says, for the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// Whether an endpoint gets it only when it names it.
            #[must_use]
            pub const fn opt_in(self) -> bool {
                match self { $(Self::$variant => $opt_in,)* }
            }
        }
    };
}

event_types! {
    SessionStarted = "failover.session.started", opt_in: false, "A failover session was seen for the first time.";
    SessionProgressed = "failover.session.progressed", opt_in: true, "A failover session changed while it runs.";
    MachineFinished = "failover.vm.finished", opt_in: true, "One machine of a failover session reached its end.";
    SessionFinished = "failover.session.finished", opt_in: false, "A failover session ended.";
    SessionLost = "failover.session.lost", opt_in: false, "Enterprise Manager no longer knows a failover session that had not ended.";
    OperationFinished = "failover.operation.finished", opt_in: false, "An operation without a session of its own ended, or an operation ended in state unknown.";
    EndpointFailing = "webhook.endpoint.failing", opt_in: false, "A webhook endpoint has not taken anything for 15 minutes.";
    EndpointRecovered = "webhook.endpoint.recovered", opt_in: false, "A failing webhook endpoint takes deliveries again.";
    EndpointDisabled = "webhook.endpoint.disabled", opt_in: false, "A webhook endpoint was disabled by the gateway.";
    UpstreamUnavailable = "upstream.unavailable", opt_in: false, "Enterprise Manager does not answer.";
    UpstreamRecovered = "upstream.recovered", opt_in: false, "Enterprise Manager answers again.";
    WebhookTest = "webhook.test", opt_in: true, "A test that somebody asked for.";
}

impl EventType {
    /// Reads the word in a body or a request.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// An event on its way into the log. `body` is made once and sent unchanged on every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id, which is also its `webhook-id`.
    pub id: EventId,
    /// What it says.
    pub kind: EventType,
    /// When the gateway saw it.
    pub at: Timestamp,
    /// The JSON body `{"type","timestamp","data"}`.
    pub body: String,
    /// Whom it concerns.
    pub routing: Routing,
}

/// What filters look at, beside the body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    /// The failover session it is about; the order key of its deliveries.
    pub session: Option<EmId>,
    /// The event's number within its session, from 1.
    pub sequence: Option<i64>,
    /// The plan it is about.
    pub plan: Option<EmId>,
    /// The tenant it is about: id and name.
    pub tenant: Option<super::plan::Reference>,
    /// The result it reports: `success`, `warning`, `failed`, `cancelled`, or EM's word in lowerCamelCase.
    pub result: Option<String>,
    /// The operation it is about.
    pub operation: Option<OperationId>,
    /// Whether it tells that operation's end, and so is what a one-off callback waits for.
    pub ends_operation: bool,
    /// The endpoint it is about, which never gets it itself.
    pub about_endpoint: Option<super::id::EndpointId>,
}
