//! Traces over real processes: what a collector gets of a test of a plan, and what it costs when the collector fails
//! (docs/operations.md#traces).

use rstest::rstest;
use serde_json::json;

use crate::support::collector::{Collector, Manner, Recorded};
use crate::support::receiver::WebhookReceiver;
use crate::support::scripted_server::ScriptedServer;
use crate::support::world::{World, simulator};
use crate::support::{PLAN, client};
use crate::waiting::{eventually, holds};

/// The caller's own trace, and the span in which it asks.
const CALLER: (&str, &str) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");

/// Spans leave soon, so that tests need not wait for them.
const SOON: &str = "OTEL_BSP_SCHEDULE_DELAY=100";

fn named<'s>(spans: &'s [Recorded], name: &str) -> Vec<&'s Recorded> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// The names from a span up to the first of its trace.
fn line(spans: &[Recorded], from: &Recorded) -> Vec<String> {
    let parent = |span: &Recorded| {
        spans
            .iter()
            .find(|other| other.context() == (span.trace.clone(), span.parent.clone()))
    };
    let up = std::iter::successors(Some(from), |span| parent(span));
    up.map(|span| span.name.clone()).collect()
}

const REQUEST: &str = "POST /api/v1/cloud-failover-plans/{planId}/test";
const EM_REQUEST: &str = "EM POST /cloud/cloudFailoverPlans/{ID}";

#[tokio::test(flavor = "multi_thread")]
async fn a_test_of_a_plan_is_one_story_from_its_request_to_its_delivery() {
    let collector = Collector::start(Manner::Takes).await;
    let mut receiver = WebhookReceiver::start().await;
    let simulator = simulator(&["--speed", "50"]);
    let wire = ScriptedServer::start().await;
    let em = wire.before_em(simulator.url("").parse().expect("a URL"));
    let (em, endpoint) = (format!("EMGATE_UPSTREAM__URL={em}"), collector.variable());
    let starter = [
        "env",
        &em,
        &endpoint,
        SOON,
        "OTEL_SERVICE_NAME=dr-gateway",
        "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=lab,service.name=another",
        "OTEL_EXPORTER_OTLP_HEADERS=x-key=a-word",
    ];
    let mut world = World::start_by(&starter, &[]).await;
    let hook = json!({"url": receiver.url(), "eventTypes": ["failover.session.finished"]});
    assert_eq!(world.post("/api/v1/webhook-endpoints", &hook).await.0, 201);
    let asked = client::plain()
        .post(
            world
                .gateway
                .url(&format!("/api/v1/cloud-failover-plans/{PLAN}/test")),
        )
        .bearer_auth(&world.token)
        .header("traceparent", format!("00-{}-{}-01", CALLER.0, CALLER.1))
        .send()
        .await
        .expect("an answer");
    assert_eq!(asked.status(), 202);
    let answered = asked.headers()["traceparent"].to_str().expect("text").to_owned();
    let delivered = receiver.next_of("failover.session.finished").await;

    let spans = eventually(
        "the spans of request and delivery",
        async || collector.spans(),
        |spans| !named(spans, REQUEST).is_empty() && !named(spans, "webhook attempt").is_empty(),
    )
    .await;
    let [request] = named(&spans, REQUEST)[..] else {
        panic!("not one request: {spans:#?}")
    };
    assert_eq!((request.trace.as_str(), request.parent.as_str()), CALLER);
    assert_eq!(answered, request.traceparent(), "the answer names the span");
    assert_eq!(request.attributes["http.response.status_code"], "202");
    assert!(
        request.attributes.contains_key("emgate.operation.id"),
        "{request:?}"
    );

    // What was done for it is in its trace: the verb, the request to EM, the transactions before and after.
    let of_em: Vec<&Recorded> = named(&spans, EM_REQUEST);
    let [of_em] = of_em[..] else {
        panic!("not one request to EM: {spans:#?}")
    };
    assert_eq!(line(&spans, of_em).last().map(String::as_str), Some(REQUEST));
    assert_eq!(
        line(&spans, of_em).len(),
        3,
        "with the verb in between: {:?}",
        line(&spans, of_em)
    );
    for (key, value) in [
        ("url.template", "/cloud/cloudFailoverPlans/{ID}"),
        ("http.request.method", "POST"),
    ] {
        assert_eq!(of_em.attributes[key], value);
    }
    assert!(of_em.attributes.contains_key("emgate.logon_wait_ms"), "{of_em:?}");
    let posted = wire.seen(&format!("POST /api/cloud/cloudFailoverPlans/{PLAN}?action=test"));
    assert_eq!(posted[0].headers["traceparent"], of_em.traceparent().as_str());
    let transactions = named(&spans, "store transaction");
    let own = transactions.iter().filter(|span| span.trace == CALLER.0);
    assert!(own.clone().count() >= 2, "{transactions:#?}");
    for span in own {
        assert_eq!(line(&spans, span).last().map(String::as_str), Some(REQUEST));
    }

    // Looks and the delivery are traces of their own that point to it.
    let looks = named(&spans, "look");
    assert!(
        looks.iter().any(|look| look.links.contains(&request.context())),
        "{looks:#?}"
    );
    assert!(
        looks
            .iter()
            .all(|look| look.parent.is_empty() && look.trace != CALLER.0),
        "{looks:#?}"
    );
    let [delivery] = named(&spans, "webhook attempt")[..] else {
        panic!("not one delivery: {spans:#?}")
    };
    assert_eq!(delivery.links, [request.context()]);
    assert_eq!(
        (delivery.parent.as_str(), &delivery.events[..2]),
        ("", &["dns".to_owned(), "connect".to_owned()][..])
    );
    assert_eq!(delivered.headers["traceparent"], delivery.traceparent());

    // The log leads there.
    let written = world
        .gateway
        .wait_for_line(&format!("POST /api/v1/cloud-failover-plans/{PLAN}/test 202"));
    assert_eq!(
        (&written["trace_id"], &written["span_id"]),
        (&json!(request.trace), &json!(request.id))
    );
    let written = world.gateway.wait_for_line("webhook attempt accepted");
    assert_eq!(
        (&written["trace_id"], &written["span_id"]),
        (&json!(delivery.trace), &json!(delivery.id))
    );

    let (resource, key) = (collector.resource(), collector.header("x-key"));
    assert_eq!(key.as_deref(), Some("a-word"));
    for (key, value) in [
        ("service.name", "dr-gateway"),
        ("deployment.environment.name", "lab"),
    ] {
        assert_eq!(resource[key], value);
    }
    let all = format!("{spans:?}");
    for word in [
        "Failover Plan",
        "pass w",
        "svc-emgate",
        &world.token,
        "/hook",
        PLAN,
    ] {
        assert!(!all.contains(word), "{word} is in a span");
    }
}

