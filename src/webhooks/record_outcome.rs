//! What an attempt's outcome changes: the delivery, its endpoint's health, and which events report that. All of it
//! in one transaction.

use jiff::Timestamp;

use super::deliver::Outcome;
use crate::api_types::events::event;
use crate::api_types::webhooks::EndpointEventData;
use crate::clock::{SharedClock, later};
use crate::domain::access::Tenancy;
use crate::domain::event::{EventType, Routing};
use crate::domain::id::{DeliveryId, EndpointId, EventId};
use crate::domain::webhook::rules::{self, After, EndpointHealth, JITTER, Schedule};
use crate::domain::webhook::{AttemptError, DeliveryState, DisabledReason, Endpoint, Health};
use crate::store::webhooks::outcomes::{Sending, Settled};
use crate::store::{self, Tx};

/// An attempt that has ended.
#[derive(Debug, Clone)]
pub(super) struct Finished {
    /// The delivery.
    pub(super) id: DeliveryId,
    /// The attempt's number.
    pub(super) number: i64,
    /// How it ended.
    pub(super) outcome: Outcome,
}

/// What was written, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Nothing: the delivery had another owner by then.
    Stale,
    /// It waits for its next attempt.
    Pending,
    /// It reached an end; when it was written first.
    Final(DeliveryState, Timestamp),
}

/// What settling goes by.
pub(super) struct Rules {
    pub(super) schedule: Schedule,
    pub(super) clock: SharedClock,
}

impl Rules {
    /// Writes what an attempt's outcome changes.
    pub(super) async fn settle(
        &self,
        tx: &mut Tx,
        finished: &Finished,
        owner: &str,
    ) -> Result<Written, store::Error> {
        let Some(mut delivery) = tx.sending(finished.id, finished.number, owner).await? else {
            return Ok(Written::Stale);
        };
        let outcome = &finished.outcome;
        tx.end_attempt(finished.id, finished.number, &outcome.end).await?;
        let endpoint = match delivery.endpoint {
            Some(id) => tx.endpoint(id, &Tenancy::All).await?,
            None => None,
        };
        let orphaned = delivery.endpoint.is_some() && endpoint.is_none();
        let (settled, passed) = match (endpoint, outcome.is_accepted()) {
            (endpoint, true) => {
                if let Some(endpoint) = endpoint {
                    self.succeeded(tx, endpoint).await?;
                }
                (Settled::Ended(DeliveryState::Delivered), false)
            }
            (_, false) if orphaned => (Settled::Ended(DeliveryState::Cancelled), false),
            (Some(endpoint), false) => self.failed(tx, &mut delivery, endpoint, outcome).await?,
            (None, false) => (
                self.callback_failed(&mut delivery, outcome, tx.trusted_now()),
                false,
            ),
        };
        if !tx.settle(&delivery, settled, passed).await? {
            return Ok(Written::Stale);
        }
        // After the delivery itself is out of the way: it may be what lets another go.
        if let (Some(id), true) = (delivery.endpoint, outcome.is_accepted()) {
            tx.unblock_failing(id).await?;
        }
        Ok(match settled {
            Settled::Ended(state) => Written::Final(state, delivery.created_at),
            Settled::Waits(_) | Settled::Held => Written::Pending,
        })
    }

    async fn succeeded(&self, tx: &mut Tx, mut endpoint: Endpoint) -> Result<(), store::Error> {
        let recovery = endpoint.health.succeeded(self.clock.now());
        tx.save_health(endpoint.id, &endpoint.health).await?;
        if recovery.was_down {
            tx.wake_deliveries(endpoint.id).await?;
        }
        if recovery.was_announced {
            let reason = "it takes deliveries again".to_owned();
            self.tell(tx, EventType::EndpointRecovered, &endpoint, reason)
                .await?;
        }
        Ok(())
    }

