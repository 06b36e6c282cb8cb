//! Sessions that the store has as Enterprise Manager shows them, and of which nothing is due: an observation that shows one of
//! them unchanged need not read or write its row again (docs/behaviour.md#observation).
//!
//! Known of what this process wrote itself under its present lease, and forgotten whenever that is in doubt: forgetting costs one
//! look at the row, and nothing else.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use crate::domain::id::EmId;
use crate::domain::operation::Operation;
use crate::domain::session::{SessionFacts, SessionPhase, SessionRecord};
use crate::store::replicas::Lease;

/// What is known of settled sessions.
#[derive(Default)]
pub(super) struct Settled {
    lease: Option<Lease>,
    /// Two hashes of what EM showed, under keys of this process: nobody can make two descriptions that are taken for one.
    keys: [RandomState; 2],
    shown: HashMap<EmId, Mark>,
}

/// What stands for the description of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64, u64);

impl Settled {
    /// Forgets all, if what is known was written under another lease.
    pub(super) fn hold(&mut self, lease: Lease) {
        if self.lease.replace(lease) != Some(lease) {
            self.shown.clear();
        }
    }

    /// Leaves out of an observation's sessions those that are settled; but those stay that operations may depend on, by their
    /// plan (`wanted`) or their id (`linked`), and those that the store does not have (`known`: the keys of those that it has).
    pub(super) fn leave_out(
        &mut self,
        sessions: &mut Vec<SessionFacts>,
        known: &HashSet<String>,
        linked: &HashSet<EmId>,
        wanted: impl Fn(&SessionFacts) -> bool,
    ) {
        let shown: HashSet<&EmId> = sessions.iter().map(|facts| &facts.id).collect();
        self.shown.retain(|id, _| shown.contains(id));
        sessions.retain(|facts| {
            self.shown.get(&facts.id) != Some(&self.mark(facts))
                || wanted(facts)
                || linked.contains(&facts.id)
                || !known.contains(&facts.id.key())
        });
    }

    /// What sessions are about to be written as; until that has succeeded, they are not settled.
    pub(super) fn begin(&mut self, sessions: &[SessionFacts]) -> Vec<(EmId, Mark)> {
        let mark = |facts: &SessionFacts| (facts.id.clone(), self.mark(facts));
        let marks: Vec<_> = sessions.iter().map(mark).collect();
        for (id, _) in &marks {
            self.shown.remove(id);
        }
        marks
    }

    /// Those sessions were written, and of `settled` nothing is due.
    pub(super) fn wrote(&mut self, marks: Vec<(EmId, Mark)>, settled: &HashSet<EmId>) {
        self.shown
            .extend(marks.into_iter().filter(|(id, _)| settled.contains(id)));
    }

    fn mark(&self, facts: &SessionFacts) -> Mark {
        let [one, other] = &self.keys;
        Mark(one.hash_one(facts), other.hash_one(facts))
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

/// The sessions that operations are joined with.
pub(super) fn of_operations(operations: &[Operation]) -> impl Iterator<Item = EmId> {
    operations
        .iter()
        .filter_map(|operation| operation.session.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::session::SessionState;
    use crate::store::testing::temporary;

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

    fn left(settled: &mut Settled, sessions: &[SessionFacts], linked: &[&SessionFacts]) -> Vec<usize> {
        let known = sessions.iter().map(|facts| facts.id.key()).collect();
        let linked = linked.iter().map(|facts| facts.id.clone()).collect();
        let mut rest = sessions.to_vec();
        settled.leave_out(&mut rest, &known, &linked, |_| false);
        let place = |facts: &SessionFacts| sessions.iter().position(|one| one == facts).expect("one of them");
        rest.iter().map(place).collect()
    }

    #[tokio::test]
    async fn a_session_is_left_out_while_it_is_shown_as_it_was_written() {
        let store = temporary().await;
        let lease = store.lease(Lease::WATCH).await.expect("asked").expect("free");
        let mut settled = Settled::default();
        settled.hold(lease);
        let sessions = [facts(1, 10), facts(2, 20)];
        let ids: HashSet<EmId> = sessions.iter().map(|facts| facts.id.clone()).collect();
        assert_eq!(
            left(&mut settled, &sessions, &[]),
            [0, 1],
            "nothing was written yet"
        );
        let marks = settled.begin(&sessions);
        assert_eq!(left(&mut settled, &sessions, &[]), [0, 1], "not committed yet");
        settled.wrote(marks, &ids);
        assert_eq!(left(&mut settled, &sessions, &[]), [] as [usize; 0]);
        let changed = [facts(1, 11), facts(2, 20)];
        assert_eq!(left(&mut settled, &changed, &[]), [0]);
        assert_eq!(
            left(&mut settled, &sessions, &[&sessions[1]]),
            [1],
            "an operation waits for it"
        );
        let mut rest = sessions.to_vec();
        settled.leave_out(&mut rest, &HashSet::new(), &HashSet::new(), |_| false);
        assert_eq!(rest.len(), 2, "the store has lost them");
        settled.hold(lease);
        assert_eq!(left(&mut settled, &sessions, &[]), [] as [usize; 0]);
        let gone = [facts(2, 20)];
        assert_eq!(left(&mut settled, &gone, &[]), [] as [usize; 0]);
        assert_eq!(
            left(&mut settled, &sessions, &[]),
            [0],
            "what is not shown is forgotten"
        );
    }

    #[test]
    fn what_is_due_later_is_not_settled() {
        let now = crate::clock::Clock::now(&SystemClock);
        let record = SessionRecord {
            facts: facts(1, 10),
            plan: None,
            first_seen_at: now,
            first_observation: 1,
            stopped_seen_at: None,
            missed: 0,
            sequence: 1,
            phase: SessionPhase::Open,
        };
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
