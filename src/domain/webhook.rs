//! Webhooks: endpoints, deliveries and attempts as values, and their words.
//!
//! What an endpoint may look like is in [`endpoint`], where it may point in [`target`], when a delivery is tried
//! again, given up or passed by another in [`rules`].

pub mod connection;
pub mod endpoint;
pub mod exchange;
pub mod job;
pub mod options;
pub mod receiver;
pub mod rules;
pub mod signing;
pub mod target;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::access::Caller;
use super::event::{EventType, NewEvent, Routing};
use super::id::{DeliveryId, EmId, EndpointId, EventId, OperationId};
use super::words::words;
use endpoint::{Settings, Signer};
use exchange::Exchange;
use receiver::ReceiverFacts;
use rules::EndpointHealth;
use target::TargetUrl;

words! {
    /// The format of a delivery's body (docs/behaviour.md#events).
    pub enum Format {
        /// The event itself, signed as Standard Webhooks 1.0 says.
        Standard = "standard",
        /// CloudEvents 1.0, structured.
        CloudEvents = "cloudevents",
        /// A message for a Slack incoming webhook.
        Slack = "slack",
        /// An Adaptive Card for a Teams workflow.
        Teams = "teams",
        /// A message for a Mattermost incoming webhook.
        Mattermost = "mattermost",
        /// A message for a Discord webhook.
        Discord = "discord",
        /// A card for a Google Chat webhook.
        GoogleChat = "googlechat",
        /// An event of PagerDuty's Events API v2.
        PagerDuty = "pagerduty",
        /// Records for ServiceNow's event management.
        ServiceNow = "servicenow",
    }
}

impl Format {
    /// Whether whoever has the URL may post: the URL of a chat service is a credential as a whole.
    #[must_use]
    pub const fn url_is_credential(self) -> bool {
        match self {
            Self::Standard | Self::CloudEvents | Self::PagerDuty | Self::ServiceNow => false,
            Self::Slack | Self::Teams | Self::Mattermost | Self::Discord | Self::GoogleChat => true,
        }
    }
}

words! {
    /// The state of a delivery (docs/behaviour.md#deliveries).
    pub enum DeliveryState {
        /// It waits for its next attempt.
        Pending = "pending",
        /// An attempt is under way.
        Sending = "sending",
        /// The receiver took it.
        Delivered = "delivered",
        /// Its endpoint is disabled; it goes out when that is enabled again.
        Held = "held",
        /// The receiver did not take it within the retry schedule.
        Exhausted = "exhausted",
        /// Its endpoint was deleted.
        Cancelled = "cancelled",
        /// The gateway failed at it again and again.
        Quarantined = "quarantined",
    }
}

impl DeliveryState {
    /// Whether nothing more happens to it by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Sending | Self::Held => false,
            Self::Delivered | Self::Exhausted | Self::Cancelled | Self::Quarantined => true,
        }
    }
}

words! {
    /// How an endpoint does.
    pub enum Health {
        /// It took the last delivery, or has not been asked yet.
        Up = "up",
        /// It has failed since its last success; deliveries follow their schedule.
        Degraded = "degraded",
        /// It keeps failing; one delivery at a time probes it about once a minute.
        Down = "down",
    }
}

words! {
    /// Why an attempt failed: a closed list, so that receivers' operators can look it up.
    pub enum AttemptError {
        /// The name did not resolve.
        Dns = "dns",
        /// The address is one that deliveries may not go to.
        BlockedAddress = "blockedAddress",
        /// No connection could be opened.
        Connect = "connect",
        /// The egress proxy could not be reached, or did not connect to the receiver.
        Proxy = "proxy",
        /// The certificate is not from an authority that is trusted here.
        TlsUntrusted = "tlsUntrusted",
        /// The certificate is not valid at this time.
        TlsExpired = "tlsExpired",
        /// The certificate is for another name.
        TlsName = "tlsName",
        /// No secure connection could be agreed on.
        Tls = "tls",
        /// There was no answer in time.
        Timeout = "timeout",
        /// The connection ended before there was an answer.
        Reset = "reset",
        /// The answer was not HTTP.
        Protocol = "protocol",
        /// The answer's status line was longer than 16 KiB.
        HeadersTooLarge = "headersTooLarge",
        /// The receiver points elsewhere; redirects are not followed.
        Redirect = "redirect",
        /// The receiver answered with a status that is no success.
        HttpStatus = "httpStatus",
        /// The service answered that it is throttled, with a status that means something else.
        Throttled = "throttled",
        /// The service reported an error in the body of an answer whose status says success.
        ServiceError = "serviceError",
        /// The receiver refused it, and its clock and ours differ by more than 4 minutes.
        ClockSkew = "clockSkew",
        /// The gateway stopped before the end of the attempt was known; it may have arrived.
        Interrupted = "interrupted",
        /// The address or the secret cannot be read: it was sealed with another key, or is damaged.
        Unreadable = "unreadable",
        /// The gateway failed at it.
        Internal = "internal",
    }
}

