//! Tickets in the place of tokens: what they open, how often, and that they open nothing else.

use serde_json::{Value, json};

use crate::guard_auth::operations;
use crate::support::sse::Stream;
use crate::support::{Client, TestGateway, plan};

async fn ticket_of(client: &Client) -> String {
    let answer = client.post("/api/v1/stream-tickets").send().await.expect(201);
    answer.body["ticket"].as_str().expect("a ticket").to_owned()
}

/// A gateway that gives tickets for operations.
async fn giving() -> TestGateway {
    TestGateway::builder()
        .config(|config| config.auth.tickets = true)
        .start()
        .await
}

/// Asks for a test of the plan, and returns the address of its result, which has a ticket.
async fn asked_for(test: &TestGateway) -> String {
    let request = test
        .client
        .post(&plan("/test"))
        .header("prefer", "respond-async, ticket");
    let answer = request.send().await.expect(202);
    assert_eq!(answer.header("preference-applied"), "respond-async, ticket");
    assert_eq!(answer.header("retry-after"), "5");
    answer.header("location").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_stream_with_the_rights_of_its_token() {
    let test = TestGateway::start().await;
    let reader = test.client_with(&["sessions:read"]);
    let ticket = ticket_of(&reader).await;
    let path = format!("/api/v1/events/stream?ticket={ticket}");
    let refused = test.stranger().get(&path).send().await;
    refused.expect_problem(403, "insufficient-scope");
    // It was used by that.
    test.stranger().get(&path).refused(401, "unauthenticated").await;

    let path = format!("/api/v1/events/stream?ticket={}", ticket_of(&test.client).await);
    let mut stream = Stream::open(test.stranger().get(&path).into_inner()).await;
    assert_eq!(
        stream.next().await.expect("a beginning").retry.as_deref(),
        Some("2000")
    );
    test.stranger().get(&path).refused(401, "unauthenticated").await;
    for nothing in ["", "x", &"A".repeat(43)] {
        let path = format!("/api/v1/events/stream?ticket={nothing}");
        test.stranger().get(&path).refused(401, "unauthenticated").await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_show_one_ticket_at_once_one_gets_a_stream() {
    let test = TestGateway::start().await;
    let path = format!("/api/v1/events/stream?ticket={}", ticket_of(&test.client).await);
    let asked = (0..20).map(|_| Stream::try_open(test.stranger().get(&path).into_inner()));
    let answers = futures_util::future::join_all(asked).await;
    let streams = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(streams, 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_told_to_the_audit_log_and_are_in_no_row() {
    let test = giving().await;
    let stream = ticket_of(&test.client).await;
    let location = asked_for(&test).await;
    let (_, operation) = location.split_once("ticket=").expect("a ticket");
    let rows = test
        .client
        .get("/api/v1/audit?action=stream.ticket,operation.ticket");
    let rows = rows.send().await.expect(200);
    let actions: Vec<&Value> = rows.body["items"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| &row["action"])
        .collect();
    assert_eq!(actions, [&json!("stream.ticket"), &json!("operation.ticket")]);
    let export = test.client.get("/api/v1/audit/export").send().await.expect(200);
    for ticket in [&stream, operation] {
        assert!(!export.text.contains(ticket));
        let store = std::fs::read(test.directory().join("emgate.db")).expect("the store");
        let journal = std::fs::read(test.directory().join("emgate.db-wal")).unwrap_or_default();
        for bytes in [store, journal] {
            let found = bytes.windows(ticket.len()).any(|part| part == ticket.as_bytes());
            assert!(!found, "the store has a ticket");
        }
    }
    let metrics = test.stranger().get("/metrics").send().await.expect(200).text;
    assert!(metrics.contains("emgate_tickets_total"), "{metrics}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operations_ticket_reads_its_operation_and_its_result() {
    let test = giving().await;
    let location = asked_for(&test).await;
    let (result, ticket) = location.split_once('?').expect("a ticket");
    let operation = result.strip_suffix("/result").expect("the result");
    let stranger = test.stranger();
    let read = stranger
        .get(&format!("{operation}?{ticket}"))
        .send()
        .await
        .expect(200);
    assert_eq!(read.body["links"]["self"], operation);
    let waited = stranger
        .get(&location)
        .header("prefer", "wait=50")
        .send()
        .await
        .expect(200);
    assert_eq!(waited.body["state"], "finished");
    // A token beside it is judged alone.
    let other = test.client_with(&["plans:read"]).get(&location).send().await;
    other.expect_problem(403, "insufficient-scope");
    let other = asked_for(&test).await;
    let (other, _) = other.split_once('?').expect("a ticket");
    stranger
        .get(&format!("{other}?{ticket}"))
        .refused(401, "unauthenticated")
        .await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_switch_no_operation_has_a_ticket() {
    let test = TestGateway::start().await;
    let request = test.client.post(&plan("/test"));
    let request = request.header("prefer", "respond-async, ticket");
    let answer = request.send().await.expect(202);
    assert_eq!(answer.header("preference-applied"), "respond-async");
    assert!(
        answer.header("location").ends_with("/result"),
        "{}",
        answer.header("location")
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_nothing_else() {
    let test = giving().await;
    let location = asked_for(&test).await;
    let (_, for_operation) = location.split_once("ticket=").expect("a ticket");
    let stranger = test.stranger();
    let mut tried = 0;
    for operation in operations(&test).await {
        if !operation.needs_token {
            continue;
        }
        // The ids in these paths are of nothing, so that a ticket for an operation counts nowhere.
        let mark = if operation.path.contains('?') { '&' } else { '?' };
        let path = format!("{}{mark}ticket={for_operation}", operation.path);
        let answer = stranger.request(&operation.method, &path).send().await;
        assert_eq!(answer.status, 401, "{} {path}: {}", operation.method, answer.text);
        tried += 1;
    }
    assert!(tried > 300, "{tried}");
    let for_stream = ticket_of(&test.client).await;
    let mut streams = 0;
    for operation in operations(&test).await {
        if !operation.needs_token {
            continue;
        }
        if operation.path.contains("/stream") && operation.method == "GET" {
            streams += 1;
            continue;
        }
        let mark = if operation.path.contains('?') { '&' } else { '?' };
        let path = format!("{}{mark}ticket={for_stream}", operation.path);
        let answer = stranger.request(&operation.method, &path).send().await;
        assert_eq!(answer.status, 401, "{} {path}: {}", operation.method, answer.text);
    }
    assert_eq!(streams, 3);
    // It was used by none of these.
    let path = format!("/api/v1/events/stream?ticket={for_stream}");
    Stream::open(stranger.get(&path).into_inner()).await;
    // Of the operation's own routes a ticket for it opens what reads, and nothing that acts or streams.
    let (result, _) = location.split_once("/result").expect("the result");
    for (method, path) in [
        ("POST", format!("{result}/cancel?ticket={for_operation}")),
        ("POST", format!("{result}/approve?ticket={for_operation}")),
        ("GET", format!("{result}/stream?ticket={for_operation}")),
        ("GET", format!("/api/v1/operations?ticket={for_operation}")),
    ] {
        stranger
            .request(method, &path)
            .refused(401, "unauthenticated")
            .await;
    }
    test.stop().await;
}
