//! What the outcomes of attempts change: the deliveries, their endpoints' health, and which events report that. All of it
//! in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use super::deliver::Outcome;
use crate::api_types::events::event;
use crate::api_types::webhooks::EndpointEventData;
use crate::clock::{SharedClock, later};
use crate::domain::access::Tenancy;
use crate::domain::event::{EventType, Routing};
use crate::domain::id::{DeliveryId, EndpointId, EventId};
use crate::domain::webhook::receiver::Control;
use crate::domain::webhook::rules::{self, After, EndpointHealth, JITTER, Schedule};
use crate::domain::webhook::{AttemptError, DeliveryState, DisabledReason, Endpoint, Health};
use crate::store::webhooks::outcomes::{Attempt, EndedAttempt, Sending, Settled, Settlement};
use crate::store::webhooks::standing::Standing;
use crate::store::{self, Tx};

/// An attempt that has ended.
#[derive(Debug, Clone)]
pub(super) struct Finished {
    /// The attempt.
    pub(super) attempt: Attempt,
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

/// What the outcomes of one turn change, decided in memory in the order in which they came in.
#[derive(Default)]
struct Decided {
    settlements: Vec<Settlement>,
    standings: HashMap<EndpointId, Standing>,
    /// The endpoints whose health changed.
    touched: BTreeSet<EndpointId>,
    /// Those that took something.
    took: BTreeSet<EndpointId>,
    /// Those that were down and took something.
    back: BTreeSet<EndpointId>,
    /// Those that want no more deliveries, and how they said so.
    leaving: BTreeMap<EndpointId, DisabledReason>,
    /// Those that were announced as failing and took something.
    recovered: BTreeSet<EndpointId>,
    /// Those whose service refuses whatever is sent, to be announced.
    refused: BTreeSet<EndpointId>,
}

impl Decided {
    /// Disables an endpoint, once; what would wait is held.
    fn leave(&mut self, endpoint: EndpointId, reason: DisabledReason) {
        let standing = self.standings.get_mut(&endpoint);
        if standing.is_some_and(|standing| std::mem::replace(&mut standing.enabled, false)) {
            self.leaving.insert(endpoint, reason);
            self.change_waiting(endpoint, |_, _| Settled::Held);
        }
    }

    /// Changes what was decided for earlier deliveries of an endpoint that would wait.
    fn change_waiting(&mut self, endpoint: EndpointId, change: impl Fn(&Settlement, Timestamp) -> Settled) {
        for settlement in &mut self.settlements {
            if let (Some(of), Settled::Waits(due)) = (settlement.delivery.endpoint, settlement.settled)
                && of == endpoint
            {
                settlement.settled = change(settlement, due);
            }
        }
    }
}

impl Rules {
    /// Writes what the outcomes of attempts change: everything is read first, decided by the rules, and written by a few
    /// statements whatever the number of outcomes.
    pub(super) async fn settle(
        &self,
        tx: &mut Tx,
        finished: &[Finished],
        owner: &str,
    ) -> Result<Vec<Written>, store::Error> {
        if finished.is_empty() {
            return Ok(Vec::new());
        }
        let attempts: Vec<Attempt> = finished.iter().map(|one| one.attempt).collect();
        let sending = tx.sending(&attempts, owner).await?;
        let endpoints: BTreeSet<EndpointId> = sending.iter().filter_map(|one| one.endpoint).collect();
        let mut decided = Decided {
            standings: tx.standings(endpoints).await?,
            ..Decided::default()
        };
        let mut sending: HashMap<Attempt, Sending> =
            sending.into_iter().map(|one| (one.attempt, one)).collect();
        let mut ended = Vec::with_capacity(sending.len());
        for Finished { attempt, outcome } in finished {
            if let Some(delivery) = sending.remove(attempt) {
                ended.push(attempt.ended_by(delivery.began_at, &outcome.end));
                self.decide(&mut decided, delivery, outcome, tx.trusted_now());
            }
        }
        let written = self.write(tx, &decided, &ended).await?;
        let mut outcomes: HashMap<Attempt, Written> = decided
            .settlements
            .iter()
            .filter(|settlement| written.contains(&settlement.delivery.attempt.delivery))
            .map(|settlement| (settlement.delivery.attempt, written_of(settlement)))
            .collect();
        let outcome_of = |one: &Finished| outcomes.remove(&one.attempt).unwrap_or(Written::Stale);
        Ok(finished.iter().map(outcome_of).collect())
    }

    async fn write(
        &self,
        tx: &mut Tx,
        decided: &Decided,
        ended: &[EndedAttempt],
    ) -> Result<HashSet<DeliveryId>, store::Error> {
        let touched = decided.touched.iter();
        let standings = touched.filter_map(|id| Some((*id, decided.standings.get(id)?)));
        tx.save_standings(standings).await?;
        // What waits in the rows; what waits from now on was decided with it.
        for id in &decided.back {
            tx.wake_deliveries(*id).await?;
        }
        for id in &decided.recovered {
            if let Some(endpoint) = tx.endpoint(*id, &Tenancy::All).await? {
                let reason = "it takes deliveries again".to_owned();
                self.tell(tx, EventType::EndpointRecovered, &endpoint, reason)
                    .await?;
            }
        }
        for id in &decided.refused {
            if let Some(endpoint) = tx.endpoint(*id, &Tenancy::All).await? {
                let reason = since(&endpoint.health, "its service refuses whatever is sent");
                self.tell(tx, EventType::EndpointFailing, &endpoint, reason)
                    .await?;
            }
        }
        for (id, reason) in &decided.leaving {
            if let Some(endpoint) = tx.endpoint(*id, &Tenancy::All).await? {
                self.disable(tx, &endpoint, *reason).await?;
            }
        }
        let written = tx.settle(&decided.settlements).await?;
        tx.end_attempts(ended).await?;
        // After the deliveries themselves are out of the way: they may be what lets others go.
        let standings = &decided.standings;
        let has_failing = |id: &&EndpointId| standings.get(*id).is_some_and(|standing| standing.has_failing);
        let took: Vec<EndpointId> = decided.took.iter().filter(has_failing).copied().collect();
        if !took.is_empty() {
            tx.unblock_failing(took).await?;
        }
        Ok(written)
    }

