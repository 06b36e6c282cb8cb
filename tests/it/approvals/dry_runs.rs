//! Dry runs: everything that stands in the way, and nothing recorded or sent.

use emgate::domain::policy::{Admitted, Policy};
use serde_json::{Value, json};

use super::policies::in_two_days;
use super::{gateway, gateway_at, held_back, path, policy, sent};
use crate::support::{TestGateway, plan};

async fn nothing_happened(test: &TestGateway) {
    let list = test.client.get("/api/v1/operations").send().await.expect(200);
    assert_eq!(list.body["items"], json!([]));
    let log = test.client.get("/api/v1/events").send().await.expect(200);
    assert_eq!(log.body["items"], json!([]));
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(sent(test, method).await, 0, "{method}");
    }
}

fn codes(answer: &Value) -> Vec<&str> {
    let problems = answer["problems"].as_array().expect("problems").iter();
    problems.filter_map(|problem| problem["code"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_be_and_does_nothing() {
    let test = gateway(vec![held_back(2), policy("always")]).await;
    let dry = |rest: &str| test.client.post(&plan(&format!("{rest}?dryRun=true")));
    let start = dry("/start")
        .header("idempotency-key", "k")
        .send()
        .await
        .expect(200);
    assert_eq!(start.body["wouldBe"], "awaitingApproval", "{}", start.text);
    assert_eq!(
        (&start.body["approvers"], &start.body["problems"]),
        (&json!(2), &json!([]))
    );
    assert_eq!(start.body["policies"], json!(["production", "always"]));
    let shown = test.client.get(&plan("")).send().await.expect(200);
    assert_eq!(start.body["plan"], shown.body);
    let machines = start.body["machines"].as_array().expect("machines");
    let names: Vec<&Value> = machines.iter().map(|machine| &machine["name"]).collect();
    let own = shown.body["virtualMachines"].as_array().expect("machines");
    assert_eq!(
        names,
        own.iter().map(|machine| &machine["name"]).collect::<Vec<_>>()
    );
    for machine in machines {
        assert!(machine["newestPoint"]["id"].is_string(), "{machine}");
        assert!(machine["newestPoint"]["createdAt"].is_string(), "{machine}");
    }
    let tested = dry("/test").send().await.expect(200);
    assert_eq!(
        (&tested.body["wouldBe"], &tested.body["approvers"]),
        (&json!("submitted"), &json!(0))
    );

    let mut body = shown.body.clone();
    body["preFailoverCommand"] = json!({"enabled": true, "command": "x"});
    let dry_path = plan("?dryRun=true");
    let edit = test
        .client
        .request("PUT", &dry_path)
        .json(&body)
        .send()
        .await
        .expect(200);
    assert_eq!(edit.body["wouldBe"], "submitted", "{}", edit.text);
    let deletion = test.client.request("DELETE", &dry_path).send().await.expect(200);
    assert_eq!(deletion.body["wouldBe"], "submitted", "{}", deletion.text);
    nothing_happened(&test).await;
    // `false` is a request like any other, and the key was not used up.
    let real = test
        .client
        .post(&plan("/start?dryRun=false"))
        .header("idempotency-key", "k");
    assert_eq!(real.send().await.expect(202).body["state"], "awaitingApproval");
    test.client
        .post(&plan("/start?dryRun=yes"))
        .refused(422, "invalid-request")
        .await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_names_all_problems_together() {
    let (window, ..) = in_two_days();
    let test = gateway(vec![Policy {
        callers: Admitted {
            subjects: vec!["dr-lead".to_owned()],
            ..Admitted::default()
        },
        windows: vec![window],
        reason_required: true,
        ..policy("production")
    }])
    .await;
    let body = json!({"restorePoint": {"before": "2199-01-01T00:00:00Z"}});
    let dry = test
        .client
        .post(&plan("/start?dryRun=true"))
        .json(&body)
        .send()
        .await
        .expect(200);
    assert_eq!(dry.body["wouldBe"], "refused");
    assert_eq!(
        codes(&dry.body),
        [
            "invalid-request",
            "policy-denied",
            "policy-denied",
            "invalid-request"
        ]
    );
    let problems = &dry.body["problems"];
    assert_eq!(problems[0]["errors"][0]["pointer"], "/restorePoint/before");
    assert_eq!(problems[3]["errors"][0]["pointer"], "/reason");
    assert!(problems[2]["nextWindow"]["from"].is_string(), "{problems}");
    for problem in problems.as_array().expect("problems") {
        assert_eq!(problem["requestId"], dry.header("x-request-id"));
        assert_eq!(problem["instance"], plan("/start"));
    }
    // The request itself ends at the first of them.
    let real = test
        .client
        .post(&plan("/start"))
        .json(&body)
        .refused(422, "invalid-request")
        .await;
    assert_eq!(real.pointers(), ["/restorePoint/before"]);
    let mut edit = test.client.get(&plan("")).send().await.expect(200).body;
    edit["name"] = json!("another");
    let put = test
        .client
        .request("PUT", &plan("?dryRun=true"))
        .header("if-match", "\"old\"");
    let dry = put.json(&edit).send().await.expect(200);
    assert_eq!(
        codes(&dry.body),
        [
            "precondition-failed",
            "invalid-request",
            "policy-denied",
            "policy-denied",
            "invalid-request"
        ]
    );
    nothing_happened(&test).await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_sees_a_busy_plan_and_a_key_of_another_request() {
    let test = gateway_at(4.0, vec![]).await;
    let running = test
        .client
        .post(&plan("/test"))
        .header("idempotency-key", "k")
        .send()
        .await
        .expect(202);
    let dry = test
        .client
        .post(&plan("/start?dryRun=true"))
        .header("idempotency-key", "k");
    let dry = dry.send().await.expect(200);
    assert_eq!(codes(&dry.body), ["idempotency-key-reused", "plan-busy"]);
    assert_eq!(dry.body["problems"][1]["operationId"], running.body["id"]);
    let missing = "/api/v1/cloud-failover-plans/00000000-0000-0000-0000-00000000dead/test?dryRun=true";
    test.client.post(missing).refused(404, "not-found").await;
    test.until(&path(&running, ""), |operation| operation["state"] == "finished")
        .await;
    assert_eq!(sent(&test, "POST").await, 1);
    test.stop().await;
}
