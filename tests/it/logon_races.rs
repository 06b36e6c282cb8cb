//! The pool against an Enterprise Manager whose every answer waits for the test: answers in another order than their
//! requests, and clocks that are set back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use emgate::clock::{ManualClock, SharedClock, SystemClock};
use emgate::domain::plan::PlanKind;
use emgate::upstream::{EmClient, Error, Kind};
use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::em_bench::{Gate, Reply, Request, Server, answer, config, plan_id, until, usual};

const LOGONS: &str = "POST /api/sessionMngr/";
const READS: &str = "GET /api/cloud/cloudFailoverPlans/";
const PROBES: &str = "GET /api/logonSessions/";

/// What happens to the logon or the read of that number, from 1, beside what usually would.
#[derive(Default)]
struct Script {
    logons: usize,
    reads: usize,
    /// Logon sessions up to this number are dead.
    dead: usize,
    held_logons: HashMap<usize, Gate>,
    refused_logons: Vec<usize>,
    held_reads: HashMap<usize, (Gate, &'static str)>,
}

fn token(number: usize) -> String {
    STANDARD.encode(format!("session {number}"))
}

impl Script {
    fn reply(&mut self, request: &Request) -> Reply {
        let known =
            (1..=self.logons).find(|number| request.header("x-restsvcsessionid") == Some(&token(*number)));
        let alive = known.is_some_and(|number| number > self.dead);
        if request.is(LOGONS) {
            self.logons += 1;
            return self.logon();
        }
        if request.is(READS) {
            self.reads += 1;
            if let Some((gate, status)) = self.held_reads.get(&self.reads) {
                return Reply::When(gate.clone(), Box::new(answer(status, "", "<Error/>")));
            }
        }
        if request.is("GET /api/ ") || request.is("DELETE") || request.is(PROBES) && alive {
            return usual(request).expect("a usual answer");
        }
        // In a session that lives, all that is asked for is not there: an answer as good as any.
        answer(
            if alive {
                "404 Not Found"
            } else {
                "401 Unauthorized"
            },
            "",
            "<Error/>",
        )
    }

    fn logon(&self) -> Reply {
        if self.refused_logons.contains(&self.logons) {
            return answer("503 Service Unavailable", "", "<Error/>");
        }
        let id = format!("9a9e9e9e-0000-4000-8000-{:012}", self.logons);
        let body = format!(
            "<LogonSession xmlns=\"http://www.veeam.com/ent/v1.0\"><SessionId>{id}</SessionId></LogonSession>"
        );
        let headers = format!("X-RestSvcSessionId: {}\r\n", token(self.logons));
        let reply = answer("201 Created", &headers, &body);
        match self.held_logons.get(&self.logons) {
            Some(gate) => Reply::When(gate.clone(), Box::new(reply)),
            None => reply,
        }
    }
}

struct Stage {
    em: EmClient,
    server: Server,
    script: Arc<Mutex<Script>>,
}

impl Stage {
    /// Two sessions at the most, one request at a time in each.
    async fn set(script: Script) -> Self {
        Self::at(script, SystemClock::shared()).await
    }

    async fn at(script: Script, clock: SharedClock) -> Self {
        let script = Arc::new(Mutex::new(script));
        let replies = script.clone();
        let server = Server::start(move |request| replies.lock().expect("not poisoned").reply(request)).await;
        let mut config = config(&server.url);
        config.accounts[0].max_requests_per_session = 1;
        Self {
            em: EmClient::new(&config, clock).expect("a room"),
            server,
            script,
        }
    }

    fn read(&self) -> JoinHandle<Result<(), Error>> {
        let em = self.em.clone();
        tokio::spawn(async move { em.plan(PlanKind::Cloud, &plan_id()).await.map(drop) })
    }

    async fn count(&self, beginning: &str, wished: usize) {
        until(&format!("{wished} × {beginning}"), async || {
            self.server.count(beginning) == wished
        })
        .await;
    }

