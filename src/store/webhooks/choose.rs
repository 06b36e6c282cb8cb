//! Which deliveries of many lanes go out next: what is urgent, what is due, and the probe of an endpoint that is down. One
//! statement for each of the three, whatever the number of lanes.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde::Deserialize;

use super::super::engine::Engine;
use super::super::row::{Columns as _, micros};
use super::super::{Error, Tx};
use super::fan_out::{KEYS, keys};
use super::lanes::Share;
use crate::domain::id::EndpointId;
use crate::domain::webhook::rules::{PASS_AFTER, PASS_FAILURES, earlier};

/// A delivery that is to be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Its id.
    pub(super) id: String,
    /// Its endpoint; none for a callback.
    pub(super) endpoint: Option<EndpointId>,
    /// Whether it probes an endpoint that is down.
    pub(super) probe: bool,
}

/// A row that a statement found for a lane.
#[derive(Debug, Deserialize)]
struct Candidate {
    id: String,
    place: i64,
    session: Option<String>,
}

const CANDIDATE: &[&str] = &["id", "place", "session"];

/// For each lane, what somebody waits for.
pub(super) fn urgent_sql(engine: Engine) -> String {
    let found = engine.gathered(
        CANDIDATE,
        "select d.id, d.place, d.order_key as session from webhook_deliveries d \
         where d.lane = r.key and d.state = 'pending' and d.urgent = 1 and d.due_at <= $2 \
         order by d.due_at, d.place limit $3",
    );
    format!(
        "select r.key as lane, {found} as found from {}",
        engine.table("$1", KEYS)
    )
}

/// For each lane, due deliveries, none of a session that has one under way.
pub(super) fn due_sql(engine: Engine) -> String {
    let found = engine.gathered(
        CANDIDATE,
        "select d.id, d.place, d.order_key as session from webhook_deliveries d \
         where d.lane = r.key and d.state = 'pending' and d.blocked = 0 and d.due_at <= $2 \
           and (d.order_key is null or not exists (select 1 from webhook_deliveries s \
                where s.lane = d.lane and s.order_key = d.order_key and s.state = 'sending')) \
         order by d.due_at, d.place limit $3",
    );
    format!(
        "select r.key as lane, {found} as found from {}",
        engine.table("$1", KEYS)
    )
}

/// For each lane, the delivery that probes its endpoint: of the first of each session and those without one, the one that
/// was tried longest ago, so that one poisonous body cannot keep the endpoint down. Where the first of a session keeps
/// failing, the next of that session takes its turn as well.
pub(super) fn probe_sql(engine: Engine) -> String {
    let found = engine.gathered(
        CANDIDATE,
        "select d.id, d.place, d.order_key as session from webhook_deliveries d \
         where d.lane = r.key and d.state = 'pending' and d.since > 0 \
           and (d.blocked = 0 or (\
                not exists (select 1 from webhook_deliveries b where b.lane = d.lane and b.order_key = d.order_key \
                     and b.state = 'pending' and b.blocked = 1 and b.place < d.place) \
                and exists (select 1 from webhook_deliveries p where p.lane = d.lane and p.order_key = d.order_key \
                     and p.state = 'pending' and p.blocked = 0 and p.passed = 0 and p.failures >= $2 \
                     and p.first_failed_at <= $3))) \
           and (d.order_key is null or not exists (select 1 from webhook_deliveries s \
                where s.lane = d.lane and s.order_key = d.order_key and s.state = 'sending')) \
         order by coalesce(d.last_attempt_at, 0), d.place limit 1",
    );
    format!(
        "select r.key as lane, {found} as found from {}",
        engine.table("$1", KEYS)
    )
}

impl Tx {
    /// What the lanes claim, each within its share: what is urgent first, then what is due, or one probe where an endpoint
    /// is down and its share allows it.
    pub(super) async fn choose(&mut self, shares: &[Share], now: Timestamp) -> Result<Vec<Chosen>, Error> {
        let most = shares.iter().map(|share| share.limit).max().unwrap_or_default();
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let engine = self.engine();
        let urgent = |share: &&Share| share.lane.urgent.is_some_and(|at| at <= now);
        let urgent = lanes_of(shares.iter().filter(urgent));
        let urgent = self
            .found(urgent_sql(engine), urgent, (micros(now), most))
            .await?;
        let taken = |share: &Share| urgent.get(&share.lane.key).map_or(0, Vec::len);
        let open: Vec<&Share> = shares
            .iter()
            .filter(|share| share.lane.paused_until.is_none_or(|until| until <= now))
            .filter(|share| taken(share) < share.limit)
            .collect();
        let due = lanes_of(open.iter().copied().filter(|share| !share.lane.down));
        let due = self.found(due_sql(engine), due, (micros(now), most)).await?;
        let probing = |share: &&&Share| share.lane.down && share.probe && taken(share) == 0;
        let probes = lanes_of(open.iter().filter(probing).copied());
        let since = micros(earlier(now, PASS_AFTER));
        let probes = self
            .found(probe_sql(engine), probes, (PASS_FAILURES, since))
            .await?;
        let (mut urgent, mut due, mut probes) = (urgent, due, probes);
        let mut chosen = Vec::new();
        for Share { lane, limit, .. } in shares {
            let mut take = |candidates: Vec<Candidate>, probe| {
                chosen.extend(candidates.into_iter().map(|candidate| Chosen {
                    id: candidate.id,
                    endpoint: lane.endpoint,
                    probe,
                }));
            };
            let mut first = urgent.remove(&lane.key).unwrap_or_default();
            first.truncate(*limit);
            let mut rest = due.remove(&lane.key).unwrap_or_default();
            rest.truncate(limit - first.len());
            rest.retain(|candidate| first.iter().all(|known| known.id != candidate.id));
            take(first, false);
            take(one_of_each_session(rest), false);
            take(probes.remove(&lane.key).unwrap_or_default(), true);
        }
        Ok(chosen)
    }

    /// What a statement finds for each lane.
    async fn found(
        &mut self,
        sql: String,
        lanes: Vec<String>,
        (second, third): (i64, i64),
    ) -> Result<HashMap<String, Vec<Candidate>>, Error> {
        if lanes.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(keys(lanes)?)
            .bind(second)
            .bind(third)
            .fetch_all(self.connection())
            .await?;
        rows.iter()
            .map(|row| Ok((row.text("lane")?, row.document("found")?)))
            .collect()
    }
}

fn lanes_of<'a>(shares: impl Iterator<Item = &'a Share>) -> Vec<String> {
    shares.map(|share| share.lane.key.clone()).collect()
}

/// In the order of the log, at most one of each session.
fn one_of_each_session(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by_key(|candidate| candidate.place);
    let mut sessions = HashSet::new();
    candidates.retain(|candidate| {
        let session = candidate.session.as_ref();
        session.is_none_or(|session| sessions.insert(session.clone()))
    });
    candidates
}
