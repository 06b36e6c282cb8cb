//! Enterprise Manager as an independent client sees it (no code of the gateway's), its console and its faults.

use std::collections::HashSet;
use std::sync::Mutex;

use base64::Engine as _;
use emgate::domain::logon::SavedLogon;
use quick_xml::events::Event;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::cluster::http;
use crate::dice::Dice;

/// A plan that can be asked for.
#[derive(Clone)]
pub struct Plan {
    pub id: String,
    pub cloud: bool,
}

/// A failover session at EM.
#[derive(Debug)]
pub struct Session {
    pub id: String,
    pub plan_name: String,
    pub stopped: bool,
}

pub struct Em {
    base: String,
    at_console: Mutex<HashSet<String>>,
}

impl Em {
    pub fn new(base: String) -> Self {
        Self {
            base,
            at_console: Mutex::default(),
        }
    }

    /// The plans of both kinds.
    pub async fn plans(&self) -> Vec<Plan> {
        let mut plans = Vec::new();
        for (kind, cloud) in [("CloudFailoverPlan", true), ("FailoverPlan", false)] {
            for (attributes, _) in self.query(kind).await {
                plans.push(Plan {
                    id: attributes.id,
                    cloud,
                });
            }
        }
        assert!(plans.len() > 6, "{} plans", plans.len());
        plans
    }

    /// How many actions the plan was asked for.
    pub async fn requests_of(&self, plan: &str) -> u64 {
        let request = http().get(format!("{}/_sim/stats", self.base));
        let stats: Value = request
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        let path = format!("POST /api/cloud/cloudFailoverPlans/{plan}");
        stats["requests"][path].as_u64().unwrap_or(0)
    }

    /// Every failover session that EM shows.
    pub async fn sessions(&self) -> Vec<Session> {
        let rows = self.query("CloudFailoverSession").await;
        rows.into_iter()
            .map(|(row, state)| Session {
                id: row.id,
                plan_name: row.name,
                stopped: state == "Stopped",
            })
            .collect()
    }

    /// How many of EM's sessions were begun at its console.
    pub fn at_console(&self) -> HashSet<String> {
        self.at_console.lock().unwrap().clone()
    }

    pub async fn start_at_console(&self, dice: &mut Dice) {
        let plans: Vec<Plan> = self.plans().await.into_iter().filter(|plan| plan.cloud).collect();
        let wish = json!({
            "planId": dice.one(&plans).id,
            "action": dice.one(&["test", "start"]),
            "result": dice.one(&["success", "warning", "failed"]),
            "seconds": 5 + dice.below(40),
        });
        let answer = self.control(reqwest::Method::POST, "failovers", &wish).await;
        let id = answer["sessionId"].as_str().expect("an id").to_owned();
        self.at_console.lock().unwrap().insert(id);
    }

    pub async fn order_fault(&self, dice: &mut Dice) {
        let mut fault = json!({
            "kind": dice.one(&["close", "hang", "executeThenClose", "status"]),
            "method": dice.one(&["POST", "GET"]),
        });
        fault["path"] = if fault["method"] == "POST" {
            json!(dice.one(&["/api/cloud/cloudFailoverPlans", "/api/failoverPlans"]))
        } else {
            json!("/api/")
        };
        self.control(reqwest::Method::POST, "faults", &fault).await;
    }

    pub async fn clear_faults(&self) {
        self.control(reqwest::Method::DELETE, "faults", &Value::Null)
            .await;
    }

    pub async fn stats(&self) -> Value {
        self.control(reqwest::Method::GET, "stats", &Value::Null).await
    }

    /// One of the simulator's counters.
    pub async fn count(&self, name: &str) -> u64 {
        self.stats().await[name].as_u64().expect("a count")
    }

    /// Whether a logon session that a gateway kept is still open.
    pub async fn is_open(&self, logon: &SavedLogon) -> bool {
        let request = http()
            .get(format!("{}/api/backupServers", self.base))
            .header("x-restsvcsessionid", logon.token.expose_secret());
        let status = request.send().await.expect("the simulator answers").status();
        assert!(status.is_success() || status == 401, "{status}");
        status.is_success()
    }

