//! The pool of logon sessions: few logons, none leaked, none of others touched, expiry never seen by callers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emgate::clock::{ManualClock, SystemClock};
use emgate::domain::operation::TaskState;
use emgate::domain::plan::{Action, PlanKind};
use emgate::sim::{ExpiredStatus, Options};
use emgate::upstream::{Acted, EmClient, Error, Kind};
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::json;

use crate::em_bench::{Bench, Server, answer, config, em_at, plan_id, usual};
use crate::waiting::slowly_blocking;

use crate::support::commands::act;

fn morning() -> Arc<ManualClock> {
    ManualClock::at("2026-05-06T08:00:00Z".parse::<Timestamp>().expect("a time"))
}

async fn read(em: &EmClient) -> Result<(), Error> {
    em.plan(PlanKind::Cloud, &plan_id()).await.map(drop)
}

async fn reads(em: &EmClient, count: usize) {
    for outcome in join_all((0..count).map(|_| read(em))).await {
        outcome.expect("a plan");
    }
}

#[tokio::test]
async fn a_burst_of_cold_reads_costs_no_more_logons_than_sessions_allowed() {
    let bench = Bench::with(
        Options {
            latency: 5,
            ..Options::on_any_port()
        },
        |_| {},
    )
    .await;
    reads(&bench.em, 200).await;
    let stats = bench.stats().await;
    assert!((1..=2).contains(&stats.number("logons")), "{stats:?}");
    assert!(stats.number("maxConcurrent") <= 2, "{stats:?}");
    assert_eq!(stats.requests("GET /api/cloud/cloudFailoverPlans/"), 200);
}

#[tokio::test]
async fn readers_one_after_another_share_one_logon() {
    let bench = Bench::new().await;
    for _ in 0..20 {
        read(&bench.em).await.expect("a plan");
    }
    assert_eq!(bench.stats().await.number("logons"), 1);
}

#[tokio::test]
async fn no_more_requests_run_in_a_session_than_allowed() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, peak) = (now.clone(), most.clone());
    let server = Server::start(move |request| {
        usual(request).unwrap_or_else(|| {
            // The server answers in the thread of the connection; the pause makes requests overlap.
            let count = running.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(count, Ordering::SeqCst);
            slowly_blocking(Duration::from_millis(2));
            running.fetch_sub(1, Ordering::SeqCst);
            answer("404 Not Found", "", "<Error/>")
        })
    })
    .await;
    let mut config = config(&server.url);
    config.accounts[0].max_sessions = 1;
    config.accounts[0].max_requests_per_session = 2;
    let em = EmClient::new(&config, SystemClock::shared()).expect("a room");
    for outcome in join_all((0..40).map(|_| read(&em))).await {
        assert!(outcome.expect_err("not found").is_not_found());
    }
    assert_eq!(server.count("POST /api/sessionMngr/"), 1);
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

#[tokio::test]
async fn a_storm_of_401_costs_one_logon() {
    let options = Options {
        latency: 5,
        ..Options::on_any_port()
    };
    let bench = Bench::with(options, |config| config.accounts[0].max_sessions = 1).await;
    read(&bench.em).await.expect("a plan");
    bench.expire().await;
    reads(&bench.em, 100).await;
    let stats = bench.stats().await;
    assert_eq!(stats.number("logons"), 2, "{stats:?}");
}

#[tokio::test]
async fn an_expiry_that_shows_as_403_is_distinguished_from_a_missing_right() {
    let options = Options {
        expired_status: ExpiredStatus::Forbidden,
        ..Options::on_any_port()
    };
    let bench = Bench::with(options, |_| {}).await;
    read(&bench.em).await.expect("a plan");
    bench.expire().await;
    read(&bench.em)
        .await
        .expect("a plan, after a logon that the caller does not notice");
    assert_eq!(bench.stats().await.number("logons"), 2);

    bench
        .fault(json!({"kind": "status", "status": 403, "path": "/api/cloud/cloudFailoverPlans"}))
        .await;
    let refused = read(&bench.em).await.expect_err("the right is missing");
    assert_eq!(refused.status(), Some(403));
    assert_eq!(
        bench.stats().await.number("logons"),
        2,
        "a missing right costs no logon"
    );
}

