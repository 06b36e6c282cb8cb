//! What a scenario does with a gateway: requests a plan, requests an action, and checks the outcome of both.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::TestGateway;
use crate::support::client::Answer;

/// What a row is compared with. An en dash means that it was not tried.
#[derive(Debug)]
pub struct Observed {
    pub read: String,
    pub action: String,
    pub operation: String,
    pub session: String,
    pub reported: String,
    pub posts: String,
    /// The slowest answer.
    pub slowest: Duration,
    /// The longest that one exchange with EM may take, by the configuration.
    pub patience: Duration,
}

impl Default for Observed {
    fn default() -> Self {
        let not_tried = || "–".to_owned();
        Self {
            read: not_tried(),
            action: not_tried(),
            operation: "none".to_owned(),
            session: "none".to_owned(),
            reported: "none".to_owned(),
            posts: not_tried(),
            slowest: Duration::ZERO,
            patience: PATIENCE,
        }
    }
}

/// `connect_timeout` and `request_timeout` of these tests, and their sum.
pub const CONNECT: Duration = Duration::from_millis(500);
pub const REQUEST: Duration = Duration::from_millis(1500);
pub const PATIENCE: Duration = Duration::from_millis(2000);

/// The time limits of these tests.
pub fn impatient(config: &mut emgate::upstream::Config) {
    config.connect_timeout = CONNECT;
    config.request_timeout = REQUEST;
    // Raised by the gateway to the longest that a write can take.
    config.unknown_after = Duration::from_secs(1);
}

/// One plan of a gateway, and the answers to its callers.
pub struct Asked<'a> {
    test: &'a TestGateway,
    pub plan: String,
    operation: Option<String>,
    pub seen: Observed,
}

impl<'a> Asked<'a> {
    pub fn about(test: &'a TestGateway, plan: &str) -> Self {
        Self {
            test,
            plan: plan.to_owned(),
            operation: None,
            seen: Observed::default(),
        }
    }

    /// EM's path of the plan.
    pub fn em_path(&self) -> String {
        format!("/api/cloud/cloudFailoverPlans/{}", self.plan)
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/cloud-failover-plans/{}{rest}", self.plan)
    }

    /// A caller reads the plan.
    pub async fn read(&mut self) -> Answer {
        let begun = Instant::now();
        let answer = self.test.client.get(&self.path("")).send().await;
        self.seen.slowest = self.seen.slowest.max(begun.elapsed());
        self.seen.read = match answer.body["code"].as_str() {
            Some(code) => format!("{} {code}", answer.status),
            None => answer.status.to_string(),
        };
        answer
    }

    /// A caller asks for an action on it.
    pub async fn act(&mut self, action: &str) -> Answer {
        let begun = Instant::now();
        let answer = self
            .test
            .client
            .post(&self.path(&format!("/{action}")))
            .send()
            .await;
        self.seen.slowest = self.seen.slowest.max(begun.elapsed());
        let word = answer.body["code"].as_str().or(answer.body["state"].as_str());
        self.seen.action = format!("{} {}", answer.status, word.expect("a code or a state"));
        let id = answer.body["operationId"].as_str().or(answer.body["id"].as_str());
        self.operation = id.map(str::to_owned);
        answer
    }

    /// The operation's path.
    pub fn operation(&self) -> String {
        format!(
            "/api/v1/operations/{}",
            self.operation.as_deref().expect("an operation")
        )
    }

    /// Waits for the operation's end, if there is one, and checks what it left. `posts`: how many EM got.
    pub async fn end(mut self, posts: usize) -> Observed {
        self.seen.posts = posts.to_string();
        let Some(id) = self.operation.clone() else {
            return self.seen;
        };
        let ended = self
            .test
            .until(&self.operation(), |body| {
                body["state"] == "finished" || body["state"] == "unknown"
            })
            .await;
        let word = |value: &Value| value.as_str().map(|word| format!(" {word}")).unwrap_or_default();
        self.seen.operation = format!(
            "{}{}",
            ended["state"].as_str().expect("a state"),
            word(&ended["result"])
        );
        self.seen.session = match &ended["session"] {
            Value::Null => "none".to_owned(),
            session => {
                let result = session["result"].as_str().or(session["state"].as_str());
                result.expect("a state").to_owned()
            }
        };
        let ends = [
            "failover.session.finished",
            "failover.session.lost",
            "failover.operation.finished",
        ];
        let about = |event: &&Value| {
            event["data"]["operation"]["id"] == id.as_str() && ends.iter().any(|end| event["type"] == *end)
        };
        let events = events(self.test).await;
        let reported: Vec<&str> = events
            .iter()
            .filter(about)
            .filter_map(|event| event["type"].as_str())
            .collect();
        if !reported.is_empty() {
            self.seen.reported = reported.join(", ").replace("failover.", "");
        }
        self.seen
    }

    /// As [`Asked::end`], with the simulator's own count of the POSTs for the plan.
    pub async fn end_by_count(self) -> Observed {
        let stats = self
            .test
            .sim_control(reqwest::Method::GET, "stats", Value::Null)
            .await;
        let posts = stats["requests"][format!("POST {}", self.em_path())]
            .as_u64()
            .unwrap_or(0);
        self.end(posts as usize).await
    }
}

/// The whole event log.
pub async fn events(test: &TestGateway) -> Vec<Value> {
    let mut next = Some("/api/v1/events?pageSize=100".to_owned());
    let mut events = Vec::new();
    while let Some(path) = next {
        let page = test.client.get(&path).send().await.expect(200).body;
        events.extend(page["items"].as_array().expect("items").iter().cloned());
        next = page["page"]["next"].as_str().map(str::to_owned);
    }
    events
}

/// The ids of all cloud plans that the simulator has.
pub async fn plans(test: &TestGateway) -> Vec<String> {
    let page = test
        .client
        .get("/api/v1/cloud-failover-plans?pageSize=100")
        .send()
        .await
        .expect(200);
    let plans = page.body["items"].as_array().expect("items").iter();
    plans
        .map(|plan| plan["id"].as_str().expect("an id").to_owned())
        .collect()
}
