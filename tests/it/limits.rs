//! How much one subject, one address or one tenant may ask for, and what answers say of it.

use std::num::NonZeroU32;

use rstest::rstest;
use serde_json::json;

use crate::support::client::Answer;
use crate::support::{Client, TestGateway, plan};

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

/// Slow to refill, so that nothing comes back while a test runs.
async fn gateway(burst: u32, actions: u32, anonymous: u32) -> TestGateway {
    let builder = TestGateway::builder().config(move |config| {
        let limits = &mut config.server.limits;
        limits.requests_per_minute = count(1);
        limits.burst = count(burst);
        limits.actions_per_minute = count(actions);
        limits.anonymous_per_minute = count(anonymous);
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    });
    builder.unready().start().await
}

fn subject(test: &TestGateway, name: &str) -> Client {
    test.client_as(&json!({"sub": name, "scope": "plans:read plans:test plans:undo operations:read em:read em:write tenants:all"}))
}

/// Asserts a 429 with the time to wait.
fn assert_limited(answer: Answer) -> Answer {
    let answer = answer.expect_problem(429, "rate-limited");
    let seconds: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((1..=61).contains(&seconds), "{seconds}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_is_refused_beyond_its_burst_and_others_are_not() {
    let test = gateway(3, 10, 10).await;
    let ann = subject(&test, "ann");
    for left in ["2", "1", "0"] {
        let answer = ann.get("/api/v1/me").send().await.expect(200);
        let standing = answer.header("ratelimit");
        assert!(
            standing.starts_with(&format!("\"requests\";r={left};t=")),
            "{standing}"
        );
    }
    let refused = assert_limited(ann.get("/api/v1/me").send().await);
    assert!(
        refused.header("ratelimit").starts_with("\"requests\";r=0;t=180"),
        "{}",
        refused.header("ratelimit")
    );
    // Another token of the same subject has no burst of its own.
    let other_token = test.client_as(&json!({"sub": "ann", "jti": "another"}));
    assert_limited(other_token.get("/api/v1/me").send().await);
    subject(&test, "bob").get("/api/v1/me").send().await.expect(200);
    test.stop().await;
}

#[rstest]
#[case::answered("/api/v1/operations", 200)]
#[case::not_found("/api/v1/nothing", 404)]
#[case::forbidden("/api/v1/events", 403)]
#[case::invalid("/api/v1/operations?nothing=1", 422)]
#[case::no_method("/api/v1/me/", 404)]
#[tokio::test(flavor = "multi_thread")]
async fn every_authenticated_answer_says_what_is_left(#[case] path: &str, #[case] status: u16) {
    let test = gateway(10, 10, 10).await;
    let answer = subject(&test, "ann").get(path).send().await.expect(status);
    assert_eq!(
        answer.header("ratelimit-policy"),
        "\"requests\";q=1;w=60;burst=10, \"actions\";q=10;w=60"
    );
    assert!(
        answer.header("ratelimit").starts_with("\"requests\";r=9;t="),
        "{}",
        answer.header("ratelimit")
    );
    let stranger = test.stranger().get("/api/v1/operations").send().await.expect(401);
    assert_eq!(
        (stranger.header("ratelimit"), stranger.header("ratelimit-policy")),
        ("", "")
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_have_a_limit_of_their_own_through_the_mirror_too() {
    let test = gateway(100, 2, 10).await;
    let ann = subject(&test, "ann");
    let answer = ann.post(&plan("/test")).send().await;
    assert_ne!(answer.status, 429, "{}", answer.text);
    let standing = answer.header("ratelimit");
    assert!(standing.contains(", \"actions\";r=1;t="), "{standing}");
    let written = ann
        .post("/api/v1/em/jobs/1d4f2b0c-1f3b-4a5c-9c3e-5b8f0a7d6e21?action=start")
        .send()
        .await;
    assert_ne!(written.status, 429, "{}", written.text);
    let refused = assert_limited(ann.post(&plan("/undo")).send().await);
    assert!(
        refused.header("ratelimit").contains("\"actions\";r=0;t="),
        "{}",
        refused.header("ratelimit")
    );
    assert_limited(
        ann.post("/api/v1/em/jobs/1d4f2b0c-1f3b-4a5c-9c3e-5b8f0a7d6e21?action=start")
            .send()
            .await,
    );
    let read = ann.get("/api/v1/operations").send().await.expect(200);
    assert!(
        !read.header("ratelimit").contains("actions"),
        "{}",
        read.header("ratelimit")
    );
    let cancelled = ann
        .post("/api/v1/operations/0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01/cancel")
        .send()
        .await;
    assert_ne!(cancelled.status, 429, "stopping is always possible");
    // Who may not act has no action counted.
    let reader = test.client_as(&json!({"sub": "reader", "scope": "plans:read tenants:all"}));
    for _ in 0..5 {
        reader
            .post(&plan("/test"))
            .refused(403, "insufficient-scope")
            .await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_refused_after_too_many_bad_tokens_and_good_ones_are_not() {
    let test = gateway(100, 10, 4).await;
    let guesser = test.client.with_token(Some("a.b.c".to_owned()));
    for _ in 0..2 {
        guesser.get("/api/v1/me").refused(401, "unauthenticated").await;
        test.stranger()
            .get("/api/v1/nothing")
            .refused(401, "unauthenticated")
            .await;
    }
    let refused = assert_limited(guesser.get("/api/v1/me").send().await);
    assert_eq!(refused.header("www-authenticate"), "");
    assert_limited(test.stranger().get("/api/v1/me").send().await);
    assert_limited(test.stranger().get("/problems/plan-busy").send().await);
    assert_limited(test.stranger().get("/openapi.json").send().await);
    for probe in ["/healthz", "/readyz", "/metrics"] {
        for _ in 0..10 {
            let answer = test.stranger().get(probe).send().await;
            assert_ne!(answer.status, 429, "{probe}");
        }
    }
    subject(&test, "ann").get("/api/v1/me").send().await.expect(200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_behind_a_trusted_proxy_are_limited_one_by_one() {
    let test = gateway(100, 10, 1).await;
    let from = async |address: &str| {
        let request = test
            .stranger()
            .get("/problems/plan-busy")
            .header("x-forwarded-for", address);
        request.send().await.status
    };
    assert_eq!(from("192.0.2.1").await, 200);
    assert_eq!(from("192.0.2.1").await, 429);
    assert_eq!(from("192.0.2.2").await, 200);
    assert_eq!(from("2001:db8::1").await, 200);
    assert_eq!(from("2001:db8::2").await, 429, "the same network");
    assert_eq!(from("2001:db8:0:1::1").await, 200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_endpoints_than_the_limit() {
    let builder = TestGateway::builder().config(|config| {
        config.server.limits.endpoints = 2;
        config.webhooks.allow_private_networks = true;
        config.webhooks.allow_http = true;
    });
    let test = builder.start().await;
    let hook = json!({"url": "http://127.0.0.1:9/hook"});
    let make = async || {
        test.client
            .post("/api/v1/webhook-endpoints")
            .json(&hook)
            .send()
            .await
    };
    let first = make().await.expect(201);
    make().await.expect(201);
    let refused = make().await.expect_problem(429, "rate-limited");
    let detail = refused.body["detail"].as_str().expect("a detail");
    assert!(
        detail.contains("2 webhook endpoints")
            && detail.contains("delete one")
            && detail.contains("waiting alone"),
        "{detail}"
    );
    // Time makes no room: who goes by the header alone does not ask every second.
    assert_eq!(refused.header("retry-after"), "3600");
    test.client
        .request("DELETE", first.header("location"))
        .send()
        .await
        .expect(204);
    make().await.expect(201);
    test.stop().await;
}