#[tokio::test]
async fn an_action_survives_the_expiry_of_every_session() {
    for expired_status in [ExpiredStatus::Unauthorized, ExpiredStatus::Forbidden] {
        let options = Options {
            latency: 20,
            expired_status,
            ..Options::on_any_port()
        };
        let bench = Bench::with(options, |config| config.accounts[0].max_requests_per_session = 1).await;
        reads(&bench.em, 2).await;
        let plan = bench.plan().await;
        bench.open_sessions(2).await;
        bench.expire().await;
        act(&bench.em, &plan, Action::Test).await.expect("accepted");
        let stats = bench.stats().await;
        assert!(
            stats.requests("POST /api/cloud/") <= 2,
            "one new attempt at the most: {stats:?}"
        );
    }
}

#[tokio::test]
async fn a_logon_has_ems_headers_without_cookies() {
    let server = Server::start(|request| {
        usual(request).unwrap_or_else(|| answer("404 Not Found", "Set-Cookie: a=b\r\n", "<Error/>"))
    })
    .await;
    let mut config = config(&format!("{}/api/", server.url));
    config.accounts[0].username = r"LAB\jürgen".to_owned();
    let em = EmClient::new(&config, SystemClock::shared()).expect("a room");
    for _ in 0..3 {
        read(&em).await.expect_err("not found");
    }
    let plan = emgate::domain::plan::PlanRef {
        id: plan_id(),
        kind: PlanKind::Cloud,
        name: String::new(),
        tenant: None,
        backup_server: None,
    };
    act(&em, &plan, Action::Undo).await.expect_err("not found");
    em.shutdown(Duration::from_secs(5)).await;

    let seen = server.seen();
    let logon = seen
        .iter()
        .find(|request| request.is("POST /api/sessionMngr/?v=v1_7 "))
        .expect("a logon");
    assert_eq!(logon.header("content-length"), Some("0"));
    assert_eq!(logon.header("content-type"), None);
    // printf '%s' 'LAB\jürgen:simulated' | base64
    assert_eq!(
        logon.header("authorization"),
        Some("Basic TEFCXGrDvHJnZW46c2ltdWxhdGVk")
    );
    let action = seen
        .iter()
        .find(|request| request.is("POST /api/cloud/"))
        .expect("an action");
    assert_eq!(action.header("content-length"), Some("0"));
    assert_eq!(action.header("content-type"), Some("application/xml"));
    for request in &seen {
        assert_eq!(request.header("cookie"), None, "{}", request.line);
        assert_eq!(
            request.header("accept"),
            Some("application/xml"),
            "{}",
            request.line
        );
        let with_token = request.header("x-restsvcsessionid").is_some();
        assert_eq!(
            with_token,
            request.header("authorization").is_none() && !request.is("GET /api/ ")
        );
    }
    assert_eq!(
        server.count("DELETE /api/logonSessions/9a9e9e9e-0000-4000-8000-000000000001 "),
        1
    );
}

#[tokio::test]
async fn shutdown_logs_off_exactly_our_sessions() {
    let bench = Bench::with(
        Options {
            latency: 5,
            ..Options::on_any_port()
        },
        |_| {},
    )
    .await;
    let other = bench.another(|_| {});
    read(&other).await.expect("a plan");
    reads(&bench.em, 50).await;
    bench.open_sessions(3).await;

    assert!(bench.em.shutdown(Duration::from_secs(10)).await);
    let stats = bench.stats().await;
    assert_eq!(stats.number("activeSessions"), 1, "{stats:?}");
    assert_eq!(stats.number("logoffs"), 2, "{stats:?}");
    let refused = read(&bench.em).await.expect_err("no more questions");
    assert_eq!(
        (refused.kind(), refused.acted()),
        (&Kind::ShuttingDown, Acted::No)
    );
    read(&other).await.expect("the other one's session lives");
}

