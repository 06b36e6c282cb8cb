//! Sessions that EM does not show for a while, and an EM that answers without them.

use std::time::Duration;

use emgate::clock::Clock as _;
use emgate::runtime::Tasks;

use super::Observatory;
use crate::support::scripted_server::Reply;

const SESSIONS: &str = "GET /api/query?type=CloudFailoverSession*";
const NONE: &str = "<QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\"><Entities><CloudFailoverSessions/></Entities>\
                    <PagingInfo PageNum=\"1\" PageSize=\"100\" PagesCount=\"1\"/></QueryResult>";

impl Observatory {
    /// What EM says of all sessions from now on, by its clock.
    fn answers(&self, status: u16, document: &str) {
        let date = httpdate::fmt_http_date(self.clock.now().into());
        let reply = Reply::xml(status, document).header("date", &date);
        self.scripted.answers(SESSIONS, reply);
    }
}

#[tokio::test]
async fn a_lost_session_that_shows_again_is_followed_to_its_end() {
    for ends_unseen in [false, true] {
        let mut world = Observatory::with(|_| {}).await;
        let session = world.begin(0, 20_000).await;
        assert!(world.look().await);
        // Older than what the query reaches back anyway.
        world.clock.advance(Duration::from_hours(2));
        assert!(world.look().await);
        world.answers(200, NONE);
        assert!(world.look().await && world.look().await);
        assert_eq!(world.reported().await[&session], ["started", "lost"]);
        if ends_unseen {
            world.clock.advance(Duration::from_secs(20_000));
        }
        world.scripted.forwards_all();
        world.clock.advance(Duration::from_mins(1));
        assert!(world.look().await);
        world.clock.advance(Duration::from_secs(20_000));
        assert!(world.look().await);
        assert_eq!(
            world.reported().await[&session],
            ["started", "lost", "finished"],
            "{ends_unseen}"
        );
    }
}

#[tokio::test]
async fn lost_sessions_are_queried_once_a_minute() {
    let mut world = Observatory::with(|_| {}).await;
    world.begin(0, 1_000_000).await;
    assert!(world.look().await);
    world.clock.advance(Duration::from_hours(48));
    assert!(world.look().await);
    world.answers(200, NONE);
    assert!(world.look().await && world.look().await);
    let begun = world.scripted.seen("GET /api/query?").len();
    for _ in 0..60 {
        assert!(world.look().await);
    }
    let queries = world.scripted.seen("GET /api/query?").split_off(begun);
    let far = queries
        .iter()
        .filter(|query| query.target.contains("2026-05-06"))
        .count();
    assert_eq!((queries.len(), far), (60, 2), "two minutes in two-second steps");
}

#[tokio::test]
async fn a_clock_of_em_in_the_wrong_time_zone_hides_nothing() {
    for skew in [-80 * 60, -12 * 3600, 12 * 3600] {
        let mut world = Observatory::with(|sim| sim.clock_skew = skew).await;
        assert!(world.look().await);
        let session = world.begin(0, 60).await;
        assert!(world.look().await);
        world.clock.advance(Duration::from_mins(2));
        assert!(world.look().await);
        assert_eq!(
            world.reported().await[&session],
            ["started", "finished"],
            "{skew}"
        );
        // Between two processes, before the next one knows EM's time.
        let session = world.begin(1, 60).await;
        world.clock.advance(Duration::from_hours(30));
        world.restart();
        assert!(world.look().await);
        assert_eq!(
            world.reported().await[&session],
            ["started", "finished"],
            "{skew}"
        );
    }
}

#[tokio::test]
async fn readiness_reports_since_when_nothing_was_observed() {
    let mut world = Observatory::with(|_| {}).await;
    let app = world.app(Tasks::new());
    world.begin(0, 1_000_000).await;
    assert!(world.look().await);
    let last = world.clock.now();
    world.answers(500, "<Error/>");
    for seconds in [28, 2] {
        world.clock.advance(Duration::from_secs(seconds - 2));
        assert!(!world.look().await);
        let readiness = app.readiness().await;
        assert!(readiness.is_ready() && readiness.is_healthy(), "{readiness:?}");
    }
    assert!(!world.look().await);
    let readiness = app.readiness().await;
    assert!(readiness.is_ready() && !readiness.is_healthy(), "{readiness:?}");
    let failed: Vec<_> = readiness.checks.iter().filter(|check| !check.ok).collect();
    assert_eq!(failed.len(), 1, "EM itself answers: {readiness:?}");
    assert_eq!(
        (failed[0].name, failed[0].since, failed[0].reason.as_deref()),
        (
            "observation",
            Some(last),
            Some("failover sessions have not been fully observed since")
        )
    );
    world.scripted.forwards_all();
    assert!(world.look().await);
    assert!(app.readiness().await.is_healthy());
}
