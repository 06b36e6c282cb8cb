//! The wait for approval, from the request to the decision.

use std::time::Duration;

use emgate::domain::policy::Policy;
use serde_json::json;

use super::{approver, ended_by_policy, events, gateway, gateway_at, held_back, path, request, sent};
use crate::support::plan;
use crate::support::receiver::WebhookReceiver;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_sent_once_when_all_have_approved_it() {
    let test = gateway(vec![held_back(2)]).await;
    let body = json!({"reason": "the site has no power"});
    let asked = test
        .client
        .post(&plan("/start"))
        .json(&body)
        .send()
        .await
        .expect(202);
    assert_eq!(asked.body["state"], "awaitingApproval");
    assert_eq!(asked.body["reason"], body["reason"]);
    let approval = &asked.body["approval"];
    assert_eq!(
        (&approval["required"], &approval["given"]),
        (&json!(2), &json!([]))
    );
    assert!(approval["expiresAt"].is_string(), "{approval}");
    assert_eq!(asked.header("location"), path(&asked, ""));
    let list = test
        .client
        .get("/api/v1/operations?state=awaitingApproval")
        .send()
        .await
        .expect(200);
    assert_eq!(list.body["items"], json!([asked.body]));

    let approve = path(&asked, "/approve");
    test.client.post(&approve).refused(403, "self-approval").await;
    let (lead, other) = (approver(&test, "dr-lead"), approver(&test, "board"));
    let comment = json!({"comment": "agreed"});
    let first = lead.post(&approve).json(&comment).send().await.expect(202);
    assert_eq!(first.body["state"], "awaitingApproval");
    let given = &first.body["approval"]["given"];
    assert_eq!(
        (&given[0]["by"], &given[0]["comment"]),
        (&json!("dr-lead"), &json!("agreed"))
    );
    lead.post(&approve).refused(403, "self-approval").await;
    lead.post(&path(&asked, "/reject"))
        .refused(403, "self-approval")
        .await;
    assert_eq!(sent(&test, "POST").await, 0);

    let last = other.post(&approve).send().await.expect(202);
    assert_eq!(last.body["state"], "running", "{}", last.text);
    assert_eq!(last.body["approval"]["given"].as_array().map(Vec::len), Some(2));
    let ended = test
        .until(&path(&asked, ""), |operation| operation["state"] == "finished")
        .await;
    assert_eq!(ended["result"], "success", "{ended}");
    let steps = ended["history"].as_array().expect("steps").iter();
    let steps: Vec<&str> = steps.filter_map(|step| step["state"].as_str()).collect();
    assert_eq!(steps, ["awaitingApproval", "submitting", "running", "finished"]);
    for rest in ["/approve", "/reject"] {
        let late = approver(&test, "late").post(&path(&asked, rest));
        late.refused(409, "operation-finished").await;
    }
    assert_eq!(sent(&test, "POST").await, 1);
    assert_eq!(events(&test, "failover.approval.requested").await.len(), 1);
    let decided = events(&test, "failover.approval.decided").await;
    assert_eq!(decided.len(), 1, "{decided:?}");
    assert_eq!(decided[0]["data"]["decision"]["outcome"], "approved");
    assert_eq!(decided[0]["data"]["decision"]["by"], "board");
    assert_eq!(decided[0]["data"]["operation"]["id"], asked.body["id"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_about_what_runs_says_that_it_runs_and_not_that_it_has_finished() {
    let test = gateway_at(0.1, Vec::new()).await;
    let asked = test.client.post(&plan("/test")).send().await.expect(202);
    assert_eq!(asked.body["state"], "running", "{}", asked.text);
    for rest in ["/approve", "/reject"] {
        let refused = approver(&test, "dr-lead")
            .post(&path(&asked, rest))
            .refused(409, "operation-finished")
            .await;
        assert_eq!(refused.body["title"], "Operation is past that point");
        let detail = refused.body["detail"].as_str().expect("a detail");
        assert!(
            detail.ends_with("does not wait for approval: it is `running`"),
            "{detail}"
        );
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_needs_its_scope_and_a_subject() {
    let test = gateway(vec![held_back(1)]).await;
    let asked = request(&test).await;
    for rest in ["/approve", "/reject"] {
        let outsider =
            test.client_as(&json!({"sub": "x", "scope": "plans:start operations:cancel tenants:all"}));
        outsider
            .post(&path(&asked, rest))
            .refused(403, "insufficient-scope")
            .await;
        let nameless = test.client_as(&json!({"scope": "plans:approve tenants:all"}));
        nameless
            .post(&path(&asked, rest))
            .refused(403, "self-approval")
            .await;
        let lead = approver(&test, "dr-lead");
        let long = json!({"comment": "x".repeat(501)});
        let refused = lead
            .post(&path(&asked, rest))
            .json(&long)
            .refused(422, "invalid-request")
            .await;
        assert_eq!(refused.pointers(), ["/comment"]);
        let missing = "/api/v1/operations/0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01";
        lead.post(&format!("{missing}{rest}"))
            .refused(404, "not-found")
            .await;
    }
    let read = test.client.get(&path(&asked, "")).send().await.expect(200);
    assert_eq!(read.body, asked.body);
    assert_eq!(sent(&test, "POST").await, 0);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_request_ends_waits_and_its_callback_and_frees_its_key() {
    let test = gateway(vec![held_back(2)]).await;
    let mut receiver = WebhookReceiver::start().await;
    let body = json!({"callback": {"url": receiver.url()}});
    let start = || {
        test.client
            .post(&plan("/start"))
            .header("idempotency-key", "k")
            .json(&body)
    };
    let asked = start().send().await.expect(202);
    let again = start().send().await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(
        (&again.body["id"], &again.body["state"]),
        (&asked.body["id"], &json!("awaitingApproval"))
    );

    let waiting = test.client.get(&path(&asked, "")).header("prefer", "wait=40");
    let waiting = tokio::spawn(waiting.send());
    let comment = json!({"comment": "not today"});
    let reject = approver(&test, "dr-lead")
        .post(&path(&asked, "/reject"))
        .json(&comment);
    let rejected = reject.send().await.expect(200);
    assert_eq!(rejected.body["state"], "finished");
    let waited = waiting.await.expect("an answer").expect(200);
    assert_eq!(waited.body["state"], "finished", "{}", waited.text);
    ended_by_policy(&test, &asked, "rejected").await;
    let received = receiver.next().await;
    assert_eq!(received.kind(), "failover.operation.finished");
    let decided = events(&test, "failover.approval.decided").await;
    let decision = &decided[0]["data"]["decision"];
    assert_eq!(
        (&decision["outcome"], &decision["comment"]),
        (&json!("rejected"), &json!("not today"))
    );
    let anew = start().send().await.expect(202);
    assert_ne!(anew.body["id"], asked.body["id"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_can_be_cancelled_by_its_requester() {
    let test = gateway(vec![held_back(1)]).await;
    let asked = request(&test).await;
    assert_eq!(asked.body["links"]["cancel"], path(&asked, "/cancel"));
    let cancelled = test
        .client
        .post(&path(&asked, "/cancel"))
        .send()
        .await
        .expect(202);
    assert!(
        cancelled.body["cancelRequestedAt"].is_string(),
        "{}",
        cancelled.text
    );
    ended_by_policy(&test, &asked, "cancelled").await;
    let again = test.client.post(&path(&asked, "/cancel"));
    again.refused(409, "operation-finished").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_approves_expires() {
    let test = gateway(vec![Policy {
        approval_expires: Duration::from_secs(1),
        ..held_back(1)
    }])
    .await;
    let asked = request(&test).await;
    ended_by_policy(&test, &asked, "not approved in time").await;
    let late = approver(&test, "dr-lead").post(&path(&asked, "/approve"));
    late.refused(409, "operation-finished").await;
    let decided = events(&test, "failover.approval.decided").await;
    assert_eq!(decided[0]["data"]["decision"]["outcome"], "expired");
    assert_eq!(events(&test, "failover.operation.finished").await.len(), 1);
    assert_eq!(sent(&test, "POST").await, 0);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_plan_keeps_the_request_waiting() {
    let test = gateway_at(4.0, vec![held_back(1)]).await;
    let asked = request(&test).await;
    // What waits keeps no plan busy: another action of it runs in the meantime.
    let running = test.client.post(&plan("/test")).send().await.expect(202);
    let lead = approver(&test, "dr-lead");
    let refused = lead
        .post(&path(&asked, "/approve"))
        .refused(409, "plan-busy")
        .await;
    assert_eq!(refused.body["operationId"], running.body["id"]);
    let read = test.client.get(&path(&asked, "")).send().await.expect(200);
    assert_eq!(read.body, asked.body, "nothing was recorded");
    test.until(&path(&running, ""), |operation| operation["state"] == "finished")
        .await;
    let approved = lead.post(&path(&asked, "/approve")).send().await.expect(202);
    assert_eq!(approved.body["state"], "running", "{}", approved.text);
    assert_eq!(sent(&test, "POST").await, 2);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_approvals_at_once_one_is_the_last() {
    let test = gateway(vec![held_back(1)]).await;
    let asked = request(&test).await;
    let approvals = (0..8).map(|number| {
        let approval = approver(&test, &format!("lead-{number}")).post(&path(&asked, "/approve"));
        tokio::spawn(approval.send())
    });
    let mut statuses = Vec::new();
    for approval in approvals.collect::<Vec<_>>() {
        statuses.push(approval.await.expect("an answer").status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(sent(&test, "POST").await, 1);
    test.stop().await;
}
