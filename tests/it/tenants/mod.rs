//! Callers who are confined to tenants (docs/behaviour.md#tenants): what they see, and that nothing shows them the rest.

mod accounts;
mod borders;
mod matrix;
mod webhooks;

use serde_json::{Value, json};

use crate::support::receiver::WebhookReceiver;
use crate::support::{Client, TestGateway};
use crate::waiting::eventually;

/// Two tenants of the simulator; each has every fourth cloud plan.
pub const ABC: &str = "ABC Company";
pub const NORDWIND: &str = "Nordwind Klinik";

/// A client that is confined to these tenants, with every scope, `tenants:all` included.
pub fn confined(test: &TestGateway, tenants: &[&str]) -> Client {
    let scopes: Vec<&str> = emgate::domain::access::Scope::ALL
        .iter()
        .map(|scope| scope.as_str())
        .collect();
    test.client_as(&json!({"sub": "ann", "scope": scopes.join(" "), "tenants": tenants}))
}

/// A gateway before the simulator's EM with three plans of each tenant.
pub async fn gateway() -> TestGateway {
    TestGateway::builder()
        .sim(|sim| sim.plans = 12)
        .config(|config| {
            config.webhooks.allow_http = true;
            config.webhooks.allow_private_networks = true;
        })
        .start()
        .await
}

/// The plans of a tenant, as everybody sees them.
pub async fn plans_of(test: &TestGateway, tenant: &str) -> Vec<String> {
    let list = test
        .client
        .get("/api/v1/cloud-failover-plans?pageSize=100")
        .send()
        .await;
    let list = list.expect(200).body;
    let plans = list["items"].as_array().expect("plans").iter();
    let own = plans.filter(|plan| plan["tenant"]["name"] == tenant);
    own.map(id_of).collect()
}

pub fn id_of(thing: &Value) -> String {
    thing["id"].as_str().expect("an id").to_owned()
}

/// One of each thing of a tenant.
#[derive(Debug, Clone)]
pub struct Things {
    pub plans: Vec<String>,
    pub operation: String,
    pub session: String,
    pub endpoint: String,
    pub delivery: String,
    pub callback_delivery: String,
    pub event: String,
}

impl Things {
    /// A plan of the tenant was tested with a callback, by a caller who is confined to it and has an endpoint.
    pub async fn make(test: &TestGateway, tenant: &str, receiver: &WebhookReceiver) -> Self {
        let client = confined(test, &[tenant]);
        let plans = plans_of(test, tenant).await;
        let endpoint = endpoint(&client, &receiver.url()).await;
        let asked = client
            .post(&format!("/api/v1/cloud-failover-plans/{}/test", plans[0]))
            .json(&json!({"callback": {"url": receiver.url()}, "metadata": {"of": tenant}}))
            .send()
            .await
            .expect(202);
        let operation = id_of(&asked.body);
        let path = format!("/api/v1/operations/{operation}");
        let ended = eventually(
            &path,
            async || client.get(&path).send().await.body,
            |body| body["state"] == "finished",
        )
        .await;
        let deliveries = eventually(
            "the deliveries",
            async || client.get("/api/v1/webhook-deliveries").send().await.body["items"].clone(),
            |items| {
                let of = |wanted: &str| {
                    let mut all = items.as_array().expect("deliveries").iter();
                    all.any(|item| {
                        item["eventType"] == "failover.session.finished" && !item[wanted].is_null()
                    })
                };
                of("endpointId") && of("operationId")
            },
        )
        .await;
        let delivery = |wanted: &str| {
            let mut all = deliveries.as_array().expect("deliveries").iter();
            all.find(|item| !item[wanted].is_null())
                .map(id_of)
                .expect("a delivery")
        };
        let events = client.get("/api/v1/events").send().await.expect(200).body;
        Self {
            plans,
            operation,
            session: id_of(&ended["session"]),
            endpoint,
            delivery: delivery("endpointId"),
            callback_delivery: delivery("operationId"),
            event: id_of(&events["items"][0]),
        }
    }

    /// Whatever names one of them.
    pub fn ids(&self) -> Vec<&str> {
        let own = [
            &self.operation,
            &self.session,
            &self.endpoint,
            &self.delivery,
            &self.callback_delivery,
            &self.event,
        ];
        self.plans.iter().chain(own).map(String::as_str).collect()
    }
}

/// A new endpoint of the client's.
pub async fn endpoint(client: &Client, url: &str) -> String {
    let made = client
        .post("/api/v1/webhook-endpoints")
        .json(&json!({"url": url}));
    id_of(&made.send().await.expect(201).body)
}
