//! Sessions that the store has as Enterprise Manager shows them, and of which nothing is due: an observation that shows one of
//! them unchanged need not read or write its row again (docs/behaviour.md#observation).
//!
//! Known of what this process wrote itself under its present lease, and forgotten whenever that is in doubt, and once a minute
//! in any case: forgetting costs one look at the row, and nothing else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::follow;
use crate::domain::id::EmId;
use crate::domain::operation::Operation;
use crate::domain::session::{SessionFacts, SessionPhase, SessionRecord};
use crate::store::replicas::Lease;

/// How long a row is not looked at while nothing changes.
const LOOKED_AT_AGAIN: Duration = Duration::from_mins(1);

/// What is known of settled sessions.
#[derive(Default)]
pub(super) struct Settled {
    lease: Option<Lease>,
    since: Timestamp,
    shown: HashMap<EmId, Written>,
}

/// A session as it was written.
struct Written {
    /// What EM showed then.
    facts: Arc<SessionFacts>,
    record: SessionRecord,
}

/// What is left to do of an observation's sessions.
pub(super) struct Left {
    /// The keys of those that were left out.
    pub settled: HashSet<String>,
    /// Those among them that operations are joined with.
    pub joined: HashSet<EmId>,
}

impl Settled {
    /// Forgets all, if what is known was written under another lease, or has not been looked at for long.
    pub(super) fn hold(&mut self, lease: Lease, now: Timestamp) {
        let is_old = now.duration_since(self.since).unsigned_abs() >= LOOKED_AT_AGAIN;
        if self.lease.replace(lease) != Some(lease) || is_old {
            self.shown.clear();
            self.since = now;
        }
    }

    /// Leaves out of an observation's sessions those that are settled; but those stay that operations may depend on: by their
    /// plan (`wanted`), since a task names them (`named`), or since one that is joined with them has not taken over what they
    /// say.
    pub(super) fn leave_out(
        &mut self,
        sessions: &mut Vec<Arc<SessionFacts>>,
        operations: &[Operation],
        named: &HashSet<EmId>,
        wanted: impl Fn(&SessionFacts) -> bool,
    ) -> Left {
        let shown: HashSet<&EmId> = sessions.iter().map(|facts| &facts.id).collect();
        self.shown.retain(|id, _| shown.contains(id));
        let mut joined: HashMap<&EmId, Vec<&Operation>> = HashMap::new();
        for operation in operations {
            if let Some(session) = &operation.session {
                joined.entry(session).or_default().push(operation);
            }
        }
        let mut left = Left {
            settled: HashSet::with_capacity(self.shown.len()),
            joined: HashSet::new(),
        };
        sessions.retain(|facts| {
            let Some(known) = self.shown.get(&facts.id) else {
                return true;
            };
            let is_same = Arc::ptr_eq(&known.facts, facts) || known.facts == *facts;
            if !is_same || named.contains(&facts.id) || wanted(facts) {
                return true;
            }
            if let Some(operations) = joined.get(&facts.id) {
                let in_step = |operation: &&Operation| follow::is_in_step(operation, facts);
                if known.record.plan.is_none() || !operations.iter().all(in_step) {
                    return true;
                }
                left.joined.insert(facts.id.clone());
            }
            left.settled.insert(facts.id.key());
            false
        });
        left
    }

    /// Whether this process wrote the session itself, so that it need not ask whether there is a row.
    pub(super) fn has_written(&self, session: &EmId) -> bool {
        self.shown.contains_key(session)
    }

    /// Sessions are about to be written: what is known of them, each as the store has it. Until they are, they are not settled.
    pub(super) fn begin(&mut self, sessions: &[Arc<SessionFacts>]) -> Vec<SessionRecord> {
        let known = sessions.iter().filter_map(|facts| self.shown.remove(&facts.id));
        known.map(|known| known.record).collect()
    }

