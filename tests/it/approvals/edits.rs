//! Edits and deletions of plans under policies, and plans that change while a request waits.

use emgate::domain::policy::{Matching, PlanAction, Policy};
use serde_json::{Value, json};

use super::{approver, ended_by_policy, events, gateway, held_back, path, policy, request, sent};
use crate::support::{TestGateway, plan};

/// The plan as it is, with another script.
async fn changed(test: &TestGateway, command: &str) -> Value {
    let mut body = test.client.get(&plan("")).send().await.expect(200).body;
    body["preFailoverCommand"] = json!({"enabled": true, "command": command});
    body
}

fn for_changes() -> Policy {
    Policy {
        matching: Matching {
            actions: vec![PlanAction::Update, PlanAction::Delete],
            ..Matching::default()
        },
        approvals: 1,
        reason_required: true,
        ..policy("changes")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_changed_since_the_request_is_not_started() {
    let test = gateway(vec![held_back(1)]).await;
    let asked = request(&test).await;
    let body = changed(&test, "before.ps1").await;
    let edit = test
        .client
        .request("PUT", &plan(""))
        .header("prefer", "wait=30")
        .json(&body);
    assert_eq!(edit.send().await.expect(200).body["result"], "success");
    let lead = approver(&test, "dr-lead");
    let refused = lead
        .post(&path(&asked, "/approve"))
        .refused(409, "plan-changed")
        .await;
    assert_eq!(refused.body["operationId"], asked.body["id"]);
    let ended = ended_by_policy(&test, &asked, "changed or removed").await;
    assert_eq!(ended["approval"]["given"], json!([]));
    lead.post(&path(&asked, "/approve"))
        .refused(409, "operation-finished")
        .await;
    let decided = events(&test, "failover.approval.decided").await;
    assert_eq!(decided[0]["data"]["decision"]["outcome"], "planChanged");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_removed_since_the_request_is_not_started() {
    let test = gateway(vec![held_back(1)]).await;
    let asked = request(&test).await;
    let removed = test
        .client
        .request("DELETE", &plan(""))
        .header("prefer", "wait=30");
    removed.send().await.expect(200);
    let approval = approver(&test, "dr-lead").post(&path(&asked, "/approve"));
    approval.refused(409, "plan-changed").await;
    ended_by_policy(&test, &asked, "changed or removed").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_sent_as_it_was_approved() {
    let test = gateway(vec![for_changes()]).await;
    let mut body = changed(&test, "net use /user:x hunter2").await;
    let put = |body: &Value| test.client.request("PUT", &plan("")).json(body);
    let refused = put(&body).refused(422, "invalid-request").await;
    assert_eq!(refused.pointers(), ["/reason"]);
    body["reason"] = json!("the share has moved");
    let asked = put(&body).send().await.expect(202);
    assert_eq!(asked.body["state"], "awaitingApproval", "{}", asked.text);
    assert!(!asked.text.contains("hunter2"), "{}", asked.text);
    assert_eq!(sent(&test, "PUT").await, 0);
    let approval = approver(&test, "dr-lead").post(&path(&asked, "/approve"));
    let approved = approval.header("prefer", "wait=30").send().await.expect(200);
    assert_eq!(approved.body["result"], "success", "{}", approved.text);
    assert_eq!(sent(&test, "PUT").await, 1);
    let read = test.client.get(&plan("")).send().await.expect(200);
    assert_eq!(read.body["preFailoverCommand"], body["preFailoverCommand"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_takes_its_reason_as_its_body() {
    let test = gateway(vec![for_changes()]).await;
    let delete = || test.client.request("DELETE", &plan(""));
    let refused = delete().refused(422, "invalid-request").await;
    assert_eq!(refused.pointers(), ["/reason"]);
    let asked = delete()
        .json(&json!({"reason": "it has no machines"}))
        .send()
        .await
        .expect(202);
    assert_eq!(asked.body["state"], "awaitingApproval", "{}", asked.text);
    let approval = approver(&test, "dr-lead").post(&path(&asked, "/approve"));
    approval.header("prefer", "wait=30").send().await.expect(200);
    test.client.get(&plan("")).refused(404, "not-found").await;
    assert_eq!(sent(&test, "DELETE").await, 1);
    test.stop().await;
}
