//! What an observation means: compares what is known of a session with what EM says now. Pure; the tests are below.
//!
//! Rules: docs/behaviour.md#observation; stopped sessions of the baseline are recorded silently; finished means
//! `Stopped`, reported at once with a result and after a minute without; a session that two complete observations
//! lack, and that had not ended, is lost.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::later;
use crate::domain::session::{SessionFacts, SessionPhase, SessionRecord};

/// How long a stopped session's result is waited for.
const RESULT_GRACE: Duration = Duration::from_mins(1);

/// How long the end of a session is kept back for EM's answer to the request that may have started it.
const ANSWER_GRACE: Duration = Duration::from_secs(10);

/// How many complete observations in a row must lack a session before it is lost.
const MISSES_UNTIL_LOST: i64 = 2;

/// How far back EM's session collections reach.
pub const EM_WINDOW: Duration = Duration::from_hours(30 * 24);

/// Something that is reported of a session, in the order of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It was seen for the first time.
    Started,
    /// It changed while it runs.
    Progressed,
    /// A machine of it reached its end.
    MachineFinished(String),
    /// It ended.
    Finished,
    /// EM no longer knows it.
    Lost,
}

/// A record to be written and what is to be reported of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The record as it is from now on.
    pub record: SessionRecord,
    /// What happened, oldest first.
    pub steps: Vec<Step>,
}

impl Change {
    /// Until when the session's end may be kept back; none when nothing ends or that moment has passed.
    #[must_use]
    pub fn may_end_later(&self, now: Timestamp) -> Option<Timestamp> {
        let stopped_at = self.record.stopped_seen_at?;
        let until = later(stopped_at, ANSWER_GRACE);
        // A clock that was set back must not make the wait endless.
        let waiting = now.duration_since(stopped_at).unsigned_abs() < ANSWER_GRACE;
        (waiting && self.steps.contains(&Step::Finished)).then_some(until)
    }

    /// The same without the session's end, which a later observation finds again. Of a session of which nothing was reported yet
    /// nothing is reported before its end.
    #[must_use]
    pub fn without_end(mut self) -> Self {
        self.record.phase = SessionPhase::Open;
        if self.record.sequence == 0 {
            self.steps.clear();
        }
        self.steps.retain(|step| *step != Step::Finished);
        self
    }
}

/// The observation at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// Its number, from 1.
    pub number: i64,
    /// When it was made, by the gateway's clock.
    pub at: Timestamp,
}

impl Observation {
    /// The first complete observation of an empty store is the baseline.
    const fn is_baseline(self) -> bool {
        self.number == 1
    }
}

/// What it means that EM shows `facts`; `None` when nothing changed.
#[must_use]
pub fn seen(known: Option<&SessionRecord>, facts: SessionFacts, observation: Observation) -> Option<Change> {
    match known {
        None => Some(first_seen(facts, observation)),
        Some(known) => seen_again(known, facts, observation),
    }
}

fn first_seen(facts: SessionFacts, observation: Observation) -> Change {
    let stopped = facts.state.is_stopped();
    let silent = stopped && observation.is_baseline();
    let mut steps = Vec::new();
    if !silent {
        steps.push(Step::Started);
        steps.extend(machines_ended(None, &facts));
    }
    let mut record = SessionRecord {
        plan: None,
        first_seen_at: observation.at,
        first_observation: observation.number,
        stopped_seen_at: stopped.then_some(observation.at),
        missed: 0,
        sequence: 0,
        phase: if silent {
            SessionPhase::Ended
        } else {
            SessionPhase::Open
        },
        facts,
    };
    end_if_due(&mut record, &mut steps, observation.at);
    Change { record, steps }
}

fn seen_again(known: &SessionRecord, mut facts: SessionFacts, observation: Observation) -> Option<Change> {
    // Rows of the query lack the backup server; what a single GET answered stays known.
    facts.backup_server = facts.backup_server.or_else(|| known.facts.backup_server.clone());
    let mut record = SessionRecord {
        facts,
        plan: known.plan.clone(),
        missed: 0,
        phase: match known.phase {
            SessionPhase::Lost => SessionPhase::Open,
            phase => phase,
        },
        ..*known
    };
    let facts = &record.facts;
    let mut steps = Vec::new();
    if is_untold(known) {
        steps.push(Step::Started);
        steps.extend(machines_ended(None, facts));
    } else if record.phase == SessionPhase::Open {
        let machines = machines_ended(Some(&known.facts), facts);
        if !facts.state.is_stopped() && *facts != known.facts {
            steps.push(Step::Progressed);
        }
        steps.extend(machines);
    }
    if !record.facts.state.is_stopped() {
        record.stopped_seen_at = None;
    } else if record.stopped_seen_at.is_none() {
        record.stopped_seen_at = Some(observation.at);
    }
    end_if_due(&mut record, &mut steps, observation.at);
    (record != *known).then_some(Change { record, steps })
}

