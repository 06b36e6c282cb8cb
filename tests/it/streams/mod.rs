//! Streams of events (docs/streams.md): what they send, where they begin and end, and whose events they have.

mod slow;
mod tickets;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::client::Request;
use crate::support::sse::{Block, Stream, ids, kinds};
use crate::support::{Client, PLAN, TestGateway, plan, seconds_now};
use crate::tenants;
use crate::waiting::eventually;

const NOTHING: &str = "evt_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01";

async fn stream(request: Request) -> Stream {
    Stream::open(request.into_inner()).await
}

/// Tests the plan to its end and returns the operation.
async fn tested(test: &TestGateway) -> Value {
    let request = test.client.post(&plan("/test")).header("prefer", "wait=50");
    request.send().await.expect(200).body
}

/// The whole log as `/events` has it.
async fn log(client: &Client) -> Vec<Value> {
    let answer = client.get("/api/v1/events?pageSize=100").send().await.expect(200);
    answer.body["items"].as_array().expect("items").clone()
}

fn log_ids(log: &[Value]) -> Vec<String> {
    log.iter().map(tenants::id_of).collect()
}

/// Writes an event that is about nobody's thing.
async fn write_event(test: &TestGateway, endpoint: &str) {
    let path = format!("/api/v1/webhook-endpoints/{endpoint}/test");
    test.client.post(&path).send().await.expect(202);
}