words! {
    /// Why an endpoint is disabled, where the gateway did it.
    pub enum DisabledReason {
        /// It answered 410 Gone.
        Gone = "gone",
        /// It answered `webhook-delivery: disable`.
        Requested = "requested",
        /// It took nothing for 5 days.
        NoSuccess = "noSuccess",
        /// Its URL, secret or headers cannot be read: sealed with another key, or damaged.
        Unreadable = "unreadable",
    }
}

/// Which events an endpoint wants, beside their types. An empty list does not restrict; an event that has no plan,
/// tenant or result does not pass a restriction by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// The plans.
    pub plans: Vec<EmId>,
    /// The tenants, by id or exact name.
    pub tenants: Vec<String>,
    /// The results, in the JSON's words.
    pub results: Vec<String>,
}

impl Filter {
    /// Whether an event with this routing passes.
    #[must_use]
    pub fn passes(&self, routing: &Routing) -> bool {
        let plan = self.plans.is_empty()
            || routing
                .plan
                .as_ref()
                .is_some_and(|plan| self.plans.contains(plan));
        let tenant = self.tenants.is_empty()
            || routing
                .tenant
                .as_ref()
                .is_some_and(|tenant| self.tenants.iter().any(|wanted| tenant.is_called(wanted)));
        let result = self.results.is_empty()
            || routing
                .result
                .as_ref()
                .is_some_and(|result| self.results.contains(result));
        plan && tenant && result
    }
}

/// What decides whether an endpoint gets an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The types it wants; none means every type that is not opt-in, later ones included.
    pub event_types: Option<Vec<EventType>>,
    /// Which of these events it receives.
    pub filter: Filter,
}

impl Subscription {
    /// Whether the endpoint gets the event. A test goes to the endpoint it is about and to no other; any other event
    /// about an endpoint goes to all but that one, because it could not take it.
    #[must_use]
    pub fn wants(&self, event: &NewEvent) -> bool {
        let about_this = event.routing.about_endpoint == Some(self.endpoint);
        if event.kind == EventType::WebhookTest {
            return about_this;
        }
        let wanted = match &self.event_types {
            Some(types) => types.contains(&event.kind),
            None => !event.kind.opt_in(),
        };
        wanted && !about_this && self.filter.passes(&event.routing)
    }
}

/// Who created an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owner {
    /// The issuer of their token.
    pub issuer: Option<String>,
    /// Who, as the token names them.
    pub subject: Option<String>,
    /// The tenants that they are confined to: the endpoint is seen by callers with the same confinement, gets what they see,
    /// and no more. None when they are not confined.
    pub tenants: Option<BTreeSet<String>>,
}

impl Owner {
    /// The owner of what `caller` creates.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        Self {
            issuer: caller.issuer.clone(),
            subject: caller.name.clone(),
            tenants: caller.tenancy.confinement(),
        }
    }
}

/// An endpoint as it is shown; its URL and secret stay in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Who created it.
    pub owner: Owner,
    /// Its address, masked where that is a credential.
    pub shown_url: String,
    /// What its owner decides.
    pub settings: Settings,
    /// Why the gateway disabled it, if it did.
    pub disabled_reason: Option<DisabledReason>,
    /// Whether its URL, secret and headers can be read; if not, nothing can be sent and the headers are left out.
    pub readable: bool,
    /// Its URL and what signs, where they can be read. Never shown but by the verb that is for it.
    pub sealed: Option<Sealed>,
    /// When its secret was rotated, while the one before still signs.
    pub rotated_at: Option<Timestamp>,
    /// How it does.
    pub health: EndpointHealth,
    /// What its receiver showed in the last handshake and the last answer.
    pub receiver: ReceiverFacts,
    /// Whether its receiver's certificate has expired or soon will.
    pub certificate_expires_soon: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its owner last changed it.
    pub updated_at: Timestamp,
}

/// What is sealed of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its address.
    pub target: TargetUrl,
    /// What signs; the key also while `v1a` is not asked for.
    pub signer: Signer,
}