    /// The delivery's new state, and whether a later one of its session may go first.
    async fn failed(
        &self,
        tx: &mut Tx,
        delivery: &mut Sending,
        mut endpoint: Endpoint,
        outcome: &Outcome,
    ) -> Result<(Settled, bool), store::Error> {
        let now = self.clock.now();
        let last_success = endpoint.health.last_success_at;
        let not_before = if outcome.crashed {
            None
        } else {
            endpoint.health.failed(now, &outcome.why());
            let pause = pause(outcome, now);
            if let Some(until) = pause {
                endpoint.health.pause(until);
            }
            self.plan_probe(&mut endpoint.health, now);
            if outcome.refused.is_some() && outcome.end.status != Some(410) {
                self.refused(tx, &mut endpoint).await?;
            }
            tx.save_health(endpoint.id, &endpoint.health).await?;
            pause
        };
        if outcome.end.status == Some(410) {
            if endpoint.settings.enabled {
                self.disable(tx, &endpoint, DisabledReason::Gone).await?;
            }
            return Ok((Settled::Held, false));
        }
        let moments = (now, tx.trusted_now());
        let after = self.after(delivery, outcome, not_before, moments);
        let settled = match after {
            After::Retry(_) if !endpoint.settings.enabled => Settled::Held,
            After::Retry(at) => Settled::Waits(at),
            After::Exhausted => Settled::Ended(DeliveryState::Exhausted),
            After::Quarantined => Settled::Ended(DeliveryState::Quarantined),
        };
        let refused = outcome.end.status.is_some_and(rules::refuses_content)
            && outcome.end.error != Some(AttemptError::ClockSkew)
            && outcome.refused.is_none();
        Ok((
            settled,
            refused || delivery.progress.may_be_passed(now, last_success),
        ))
    }

    /// Leaves an endpoint alone that its service refuses whatever is sent, but for a probe an hour, and tells the others.
    async fn refused(&self, tx: &mut Tx, endpoint: &mut Endpoint) -> Result<(), store::Error> {
        endpoint.health.refused(self.clock.now());
        if !endpoint.health.told_failing {
            endpoint.health.told_failing = true;
            let reason = since(&endpoint.health, "its service refuses whatever is sent");
            self.tell(tx, EventType::EndpointFailing, endpoint, reason)
                .await?;
        }
        Ok(())
    }

    /// A callback has no endpoint to disable or to pause: its one delivery waits or ends.
    fn callback_failed(&self, delivery: &mut Sending, outcome: &Outcome, believed: Timestamp) -> Settled {
        if outcome.end.status == Some(410) {
            return Settled::Ended(DeliveryState::Exhausted);
        }
        let now = self.clock.now();
        match self.after(delivery, outcome, pause(outcome, now), (now, believed)) {
            After::Retry(at) => Settled::Waits(at),
            After::Exhausted => Settled::Ended(DeliveryState::Exhausted),
            After::Quarantined => Settled::Ended(DeliveryState::Quarantined),
        }
    }

    fn after(
        &self,
        delivery: &mut Sending,
        outcome: &Outcome,
        not_before: Option<Timestamp>,
        (now, believed): (Timestamp, Timestamp),
    ) -> After {
        let jittered = |pause| self.clock.jittered(pause, JITTER);
        // Its age counts by the time that is believed. What it began with is not written again.
        delivery.progress.since = later(delivery.progress.since, rules::elapsed(now, believed));
        if outcome.crashed {
            delivery.progress.crashed(now, jittered)
        } else {
            let probe = delivery.probe;
            delivery
                .progress
                .failed(&self.schedule, now, probe, not_before, jittered)
        }
    }

    fn plan_probe(&self, health: &mut EndpointHealth, now: Timestamp) {
        if health.state() == Health::Down {
            let pause = self.schedule.probe_pause(health, now);
            health.next_probe_at = Some(later(now, self.clock.jittered(pause, JITTER)));
        }
    }

