use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::clock::{Clock as _, ManualClock};

fn breaker() -> (Arc<ManualClock>, Breaker) {
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    (clock.clone(), Breaker::new(clock))
}

fn fail(breaker: &Breaker) {
    breaker
        .pass()
        .expect("closed or half open")
        .done(Err(&Kind::TimedOut));
}

#[test]
fn five_failures_in_a_row_open_the_circuit() {
    let (clock, breaker) = breaker();
    assert_eq!(breaker.health().circuit, Circuit::Closed);
    for _ in 0..4 {
        fail(&breaker);
    }
    breaker
        .pass()
        .expect("closed")
        .done(Ok(StatusCode::INTERNAL_SERVER_ERROR));
    for _ in 0..5 {
        fail(&breaker);
    }
    let refused = breaker.pass().err().expect("open");
    assert!(matches!(refused.kind(), Kind::CircuitOpen { .. }));
    assert_eq!(refused.acted(), crate::upstream::Acted::No);
    assert!(!breaker.health().up);
    assert!(matches!(breaker.health().circuit, Circuit::Open(until) if until > clock.now()));
}

#[test]
fn after_the_pause_the_outcome_of_one_trial_decides() {
    let (clock, breaker) = breaker();
    for _ in 0..5 {
        fail(&breaker);
    }
    clock.advance(Duration::from_secs(2));
    assert_eq!(breaker.health().circuit, Circuit::HalfOpen);
    let trial = breaker.pass().expect("half open");
    assert!(breaker.pass().is_err(), "a second one while the trial runs");
    trial.done(Err(&Kind::TimedOut));
    assert!(breaker.pass().is_err(), "open again, and for longer");
    clock.advance(Duration::from_secs(1));
    assert!(breaker.pass().is_err());
    clock.advance(Duration::from_secs(2));
    breaker.pass().expect("half open").done(Ok(StatusCode::OK));
    assert!(breaker.pass().is_ok() && breaker.pass().is_ok());
    assert_eq!(breaker.health().since, Some(clock.now()));
    assert_eq!(breaker.health().circuit, Circuit::Closed);
}

#[test]
fn a_trial_whose_caller_went_away_frees_its_slot() {
    let (clock, breaker) = breaker();
    for _ in 0..5 {
        fail(&breaker);
    }
    clock.advance(Duration::from_secs(2));
    drop(breaker.pass().expect("half open"));
    assert!(breaker.pass().is_ok());
}

#[test]
fn a_clock_that_is_set_does_not_change_how_long_the_breaker_is_open() {
    let (clock, breaker) = breaker();
    for _ in 0..5 {
        fail(&breaker);
    }
    clock.set(Timestamp::UNIX_EPOCH - Duration::from_hours(1));
    fail(&breaker);
    assert!(
        breaker.pass().is_err(),
        "the trial failed, so there is a new pause"
    );
    clock.set(Timestamp::UNIX_EPOCH + Duration::from_hours(1));
    breaker.pass().expect("half open").done(Ok(StatusCode::OK));
    assert!(breaker.pass().is_ok() && breaker.pass().is_ok());
}

#[test]
fn a_trial_that_was_overtaken_by_an_answer_leaves_the_next_trial_alone() {
    let (clock, breaker) = breaker();
    let early = breaker.pass().expect("closed");
    for _ in 0..5 {
        fail(&breaker);
    }
    clock.advance(Duration::from_secs(2));
    let late = breaker.pass().expect("half open");
    early.done(Ok(StatusCode::OK));
    for _ in 0..5 {
        fail(&breaker);
    }
    clock.advance(Duration::from_secs(2));
    let trial = breaker.pass().expect("half open again");
    drop(late);
    assert!(breaker.pass().is_err(), "one at a time");
    drop(trial);
    assert!(breaker.pass().is_ok());
}

/// What one of the requests under way meets, or the clock.
#[derive(Debug, Clone)]
enum Step {
    Send,
    Answer(usize),
    Fail(usize),
    GiveUp(usize),
    Wait(u64),
    SetBack(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Send),
        1 => (0..8_usize).prop_map(Step::Answer),
        6 => (0..8_usize).prop_map(Step::Fail),
        1 => (0..8_usize).prop_map(Step::GiveUp),
        3 => (0..20_000_u64).prop_map(Step::Wait),
        1 => (0..100_000_u64).prop_map(Step::SetBack),
    ]
}

fn pick<T>(under_way: &mut Vec<T>, at: usize) -> Option<T> {
    (!under_way.is_empty()).then(|| under_way.remove(at % under_way.len()))
}

/// The longest pause, jitter included.
const AT_LAST: Duration = Duration::from_secs(18);

proptest! {
    #[test]
    fn em_is_asked_by_one_at_a_time_while_it_does_not_answer(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let (clock, breaker) = breaker();
        // Requests under way, and whether each is a trial; failures since the last answer.
        let mut under_way: Vec<(Pass<'_>, bool)> = Vec::new();
        let mut failures = 0;
        for step in steps {
            match step {
                Step::Send => match breaker.pass() {
                    Ok(pass) => {
                        let open = failures >= 5;
                        let trials = under_way.iter().filter(|(_, trial)| *trial).count();
                        prop_assert!(!open || trials == 0, "a second one while EM does not answer");
                        under_way.push((pass, open));
                    }
                    Err(error) => {
                        prop_assert!(failures >= 5, "EM answered, or failed less than five times");
                        let told = error.retry_after().unwrap_or_default();
                        prop_assert!(!told.is_zero() && told <= LONGEST_PAUSE * 2, "{told:?}");
                        prop_assert_eq!(error.acted(), crate::upstream::Acted::No);
                    }
                },
                Step::Answer(at) => if let Some((pass, _)) = pick(&mut under_way, at) {
                    pass.done(Ok(StatusCode::SERVICE_UNAVAILABLE));
                    failures = 0;
                    for (_, trial) in &mut under_way {
                        *trial = false;
                    }
                    prop_assert!(breaker.health().up);
                },
                Step::Fail(at) => if let Some((pass, _)) = pick(&mut under_way, at) {
                    pass.done(Err(&Kind::TimedOut));
                    failures += 1;
                    prop_assert!(!breaker.health().up);
                },
                Step::GiveUp(at) => drop(pick(&mut under_way, at)),
                Step::Wait(millis) => clock.advance(Duration::from_millis(millis)),
                Step::SetBack(millis) => clock.set(clock.now() - Duration::from_millis(millis)),
            }
        }
        // Nobody is locked out for good, whatever became of the trial and of the clock.
        under_way.clear();
        let reached = (0..=LONGEST_PAUSE.as_secs() * 2).any(|_| {
            let passed = breaker.pass().is_ok();
            clock.advance(Duration::from_secs(1));
            passed
        });
        prop_assert!(reached);
    }

    #[test]
    fn pauses_double_up_to_the_longest(rounds in 0..12_u32) {
        let (clock, breaker) = breaker();
        for _ in 0..5 {
            fail(&breaker);
        }
        for round in 0..rounds {
            let pause = (FIRST_PAUSE * 2_u32.pow(round.min(5))).min(LONGEST_PAUSE);
            clock.advance(pause.mul_f64(0.79));
            prop_assert!(breaker.pass().is_err(), "round {round}");
            clock.advance(pause.mul_f64(0.42));
            fail(&breaker);
        }
        clock.advance(AT_LAST);
        prop_assert!(breaker.pass().is_ok());
    }
}
