//! A model of the at-most-once protocol, checked exhaustively: every order in which replicas, callers, Enterprise Manager and
//! faults can act in a small world. What holds in each state is in `properties`, and that the checker finds what breaks it
//! is in the tests of mutations.
//!
//! The steps are named after the code's functions ([`CODE`], which a test holds). `make model` checks larger worlds and
//! prints how many states they have; the small ones are in `make test`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected shall end loudly"
)]

mod protocol; // the worlds, their states, their steps, and what has to hold

use std::path::Path;

use protocol::{Mutation, Request, World};
use rstest::rstest;
use stateright::{Checker as _, HasDiscoveries, Model as _};

/// Step of the model, file, and the function that does it.
const CODE: &[(&str, &str, &str)] = &[
    ("Record", "src/app/submit.rs", "record"),
    ("Record", "src/app/submit.rs", "confirm"),
    ("CancelUnsent", "src/app/submit.rs", "cancel_unsent"),
    ("TryApprove", "src/app/approvals.rs", "try_approve"),
    ("TryApprove", "src/app/approvals.rs", "submit_waiting"),
    ("BeginSending", "src/app/approvals.rs", "begin_sending"),
    ("EndUnsent", "src/app/approvals.rs", "end_unsent"),
    ("EndWaiting", "src/app/approvals.rs", "reject"),
    ("EndWaiting", "src/app/approvals.rs", "expire_waiting"),
    ("Send", "src/app/submit.rs", "send"),
    ("Send", "src/upstream/commands.rs", "send"),
    ("Send", "src/store/replicas/presence.rs", "is_registered_since"),
    ("RecordReply", "src/app/record_reply.rs", "record_accepted"),
    ("RecordReply", "src/app/record_reply.rs", "record_refused"),
    ("RecordUnknown", "src/app/record_reply.rs", "record_unknown"),
    ("Join", "src/watcher/follow.rs", "join"),
    ("SessionSeen", "src/watcher/follow.rs", "session_seen"),
    ("Expire", "src/watcher/follow.rs", "expire"),
    ("AnswerDue", "src/watcher/follow.rs", "awaits_answer"),
    ("RemoveReplica", "src/store/replicas.rs", "remove_replica"),
];

#[test]
fn the_steps_of_the_model_are_functions_of_the_code() {
    for (step, file, function) in CODE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{step}: {file}: {error}"));
        assert!(
            [format!("fn {function}("), format!("fn {function}<")]
                .iter()
                .any(|head| source.contains(head.as_str())),
            "{step}: {file} has no function {function}; name the step after what does it now"
        );
    }
}

/// A request for the plan with this number.
const fn request(plan: u8, approvals: u8) -> Request {
    Request { plan, approvals }
}

const TWO_REQUESTS: World = World {
    replicas: 1,
    requests: &[request(0, 0), request(0, 0)],
    kills: 1,
    faults: 0,
    mutation: None,
};

const TWO_REPLICAS: World = World {
    replicas: 2,
    requests: &[request(0, 0)],
    kills: 2,
    faults: 1,
    mutation: None,
};

const APPROVAL: World = World {
    replicas: 2,
    requests: &[request(0, 2)],
    kills: 2,
    faults: 1,
    mutation: None,
};

/// Checks a world whole; how many states it has.
fn check(name: &str, world: World) -> usize {
    let checker = world.checker().threads(2).spawn_dfs().join();
    checker.assert_properties();
    let states = checker.unique_state_count();
    println!("model, {name}: {states} states, every property holds");
    states
}

#[rstest]
#[case::two_requests("one gateway, two requests for a plan", TWO_REQUESTS)]
#[case::two_replicas("two replicas, one request", TWO_REPLICAS)]
#[case::approval("two replicas, a request with two approvals", APPROVAL)]
fn no_order_of_steps_starts_twice_or_forgets_in_a_small_world(#[case] name: &str, #[case] world: World) {
    assert!(
        check(name, world) > 1_000,
        "{name}: the world is too small to show anything"
    );
}

/// `make model` checks these as well; they take minutes.
const LARGE: &[(&str, World)] = &[
    (
        "two replicas, one request, three kills, three faults",
        World {
            kills: 3,
            faults: 3,
            ..TWO_REPLICAS
        },
    ),
    (
        "three replicas, a request with two approvals, three kills, two faults",
        World {
            replicas: 3,
            kills: 3,
            faults: 2,
            ..APPROVAL
        },
    ),
    (
        "two replicas, two requests for a plan, two kills",
        World {
            replicas: 2,
            kills: 2,
            ..TWO_REQUESTS
        },
    ),
    (
        "two replicas, a request with two approvals beside one that needs none",
        World {
            replicas: 2,
            requests: &[request(0, 2), request(0, 0)],
            ..TWO_REQUESTS
        },
    ),
];

#[test]
fn no_order_of_steps_starts_twice_or_forgets_in_large_worlds() {
    if std::env::var("MODEL").as_deref() != Ok("large") {
        return;
    }
    for (name, world) in LARGE {
        check(name, *world);
    }
}

#[rstest]
#[case::a_request_is_sent_again_after_a_lost_answer(
    Mutation::ResendAfterLostAnswer,
    TWO_REPLICAS,
    "a request starts once at most"
)]
#[case::the_next_start_sends_what_was_recorded(
    Mutation::ResendAfterRestart,
    TWO_REPLICAS,
    "a request starts once at most"
)]
#[case::the_approval_and_the_submission_are_two_commits(
    Mutation::ApproveThenSubmit,
    APPROVAL,
    "a request starts once at most"
)]
#[case::what_was_approved_is_sent_by_whoever_finds_it(
    Mutation::SendWithoutMark,
    APPROVAL,
    "a request starts once at most"
)]
#[case::a_removed_replica_still_sends(
    Mutation::SendWithoutPermit,
    TWO_REPLICAS,
    "what was given up is not sent"
)]
#[case::the_caller_is_answered_before_the_commit(
    Mutation::AnswerBeforeCommit,
    TWO_REQUESTS,
    "nothing acknowledged is forgotten"
)]
#[case::the_audit_row_is_a_commit_of_its_own(
    Mutation::TellAfterwards,
    TWO_REQUESTS,
    "an operation and its audit row are there together"
)]
#[case::a_busy_plan_is_not_looked_for(
    Mutation::IgnoreBusy,
    TWO_REQUESTS,
    "a plan has one open operation at most"
)]
#[case::an_unknown_operation_is_joined_while_its_plan_is_busy(
    Mutation::JoinWhileBusy,
    TWO_REQUESTS,
    "a plan has one open operation at most"
)]
#[case::nothing_expires(
    Mutation::NeverExpire,
    TWO_REQUESTS,
    "where nothing can happen, every operation has ended"
)]
fn a_protocol_with_a_mistake_is_found_out(
    #[case] mutation: Mutation,
    #[case] world: World,
    #[case] property: &'static str,
) {
    let world = World {
        mutation: Some(mutation),
        ..world
    };
    // Breadth first: the shortest way to the mistake, and it ends there.
    let wanted = HasDiscoveries::AnyOf([property].into());
    let checker = world.checker().threads(2).finish_when(wanted).spawn_bfs().join();
    let found = checker.discovery(property);
    assert!(found.is_some(), "{mutation:?} was not found out");
    println!(
        "model, {mutation:?}: found in {} steps",
        found.unwrap().into_vec().len()
    );
}
