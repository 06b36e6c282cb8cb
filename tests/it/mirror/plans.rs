//! Failover plans through the mirror: the verbs and scopes of the curated routes.

use std::time::Duration;

use serde_json::{Value, json};

use super::{asked, between, first, plan_path};
use crate::support::scripted_server::{Reply, ScriptedServer};
use crate::support::{PLAN, TestGateway};

const REFUSED: &str = "<Error xmlns=\"http://www.veeam.com/ent/v1.0\" Message=\"no\"/>";

#[tokio::test(flavor = "multi_thread")]
async fn a_mirrored_action_runs_the_verb_of_the_curated_route() {
    let test = TestGateway::start().await;
    let made = test
        .client
        .post(&format!("{}?action=test", plan_path()))
        .send()
        .await
        .expect(202);
    assert_eq!(made.body["operation"], "StartCloudFailoverPlan");
    let id = made
        .header("location")
        .rsplit('/')
        .next()
        .expect("an id")
        .to_owned();
    assert!(made.body["href"].as_str().is_some_and(|href| href.ends_with(&id)));
    // Both the curated and the mirrored route refuse further actions while the plan runs.
    for path in [
        format!("{}?action=undo", plan_path()),
        format!("/api/v1/cloud-failover-plans/{PLAN}/undo"),
    ] {
        let busy = test.client.post(&path).refused(409, "plan-busy").await;
        assert_eq!(busy.body["operationId"], id.as_str());
    }
    let operation = test
        .until(made.header("location"), |operation| {
            operation["state"] == "finished"
        })
        .await;
    assert_eq!(operation["kind"], "failover");
    assert_eq!(operation["action"], "test");
    assert_eq!(operation["plan"]["id"], PLAN);
    assert_eq!(operation["resultSource"], "session");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirrored_start_accepts_ems_names_for_its_restore_point() {
    let test = TestGateway::start().await;
    let start = format!("{}?action=start", plan_path());
    for (body, pointer) in [
        (json!({"startDate": "2199-01-01T00:00:00Z"}), "/startDate"),
        (json!({"startNow": false}), "/startNow"),
        (json!({}), "/startNow"),
        (
            json!({"startNow": true, "startDate": "2026-01-01T00:00:00Z"}),
            "/startDate",
        ),
        (json!({"startDate": "soon"}), "/startDate"),
    ] {
        let answer = test.client.post(&start).json(&body).send().await;
        let answer = answer.expect_problem(422, "invalid-request");
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    assert_eq!(asked(&test, "POST", "/cloud/cloudFailoverPlans/").await, 0);
    let body = json!({"startDate": "2026-01-31T12:00:00Z"});
    let made = test.client.post(&start).json(&body).send().await.expect(202);
    let operation = test.client.get(made.header("location")).send().await.expect(200);
    assert_eq!(operation.body["action"], "start");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_date_is_read_as_every_date_time_of_the_mirror() {
    let (test, em) = between().await;
    let line = format!("POST /api/cloud/cloudFailoverPlans/{PLAN}?action=start");
    // Refused, so that the plan is free for the next.
    em.answers(&line, Reply::xml(403, REFUSED));
    let start = format!("{}?action=start", plan_path());
    let date = |text: &str| format!("<StartDate>{text}</StartDate>");
    for (body, sent) in [
        (
            json!({"startDate": "2026-01-31T12:00:00"}),
            date("2026-01-31T12:00:00Z"),
        ),
        (
            json!({"startDate": "2026-01-31T12:00:00.2500000+02:00"}),
            date("2026-01-31T10:00:00.250Z"),
        ),
        // Null beside the other word of the choice is nothing.
        (
            json!({"startNow": true, "startDate": null}),
            "<StartNow>true</StartNow>".to_owned(),
        ),
    ] {
        let answer = test.client.post(&start).json(&body).send().await;
        answer.expect_problem(403, "upstream-forbidden");
        let seen = em.seen(&line);
        let last = seen.last().expect("a request");
        let text = String::from_utf8_lossy(&last.body).into_owned();
        assert!(text.contains(&sent), "{body}: {text}");
    }
    for (body, pointer) in [
        (json!({"startDate": "1753-01-01T00:00:00Z"}), "/startNow"),
        (json!({"startDate": null}), "/startNow"),
        (json!({"startNow": null, "startDate": null}), "/startNow"),
        (json!({"startDate": "2199-01-01T00:00:00"}), "/startDate"),
        (json!({"startDate": "9999-12-31T23:59:59"}), "/startDate"),
        (json!({"startDate": "2026-01-31 12:00:00"}), "/startDate"),
        (json!({"startDate": 7}), "/startDate"),
    ] {
        let answer = test.client.post(&start).json(&body).send().await;
        let answer = answer.expect_problem(422, "invalid-request");
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    assert_eq!(em.seen(&line).len(), 3);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_plan_is_compared_with_what_em_has_now_not_with_a_read_of_before() {
    let em = ScriptedServer::start().await;
    let before = em.clone();
    let test = TestGateway::builder()
        .config(move |config| {
            before.put_before(&mut config.upstream);
            config.upstream.cache_ttl = Duration::from_mins(10);
        })
        .start()
        .await;
    let curated = format!("/api/v1/cloud-failover-plans/{PLAN}");
    let mirrored = test.client.get(&plan_path()).send().await.expect(200).body;
    let plan = test.client.get(&curated).send().await.expect(200).body;
    let renamed = format!(
        "<CloudFailoverPlan xmlns=\"http://www.veeam.com/ent/v1.0\" Name=\"Renamed\" \
         UID=\"urn:veeam:CloudFailoverPlan:{PLAN}\"/>"
    );
    let line = format!("GET /api/cloud/cloudFailoverPlans/{PLAN}?format=Entity");
    em.answers(&line, Reply::xml(200, &renamed));
    for (path, body) in [(plan_path(), json!({"name": mirrored["name"]})), (curated, plan)] {
        let put = test.client.request("PUT", &path).json(&body);
        let refused = put.refused(422, "invalid-request").await;
        assert!(refused.pointers().contains(&"/name"), "{path}: {}", refused.text);
    }
    assert_eq!(
        em.seen(&format!("PUT /api/cloud/cloudFailoverPlans/{PLAN}"))
            .len(),
        0
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_its_task_ends_a_change_but_leaves_an_action_open() {
    let (test, em) = between().await;
    let curated = format!("/api/v1/cloud-failover-plans/{PLAN}");
    let line = format!("/api/cloud/cloudFailoverPlans/{PLAN}");
    em.answers(&format!("PUT {line}"), Reply::xml(204, ""));
    let plan = test.client.get(&curated).send().await.expect(200).body;
    for (path, body) in [(plan_path(), json!({})), (curated.clone(), plan)] {
        let put = test.client.request("PUT", &path).json(&body).send().await;
        assert!(put.status < 300, "{path}: {}", put.text);
        let operation = test
            .client
            .get(put.header("location"))
            .send()
            .await
            .expect(200)
            .body;
        assert_eq!(
            (&operation["state"], &operation["result"]),
            (&json!("finished"), &json!("success")),
            "{path}: {operation}"
        );
    }
    let other = test
        .client
        .get("/api/v1/cloud-failover-plans")
        .send()
        .await
        .expect(200)
        .body["items"]
        .as_array()
        .expect("plans")
        .iter()
        .filter_map(|plan| plan["id"].as_str())
        .find(|id| *id != PLAN)
        .expect("a second plan")
        .to_owned();
    em.answers("POST /api/cloud/cloudFailoverPlans/*", Reply::xml(204, ""));
    for path in [
        format!("{}?action=test", plan_path()),
        format!("/api/v1/cloud-failover-plans/{other}/test"),
    ] {
        let open = test.client.post(&path).send().await.expect(202);
        assert_eq!(open.body["state"], "submitting", "{path}: {}", open.text);
    }
    assert_eq!(em.seen("POST /api/cloud/cloudFailoverPlans/").len(), 2);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_changed_and_deleted_by_the_same_verbs() {
    let test = TestGateway::start().await;
    let mut plan = test.client.get(&plan_path()).send().await.expect(200).body;
    // Put back as it was read, it is accepted.
    let put = |body: Value| test.client.request("PUT", &plan_path()).json(&body).send();
    let same = put(plan.clone()).await.expect(202);
    test.until(same.header("location"), |operation| {
        operation["state"] == "finished"
    })
    .await;
    plan["cloudFailoverPlanOptions"] =
        json!({"preFailoverPlanCommandEnabled": true, "preFailoverPlanCommand": "x.bat"});
    let put_again = put(plan.clone()).await.expect(202);
    let operation = test
        .client
        .get(put_again.header("location"))
        .send()
        .await
        .expect(200);
    assert_eq!(operation.body["kind"], "update");
    let seen = test.client.get(&plan_path()).send().await.expect(200);
    assert_eq!(
        seen.body["cloudFailoverPlanOptions"]["preFailoverPlanCommand"],
        "x.bat"
    );
    plan["name"] = json!("Another");
    let refused = put(plan).await.expect_problem(422, "invalid-request");
    assert_eq!(refused.pointers(), ["/name"]);

    let gone = test
        .client
        .request("DELETE", &plan_path())
        .send()
        .await
        .expect(202);
    let operation = test.client.get(gone.header("location")).send().await.expect(200);
    assert_eq!(operation.body["kind"], "delete");

    let own = first(&test, "/failoverPlans").await;
    let path = format!("/api/v1/em/failoverPlans/{own}");
    let request = test
        .client
        .request("PUT", &path)
        .json(&json!({"description": "new"}));
    request.send().await.expect(202);
    let seen = test.client.get(&path).send().await.expect(200);
    assert_eq!(seen.body["description"], "new");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_to_a_plan_needs_the_scope_of_its_curated_route_too() {
    let test = TestGateway::start().await;
    for (method, query, scope) in [
        ("POST", "?action=test", "plans:test"),
        ("POST", "?action=start", "plans:start"),
        ("POST", "?action=undo", "plans:undo"),
        ("PUT", "", "plans:write"),
        ("DELETE", "", "plans:write"),
    ] {
        let path = format!("{}{query}", plan_path());
        for (scopes, missing) in [(["em:write"], scope), ([scope], "em:write")] {
            let client = test.client_with(&scopes);
            let answer = client.request(method, &path).send().await;
            let answer = answer.expect_problem(403, "insufficient-scope");
            let challenge = answer.header("www-authenticate");
            assert!(challenge.contains(&format!("scope=\"{missing}\"")), "{challenge}");
        }
    }
    assert_eq!(asked(&test, "POST", "/cloud/cloudFailoverPlans/").await, 0);
    test.stop().await;
}
