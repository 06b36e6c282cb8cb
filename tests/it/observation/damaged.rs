//! Sessions whose rows cannot be read: only they are skipped, until they can be read again.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use emgate::runtime::Tasks;
use rstest::rstest;
use serde_json::json;

use super::Observatory;

const SINGLE: &str = "GET /api/cloud/failoverSessions/";

/// Kinds of damage that keep a session from being read at all.
const UNREADABLE: [&str; 8] = [
    "badEntity",
    "bareAmpersand",
    "mismatchedTag",
    "unclosedTag",
    "deep",
    "repeatedPart",
    "noIdentity",
    "unknowable",
];

/// Kinds of damage that leave all that matters.
const READABLE: [&str; 5] = ["escByte", "invalidUtf8", "noUid", "wrongTypes", "huge"];

impl Observatory {
    /// Damages that session in the list, and where it is read by itself as well if `alone`.
    async fn damage(&self, session: &str, kind: &str, alone: bool) {
        let wish = json!({"id": session, "kind": kind, "alone": alone});
        self.control("POST", "damage", wish).await;
    }

    async fn heal(&self) {
        self.control("DELETE", "damage", json!({})).await;
    }

    /// Why readiness finds records that are not well, if it does.
    pub(super) async fn complaint(&self) -> Option<String> {
        let readiness = self.app(Tasks::new()).readiness().await;
        assert!(readiness.is_ready(), "{readiness:?}");
        let records = readiness.checks.into_iter().find(|check| check.name == "records");
        let records = records.expect("the check");
        assert_eq!(records.ok, records.reason.is_none());
        assert_eq!(records.ok, records.since.is_none());
        records.reason.map(Into::into)
    }
}

/// What is logged in this thread.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0.lock().expect("unpoisoned")))
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("unpoisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Begins to collect, until the guard is dropped.
    pub(super) fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// How many warnings name that.
    pub(super) fn warnings(&self, name: &str) -> usize {
        let bytes = self.0.lock().expect("unpoisoned");
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        text.lines()
            .filter(|line| line.contains(" warn ") && line.contains(name))
            .count()
    }
}

#[rstest]
#[tokio::test]
async fn an_unreadable_row_delays_no_other_sessions_end(#[values(0, 1, 2, 3, 4, 5, 6, 7)] kind: usize) {
    let kind = UNREADABLE[kind];
    let (log, _guard) = Log::begin();
    let mut world = Observatory::with(|_| {}).await;
    assert!(world.look().await);
    let bad = world.begin(0, 3).await;
    let well = world.begin(1, 3).await;
    world.damage(&bad, kind, true).await;
    assert!(world.look().await);
    world.clock.advance(Duration::from_secs(3));
    assert!(world.look().await);
    assert_eq!(world.reported().await[&well], ["started", "finished"]);
    for _ in 0..5 {
        assert!(world.look().await);
    }
    assert!(!world.reported().await.contains_key(&bad), "{kind}");
    let nameless = ["noIdentity", "unknowable"].contains(&kind);
    let name = if nameless { "without an id" } else { &bad };
    assert_eq!(log.warnings(name), 1, "{kind} is named once: {log:?}");
    assert_eq!(
        world.complaint().await.as_deref(),
        Some("1 failover session is damaged at Enterprise Manager")
    );
    world.heal().await;
    assert!(world.look().await);
    assert_eq!(world.reported().await[&bad], ["started", "finished"], "{kind}");
    assert_eq!(world.complaint().await, None);
}

#[rstest]
#[tokio::test]
async fn a_row_damaged_in_an_unused_part_is_reported(#[values(0, 1, 2, 3, 4)] kind: usize) {
    let kind = READABLE[kind];
    let (log, _guard) = Log::begin();
    let mut world = Observatory::with(|_| {}).await;
    assert!(world.look().await);
    let bad = world.begin(0, 3).await;
    world.damage(&bad, kind, true).await;
    assert!(world.look().await);
    world.clock.advance(Duration::from_secs(3));
    for _ in 0..3 {
        assert!(world.look().await);
    }
    assert_eq!(world.reported().await[&bad], ["started", "finished"], "{kind}");
    let replaced = kind == "escByte" || kind == "invalidUtf8";
    assert_eq!(log.warnings(&bad), usize::from(replaced), "{kind}");
    assert_eq!(world.complaint().await.is_some(), replaced, "{kind}");
}

#[tokio::test]
async fn damaged_sessions_of_every_kind_do_not_prevent_the_baseline() {
    let mut world = Observatory::with(|sim| sim.plans = 20).await;
    let kinds = UNREADABLE.iter().chain(&READABLE).chain(&["noState"]);
    let mut bad = Vec::new();
    for (plan, kind) in kinds.enumerate() {
        let session = world.begin(plan, 3).await;
        world.damage(&session, kind, true).await;
        bad.push(session);
    }
    let well = world.begin(19, 1_000).await;
    assert!(world.look().await);
    assert_eq!(world.reported().await[&well], ["started"]);
    world.clock.advance(Duration::from_secs(3));
    world.heal().await;
    assert!(world.look().await);
    let reported = world.reported().await;
    for session in bad {
        assert_eq!(reported[&session], ["started", "finished"]);
    }
}

#[rstest]
#[case::by_its_id("badEntity")]
#[case::behind_a_row_without_an_id("unknowable")]
#[tokio::test]
async fn an_unreadable_session_is_not_lost(#[case] kind: &str) {
    let mut world = Observatory::with(|_| {}).await;
    let session = world.begin(0, 100).await;
    assert!(world.look().await);
    world.damage(&session, kind, true).await;
    for _ in 0..100 {
        assert!(world.look().await);
    }
    assert_eq!(world.reported().await[&session], ["started"]);
    world.heal().await;
    assert!(world.look().await);
    assert_eq!(world.reported().await[&session], ["started", "finished"]);
}

