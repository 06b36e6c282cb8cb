//! The share of logon sessions changes while they are in use: no request fails, and no session is leaked.

use std::time::Duration;

use emgate::clock::SystemClock;
use emgate::domain::plan::{Action, PlanKind};
use emgate::sim::Options;
use emgate::upstream::{EmClient, Error, Kind};
use futures_util::future::join_all;

use crate::em_bench::{Bench, Gate, Reply, Server, answer, config, em_at, plan_id, until, usual};

use crate::support::commands::act;

const ACCOUNT: &str = "operators";

async fn read(em: &EmClient) -> Result<(), Error> {
    em.plan(PlanKind::Cloud, &plan_id()).await.map(drop)
}

async fn reads(em: &EmClient, count: usize) {
    for outcome in join_all((0..count).map(|_| read(em))).await {
        outcome.expect("a plan");
    }
}

/// A simulator that takes its time, and four sessions of two requests each.
async fn bench() -> Bench {
    let options = Options {
        latency: 10,
        ..Options::on_any_port()
    };
    Bench::with(options, |config| {
        config.accounts[0].max_sessions = 4;
        config.accounts[0].max_requests_per_session = 2;
    })
    .await
}

#[tokio::test]
async fn surplus_sessions_are_logged_off_until_the_share_grows() {
    let bench = bench().await;
    reads(&bench.em, 40).await;
    bench.open_sessions(4).await;
    bench.em.allow_logons(ACCOUNT, 1);
    bench.open_sessions(1).await;
    reads(&bench.em, 40).await;
    let stats = bench.stats().await;
    assert_eq!(
        (stats.number("logons"), stats.number("logoffs")),
        (4, 3),
        "{stats:?}"
    );
    bench.em.allow_logons(ACCOUNT, 3);
    reads(&bench.em, 40).await;
    bench.open_sessions(3).await;
    assert!(bench.em.shutdown(Duration::from_secs(10)).await);
    assert_eq!(bench.stats().await.number("activeSessions"), 0);
}

#[tokio::test]
async fn a_share_that_changes_under_load_is_never_exceeded() {
    let bench = bench().await;
    // Few enough that on a busy machine the last one's turn comes before its patience ends.
    let crowd = reads(&bench.em, 200);
    let changes = async {
        for share in [1, 4, 2, 3, 1] {
            bench.em.allow_logons(ACCOUNT, share);
            until("no more than the share", async || {
                bench.em.logon_counts()[0].held <= share
            })
            .await;
            let counted = bench.stats().await.number("activeSessions");
            assert!(counted <= share as u64, "{counted} of {share}");
        }
    };
    tokio::join!(crowd, changes);
    let stats = bench.stats().await;
    assert!(stats.number("maxConcurrent") <= 4, "{stats:?}");
}

#[tokio::test]
async fn a_surplus_session_with_a_request_in_it_or_a_task_stays_until_that_has_ended() {
    let gate = Gate::shut();
    let held = gate.clone();
    let server = Server::start(move |request| {
        let reply = answer("404 Not Found", "", "<Error/>");
        usual(request).unwrap_or_else(|| Reply::When(held.clone(), Box::new(reply)))
    })
    .await;
    let mut config = config(&server.url);
    config.accounts[0].max_requests_per_session = 1;
    let em = EmClient::new(&config, SystemClock::shared()).expect("a room");
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let em = em.clone();
            tokio::spawn(async move { read(&em).await })
        })
        .collect();
    let asked = "GET /api/cloud/";
    until("both are under way", async || server.count(asked) == 2).await;
    em.allow_logons(ACCOUNT, 1);
    assert_eq!(em.logon_counts()[0].held, 2);
    assert_eq!(server.count("DELETE"), 0);
    gate.open();
    for reader in readers {
        assert!(reader.await.expect("joined").expect_err("no plan").is_not_found());
    }
    until("one is logged off", async || em.logon_counts()[0].held == 1).await;
    assert_eq!(server.count("DELETE"), 1);
}

#[tokio::test]
async fn a_session_that_a_task_needs_stays_until_the_task_has_ended() {
    let bench = bench().await;
    let plan = bench.plan().await;
    let accepted = act(&bench.em, &plan, Action::Undo).await.expect("accepted");
    reads(&bench.em, 40).await;
    bench.open_sessions(4).await;
    bench.em.allow_logons(ACCOUNT, 0);
    bench.open_sessions(1).await;
    assert_eq!(bench.em.held_logons(), [accepted.logon]);
    bench.em.release(accepted.logon);
    bench.open_sessions(0).await;
}

#[tokio::test]
async fn without_any_share_callers_wait_for_one() {
    let bench = bench().await;
    bench.em.allow_logons(ACCOUNT, 0);
    let em = bench.em.clone();
    let reader = tokio::spawn(async move { read(&em).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!reader.is_finished());
    assert_eq!(bench.stats().await.number("logons"), 0);
    bench.em.allow_logons(ACCOUNT, 1);
    reader.await.expect("joined").expect("a plan");
}

#[tokio::test]
async fn a_logon_that_lands_after_the_share_has_shrunk_is_logged_off_again() {
    let gate = Gate::shut();
    let held = gate.clone();
    let server = Server::start(move |request| {
        let reply = usual(request).unwrap_or_else(|| answer("404 Not Found", "", "<Error/>"));
        if request.is("POST /api/sessionMngr/") {
            return Reply::When(held.clone(), Box::new(reply));
        }
        reply
    })
    .await;
    let em = em_at(&server.url);
    let reader = {
        let em = em.clone();
        tokio::spawn(async move { read(&em).await })
    };
    until("the logon is under way", async || {
        server.count("POST /api/sessionMngr/") == 1
    })
    .await;
    assert_eq!(em.logon_counts()[0].held, 1, "one that may be there is counted");
    em.allow_logons(ACCOUNT, 0);
    gate.open();
    until("it is gone", async || em.logon_counts()[0].held == 0).await;
    assert_eq!(server.count("DELETE"), 1);
    em.shutdown(Duration::from_secs(5)).await;
    let error = reader.await.expect("joined").expect_err("no request is accepted");
    assert_eq!(error.kind(), &Kind::ShuttingDown);
}

#[tokio::test]
async fn an_adopted_session_serves_callers_a_borrowed_one_does_not() {
    let bench = bench().await;
    let accepted = bench.accepted(Action::Undo).await;
    let saved = bench.em.save_logon(accepted.logon).expect("it lives");
    let before = bench.stats().await.number("logons");

    let heir = bench.another(|config| config.accounts[0].max_sessions = 1);
    assert!(heir.resume_logon(&saved, true));
    assert_eq!(heir.logon_counts()[0].held, 1);
    read(&heir).await.expect("a plan");
    assert_eq!(bench.stats().await.number("logons"), before, "in the one it has");

    let host = bench.another(|config| config.accounts[0].max_sessions = 1);
    assert!(host.resume_logon(&saved, false));
    assert_eq!(host.logon_counts()[0].held, 0);
    read(&host).await.expect("a plan");
    assert_eq!(
        bench.stats().await.number("logons"),
        before + 1,
        "in one of its own"
    );
    assert_eq!(host.held_logons().len(), 2);
}
