//! The gateway as its callers see it: HTTP, JSON and a bearer token.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::because;
use crate::cli::Failure;

/// Longest time for one request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// An operation, as far as the demo reads it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    pub id: String,
    pub state: String,
    pub result: Option<String>,
    pub progress: Option<f64>,
    pub plan: Option<Named>,
    pub session: Option<Session>,
    pub failure: Option<Reason>,
}

/// Anything with a name.
#[derive(Debug, Deserialize)]
pub struct Named {
    pub name: String,
}

/// A list of plans.
#[derive(Debug, Deserialize)]
struct Listed {
    items: Vec<Plan>,
}

/// A plan, as far as the demo reads it.
#[derive(Debug, Deserialize)]
pub struct Plan {
    pub id: String,
    pub tenant: Option<Named>,
}

/// Why an operation failed.
#[derive(Debug, Deserialize)]
pub struct Reason {
    pub message: String,
}

/// A failover session, as far as the demo reads it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    pub state: String,
    pub virtual_machines: Vec<Machine>,
}

/// One machine of a session.
#[derive(Debug, Deserialize)]
pub struct Machine {
    pub name: String,
    pub state: String,
    pub result: Option<String>,
    pub progress: Option<f64>,
}

/// A webhook endpoint with its secret, which is shown once.
#[derive(Debug, Deserialize)]
pub struct Endpoint {
    pub id: String,
    pub secret: String,
}

/// Calls one gateway.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    root: String,
    token: String,
}

impl Client {
    /// A client of the gateway at `root` (`http://host:port`).
    pub fn new(root: String, token: String) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(REQUEST_LIMIT)
            .build()
            .map_err(because("cannot make an HTTP client"))?;
        Ok(Self { http, root, token })
    }

    /// Waits until the gateway says that it is ready.
    pub async fn ready(&self, limit: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + limit;
        let url = format!("{}/readyz", self.root);
        loop {
            let answer = self.http.get(&url).send().await;
            let said = match answer {
                Ok(answer) if answer.status() == StatusCode::OK => return Ok(()),
                Ok(answer) => answer.status().to_string(),
                Err(error) => crate::telemetry::chain(&error.without_url()),
            };
            if Instant::now() >= deadline {
                return Err(Failure::new(format!(
                    "the gateway is not ready after {} s: {said}",
                    limit.as_secs()
                )));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Registers a receiver of started and finished failovers.
    pub async fn create_endpoint(&self, url: &str) -> Result<(StatusCode, Endpoint), Failure> {
        let body = json!({
            "url": url,
            "description": "the demo's receiver",
            "eventTypes": ["failover.session.started", "failover.session.finished"],
        });
        self.call(Method::POST, "/webhook-endpoints", Some(body)).await
    }

    /// Tests a cloud failover plan.
    pub async fn test_plan(&self, id: &str) -> Result<(StatusCode, Operation), Failure> {
        self.call(Method::POST, &format!("/cloud-failover-plans/{id}/test"), None)
            .await
    }

    /// Sets what is wanted of a plan: its recovery time, and the days between two tests.
    pub async fn set_objectives(&self, id: &str, rto_seconds: u32, every_days: u32) -> Result<(), Failure> {
        let path = format!("/cloud-failover-plans/{id}/objectives");
        let body = json!({
            "rtoSeconds": rto_seconds,
            "rpoSeconds": 172_800,
            "testEveryDays": every_days,
            "owner": "dr-team",
        });
        let (_, _): (_, Value) = self.call(Method::PUT, &path, Some(body)).await?;
        Ok(())
    }

    /// All cloud failover plans, in the order of their names.
    pub async fn plans(&self) -> Result<Vec<Plan>, Failure> {
        let path = "/cloud-failover-plans?pageSize=100&sortAsc=name";
        let (_, list): (_, Listed) = self.call(Method::GET, path, None).await?;
        Ok(list.items)
    }

    /// Starts a cloud failover plan, for a reason.
    pub async fn start_plan(&self, id: &str, reason: &str) -> Result<(StatusCode, Operation), Failure> {
        let path = format!("/cloud-failover-plans/{id}/start");
        self.call(Method::POST, &path, Some(json!({ "reason": reason })))
            .await
    }

    /// The operation as it is now.
    pub async fn operation(&self, id: &str) -> Result<Operation, Failure> {
        let (_, operation) = self.call(Method::GET, &format!("/operations/{id}"), None).await?;
        Ok(operation)
    }

    /// The report of an operation that has ended, as a page.
    pub async fn report(&self, id: &str) -> Result<Vec<u8>, Failure> {
        let url = format!("{}/api/v1/operations/{id}/report?format=html", self.root);
        let sent = self.http.get(url).bearer_auth(&self.token).send().await;
        let answer = sent.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(because("the report was not answered"))?;
        let page = answer.bytes().await.map_err(because("the report was cut off"))?;
        Ok(page.to_vec())
    }

    /// The keys that sign reports.
    pub async fn report_keys(&self) -> Result<Value, Failure> {
        let url = format!("{}/.well-known/emgate/report-keys", self.root);
        let answer = self
            .http
            .get(url)
            .send()
            .await
            .map_err(because("the keys were not answered"))?;
        answer.json().await.map_err(because("the keys were cut off"))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, T), Failure> {
        let name = format!("{method} /api/v1{path}");
        let mut request = self
            .http
            .request(method, format!("{}/api/v1{path}", self.root))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let sent = request.send().await.map_err(reqwest::Error::without_url);
        let answer = sent.map_err(because(&format!("{name} was not answered")))?;
        let status = answer.status();
        let bytes = answer
            .bytes()
            .await
            .map_err(because(&format!("{name} was cut off")))?;
        if !status.is_success() {
            let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let text = |key: &str| {
                problem
                    .get(key)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            return Err(Failure::new(format!(
                "{name} was answered {status}: {} {}",
                text("code"),
                text("detail")
            )));
        }
        let value =
            serde_json::from_slice(&bytes).map_err(because(&format!("{name} gave something unexpected")))?;
        Ok((status, value))
    }
}
