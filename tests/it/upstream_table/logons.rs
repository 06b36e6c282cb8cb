//! Faults of logon sessions: refused, rationed, expired.

use emgate::sim::ExpiredStatus;
use emgate::upstream::config::Account;
use futures_util::FutureExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::Scenario;
use super::stage::{self, Asked, Observed};
use crate::support::client::Answer;
use crate::support::{Builder, PLAN, TestGateway};

pub const SCENARIOS: &[Scenario] = &[
    ("credentials-refused", || credentials_refused().boxed_local()),
    ("session-limit", || session_limit().boxed_local()),
    ("fewer-sessions", || fewer_sessions().boxed_local()),
    ("logons-expire", || {
        expiry(ExpiredStatus::Unauthorized).boxed_local()
    }),
    ("403-on-expiry", || expiry(ExpiredStatus::Forbidden).boxed_local()),
    ("401-once", || one_401().boxed_local()),
    ("retry-after", || retry_after().boxed_local()),
];

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_logon_sessions_is_answered_as_the_table_says() {
    super::compare(&super::together(SCENARIOS).await);
}

fn gateway() -> Builder {
    TestGateway::builder().config(|config| stage::impatient(&mut config.upstream))
}

async fn read_and_act(test: TestGateway) -> Observed {
    let mut asked = Asked::about(&test, PLAN);
    asked.read().await;
    asked.act("test").await;
    let seen = asked.end_by_count().await;
    test.stop().await;
    seen
}

async fn credentials_refused() -> Observed {
    let builder = TestGateway::builder().config(|config| {
        stage::impatient(&mut config.upstream);
        config.upstream.accounts = vec![Account::new(
            "operators",
            "LAB\\svc-emgate",
            "old".to_owned().into(),
        )];
    });
    let test = builder.unready().start().await;
    let ready = test.client.get("/readyz").send().await;
    assert_eq!(ready.status, 503, "{}", ready.text);
    read_and_act(test).await
}

async fn session_limit() -> Observed {
    read_and_act(
        gateway()
            .sim(|sim| sim.max_sessions = Some(0))
            .unready()
            .start()
            .await,
    )
    .await
}

async fn fewer_sessions() -> Observed {
    read_and_act(gateway().sim(|sim| sim.max_sessions = Some(1)).start().await).await
}

/// All logon sessions die before the read, and again before the action.
async fn expiry(status: ExpiredStatus) -> Observed {
    let test = gateway()
        .sim(move |sim| sim.expired_status = status)
        .start()
        .await;
    let mut asked = Asked::about(&test, PLAN);
    test.sim_control(Method::POST, "expire", Value::Null).await;
    asked.read().await;
    test.sim_control(Method::POST, "expire", Value::Null).await;
    asked.act("test").await;
    let seen = asked.end_by_count().await;
    test.stop().await;
    seen
}

/// The session dies between the read of the plan and the action.
async fn one_401() -> Observed {
    let test = gateway().start().await;
    let mut asked = Asked::about(&test, PLAN);
    for method in ["GET", "POST"] {
        let path = asked.em_path();
        test.fault(json!({"kind": "status", "status": 401, "method": method, "path": path}))
            .await;
    }
    asked.read().await;
    asked.act("test").await;
    let seen = asked.end_by_count().await;
    test.stop().await;
    seen
}

async fn retry_after() -> Observed {
    let test = gateway().start().await;
    let mut asked = Asked::about(&test, PLAN);
    let reported = |answer: &Answer| format!(", Retry-After {}", answer.header("retry-after"));
    let fault = |method: &str| json!({"kind": "status", "status": 429, "retryAfter": 7, "method": method, "path": asked.em_path()});
    let (get, post) = (fault("GET"), fault("POST"));
    test.fault(get).await;
    let answer = asked.read().await;
    asked.seen.read += &reported(&answer);
    test.fault(post).await;
    let answer = asked.act("test").await;
    asked.seen.action += &reported(&answer);
    let seen = asked.end_by_count().await;
    test.stop().await;
    seen
}
