//! Reads through the mirror: documents, filters, entity tags, refusals.

use serde_json::Value;

use super::{between, plan_path};
use crate::support::scripted_server::Reply;
use crate::support::{PLAN, TestGateway};

async fn requests(test: &TestGateway, which: &str) -> u64 {
    let stats = test.sim_control(reqwest::Method::GET, "stats", Value::Null).await;
    stats["requests"][which].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_read_as_entity_and_a_collection_as_references() {
    let test = TestGateway::start().await;
    let plan = test.client.get(&plan_path()).send().await.expect(200);
    assert_eq!(plan.header("content-type"), "application/json");
    assert_eq!(plan.body["id"], PLAN);
    assert_eq!(plan.body["name"], "ABC Company Failover Plan");
    assert!(plan.body["cloudFailoverPlanInfo"]["includes"].is_array());
    assert!(
        plan.body["links"]
            .as_array()
            .is_some_and(|links| !links.is_empty())
    );

    let reference = test
        .client
        .get(&format!("{}?format=Reference", plan_path()))
        .send()
        .await
        .expect(200);
    assert_eq!(reference.body["type"], "CloudFailoverPlanReference");
    assert!(reference.body.get("cloudFailoverPlanInfo").is_none());

    let list = "/api/v1/em/cloud/cloudFailoverPlans";
    let references = test.client.get(list).send().await.expect(200);
    let first = &references.body["items"][0];
    assert_eq!(first["type"], "CloudFailoverPlanReference");
    assert!(references.body["page"]["size"].is_u64());
    let entities = test
        .client
        .get(&format!("{list}?format=Entity"))
        .send()
        .await
        .expect(200);
    assert!(entities.body["items"][0]["cloudFailoverPlanInfo"].is_object());

    // Every link of the mirror can be followed unchanged.
    let href = first["href"].as_str().expect("a link");
    assert!(href.starts_with("/api/v1/em/"), "{href}");
    test.client.get(href).send().await.expect(200);
    let root = test.client.get("/api/v1/em").send().await.expect(200);
    assert!(root.body["supportedVersions"].is_array());
    test.client.get("/api/v1/em/").send().await.expect(200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_is_filtered_sorted_and_paged_by_ems_query_service() {
    let test = TestGateway::builder().sim(|sim| sim.plans = 5).start().await;
    let list = "/api/v1/em/cloud/cloudFailoverPlans";
    let page = test
        .client
        .get(&format!("{list}?pageSize=2&sortAsc=name"))
        .send()
        .await
        .expect(200);
    assert_eq!(page.body["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(page.body["page"]["size"], 2);
    let mut names: Vec<String> = Vec::new();
    let mut next = Some(format!("{list}?pageSize=2&sortAsc=name"));
    while let Some(path) = next {
        let page = test.client.get(&path).send().await.expect(200).body;
        for item in page["items"].as_array().expect("items") {
            names.push(item["name"].as_str().expect("a name").to_owned());
        }
        next = page["page"]["next"].as_str().map(ToOwned::to_owned);
        assert!(names.len() < 50, "the pages never end");
    }
    assert!(names.len() >= 5 && names.is_sorted(), "{names:?}");

    let found = test
        .client
        .get(&format!(
            "{list}?format=Entity&filter=name==%22ABC%20Company%20Failover%20Plan%22"
        ))
        .send()
        .await
        .expect(200);
    assert_eq!(found.body["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(found.body["items"][0]["id"], PLAN);
    let same = test
        .client
        .get("/api/v1/em/query?type=CloudFailoverPlan&format=Entities&filter=name==%22ABC%20Company%20Failover%20Plan%22")
        .send()
        .await
        .expect(200);
    assert_eq!(same.body["items"], found.body["items"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_reported_before_anything_is_sent() {
    let test = TestGateway::start().await;
    let before = requests(&test, "GET /api/query").await;
    for (path, pointer, says) in [
        ("/cloud/cloudFailoverPlans?color=red", "color", "known here"),
        (
            "/cloud/cloudFailoverPlans?filter=Colour==red",
            "filter",
            "at position 1",
        ),
        (
            "/cloud/cloudFailoverPlans?filter=Name==%22open",
            "filter",
            "does not end",
        ),
        ("/cloud/cloudFailoverPlans?sortAsc=Colour", "sortAsc", "one of"),
        ("/cloud/cloudFailoverPlans?page=0", "page", "from 1"),
        ("/cloud/cloudFailoverPlans?pageSize=1000", "pageSize", "100"),
        ("/query?type=Nothing", "type", "one of"),
        ("/query", "type", "is required"),
    ] {
        let answer = test
            .client
            .get(&format!("/api/v1/em{path}"))
            .refused(422, "invalid-request")
            .await;
        assert_eq!(answer.pointers(), [pointer], "{path}: {}", answer.text);
        assert!(answer.text.contains(says), "{path}: {}", answer.text);
    }
    // The watcher asks its own query all the time; none of the above is one of cloud plans.
    let stats = test.sim_control(reqwest::Method::GET, "stats", Value::Null).await;
    assert!(
        stats["requests"]
            .get("GET /api/cloud/cloudFailoverPlans")
            .is_none(),
        "{stats}"
    );
    assert!(requests(&test, "GET /api/query").await >= before);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_em_lacks_or_the_mirror_keeps_to_itself_is_not_found() {
    let test = TestGateway::start().await;
    for path in [
        "/nothing",
        "/jobs/1/nothing",
        "/sessionMngr",
        "/sessionMngr/?v=latest",
        "/logonSessions",
        "/LOGONSESSIONS/4ceb4e03-d23d-4c4e-be05-21580b260243",
        "/cloud/cloudFailoverPlans/%2e%2e/x",
        "/cloud/cloudFailoverPlans/00000000-0000-4000-8000-000000000000",
    ] {
        let answer = test.client.get(&format!("/api/v1/em{path}")).send().await;
        answer.expect_problem(404, "not-found");
    }
    for (method, path, allow) in [
        ("DELETE", "/cloud/cloudFailoverPlans", "GET, HEAD"),
        ("DELETE", "/failoverPlans/1", "GET, HEAD, POST, PUT"),
        ("PATCH", "/jobs/1", "GET, HEAD, POST, PUT, DELETE"),
        ("GET", "/nas/jobs/1/start", "POST"),
    ] {
        let answer = test
            .client
            .request(method, &format!("/api/v1/em{path}"))
            .refused(405, "method-not-allowed")
            .await;
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    let options = test.client.request("OPTIONS", "/api/v1/em/jobs").send().await;
    assert_eq!(options.expect(204).header("allow"), "GET, HEAD");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_and_writing_need_their_scope() {
    let test = TestGateway::start().await;
    let reader = test.client_with(&["em:read"]);
    reader.get(&plan_path()).send().await.expect(200);
    for (client, method, scope) in [
        (test.client_with(&["em:write"]), "GET", "em:read"),
        (reader.clone(), "DELETE", "em:write"),
        (reader.clone(), "PUT", "em:write"),
        (reader, "POST", "em:write"),
    ] {
        let answer = client
            .request(method, &plan_path())
            .refused(403, "insufficient-scope")
            .await;
        assert!(
            answer
                .header("www-authenticate")
                .contains(&format!("scope=\"{scope}\"")),
            "{method}"
        );
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_with_a_known_entity_tag_is_not_sent_again() {
    let test = TestGateway::start().await;
    let first = test.client.get(&plan_path()).send().await.expect(200);
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"'), "{tag}");
    assert_eq!(first.header("cache-control"), "private, no-cache");
    let again = test
        .client
        .get(&plan_path())
        .header("if-none-match", &tag)
        .send()
        .await
        .expect(304);
    assert_eq!((again.text.as_str(), again.header("etag")), ("", tag.as_str()));
    let reference = test
        .client
        .get(&format!("{}?format=Reference", plan_path()))
        .header("if-none-match", &tag)
        .send()
        .await
        .expect(200);
    assert_ne!(reference.header("etag"), tag);
    let head = test.client.request("HEAD", &plan_path()).send().await.expect(200);
    assert_eq!((head.text.as_str(), head.header("etag")), ("", tag.as_str()));
    assert!(head.header("content-length").parse::<usize>().expect("a length") > 500);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_answers_that_can_be_trusted_are_passed_on() {
    let (test, em) = between().await;
    em.answers(
        "GET /api/reports/summary/overview",
        Reply::xml(
            200,
            "\u{feff}<?xml version=\"1.0\"?><p:OverviewReportFrame xmlns:p=\"http://www.veeam.com/ent/v1.0\">\
             <p:BackupServers>3</p:BackupServers><p:Brand&#78;ew/></p:OverviewReportFrame>",
        ),
    );
    test.client
        .get("/api/v1/em/reports/summary/overview")
        .refused(502, "upstream-invalid-response")
        .await;
    em.answers(
        "GET /api/reports/summary/overview",
        Reply::xml(
            200,
            "\u{feff}<?xml version=\"1.0\"?><p:OverviewReportFrame xmlns:p=\"http://www.veeam.com/ent/v1.0\">\
             <p:BackupServers>3</p:BackupServers><p:Novelty>x</p:Novelty></p:OverviewReportFrame>",
        ),
    );
    let overview = test
        .client
        .get("/api/v1/em/reports/summary/overview")
        .send()
        .await
        .expect(200);
    assert_eq!(overview.body["backupServers"], 3);
    assert_eq!(overview.body["novelty"], "x");
    let error = "<Error xmlns=\"http://www.veeam.com/ent/v1.0\" Status=\"X\" StatusCode=\"1\" Message=\"no right\">\
                 <StackTrace>at Secret.Place</StackTrace></Error>";
    for (status, ours, code) in [
        (400, 422, "upstream-rejected"),
        (403, 403, "upstream-forbidden"),
        (404, 404, "not-found"),
        (405, 502, "upstream-error"),
        (409, 409, "upstream-conflict"),
        (429, 503, "upstream-unavailable"),
        (500, 502, "upstream-error"),
        (503, 503, "upstream-unavailable"),
        (200, 502, "upstream-invalid-response"),
    ] {
        em.answers("GET /api/reports/summary", Reply::xml(status, error));
        let answer = test
            .client
            .get("/api/v1/em/reports/summary")
            .refused(ours, code)
            .await;
        assert_eq!(answer.text.contains("no right"), status != 200, "{status}");
        assert!(!answer.text.contains("Secret"), "{status}");
    }
    for body in ["<html><body>Sign in</body></html>", "<SummaryReport", ""] {
        em.answers("GET /api/reports/summary", Reply::xml(200, body));
        test.client
            .get("/api/v1/em/reports/summary")
            .refused(502, "upstream-invalid-response")
            .await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_within_what_does_not_exist_is_the_404_of_the_collection_itself() {
    let test = TestGateway::start().await;
    let missing = "/api/v1/em/jobs/00000000-0000-0000-0000-000000000001/includes";
    for path in [
        missing.to_owned(),
        format!("{missing}?pageSize=1"),
        "/api/v1/em/jobs/zzz/includes?pageSize=1".to_owned(),
    ] {
        test.client.get(&path).refused(404, "not-found").await;
    }
    // Nothing found in what does exist is an empty list.
    let job = super::first(&test, "/jobs").await;
    let none = format!("/api/v1/em/jobs/{job}/includes?filter=Name==nothing");
    let none = test.client.get(&none).send().await.expect(200);
    assert_eq!(none.body["items"], serde_json::json!([]));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_of_the_root_can_be_followed() {
    let test = TestGateway::start().await;
    let root = test.client.get("/api/v1/em").send().await.expect(200);
    assert!(root.text.contains("\"supportedVersions\""), "{}", root.text);
    for href in root.text.split("\"href\":\"").skip(1) {
        let href = href.split('"').next().expect("a link");
        let answer = test.client.get(href).send().await;
        assert_eq!(answer.status, 200, "{href}: {}", answer.body);
    }
    test.stop().await;
}