    /// What an attempt's outcome changes.
    fn decide(&self, decided: &mut Decided, mut delivery: Sending, outcome: &Outcome, believed: Timestamp) {
        let endpoint = delivery.endpoint.filter(|id| decided.standings.contains_key(id));
        let orphaned = delivery.endpoint.is_some() && endpoint.is_none();
        if let Some((id, standing)) = endpoint.and_then(|id| Some((id, decided.standings.get_mut(&id)?)))
            && standing.facts.update(outcome.seen)
        {
            decided.touched.insert(id);
        }
        let (settled, may_be_passed) = match (endpoint, outcome.is_accepted()) {
            (endpoint, true) => {
                if let Some(id) = endpoint {
                    self.succeeded(decided, id);
                    if let Some(reason) = leaves(outcome) {
                        decided.leave(id, reason);
                    }
                }
                (Settled::Ended(DeliveryState::Delivered), false)
            }
            (_, false) if orphaned => (Settled::Ended(DeliveryState::Cancelled), false),
            (Some(id), false) => self.failed(decided, &mut delivery, id, outcome, believed),
            (None, false) => (self.callback_failed(&mut delivery, outcome, believed), false),
        };
        decided.settlements.push(Settlement {
            delivery,
            settled,
            may_be_passed,
        });
    }

    fn succeeded(&self, decided: &mut Decided, id: EndpointId) {
        let now = self.clock.now();
        let Some(standing) = decided.standings.get_mut(&id) else {
            return;
        };
        let recovery = standing.health.succeeded(now);
        decided.touched.insert(id);
        decided.took.insert(id);
        if recovery.was_down {
            decided.back.insert(id);
            decided.change_waiting(id, |settlement, due| {
                let passed = settlement.delivery.passed || settlement.may_be_passed;
                Settled::Waits(if passed { due } else { due.min(now) })
            });
        }
        if recovery.was_announced {
            decided.recovered.insert(id);
        }
    }

    /// The delivery's new state, and whether a later one of its session may go first.
    fn failed(
        &self,
        decided: &mut Decided,
        delivery: &mut Sending,
        id: EndpointId,
        outcome: &Outcome,
        believed: Timestamp,
    ) -> (Settled, bool) {
        let now = self.clock.now();
        let Some(standing) = decided.standings.get_mut(&id) else {
            return (Settled::Ended(DeliveryState::Cancelled), false);
        };
        let last_success = standing.health.last_success_at;
        let aborted = outcome.control == Some(Control::AbortMessage);
        let not_before = if outcome.crashed {
            None
        } else if aborted {
            // It lives, and has decided about this one alone.
            self.plan_probe(&mut standing.health, now);
            decided.touched.insert(id);
            None
        } else {
            standing.health.failed(now, &outcome.why());
            let pause = pause(outcome, now);
            if let Some(until) = pause {
                standing.health.pause(until);
            }
            self.plan_probe(&mut standing.health, now);
            // Left alone but for a probe an hour, since its service refuses whatever is sent.
            if outcome.refused.is_some() && outcome.end.status != Some(410) {
                standing.health.refused(now);
                if !std::mem::replace(&mut standing.health.told_failing, true) {
                    decided.refused.insert(id);
                }
            }
            decided.touched.insert(id);
            pause
        };
        let enabled = standing.enabled;
        if let Some(reason) = leaves(outcome) {
            decided.leave(id, reason);
            return (Settled::Held, false);
        }
        if aborted {
            return (Settled::Ended(DeliveryState::Exhausted), false);
        }
        let settled = match self.after(delivery, outcome, not_before, (now, believed)) {
            After::Retry(_) if !enabled => Settled::Held,
            After::Retry(at) => Settled::Waits(at),
            After::Exhausted => Settled::Ended(DeliveryState::Exhausted),
            After::Quarantined => Settled::Ended(DeliveryState::Quarantined),
        };
        let refused = outcome.end.status.is_some_and(rules::refuses_content)
            && outcome.end.error != Some(AttemptError::ClockSkew)
            && outcome.refused.is_none();
        (
            settled,
            refused || delivery.progress.may_be_passed(now, last_success),
        )
    }

    /// A callback has no endpoint to disable or to pause: its one delivery waits or ends.
    fn callback_failed(&self, delivery: &mut Sending, outcome: &Outcome, believed: Timestamp) -> Settled {
        if leaves(outcome).is_some() || outcome.control.is_some() {
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
            DisabledReason::Requested => "it answered webhook-delivery: disable".to_owned(),
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

const fn written_of(settlement: &Settlement) -> Written {
    match settlement.settled {
        Settled::Ended(state) => Written::Final(state, settlement.delivery.created_at),
        Settled::Waits(_) | Settled::Held => Written::Pending,
    }
}

/// Whether a receiver wants no more deliveries, and how it said so.
fn leaves(outcome: &Outcome) -> Option<DisabledReason> {
    if outcome.control == Some(Control::Disable) {
        Some(DisabledReason::Requested)
    } else {
        (outcome.end.status == Some(410)).then_some(DisabledReason::Gone)
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

#[cfg(test)]
#[path = "record_outcome_tests.rs"]
mod tests;
