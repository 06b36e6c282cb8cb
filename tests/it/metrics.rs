//! The table of metrics beside gateways that run: each of its rows appears in a scrape with the labels that it names, and the
//! number of series stays bounded whatever there is and whoever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use emgate::telemetry::{Kind, METRICS, Metric};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::client_commands::certified;
use crate::support::receiver::WebhookReceiver;
use crate::support::sse::Stream;
use crate::support::world::World;
use crate::support::{PLAN, client, idp, seconds_now, token};
use crate::waiting::eventually;

/// What a scrape has at the most (docs/operations.md#metrics-and-alerts), and what it has with series for each plan.
const MOST_SERIES: usize = 2_000;
const MOST_SERIES_WITH_PLANS: usize = 6_000;

/// The longest time that a scrape takes, the best of several on a machine that others use as well.
const SCRAPE: Duration = Duration::from_millis(20);

/// Series for each plan, and something that is wanted of every plan.
const PER_PLAN: [&str; 4] = [
    "EMGATE_METRICS__PER_PLAN=true",
    "EMGATE_REPORTS__OBJECTIVES__RTO=4h",
    "EMGATE_REPORTS__OBJECTIVES__RPO=24h",
    "EMGATE_REPORTS__OBJECTIVES__TEST_EVERY=30d",
];

/// What the series of a plan begins with, that every plan has.
const LAST_TEST: &str = "emgate_plan_last_test_timestamp_seconds{plan_id=";

/// The labels of each family that was seen.
type Seen = BTreeMap<String, BTreeSet<String>>;

/// Lines of a scrape that are samples.
fn samples(scrape: &str) -> impl Iterator<Item = &str> {
    scrape
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Adds the families of a scrape, and the names of their labels.
fn note(seen: &mut Seen, scrape: &str) {
    for line in samples(scrape) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).expect("a value"));
        let labels = rest
            .strip_prefix('{')
            .map_or("", |rest| rest.rsplit_once('}').expect("an end").0);
        let family = seen.entry(name.to_owned()).or_default();
        // No value here holds a comma within a name's quotes that is followed by a name.
        let names = labels.split("\",").filter_map(|pair| pair.split_once("=\""));
        family.extend(names.map(|(name, _)| name.to_owned()).filter(|name| name != "le"));
    }
}

fn shown<'a>(seen: &'a Seen, metric: &Metric) -> Option<&'a BTreeSet<String>> {
    match metric.kind {
        Kind::Counter | Kind::Gauge => seen.get(metric.name),
        Kind::Histogram => seen.get(&format!("{}_bucket", metric.name)),
    }
}

/// The rows that were not seen.
fn missing(seen: &Seen) -> Vec<&'static str> {
    let rows = METRICS.iter().filter(|metric| shown(seen, metric).is_none());
    rows.map(|metric| metric.name).collect()
}

async fn scrape(world: &World) -> String {
    let answer = client::plain().get(world.gateway.url("/metrics")).send().await;
    answer.expect("an answer").text().await.expect("a scrape")
}

/// Asks something by a token of these claims, whatever comes of it.
async fn ask(world: &World, method: &str, path: &str, claims: &Value, body: Option<&Value>) -> u16 {
    let method: reqwest::Method = method.parse().expect("a method");
    let mut request = client::plain()
        .request(method, world.gateway.url(path))
        .bearer_auth(token(claims));
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    request.send().await.expect("an answer").status().as_u16()
}

/// A failover as if from the console, of which Enterprise Manager's record is so.
async fn damaged(world: &World, kind: &str) {
    let made = client::plain()
        .post(world.simulator.url("/_sim/failovers"))
        .body(json!({"planId": PLAN, "seconds": 600}).to_string());
    let made = made
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body");
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let wish = json!({"id": made["sessionId"], "kind": kind, "alone": true});
    world.control("damage", &wish).await;
}

/// What makes a gateway show of itself what it does not show by running.
async fn exercise(world: &World, receiver: &WebhookReceiver) {
    let endpoint = json!({"url": receiver.url(), "description": "all"});
    let (status, made) = world.post("/api/v1/webhook-endpoints", &endpoint).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().expect("an id");
    world
        .post(&format!("/api/v1/webhook-endpoints/{id}/test"), &json!({}))
        .await;
    // Twice within the time of the cache.
    for _ in 0..2 {
        world.get(&format!("/api/v1/cloud-failover-plans/{PLAN}")).await;
    }
    world
        .ask("/api/v1/operations/0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01")
        .await;
    assert_eq!(world.post("/api/v1/stream-tickets", &json!({})).await.0, 201);
    let short =
        token(&json!({"sub": "reader", "scope": "events:read tenants:all", "exp": seconds_now() + 2}));
    let stream = client::plain()
        .get(world.gateway.url("/api/v1/events/stream"))
        .bearer_auth(short);
    let mut stream = Stream::open(stream).await;
    while stream.next().await.is_some() {}
    for kind in ["badEntity", "wrongTypes", "laterPart"] {
        damaged(world, kind).await;
    }
}

