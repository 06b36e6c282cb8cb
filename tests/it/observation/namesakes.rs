//! Two plans of one name on two backup servers: operations and events belong to the right one.

use axum::response::Response;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::scripted_server::{Reply, ScriptedServer, response_of};
use crate::support::{PLAN, TestGateway};

/// The second plan, on the other server, is called as the first one is.
fn alike(mut reply: Reply) -> Response {
    let text = String::from_utf8_lossy(&reply.body);
    let renamed = text.replace("Nordwind Klinik Failover Plan", "ABC Company Failover Plan");
    reply.body = renamed.into_bytes().into();
    response_of(reply)
}

/// A gateway before two plans of one name, and their ids.
async fn namesakes() -> (TestGateway, [String; 2]) {
    let scripted = ScriptedServer::start().await;
    scripted.twists("GET /api/*", alike);
    let builder = TestGateway::builder()
        .sim(|sim| sim.plans = 2)
        .config(move |config| scripted.put_before(&mut config.upstream));
    let test = builder.start().await;
    let list = test
        .client
        .get("/api/v1/cloud-failover-plans")
        .send()
        .await
        .expect(200);
    let items = list.body["items"].as_array().expect("items");
    assert_eq!(items[0]["name"], items[1]["name"], "{list:?}");
    assert_ne!(
        items[0]["backupServer"]["id"], items[1]["backupServer"]["id"],
        "{list:?}"
    );
    let mut ids: Vec<String> = items
        .iter()
        .map(|plan| plan["id"].as_str().expect("an id").to_owned())
        .collect();
    ids.sort_by_key(|id| id != PLAN);
    (test, ids.try_into().expect("two plans"))
}

/// Asks for a test of that plan; the answer is lost, after EM acted or before.
async fn ask(test: &TestGateway, plan: &str, acts: bool) -> String {
    let kind = if acts { "executeThenClose" } else { "close" };
    test.fault(json!({"kind": kind, "method": "POST", "path": "/api/cloud/"}))
        .await;
    let path = format!("/api/v1/cloud-failover-plans/{plan}/test");
    let answer = test.client.post(&path).send().await.expect(202);
    assert_eq!(answer.body["state"], "submitting", "{}", answer.text);
    format!(
        "/api/v1/operations/{}",
        answer.body["id"].as_str().expect("an id")
    )
}

async fn blind(test: &TestGateway) {
    let path = "/api/cloud/failoverSessions/";
    test.fault(json!({"kind": "status", "status": 500, "count": 1_000_000, "path": path}))
        .await;
}

async fn seeing(test: &TestGateway) {
    test.sim_control(Method::DELETE, "faults", Value::Null).await;
}

fn of_kind<'a>(log: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let events = log["items"].as_array().expect("items").iter();
    events.filter(move |event| event["type"] == kind)
}

/// The event of that type about that session.
async fn event(test: &TestGateway, kind: &str, session: &str) -> Value {
    let find = |log: &Value| {
        let mut events = of_kind(log, kind);
        events
            .find(|event| {
                let id = event["data"]["session"]["id"].as_str();
                id.is_some_and(|id| id.eq_ignore_ascii_case(session))
            })
            .cloned()
    };
    let log = test
        .until("/api/v1/events?pageSize=100", |log| find(log).is_some())
        .await;
    find(&log).expect("the event")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_joined_with_the_session_on_the_plans_own_server() {
    for details_fail in [false, true] {
        let (test, plans) = namesakes().await;
        if details_fail {
            blind(&test).await;
        }
        let mut asked = vec![(ask(&test, &plans[1], true).await, &plans[1])];
        if details_fail {
            // An ambiguous session keeps both plans busy, so the other one is run at EM's console.
            let wish = json!({"planId": plans[0], "action": "test", "seconds": 10});
            test.sim_control(Method::POST, "failovers", wish).await;
            let started = |log: &Value| of_kind(log, "failover.session.started").count() == 2;
            test.until("/api/v1/events?pageSize=100", started).await;
            seeing(&test).await;
        } else {
            asked.push((ask(&test, &plans[0], true).await, &plans[0]));
        }
        for (operation, plan) in &asked {
            let ended = test.until(operation, |body| body["state"] == "finished").await;
            assert_eq!(
                (&ended["resultSource"], &ended["session"]["plan"]["id"]),
                (&json!("session"), &json!(plan)),
                "{ended}"
            );
            let id = ended["session"]["id"].as_str().expect("an id");
            let session = test
                .client
                .get(&format!("/api/v1/failover-sessions/{id}"))
                .send()
                .await
                .expect(200);
            let own = test
                .client
                .get(&format!("/api/v1/cloud-failover-plans/{plan}"))
                .send()
                .await
                .expect(200);
            assert_eq!(
                session.body["backupServer"]["id"], own.body["backupServer"]["id"],
                "{}",
                session.text
            );
        }
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namesakes_session_is_never_joined_with_an_undelivered_request() {
    for details_fail in [false, true] {
        let (test, plans) = namesakes().await;
        if details_fail {
            blind(&test).await;
        }
        let operation = ask(&test, &plans[0], false).await;
        // The other plan is run at EM's console.
        let wish = json!({"planId": plans[1], "action": "test", "seconds": 10});
        let made = test.sim_control(Method::POST, "failovers", wish).await;
        let session = made["sessionId"].as_str().expect("an id");
        let started = event(&test, "failover.session.started", session).await;
        let finished = event(&test, "failover.session.finished", session).await;
        let plan = if details_fail {
            Value::Null
        } else {
            json!(plans[1])
        };
        for event in [started, finished] {
            assert_eq!(event["data"]["session"]["plan"]["id"], plan, "{event}");
            assert_eq!(event["data"]["operation"], Value::Null, "{event}");
        }
        let waiting = test.client.get(&operation).send().await.expect(200).body;
        assert_eq!(
            (&waiting["state"], &waiting["session"]),
            (&json!("submitting"), &Value::Null),
            "{waiting}"
        );
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_of_a_running_session_is_read_later() {
    let (test, plans) = namesakes().await;
    blind(&test).await;
    let wish = json!({"planId": plans[1], "action": "test", "seconds": 500});
    let made = test.sim_control(Method::POST, "failovers", wish).await;
    let session = made["sessionId"].as_str().expect("an id");
    let started = event(&test, "failover.session.started", session).await;
    assert_eq!(started["data"]["session"]["plan"], Value::Null, "{started}");
    seeing(&test).await;
    let finished = event(&test, "failover.session.finished", session).await;
    assert_eq!(
        finished["data"]["session"]["plan"]["id"],
        plans[1].as_str(),
        "{finished}"
    );
    test.stop().await;
}
