//! Callers who poll: results, addresses, pauses, and models of how Logic Apps and Power Automate follow an answer
//! (docs/behaviour.md#waiting).

use emgate::auth::{Asynchrony, ClientConfig};
use emgate::domain::policy::Policies;
use futures_util::stream::{self, StreamExt as _};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::{Client, PLAN, TestGateway, operation, plan};
use crate::tenants::{id_of, plans_of};
use crate::waiting::{PATIENCE, eventually};

const PUBLIC: &str = "https://dr.example/emgate";

async fn slow_gateway() -> TestGateway {
    TestGateway::builder().sim(|sim| sim.speed = 0.1).start().await
}

/// Asserts an open operation's answer: 202, its own address, and when to come again.
fn assert_open(answer: &Answer, address: &str) {
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(answer.header("location"), address);
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_202_with_its_own_address_until_the_end() {
    let test = slow_gateway().await;
    let asked = test.client.post(&plan("/test"));
    let asked = asked.header("prefer", "respond-async").send().await.expect(202);
    assert_eq!(asked.header("preference-applied"), "respond-async");
    let result = format!("{}/result", operation(&asked));
    assert_open(&asked, &result);
    assert_eq!(asked.body["links"]["result"], result.as_str());
    for query in ["", "?failOn=failed,unknown"] {
        let address = format!("{result}{query}");
        assert_open(&test.client.get(&address).send().await, &address);
    }
    let waited = test.client.get(&result).header("prefer", "wait=1").send().await;
    assert_open(&waited, &result);
    assert_eq!(waited.header("preference-applied"), "wait=1");
    let read = test.client.get(&operation(&asked)).send().await.expect(200);
    assert_eq!(read.header("retry-after"), "5");
    let busy = test.client.post(&plan("/test")).send().await;
    let busy = busy.expect_problem(409, "plan-busy");
    assert_eq!(busy.header("retry-after"), "5");
    for refused in ["failOn=x", "failOn=success", "other=1"] {
        let path = format!("{result}?{refused}");
        test.client.get(&path).refused(422, "invalid-request").await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_the_caller_calls_a_failure_is_a_problem_with_the_operation() {
    let test = TestGateway::start().await;
    let done = test.client.post(&plan("/test")).header("prefer", "wait=50");
    let done = done.send().await.expect(200);
    let result = format!("{}/result?failOn=failed,cancelled,unknown", operation(&done));
    let fine = test.client.get(&result).send().await.expect(200);
    assert_eq!(
        (&fine.body["result"], fine.header("retry-after")),
        (&json!("success"), "")
    );
    // A failover that is stopped has failed.
    let started = test.client.post(&plan("/start")).send().await.expect(202);
    let path = operation(&started);
    test.until(&path, |body| !body["session"].is_null()).await;
    test.client
        .post(&format!("{path}/cancel"))
        .send()
        .await
        .expect(202);
    let ended = test.until(&path, |body| body["state"] == "finished").await;
    let word = ended["result"].as_str().expect("a result").to_owned();
    assert!(["failed", "cancelled"].contains(&word.as_str()), "{word}");
    let plain = test
        .client
        .get(&format!("{path}/result"))
        .send()
        .await
        .expect(200);
    assert_eq!(plain.body, ended, "without failOn every end is 200");
    let failed = test.client.get(&format!("{path}/result?failOn={word}"));
    let failed = failed.refused(409, "operation-failed").await;
    assert_eq!(failed.body["operation"], ended);
    assert_eq!(failed.body["operationId"], ended["id"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_is_below_the_public_url() {
    let test = TestGateway::builder()
        .sim(|sim| sim.speed = 0.1)
        .config(|config| {
            config.server.public_url = Some(PUBLIC.parse().expect("a URL"));
            config.auth.tickets = true;
        })
        .start()
        .await;
    let asked = test.client.post(&plan("/test"));
    let asked = asked
        .header("prefer", "respond-async, ticket")
        .send()
        .await
        .expect(202);
    let location = asked.header("location").to_owned();
    let inner = location.strip_prefix(PUBLIC).expect("below the public URL");
    assert!(inner.contains("/result?ticket="), "{inner}");
    for link in ["self", "plan", "result", "cancel"] {
        let link = asked.body["links"][link].as_str().expect("a link");
        assert!(link.starts_with(PUBLIC), "{link}");
    }
    assert_open(&test.stranger().get(inner).send().await, &location);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_prefers_for_a_caller_that_cannot() {
    let test = TestGateway::builder()
        .sim(|sim| sim.plans = 12)
        .config(|config| {
            config.auth.tickets = true;
            config.auth.clients = vec![
                ClientConfig {
                    subject: "flow".to_owned(),
                    prefer: Asynchrony::Ticket,
                },
                ClientConfig {
                    subject: "app".to_owned(),
                    prefer: Asynchrony::Result,
                },
            ];
        })
        .start()
        .await;
    let plans = plans_of(&test, "ABC Company").await;
    let scope = "plans:read plans:test operations:read tenants:all";
    for ((subject, end), plan) in [("flow", "ticket="), ("app", "/result"), ("other", "")]
        .into_iter()
        .zip(&plans)
    {
        let client = test.client_as(&json!({"sub": subject, "scope": scope}));
        let path = format!("/api/v1/cloud-failover-plans/{plan}/test");
        let answer = client.post(&path).send().await.expect(202);
        let location = answer.header("location");
        assert!(location.contains(end), "{subject}: {location}");
        assert_eq!(
            location.contains("/result"),
            !end.is_empty(),
            "{subject}: {location}"
        );
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_of_one_who_polls_is_answered_like_the_first() {
    let test = slow_gateway().await;
    let ask = async |prefer: &str| {
        let request = test
            .client
            .post(&plan("/test"))
            .header("idempotency-key", "run-7");
        request.header("prefer", prefer).send().await
    };
    let first = ask("respond-async").await.expect(202);
    let again = ask("respond-async").await.expect(202);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("location"), first.header("location"));
    // Without the preference a repetition is 200, as it always was.
    ask("wait=0").await.expect(200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_comes_with_an_end_that_was_waited_for_as_with_an_open_operation() {
    let builder = TestGateway::builder().config(|config| config.auth.tickets = true);
    let test = builder.start().await;
    let ask = async || {
        let request = test
            .client
            .post(&plan("/test"))
            .header("idempotency-key", "run-8");
        request
            .header("prefer", "respond-async, ticket, wait=50")
            .send()
            .await
    };
    for _ in 0..2 {
        let done = ask().await.expect(200);
        assert_eq!(
            done.header("preference-applied"),
            "respond-async, ticket, wait=50"
        );
        let location = done.header("location");
        assert!(location.contains("/result?ticket="), "{location}");
        let read = test.stranger().get(location).send().await.expect(200);
        assert_eq!(read.body["result"], done.body["result"]);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_not_ready_says_when_to_come_again() {
    let test = TestGateway::builder()
        .config(|config| config.policies = Policies::default())
        .unready()
        .start()
        .await;
    let readiness = test.stranger().get("/readyz").send().await;
    let expected = if readiness.status == 503 { "5" } else { "" };
    assert_eq!(readiness.header("retry-after"), expected);
    test.stop().await;
}

/// How a platform follows the answer to its action, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub enum Platform {
    /// Sends its token with every request; a 202 leads on to `Location`, 200 is the end, anything else an error.
    LogicApps,
    /// The same, without the token when it polls.
    PowerAutomate,
}

/// What a run came to, as the platform sees it.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The last answer, which the platform takes for the result.
    Result(Value),
    Error(String),
}

/// Follows the answer to an action as the platform does; `before` is told the number of each poll.
pub async fn follow(
    test: &TestGateway,
    platform: Platform,
    mut answer: Answer,
    mut before: impl AsyncFnMut(u32),
) -> End {
    let poller: Client = match platform {
        Platform::LogicApps => test.client.clone(),
        Platform::PowerAutomate => test.stranger(),
    };
    let mut polls = 0;
    let end = eventually(
        "the end of a run",
        async || {
            polls += 1;
            before(polls).await;
            if answer.status != 202 {
                return Some(match answer.status {
                    200 => End::Result(answer.body.clone()),
                    other => End::Error(format!("{other}: {}", answer.text)),
                });
            }
            let seconds: Result<u64, _> = answer.header("retry-after").parse();
            if seconds.is_err() {
                return Some(End::Error("no pause".to_owned()));
            }
            let location = answer.header("location").to_owned();
            answer = poller.get(&location).send().await;
            None
        },
        Option::is_some,
    )
    .await;
    end.expect("an end")
}

async fn run(test: &TestGateway, platform: Platform, plan: &str, number: u64) -> (Value, End) {
    let path = format!("/api/v1/cloud-failover-plans/{plan}/test");
    let key = format!("run-{number}");
    let ask = async || {
        let request = test.client.post(&path).header("idempotency-key", &key);
        request.header("prefer", "respond-async, ticket").send().await
    };
    // A failover that was stopped may keep its plan busy for a moment; the flow's own retry waits for that.
    // Enterprise Manager may refuse it as well, and the key is free again then.
    let is_busy = |answer: &Answer| {
        let code = answer.body["code"].as_str().unwrap_or_default();
        ["plan-busy", "upstream-rejected"].contains(&code)
    };
    let mut answer = eventually("the plan", &ask, |answer| !is_busy(answer)).await;
    // The platform repeats what it got no answer to.
    for _ in 0..number % 3 {
        answer = ask().await;
    }
    assert!(
        [200, 202].contains(&answer.status),
        "run {number}: {}",
        answer.text
    );
    let operation = id_of(&answer.body);
    let stopped = number.is_multiple_of(5);
    let end = follow(test, platform, answer, async |polls| {
        if stopped && polls == 3 {
            let path = format!("/api/v1/operations/{operation}/cancel");
            test.client.post(&path).send().await;
        }
    });
    let end = end.await;
    let path = format!("/api/v1/operations/{operation}");
    let real = test.client.get(&path).send().await.expect(200).body;
    (real, end)
}

/// `make prove` asks for 1,000.
fn runs() -> u64 {
    std::env::var("POLLING_RUNS").map_or(60, |count| count.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_that_poll_see_the_end_that_there_was() {
    let test = TestGateway::builder()
        .sim(|sim| {
            sim.plans = 48;
            sim.speed = 100.0;
        })
        .config(|config| config.auth.tickets = true)
        .start()
        .await;
    let mut plans = Vec::new();
    for page in 1..=2 {
        let list = test
            .client
            .get(&format!("/api/v1/cloud-failover-plans?page={page}"));
        let list = list.send().await.body;
        plans.extend(list["items"].as_array().into_iter().flatten().map(id_of));
    }
    plans.truncate(8);
    // Some fail whatever the machine's speed; a run that is stopped in time ends otherwise as well.
    for plan in plans.iter().step_by(4) {
        let wish = json!({"planId": plan, "result": "failed"});
        test.sim_control(reqwest::Method::POST, "outcomes", wish).await;
    }
    // One run of a plan at a time, as the plan's owner would have it.
    let lanes = plans.iter().enumerate().map(|(lane, plan)| {
        let (test, lanes) = (&test, plans.len() as u64);
        async move {
            let mut ends = Vec::new();
            for number in (lane as u64..runs()).step_by(lanes as usize) {
                let platform = if number.is_multiple_of(2) {
                    Platform::LogicApps
                } else {
                    Platform::PowerAutomate
                };
                ends.push((number, platform, run(test, platform, plan, number).await));
            }
            ends
        }
    });
    let ends: Vec<Vec<_>> = stream::iter(lanes).buffer_unordered(8).collect().await;
    let mut seen = 0;
    let mut results = std::collections::BTreeMap::<String, u64>::new();
    for (number, platform, (real, end)) in ends.into_iter().flatten() {
        let End::Result(shown) = end else {
            panic!("run {number} of {platform:?}: {end:?}");
        };
        assert_eq!(shown["state"], "finished", "run {number} of {platform:?}");
        assert_eq!(shown["id"], real["id"]);
        assert_eq!(shown["result"], real["result"], "run {number} of {platform:?}");
        *results.entry(shown["result"].to_string()).or_default() += 1;
        seen += 1;
    }
    assert_eq!(seen, runs());
    assert!(results.len() > 1, "runs of one kind only: {results:?}");
    test.stop().await;
}

#[rstest]
#[case::without_a_ticket("respond-async")]
#[case::of_nobody("respond-async, ticket")]
#[tokio::test(flavor = "multi_thread")]
async fn a_platform_without_token_and_ticket_sees_nothing(#[case] prefer: &str) {
    let test = slow_gateway().await;
    let asked = test.client.post(&plan("/test")).header("prefer", prefer);
    let location = asked.send().await.expect(202).header("location").to_owned();
    assert!(PATIENCE.as_secs() > 0 && location.contains("/result") && !PLAN.is_empty());
    test.stranger()
        .get(&location)
        .refused(401, "unauthenticated")
        .await;
    test.stop().await;
}
