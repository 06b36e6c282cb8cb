//! The life of an action where it is hardest: answers that come late, sessions that come early or much later, keys used
//! while their operation is under way, a store that is away when EM's answer comes.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::scripted_server::{Reply, ScriptedServer, response_of};
use crate::support::{PLAN, TestGateway, operation, plan};
use crate::waiting::{holds, slowly};

/// The body comes a while after the headers.
fn late(reply: Reply) -> Response {
    let body = reply.body.clone();
    let later = async move {
        slowly(Duration::from_secs(1)).await;
        Ok::<Bytes, std::io::Error>(body)
    };
    response_of(reply).map(|_| Body::from_stream(futures_util::stream::once(later)))
}

/// A gateway before a server that holds back EM's answers to actions.
async fn with_late_answers(twist: fn(Reply) -> Response, speed: f64) -> (TestGateway, ScriptedServer) {
    with_late_answers_and(twist, speed, |_| {}).await
}

async fn with_late_answers_and(
    twist: fn(Reply) -> Response,
    speed: f64,
    change: fn(&mut emgate::config::Config),
) -> (TestGateway, ScriptedServer) {
    let scripted = ScriptedServer::start().await;
    let between = scripted.clone();
    let test = TestGateway::builder()
        .sim(move |sim| sim.speed = speed)
        .config(move |config| {
            between.put_before(&mut config.upstream);
            change(config);
        })
        .start()
        .await;
    scripted.twists("POST /api/cloud/*", twist);
    (test, scripted)
}