/// An event on its way to an endpoint, or to an operation's one-off callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The endpoint; none for a callback.
    pub endpoint: Option<EndpointId>,
    /// The operation whose callback it is; none for an endpoint's.
    pub operation: Option<OperationId>,
    /// The event, which is also the `webhook-id`.
    pub event: EventId,
    /// The event's type.
    pub event_type: EventType,
    /// Its state.
    pub state: DeliveryState,
    /// When it is tried next; none when it is not waiting, or waits for an earlier event of its session.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was created, together with its event.
    pub created_at: Timestamp,
    /// The attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// One attempt at a delivery. Its row is written before the request is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: i64,
    /// When it began.
    pub at: Timestamp,
    /// The status of the answer.
    pub status: Option<u16>,
    /// How long it lasted; none while it runs or when its end is not known.
    pub duration: Option<Duration>,
    /// Why it failed.
    pub error: Option<AttemptError>,
    /// Where the receiver pointed with a redirect, masked.
    pub location: Option<String>,
    /// Up to 1 KiB of the answer, where that is text.
    pub response: Option<String>,
    /// What its owner should look at, although nothing failed.
    pub warning: Option<String>,
    /// Why nothing was sent, although nothing failed.
    pub note: Option<String>,
    /// What it saw of its connection.
    pub exchange: Exchange,
}

impl Attempt {
    /// One that began at this moment, and of which nothing more is known yet.
    #[must_use]
    pub fn under_way(number: i64, at: Timestamp) -> Self {
        Self {
            number,
            at,
            status: None,
            duration: None,
            error: None,
            location: None,
            response: None,
            warning: None,
            note: None,
            exchange: Exchange::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::Reference;

    fn event(kind: EventType, routing: Routing) -> NewEvent {
        NewEvent {
            id: EventId::new(uuid::Uuid::nil()),
            kind,
            at: Timestamp::UNIX_EPOCH,
            body: "{}".into(),
            routing,
        }
    }

    fn subscription() -> Subscription {
        Subscription {
            endpoint: EndpointId::new(uuid::Uuid::from_u128(1)),
            event_types: None,
            filter: Filter::default(),
        }
    }

    fn plan(last: u8) -> EmId {
        format!("3f56fa52-c902-4655-9774-2022fde214d{last}")
            .parse()
            .expect("an id")
    }

    #[test]
    fn opt_in_types_come_only_to_those_who_name_them() {
        let mut endpoint = subscription();
        let progressed = event(EventType::SessionProgressed, Routing::default());
        assert!(endpoint.wants(&event(EventType::SessionFinished, Routing::default())));
        assert!(!endpoint.wants(&progressed));
        endpoint.event_types = Some(vec![EventType::SessionProgressed]);
        assert!(endpoint.wants(&progressed));
        assert!(!endpoint.wants(&event(EventType::SessionFinished, Routing::default())));
    }

    #[test]
    fn an_event_about_an_endpoint_skips_that_endpoint_unless_it_is_a_test() {
        let endpoint = subscription();
        let about = |about| Routing {
            about_endpoint: Some(EndpointId::new(uuid::Uuid::from_u128(about))),
            ..Routing::default()
        };
        assert!(!endpoint.wants(&event(EventType::EndpointDisabled, about(1))));
        assert!(endpoint.wants(&event(EventType::EndpointDisabled, about(2))));
        assert!(endpoint.wants(&event(EventType::WebhookTest, about(1))));
        assert!(!endpoint.wants(&event(EventType::WebhookTest, about(2))));
    }

    #[test]
    fn a_filter_restricts_by_plan_tenant_and_result_together() {
        let filter = Filter {
            plans: vec![plan(2)],
            tenants: vec!["ABC Company".into()],
            results: vec!["failed".into()],
        };
        let matching = Routing {
            plan: Some(plan(2)),
            tenant: Some(Reference {
                id: plan(9),
                name: Some("ABC Company".into()),
            }),
            result: Some("failed".into()),
            ..Routing::default()
        };
        assert!(filter.passes(&matching));
        assert!(!filter.passes(&Routing {
            plan: Some(plan(3)),
            ..matching.clone()
        }));
        assert!(!filter.passes(&Routing {
            result: None,
            ..matching.clone()
        }));
        assert!(!filter.passes(&Routing {
            tenant: None,
            ..matching.clone()
        }));
        let by_id = Filter {
            tenants: vec![plan(9).as_str().to_uppercase()],
            ..Filter::default()
        };
        assert!(by_id.passes(&matching));
        assert!(Filter::default().passes(&Routing::default()));
    }

    #[test]
    fn words_read_back_as_what_they_were() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::parse(state.as_str()), Some(*state));
        }
        assert_eq!(Format::parse("Standard"), None);
    }
}