async fn open_gateway() -> (TestGateway, String) {
    let builder = TestGateway::builder().config(|config| {
        config.webhooks.allow_http = true;
        config.webhooks.allow_private_networks = true;
    });
    let test = builder.start().await;
    let endpoint = json!({"url": "http://127.0.0.1:9/hook", "eventTypes": ["upstream.recovered"]});
    let made = test
        .client
        .post("/api/v1/webhook-endpoints")
        .json(&endpoint)
        .send()
        .await;
    let id = tenants::id_of(&made.expect(201).body);
    (test, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_the_events_of_the_log_as_they_are_written() {
    let test = TestGateway::start().await;
    let mut stream = stream(test.client.get("/api/v1/events/stream")).await;
    let first = stream.next().await.expect("a beginning");
    assert_eq!(first.retry.as_deref(), Some("2000"));
    assert_eq!(
        (first.id.as_deref(), first.data),
        (Some("start"), None),
        "the log is empty"
    );
    tested(&test).await;
    let log = log(&test.client).await;
    assert!(log.len() > 1, "{log:#?}");
    for item in &log {
        let event = stream.event().await.expect("an event");
        assert_eq!(event.id.as_deref(), item["id"].as_str());
        assert_eq!(event.event.as_deref(), item["type"].as_str());
        assert_eq!(&event.json(), item);
    }
    test.stop().await;
}

#[rstest]
#[case::header(true)]
#[case::query(false)]
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_back_gets_what_it_missed_and_nothing_twice(#[case] by_header: bool) {
    let (test, endpoint) = open_gateway().await;
    for _ in 0..6 {
        write_event(&test, &endpoint).await;
    }
    let mut reading = stream(test.client.get("/api/v1/events/stream?after=start")).await;
    let mut seen = ids(&reading.events(2).await);
    drop(reading);
    write_event(&test, &endpoint).await;
    let last = seen.last().expect("an id").clone();
    // A browser sends the address of its first request again.
    let request = if by_header {
        let request = test.client.get("/api/v1/events/stream?after=start");
        request.header("last-event-id", &last)
    } else {
        test.client
            .get(&format!("/api/v1/events/stream?after=start&lastEventId={last}"))
    };
    let mut again = stream(request).await;
    seen.extend(ids(&again.events(5).await));
    write_event(&test, &endpoint).await;
    seen.extend(ids(&again.events(1).await));
    assert_eq!(seen, log_ids(&log(&test.client).await));
    test.stop().await;
}

#[rstest]
#[case::gone(Some(NOTHING), "")]
#[case::no_id(Some("anything at all"), "")]
#[case::query(None, "?lastEventId=x")]
#[case::after(None, "?after=evt_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01")]
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_not_in_the_log_is_one_reset_and_then_now(
    #[case] header: Option<&str>,
    #[case] query: &str,
) {
    let (test, endpoint) = open_gateway().await;
    write_event(&test, &endpoint).await;
    let mut request = test.client.get(&format!("/api/v1/events/stream{query}"));
    if let Some(id) = header {
        request = request.header("last-event-id", id);
    }
    let mut stream = stream(request).await;
    let reset = stream.event().await.expect("a reset");
    assert_eq!(
        (reset.event.as_deref(), reset.data.as_deref()),
        (Some("reset"), Some("{}"))
    );
    write_event(&test, &endpoint).await;
    let next = stream.event().await.expect("an event");
    let log = log_ids(&log(&test.client).await);
    assert_eq!((reset.id, next.id), (Some(log[0].clone()), Some(log[1].clone())));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_after_which_event_a_stream_goes_on() {
    let (test, endpoint) = open_gateway().await;
    let empty = test.client.get("/api/v1/operations").send().await.expect(200);
    assert_eq!(empty.header("emgate-event-id"), "start");
    write_event(&test, &endpoint).await;
    for path in [
        "/operations",
        "/events",
        "/failover-sessions",
        "/cloud-failover-plans",
        "/failover-plans",
        "/webhook-endpoints",
        "/webhook-deliveries",
        "/audit",
    ] {
        let list = test
            .client
            .get(&format!("/api/v1{path}"))
            .send()
            .await
            .expect(200);
        let log = log_ids(&log(&test.client).await);
        let place = list.header("emgate-event-id");
        assert_eq!(Some(place), log.last().map(String::as_str), "{path}");
    }
    let place = log_ids(&log(&test.client).await).pop().expect("an event");
    write_event(&test, &endpoint).await;
    for start in [&place, "start"] {
        let page = test.client.get(&format!("/api/v1/events?after={start}"));
        let page = page.send().await.expect(200);
        let mut stream = stream(test.client.get(&format!("/api/v1/events/stream?after={start}"))).await;
        let items = page.body["items"].as_array().expect("items").clone();
        assert_eq!(ids(&stream.events(items.len()).await), log_ids(&items));
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_read_by_its_id() {
    let (test, endpoint) = open_gateway().await;
    write_event(&test, &endpoint).await;
    let item = log(&test.client).await.pop().expect("an event");
    let path = format!("/api/v1/events/{}", tenants::id_of(&item));
    let read = test.client.get(&path).send().await.expect(200);
    assert_eq!(read.body, item);
    for missing in [NOTHING, "evt_x", "x"] {
        test.client
            .get(&format!("/api/v1/events/{missing}"))
            .refused(404, "not-found")
            .await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_stream_has_the_events_that_are_wanted() {
    let test = TestGateway::start().await;
    let operation = tested(&test).await;
    let (id, session) = (tenants::id_of(&operation), tenants::id_of(&operation["session"]));
    let other = "00000000-0000-4000-8000-000000000000";
    let all = log(&test.client).await;
    let of = |wanted: &dyn Fn(&Value) -> bool| -> Vec<String> {
        let items: Vec<Value> = all.iter().filter(|item| wanted(item)).cloned().collect();
        log_ids(&items)
    };
    let is_operations = |item: &Value| item["data"]["operation"]["id"] == id.as_str();
    let is_finished = |item: &Value| item["type"] == "failover.session.finished";
    let cases: [(String, Vec<String>); 5] = [
        ("type=failover.session.finished".into(), of(&is_finished)),
        (
            "type=failover.session.finished,failover.session.started".into(),
            of(&|item| {
                item["type"] != "failover.session.progressed" && item["type"] != "failover.vm.finished"
            }),
        ),
        (format!("operationId={id}"), of(&is_operations)),
        (format!("sessionId={}", session.to_uppercase()), of(&|_| true)),
        (
            format!("planId={PLAN}&type=failover.session.finished"),
            of(&is_finished),
        ),
    ];
    for (filter, wanted) in cases {
        assert!(!wanted.is_empty(), "{filter}");
        let path = format!("/api/v1/events/stream?after=start&{filter}");
        let mut stream = stream(test.client.get(&path)).await;
        assert_eq!(ids(&stream.events(wanted.len()).await), wanted, "{filter}");
    }
    let nothing = format!("/api/v1/events/stream?after=start&planId={other}");
    let mut nothing = stream(test.client.get(&nothing)).await;
    tested(&test).await;
    assert_eq!(nothing.next().await.expect("a beginning").data, None);
    for refused in ["type=x", "planId=x", "operationId=x", "sessionId=x", "after=x"] {
        let path = format!("/api/v1/events/stream?{refused}");
        test.client.get(&path).refused(422, "invalid-request").await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operations_stream_has_its_sessions_events_and_ends_with_it() {
    let test = TestGateway::start().await;
    let asked = test.client.post(&plan("/test")).send().await.expect(202);
    let path = format!("/api/v1/operations/{}/stream", tenants::id_of(&asked.body));
    let blocks = stream(test.client.get(&format!("{path}?after=start")))
        .await
        .rest()
        .await;
    // Its report comes later, by the stream of the whole log alone, whenever one asks.
    let is_report = |event: &Value| event["type"] == "recovery.report.ready";
    test.until("/api/v1/events?pageSize=100", |body| {
        body["items"].as_array().into_iter().flatten().any(is_report)
    })
    .await;
    let mut events = log(&test.client).await;
    events.retain(|event| !is_report(event));
    assert_eq!(
        ids(&blocks),
        log_ids(&events),
        "all else of the log is this operation's"
    );
    let end = Block {
        event: Some("end".into()),
        data: Some("{}".into()),
        ..Block::default()
    };
    assert_eq!(blocks.last(), Some(&end));
    // What is over ends at once; its events come first for whoever asks for them.
    let over = stream(test.client.get(&path)).await.rest().await;
    assert_eq!(kinds(&over), ["end"]);
    let again = stream(test.client.get(&format!("{path}?after=start")))
        .await
        .rest()
        .await;
    assert_eq!(ids(&again), ids(&blocks));
    let last = test.client.get(&path).header("last-event-id", &ids(&blocks)[0]);
    assert_eq!(ids(&stream(last).await.rest().await), ids(&blocks)[1..]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_an_operation_without_events_ends_with_it() {
    let test = TestGateway::start().await;
    let jobs = test.client.get("/api/v1/em/jobs").send().await.expect(200);
    let job = tenants::id_of(&jobs.body["items"][0]);
    let started = test.client.post(&format!("/api/v1/em/jobs/{job}?action=start"));
    let location = started.send().await.expect(202).header("location").to_owned();
    let blocks = stream(test.client.get(&format!("{location}/stream")))
        .await
        .rest()
        .await;
    assert_eq!(kinds(&blocks), ["end"]);
    let operation = test.client.get(&location).send().await.expect(200);
    assert_eq!(operation.body["state"], "finished");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sessions_stream_ends_with_the_session() {
    let test = TestGateway::start().await;
    let body = json!({"planId": PLAN, "action": "test", "result": "Success", "seconds": 20});
    let made = test.sim_control(reqwest::Method::POST, "failovers", body).await;
    let id = made["sessionId"].as_str().expect("an id").to_owned();
    let started = |log: &Value| !log["items"].as_array().expect("items").is_empty();
    test.until("/api/v1/events", started).await;
    let path = format!("/api/v1/failover-sessions/{id}/stream");
    let blocks = stream(test.client.get(&format!("{path}?after=start")))
        .await
        .rest()
        .await;
    let kinds = kinds(&blocks);
    assert_eq!(kinds[0], "failover.session.started");
    assert_eq!(
        kinds[kinds.len() - 2..],
        ["failover.session.finished", "end"],
        "{kinds:?}"
    );
    let over = stream(test.client.get(&path)).await.rest().await;
    assert_eq!(
        over.last().and_then(|last| last.event.clone()).as_deref(),
        Some("end")
    );
    test.client
        .get("/api/v1/failover-sessions/00000000-0000-4000-8000-000000000000/stream")
        .refused(404, "not-found")
        .await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_token_expires() {
    let test = TestGateway::start().await;
    let scope = "events:read tenants:all";
    let brief = test.client_as(&json!({"sub": "ann", "scope": scope, "exp": seconds_now() + 2}));
    let blocks = stream(brief.get("/api/v1/events/stream")).await.rest().await;
    let last = blocks.last().expect("an end");
    assert_eq!(
        (last.event.as_deref(), last.data.as_deref()),
        (Some("unauthorized"), Some("{}"))
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_with_the_gateway_asks_to_come_back_soon() {
    let test = TestGateway::start().await;
    let mut stream = stream(test.client.get("/api/v1/events/stream")).await;
    stream.next().await.expect("a beginning");
    let (rest, ()) = tokio::join!(stream.rest(), test.stop());
    let retries: Vec<_> = rest.iter().filter_map(|block| block.retry.as_deref()).collect();
    assert_eq!(retries, ["1000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_has_no_more_streams_than_its_limit() {
    let test = TestGateway::builder()
        .config(|config| config.server.limits.streams = 2)
        .start()
        .await;
    let ask = async |client: &Client| {
        let request = client.get("/api/v1/events/stream").into_inner();
        Stream::try_open(request).await
    };
    let first = ask(&test.client).await.expect("a stream");
    let _second = ask(&test.client).await.expect("a stream");
    let refused = test.client.get("/api/v1/events/stream");
    let refused = refused.refused(429, "rate-limited").await;
    assert_eq!(refused.header("retry-after"), "5");
    let other = test.client_as(&json!({"sub": "ann", "scope": "events:read tenants:all"}));
    ask(&other).await.expect("another's stream");
    drop(first);
    let opened = async || ask(&test.client).await.is_ok();
    eventually("a place", opened, |opened| *opened).await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_callers_stream_has_the_events_of_its_tenants() {
    let test = tenants::gateway().await;
    let own = tenants::confined(&test, &[tenants::ABC]);
    let mut live = stream(own.get("/api/v1/events/stream?after=start")).await;
    for tenant in [tenants::NORDWIND, tenants::ABC] {
        let plans = tenants::plans_of(&test, tenant).await;
        let path = format!("/api/v1/cloud-failover-plans/{}/test", plans[0]);
        let tested = test.client.post(&path).header("prefer", "wait=50");
        tested.send().await.expect(200);
    }
    // The reports of both tests come last.
    test.until("/api/v1/events?pageSize=100", |body| {
        let items = body["items"].as_array().into_iter().flatten();
        items
            .filter(|event| event["type"] == "recovery.report.ready")
            .count()
            == 2
    })
    .await;
    let everybodys = log(&test.client).await;
    let theirs = log_ids(&log(&own).await);
    assert!(theirs.len() < everybodys.len() && !theirs.is_empty());
    assert_eq!(ids(&live.events(theirs.len()).await), theirs, "from memory");
    let mut stored = stream(own.get("/api/v1/events/stream?after=start")).await;
    assert_eq!(ids(&stored.events(theirs.len()).await), theirs, "from the store");
    // The id of another's event is that of none, and the position that a list tells is never another's.
    let foreign = log_ids(&everybodys);
    let foreign = foreign.iter().find(|id| !theirs.contains(id)).expect("another's");
    let mut reset = stream(own.get("/api/v1/events/stream").header("last-event-id", foreign)).await;
    assert_eq!(
        reset.event().await.expect("a reset").event.as_deref(),
        Some("reset")
    );
    let list = own.get("/api/v1/operations").send().await.expect(200);
    assert_eq!(
        Some(list.header("emgate-event-id")),
        theirs.last().map(String::as_str)
    );
    test.stop().await;
}
