//! What is no route of its own: waits, conflicts, repeated requests, sessions that nobody asked for through the gateway.

use std::time::Duration;

use emgate::sim::Options;
use serde_json::{Value, json};

use super::{ABC, NORDWIND, confined, gateway, id_of, plans_of};
use crate::support::{TestGateway, operation};
use crate::waiting::eventually;

/// Longer than anything takes that does not wait.
const LIMIT: Duration = Duration::from_secs(25);

async fn slow() -> TestGateway {
    let slow = |sim: &mut Options| {
        sim.plans = 4;
        sim.speed = 0.1;
    };
    TestGateway::builder().sim(slow).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_what_another_tenant_runs() {
    let test = slow().await;
    let [own, other] = [confined(&test, &[ABC]), confined(&test, &[NORDWIND])];
    let plan = &plans_of(&test, ABC).await[0];
    let path = format!("/api/v1/cloud-failover-plans/{plan}/test");
    let running = own.post(&path).send().await.expect(202);
    let waiting = other.get(&operation(&running)).header("prefer", "wait=50");
    tokio::time::timeout(LIMIT, waiting.refused(404, "not-found"))
        .await
        .expect("an answer at once");

    // To the tenant's own callers the plan is busy, with what keeps it so; to others it is nothing.
    let busy = own.post(&path).refused(409, "plan-busy").await;
    assert_eq!(busy.body["operationId"], running.body["id"]);
    other.post(&path).refused(404, "not-found").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_another_one_for_another_confinement() {
    let test = gateway().await;
    let plan = &plans_of(&test, ABC).await[0];
    let path = format!("/api/v1/cloud-failover-plans/{plan}/test");
    let ask = |tenants: &[&str]| {
        confined(&test, tenants)
            .post(&path)
            .header("idempotency-key", "k-1")
    };
    let first = ask(&[ABC]).send().await.expect(202);
    let again = ask(&[ABC]).send().await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.body["id"], first.body["id"]);
    ask(&[NORDWIND]).refused(404, "not-found").await;
    let wider = ask(&[ABC, NORDWIND]).send().await;
    assert!(wider.header("idempotency-replayed").is_empty(), "{}", wider.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_from_elsewhere_is_its_tenants_once_it_is_observed() {
    let test = gateway().await;
    let plans = plans_of(&test, ABC).await;
    let body = json!({"planId": plans[1], "action": "start", "result": "Failed", "failureMessage": "no host", "seconds": 1});
    let made = test.sim_control(reqwest::Method::POST, "failovers", body).await;
    let session = made["sessionId"].as_str().expect("a session").to_owned();
    let own = confined(&test, &[ABC]);
    let path = format!("/api/v1/failover-sessions/{session}");
    let shown = eventually(
        "the session's end",
        async || own.get(&path).send().await.body,
        |body| body["state"] == "stopped",
    )
    .await;
    assert_eq!(shown["tenant"]["name"], ABC);
    let everybodys = test.client.get(&path).send().await.expect(200).body;
    assert_eq!(shown, everybodys);
    let list = own.get("/api/v1/failover-sessions?result=failed&sortAsc=name");
    let list = list.send().await.expect(200).body;
    assert_eq!(list["items"].as_array().expect("sessions").len(), 1);
    assert_eq!(list["items"][0], shown);
    confined(&test, &[NORDWIND])
        .get(&path)
        .refused(404, "not-found")
        .await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_named_by_id_or_exact_name() {
    let test = gateway().await;
    let list = test
        .client
        .get("/api/v1/cloud-failover-plans")
        .send()
        .await
        .expect(200)
        .body;
    let plan = &list["items"][0];
    let (id, name) = (
        id_of(&plan["tenant"]),
        plan["tenant"]["name"].as_str().expect("a name"),
    );
    let seen = async |tenants: &[&str]| {
        let list = confined(&test, tenants).get("/api/v1/cloud-failover-plans");
        let body = list.send().await.expect(200).body;
        let names = body["items"].as_array().expect("plans").iter();
        let mut names: Vec<Value> = names.map(|plan| plan["tenant"]["name"].clone()).collect();
        names.dedup();
        names
    };
    assert_eq!(seen(&[name]).await, [name]);
    assert_eq!(seen(&[&id]).await, [name]);
    assert_eq!(seen(&[&id.to_uppercase()]).await, [name]);
    assert_eq!(seen(&[&name.to_uppercase()]).await, [] as [Value; 0]);
    assert_eq!(seen(&["%", "*", "\" or 1==1"]).await, [] as [Value; 0]);
    // More tenants than a query names.
    let many: Vec<String> = (0..30).map(|number| format!("tenant {number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).chain([name]).collect();
    assert_eq!(seen(&many).await, [name]);
    let both =
        confined(&test, &[ABC, NORDWIND]).get("/api/v1/cloud-failover-plans?pageSize=4&page=2&sortDesc=name");
    let both = both.send().await.expect(200).body;
    assert_eq!(
        (&both["page"]["number"], &both["page"]["total"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(both["items"].as_array().expect("plans").len(), 2);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_em_are_not_shared_between_tenants() {
    let test = TestGateway::builder()
        .sim(|sim| sim.plans = 4)
        .config(|config| config.upstream.cache_ttl = Duration::from_mins(1))
        .start()
        .await;
    let plan = plans_of(&test, ABC).await[0].clone();
    let path = format!("/api/v1/cloud-failover-plans/{plan}");
    let asked = async || {
        let stats = test.sim_control(reqwest::Method::GET, "stats", Value::Null).await;
        let line = format!("GET /api/cloud/cloudFailoverPlans/{plan}");
        stats["requests"][line].as_u64().unwrap_or_default()
    };
    test.client.get(&path).send().await.expect(200);
    test.client.get(&path).send().await.expect(200);
    assert_eq!(asked().await, 1);
    confined(&test, &[ABC]).get(&path).send().await.expect(200);
    assert_eq!(asked().await, 2);
    confined(&test, &[NORDWIND])
        .get(&path)
        .refused(404, "not-found")
        .await;
    confined(&test, &[NORDWIND])
        .get(&path)
        .refused(404, "not-found")
        .await;
    assert_eq!(asked().await, 4);
    test.stop().await;
}