    /// Checks every endpoint that fails, by stored times alone: disabled after 5 days, announced after 15 minutes, and
    /// what waited too long for one that is down is given up. What a clock that was ahead has left in the future is
    /// taken back first, where that may be (`set_back`).
    pub(super) async fn sweep(&self, tx: &mut Tx, set_back: bool) -> Result<(), store::Error> {
        let now = self.clock.now();
        let believed = tx.trusted_now();
        if set_back {
            let longest = self.schedule.pauses.iter().max().copied().unwrap_or_default();
            let horizon = longest.max(rules::PAUSE_LIMIT).saturating_mul(2);
            tx.forget_the_future(later(now, horizon)).await?;
        }
        for mut endpoint in tx.failing_endpoints().await? {
            if endpoint.health.is_dead(believed) {
                self.disable(tx, &endpoint, DisabledReason::NoSuccess).await?;
                continue;
            }
            if endpoint.health.should_announce_failing(believed) {
                endpoint.health.told_failing = true;
                tx.save_health(endpoint.id, &endpoint.health).await?;
                let reason = since(&endpoint.health, "it has taken nothing for 15 minutes");
                self.tell(tx, EventType::EndpointFailing, &endpoint, reason)
                    .await?;
            }
            let paused = endpoint.health.paused_until.is_some_and(|until| until > now);
            if endpoint.health.state() == Health::Down && !paused {
                let before = rules::earlier(believed, self.schedule.lifetime());
                let given_up = tx.exhaust_deliveries(endpoint.id, before).await?;
                if given_up > 0 {
                    tracing::warn!(endpoint = %endpoint.id, given_up, "deliveries to an endpoint that is down were given up");
                }
            }
        }
        Ok(())
    }

    /// Disables an endpoint that cannot be read; what comes for it is held until it can.
    pub(super) async fn disable_unreadable(&self, tx: &mut Tx, id: EndpointId) -> Result<(), store::Error> {
        match tx.endpoint(id, &Tenancy::All).await? {
            Some(endpoint) => self.disable(tx, &endpoint, DisabledReason::Unreadable).await,
            None => Ok(()),
        }
    }

    async fn disable(
        &self,
        tx: &mut Tx,
        endpoint: &Endpoint,
        reason: DisabledReason,
    ) -> Result<(), store::Error> {
        tx.disable_endpoint(endpoint.id, reason).await?;
        let words = match reason {
            DisabledReason::Gone => match endpoint
                .health
                .last_error
                .as_deref()
                .and_then(|why| why.split_once(": "))
            {
                Some((_, hint)) => format!("it answered 410 Gone: {hint}"),
                None => "it answered 410 Gone".to_owned(),
            },
            DisabledReason::NoSuccess => since(&endpoint.health, "it has accepted no delivery for 5 days"),
            DisabledReason::Unreadable => {
                "its URL, secret or headers cannot be decrypted with the gateway's encryption key: \
                 restore the right key and enable the endpoint, or create it again"
                    .to_owned()
            }
        };
        tracing::warn!(endpoint = %endpoint.id, reason = reason.as_str(), "a webhook endpoint was disabled; its deliveries are held");
        self.tell(tx, EventType::EndpointDisabled, endpoint, words).await
    }

    /// Tells the other endpoints; the log of events as well.
    async fn tell(
        &self,
        tx: &mut Tx,
        kind: EventType,
        endpoint: &Endpoint,
        reason: String,
    ) -> Result<(), store::Error> {
        let data = EndpointEventData::new(endpoint, Some(reason));
        let routing = Routing {
            about_endpoint: Some(endpoint.id),
            endpoint_owner: endpoint.owner.tenants.clone(),
            ..Routing::default()
        };
        let (id, now) = (EventId::new(self.clock.id()), self.clock.now());
        match event(id, kind, now, data, routing) {
            Ok(event) => tx.append_event(&event).await,
            Err(error) => {
                tracing::error!(%error, "an event about an endpoint could not be made");
                Ok(())
            }
        }
    }
}

/// Until when a receiver asked for silence, if its status gives it the right to.
fn pause(outcome: &Outcome, now: Timestamp) -> Option<Timestamp> {
    let throttled = outcome.end.error == Some(AttemptError::Throttled);
    let asks = throttled || outcome.end.status.is_some_and(rules::asks_for_pause);
    outcome
        .retry_after
        .or(throttled.then_some(rules::PROBE))
        .filter(|_| asks)
        .map(|pause| later(now, pause))
}

fn since(health: &EndpointHealth, what: &str) -> String {
    match &health.last_error {
        Some(error) => format!("{what}; the last attempt failed: {error}"),
        None => what.to_owned(),
    }
}
