//! A correct client: every action has its own key and is requested again under it until there is an answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::cluster::{Addresses, http, token};
use crate::dice::Dice;
use crate::em::Plan;
use crate::receiver::Receiver;

const CALLBACK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// How long one wish may go unanswered.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one gateway may take to answer before the next one is asked.
const ANSWER: Duration = Duration::from_secs(5);

/// What the client holds the gateway to.
#[derive(Default)]
pub struct Diary {
    /// Keys with the operations that were acknowledged under them.
    pub acknowledged: BTreeMap<String, BTreeSet<String>>,
    /// Keys that asked for a callback.
    pub callbacks: BTreeSet<String>,
    pub asked: usize,
    pub requests: usize,
    pub refused: usize,
    /// Answers 503, each with the time to come again.
    pub put_off: usize,
}

/// An answer as it came.
struct Answer {
    status: u16,
    pause: Option<String>,
    body: Value,
}

#[derive(Clone)]
pub struct Caller {
    addresses: Addresses,
    receiver: Arc<Receiver>,
    plans: Arc<Vec<Plan>>,
    diary: Arc<Mutex<Diary>>,
    ended: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
}

impl Caller {
    pub fn new(addresses: Addresses, receiver: Arc<Receiver>, plans: Vec<Plan>) -> Self {
        Self {
            addresses,
            receiver,
            plans: Arc::new(plans),
            diary: Arc::default(),
            ended: Arc::default(),
            count: Arc::default(),
        }
    }

    pub fn no_more_wishes(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub fn diary(&self) -> std::sync::MutexGuard<'_, Diary> {
        self.diary.lock().unwrap()
    }

    /// Asks for one thing after the other until there shall be no more wishes.
    pub fn spawn(&self, mut dice: Dice) -> JoinHandle<()> {
        let caller = self.clone();
        tokio::spawn(async move {
            while !caller.ended.load(Ordering::Relaxed) {
                caller.wish(&mut dice).await;
                tokio::time::sleep(Duration::from_millis(20 + dice.below(200))).await;
            }
        })
    }

    async fn wish(&self, dice: &mut Dice) {
        let key = format!("wish-{}", self.count.fetch_add(1, Ordering::Relaxed));
        let plan = dice.one(&self.plans).clone();
        let (noun, actions): (_, &[&str]) = if plan.cloud {
            ("cloud-failover-plans", &["test", "start", "undo"])
        } else {
            ("failover-plans", &["start", "undo"])
        };
        let path = format!("/api/v1/{noun}/{}/{}", plan.id, dice.one(actions));
        let mut body = json!({"metadata": {"key": key}});
        if dice.below(3) == 0 {
            let hook = format!("/callback/{key}");
            self.receiver.expect_signature(&hook, CALLBACK_SECRET);
            body["callback"] = json!({"url": self.receiver.url(&hook), "secret": CALLBACK_SECRET});
            self.diary().callbacks.insert(key.clone());
        }
        self.diary().asked += 1;
        let deadline = Instant::now() + PATIENCE;
        // Whoever does not answer is passed over for the next one, under the same key.
        for turn in dice.below(8).. {
            self.diary().requests += 1;
            if let Some(answer) = self.ask(turn, &path, &key, &body).await
                && self.is_answer(&key, &answer)
            {
                // Now and then the answer is forgotten and asked for again: it has to be the same operation.
                if answer.status >= 300 || dice.below(4) > 0 {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "no answer to {path} under {key}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Takes note of an answer; false when it says to try again.
    fn is_answer(&self, key: &str, answer: &Answer) -> bool {
        let Answer { status, pause, body } = answer;
        let mut diary = self.diary();
        match status {
            200 | 202 => {
                let id = body["id"].as_str().expect("an id").to_owned();
                diary.acknowledged.entry(key.to_owned()).or_default().insert(id);
                true
            }
            409 | 422 => {
                assert_ne!(body["code"], "idempotency-key-reused", "{body}");
                diary.refused += 1;
                true
            }
            503 => {
                assert!(pause.is_some(), "no Retry-After: {body}");
                diary.put_off += 1;
                false
            }
            // What Enterprise Manager's faults make of it.
            502 | 504 => false,
            other => panic!("{other} to {key}: {body}"),
        }
    }

    async fn ask(&self, turn: u64, path: &str, key: &str, body: &Value) -> Option<Answer> {
        let address = {
            let addresses = self.addresses.lock().unwrap();
            addresses[turn as usize % addresses.len()]
        };
        let request = http()
            .post(format!("http://{address}{path}"))
            .timeout(ANSWER)
            .bearer_auth(token());
        let request = request
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        let answer = request.body(body.to_string()).send().await.ok()?;
        let pause = answer.headers().get("retry-after");
        Some(Answer {
            status: answer.status().as_u16(),
            pause: pause.map(|value| value.to_str().expect("text").to_owned()),
            body: answer.json().await.ok()?,
        })
    }
}
