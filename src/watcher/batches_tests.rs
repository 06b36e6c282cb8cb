//! What is written together, and in which order.

use super::*;
use crate::domain::session::SessionState;

fn facts(number: usize, plan: &str) -> Arc<SessionFacts> {
    Arc::new(SessionFacts {
        id: format!("a986d473-0248-4884-9832-{number:012x}")
            .parse()
            .expect("an id"),
        uid: None,
        plan_name: plan.into(),
        job: None,
        job_type: None,
        backup_server: None,
        state: SessionState::Working,
        result: None,
        progress: None,
        started_at: None,
        ended_at: None,
        failure_message: None,
        machines: vec![],
    })
}

fn keys(sessions: &[Arc<SessionFacts>]) -> HashSet<String> {
    sessions.iter().map(|facts| facts.id.key()).collect()
}

#[test]
fn an_empty_observation_is_one_batch() {
    let parts = cut(vec![], &HashSet::new(), &[], false, Size::FULL);
    assert_eq!(parts.len(), 1);
    assert!(!parts[0].reads && parts[0].join);
}

#[test]
fn known_sessions_are_written_before_new_ones() {
    let known: Vec<_> = (0..3).map(|number| facts(number, "a")).collect();
    let new: Vec<_> = (3..5).map(|number| facts(number, "b")).collect();
    let all = new.iter().chain(&known).cloned().collect();
    let parts = cut(all, &keys(&known), &[], false, Size::FULL);
    assert_eq!(parts.len(), 2);
    assert_eq!((parts[0].reads, &parts[0].sessions), (false, &known));
    assert_eq!((parts[1].reads, &parts[1].sessions), (true, &new));
}

#[test]
fn a_burst_is_cut_into_parts_of_two_hundred() {
    let all: Vec<_> = (0..450).map(|number| facts(number, "a")).collect();
    let sizes = |parts: &[Part]| -> Vec<usize> { parts.iter().map(|part| part.sessions.len()).collect() };
    let new = cut(all.clone(), &HashSet::new(), &[], false, Size::FULL);
    assert_eq!(sizes(&new), [200, 200, 50]);
    let known = cut(all.clone(), &keys(&all), &[], false, Size::FULL);
    assert_eq!(sizes(&known), [200, 200, 50]);
}

#[test]
fn to_the_baseline_only_what_runs_is_news() {
    let mut stopped = facts(1, "a");
    Arc::make_mut(&mut stopped).state = SessionState::Stopped;
    let parts = cut(vec![stopped.clone()], &HashSet::new(), &[], true, Size::FULL);
    assert!(parts.len() == 1 && !parts[0].reads);
    assert!(is_news(&facts(2, "a"), &HashSet::new(), true));
    assert!(!is_news(&stopped, &HashSet::new(), true));
    assert!(is_news(&stopped, &HashSet::new(), false));
}

#[test]
fn batches_shrink_while_the_store_is_slow() {
    let all: Vec<_> = (0..60).map(|number| facts(number, "a")).collect();
    let slow = (0..3).fold(Size::FULL, |size, _| size.less());
    let parts = cut(all, &HashSet::new(), &[], false, slow);
    assert_eq!(
        parts.iter().map(|part| part.sessions.len()).collect::<Vec<_>>(),
        [25, 25, 10]
    );
    let slowest = (0..20).fold(slow, |size, _| size.less());
    assert_eq!(slowest, Size(10), "but something is written in any case");
    assert_eq!((0..20).fold(slowest, |size, _| size.more()), Size::FULL);
}