#[rstest]
#[case::hangs(Manner::Hangs)]
#[case::refuses(Manner::Refuses)]
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_fails_costs_spans_and_one_warning_a_minute(#[case] manner: Manner) {
    let collector = Collector::start(manner).await;
    let endpoint = collector.variable();
    let starter = [
        "env",
        &endpoint,
        SOON,
        "OTEL_EXPORTER_OTLP_TIMEOUT=200",
        "OTEL_BSP_MAX_QUEUE_SIZE=32",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=16",
        "EMGATE_LIMITS__REQUESTS_PER_MINUTE=1000000",
        "EMGATE_LIMITS__BURST=1000000",
    ];
    let mut world = World::start_by(&starter, &[]).await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}");
    // More than fit into the queue, while several batches are lost.
    let mut asked = 0;
    while asked < 200 || collector.requests() < 4 {
        world.get(&path).await;
        asked += 1;
    }
    let line = world
        .gateway
        .wait_for_line("spans were lost: the collector of traces does not take them");
    assert_eq!(line["level"], "WARN");
    let lost = collector.requests();
    holds("another batch is lost", || collector.requests() > lost + 1).await;
    let again = world.gateway.log();
    assert!(!again.contains("spans were lost"), "{again}");
    let (status, _) = world.stop_gateway();
    assert!(status.success(), "{status}");
}

#[rstest]
#[case::disabled("OTEL_SDK_DISABLED=true", false)]
#[case::no_exporter("OTEL_TRACES_EXPORTER=none", false)]
#[case::no_endpoint("OTEL_EXPORTER_OTLP_ENDPOINT=", false)]
#[case::sampled_out("OTEL_TRACES_SAMPLER=always_off", true)]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_exported_where_traces_are_not_wanted(#[case] variable: &str, #[case] is_traced: bool) {
    let collector = Collector::start(Manner::Takes).await;
    let endpoint = collector.variable();
    let world = World::start_by(&["env", &endpoint, SOON, variable], &[]).await;
    let given = format!("00-{}-{}-01", CALLER.0, CALLER.1);
    let answer = client::plain()
        .get(world.gateway.url("/api/v1/me"))
        .bearer_auth(&world.token)
        .header("traceparent", &given)
        .send()
        .await
        .expect("an answer");
    // The caller's trace goes on all the same.
    let answered = answer.headers()["traceparent"].to_str().expect("text");
    assert!(answered.starts_with(&given[..36]), "{answered}");
    assert_eq!(answered.ends_with("-00"), is_traced, "{answered}");
    // The end of the gateway sends what is left.
    let (status, _) = world.stop_gateway();
    assert!(status.success(), "{status}");
    assert_eq!(collector.requests(), 0);
}

#[rstest]
#[case::of_a_caller_who_traces(Some(format!("00-{}-{}-01", CALLER.0, CALLER.1)))]
#[case::of_one_who_does_not(None)]
#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_webhooks_continue_the_trace(#[case] given: Option<String>) {
    let mut receiver = WebhookReceiver::start().await;
    let world = World::start(&["--speed", "50"]).await;
    let hook = json!({"url": receiver.url(), "eventTypes": ["failover.session.finished"]});
    assert_eq!(world.post("/api/v1/webhook-endpoints", &hook).await.0, 201);
    let mut request = client::plain()
        .post(
            world
                .gateway
                .url(&format!("/api/v1/cloud-failover-plans/{PLAN}/test")),
        )
        .bearer_auth(&world.token);
    if let Some(given) = &given {
        request = request.header("traceparent", given);
    }
    let asked = request.send().await.expect("an answer");
    assert_eq!(asked.status(), 202);
    let answered = asked.headers()["traceparent"].to_str().expect("text").to_owned();
    // Whatever became of the process meanwhile: the operation has it.
    let world = world.crash_and_restart().await;
    let delivered = receiver.next_of("failover.session.finished").await;
    let expected = given.map(|_| answered);
    assert_eq!(delivered.headers.get("traceparent"), expected.as_ref());
    drop(world);
}
