//! What an endpoint's filter names and Enterprise Manager does not show: the endpoint is made, and the answer says so.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::{Client, PLAN, TestGateway};
use crate::tenants::{ABC, NORDWIND, confined, plans_of};

const ENDPOINTS: &str = "/api/v1/webhook-endpoints";
const NO_PLAN: &str = "00000000-0000-4000-8000-000000000001";

async fn made(client: &Client, filter: &Value) -> Answer {
    let wanted = json!({"url": "https://hooks.example/a", "filter": filter});
    client.post(ENDPOINTS).json(&wanted).send().await.expect(201)
}

/// The members that an answer warns of.
fn warned(answer: &Answer) -> Vec<&str> {
    let warnings = answer.body["warnings"].as_array().expect("warnings").iter();
    warnings
        .map(|warning| warning["pointer"].as_str().expect("a pointer"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_by_what_nobody_knows_is_taken_with_a_warning_for_each() {
    let test = TestGateway::start().await;
    let sites = test.client.get("/api/v1/failover-plans").send().await.expect(200);
    let site = &sites.body["items"][0]["id"];
    let urn = format!("urn:veeam:CloudFailoverPlan:{}", PLAN.to_uppercase());
    let filter = json!({"planIds": [urn, NO_PLAN, site], "tenants": ["Nobody", ABC]});
    let endpoint = made(&test.client, &filter).await;
    assert_eq!(warned(&endpoint), ["/filter/planIds/1", "/filter/tenants/0"]);
    let path = endpoint.header("location");
    let patched = async |body: Value| {
        let patch = test.client.request("PATCH", path).json(&body);
        patch.send().await.expect(200)
    };
    let renamed = patched(json!({"description": "portal"})).await;
    assert_eq!(warned(&renamed), [""; 0], "the change is about something else");
    let narrowed = patched(json!({"filter": {"planIds": [PLAN]}})).await;
    assert_eq!(warned(&narrowed), [""; 0]);
    let again = patched(json!({"filter": {"tenants": ["Nobody"]}})).await;
    assert_eq!(warned(&again), ["/filter/tenants/0"]);
    let whole = json!({"url": "https://hooks.example/a", "filter": {"planIds": [NO_PLAN]}});
    let replaced = test
        .client
        .request("PUT", path)
        .json(&whole)
        .send()
        .await
        .expect(200);
    assert_eq!(warned(&replaced), ["/filter/planIds/0"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_taken_without_a_warning_while_enterprise_manager_is_away() {
    let test = TestGateway::start().await;
    let filter = json!({"planIds": [NO_PLAN], "tenants": ["Nobody"]});
    test.fault(json!({"kind": "close", "count": 100_000})).await;
    assert_eq!(warned(&made(&test.client, &filter).await), [""; 0]);
    test.sim_control(reqwest::Method::DELETE, "faults", Value::Null)
        .await;
    test.until("/readyz", |body| body["status"] == "ready").await;
    assert_eq!(warned(&made(&test.client, &filter).await).len(), 2);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_manager_that_hangs_does_not_hold_up_an_endpoint() {
    let test = TestGateway::start().await;
    let tenants = json!({"kind": "hang", "count": 100, "path": "/api/query?type=CloudTenant"});
    test.fault(tenants).await;
    let filter = json!({"tenants": ["Nobody"]});
    let answered = tokio::time::timeout(Duration::from_secs(15), made(&test.client, &filter));
    let answer = answered
        .await
        .expect("long before the limit of requests to Enterprise Manager");
    assert_eq!(warned(&answer), [""; 0]);
    test.sim_control(reqwest::Method::DELETE, "faults", Value::Null)
        .await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_plan_is_warned_of_like_one_that_never_existed() {
    let test = crate::tenants::gateway().await;
    let own = confined(&test, &[ABC]);
    let theirs = plans_of(&test, NORDWIND).await.remove(0);
    let filter = json!({"planIds": [PLAN, theirs, NO_PLAN], "tenants": [ABC]});
    let endpoint = made(&own, &filter).await;
    assert_eq!(warned(&endpoint), ["/filter/planIds/1", "/filter/planIds/2"]);
    let detail = |nth: usize| {
        endpoint.body["warnings"][nth]["detail"]
            .as_str()
            .expect("a detail")
    };
    assert_eq!(detail(0).replace(&theirs, NO_PLAN), detail(1));
    assert!(
        detail(1).starts_with(&format!("`{NO_PLAN}`: Enterprise Manager shows you no plan")),
        "{}",
        detail(1)
    );
    test.stop().await;
}
