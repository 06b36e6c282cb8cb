//! How long each class of request may take (`src/upstream/limits.rs` has the table), and which are repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use emgate::clock::{Clock, SystemClock};
use emgate::domain::plan::{Action, PlanKind, PlanRef};
use emgate::upstream::{Acted, EmClient, Error, Kind};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;

use crate::em_bench::{Gate, Reply, Request, Server, answer, config, plan_id, until, usual};

use crate::support::commands;

const TASK: &str = "<Task xmlns=\"http://www.veeam.com/ent/v1.0\"><TaskId>task-1</TaskId></Task>";
const NO_ROWS: &str = "<Entities xmlns=\"http://www.veeam.com/ent/v1.0\"/>";

async fn read(em: &EmClient) -> Result<(), Error> {
    em.plan(PlanKind::Cloud, &plan_id()).await.map(drop)
}

async fn act(em: &EmClient) -> Result<(), Error> {
    let plan = PlanRef {
        id: plan_id(),
        kind: PlanKind::Cloud,
        name: String::new(),
        tenant: None,
        backup_server: None,
    };
    commands::act(em, &plan, Action::Undo).await.map(drop)
}

/// A room in front of a server, with so many milliseconds to connect and for a request.
async fn room(
    connect: u64,
    request: u64,
    reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Server, EmClient) {
    let server = Server::start(reply).await;
    let mut config = config(&server.url);
    config.connect_timeout = Duration::from_millis(connect);
    config.request_timeout = Duration::from_millis(request);
    let em = EmClient::new(&config, SystemClock::shared()).expect("a room");
    (server, em)
}

/// The usual answers, but nothing at all to what begins like that.
fn silent_about(beginning: &'static str) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    move |request| {
        if request.is(beginning) {
            return Reply::Stall(Vec::new());
        }
        usual(request).unwrap_or_else(|| answer("404 Not Found", "", "<Error/>"))
    }
}

#[tokio::test]
async fn a_read_that_is_never_answered_is_not_repeated() {
    let (server, em) = room(300, 300, silent_about("GET /api/cloud/")).await;
    let error = read(&em).await.expect_err("too slow");
    assert_eq!(error.kind(), &Kind::TimedOut);
    assert_eq!(server.count("GET /api/cloud/"), 1);
}

#[tokio::test]
async fn after_a_logon_without_an_answer_nothing_is_sent() {
    let (server, em) = room(300, 300, silent_about("POST /api/sessionMngr/")).await;
    let error = act(&em).await.expect_err("too slow");
    assert_eq!((error.kind(), error.acted()), (&Kind::TimedOut, Acted::No));
    assert_eq!(server.count("POST /api/cloud/"), 0);
    assert_eq!(em.logon_counts()[0].held, 0);
}

#[tokio::test]
async fn a_probe_that_is_never_answered_leaves_the_session_alone() {
    let probes = AtomicUsize::new(0);
    let (server, em) = room(300, 300, move |request| {
        // The first one, in a new session, says that probes are answered.
        if request.is("GET /api/logonSessions/") && probes.fetch_add(1, Ordering::Relaxed) > 0 {
            return Reply::Stall(Vec::new());
        }
        usual(request).unwrap_or_else(|| answer("403 Forbidden", "", "<Error/>"))
    })
    .await;
    let error = read(&em).await.expect_err("no right");
    assert_eq!(error.status(), Some(403));
    assert_eq!(server.count("GET /api/logonSessions/"), 2);
    assert_eq!(em.logon_counts()[0].held, 1);
}

#[tokio::test]
async fn a_log_off_that_is_never_answered_does_not_keep_the_program_from_ending() {
    let (server, em) = room(300, 300, silent_about("DELETE /api/logonSessions/")).await;
    read(&em).await.expect_err("no plan");
    assert!(em.shutdown(Duration::from_secs(30)).await);
    assert_eq!(server.count("DELETE /api/logonSessions/"), 1);
}

