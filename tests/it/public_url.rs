//! `server.public_url`: every address that leaves the gateway is absolute below it, and can be followed.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::receiver::WebhookReceiver;
use crate::support::{PLAN, TestGateway, client};

/// Where the gateways of these tests are said to be.
const PUBLIC: &str = "https://dr.example/emgate";

async fn gateway(public_url: &'static str) -> TestGateway {
    TestGateway::builder()
        .config(move |config| {
            config.server.public_url = Some(public_url.parse().expect("a URL"));
            config.webhooks.allow_http = true;
            config.webhooks.allow_private_networks = true;
        })
        .sim(|sim| sim.history = 2)
        .start()
        .await
}

async fn public_gateway() -> TestGateway {
    gateway(PUBLIC).await
}

/// What a proxy in front makes of an address: the path that the gateway sees.
#[track_caller]
fn followed(address: &str) -> &str {
    let path = address.strip_prefix(PUBLIC);
    path.unwrap_or_else(|| panic!("`{address}` is not below {PUBLIC}"))
}

/// Every text in a document that has the form of a path of the gateway.
fn relative(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => ["/api/", "/problems/", "/docs"]
            .iter()
            .filter(|start| text.starts_with(**start))
            .map(|_| text.clone())
            .collect(),
        Value::Array(items) => items.iter().flat_map(relative).collect(),
        Value::Object(members) => members.values().flat_map(relative).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

#[rstest]
#[case("https://dr.example/emgate")]
#[case("https://dr.example/emgate/")]
#[tokio::test(flavor = "multi_thread")]
async fn links_and_locations_are_below_the_public_url(#[case] url: &'static str) {
    let test = gateway(url).await;
    let plan = format!("/api/v1/cloud-failover-plans/{PLAN}");
    let read = test.client.get(&plan).send().await.expect(200);
    assert_eq!(read.body["links"]["self"], format!("{PUBLIC}{plan}"));

    let made = test
        .client
        .post(&format!("{plan}/test"))
        .header("prefer", "wait=30")
        .send()
        .await
        .expect(200);
    assert_eq!(made.header("location"), made.body["links"]["self"]);
    let operation = test
        .client
        .get(followed(made.header("location")))
        .send()
        .await
        .expect(200);
    for name in ["self", "plan", "session"] {
        let link = operation.body["links"][name].as_str().expect("a link");
        test.client.get(followed(link)).send().await.expect(200);
    }
    let session = test
        .client
        .get(followed(
            operation.body["links"]["session"].as_str().expect("a link"),
        ))
        .send()
        .await
        .expect(200);
    for body in [&read.body, &operation.body, &session.body] {
        assert_eq!(relative(body), Vec::<String>::new(), "{body:#}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_followed_by_absolute_addresses() {
    let test = public_gateway().await;
    for path in [
        "/api/v1/cloud-failover-plans?pageSize=1",
        "/api/v1/failover-sessions?pageSize=1",
    ] {
        let first = test.client.get(path).send().await.expect(200);
        let next = first.body["page"]["next"]
            .as_str()
            .unwrap_or_else(|| panic!("{path} has another page"));
        let second = test.client.get(followed(next)).send().await.expect(200);
        let previous = second.body["page"]["previous"].as_str().expect("the first page");
        let back = test.client.get(followed(previous)).send().await.expect(200);
        assert_eq!(back.body["items"], first.body["items"], "{path}");
    }
    for _ in 0..2 {
        let endpoint = json!({"url": "http://127.0.0.1:9/hook", "eventTypes": ["webhook.test"]});
        let made = test
            .client
            .post("/api/v1/webhook-endpoints")
            .json(&endpoint)
            .send()
            .await
            .expect(201);
        test.client
            .get(followed(made.header("location")))
            .send()
            .await
            .expect(200);
    }
    let first = test
        .client
        .get("/api/v1/webhook-endpoints?pageSize=1")
        .send()
        .await
        .expect(200);
    let next = first.body["page"]["next"].as_str().expect("another page");
    test.client.get(followed(next)).send().await.expect(200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_of_webhooks_and_events_are_absolute() {
    let test = public_gateway().await;
    let mut receiver = WebhookReceiver::start().await;
    let body = json!({"callback": {"url": receiver.url()}});
    test.client
        .post(&format!("/api/v1/cloud-failover-plans/{PLAN}/test"))
        .json(&body)
        .send()
        .await
        .expect(202);
    let reported = receiver.next_of("failover.session.finished").await;
    let data = &reported.json["data"];
    let session = data["session"]["links"]["self"].as_str().expect("a link");
    let operation = data["operation"]["links"]["self"].as_str().expect("a link");
    for link in [session, operation] {
        test.client.get(followed(link)).send().await.expect(200);
    }
    assert_eq!(
        relative(&reported.json),
        Vec::<String>::new(),
        "{:#}",
        reported.json
    );
    let events = test.client.get("/api/v1/events").send().await.expect(200);
    assert_eq!(relative(&events.body), Vec::<String>::new(), "{:#}", events.body);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_addresses_in_mirrored_documents_can_be_followed() {
    let test = public_gateway().await;
    for path in [
        "/api/v1/em/",
        "/api/v1/em/jobs",
        "/api/v1/em/query?type=Job&pageSize=1",
    ] {
        let document = test.client.get(path).send().await.expect(200);
        assert_eq!(relative(&document.body), Vec::<String>::new(), "{path}");
    }
    let root = test.client.get("/api/v1/em/").send().await.expect(200);
    assert!(!root.text.contains("logonSessions"), "{}", root.text);
    let jobs = test.client.get("/api/v1/em/jobs").send().await.expect(200);
    let job = jobs.body["items"][0]["href"].as_str().expect("an address");
    test.client.get(followed(job)).send().await.expect(200);
    let page = test
        .client
        .get("/api/v1/em/query?type=Job&pageSize=1")
        .send()
        .await
        .expect(200);
    let next = page.body["page"]["next"].as_str().expect("another page");
    test.client.get(followed(next)).send().await.expect(200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_with_absolute_addresses_can_be_put_back() {
    let test = public_gateway().await;
    let jobs = test.client.get("/api/v1/em/jobs").send().await.expect(200);
    let id = jobs.body["items"][0]["id"].as_str().expect("an id");
    let job = format!("/api/v1/em/jobs/{id}");
    let read = test.client.get(&job).send().await.expect(200);
    let put = test
        .client
        .request("PUT", &format!("{job}?action=edit"))
        .header("if-match", read.header("etag"))
        .json(&read.body)
        .send()
        .await
        .expect(202);
    let location = followed(put.header("location"));
    assert!(location.starts_with("/api/v1/operations/"), "{location}");
    let task = put.body["href"].as_str().expect("an address");
    assert!(followed(task).contains("?operation="), "{task}");
    assert_eq!(relative(&put.body), Vec::<String>::new(), "{:#}", put.body);
    test.until(location, |operation| operation["state"] == "finished")
        .await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_of_a_problem_are_below_the_public_url() {
    let test = public_gateway().await;
    let answer = client::plain()
        .get(format!("http://{}/api/v1/nothing", test.addr()))
        .send()
        .await
        .expect("an answer");
    let problem: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
    let page = problem["type"].as_str().expect("an address");
    test.stranger().get(followed(page)).send().await.expect(200);
    assert_eq!(problem["instance"], format!("{PUBLIC}/api/v1/nothing"));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_document_name_their_public_address() {
    let test = public_gateway().await;
    let stranger = test.stranger();
    let root = stranger.get("/").send().await.expect(307);
    assert_eq!(root.header("location"), format!("{PUBLIC}/console/"));
    let slash = stranger.get("/docs/").send().await.expect(308);
    assert_eq!(slash.header("location"), format!("{PUBLIC}/docs"));
    let document = stranger.get("/openapi.json").send().await.expect(200);
    assert_eq!(document.body["servers"], json!([{"url": PUBLIC}]));
    let tag = document.header("etag").to_owned();
    let again = stranger
        .get("/openapi.json")
        .header("if-none-match", &tag)
        .send()
        .await;
    again.expect(304);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_asks_for_nothing_by_an_address_from_the_root() {
    let test = TestGateway::start().await;
    for path in ["/docs", "/docs/init.js", "/docs/style.css", "/problems/not-found"] {
        let page = test
            .stranger()
            .get(path)
            .header("accept", "text/html")
            .send()
            .await
            .expect(200);
        for root in ["\"/", "'/", "=/"] {
            assert!(
                !page.text.contains(root),
                "{path} has an address that begins with /"
            );
        }
    }
    let slash = test.stranger().get("/docs/").send().await.expect(308);
    assert_eq!(slash.header("location"), "../docs");
    let document = test.stranger().get("/openapi.json").send().await.expect(200);
    assert_eq!(document.body["servers"], json!([{"url": "/"}]));
    test.stop().await;
}
