//! Answers that are remembered as answers: who gets them, and what ends the memory.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::{Client, PLAN, TestGateway};
use crate::tenants::confined;

const PLANS: &str = "/api/v1/cloud-failover-plans";

/// A gateway that remembers what Enterprise Manager answered for long.
async fn remembering() -> TestGateway {
    TestGateway::builder()
        .sim(|sim| sim.plans = 8)
        .config(|config| config.upstream.cache_ttl = Duration::from_mins(10))
        .start()
        .await
}

async fn read(client: &Client, path: &str) -> Answer {
    client.get(path).send().await.expect(200)
}

/// How often Enterprise Manager was asked for plans.
async fn reads_at_em(test: &TestGateway) -> u64 {
    let stats = test.sim_control(reqwest::Method::GET, "stats", Value::Null).await;
    let requests = stats["requests"].as_object().expect("counts").clone();
    let of_plans = requests.iter().filter(|(request, _)| {
        request.starts_with("GET /api/cloud") || request.starts_with("GET /api/query")
    });
    let counts = of_plans.map(|(_, count)| count.as_u64().expect("a count"));
    counts.sum()
}

/// The tenants of the plans on a page, each once.
fn tenants_on(answer: &Answer) -> Vec<&Value> {
    let plans = answer.body["items"].as_array().expect("plans").iter();
    let mut names: Vec<&Value> = plans.map(|plan| &plan["tenant"]["name"]).collect();
    names.dedup();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_answer_is_the_same_bytes() {
    let test = remembering().await;
    for path in [
        PLANS,
        &format!("{PLANS}?pageSize=3&page=2"),
        &format!("{PLANS}/{PLAN}"),
        "/api/v1/failover-plans",
        "/api/v1/failover-sessions",
        "/api/v1/operations",
        "/api/v1/events",
        &format!("/api/v1/em/cloud/cloudFailoverPlans/{PLAN}?format=Entity"),
        "/api/v1/em/query?type=CloudFailoverPlan&format=Entities",
    ] {
        let first = read(&test.client, path).await;
        assert_eq!(first.text, read(&test.client, path).await.text, "{path}");
        let asked = test
            .client
            .get(path)
            .header("accept-encoding", "gzip")
            .into_inner();
        let packed = asked.send().await.expect("an answer");
        let tagged = packed
            .headers()
            .get("etag")
            .is_some_and(|tag| !tag.as_bytes().starts_with(b"W/"));
        let encoded = packed.headers().get("content-encoding").is_some();
        assert_eq!(encoded, !tagged && first.text.len() > 32, "{path}");
        if encoded {
            assert_eq!(packed.headers()["content-encoding"], "gzip", "{path}");
            assert_eq!(packed.headers()["vary"], "accept-encoding", "{path}");
            assert_eq!(
                unpacked(&packed.bytes().await.expect("a body")),
                first.text,
                "{path}"
            );
        }
    }
    test.stop().await;
}

fn unpacked(bytes: &[u8]) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    let mut reader = flate2::read::GzDecoder::new(bytes);
    reader.read_to_string(&mut text).expect("gzip of text");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_given_an_answer_that_was_made_for_others() {
    let test = remembering().await;
    let (abc, nordwind) = (
        confined(&test, &["ABC Company"]),
        confined(&test, &["Nordwind Klinik"]),
    );
    let none = confined(&test, &["nobody"]);
    // Twice, in both orders: what one was given is remembered when the other asks.
    for _ in 0..2 {
        assert!(tenants_on(&read(&test.client, PLANS).await).len() > 2);
        assert_eq!(tenants_on(&read(&abc, PLANS).await), [&json!("ABC Company")]);
        assert_eq!(
            tenants_on(&read(&nordwind, PLANS).await),
            [&json!("Nordwind Klinik")]
        );
        assert_eq!(read(&none, PLANS).await.body["items"], json!([]));
        for client in [&nordwind, &none] {
            client
                .get(&format!("{PLANS}/{PLAN}"))
                .refused(404, "not-found")
                .await;
        }
        read(&abc, &format!("{PLANS}/{PLAN}")).await;
        read(&test.client, &format!("{PLANS}/{PLAN}")).await;
        // Whoever lacks the scope is refused, remembered or not.
        let other = test.client_as(&json!({"sub": "ann", "scope": "events:read tenants:all"}));
        other.get(PLANS).refused(403, "insufficient-scope").await;
    }
    test.client
        .post(&format!("{PLANS}/{PLAN}/test"))
        .send()
        .await
        .expect(202);
    for _ in 0..2 {
        let count =
            async |client: &Client, path| read(client, path).await.body["items"].as_array().map(Vec::len);
        assert_eq!(count(&test.client, "/api/v1/operations").await, Some(1));
        assert_eq!(count(&abc, "/api/v1/operations").await, Some(1));
        assert_eq!(count(&nordwind, "/api/v1/operations").await, Some(0));
        assert_eq!(count(&nordwind, "/api/v1/events").await, Some(0));
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_ends_the_memory_of_what_it_may_have_changed() {
    let test = remembering().await;
    let path = format!("{PLANS}/{PLAN}");
    let mut plan = read(&test.client, &path).await.body;
    let listed = |answer: &Answer| {
        let plans = answer.body["items"].as_array().expect("plans");
        let own = plans.iter().find(|plan| plan["id"] == PLAN).expect("the plan");
        own["preFailoverCommand"]["enabled"].clone()
    };
    assert_eq!(listed(&read(&test.client, PLANS).await), json!(false));
    plan["preFailoverCommand"] = json!({"enabled": true, "command": "C:\\\\before.cmd"});
    test.client
        .request("PUT", &path)
        .header("prefer", "wait=30")
        .json(&plan)
        .send()
        .await
        .expect(200);
    assert_eq!(
        read(&test.client, &path).await.body["preFailoverCommand"]["enabled"],
        json!(true)
    );
    assert_eq!(listed(&read(&test.client, PLANS).await), json!(true));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_polls_cost_enterprise_manager_what_one_does() {
    const POLLERS: usize = 100;
    let test = TestGateway::builder()
        .config(|config| {
            config.upstream.cache_ttl = Duration::from_mins(10);
            // Its own looks are not what is counted.
            config.watch.idle_interval = Duration::from_mins(30);
        })
        .start()
        .await;
    let mirrored = format!("/api/v1/em/cloud/cloudFailoverPlans/{PLAN}?format=Entity");
    for path in [PLANS, &format!("{PLANS}/{PLAN}"), &mirrored] {
        let before = reads_at_em(&test).await;
        let pollers = (0..POLLERS).map(async |number| {
            let claims =
                json!({"sub": format!("poller {number}"), "scope": "plans:read em:read tenants:all"});
            let poller = test.client_as(&claims);
            let first = read(&poller, path).await;
            for _ in 1..1_000 / POLLERS {
                assert_eq!(read(&poller, path).await.body, first.body);
            }
            first.body
        });
        let answers = futures_util::future::join_all(pollers).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        assert_eq!(reads_at_em(&test).await, before + 1, "{path}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_memory_each_read_asks_and_what_changed_is_shown_at_once() {
    let test = TestGateway::builder()
        .config(|config| {
            config.upstream.cache_ttl = Duration::ZERO;
            config.watch.idle_interval = Duration::from_mins(30);
        })
        .start()
        .await;
    let path = format!("{PLANS}/{PLAN}");
    let mirrored = format!("/api/v1/em/cloud/cloudFailoverPlans/{PLAN}?format=Entity");
    let owner = confined(&test, &["ABC Company"]);
    let asked = [
        (&test.client, PLANS),
        (&test.client, &path),
        (&test.client, &mirrored),
        (&owner, &path),
    ];
    let read_all = async || {
        let mut bodies = Vec::new();
        for (client, path) in asked {
            let before = reads_at_em(&test).await;
            bodies.push(read(client, path).await.body);
            assert!(reads_at_em(&test).await > before, "{path}");
        }
        bodies
    };
    // The same bytes of Enterprise Manager's are the same answers.
    let first = read_all().await;
    assert_eq!(read_all().await, first);
    let mut plan = read(&test.client, &path).await.body;
    plan["preFailoverCommand"] = json!({"enabled": true, "command": "C:\\before.cmd"});
    let edit = test.client.request("PUT", &path).header("prefer", "wait=30");
    edit.json(&plan).send().await.expect(200);
    let changed = read_all().await;
    for (now, before) in changed.iter().zip(&first) {
        assert_ne!(now, before);
        assert!(now.to_string().contains("before.cmd"), "{now}");
    }
    assert_eq!(read_all().await, changed);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_the_store_shows_every_commit_at_once() {
    let test = remembering().await;
    let operations = "/api/v1/operations";
    assert_eq!(read(&test.client, operations).await.body["items"], json!([]));
    let made = test
        .client
        .post(&format!("{PLANS}/{PLAN}/test"))
        .send()
        .await
        .expect(202);
    let list = read(&test.client, operations).await;
    assert_eq!(list.body["items"][0]["id"], made.body["id"]);
    test.until(made.header("location"), |operation| {
        operation["state"] == "finished"
    })
    .await;
    let list = read(&test.client, operations).await;
    assert_eq!(list.body["items"][0]["state"], "finished");
    assert_eq!(list.body["items"][0]["session"]["state"], "stopped");
    let events = read(&test.client, "/api/v1/events").await;
    let last = events.body["items"]
        .as_array()
        .expect("events")
        .last()
        .expect("one");
    assert_eq!(last["type"], "failover.session.finished");
    assert_eq!(last["id"], list.header("emgate-event-id"));
    test.stop().await;
}