/// Asks for a test of the plan, and returns once EM has the request; the answer is awaited by the task.
async fn under_way(
    test: &TestGateway,
    scripted: &ScriptedServer,
    key: &str,
) -> tokio::task::JoinHandle<Answer> {
    let request = test.client.post(&plan("/test")).header("idempotency-key", key);
    let asked = tokio::spawn(request.send());
    holds("the POST arrives", || {
        !scripted.seen("POST /api/cloud").is_empty()
    })
    .await;
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_while_the_first_request_is_under_way_is_the_same_operation_as_it_is() {
    let (test, scripted) = with_late_answers(late, 50.0).await;
    let first = under_way(&test, &scripted, "k").await;
    let again = test
        .client
        .post(&plan("/test"))
        .header("idempotency-key", "k")
        .send()
        .await
        .expect(200);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.body["state"], "submitting");
    let first = first.await.expect("an answer").expect(202);
    assert_eq!(
        (&first.body["id"], &first.body["state"]),
        (&again.body["id"], &json!("running"))
    );
    assert_eq!(scripted.seen("POST /api/cloud").len(), 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_while_the_store_is_away_is_recorded_when_it_is_back() {
    use sqlx::Connection as _;
    let (test, scripted) = with_late_answers_and(late, 1.0, |config| {
        // No turn of the watcher waits for the store before the answer.
        config.watch.interval = Duration::from_hours(1);
        config.watch.idle_interval = Duration::from_hours(1);
    })
    .await;
    let url = format!("sqlite://{}", test.directory().join("emgate.db").display());
    sqlx::any::install_default_drivers();
    let mut other = sqlx::AnyConnection::connect(&url)
        .await
        .expect("a second connection");
    let mut asked = under_way(&test, &scripted, "k").await;
    sqlx::query("begin immediate")
        .execute(&mut other)
        .await
        .expect("the write lock");
    // Longer than one turn in the queue and one wait for the lock: at least one attempt to record the answer fails.
    let early = tokio::time::timeout(Duration::from_secs(12), &mut asked).await;
    assert!(
        early.is_err(),
        "answered without a record: {:?}",
        early.map(|answer| answer.map(|answer| answer.text))
    );
    sqlx::query("rollback")
        .execute(&mut other)
        .await
        .expect("the lock is let go");
    other.close().await.expect("closed");
    let answer = asked.await.expect("an answer").expect(202);
    assert_eq!(answer.body["state"], "running", "{}", answer.text);
    assert!(
        answer.body["task"]["id"].is_string(),
        "its task is followed: {}",
        answer.text
    );
    assert_eq!(scripted.seen("POST /api/cloud").len(), 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_comes_up_before_the_refusal_is_not_the_refused_requests() {
    fn refused_late(_: Reply) -> Response {
        late(Reply::xml(
            409,
            "<Error xmlns=\"http://www.veeam.com/ent/v1.0\" Message=\"The plan is in use\"/>",
        ))
    }
    let (test, scripted) = with_late_answers(refused_late, 20.0).await;
    let asked = under_way(&test, &scripted, "k").await;
    let refused = asked
        .await
        .expect("an answer")
        .expect_problem(409, "upstream-conflict");
    let log = test
        .until("/api/v1/events?pageSize=100", |body| {
            body["items"].as_array().is_some_and(|items| {
                items
                    .iter()
                    .any(|event| event["type"] == "failover.session.finished")
            })
        })
        .await;
    for event in log["items"].as_array().expect("items") {
        assert_eq!(event["data"]["operation"], Value::Null, "{event}");
    }
    let record = test.client.get(&operation(&refused)).send().await.expect(200);
    assert_eq!(
        (&record.body["state"], &record.body["session"]),
        (&json!("finished"), &Value::Null)
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_ends_before_ems_answer_has_its_operation() {
    let (test, scripted) = with_late_answers(late, 1000.0).await;
    let asked = under_way(&test, &scripted, "k").await;
    let answer = asked.await.expect("an answer").expect(202);
    let log = test
        .until("/api/v1/events?pageSize=100", |body| {
            let items = body["items"].as_array().into_iter().flatten();
            items
                .map(|event| &event["type"])
                .any(|kind| kind == "failover.session.finished")
        })
        .await;
    let events = log["items"].as_array().expect("items");
    for (number, event) in (1..).zip(events) {
        assert_eq!(event["data"]["sequence"], number, "{event}");
    }
    let last = events.last().expect("an event");
    assert_eq!(last["type"], "failover.session.finished", "{log}");
    assert_eq!(last["data"]["operation"]["id"], answer.body["id"], "{last}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_request_was_refused_for_certain_is_free_again() {
    let test = TestGateway::start().await;
    test.fault(json!({"kind": "status", "status": 409, "method": "POST", "path": "/api/cloud/"}))
        .await;
    let request = || test.client.post(&plan("/test")).header("idempotency-key", "k");
    let refused = request().refused(409, "upstream-conflict").await;
    let taken = request().send().await.expect(202);
    assert_ne!(operation(&refused), operation(&taken));
    assert_eq!(taken.header("idempotency-replayed"), "");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_operation_continues_when_its_session_appears() {
    let test = TestGateway::builder()
        .config(|config| {
            config.upstream.connect_timeout = Duration::from_millis(500);
            config.upstream.request_timeout = Duration::from_millis(1500);
            config.upstream.unknown_after = Duration::from_secs(1);
        })
        .start()
        .await;
    test.fault(json!({"kind": "close", "method": "POST", "path": "/api/cloud/"}))
        .await;
    let key = || test.client.post(&plan("/test")).header("idempotency-key", "k");
    let open = key().send().await.expect(202);
    assert_eq!(open.body["state"], "submitting");
    test.until(&operation(&open), |body| body["state"] == "unknown")
        .await;
    let again = key().send().await.expect(200);
    assert_eq!(
        (&again.body["id"], &again.body["state"]),
        (&open.body["id"], &json!("unknown"))
    );
    let late = json!({"planId": PLAN, "action": "test", "result": "warning", "seconds": 20});
    test.sim_control(Method::POST, "failovers", late).await;
    let ended = test
        .until(&operation(&open), |body| body["state"] == "finished")
        .await;
    assert_eq!(
        (&ended["result"], &ended["resultSource"]),
        (&json!("warning"), &json!("session"))
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_logon_session_is_gone_cannot_be_cancelled() {
    let test = TestGateway::builder().sim(|sim| sim.speed = 0.1).start().await;
    let undo = test.client.post(&plan("/undo")).send().await.expect(202);
    test.sim_control(Method::POST, "expire", Value::Null).await;
    let cancel = format!("{}/cancel", operation(&undo));
    test.client.post(&cancel).refused(409, "not-cancellable").await;
    let record = test.client.get(&operation(&undo)).send().await.expect(200);
    assert_eq!(record.body["cancelRequestedAt"], Value::Null);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_stays_noted_unless_em_refused_it() {
    for (fault, noted) in [
        (
            json!({"kind": "executeThenClose", "method": "DELETE", "path": "/api/tasks"}),
            true,
        ),
        (
            json!({"kind": "status", "status": 409, "method": "DELETE", "path": "/api/tasks"}),
            false,
        ),
    ] {
        let test = TestGateway::builder().sim(|sim| sim.speed = 0.1).start().await;
        let undo = test.client.post(&plan("/undo")).send().await.expect(202);
        test.fault(fault.clone()).await;
        let cancel = format!("{}/cancel", operation(&undo));
        let answer = test.client.post(&cancel).send().await;
        assert!(answer.status >= 400, "{fault}: {}", answer.text);
        let record = test.client.get(&operation(&undo)).send().await.expect(200);
        assert_eq!(
            record.body["cancelRequestedAt"].is_string(),
            noted,
            "{fault}: {}",
            record.text
        );
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_a_cancelled_operation_is_told_as_removed() {
    let test = TestGateway::builder().sim(|sim| sim.speed = 0.1).start().await;
    let undo = test.client.post(&plan("/undo")).send().await.expect(202);
    assert_eq!(undo.body["task"]["state"], "running");
    let cancel = format!("{}/cancel", operation(&undo));
    let cancelled = test.client.post(&cancel).send().await.expect(202);
    assert_eq!(cancelled.body["result"], "cancelled");
    assert_eq!(cancelled.body["task"]["state"], "removed");
    let read = test.client.get(&operation(&undo)).send().await.expect(200);
    assert_eq!(read.body["task"], cancelled.body["task"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_a_cancelled_failover_is_removed_while_its_session_decides() {
    let test = TestGateway::builder().sim(|sim| sim.speed = 1.0).start().await;
    let asked = test.client.post(&plan("/test")).send().await.expect(202);
    let path = operation(&asked);
    test.until(&path, |body| !body["session"].is_null()).await;
    let cancel = format!("{path}/cancel");
    let cancelled = test.client.post(&cancel).send().await.expect(202);
    assert_eq!(cancelled.body["task"]["state"], "removed", "{}", cancelled.text);
    let again = test.client.post(&cancel).send().await.expect(202);
    assert_eq!(
        (&again.body["task"]["state"], &again.body["cancelRequestedAt"]),
        (&json!("removed"), &cancelled.body["cancelRequestedAt"]),
        "{}",
        again.text
    );
    let ended = test.until(&path, |body| body["state"] == "finished").await;
    assert_eq!(
        (&ended["resultSource"], &ended["task"]["state"]),
        (&json!("session"), &json!("removed")),
        "{ended}"
    );
    test.stop().await;
}
