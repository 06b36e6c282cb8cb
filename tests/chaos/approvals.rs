//! Kills around the last approval: each operation is sent at most once, and none is forgotten.
//!
//! Every round requests a test that a policy holds back, approves it at one replica or at both, and kills or freezes one of
//! them at a moment of chance. The approver asks again until the answer is a decision. Before a plan is used again, and at the
//! end, its last operation must have ended, and the requests that the plan got at Enterprise Manager must fit to that end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, http, token_of};
use crate::dice::Dice;
use crate::em::Em;
use crate::scene::{Keeping, Scene};

/// How many rounds the short form has.
pub const SHORT: u64 = 8;

/// The latest moment of a blow after the approval was asked for, in milliseconds: a little after the answer.
const LATEST_BLOW: u64 = 120;
/// Every so many rounds a replica is frozen until the other has replaced it.
const FREEZE_EVERY: u64 = 40;
/// How long one decision, and one end, may take.
const PATIENCE: Duration = Duration::from_secs(90);

pub const SCENE: Scene = Scene {
    name: "the last approval",
    keeping: Keeping::Server,
    replicas: 2,
    short: &[],
    deck: &[],
    plans: "24",
    simulator: &["--latency", "10"],
    more: &[
        ("EMGATE_POLICIES__0__NAME", "tests"),
        ("EMGATE_POLICIES__0__APPROVALS", "1"),
        // Replicas that were killed count as living for 3 s, and each has its share.
        ("EMGATE_UPSTREAM__ACCOUNTS__0__MAX_SESSIONS", "40"),
    ],
};

/// The last operation of a plan.
struct Last {
    operation: String,
    /// How many requests the plan had got before.
    before: u64,
}

/// How the operations ended.
#[derive(Default)]
struct Tally {
    sent: usize,
    unsent: usize,
    unknown: usize,
}

struct Rounds {
    cluster: Cluster,
    em: Em,
    dice: Dice,
    last: HashMap<String, Last>,
    tally: Tally,
}

pub async fn run(seed: u64, rounds: u64) {
    let begun = Instant::now();
    let cluster = Cluster::start(&SCENE).await;
    let em = Em::new(cluster.simulator.url(""));
    cluster.wait_until_ready().await;
    let plans: Vec<String> = em
        .plans()
        .await
        .into_iter()
        .filter(|plan| plan.cloud)
        .map(|plan| plan.id)
        .collect();
    let mut all = Rounds {
        cluster,
        em,
        dice: Dice::new(seed),
        last: HashMap::new(),
        tally: Tally::default(),
    };
    for number in 0..rounds {
        let plan = &plans[number as usize % plans.len()];
        all.settle(plan).await;
        all.round(plan, number).await;
    }
    for plan in &plans {
        all.settle(plan).await;
    }
    all.every_operation_has_its_events(rounds).await;
    let Tally {
        sent,
        unsent,
        unknown,
    } = all.tally;
    println!(
        "chaos, {}: seed {seed}, {rounds} rounds in {:.0?}, {sent} sent once, {unsent} proven not sent, {unknown} of unknown \
         outcome, {} kills, {} freezes",
        SCENE.name,
        begun.elapsed(),
        all.cluster.counts.kills,
        all.cluster.counts.freezes,
    );
}

impl Rounds {
    async fn round(&mut self, plan: &str, number: u64) {
        let before = self.em.requests_of(plan).await;
        let operation = self.requested(plan, number).await;
        let hit = self.dice.below(2) as usize;
        let mut approvals = vec![approve(self.cluster.address(hit), &operation, "lead")];
        if self.dice.below(3) == 0 {
            approvals.push(approve(self.cluster.address(1 - hit), &operation, "board"));
        }
        tokio::time::sleep(Duration::from_millis(self.dice.below(LATEST_BLOW))).await;
        if number % FREEZE_EVERY == FREEZE_EVERY / 2 {
            self.cluster.freeze_one(hit, &mut self.dice).await;
        } else {
            self.cluster.kill(hit);
        }
        let mut submitted = 0;
        for approval in approvals {
            let answer = approval.await.expect("the approver lives");
            submitted += usize::from(answer.is_some_and(|(status, _)| status < 300));
        }
        assert!(submitted <= 1, "two last approvals of {operation}");
        self.cluster.start_again().await;
        self.decided(&operation).await;
        let last = Last { operation, before };
        self.last.insert(plan.to_owned(), last);
    }

