//! Writes through the mirror: bodies, statuses, operations, at most one request on the wire.

use std::time::Duration;

use serde_json::{Value, json};

use super::{asked, between, first, table};
use crate::support::TestGateway;
use crate::support::scripted_server::Reply;

async fn job(test: &TestGateway) -> String {
    format!("/api/v1/em/jobs/{}", first(test, "/jobs").await)
}

async fn ended(test: &TestGateway, location: &str) -> Value {
    test.until(location, |operation| operation["state"] == "finished")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_an_edited_job_is_followed_without_the_caller() {
    let test = TestGateway::start().await;
    let job = job(&test).await;
    let mut document = test.client.get(&job).send().await.expect(200).body;
    document["description"] = json!("Said by <me> & nobody else");
    let put = test
        .client
        .request("PUT", &format!("{job}?action=edit"))
        .json(&document)
        .send()
        .await
        .expect(202);
    let task = put.body["taskId"].as_str().expect("a task").to_owned();
    let id = put
        .header("location")
        .rsplit('/')
        .next()
        .expect("an id")
        .to_owned();
    assert_eq!(
        put.body["href"],
        format!("/api/v1/em/tasks/{task}?operation={id}")
    );
    assert_eq!(put.body["operation"], "EditJob");
    assert_eq!(put.body["state"], "Running");

    let operation = ended(&test, put.header("location")).await;
    assert_eq!(operation["kind"], "em");
    assert_eq!(operation["action"], "edit");
    assert_eq!(operation["plan"], Value::Null);
    assert_eq!(
        operation["target"],
        job.strip_prefix("/api/v1/em").expect("a path")
    );
    assert_eq!(operation["result"], "success");
    assert_eq!(operation["resultSource"], "task");
    assert_eq!(operation["task"]["id"], task);
    let states: Vec<&Value> = operation["history"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| &step["state"])
        .collect();
    assert_eq!(states, ["submitting", "running", "finished"]);
    let after = test.client.get(&job).send().await.expect(200).body;
    assert_eq!(after["description"], "Said by <me> & nobody else");

    // Receivers of webhooks wait for failovers: no event reports the end of an edit.
    let events = test.client.get("/api/v1/events").send().await.expect(200);
    assert!(!events.text.contains(&id), "{}", events.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_a_task_is_over_with_its_answer() {
    let test = TestGateway::start().await;
    let server = first(&test, "/backupServers").await;
    let made = test
        .client
        .post(&format!(
            "/api/v1/em/backupServers/{server}/credentials?action=create"
        ))
        .json(&json!({"username": "LAB\\svc", "password": "pass", "description": "x"}))
        .send()
        .await;
    assert_eq!((made.status, made.text.as_str()), (201, ""), "{}", made.text);
    let operation = test
        .client
        .get(&table::place_of_operation(&made))
        .send()
        .await
        .expect(200)
        .body;
    assert_eq!(operation["state"], "finished");
    assert_eq!(operation["result"], "success");
    assert_eq!(operation["resultSource"], Value::Null);
    assert_eq!(operation["task"], Value::Null);
    assert_eq!(operation["action"], "create");
    let gone = test
        .client
        .request("DELETE", &format!("/api/v1/em/backupServers/{server}"))
        .send()
        .await
        .expect(204);
    assert_eq!(gone.text, "");
    let operation = test
        .client
        .get(gone.header("location"))
        .send()
        .await
        .expect(200)
        .body;
    assert_eq!(operation["action"], "delete");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_answers_without_a_task_only_a_204_is_a_success() {
    let (test, em) = between().await;
    let job = job(&test).await;
    let line = format!("POST {}?action=start", job.replace("/api/v1/em", "/api"));
    let start = || test.client.post(&format!("{job}?action=start")).send();
    em.answers(&line, Reply::xml(204, ""));
    let done = start().await.expect(204);
    let operation = test.client.get(done.header("location")).send().await;
    let operation = operation.expect(200).body;
    assert_eq!(operation["result"], "success");
    assert_eq!(operation["task"], Value::Null);
    for status in [200, 202] {
        em.answers(&line, Reply::xml(status, ""));
        let open = start().await.expect(202);
        assert_eq!(open.body["state"], "submitting", "{status}: {}", open.text);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_checked_before_anything_is_recorded_or_sent() {
    let test = TestGateway::start().await;
    let job = job(&test).await;
    let (edit, start) = (format!("{job}?action=edit"), format!("{job}?action=start"));
    let tenants = "/api/v1/em/cloud/tenants".to_owned();
    let send = |method: &str, path: &str, kind: &str, body: &str| {
        let request = test.client.request(method, path).header("content-type", kind);
        request.body(body.to_owned()).send()
    };
    for (method, path, kind, body, status, code) in [
        (
            "PUT",
            &edit,
            "application/json",
            "{\"name\":",
            400,
            "malformed-request",
        ),
        (
            "PUT",
            &edit,
            "application/xml",
            "<Job/>",
            415,
            "unsupported-media-type",
        ),
        ("PUT", &edit, "application/json", "", 422, "invalid-request"),
        ("PUT", &edit, "application/json", "[]", 422, "invalid-request"),
        ("POST", &start, "application/json", "{}", 422, "invalid-request"),
    ] {
        let answer = send(method, path, kind, body).await;
        answer.expect_problem(status, code);
    }
    for (body, pointers) in [
        (json!({}), vec!["/name", "/backupServerUid"]),
        (json!({"colour": 1}), vec!["/colour"]),
        (json!({"name": 7}), vec!["/name"]),
        (json!({"enabled": "yes"}), vec!["/enabled"]),
    ] {
        let answer = test.client.post(&tenants).json(&body).send().await;
        let answer = answer.expect_problem(422, "invalid-request");
        let reported = answer.pointers();
        let known = pointers.iter().any(|pointer| reported.contains(pointer));
        assert!(known, "{body}: {}", answer.text);
    }
    let none = test.client.get("/api/v1/operations").send().await.expect(200);
    assert_eq!(none.body["items"], json!([]));
    assert_eq!(
        asked(&test, "PUT", "/jobs").await + asked(&test, "POST", "/cloud/tenants").await,
        0
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_unknown_outcome_is_sent_once() {
    for kind in [
        "executeThenClose",
        "hang",
        "status",
        "close",
        "garbage",
        "truncate",
    ] {
        let test = TestGateway::builder()
            .config(|config| config.upstream.request_timeout = Duration::from_millis(800))
            .start()
            .await;
        let job = job(&test).await;
        test.fault(json!({"kind": kind, "path": "/api/jobs/", "method": "POST", "status": 500}))
            .await;
        let answer = test
            .client
            .post(&format!("{job}?action=start"))
            .send()
            .await
            .expect(202);
        assert_eq!(answer.body["state"], "submitting", "{kind}: {}", answer.text);
        assert_eq!(answer.body["kind"], "em", "{kind}");
        let location = answer.header("location").to_owned();
        assert_eq!(answer.body["links"]["self"], location, "{kind}");
        assert_eq!(asked(&test, "POST", "/jobs/").await, 1, "{kind}");
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definite_refusal_frees_the_key() {
    let (test, em) = between().await;
    let job = job(&test).await;
    let line = format!("POST {}?action=start", job.replace("/api/v1/em", "/api"));
    let error = "<Error xmlns=\"http://www.veeam.com/ent/v1.0\" Message=\"no right\"/>";
    for (status, ours, code) in [
        (400, 422, "upstream-rejected"),
        (403, 403, "upstream-forbidden"),
        (404, 404, "not-found"),
        (409, 409, "upstream-conflict"),
    ] {
        em.answers(&line, Reply::xml(status, error));
        let refused = test
            .client
            .post(&format!("{job}?action=start"))
            .header("idempotency-key", "one")
            .refused(ours, code)
            .await;
        assert!(refused.text.contains("no right"), "{}", refused.text);
        let id = refused.body["operationId"].as_str().expect("an operation");
        let operation = test
            .client
            .get(&format!("/api/v1/operations/{id}"))
            .send()
            .await
            .expect(200);
        assert_eq!(operation.body["result"], "failed");
    }
    assert_eq!(em.seen(&line).len(), 4);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_identifies_one_write() {
    let test = TestGateway::start().await;
    let job = job(&test).await;
    let post = |action: &str| {
        let request = test.client.post(&format!("{job}?action={action}"));
        request.header("idempotency-key", "k-1").send()
    };
    let made = post("start").await.expect(202);
    let again = post("start").await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("location"), made.header("location"));
    assert_eq!(again.body["kind"], "em");
    post("retry").await.expect_problem(422, "idempotency-key-reused");
    assert_eq!(asked(&test, "POST", "/jobs/").await, 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_waits_gets_the_tasks_end() {
    let test = TestGateway::start().await;
    let job = job(&test).await;
    let done = test
        .client
        .post(&format!("{job}?action=toggleScheduleEnabled"))
        .header("prefer", "wait=20")
        .send()
        .await
        .expect(200);
    assert_eq!(done.body["state"], "finished");
    assert_eq!(done.body["result"], "success");
    assert_eq!(done.header("preference-applied"), "wait=20");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_in_the_path_is_guarded_by_the_entity_tag_of_what_it_is_done_to() {
    let test = TestGateway::start().await;
    let job = format!("/api/v1/em/nas/jobs/{}", first(&test, "/nas/jobs").await);
    let read = test.client.get(&job).send().await.expect(200);
    let start = |tag: &str| {
        let request = test.client.post(&format!("{job}/start"));
        request.header("if-match", tag).send()
    };
    start("\"old\"").await.expect_problem(412, "precondition-failed");
    assert_eq!(asked(&test, "POST", "/nas/jobs/").await, 0);
    start(read.header("etag")).await.expect(202);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_with_an_old_entity_tag_changes_nothing() {
    let test = TestGateway::start().await;
    let job = job(&test).await;
    let read = test.client.get(&job).send().await.expect(200);
    let tag = read.header("etag").to_owned();
    let put = |tag: &str, text: &str| {
        let mut document = read.body.clone();
        document["description"] = json!(text);
        let request = test.client.request("PUT", &format!("{job}?action=edit"));
        request.header("if-match", tag).json(&document).send()
    };
    put("\"other\"", "first")
        .await
        .expect_problem(412, "precondition-failed");
    put(&tag, "second").await.expect(202);
    put(&tag, "third")
        .await
        .expect_problem(412, "precondition-failed");
    let after = test.client.get(&job).send().await.expect(200);
    assert_eq!(after.body["description"], "second");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_can_be_put_back_as_it_was_read() {
    let test = TestGateway::start().await;
    let server = first(&test, "/backupServers").await;
    let passwords = format!("/backupServers/{server}/passwords");
    let password = format!("/api/v1/em{passwords}/{}", first(&test, &passwords).await);
    let read = test.client.get(&password).send().await.expect(200).body;
    assert!(read["links"].is_array() && read["id"].is_string(), "{read}");
    let put = test.client.request("PUT", &password).json(&read).send().await;
    assert!(matches!(put.status, 200 | 202 | 204), "{}", put.text);
    let mut odd = read;
    odd["colour"] = json!("red");
    let refused = test.client.request("PUT", &password).json(&odd).send().await;
    assert_eq!(
        refused.expect_problem(422, "invalid-request").body["errors"][0]["pointer"],
        "/colour"
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_words_has_no_nulls() {
    let test = TestGateway::start().await;
    let path = job(&test).await;
    let mut body = test.client.get(&path).send().await.expect(200).body;
    let days = "/jobScheduleOptions/standart/optionsDaily/days";
    *body.pointer_mut(days).expect("a list") = json!([null]);
    let refused = test
        .client
        .request("PUT", &format!("{path}?action=edit"))
        .json(&body)
        .send()
        .await;
    let refused = refused.expect_problem(422, "invalid-request");
    assert_eq!(refused.body["errors"][0]["pointer"], format!("{days}/0"));
    test.stop().await;
}
