//! Endpoints of callers who are confined to tenants: what they get, who sees them, what their filters may name.

use serde_json::{Value, json};

use super::{ABC, NORDWIND, Things, confined, gateway};
use crate::support::client::Client;
use crate::support::receiver::WebhookReceiver;
use crate::waiting::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_gets_what_its_owner_sees() {
    let test = gateway().await;
    let [abc, nordwind, all] = [
        WebhookReceiver::start().await,
        WebhookReceiver::start().await,
        WebhookReceiver::start().await,
    ];
    let everybodys = super::endpoint(&test.client, &all.url()).await;
    let of_abc = Things::make(&test, ABC, &abc).await;
    Things::make(&test, NORDWIND, &nordwind).await;
    let deliveries = test
        .client
        .get("/api/v1/webhook-deliveries?pageSize=100")
        .send()
        .await
        .expect(200)
        .body;
    let events = test
        .client
        .get("/api/v1/events?pageSize=100")
        .send()
        .await
        .expect(200)
        .body;
    let event = |delivery: &Value| {
        let mut events = events["items"].as_array().expect("events").iter();
        let event = events.find(|event| event["id"] == delivery["eventId"]);
        event.expect("its event").clone()
    };
    let (mut own, mut everything) = (0, 0);
    for delivery in deliveries["items"].as_array().expect("deliveries") {
        let tenant = &event(delivery)["data"]["session"]["tenant"]["name"];
        if delivery["endpointId"] == json!(of_abc.endpoint) {
            assert_eq!(tenant, ABC, "{delivery}");
            own += 1;
        } else if delivery["endpointId"] == json!(everybodys) {
            everything += 1;
        }
    }
    assert_eq!((own, everything), (2, 4), "{deliveries}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_stays_within_the_owners_tenants() {
    let test = gateway().await;
    let client = confined(&test, &[ABC, NORDWIND]);
    let url = "https://receiver.example/hook";
    let make = |filter: Value| {
        let body = json!({"url": url, "filter": filter});
        client.post("/api/v1/webhook-endpoints").json(&body)
    };
    let own = make(json!({"tenants": [NORDWIND]})).send().await.expect(201).body;
    assert_eq!(own["filter"]["tenants"], json!([NORDWIND]));
    let absent = make(json!({})).send().await.expect(201).body;
    assert_eq!(absent["filter"]["tenants"], json!([ABC, NORDWIND]));
    let refused = make(json!({"tenants": [ABC, "R&D / site <B>"]}))
        .refused(422, "invalid-request")
        .await;
    assert_eq!(refused.pointers(), ["/filter/tenants/1"]);
    let path = format!("/api/v1/webhook-endpoints/{}", super::id_of(&own));
    let patch = |client: &crate::support::Client, body: Value| client.request("PATCH", &path).json(&body);
    let refused = patch(&client, json!({"filter": {"tenants": ["x"]}}))
        .refused(422, "invalid-request")
        .await;
    assert_eq!(refused.pointers(), ["/filter/tenants/0"]);
    // Nor does anybody else widen it.
    patch(&test.client, json!({"filter": {"tenants": ["x"]}}))
        .refused(422, "invalid-request")
        .await;
    let reset = patch(&test.client, json!({"filter": null}))
        .send()
        .await
        .expect(200)
        .body;
    assert_eq!(reset["filter"]["tenants"], json!([ABC, NORDWIND]));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_shared_by_those_of_the_same_confinement() {
    let test = gateway().await;
    let url = "https://receiver.example/hook";
    let one = super::endpoint(&confined(&test, &[ABC, NORDWIND]), url).await;
    let path = format!("/api/v1/webhook-endpoints/{one}");
    let colleague = test.client_as(&json!({
        "sub": "bob", "iss": "https://idp.example", "scope": "webhooks:read", "tenants": [NORDWIND, ABC],
    }));
    let seen = colleague.get(&path).send().await.expect(200).body;
    let owner = json!({"issuer": null, "subject": "ann", "tenants": [ABC, NORDWIND]});
    assert_eq!(seen["owner"], owner);
    for tenants in [&[ABC][..], &[NORDWIND], &[ABC, NORDWIND, "x"]] {
        confined(&test, tenants)
            .get(&path)
            .refused(404, "not-found")
            .await;
    }
    let everybody = test.client_with(&["webhooks:write", "webhooks:read"]);
    super::endpoint(&everybody, url).await;
    let list = everybody
        .get("/api/v1/webhook-endpoints")
        .send()
        .await
        .expect(200)
        .body;
    let owners: Vec<&Value> = list["items"]
        .as_array()
        .expect("endpoints")
        .iter()
        .map(|one| &one["owner"])
        .collect();
    let own = json!({"issuer": null, "subject": "tester", "tenants": null});
    assert_eq!(owners, [&own, &owner]);

    // Its test is in the log for those who see it, and for nobody else.
    colleague
        .post(&format!("{path}/test"))
        .refused(403, "insufficient-scope")
        .await;
    confined(&test, &[ABC, NORDWIND])
        .post(&format!("{path}/test"))
        .send()
        .await
        .expect(202);
    let tests = async |tenants: &[&str]| {
        let log = confined(&test, tenants)
            .get("/api/v1/events")
            .send()
            .await
            .expect(200)
            .body;
        log["items"].as_array().expect("events").len()
    };
    assert_eq!(tests(&[ABC, NORDWIND]).await, 1);
    assert_eq!(tests(&[ABC]).await, 0);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_owner_sees_of_an_inner_receiver_status_and_timing_alone() {
    let test = gateway().await;
    let client = confined(&test, &[ABC]);
    let receiver = WebhookReceiver::start().await;
    let endpoint = super::endpoint(&client, &receiver.url()).await;
    let path = format!("/api/v1/webhook-endpoints/{endpoint}/test");
    let begun = client.post(&path).send().await.expect(202);
    let link = format!("/api/v1/webhook-deliveries/{}", super::id_of(&begun.body));
    let read = async |client: &Client| client.get(&link).send().await.expect(200).body;
    eventually(
        "the test to arrive",
        async || read(&client).await,
        |delivery| delivery["state"] == "delivered",
    )
    .await;
    let (own, operators) = (read(&client).await, read(&test.client).await);
    let (own, operators) = (&own["attempts"][0], &operators["attempts"][0]);
    assert!(operators["remoteAddress"].is_string(), "{operators}");
    assert_eq!(own["remoteAddress"], Value::Null, "{own}");
    assert_eq!(own["response"], Value::Null);
    for member in ["status", "durationMs", "phases", "connectionReused"] {
        assert_eq!(own[member], operators[member], "{member}");
        assert!(!own[member].is_null(), "{member}");
    }
    test.stop().await;
}