#[tokio::test]
async fn a_session_that_em_forgets_is_lost_although_a_row_without_an_id_is_shown() {
    let mut world = Observatory::with(|_| {}).await;
    let (gone, nameless) = (world.begin(0, 1_000).await, world.begin(1, 1_000).await);
    assert!(world.look().await);
    world.damage(&nameless, "noIdentity", true).await;
    let path = format!("failovers?id={gone}");
    world.control("DELETE", &path, json!({})).await;
    for _ in 0..3 {
        assert!(world.look().await);
    }
    let reported = world.reported().await;
    assert_eq!(reported[&gone], ["started", "lost"]);
    assert_eq!(reported[&nameless], ["started"]);
}

#[tokio::test]
async fn a_session_that_is_damaged_in_the_list_alone_is_read_by_itself() {
    let mut world = Observatory::with(|_| {}).await;
    assert!(world.look().await);
    let session = world.begin(0, 60).await;
    world.damage(&session, "badEntity", false).await;
    assert!(world.look().await);
    assert_eq!(world.reported().await[&session], ["started"]);
    world.clock.advance(Duration::from_secs(60));
    assert!(world.look().await);
    assert_eq!(world.reported().await[&session], ["started", "finished"]);
    let unreadable = world.begin(1, 60).await;
    world.damage(&unreadable, "badEntity", true).await;
    let before = world.scripted.seen(SINGLE).len();
    for _ in 0..900 {
        assert!(world.look().await);
    }
    let reads = world.scripted.seen(SINGLE).len() - before;
    assert!((5..20).contains(&reads), "{reads} in half an hour");
    assert_eq!(
        world.complaint().await.as_deref(),
        Some("2 failover sessions are damaged at Enterprise Manager")
    );
}

#[tokio::test]
async fn a_session_that_could_not_be_read_for_hours_is_reported_when_it_can() {
    for restart in [false, true] {
        let mut world = Observatory::with(|_| {}).await;
        assert!(world.look().await);
        let session = world.begin(0, 20_000).await;
        world.damage(&session, "deep", true).await;
        assert!(world.look().await);
        world.clock.advance(Duration::from_hours(5));
        assert!(world.look().await);
        world.clock.advance(Duration::from_hours(5));
        assert!(world.look().await);
        assert!(world.complaint().await.is_some());
        if restart {
            world.restart();
            assert!(world.look().await);
            assert!(world.complaint().await.is_some());
        }
        world.heal().await;
        world.clock.advance(Duration::from_mins(1));
        assert!(world.look().await);
        assert_eq!(
            world.reported().await[&session],
            ["started", "finished"],
            "{restart}"
        );
        assert_eq!(world.complaint().await, None);
    }
}

#[tokio::test]
async fn a_session_without_a_state_counts_as_running() {
    let (log, _guard) = Log::begin();
    let mut world = Observatory::with(|_| {}).await;
    assert!(world.look().await);
    let session = world.begin(0, 3).await;
    world.damage(&session, "noState", true).await;
    for _ in 0..10 {
        assert!(world.look().await);
    }
    assert_eq!((log.warnings(&session), world.complaint().await), (0, None));
    for _ in 0..100 {
        assert!(world.look().await);
    }
    assert_eq!(log.warnings(&session), 1);
    assert!(world.complaint().await.is_some());
    assert_eq!(world.reported().await[&session], ["started"]);
    world.heal().await;
    assert!(world.look().await);
    assert_eq!(world.reported().await[&session], ["started", "finished"]);
    assert_eq!(world.complaint().await, None);
}

#[tokio::test]
async fn the_wait_for_a_result_ends_although_the_session_cannot_be_read_any_more() {
    let mut world = Observatory::with(|_| {}).await;
    assert!(world.look().await);
    let wish = json!({"planId": world.plans[0], "action": "test", "seconds": 3, "result": "none"});
    let made = world.control("POST", "failovers", wish).await;
    let session = made["sessionId"].as_str().expect("an id").to_lowercase();
    world.clock.advance(Duration::from_secs(3));
    assert!(world.look().await);
    assert_eq!(world.reported().await[&session], ["started"]);
    world.damage(&session, "deep", true).await;
    for _ in 0..31 {
        assert!(world.look().await);
    }
    assert_eq!(world.reported().await[&session], ["started", "finished"]);
}

#[tokio::test]
async fn a_row_that_is_larger_than_an_answer_may_be_costs_only_itself() {
    let (log, _guard) = Log::begin();
    let mut world = Observatory::with(|_| {}).await;
    world.upstream.max_response = 512 * 1024;
    world.restart();
    assert!(world.look().await);
    let huge = world.begin(0, 60).await;
    let well = world.begin(1, 60).await;
    let before = world.scripted.seen(super::QUERY).len();
    world.damage(&huge, "huge", true).await;
    assert!(world.look().await, "{log:?}");
    assert_eq!(world.reported().await[&well], ["started"]);
    world.clock.advance(Duration::from_secs(60));
    for _ in 0..50 {
        assert!(world.look().await);
    }
    assert_eq!(world.reported().await[&well], ["started", "finished"]);
    assert!(!world.reported().await.contains_key(&huge));
    assert_eq!(log.warnings(&huge), 1, "{log:?}");
    let queries = world.scripted.seen(super::QUERY).len() - before;
    assert!(queries < 51 + 30, "{queries} queries in 51 looks");
    world.heal().await;
    world.clock.advance(Duration::from_mins(5));
    assert!(world.look().await);
    assert_eq!(world.reported().await[&huge], ["started", "finished"]);
    assert_eq!(world.complaint().await, None);
}