/// What it means that a complete observation lacks a session whose end is awaited.
#[must_use]
pub fn absent(known: &SessionRecord, at: Timestamp) -> Change {
    let mut record = SessionRecord {
        missed: known.missed + 1,
        ..known.clone()
    };
    let mut steps = Vec::new();
    if is_untold(known) {
        steps.push(Step::Started);
        steps.extend(machines_ended(None, &known.facts));
    }
    if record.stopped_seen_at.is_some() {
        // It had stopped and only its result was waited for; the wait continues by the clock.
        end_if_due(&mut record, &mut steps, at);
    } else if record.missed >= MISSES_UNTIL_LOST {
        record.phase = SessionPhase::Lost;
        let age = at.duration_since(record.facts.started_at.unwrap_or(record.first_seen_at));
        if age.unsigned_abs() < EM_WINDOW {
            steps.push(Step::Lost);
        }
    }
    Change { record, steps }
}

/// Whether nothing was reported of a session yet because its end was kept back.
fn is_untold(known: &SessionRecord) -> bool {
    known.phase == SessionPhase::Open && known.sequence == 0
}

fn end_if_due(record: &mut SessionRecord, steps: &mut Vec<Step>, at: Timestamp) {
    let Some(stopped_at) = record.stopped_seen_at else {
        return;
    };
    if record.phase != SessionPhase::Open {
        return;
    }
    let waited = at.duration_since(stopped_at);
    // A clock that was set back must not make the wait endless.
    if record.facts.result.is_some() || waited.unsigned_abs() >= RESULT_GRACE {
        record.phase = SessionPhase::Ended;
        steps.push(Step::Finished);
    }
}