#[tokio::test]
async fn a_logon_whose_caller_went_away_is_not_leaked() {
    let bench = Bench::with(
        Options {
            latency: 150,
            ..Options::on_any_port()
        },
        |_| {},
    )
    .await;
    let em = bench.em.clone();
    let reader = tokio::spawn(async move { read(&em).await });
    // The logon is under way once EM was asked for it.
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while bench.stats().await.requests("POST /api/sessionMngr") == 0 {
        assert!(std::time::Instant::now() < deadline, "no logon began");
    }
    reader.abort();
    assert!(bench.em.shutdown(Duration::from_secs(10)).await);
    let stats = bench.stats().await;
    assert_eq!(
        (stats.number("logons"), stats.number("activeSessions")),
        (1, 0),
        "{stats:?}"
    );
}

#[tokio::test]
async fn refused_credentials_are_tried_at_growing_intervals() {
    let clock = morning();
    let bench = Bench::at(Options::on_any_port(), clock.clone(), |config| {
        config.accounts[0].password = "wrong".to_owned().into();
    })
    .await;
    let mut attempts = Vec::new();
    for _ in 0..120 {
        let error = read(&bench.em).await.expect_err("refused");
        assert!(matches!(error.kind(), Kind::CredentialsRefused { .. }), "{error}");
        assert_eq!(error.acted(), Acted::No);
        assert!(error.retry_after().is_some());
        attempts.push(bench.stats().await.requests("POST /api/sessionMngr"));
        clock.advance(Duration::from_secs(15));
    }
    // After 0, 30, 120, 390, 1200 seconds.
    assert_eq!(attempts[0], 1);
    assert_eq!(attempts[1], 1);
    assert_eq!(attempts[2], 2);
    assert_eq!(attempts[7], 2);
    assert_eq!(attempts[8], 3);
    assert_eq!(attempts[119], 5, "{attempts:?}");
}

#[tokio::test]
async fn a_password_that_was_changed_in_its_file_is_used_without_a_restart() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "old\n").expect("written");
    let clock = morning();
    let path = file.path().to_owned();
    let bench = Bench::at(Options::on_any_port(), clock, |config| {
        config.accounts[0].password = "old".to_owned().into();
        config.accounts[0].password_file = Some(path);
    })
    .await;
    read(&bench.em).await.expect_err("the old password");
    std::fs::write(file.path(), "simulated\n").expect("written");
    read(&bench.em).await.expect_err("it is not tried again yet");
    bench.em.maintain().await;
    read(&bench.em).await.expect("the new password");
    assert_eq!(bench.stats().await.requests("POST /api/sessionMngr"), 2);
}

#[tokio::test]
async fn only_an_idle_session_without_a_task_is_logged_off() {
    let clock = morning();
    let bench = Bench::at(Options::on_any_port(), clock.clone(), |_| {}).await;
    read(&bench.em).await.expect("a plan");
    clock.advance(Duration::from_mins(11));
    bench.em.maintain().await;
    let stats = bench.stats().await;
    assert_eq!((stats.number("activeSessions"), stats.number("logoffs")), (0, 1));

    let accepted = bench.accepted(Action::Test).await;
    for _ in 0..6 {
        clock.advance(Duration::from_mins(11));
        bench.em.maintain().await;
    }
    let view = bench
        .em
        .task(accepted.logon, &accepted.task)
        .await
        .expect("a task");
    assert_eq!(view.state, TaskState::Finished);
    bench.em.release(accepted.logon);
    clock.advance(Duration::from_mins(11));
    bench.em.maintain().await;
    assert_eq!(bench.stats().await.number("activeSessions"), 0);
    let view = bench
        .em
        .task(accepted.logon, &accepted.task)
        .await
        .expect("an answer");
    assert_eq!(view.state, TaskState::Lost);
}

