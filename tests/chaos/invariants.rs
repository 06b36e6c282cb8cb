//! What has to hold once everything is at rest: the records of EM, gateway, caller and receiver agree.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use emgate::store::audit::chain::Walk;
use serde_json::Value;

use crate::caller::Caller;
use crate::cluster::{CONCURRENCY, Cluster, Counts};
use crate::em::{Em, Session};
use crate::receiver::Receiver;

const FINISHED: &str = "failover.session.finished";
/// How long coming to rest may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Invariants {
    sessions: Vec<Session>,
    events: Vec<Value>,
    operations: Vec<Value>,
    audit: String,
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn count_by<'a, T>(of: &'a [T], key: impl Fn(&'a T) -> &'a str) -> HashMap<&'a str, usize> {
    let mut counts = HashMap::new();
    for one in of {
        *counts.entry(key(one)).or_default() += 1;
    }
    counts
}

impl Invariants {
    /// Waits until nothing runs, nothing is awaited and nothing is to be sent.
    pub async fn at_rest(cluster: &Cluster, em: &Em) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sessions = em.sessions().await;
            let events = cluster.all("/api/v1/events?pageSize=100").await;
            let reported = events.iter().filter(|event| event["type"] == FINISHED).count();
            let open = cluster
                .all("/api/v1/operations?state=submitting,running&pageSize=100")
                .await
                .len();
            let unsent = cluster
                .all("/api/v1/webhook-deliveries?state=pending,sending&pageSize=100")
                .await
                .len();
            let running = sessions.iter().filter(|session| !session.stopped).count();
            if running + open + unsent == 0 && reported >= sessions.len() {
                let operations = cluster.all("/api/v1/operations?pageSize=100").await;
                let events = cluster.all("/api/v1/events?pageSize=100").await;
                return Self {
                    sessions,
                    events,
                    operations,
                    audit: cluster.audit().await,
                };
            }
            assert!(
                Instant::now() < deadline,
                "no rest: {running} sessions run, {open} operations are open, {unsent} deliveries wait, \
                 {reported} of {} ends are reported",
                sessions.len()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Checks everything; the counts as a line.
    pub async fn check(&self, caller: &Caller, receiver: &Receiver, em: &Em, counts: &Counts) -> String {
        assert_eq!(receiver.faults(), Vec::<String>::new(), "signatures");
        self.every_end_is_told_once();
        self.sequences_have_no_gap();
        self.nothing_was_started_twice(em).await;
        self.acknowledged_operations_exist_and_ended(caller);
        let told = self.each_operation_is_told_in_one_chain();
        let bound = (counts.kills + counts.freezes) * CONCURRENCY;
        let duplicates = self.events_arrived(receiver, bound);
        self.callbacks_got_one_event(caller, receiver);
        let diary = caller.diary();
        let mut line = format!(
            "{} kills, {} freezes, {} outages of the database, {} actions asked in {} requests ({} put off with 503), ",
            counts.kills, counts.freezes, counts.outages, diary.asked, diary.requests, diary.put_off
        );
        let _ = write!(
            line,
            "{} acknowledged, {} refused, {} operations, {} sessions at EM ({} from its console), \
             {} events, {told} audit rows, {} deliveries taken, {duplicates} duplicates (bound {bound}), {} callbacks",
            diary.acknowledged.len(),
            diary.refused,
            self.operations.len(),
            self.sessions.len(),
            em.at_console().len(),
            self.events.len(),
            receiver.taken().len(),
            diary.callbacks.len()
        );
        let unknown: Vec<&Value> = self
            .operations
            .iter()
            .filter(|one| one["state"] == "unknown")
            .collect();
        for (why, count) in count_by(&unknown, |one| text(one, "/failure/message")) {
            let _ = write!(line, "\n  {count} unknown: {why}");
        }
        line
    }

    fn every_end_is_told_once(&self) {
        let ends: Vec<&Value> = self
            .events
            .iter()
            .filter(|event| event["type"] == FINISHED)
            .collect();
        let reported = count_by(&ends, |event| text(event, "/data/session/id"));
        for session in &self.sessions {
            assert_eq!(
                reported.get(session.id.as_str()),
                Some(&1),
                "the end of {session:?}"
            );
        }
        assert_eq!(
            reported.len(),
            self.sessions.len(),
            "ends of sessions that EM does not know"
        );
    }

    fn sequences_have_no_gap(&self) {
        let mut last: HashMap<&str, i64> = HashMap::new();
        // What is told of a session's report is no event of the session.
        let is_the_sessions = |event: &&Value| {
            text(event, "/type").starts_with("failover.") && event["data"]["session"].is_object()
        };
        for event in self.events.iter().filter(is_the_sessions) {
            let sequence = last.entry(text(event, "/data/session/id")).or_default();
            *sequence += 1;
            assert_eq!(event["data"]["sequence"], *sequence, "{event:#}");
        }
    }

    /// At most one POST for an operation, one operation that EM may have accepted for a key, one session for it.
    async fn nothing_was_started_twice(&self, em: &Em) {
        let may_have_acted =
            |one: &&Value| text(one, "/failure/source") != "gateway" || one["result"] != "failed";
        let acted: Vec<&Value> = self.operations.iter().filter(may_have_acted).collect();
        for (key, count) in count_by(&acted, |one| text(one, "/metadata/key")) {
            assert_eq!(count, 1, "operations under {key}");
        }
        let stats = em.stats().await;
        let mut operations: BTreeMap<&str, u64> = BTreeMap::new();
        for operation in &self.operations {
            *operations.entry(text(operation, "/plan/id")).or_default() += 1;
        }
        for (request, count) in stats["requests"].as_object().expect("counters") {
            if let Some((_, plan)) = request.split_once("ailoverPlans/")
                && request.starts_with("POST ")
            {
                let recorded = operations.get(plan).copied().unwrap_or_default();
                // A session that a replica gave back while another still used it: EM did nothing, so it was sent again.
                let refused = stats["unauthorized"][request].as_u64().unwrap_or(0);
                let count = count.as_u64().expect("a number") - refused;
                assert!(count <= recorded, "{request}: {count} for {recorded} operations");
            }
        }
        let console = em.at_console();
        let ours: Vec<&Session> = self
            .sessions
            .iter()
            .filter(|one| !console.contains(&one.id))
            .collect();
        let starts: Vec<&Value> = acted
            .iter()
            .copied()
            .filter(|one| one["plan"]["kind"] == "cloud" && one["action"] != "undo")
            .collect();
        let wished = count_by(&starts, |one| text(one, "/plan/name"));
        for (name, count) in count_by(&ours, |one| one.plan_name.as_str()) {
            assert!(
                Some(&count) <= wished.get(name),
                "{count} sessions of {name}, wished {wished:?}"
            );
        }
        let joined: Vec<&Value> = self
            .operations
            .iter()
            .filter(|one| one["session"].is_object())
            .collect();
        for (session, count) in count_by(&joined, |one| text(one, "/session/id")) {
            let of_it: Vec<_> = joined
                .iter()
                .filter(|one| text(one, "/session/id") == session)
                .collect();
            assert_eq!(count, 1, "operations of session {session}: {of_it:#?}");
        }
    }

    fn acknowledged_operations_exist_and_ended(&self, caller: &Caller) {
        let known: HashMap<&str, &Value> = self
            .operations
            .iter()
            .map(|one| (text(one, "/id"), one))
            .collect();
        for (key, ids) in &caller.diary().acknowledged {
            assert_eq!(ids.len(), 1, "{key} stands for {ids:?}");
            for id in ids {
                let operation = known
                    .get(id.as_str())
                    .unwrap_or_else(|| panic!("{key}: {id} is lost"));
                assert_eq!(text(operation, "/metadata/key"), key);
                assert!(
                    matches!(text(operation, "/state"), "finished" | "unknown"),
                    "{operation:#}"
                );
            }
        }
    }

    /// No operation without its row, no row without its operation, each end told once, over all kills in one chain.
    fn each_operation_is_told_in_one_chain(&self) -> usize {
        let mut walk = Walk::default();
        let mut rows: Vec<Value> = Vec::new();
        for line in self.audit.lines() {
            walk.line(line)
                .unwrap_or_else(|broken| panic!("{broken}: {line}"));
            rows.push(serde_json::from_str(line).expect("JSON"));
        }
        let of = |wanted: fn(&str) -> bool| -> Vec<&Value> {
            let told = |row: &&Value| wanted(text(row, "/action"));
            rows.iter().filter(told).collect()
        };
        let requests = of(|action| action.starts_with("plan."));
        let requests = count_by(&requests, |row| text(row, "/operationId"));
        let ends = of(|action| action == "operation.finished");
        for operation in &self.operations {
            let id = text(operation, "/id");
            assert_eq!(requests.get(id), Some(&1), "rows about the request of {id}");
            let told: Vec<&str> = ends
                .iter()
                .filter(|row| text(row, "/operationId") == id)
                .map(|row| text(row, "/outcome"))
                .collect();
            // One that was unknown may be found to have ended.
            let end = text(operation, "/result");
            let end = if end.is_empty() { "unknown" } else { end };
            assert!(
                told == [end] || told == ["unknown", end],
                "{told:?} for {operation:#}"
            );
        }
        assert_eq!(
            requests.len(),
            self.operations.len(),
            "rows about operations that are not there"
        );
        rows.len()
    }

    /// Every event arrived at the endpoint with its own bytes; how often one arrived again.
    fn events_arrived(&self, receiver: &Receiver, bound: usize) -> usize {
        let mut arrived: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
        for taken in receiver
            .taken()
            .into_iter()
            .filter(|taken| taken.path == "/endpoint")
        {
            arrived.entry(taken.id).or_default().push(taken.body);
        }
        for event in self.events.iter().filter(|event| event["type"] == FINISHED) {
            let bodies = arrived.get(text(event, "/id"));
            assert!(bodies.is_some(), "never arrived: {event:#}");
        }
        let mut duplicates = 0;
        for (id, bodies) in &arrived {
            assert_eq!(
                bodies.iter().collect::<HashSet<_>>().len(),
                1,
                "{id} came with other bytes"
            );
            duplicates += bodies.len() - 1;
        }
        // A gateway that is killed, or replaced while it is stopped, makes at most those arrive again that it was sending,
        // and an endpoint has no more under way. Losing the database makes none: outcomes wait in memory.
        assert!(
            duplicates <= bound,
            "{duplicates} duplicates, {bound} can be explained"
        );
        duplicates
    }

    fn callbacks_got_one_event(&self, caller: &Caller, receiver: &Receiver) {
        let mut ids: HashMap<String, HashSet<String>> = HashMap::new();
        for taken in receiver.taken() {
            if let Some(key) = taken.path.strip_prefix("/callback/") {
                ids.entry(key.to_owned()).or_default().insert(taken.id);
            }
        }
        let diary = caller.diary();
        for key in &diary.callbacks {
            let count = ids.get(key).map_or(0, HashSet::len);
            let wanted = usize::from(diary.acknowledged.contains_key(key));
            assert_eq!(count, wanted, "events at the callback of {key}");
        }
    }
}