#[tokio::test]
async fn actions_and_observations_wait_longer_than_reads() {
    let gate = Gate::shut();
    let held = gate.clone();
    // 3.1 s for a read, 4.6 s for an action, 6.1 s for a page of the watcher's.
    let (server, em) = room(100, 3_000, move |request| {
        let reply = match () {
            () if request.is("POST /api/cloud/") => answer("202 Accepted", "", TASK),
            () if request.is("GET /api/query") => answer("200 OK", "", NO_ROWS),
            () => return usual(request).unwrap_or_else(|| Reply::Stall(Vec::new())),
        };
        Reply::When(held.clone(), Box::new(reply))
    })
    .await;
    let action = tokio::spawn({
        let em = em.clone();
        async move { act(&em).await }
    });
    let page = tokio::spawn({
        let em = em.clone();
        async move { em.sessions_since(None).await }
    });
    until("both are under way", async || {
        server.count("POST /api/cloud/") + server.count("GET /api/query") == 2
    })
    .await;
    let begun = Instant::now();
    // The others began before it, so that whatever is over by now was given less time than a read.
    let error = read(&em).await.expect_err("too slow");
    assert_eq!(error.kind(), &Kind::TimedOut);
    assert!(begun.elapsed() >= Duration::from_secs(3));
    assert!(!action.is_finished() && !page.is_finished());
    gate.open();
    let page = page.await.expect("joined");
    assert!(
        !matches!(&page, Err(error) if error.kind() == &Kind::TimedOut),
        "{page:?}"
    );
    action.await.expect("joined").expect("accepted");
}

#[tokio::test]
async fn an_action_that_is_never_answered_ends_with_its_outcome_unknown() {
    let (server, em) = room(300, 300, silent_about("POST /api/cloud/")).await;
    let error = act(&em).await.expect_err("too slow");
    assert_eq!((error.kind(), error.acted()), (&Kind::TimedOut, Acted::Maybe));
    assert_eq!(server.count("POST /api/cloud/"), 1);
}

/// What a download of pieces that come 500 ms apart brings when 2 s may pass between two of them.
async fn downloaded(announced: usize, pieces: usize) -> Result<usize, Error> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {announced}\r\n\r\n"
    );
    let mut parts = vec![head.into_bytes()];
    parts.resize(pieces + 1, b"0123456789".to_vec());
    let (_server, em) = room(100, 2_000, move |request| {
        usual(request).unwrap_or_else(|| Reply::Drip(Duration::from_millis(500), parts.clone()))
    })
    .await;
    let whole = async {
        let download = em.download("vmRestorePoints/1/mounts/2/file").await?;
        let bytes = std::pin::pin!(download.bytes());
        bytes.try_fold(0, async |sum, piece| Ok(sum + piece.len())).await
    };
    // Whatever keeps a silent download any longer keeps it for ever.
    tokio::time::timeout(Duration::from_secs(60), whole)
        .await
        .expect("an end")
}

#[tokio::test]
async fn a_download_may_take_long_as_a_whole_but_not_fall_silent() {
    // 3 s in all, more than any limit but that of the pauses.
    assert_eq!(downloaded(50, 5).await.expect("the whole file"), 50);
    let error = downloaded(50, 2).await.expect_err("it falls silent");
    assert_eq!(error.kind(), &Kind::TimedOut);
}

/// The machine's clock, counting how often chance is asked.
#[derive(Default)]
struct Dice(AtomicUsize);

impl Clock for Dice {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn fraction(&self) -> f64 {
        self.0.fetch_add(1, Ordering::Relaxed);
        0.5
    }
}

#[tokio::test]
async fn only_reads_are_repeated_after_a_broken_connection() {
    let server = Server::start(|request| usual(request).unwrap_or_else(|| Reply::Close(Vec::new()))).await;
    let dice = Arc::new(Dice::default());
    let em = EmClient::new(&config(&server.url), dice.clone()).expect("a room");
    let error = read(&em).await.expect_err("broken");
    assert!(matches!(error.kind(), Kind::ConnectionLost { .. }), "{error:?}");
    assert_eq!(server.count("GET /api/cloud/"), 3);
    assert_eq!(dice.0.load(Ordering::Relaxed), 2);
    let error = act(&em).await.expect_err("broken");
    assert_eq!(error.acted(), Acted::Maybe);
    assert_eq!(server.count("POST /api/cloud/"), 1);
    assert_eq!(dice.0.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_write_whose_moment_has_passed_is_not_sent() {
    let (server, em) = room(2_000, 2_000, |request| {
        usual(request).unwrap_or_else(|| answer("202 Accepted", "", TASK))
    })
    .await;
    let now = tokio::time::Instant::now();
    let error = act(&em.until(now)).await.expect_err("too late");
    assert_eq!((error.kind(), error.acted()), (&Kind::DeadlinePassed, Acted::No));
    let posts = || server.count("POST /api/cloud/");
    assert_eq!(posts(), 0);
    act(&em.until(now + Duration::from_secs(60)))
        .await
        .expect("in time");
    assert_eq!(posts(), 1);
}