/// Tests a plan, and waits for the report.
async fn test_a_plan(world: &World) {
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let (status, asked) = world.post(&path, &json!({})).await;
    assert_eq!(status, 202, "{asked}");
    let path = format!(
        "/api/v1/operations/{}/report",
        asked["id"].as_str().expect("an id")
    );
    eventually(
        "a report",
        async || world.ask(&path).await,
        |(status, ..)| *status == 200,
    )
    .await;
}

/// Changes the store behind the gateway's back.
async fn change_the_store(world: &World, statement: impl Into<String>) {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", world.folder().join("emgate.db").display());
    let mut other = sqlx::AnyConnection::connect(&url)
        .await
        .expect("a second connection");
    sqlx::query(sqlx::AssertSqlSafe(statement.into()))
        .execute(&mut other)
        .await
        .expect("changed");
    other.close().await.expect("closed");
}

/// Damages the store's row of an operation, and has it read.
async fn read_a_damaged_row(world: &World, operation: &str) {
    change_the_store(world, "update operations set metadata = '{'").await;
    let (status, _, _) = world.ask(&format!("/api/v1/operations/{operation}")).await;
    assert_eq!(status, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_table_appears_in_a_scrape_with_its_labels() {
    let key = idp::Pair::new(Algorithm::ES256).jwk_with(&json!({"kid": "k1"}));
    let issuer = format!("EMGATE_AUTH__ISSUERS__0__ISSUER={}", idp::publish(&[key]).await);
    let mut starter = vec!["env", &issuer, "EMGATE_AUTH__ISSUERS__0__AUDIENCE__0=emgate"];
    starter.extend(PER_PLAN);
    let world = World::start_by(&starter, &["--speed", "20"]).await;
    let mut seen = Seen::new();
    let receiver = WebhookReceiver::start().await;
    test_a_plan(&world).await;
    exercise(&world, &receiver).await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/undo");
    let (status, asked) = world.post(&path, &json!({})).await;
    let operation = asked["id"].as_str().or(asked["operationId"].as_str());
    let operation = operation.unwrap_or_else(|| panic!("{status}: {asked}"));
    read_a_damaged_row(&world, operation).await;
    let seen_so_far = async || {
        note(&mut seen, &scrape(&world).await);
        missing(&seen)
    };
    // Certificates are those of a gateway that has one.
    let of_tls = "emgate_certificate_expiry_timestamp_seconds";
    eventually("all rows but one", seen_so_far, |missing| missing == &[of_tls]).await;

    let folder = tempfile::tempdir().expect("a folder");
    let (_, [chain, key]) = certified(folder.path());
    let served = World::begin_by(&["env", &chain, &key], &[]);
    let over_tls = reqwest::Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .expect("a client");
    let url = format!("https://{}/metrics", served.gateway.addr);
    let all = async || {
        let answer = over_tls.get(&url).send().await.expect("an answer");
        note(&mut seen, &answer.text().await.expect("a scrape"));
        missing(&seen)
    };
    eventually("all rows", all, Vec::is_empty).await;
    for metric in METRICS {
        let labels = shown(&seen, metric).expect(metric.name);
        let named: BTreeSet<String> = metric.labels.iter().map(|&label| label.to_owned()).collect();
        assert_eq!(labels, &named, "{}", metric.name);
    }
    let known = |name: &String| METRICS.iter().any(|metric| name.starts_with(metric.name));
    let unknown: Vec<&String> = seen
        .keys()
        .filter(|name| name.starts_with("emgate_") && !known(name))
        .collect();
    assert_eq!(unknown, Vec::<&String>::new(), "not in the table");
}

/// EM's type of a cloud plan that is read by itself.
const ENTITY: &str = "CloudFailoverPlanEntityType";

/// How often elements that the catalogue does not know were counted in documents of this type.
fn unknown_in(kind: &str, scrape: &str) -> u64 {
    let series = format!("emgate_transcode_unknown_total{{type=\"{kind}\",");
    let counts = samples(scrape).filter(|line| line.starts_with(&series));
    let counts = counts.map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.map(|count| count.expect("a count")).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_catalogue_does_not_know_is_counted_when_it_is_decoded() {
    let asks_each_time = ["env", "EMGATE_UPSTREAM__CACHE_TTL=0s"];
    let world = World::start_by(&asks_each_time, &["--plain", "--unknown-elements"]).await;
    let mirrored = format!("/api/v1/em/cloud/cloudFailoverPlans/{PLAN}?format=Entity");
    let read_and_count = async || {
        let document = world.get(&mirrored).await;
        assert!(document["addedInALaterVersion"].is_object(), "{document}");
        unknown_in(ENTITY, &scrape(&world).await)
    };
    assert_eq!(read_and_count().await, 1);
    assert_eq!(read_and_count().await, 1, "the same bytes again");
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}");
    let mut plan = world.get(&path).await;
    plan["postFailoverCommand"] = json!({"enabled": true, "command": "C:\\after.cmd"});
    let claims = json!({"sub": "editor", "scope": "plans:read plans:write operations:read tenants:all"});
    let edited = ask(&world, "PUT", &path, &claims, Some(&plan)).await;
    assert_eq!(edited, 202);
    world
        .until("/api/v1/operations?state=submitting,running", |list| {
            list["items"] == json!([])
        })
        .await;
    let before = unknown_in(ENTITY, &scrape(&world).await);
    assert_eq!(read_and_count().await, before + 1, "other bytes");
    assert_eq!(read_and_count().await, before + 1);
}

/// The series of each family.
fn count(scrape: &str) -> BTreeMap<&str, usize> {
    let mut of = BTreeMap::new();
    for line in samples(scrape) {
        *of.entry(line.split(['{', ' ']).next().unwrap_or_default())
            .or_default() += 1;
    }
    of
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_with_a_thousand_tested_plans_is_bounded_and_quick() {
    let mut starter = vec!["env"];
    starter.extend(PER_PLAN);
    let world = World::start_by(&starter, &["--speed", "50", "--plans", "1000"]).await;
    test_a_plan(&world).await;
    let plan_series = |scrape: &str| {
        samples(scrape)
            .filter(|line| line.starts_with("emgate_plan_"))
            .count()
    };
    let shown = async || scrape(&world).await;
    let tested = format!("emgate_plan_recovery_time_seconds{{plan_id=\"{PLAN}\"");
    let first = eventually("the test", shown, |scrape| scrape.contains(&tested)).await;
    let families = count(&first);
    assert_eq!(
        families["emgate_plan_recovery_time_seconds"], 1,
        "of the plan that was tested"
    );
    // As if every plan had been: each has six series then, and not all plans fit.
    let plans = samples(&first).filter_map(|line| line.strip_prefix(LAST_TEST)?.split('"').nth(1));
    let rows = plans.filter(|plan| *plan != PLAN).map(|plan| {
        format!(
            "('rep_{plan}', 'main', '{plan}', 'test', '{plan}', 1800000000000000, '{{}}', 'reported', 1, 'passed', 61500, \
             3600000, 1)"
        )
    });
    let rows: Vec<String> = rows.collect();
    assert!(rows.len() >= 600, "{} plans", rows.len());
    let columns = "id, upstream_id, session_key, action, plan_key, started_at, asked, state, revision, outcome, rta_ms, \
                   rpa_ms, machines";
    let statement = format!("insert into recovery_runs ({columns}) values {}", rows.join(", "));
    change_the_store(&world, statement).await;
    // A commit of the gateway's own has it look.
    let endpoint = json!({"url": "http://127.0.0.1:9/hook"});
    assert_eq!(world.post("/api/v1/webhook-endpoints", &endpoint).await.0, 201);
    let is_full = |scrape: &String| plan_series(scrape) > 3_990;
    let full = eventually("all that fits", shown, is_full).await;
    let (of, own) = (count(&full), plan_series(&full));
    let all: usize = of.values().sum();
    assert!(
        own <= 4_000 && all <= MOST_SERIES_WITH_PLANS,
        "{all} series, {own} of plans: {of:#?}"
    );
    let mut quickest = Duration::MAX;
    for _ in 0..20 {
        let begun = Instant::now();
        scrape(&world).await;
        quickest = quickest.min(begun.elapsed());
    }
    println!("{all} series in {quickest:?}");
    assert!(quickest <= SCRAPE, "a scrape of {all} series takes {quickest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_is_bounded_however_much_there_is_and_whoever_asks() {
    let world = World::start(&["--speed", "50", "--plans", "1000"]).await;
    let receiver = WebhookReceiver::start().await;
    let mut plans = Vec::new();
    for page in 1..=10 {
        let page = world
            .get(&format!("/api/v1/cloud-failover-plans?pageSize=100&page={page}"))
            .await;
        let items = page["items"].as_array().expect("items").iter();
        plans.extend(items.map(|plan| plan["id"].as_str().expect("an id").to_owned()));
    }
    assert!(plans.len() >= 500, "{}", plans.len());
    let everything = "plans:read plans:test plans:start plans:undo plans:write sessions:read operations:read \
                      operations:cancel events:read webhooks:read webhooks:write em:read em:write audit:read \
                      plans:approve tenants:all";
    let caller = |number: usize| json!({"sub": format!("caller-{number}"), "scope": everything});
    for (number, plan) in plans.iter().enumerate().take(60) {
        let endpoint = json!({"url": receiver.url(), "description": format!("endpoint {number}")});
        let made = ask(
            &world,
            "POST",
            "/api/v1/webhook-endpoints",
            &caller(number),
            Some(&endpoint),
        )
        .await;
        assert_eq!(made, 201);
        let path = format!("/api/v1/cloud-failover-plans/{plan}/test");
        assert_eq!(ask(&world, "POST", &path, &caller(number), None).await, 202);
        ask(
            &world,
            "GET",
            &format!("/nowhere/{number}"),
            &caller(number),
            None,
        )
        .await;
        ask(
            &world,
            &format!("METHOD{number}"),
            "/api/v1/operations",
            &caller(number),
            None,
        )
        .await;
    }
    // Every operation of the document, by an id that is nothing's; of the mirror every path.
    let document = world.get("/openapi.json").await;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let path = path.split('/').map(|part| match part.strip_prefix('{') {
            Some(_) => "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
            None => part,
        });
        let path = path.collect::<Vec<_>>().join("/");
        // A stream does not end.
        if path.ends_with("/stream") {
            continue;
        }
        for method in item.as_object().expect("operations").keys() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                let is_mirror = path.contains("/em/");
                let method = method.to_uppercase();
                if !is_mirror || method == "GET" {
                    ask(&world, &method, &path, &caller(0), None).await;
                }
            }
        }
    }
    world
        .until("/api/v1/operations?state=submitting,running", |list| {
            list["items"] == json!([])
        })
        .await;
    let text = scrape(&world).await;
    let of = count(&text);
    let series: usize = of.values().sum();
    println!("{series} series");
    assert!(series <= MOST_SERIES, "{series} series: {of:#?}");
    for id in plans.iter().take(60) {
        assert!(!text.contains(id.as_str()), "the id of a plan is a label");
    }
    for word in ["caller-", "endpoint 1", "ep_", "METHOD", "/nowhere/"] {
        assert!(!text.contains(word), "{word} is in a label");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_a_listener_of_their_own_are_there_alone_for_who_has_the_token() {
    let word = "a-word-of-prometheus";
    let token = format!("EMGATE_METRICS__TOKEN={word}");
    let mut world = World::begin_by(&["env", "EMGATE_METRICS__LISTEN=127.0.0.1:0", &token], &[]);
    let line = world
        .gateway
        .wait_for_line("metrics have a listener of their own");
    let own = format!("http://{}", line["listen"].as_str().expect("an address"));
    // While the store is opened, and afterwards.
    for _ in 0..2 {
        let (status, _, problem) = world.ask("/metrics").await;
        assert_eq!(
            (status, &problem["code"]),
            (404, &json!("not-found")),
            "{problem}"
        );
        world.wait_until_ready().await;
    }
    let ask = async |path: &str, token: Option<&str>| {
        let request = client::plain().get(format!("{own}{path}"));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        let challenge = answer.headers().contains_key("www-authenticate");
        let status = answer.status().as_u16();
        (status, challenge, answer.text().await.expect("a body"))
    };
    for wrong in [None, Some("another-word"), Some(""), Some(world.token.as_str())] {
        let (status, challenge, body) = ask("/metrics", wrong).await;
        assert_eq!((status, challenge), (401, true), "{wrong:?}: {body}");
        assert!(body.contains("unauthenticated") && !body.contains(word), "{body}");
    }
    let (status, _, scrape) = ask("/metrics", Some(word)).await;
    assert_eq!(status, 200, "{scrape}");
    assert!(scrape.contains("emgate_build_info"), "{scrape}");
    for path in ["/healthz", "/api/v1/me", "/"] {
        assert_eq!(ask(path, Some(word)).await.0, 404, "{path}");
    }
}