fn machines_ended(before: Option<&SessionFacts>, now: &SessionFacts) -> Vec<Step> {
    now.machines
        .iter()
        .filter(|machine| machine.state.is_stopped())
        .filter(|machine| {
            before.is_none_or(|before| {
                !before
                    .machines
                    .iter()
                    .any(|known| known.name == machine.name && known.state.is_stopped())
            })
        })
        .map(|machine| Step::MachineFinished(machine.name.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::{MachineFacts, SessionResult, SessionState};

    const EARLIER: Duration = Duration::from_secs(5);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a moment")
    }

    fn look(number: i64, second: i64) -> Observation {
        Observation {
            number,
            at: at(second),
        }
    }

    fn facts(state: SessionState, result: Option<SessionResult>) -> SessionFacts {
        SessionFacts {
            id: "a986d473-0248-4884-9832-17ec982ee393".parse().expect("an id"),
            uid: None,
            plan_name: "ABC Company Failover Plan".into(),
            job: None,
            job_type: Some("FailoverPlan".into()),
            backup_server: None,
            state,
            result,
            progress: Some(0),
            started_at: Some(at(0) - EARLIER),
            ended_at: None,
            failure_message: None,
            machines: vec![],
        }
    }

    fn machine(name: &str, state: SessionState) -> MachineFacts {
        MachineFacts {
            name: name.into(),
            state,
            result: None,
            progress: None,
            started_at: None,
            ended_at: None,
            failure_message: None,
            replica_point: None,
        }
    }

    fn working() -> SessionRecord {
        SessionRecord {
            sequence: 1,
            ..first_seen(facts(SessionState::Working, None), look(2, 0)).record
        }
    }

    #[test]
    fn a_stopped_session_of_the_baseline_is_recorded_silently() {
        let change = seen(
            None,
            facts(SessionState::Stopped, Some(SessionResult::Success)),
            look(1, 0),
        )
        .expect("recorded");
        assert_eq!(change.steps, []);
        assert_eq!(change.record.phase, SessionPhase::Ended);
    }

    #[test]
    fn a_running_session_of_the_baseline_is_news() {
        let change = seen(None, facts(SessionState::Working, None), look(1, 0)).expect("recorded");
        assert_eq!(change.steps, [Step::Started]);
    }

    #[test]
    fn a_session_first_seen_finished_has_both_events() {
        let change = seen(
            None,
            facts(SessionState::Stopped, Some(SessionResult::Failed)),
            look(2, 0),
        )
        .expect("recorded");
        assert_eq!(change.steps, [Step::Started, Step::Finished]);
    }

    #[test]
    fn an_unchanged_session_has_no_event() {
        assert_eq!(
            seen(Some(&working()), facts(SessionState::Working, None), look(3, 2)),
            None
        );
    }

    #[test]
    fn progress_and_ended_machines_are_reported_while_a_session_runs() {
        let mut later = facts(SessionState::Working, None);
        later.progress = Some(50);
        later.machines = vec![
            machine("a", SessionState::Stopped),
            machine("b", SessionState::Working),
        ];
        let change = seen(Some(&working()), later, look(3, 2)).expect("changed");
        assert_eq!(
            change.steps,
            [Step::Progressed, Step::MachineFinished("a".into())]
        );
        let mut end = facts(SessionState::Stopped, Some(SessionResult::Success));
        end.machines = vec![
            machine("a", SessionState::Stopped),
            machine("b", SessionState::Stopped),
        ];
        let change = seen(Some(&change.record), end, look(4, 4)).expect("changed");
        assert_eq!(change.steps, [Step::MachineFinished("b".into()), Step::Finished]);
    }

    #[test]
    fn a_missing_result_is_awaited_for_one_minute() {
        let stopped = facts(SessionState::Stopped, None);
        let change = seen(Some(&working()), stopped.clone(), look(3, 10)).expect("changed");
        assert_eq!(change.steps, []);
        assert_eq!(seen(Some(&change.record), stopped.clone(), look(4, 69)), None);
        let change = seen(Some(&change.record), stopped, look(5, 70)).expect("changed");
        assert_eq!(change.steps, [Step::Finished]);
        assert_eq!(change.record.facts.result, None);
    }

    fn ended_with(machines: &[&str]) -> SessionFacts {
        let machines = machines.iter().map(|name| machine(name, SessionState::Stopped));
        SessionFacts {
            machines: machines.collect(),
            ..facts(SessionState::Stopped, Some(SessionResult::Success))
        }
    }

    #[test]
    fn an_end_may_be_held_back_for_ten_seconds() {
        let mut change = seen(Some(&working()), ended_with(&[]), look(3, 10)).expect("changed");
        for second in [10, 19] {
            assert_eq!(change.may_end_later(at(second)), Some(at(20)));
            let kept = change.without_end();
            assert_eq!((kept.steps, kept.record.phase), (vec![], SessionPhase::Open));
            change = seen(Some(&kept.record), ended_with(&[]), look(4, second)).expect("found again");
            assert_eq!(change.steps, [Step::Finished]);
        }
        assert_eq!(change.may_end_later(at(20)), None);
        assert_eq!(change.may_end_later(at(-60)), None, "the clock was set back");
        let running = first_seen(facts(SessionState::Working, None), look(2, 0));
        assert_eq!(running.may_end_later(at(0)), None);
    }

    #[test]
    fn changes_before_an_end_that_is_held_back_are_reported_once() {
        let change = seen(Some(&working()), ended_with(&["a"]), look(3, 10)).expect("changed");
        let kept = change.without_end();
        assert_eq!(kept.steps, [Step::MachineFinished("a".into())]);
        let change = seen(Some(&kept.record), ended_with(&["a"]), look(4, 12)).expect("found again");
        assert_eq!(change.steps, [Step::Finished]);
    }

    #[test]
    fn a_session_first_seen_finished_is_held_back_whole() {
        let all = [Step::Started, Step::MachineFinished("a".into()), Step::Finished];
        let change = seen(None, ended_with(&["a"]), look(2, 10)).expect("recorded");
        assert_eq!(change.steps, all);
        let kept = change.without_end();
        assert_eq!(kept.steps, []);
        let shown = seen(Some(&kept.record), ended_with(&["a"]), look(3, 12)).expect("found again");
        assert_eq!(shown.steps, all);
        assert_eq!(shown.without_end(), kept, "nothing new is written while it waits");
        assert_eq!(
            absent(&kept.record, at(12)).steps,
            all,
            "also when EM shows it no more"
        );
    }

    #[test]
    fn an_ended_session_has_no_further_event() {
        let end = facts(SessionState::Stopped, Some(SessionResult::Success));
        let ended = seen(Some(&working()), end.clone(), look(3, 2))
            .expect("changed")
            .record;
        let mut reworded = end;
        reworded.failure_message = Some("late remark".into());
        let change = seen(Some(&ended), reworded, look(4, 4)).expect("recorded");
        assert_eq!(change.steps, []);
    }

    #[test]
    fn a_session_is_lost_after_two_observations_without_it() {
        let first = absent(&working(), at(2));
        assert_eq!(first.steps, []);
        let second = absent(&first.record, at(4));
        assert_eq!(second.steps, [Step::Lost]);
        assert_eq!(second.record.phase, SessionPhase::Lost);
        let end = facts(SessionState::Stopped, Some(SessionResult::Success));
        let found = seen(Some(&second.record), end, look(5, 6)).expect("changed");
        assert_eq!(found.steps, [Step::Finished]);
    }

    #[test]
    fn one_sighting_in_between_starts_the_count_anew() {
        let missed = absent(&working(), at(2)).record;
        let seen_again = seen(Some(&missed), facts(SessionState::Working, None), look(4, 4))
            .expect("changed")
            .record;
        assert_eq!(absent(&seen_again, at(6)).steps, []);
    }

    #[test]
    fn a_session_beyond_the_window_of_em_ends_without_a_word() {
        let later = at(0) + Duration::from_hours(31 * 24);
        let gone = absent(&absent(&working(), later).record, later);
        assert_eq!((gone.steps, gone.record.phase), (vec![], SessionPhase::Lost));
    }
}
