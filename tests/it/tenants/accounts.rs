//! A tenant's own account at EM: it serves the tenant's callers, with logon sessions of its own.

use std::collections::BTreeSet;

use emgate::domain::policy::{Policies, Policy};
use emgate::upstream::config::Account;
use serde_json::{Value, json};

use super::{ABC, NORDWIND, confined, plans_of};
use crate::approvals::{approver, held_back};
use crate::support::world::{World, json_of, stats};
use crate::support::{PLAN, TestGateway, client, token};
use crate::waiting::eventually;

/// A gateway with an account of ABC's beside that of the operators.
async fn gateway(password: &str) -> TestGateway {
    gateway_with("abc", password, Vec::new()).await
}

async fn gateway_with(name: &str, password: &str, policies: Vec<Policy>) -> TestGateway {
    let account = Account {
        tenant: Some(ABC.to_owned()),
        max_sessions: 1,
        ..Account::new(name, ABC, password.to_owned().into())
    };
    TestGateway::builder()
        .sim(|sim| sim.plans = 8)
        .config(|config| {
            config.upstream.accounts.push(account);
            config.policies = Policies(policies);
        })
        .start()
        .await
}

/// The accounts that the lines of a metric with this label name.
async fn accounts(test: &TestGateway, metric: &str, label: &str) -> BTreeSet<String> {
    let text = test.stranger().get("/metrics").send().await.expect(200).text;
    let line = |line: &&str| line.starts_with(metric) && line.contains(label);
    let account = |line: &str| {
        let (_, rest) = line.split_once("account=\"").expect("an account");
        rest.split('"').next().expect("its end").to_owned()
    };
    text.lines().filter(line).map(account).collect()
}

/// The accounts that logged on.
async fn logons(test: &TestGateway) -> BTreeSet<String> {
    accounts(test, "emgate_upstream_logons_total", "outcome=\"ok\"").await
}

/// The accounts whose actions EM accepted.
async fn senders(test: &TestGateway) -> BTreeSet<String> {
    accounts(test, "emgate_upstream_requests_total", "outcome=\"202\"").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_account_reads_and_runs_its_plans() {
    let test = gateway("simulated").await;
    let plans = plans_of(&test, ABC).await;
    let before = async || {
        let stats = test.sim_control(reqwest::Method::GET, "stats", Value::Null).await;
        stats["requests"]["GET /api/cloud/cloudFailoverPlans"]
            .as_u64()
            .unwrap_or_default()
    };
    assert_eq!(before().await, 0);
    let own = confined(&test, &[ABC]);
    let list = own
        .get("/api/v1/cloud-failover-plans?sortAsc=name")
        .send()
        .await
        .expect(200)
        .body;
    assert_eq!(list["items"].as_array().expect("plans").len(), plans.len());
    assert_eq!(
        before().await,
        1,
        "the list comes from the tenant's own collection"
    );
    assert_eq!(
        logons(&test).await,
        ["abc", "operators"].map(str::to_owned).into()
    );

    let path = format!("/api/v1/cloud-failover-plans/{}", plans[0]);
    let plan = own.get(&path).send().await.expect(200).body;
    assert_eq!(plan, test.client.get(&path).send().await.expect(200).body);
    let other = &plans_of(&test, NORDWIND).await[0];
    own.get(&format!("/api/v1/cloud-failover-plans/{other}"))
        .refused(404, "not-found")
        .await;
    let asked = own.post(&format!("{path}/start")).send().await.expect(202);
    let operation = format!("/api/v1/operations/{}", super::id_of(&asked.body));
    let ended = eventually(
        "the end of the failover",
        async || own.get(&operation).send().await.body,
        |body| body["state"] == "finished",
    )
    .await;
    assert_eq!(
        (&ended["result"], &ended["plan"]["tenant"]["name"]),
        (&json!("success"), &json!(ABC))
    );

    // Whoever is confined to more than the tenant acts with its account, and reads with that of the operators.
    let both = confined(&test, &[ABC, NORDWIND]);
    let asked = both.post(&format!("{path}/undo")).send().await;
    assert!([202, 409].contains(&asked.status), "{}", asked.text);
    // EM lets tenants edit nothing, so an edit is sent by the operators.
    let mut edited = plan.clone();
    edited["preFailoverCommand"] = json!({"enabled": true, "command": "C:\\prepare.cmd"});
    let edit = own.request("PUT", &format!("/api/v1/cloud-failover-plans/{}", plans[1]));
    let mut second = own
        .get(&format!("/api/v1/cloud-failover-plans/{}", plans[1]))
        .send()
        .await
        .expect(200)
        .body;
    second["preFailoverCommand"] = edited["preFailoverCommand"].clone();
    edit.json(&second).send().await.expect(202);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_approves_is_sent_by_the_requesters_account() {
    // Metrics are the process', so that the account has a name that no other test uses.
    let test = gateway_with("abc-held-back", "simulated", vec![held_back(1)]).await;
    let plans = plans_of(&test, ABC).await;
    let asked = confined(&test, &[ABC])
        .post(&format!("/api/v1/cloud-failover-plans/{}/start", plans[0]))
        .send()
        .await
        .expect(202);
    assert_eq!(asked.body["state"], "awaitingApproval", "{}", asked.text);
    assert!(!senders(&test).await.contains("abc-held-back"));
    let operation = format!("/api/v1/operations/{}", super::id_of(&asked.body));
    let operator = approver(&test, "bob");
    operator
        .post(&format!("{operation}/approve"))
        .send()
        .await
        .expect(202);
    assert!(senders(&test).await.contains("abc-held-back"));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_refused_account_fails_its_callers_alone() {
    let test = gateway("wrong").await;
    let own = confined(&test, &[ABC]);
    own.get("/api/v1/cloud-failover-plans")
        .refused(502, "upstream-auth-failed")
        .await;
    confined(&test, &[NORDWIND])
        .get("/api/v1/cloud-failover-plans")
        .send()
        .await
        .expect(200);
    own.get("/api/v1/operations").send().await.expect(200);
    let ready = test.stranger().get("/readyz").send().await.expect(200).body;
    let checks = ready["checks"].as_array().expect("checks");
    let logon = checks
        .iter()
        .find(|check| check["name"] == "logon")
        .expect("a check");
    assert_eq!(logon["status"], "failed", "{ready}");
    assert!(!ready.to_string().contains(ABC), "{ready}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_task_is_followed_across_a_crash_in_its_own_session() {
    let world = World::start(&["--speed", "5"]).await;
    let scopes = "plans:start operations:read sessions:read";
    let own = token(&json!({"sub": "ann", "scope": scopes, "tenants": [ABC]}));
    let asked = client::plain()
        .post(
            world
                .gateway
                .url(&format!("/api/v1/cloud-failover-plans/{PLAN}/start")),
        )
        .bearer_auth(&own)
        .send()
        .await
        .expect("an answer");
    assert_eq!(asked.status(), 202);
    let operation = json_of(asked).await;
    let path = format!("/api/v1/operations/{}", super::id_of(&operation));
    let world = world.crash_and_restart().await;
    let ended = world.until(&path, |body| body["state"] == "finished").await;
    assert_eq!(
        (&ended["result"], &ended["task"]["state"]),
        (&json!("success"), &json!("finished"))
    );
    let (status, simulator) = world.stop_gateway();
    assert!(status.success());
    let after = stats(&simulator).await;
    // The operators logged on twice, since their session had no task; the tenant once.
    assert_eq!(
        (&after["logons"], &after["logoffs"]),
        (&json!(3), &json!(2)),
        "{after}"
    );
}
