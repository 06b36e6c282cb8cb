//! What a caller may see of a receiver's answer. Callers who are confined to tenants may not read the network that the gateway
//! is in: of a receiver that is not public they see status and timing alone (docs/behaviour.md#deliveries).

use crate::domain::access::Tenancy;
use crate::domain::webhook::Delivery;
use crate::webhooks::address::{Class, class};

/// Takes away what a caller with this confinement may not see.
pub(super) fn confined(deliveries: &mut [Delivery], tenancy: &Tenancy) {
    if tenancy.confinement().is_none() {
        return;
    }
    let attempts = deliveries.iter_mut().flat_map(|delivery| &mut delivery.attempts);
    for attempt in attempts {
        // Where it is not known who answered, that may have been anybody.
        let remote = attempt.exchange.remote;
        if remote.is_none_or(|address| class(address.ip()) != Class::Public) {
            attempt.exchange.remote = None;
            attempt.response = None;
            attempt.location = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::EventType;
    use crate::domain::id::{DeliveryId, EventId};
    use crate::domain::webhook::exchange::Exchange;
    use crate::domain::webhook::{Attempt, DeliveryState};
    use jiff::Timestamp;
    use rstest::rstest;

    fn delivery(remote: Option<&str>) -> Delivery {
        let attempt = Attempt {
            number: 1,
            at: Timestamp::UNIX_EPOCH,
            status: Some(302),
            duration: None,
            error: None,
            location: Some("http://10.0.0.9/".to_owned()),
            response: Some("an answer".to_owned()),
            warning: None,
            note: None,
            exchange: Exchange {
                remote: remote.map(|text| text.parse().expect("an address")),
                ..Exchange::default()
            },
        };
        Delivery {
            id: DeliveryId::new(uuid::Uuid::nil()),
            endpoint: None,
            operation: None,
            event: EventId::new(uuid::Uuid::nil()),
            event_type: EventType::WebhookTest,
            state: DeliveryState::Pending,
            next_attempt_at: None,
            created_at: Timestamp::UNIX_EPOCH,
            attempts: vec![attempt],
        }
    }

    #[rstest]
    #[case(Some("10.20.0.5:443"), true, false)]
    #[case(Some("[::1]:443"), true, false)]
    #[case(None, true, false)]
    #[case(Some("93.184.216.34:443"), true, true)]
    #[case(Some("10.20.0.5:443"), false, true)]
    fn a_confined_caller_sees_no_answer_and_no_address_of_the_inner_network(
        #[case] remote: Option<&str>,
        #[case] is_confined: bool,
        #[case] is_shown: bool,
    ) {
        let tenancy = if is_confined {
            Tenancy::Only(["ABC Company".to_owned()].into())
        } else {
            Tenancy::All
        };
        let mut deliveries = [delivery(remote)];
        confined(&mut deliveries, &tenancy);
        let attempt = &deliveries[0].attempts[0];
        assert_eq!(attempt.status, Some(302));
        assert_eq!(attempt.response.is_some(), is_shown);
        assert_eq!(attempt.location.is_some(), is_shown);
        assert_eq!(attempt.exchange.remote.is_some(), is_shown && remote.is_some());
    }
}
