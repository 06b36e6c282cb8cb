//! EM's answer arrives after the watcher of another replica recorded more: its record stays, and the caller gets it.
//! Every failure names an operation that continues.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::sync::Notify;

use crate::support::client::Answer;
use crate::support::scripted_server::{Reply, ScriptedServer};
use crate::support::{TestGateway, plan};

const ACTION: &str = "POST /api/cloud";

/// A gateway that observes by itself only once, and the server between it and EM.
async fn stage(
    change: impl FnOnce(&mut emgate::config::Config) + Send + 'static,
) -> (TestGateway, ScriptedServer) {
    let scripted = ScriptedServer::start().await;
    let between = scripted.clone();
    let test = TestGateway::builder()
        .sim(|sim| sim.speed = 0.1)
        .config(move |config| {
            between.put_before(&mut config.upstream);
            config.watch.interval = Duration::from_hours(1);
            config.watch.idle_interval = Duration::from_hours(1);
            change(config);
        })
        .start()
        .await;
    (test, scripted)
}

/// Asks for a test of the plan; while EM has the request, another process writes `assignments` into its record.
async fn overtaken(test: &TestGateway, scripted: &ScriptedServer, assignments: &str) -> Answer {
    let url = format!("sqlite://{}", test.directory().join("emgate.db").display());
    let sql = format!(
        "update operations set {assignments}; \
         insert into operation_history (operation_id, position, state, at, reason) \
         select id, 2, state, requested_at, 'found by another' from operations"
    );
    scripted.before(ACTION, 1, async move {
        let mut other = sqlx::AnyConnection::connect(&url)
            .await
            .expect("a second connection");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut other)
            .await
            .expect("written");
        other.close().await.expect("closed");
    });
    let request = test.client.post(&plan("/test")).header("idempotency-key", "k");
    let answer = request.send().await;
    assert_eq!(scripted.seen(ACTION).len(), 1);
    answer
}

fn states(operation: &Value) -> Vec<&str> {
    let history = operation["history"].as_array().expect("a history");
    history
        .iter()
        .map(|step| step["state"].as_str().expect("a state"))
        .collect()
}

const FINISHED: &str = "state = 'finished', result = 'success', result_source = 'session', progress = 100, \
     finished_at = requested_at";
const UNKNOWN: &str = "state = 'unknown', failure_message = 'nothing was found', failure_source = 'gateway'";
const RUNNING: &str = "state = 'running', progress = 30";

#[tokio::test(flavor = "multi_thread")]
async fn a_late_acceptance_is_answered_with_the_end_another_replica_saw() {
    let (test, scripted) = stage(|_| {}).await;
    let answer = overtaken(&test, &scripted, FINISHED).await.expect(200);
    assert_eq!(
        (&answer.body["state"], &answer.body["result"]),
        (&json!("finished"), &json!("success"))
    );
    assert_eq!(states(&answer.body), ["submitting", "finished"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_refusal_does_not_undo_an_end() {
    let (test, scripted) = stage(|_| {}).await;
    let refusal = "<Error xmlns=\"http://www.veeam.com/ent/v1.0\" Message=\"The plan is in use\"/>";
    scripted.answers("POST /api/cloud/*", Reply::xml(409, refusal));
    let answer = overtaken(&test, &scripted, FINISHED).await.expect(200);
    assert_eq!(
        (
            &answer.body["state"],
            &answer.body["result"],
            &answer.body["failure"]
        ),
        (&json!("finished"), &json!("success"), &Value::Null)
    );
    assert_eq!(states(&answer.body), ["submitting", "finished"]);
    let again = test.client.post(&plan("/test")).header("idempotency-key", "k");
    let again = again.send().await.expect(200);
    assert_eq!(again.body["id"], answer.body["id"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_leaves_open_what_happened_reopens_no_operation() {
    for (assignments, state, status) in [
        (UNKNOWN, "unknown", 202),
        (RUNNING, "running", 202),
        (FINISHED, "finished", 200),
    ] {
        let (test, scripted) = stage(|_| {}).await;
        scripted.answers("POST /api/cloud/*", Reply::xml(500, "<Error/>"));
        let answer = overtaken(&test, &scripted, assignments).await.expect(status);
        assert_eq!(answer.body["state"], state, "{}", answer.text);
        assert_eq!(states(&answer.body), ["submitting", state]);
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_whose_session_was_found_first_gets_its_task_later() {
    let (test, scripted) = stage(|_| {}).await;
    let answer = overtaken(&test, &scripted, RUNNING).await.expect(202);
    assert_eq!(states(&answer.body), ["submitting", "running"]);
    assert!(answer.body["task"]["id"].is_string(), "{}", answer.text);
    assert_eq!(answer.body["progress"], 30, "{}", answer.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whose_time_is_over_learns_the_operation() {
    let (test, scripted) = stage(|config| config.server.request_timeout = Duration::from_secs(3)).await;
    let (gate, opened) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (closed, passed) = (gate.clone(), opened.clone());
    scripted.before(ACTION, 1, async move {
        closed.notified().await;
        passed.notify_one();
    });
    let late = test.client.post(&plan("/test")).send().await;
    let late = late.expect_problem(503, "gateway-timeout");
    let id = late.body["operationId"].as_str().expect("the operation");
    let path = format!("/api/v1/operations/{id}");
    let record = test.client.get(&path).send().await.expect(200);
    assert_eq!(record.body["state"], "submitting", "{}", record.text);
    gate.notify_one();
    opened.notified().await;
    test.until(&path, |body| body["state"] == "running").await;
    test.stop().await;
}