    /// All logon sessions that there are die.
    fn expire(&self) {
        let mut script = self.script.lock().expect("not poisoned");
        script.dead = script.logons;
    }
}

fn gates<const N: usize>() -> [Gate; N] {
    std::array::from_fn(|_| Gate::shut())
}

/// It was asked in a session that lived: the answer is one about the plan.
fn assert_asked(outcome: Result<(), Error>) {
    let error = outcome.expect_err("no such plan");
    assert!(error.is_not_found(), "{error:?}");
}

#[tokio::test]
async fn a_logon_session_that_was_dropped_during_its_logon_is_given_to_no_request() {
    let [read, logon] = gates();
    let stage = Stage::set(Script {
        held_reads: [(1, (read.clone(), "401 Unauthorized"))].into(),
        held_logons: [(2, logon.clone())].into(),
        ..Script::default()
    })
    .await;
    let reader = stage.read();
    stage.count(READS, 1).await;
    let other = stage.read();
    stage.count(LOGONS, 2).await;
    // The logon continues in a separate task.
    other.abort();
    stage.expire();
    read.open();
    until("the first session is given up", async || {
        stage.em.held_logons().is_empty()
    })
    .await;
    logon.open();
    assert_asked(reader.await.expect("joined"));
    assert_eq!(stage.server.count(LOGONS), 3);
}

#[tokio::test]
async fn a_good_answer_that_was_long_on_the_way_does_not_make_a_dead_session_a_good_one() {
    let [early, late, logon] = gates();
    let stage = Stage::set(Script {
        held_reads: [
            (1, (early.clone(), "404 Not Found")),
            (2, (late.clone(), "401 Unauthorized")),
        ]
        .into(),
        held_logons: [(3, logon.clone())].into(),
        ..Script::default()
    })
    .await;
    let first = stage.read();
    stage.count(READS, 1).await;
    let second = stage.read();
    stage.count(READS, 2).await;
    stage.expire();
    late.open();
    stage.count(LOGONS, 3).await;
    // The first session's answer was made before it died, and comes now: its slot is free for the second reader.
    early.open();
    assert_asked(first.await.expect("joined"));
    until("the second reader asks whether that session lives", async || {
        second.is_finished() || stage.server.count(PROBES) == 2
    })
    .await;
    logon.open();
    assert_asked(second.await.expect("joined"));
    assert_eq!(stage.server.count(LOGONS), 3);
}

#[tokio::test]
async fn whoever_learns_late_that_a_session_died_needs_no_proof_of_one_opened_since() {
    let [one, other] = gates();
    let stage = {
        let script = Script {
            held_reads: [
                (1, (one.clone(), "401 Unauthorized")),
                (2, (other.clone(), "401 Unauthorized")),
            ]
            .into(),
            ..Script::default()
        };
        let script = Arc::new(Mutex::new(script));
        let replies = script.clone();
        let server = Server::start(move |request| replies.lock().expect("not poisoned").reply(request)).await;
        let mut config = config(&server.url);
        config.accounts[0].max_sessions = 1;
        let em = EmClient::new(&config, SystemClock::shared()).expect("a room");
        Stage { em, server, script }
    };
    // Two requests in one session, which dies.
    let (first, second) = (stage.read(), stage.read());
    stage.count(READS, 2).await;
    stage.expire();
    one.open();
    stage.count(READS, 3).await;
    other.open();
    assert_asked(first.await.expect("joined"));
    assert_asked(second.await.expect("joined"));
    assert_eq!((stage.server.count(LOGONS), stage.server.count(PROBES)), (2, 1));
}

#[tokio::test]
async fn em_that_grants_no_further_session_is_asked_again_after_a_pause() {
    let noon: Timestamp = "2026-05-06T12:00:00Z".parse().expect("a time");
    // What is done to the clock, and whether a further session is asked for then.
    for (to, asked) in [
        (noon, false),
        (noon + Duration::from_secs(9), false),
        (noon + Duration::from_secs(10), true),
        (noon - Duration::from_hours(1), true),
        (noon + Duration::from_hours(100), true),
    ] {
        let clock = ManualClock::at(noon);
        let [held] = gates();
        let script = Script {
            refused_logons: vec![2],
            held_reads: [(1, (held.clone(), "404 Not Found"))].into(),
            ..Script::default()
        };
        let stage = Stage::at(script, clock.clone()).await;
        let first = stage.read();
        stage.count(READS, 1).await;
        let second = stage.read();
        stage.count(LOGONS, 2).await;
        // The pause has begun once a further reader no longer gets the failure itself.
        until("the failure is known", async || {
            stage.em.logon_counts()[0].held == 1
        })
        .await;
        second.abort();
        clock.set(to);
        let third = stage.read();
        if asked {
            stage.count(LOGONS, 3).await;
            assert_asked(third.await.expect("joined"));
            held.open();
        } else {
            held.open();
            assert_asked(third.await.expect("joined"));
            assert_eq!(stage.server.count(LOGONS), 2, "{to}");
        }
        assert_asked(first.await.expect("joined"));
    }
}

#[tokio::test]
async fn refused_credentials_are_tried_again_after_a_pause() {
    let noon: Timestamp = "2026-05-06T12:00:00Z".parse().expect("a time");
    for (to, attempts) in [
        (noon, 1),
        (noon + Duration::from_secs(29), 1),
        (noon + Duration::from_secs(30), 2),
        // Less than the longest pause cannot be distinguished from the pause itself, and ends with it.
        (noon - Duration::from_mins(10), 1),
        (noon - Duration::from_hours(24), 2),
        (noon + Duration::from_hours(24), 2),
    ] {
        let clock = ManualClock::at(noon);
        let server = Server::start(|request| {
            if request.is(LOGONS) {
                return answer("401 Unauthorized", "", "<Error/>");
            }
            usual(request).expect("nothing but logons")
        })
        .await;
        let em = EmClient::new(&config(&server.url), clock.clone()).expect("a room");
        for at in [noon, to] {
            clock.set(at);
            let error = em.plan(PlanKind::Cloud, &plan_id()).await.expect_err("refused");
            assert!(
                matches!(error.kind(), Kind::CredentialsRefused { .. }),
                "{error:?}"
            );
        }
        assert_eq!(server.count(LOGONS), attempts, "{to}");
        assert_eq!(em.refused_since(), Some(noon), "{to}");
    }
}
