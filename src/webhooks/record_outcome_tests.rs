//! What outcomes that came in together mean for each other.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::{Clock as _, ManualClock, SystemClock};
use crate::domain::webhook::receiver::ReceiverFacts;
use crate::domain::webhook::rules::Progress;
use crate::store::webhooks::outcomes::AttemptEnd;

struct Fixture {
    rules: Rules,
    clock: Arc<ManualClock>,
    endpoint: EndpointId,
    decided: Decided,
}

impl Fixture {
    fn new(health: EndpointHealth) -> Self {
        let clock = ManualClock::at(SystemClock.now());
        let endpoint = EndpointId::new(clock.id());
        let schedule = Schedule {
            pauses: vec![Duration::from_secs(5), Duration::from_mins(5)],
            timeout: Duration::from_secs(15),
        };
        let standing = Standing {
            enabled: true,
            health,
            facts: ReceiverFacts::default(),
            has_failing: false,
        };
        Self {
            rules: Rules {
                schedule,
                clock: clock.clone(),
            },
            clock,
            endpoint,
            decided: Decided {
                standings: HashMap::from([(endpoint, standing)]),
                ..Decided::default()
            },
        }
    }

    /// One that is down and was announced as failing.
    fn down() -> Self {
        let mut health = EndpointHealth::default();
        let long_ago = rules::earlier(SystemClock.now(), Duration::from_hours(1));
        health.failed(long_ago, "timeout");
        health.down_since = Some(long_ago);
        health.told_failing = true;
        Self::new(health)
    }

    /// Decides on an outcome with a status, after another one.
    fn ends(&mut self, status: u16) {
        let now = self.clock.now();
        let delivery = Sending {
            attempt: Attempt {
                delivery: DeliveryId::new(self.clock.id()),
                number: 1,
            },
            owner: "me".into(),
            lane: self.endpoint.to_string(),
            endpoint: Some(self.endpoint),
            order_key: None,
            passed: false,
            probe: false,
            progress: Progress {
                step: 0,
                failures: 0,
                first_failed_at: None,
                since: now,
                crashes: 0,
            },
            began_at: now,
            created_at: now,
        };
        let outcome = Outcome {
            end: AttemptEnd {
                status: Some(status),
                error: (status >= 300).then_some(AttemptError::HttpStatus),
                ..AttemptEnd::default()
            },
            ..Outcome::default()
        };
        self.rules.decide(&mut self.decided, delivery, &outcome, now);
    }

    fn settled(&self) -> Vec<Settled> {
        let settlements = self.decided.settlements.iter();
        settlements.map(|settlement| settlement.settled).collect()
    }

    /// Whether what was decided of the delivery at this place waits for its next attempt, and is not due yet.
    fn waits(&self, at: usize) -> bool {
        matches!(self.settled()[at], Settled::Waits(due) if due > self.clock.now())
    }
}

const DELIVERED: Settled = Settled::Ended(DeliveryState::Delivered);

#[test]
fn what_failed_before_a_recovery_of_the_same_turn_is_due_at_once() {
    let mut fixture = Fixture::down();
    for status in [500, 400, 200] {
        fixture.ends(status);
    }
    let settled = fixture.settled();
    assert_eq!(settled[0], Settled::Waits(fixture.clock.now()));
    assert!(
        fixture.waits(1),
        "what was refused for its content keeps its time"
    );
    assert_eq!(settled[2], DELIVERED);
    assert!(fixture.decided.back.contains(&fixture.endpoint));
    assert!(fixture.decided.recovered.contains(&fixture.endpoint));
}

#[test]
fn what_fails_after_a_recovery_of_the_same_turn_follows_its_schedule() {
    let mut fixture = Fixture::down();
    for status in [200, 500] {
        fixture.ends(status);
    }
    assert_eq!(fixture.settled()[0], DELIVERED);
    assert!(fixture.waits(1));
}

#[test]
fn an_answer_that_the_endpoint_is_gone_holds_the_others_of_the_same_turn() {
    let mut fixture = Fixture::new(EndpointHealth::default());
    for status in [500, 410, 410, 500, 200] {
        fixture.ends(status);
    }
    let held = Settled::Held;
    assert_eq!(fixture.settled(), [held, held, held, held, DELIVERED]);
    assert_eq!(fixture.decided.leaving.len(), 1, "it is disabled once");
}

#[test]
fn health_counts_every_outcome_of_a_turn_in_order() {
    let mut fixture = Fixture::new(EndpointHealth::default());
    for status in [500, 500, 200, 500] {
        fixture.ends(status);
    }
    let health = &fixture.decided.standings[&fixture.endpoint].health;
    assert_eq!(health.failures, 1);
    assert_eq!(health.last_success_at, Some(fixture.clock.now()));
}