    async fn control(&self, method: reqwest::Method, path: &str, body: &Value) -> Value {
        let request = http().request(method, format!("{}/_sim/{path}", self.base));
        let answer = request
            .body(body.to_string())
            .send()
            .await
            .expect("the simulator answers");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let text = answer.text().await.expect("a whole answer");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// All rows of a query, in a logon session of their own. A fault may hit this client too: it asks again.
    async fn query(&self, kind: &str) -> Vec<(Row, String)> {
        for _ in 0..20 {
            if let Some(rows) = self.try_query(kind).await {
                return rows;
            }
        }
        panic!("Enterprise Manager never answered a query for {kind}");
    }

    async fn try_query(&self, kind: &str) -> Option<Vec<(Row, String)>> {
        let limit = std::time::Duration::from_secs(4);
        let pair = base64::engine::general_purpose::STANDARD.encode("LAB\\svc-emgate:simulated");
        let request = http()
            .post(format!("{}/api/sessionMngr/?v=latest", self.base))
            .timeout(limit);
        let request = request
            .header("authorization", format!("Basic {pair}"))
            .header("content-length", 0);
        let answer = request.send().await.ok()?;
        let token = answer
            .headers()
            .get("x-restsvcsessionid")?
            .to_str()
            .ok()?
            .to_owned();
        let mut rows = Some(Vec::new());
        for page in 1.. {
            let url = format!(
                "{}/api/query?type={kind}&format=Entities&pageSize=100&page={page}",
                self.base
            );
            let request = http()
                .get(url)
                .timeout(limit)
                .header("x-restsvcsessionid", &token);
            let text = match request.send().await {
                Ok(answer) if answer.status().is_success() => answer.text().await.ok(),
                _ => None,
            };
            let Some(text) = text else {
                rows = None;
                break;
            };
            let (found, pages) = parse(&text, kind);
            rows.as_mut()?.extend(found);
            if page >= pages {
                break;
            }
        }
        let bytes = base64::engine::general_purpose::STANDARD.decode(&token).ok()?;
        let session = String::from_utf8(bytes).ok()?;
        let request = http().delete(format!("{}/api/logonSessions/{session}", self.base));
        let _ = request.header("x-restsvcsessionid", &token).send().await;
        rows
    }
}

/// What a row says in its attributes.
struct Row {
    id: String,
    name: String,
}

/// The rows of one page with the state of each, and how many pages there are.
fn parse(text: &str, kind: &str) -> (Vec<(Row, String)>, usize) {
    let mut reader = quick_xml::Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut rows, mut pages, mut within) = (Vec::new(), 1, String::new());
    loop {
        match reader.read_event().expect("XML") {
            Event::Eof => return (rows, pages),
            Event::Start(start) | Event::Empty(start) => {
                start.local_name().as_ref().clone_into(&mut within);
                let attribute = |name: &str| {
                    let found = start.attributes().flatten().find(|one| one.key.as_ref() == name);
                    found.map(|one| {
                        quick_xml::escape::unescape(&one.value)
                            .expect("text")
                            .into_owned()
                    })
                };
                if within == kind {
                    let uid = attribute("UID").expect("a UID");
                    let id = uid.rsplit(':').next().unwrap_or_default().to_owned();
                    let name = attribute("Name").unwrap_or_default();
                    rows.push((Row { id, name }, String::new()));
                } else if within == "PagingInfo" {
                    pages = attribute("PagesCount")
                        .expect("a count")
                        .parse()
                        .expect("a number");
                }
            }
            Event::Text(text) if within == "State" => {
                if let Some((_, state)) = rows.last_mut().filter(|(_, state)| state.is_empty()) {
                    text.trim().clone_into(state);
                }
            }
            Event::End(_) => within.clear(),
            _ => {}
        }
    }
}
