//! Events: their types as one table, and what routes them to endpoints.

use jiff::Timestamp;

use super::id::{EmId, EventId, OperationId};
use super::words::words;

// A new type goes to every endpoint that names no types, unless `opt_in` below says otherwise.
words! {
    /// What an event says (docs/behaviour.md#events).
    pub enum EventType {
        /// A failover session was observed for the first time.
        SessionStarted = "failover.session.started",
        /// A failover session changed while it runs.
        SessionProgressed = "failover.session.progressed",
        /// One machine of a failover session finished.
        MachineFinished = "failover.vm.finished",
        /// A failover session ended.
        SessionFinished = "failover.session.finished",
        /// Enterprise Manager no longer knows a failover session that had not ended.
        SessionLost = "failover.session.lost",
        /// An operation without a failover session ended, or an operation ended in state `unknown`.
        OperationFinished = "failover.operation.finished",
        /// An operation waits for approval.
        ApprovalRequested = "failover.approval.requested",
        /// An operation's wait for approval ended: it was approved and submitted, or ended without having been sent.
        ApprovalDecided = "failover.approval.decided",
        /// A recovery report, or a new revision of one, is there.
        ReportReady = "recovery.report.ready",
        /// A plan should have been tested by now; told once a day at the most.
        TestOverdue = "recovery.test.overdue",
        /// A scheduled test was not run.
        TestSkipped = "recovery.test.skipped",
        /// Where the audit log ends, once a day: a copy of it that lies elsewhere shows that rows before it were changed.
        AuditCheckpoint = "audit.checkpoint",
        /// A webhook endpoint has accepted no delivery for 15 minutes.
        EndpointFailing = "webhook.endpoint.failing",
        /// A failing webhook endpoint accepts deliveries again.
        EndpointRecovered = "webhook.endpoint.recovered",
        /// A webhook endpoint was disabled by the gateway.
        EndpointDisabled = "webhook.endpoint.disabled",
        /// Enterprise Manager does not answer.
        UpstreamUnavailable = "upstream.unavailable",
        /// Enterprise Manager answers again.
        UpstreamRecovered = "upstream.recovered",
        /// A test that a caller requested.
        WebhookTest = "webhook.test",
    }
}

impl EventType {
    /// Whether an endpoint gets it only when it names it.
    #[must_use]
    pub const fn opt_in(self) -> bool {
        matches!(
            self,
            Self::SessionProgressed
                | Self::MachineFinished
                | Self::ReportReady
                | Self::AuditCheckpoint
                | Self::WebhookTest
        )
    }
}

/// An event on its way into the log. `body` is made once and sent unchanged on every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id, which is also its `webhook-id`.
    pub id: EventId,
    /// Its type.
    pub kind: EventType,
    /// When the gateway observed it.
    pub at: Timestamp,
    /// The JSON body `{"type","timestamp","data"}`.
    pub body: String,
    /// Whom it concerns.
    pub routing: Routing,
}

/// What filters go by, beside the body.
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
    /// Whether it reports that operation's end, and so is what a one-off callback waits for.
    pub ends_operation: bool,
    /// The endpoint it is about, which never gets it itself.
    pub about_endpoint: Option<super::id::EndpointId>,
    /// The tenants that the owner of that endpoint is confined to, who gets it beside those who are not confined.
    pub endpoint_owner: Option<std::collections::BTreeSet<String>>,
}