#[tokio::test]
async fn pins_are_counted_by_task() {
    let clock = morning();
    let bench = Bench::at(
        Options {
            plans: 2,
            ..Options::on_any_port()
        },
        clock.clone(),
        |_| {},
    )
    .await;
    let plans = bench.em.all_plans(PlanKind::Cloud).await.expect("plans");
    let first = act(&bench.em, &plans[0].reference(), Action::Test)
        .await
        .expect("accepted");
    let second = act(&bench.em, &plans[1].reference(), Action::Test)
        .await
        .expect("accepted");
    assert_eq!(first.logon, second.logon, "one session is enough for two");
    assert_ne!(first.task, second.task);
    bench.em.release(first.logon);
    for _ in 0..2 {
        clock.advance(Duration::from_mins(11));
        bench.em.maintain().await;
    }
    let view = bench.em.task(second.logon, &second.task).await.expect("a task");
    assert_eq!(view.state, TaskState::Finished);
}

#[tokio::test]
async fn a_task_whose_session_died_is_lost() {
    let bench = Bench::new().await;
    let accepted = bench.accepted(Action::Test).await;
    bench.expire().await;
    // The plan is busy, so the new session gets a task of the same name by another action.
    let other = bench
        .em
        .all_plans(PlanKind::Cloud)
        .await
        .expect("plans")
        .pop()
        .expect("a plan");
    let newer = act(&bench.em, &other.reference(), Action::Undo)
        .await
        .expect("accepted");
    assert_eq!(accepted.task, newer.task, "both are the first of their session");
    assert_ne!(accepted.logon, newer.logon);
    let view = bench
        .em
        .task(accepted.logon, &accepted.task)
        .await
        .expect("an answer");
    assert_eq!(view.state, TaskState::Lost);
    assert!(
        !bench
            .em
            .remove_task(accepted.logon, &accepted.task)
            .await
            .expect("an answer")
    );
    let view = bench.em.task(newer.logon, &newer.task).await.expect("a task");
    assert_ne!(view.state, TaskState::Lost);
    assert!(
        bench
            .em
            .remove_task(newer.logon, &newer.task)
            .await
            .expect("an answer")
    );
    assert!(
        !bench
            .em
            .remove_task(newer.logon, &newer.task)
            .await
            .expect("an answer")
    );
}

#[tokio::test]
async fn a_saved_session_is_closed_once_its_task_is_done() {
    let bench = Bench::new().await;
    let accepted = bench.accepted(Action::Test).await;
    let saved = bench.em.save_logon(accepted.logon).expect("it lives");
    assert!(bench.em.shutdown(Duration::from_secs(10)).await);
    assert_eq!(bench.stats().await.number("activeSessions"), 1);

    let next = bench.another(|_| {});
    assert!(next.resume_logon(&saved, true));
    let view = next.task(accepted.logon, &accepted.task).await.expect("a task");
    assert_ne!(view.state, TaskState::Lost);
    next.release(accepted.logon);
    assert!(next.shutdown(Duration::from_secs(10)).await);
    let stats = bench.stats().await;
    assert_eq!(
        (stats.number("activeSessions"), stats.number("logons")),
        (0, 1),
        "{stats:?}"
    );
}

#[tokio::test]
async fn a_store_that_was_asked_before_a_task_was_committed_does_not_unpin_its_session() {
    let bench = Bench::new().await;
    let accepted = bench.accepted(Action::Test).await;
    let nothing = HashMap::new();
    let before = Instant::now();
    let _saved = bench.em.save_logon(accepted.logon).expect("it lives");
    bench.em.keep_pins(&nothing, Instant::now());
    bench.em.note_committed(accepted.logon);
    bench.em.keep_pins(&nothing, before);
    assert!(bench.em.shutdown(Duration::from_secs(10)).await);
    assert_eq!(
        bench.stats().await.number("activeSessions"),
        1,
        "it is kept for the task"
    );
}

