//! What goes wrong while a failover runs: its task, its session, its clock, and many at once.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::{FutureExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};

use super::Scenario;
use super::stage::{self, Asked, Observed};
use crate::support::scripted_server::{Reply, ScriptedServer, response_of};
use crate::support::{Builder, PLAN, TestGateway};
use crate::waiting::eventually;

pub const SCENARIOS: &[Scenario] = &[
    ("task-vanishes", || task_vanishes("test").boxed_local()),
    ("task-vanishes-undo", || task_vanishes("undo").boxed_local()),
    ("task-fails", || task_fails().boxed_local()),
    ("ends-before-answer", || ends_before_answer().boxed_local()),
    ("session-vanishes", || session_vanishes().boxed_local()),
    ("session-warning", || outcome("warning").boxed_local()),
    ("session-failed", || outcome("failed").boxed_local()),
    ("101-sessions", || many_sessions().boxed_local()),
    ("clock-ahead", || clock(600).boxed_local()),
    ("clock-behind", || clock(-600).boxed_local()),
];

#[tokio::test(flavor = "multi_thread")]
async fn failures_during_a_failover_are_reported_as_the_table_says() {
    super::compare(&super::together(SCENARIOS).await);
}

fn gateway() -> Builder {
    TestGateway::builder().config(|config| stage::impatient(&mut config.upstream))
}

async fn acted(test: TestGateway, action: &str) -> Observed {
    let mut asked = Asked::about(&test, PLAN);
    asked.act(action).await;
    let seen = asked.end_by_count().await;
    test.stop().await;
    seen
}

/// EM does not know the task any more from its first read on.
async fn task_vanishes(action: &str) -> Observed {
    let test = gateway().start().await;
    test.fault(
        json!({"kind": "status", "status": 404, "count": 100_000, "method": "GET", "path": "/api/tasks"}),
    )
    .await;
    acted(test, action).await
}

async fn in_between(speed: f64) -> (TestGateway, ScriptedServer) {
    let scripted = ScriptedServer::start().await;
    let between = scripted.clone();
    let builder = TestGateway::builder()
        .sim(move |sim| sim.speed = speed)
        .config(move |config| {
            between.put_before(&mut config.upstream);
            stage::impatient(&mut config.upstream);
        });
    (builder.start().await, scripted)
}

async fn task_fails() -> Observed {
    let (test, scripted) = in_between(50.0).await;
    let task = "<Task xmlns=\"http://www.veeam.com/ent/v1.0\"><TaskId>task-1</TaskId><State>Finished</State>\
                <Result Success=\"false\"><Message>The backup server is not available</Message></Result></Task>";
    scripted.answers("GET /api/tasks/*", Reply::xml(200, task));
    acted(test, "undo").await
}

/// The failover is over before the gateway gives up waiting for the answer to the request that started it.
async fn ends_before_answer() -> Observed {
    let (test, scripted) = in_between(200.0).await;
    let silent = |_: Reply| -> Response {
        response_of(Reply::xml(202, "")).map(|_| {
            Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>().boxed())
        })
    };
    scripted.twists("POST /api/cloud/*", silent);
    acted(test, "test").await
}

async fn session_vanishes() -> Observed {
    let test = gateway().sim(|sim| sim.speed = 1.0).start().await;
    let mut asked = Asked::about(&test, PLAN);
    asked.act("test").await;
    let running = test
        .until(&asked.operation(), |body| body["session"]["state"] == "working")
        .await;
    let session = running["session"]["id"].as_str().expect("an id");
    test.sim_control(Method::DELETE, &format!("failovers?id={session}"), Value::Null)
        .await;
    let seen = asked.end_by_count().await;
    test.stop().await;
    seen
}

async fn outcome(result: &str) -> Observed {
    let test = gateway().start().await;
    test.sim_control(
        Method::POST,
        "outcomes",
        json!({"planId": PLAN, "result": result}),
    )
    .await;
    acted(test, "test").await
}

async fn clock(seconds: i64) -> Observed {
    acted(
        gateway().sim(move |sim| sim.clock_skew = seconds).start().await,
        "test",
    )
    .await
}

/// More than fit on a page, between two observations, all from EM's own console.
async fn many_sessions() -> Observed {
    let builder = TestGateway::builder().config(|config| {
        stage::impatient(&mut config.upstream);
        config.watch.idle_interval = Duration::from_secs(3);
    });
    let test = builder.start().await;
    let wish = json!({"planId": PLAN, "action": "test", "result": "success", "seconds": 1});
    let mut started = BTreeSet::new();
    for _ in 0..101 {
        let made = test.sim_control(Method::POST, "failovers", wish.clone()).await;
        started.insert(made["sessionId"].as_str().expect("an id").to_lowercase());
    }
    let ended = async || -> Vec<Value> {
        let events = stage::events(&test).await.into_iter();
        let ends = events.filter(|event| event["type"] == "failover.session.finished");
        ends.map(|event| event["data"]["session"].clone()).collect()
    };
    let sessions = eventually("all ends", ended, |sessions| sessions.len() >= started.len()).await;
    let text = |field: &str| -> BTreeSet<String> {
        let values = sessions
            .iter()
            .map(|session| session[field].as_str().expect(field));
        values.map(str::to_lowercase).collect()
    };
    assert_eq!(text("id"), started, "each of them");
    test.stop().await;
    Observed {
        session: text("result").into_iter().collect::<Vec<_>>().join(", "),
        reported: format!("{} × session.finished", sessions.len()),
        ..Observed::default()
    }
}