    /// Those sessions were written, and of `settled` nothing is due.
    pub(super) fn wrote(&mut self, sessions: Vec<Arc<SessionFacts>>, settled: Vec<SessionRecord>) {
        let mut shown: HashMap<EmId, Arc<SessionFacts>> = HashMap::with_capacity(sessions.len());
        shown.extend(sessions.into_iter().map(|facts| (facts.id.clone(), facts)));
        for record in settled {
            if let Some(facts) = shown.remove(&record.facts.id) {
                self.shown.insert(facts.id.clone(), Written { facts, record });
            }
        }
    }
}

/// Whether nothing is due of a session as long as EM shows it as it is now.
pub(super) fn is_settled(record: &SessionRecord) -> bool {
    match record.phase {
        SessionPhase::Ended => true,
        // What was not reported yet, or is waited for, is looked at each time.
        SessionPhase::Open => record.sequence > 0 && record.missed == 0 && record.stopped_seen_at.is_none(),
        SessionPhase::Lost => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::operation::OperationState;
    use crate::domain::plan::{PlanKind, PlanRef};
    use crate::domain::session::{SessionResult, SessionState};
    use crate::store::Store;
    use crate::store::replicas::LeaseName;
    use crate::store::testing::{new_operation, temporary};

    fn facts(number: usize, progress: i64) -> SessionFacts {
        SessionFacts {
            id: format!("a986d473-0248-4884-9832-{number:012x}")
                .parse()
                .expect("an id"),
            uid: None,
            plan_name: "a plan".to_owned(),
            job: None,
            job_type: None,
            backup_server: None,
            state: SessionState::Working,
            result: None,
            progress: Some(progress),
            started_at: None,
            ended_at: None,
            failure_message: None,
            machines: Vec::new(),
        }
    }

    fn stopped(number: usize) -> SessionFacts {
        SessionFacts {
            state: SessionState::Stopped,
            result: Some(SessionResult::Success),
            ..facts(number, 10)
        }
    }

    /// The sessions that stay, by their places.
    fn left(
        settled: &mut Settled,
        sessions: &[SessionFacts],
        operations: &[Operation],
        named: &[&SessionFacts],
    ) -> Vec<usize> {
        let named = named.iter().map(|facts| facts.id.clone()).collect();
        let mut rest: Vec<_> = sessions.iter().cloned().map(Arc::new).collect();
        let left = settled.leave_out(&mut rest, operations, &named, |_| false);
        assert_eq!(left.settled.len() + rest.len(), sessions.len());
        let place = |facts: &Arc<SessionFacts>| {
            sessions
                .iter()
                .position(|one| *one == **facts)
                .expect("one of them")
        };
        rest.iter().map(place).collect()
    }

    async fn lease(store: &Store) -> Lease {
        store.lease(LeaseName::Watch).await.expect("asked").expect("free")
    }

    fn record(facts: &SessionFacts, plan: Option<PlanRef>) -> SessionRecord {
        let now = crate::clock::Clock::now(&SystemClock);
        SessionRecord {
            facts: facts.clone(),
            plan,
            first_seen_at: now,
            first_observation: 1,
            stopped_seen_at: None,
            missed: 0,
            sequence: 1,
            phase: SessionPhase::Open,
        }
    }

    fn write(settled: &mut Settled, sessions: &[SessionFacts], plan: Option<&PlanRef>) {
        let records = sessions
            .iter()
            .map(|facts| record(facts, plan.cloned()))
            .collect();
        let sessions: Vec<_> = sessions.iter().cloned().map(Arc::new).collect();
        settled.begin(&sessions);
        settled.wrote(sessions, records);
    }

    #[tokio::test]
    async fn a_session_is_left_out_while_it_is_shown_as_it_was_written() {
        let (lease, now) = (lease(&temporary().await).await, Timestamp::UNIX_EPOCH);
        let mut settled = Settled::default();
        settled.hold(lease, now);
        let sessions = [facts(1, 10), facts(2, 20)];
        assert_eq!(
            left(&mut settled, &sessions, &[], &[]),
            [0, 1],
            "nothing was written yet"
        );
        write(&mut settled, &sessions, None);
        assert_eq!(left(&mut settled, &sessions, &[], &[]), [] as [usize; 0]);
        let changed = [facts(1, 11), facts(2, 20)];
        assert_eq!(left(&mut settled, &changed, &[], &[]), [0]);
        settled.begin(&sessions.clone().map(Arc::new));
        assert_eq!(
            left(&mut settled, &sessions, &[], &[]),
            [0, 1],
            "not committed yet"
        );
        write(&mut settled, &sessions, None);
        assert_eq!(
            left(&mut settled, &sessions, &[], &[&sessions[1]]),
            [1],
            "a task names it"
        );
        settled.hold(lease, now);
        assert_eq!(left(&mut settled, &sessions, &[], &[]), [] as [usize; 0]);
        let gone = [facts(2, 20)];
        assert_eq!(left(&mut settled, &gone, &[], &[]), [] as [usize; 0]);
        assert_eq!(
            left(&mut settled, &sessions, &[], &[]),
            [0],
            "what is not shown is forgotten"
        );
    }

    #[tokio::test]
    async fn a_row_is_looked_at_again_after_a_minute_or_when_the_clock_was_set() {
        let (lease, begun) = (lease(&temporary().await).await, Timestamp::UNIX_EPOCH);
        for (second, expected) in [(0, &[][..]), (59, &[]), (60, &[0]), (-60, &[0])] {
            let mut settled = Settled::default();
            settled.hold(lease, begun);
            write(&mut settled, &[facts(1, 10)], None);
            let now = Timestamp::from_second(second).expect("a moment");
            settled.hold(lease, now);
            assert_eq!(
                left(&mut settled, &[facts(1, 10)], &[], &[]),
                expected,
                "{second}"
            );
        }
    }

    #[tokio::test]
    async fn a_session_with_an_operation_is_left_out_once_that_has_taken_it_over() {
        use OperationState::{Running, Submitting, Unknown};
        let store = temporary().await;
        let joined = |session: &SessionFacts, progress, state| Operation {
            session: Some(session.id.clone()),
            progress,
            state,
            ..new_operation(&store)
        };
        let lease = lease(&store).await;
        let (session, stopped) = (facts(1, 10), stopped(1));
        let plan = PlanRef {
            id: session.id.clone(),
            name: "a plan".to_owned(),
            kind: PlanKind::Cloud,
            tenant: None,
            backup_server: None,
        };
        for (operation, shown, has_plan, expected) in [
            (joined(&session, 10, Running), &session, true, &[][..]),
            (joined(&session, 9, Running), &session, true, &[0]),
            (joined(&session, 10, Submitting), &session, true, &[0]),
            (joined(&session, 10, Unknown), &session, true, &[0]),
            (joined(&session, 10, Running), &session, false, &[0]),
            (joined(&session, 10, Running), &stopped, true, &[0]),
        ] {
            let mut settled = Settled::default();
            settled.hold(lease, Timestamp::UNIX_EPOCH);
            write(
                &mut settled,
                std::slice::from_ref(shown),
                Some(&plan).filter(|_| has_plan),
            );
            let operations = [operation.clone()];
            let stays = left(&mut settled, std::slice::from_ref(shown), &operations, &[]);
            assert_eq!(stays, expected, "{:?} {}", operation.state, operation.progress);
        }
    }

    #[test]
    fn what_is_due_later_is_not_settled() {
        let record = record(&facts(1, 10), None);
        let but = |change: fn(&mut SessionRecord)| {
            let mut record = record.clone();
            change(&mut record);
            is_settled(&record)
        };
        assert!(but(|_| {}));
        assert!(but(|record| record.phase = SessionPhase::Ended));
        assert!(!but(|record| record.phase = SessionPhase::Lost));
        assert!(!but(|record| record.sequence = 0));
        assert!(!but(|record| record.missed = 1));
        assert!(!but(|record| record.stopped_seen_at = Some(record.first_seen_at)));
    }
}