#[tokio::test]
async fn a_store_that_does_not_know_a_committed_task_unpins_its_session() {
    let bench = Bench::new().await;
    let accepted = bench.accepted(Action::Test).await;
    let _saved = bench.em.save_logon(accepted.logon).expect("it lives");
    bench.em.note_committed(accepted.logon);
    bench.em.keep_pins(&HashMap::new(), Instant::now());
    assert!(bench.em.shutdown(Duration::from_secs(10)).await);
    assert_eq!(bench.stats().await.number("activeSessions"), 0);
}

#[tokio::test]
async fn fewer_sessions_than_configured_are_enough_when_em_grants_no_more() {
    let options = Options {
        latency: 2,
        max_sessions: Some(1),
        ..Options::on_any_port()
    };
    let bench = Bench::with(options, |config| config.accounts[0].max_requests_per_session = 2).await;
    reads(&bench.em, 50).await;
    assert_eq!(bench.stats().await.number("logons"), 1);
}

#[tokio::test]
async fn check_logs_off_every_account() {
    let bench = Bench::new().await;
    let checked = bench.em.check().await.expect("all is well");
    assert_eq!(checked.len(), 1);
    assert_eq!(
        (checked[0].account.as_str(), checked[0].version.as_str()),
        ("operators", "v1_7")
    );
    let stats = bench.stats().await;
    assert_eq!((stats.number("logons"), stats.number("activeSessions")), (1, 0));

    let wrong = bench.another(|config| config.accounts[0].password = "wrong".to_owned().into());
    let (account, error) = wrong.check().await.expect_err("refused");
    assert_eq!(account, "operators");
    assert!(matches!(error.kind(), Kind::CredentialsRefused { .. }), "{error}");
}

#[tokio::test]
async fn the_newest_common_api_version_is_used() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let old = Arc::new(AtomicBool::new(false));
    let downgraded = old.clone();
    let server = Server::start(move |request| {
        let old = downgraded.load(Ordering::SeqCst);
        if request.is("GET /api/ ") && old {
            let body = "<EnterpriseManager xmlns=\"http://www.veeam.com/ent/v1.0\"><SupportedVersions>\
                        <SupportedVersion Name=\"v1_4\"/><SupportedVersion Name=\"v1_5\"/></SupportedVersions></EnterpriseManager>";
            return answer("200 OK", "", body);
        }
        if request.is("POST /api/sessionMngr/?v=v1_7") && old {
            return answer("400 Bad Request", "", "<Error/>");
        }
        usual(request).unwrap_or_else(|| answer("401 Unauthorized", "", "<Error/>"))
    })
    .await;
    let em = em_at(&server.url);
    read(&em).await.expect_err("refused in a fresh session");
    assert!(server.count("POST /api/sessionMngr/?v=v1_7 ") >= 1);
    old.store(true, Ordering::SeqCst);
    read(&em).await.expect_err("EM has been downgraded");
    read(&em).await.expect_err("refused in a fresh session");
    assert!(server.count("POST /api/sessionMngr/?v=v1_5 ") >= 1);
}

#[tokio::test]
async fn an_account_that_may_not_ask_about_its_session_keeps_it_through_a_403() {
    let server = Server::start(|request| {
        if request.is("GET /api/logonSessions/") {
            return answer("403 Forbidden", "", "<Error/>");
        }
        usual(request).unwrap_or_else(|| answer("403 Forbidden", "", "<Error/>"))
    })
    .await;
    let em = em_at(&server.url);
    for _ in 0..3 {
        assert_eq!(read(&em).await.expect_err("no right").status(), Some(403));
    }
    assert_eq!(server.count("POST /api/sessionMngr/"), 1);
    assert_eq!(
        server.count("GET /api/logonSessions/"),
        1,
        "asked once, when it was new"
    );
}

#[tokio::test]
async fn a_server_that_is_no_em_does_not_make_plans_disappear() {
    let server = Server::start(|_| answer("404 Not Found", "", "")).await;
    let em = em_at(&server.url);
    let error = read(&em).await.expect_err("no EM there");
    assert!(!error.is_not_found(), "{error:?}");
    assert_eq!(error.status(), Some(404));
}