    /// The operation of a request, asked for until it is recorded.
    async fn requested(&mut self, plan: &str, number: u64) -> String {
        let path = format!("/api/v1/cloud-failover-plans/{plan}/test");
        let deadline = Instant::now() + PATIENCE;
        for turn in 0.. {
            let request = http()
                .post(format!("http://{}{path}", self.cluster.address(turn % 2)))
                .bearer_auth(token_of("portal"))
                .header("idempotency-key", format!("round-{number}"));
            if let Some((200 | 202, body)) = asked(request).await {
                assert_eq!(body["state"], "awaitingApproval", "{body}");
                return body["id"].as_str().expect("an id").to_owned();
            }
            assert!(Instant::now() < deadline, "{path} is not recorded");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        unreachable!("turns do not end")
    }

    /// Asks for the approval until the operation does not wait any more.
    async fn decided(&self, operation: &str) {
        let deadline = Instant::now() + PATIENCE;
        for turn in 0.. {
            let answer = approve(self.cluster.address(turn % 2), operation, "chief");
            match answer.await.expect("the approver lives") {
                Some((200 | 202, _)) => return,
                Some((409, body)) if body["code"] == "operation-finished" => return,
                // EM's refusal, or what is over in a moment.
                Some((409 | 502 | 503, _)) | None => {}
                Some((status, body)) => panic!("{status} to the approval of {operation}: {body}"),
            }
            assert!(Instant::now() < deadline, "{operation} is not decided");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for the end of the plan's last operation, and holds it against what the plan got at EM.
    async fn settle(&mut self, plan: &str) {
        let Some(Last { operation, before }) = self.last.remove(plan) else {
            return;
        };
        let path = format!("/api/v1/operations/{operation}");
        let deadline = Instant::now() + PATIENCE;
        let mut turn = 0;
        let ended = loop {
            turn += 1;
            let request = http()
                .get(format!("http://{}{path}", self.cluster.address(turn % 2)))
                .bearer_auth(token_of("portal"));
            if let Some((200, body)) = asked(request).await
                && matches!(body["state"].as_str(), Some("finished" | "unknown"))
            {
                break body;
            }
            assert!(Instant::now() < deadline, "{operation} is forgotten");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let got = self.em.requests_of(plan).await - before;
        assert!(got <= 1, "{got} requests for {ended}");
        let message = ended["failure"]["message"].as_str().unwrap_or_default();
        if ended["state"] == "unknown" {
            self.tally.unknown += 1;
        } else if message.contains("nothing was sent") {
            assert_eq!(got, 0, "{ended}");
            self.tally.unsent += 1;
        } else if ended["task"].is_object() || ended["session"].is_object() {
            assert_eq!(got, 1, "{ended}");
            self.tally.sent += 1;
        } else {
            // The request was refused before it left, as while a replica has no logon session.
            assert_eq!(ended["result"], "failed", "{ended}");
            assert_eq!(got, 0, "{ended}");
            self.tally.unsent += 1;
        }
    }

    /// Each was requested once and approved once in the log of events.
    async fn every_operation_has_its_events(&self, rounds: u64) {
        let mut requested: HashMap<String, u64> = HashMap::new();
        let mut decided: HashMap<String, u64> = HashMap::new();
        for event in self.cluster.all("/api/v1/events?pageSize=100").await {
            let counts = match event["type"].as_str() {
                Some("failover.approval.requested") => &mut requested,
                Some("failover.approval.decided") => &mut decided,
                _ => continue,
            };
            let id = event["data"]["operation"]["id"].as_str().expect("an id");
            *counts.entry(id.to_owned()).or_default() += 1;
        }
        assert_eq!(requested.len() as u64, rounds, "requests");
        assert!(requested.values().all(|count| *count == 1), "{requested:?}");
        assert_eq!(requested, decided, "each was decided once");
    }
}

/// An approval under way; what came back, if anything did.
fn approve(address: std::net::SocketAddr, operation: &str, by: &str) -> JoinHandle<Option<(u16, Value)>> {
    let url = format!("http://{address}/api/v1/operations/{operation}/approve");
    let request = http()
        .post(url)
        .bearer_auth(token_of(by))
        .json(&json!({"comment": "go"}));
    tokio::spawn(asked(request))
}

async fn asked(request: reqwest::RequestBuilder) -> Option<(u16, Value)> {
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.ok()?))
}
