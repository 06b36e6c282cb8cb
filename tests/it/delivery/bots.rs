//! Bots against services that answer as theirs do: one message per failover, edited, with replies, posted anew when it is
//! gone.

use std::time::Duration;

use emgate::api_types::events::event;
use emgate::clock::Clock as _;
use emgate::domain::event::{EventType, Routing};
use emgate::domain::id::{EmId, EventId};
use emgate::domain::webhook::{AttemptError, DeliveryState, Health};
use rstest::rstest;
use serde_json::{Value, json};

use super::bench::{Bench, until};
use super::peer::{Peer, Received, Reply};

const SESSION: &str = "a986d473-0248-4884-9832-17ec982ee393";

/// An event of the one session, with the result of its one machine.
async fn append(bench: &Bench, kind: EventType, sequence: i64, result: Option<&str>) -> EventId {
    let id = EventId::new(bench.clock.id());
    let now = bench.clock.now();
    let machine = json!({"name": "filesrv03", "state": "stopped", "result": result, "failureMessage": "no free address"});
    let data = json!({"sequence": sequence, "operation": null, "virtualMachine": "filesrv03", "session": {
        "id": SESSION, "planName": "ERP", "tenant": null, "result": result, "progress": 10 * sequence,
        "virtualMachines": [machine], "action": "test"}});
    let session: EmId = SESSION.parse().expect("an id");
    let routing = Routing {
        session: Some(session),
        sequence: Some(sequence),
        ..Routing::default()
    };
    let event = event(id, kind, now, data, routing).expect("an event");
    let mut tx = bench.store.begin().await.expect("begun");
    tx.append_event(&event).await.expect("appended");
    tx.commit().await.expect("committed");
    id
}

/// The same, delivered, and the next edit allowed.
async fn delivered(bench: &Bench, kind: EventType, sequence: i64, result: Option<&str>) {
    let id = append(bench, kind, sequence, result).await;
    bench.settled(id, DeliveryState::Delivered).await;
    bench.advance(Duration::from_secs(6));
}

fn answer(status: u16, body: &Value) -> Reply {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    Reply::Bytes(head.into_bytes())
}

/// What a service answers to its bot: each message has the number of the request that made it.
fn service(format: &'static str) -> impl Fn(&Received) -> Reply + Send + Sync + 'static {
    let made = std::sync::atomic::AtomicUsize::new(0);
    move |request| {
        let edit = request.line.contains("chat.update") || !request.line.starts_with("POST");
        let number = match edit {
            true => 1,
            false => 1 + made.fetch_add(1, std::sync::atomic::Ordering::SeqCst),
        };
        // Longer than what is kept of an answer, and the id behind it.
        let padding = "x".repeat(3000);
        match format {
            "slack" => answer(
                200,
                &json!({"ok": true, "message": padding, "channel": "C1", "ts": number.to_string()}),
            ),
            _ => answer(
                if edit { 200 } else { 201 },
                &json!({"content": padding, "id": number.to_string()}),
            ),
        }
    }
}

async fn endpoint(bench: &Bench, peer: &Peer, format: &str) -> emgate::domain::id::EndpointId {
    let (url, bot) = match format {
        "slack" => (
            format!("http://{}/api/", peer.addr),
            json!({"token": "xoxb-1", "channel": "C1"}),
        ),
        "mattermost" => (
            format!("http://{}", peer.addr),
            json!({"token": "mm-1", "channelId": "chan"}),
        ),
        _ => (format!("http://{}/api/webhooks/1/x", peer.addr), Value::Null),
    };
    let types = [
        "failover.session.started",
        "failover.session.progressed",
        "failover.vm.finished",
        "failover.session.finished",
    ];
    // The clock stands still, and what these tests are about is not the rate.
    let mut settings = json!({"format": format, "eventTypes": types, "rate": 1000});
    if !bot.is_null() {
        settings["bot"] = bot;
    }
    bench.endpoint_with(&url, settings).await.id
}

/// Method and path of each request.
fn lines(peer: &Peer) -> Vec<String> {
    let without_version = |received: &Received| received.line.trim_end_matches(" HTTP/1.1").to_owned();
    peer.received().iter().map(without_version).collect()
}

#[rstest]
#[case("slack", [
    "POST /api/chat.postMessage",
    "POST /api/chat.update",
    "POST /api/chat.postMessage",
    "POST /api/chat.update",
    "POST /api/chat.postMessage",
])]
#[case("mattermost", [
    "POST /api/v4/posts",
    "PUT /api/v4/posts/1/patch",
    "POST /api/v4/posts",
    "PUT /api/v4/posts/1/patch",
    "POST /api/v4/posts",
])]
#[case("discord", [
    "POST /api/webhooks/1/x?wait=true",
    "PATCH /api/webhooks/1/x/messages/1",
    "POST /api/webhooks/1/x?wait=true",
    "PATCH /api/webhooks/1/x/messages/1",
    "POST /api/webhooks/1/x?wait=true",
])]
#[tokio::test]
async fn a_failover_is_one_message_with_replies(#[case] format: &'static str, #[case] expected: [&str; 5]) {
    let (bench, peer) = (Bench::start().await, Peer::start(service(format)).await);
    endpoint(&bench, &peer, format).await;
    delivered(&bench, EventType::SessionStarted, 1, None).await;
    delivered(&bench, EventType::SessionProgressed, 2, None).await;
    delivered(&bench, EventType::MachineFinished, 3, Some("success")).await;
    delivered(&bench, EventType::MachineFinished, 4, Some("failed")).await;
    delivered(&bench, EventType::SessionFinished, 5, Some("failed")).await;
    assert_eq!(lines(&peer), expected);
    let succeeded = bench.deliveries().await.swap_remove(2);
    let note = succeeded.attempts[0].note.as_deref();
    assert!(
        note.is_some_and(|note| note.contains("succeeded")),
        "{succeeded:?}"
    );
    let sent = peer.received();
    let bodies: Vec<Value> = sent.iter().map(Received::json).collect();
    match format {
        "slack" => {
            assert_eq!(sent[0].headers["authorization"], "Bearer xoxb-1");
            assert_eq!(
                (&bodies[1]["ts"], &bodies[1]["channel"]),
                (&json!("1"), &json!("C1"))
            );
            assert_eq!(
                (&bodies[2]["thread_ts"], &bodies[2]["reply_broadcast"]),
                (&json!("1"), &json!(false))
            );
            assert_eq!(
                (&bodies[4]["thread_ts"], &bodies[4]["reply_broadcast"]),
                (&json!("1"), &json!(true))
            );
        }
        "mattermost" => {
            assert_eq!(sent[0].headers["authorization"], "Bearer mm-1");
            assert_eq!(bodies[0]["channel_id"], "chan");
            assert_eq!(
                (&bodies[2]["root_id"], &bodies[4]["root_id"]),
                (&json!("1"), &json!("1"))
            );
        }
        _ => assert!(!sent[0].headers.contains_key("authorization")),
    }
    for (body, title) in bodies.iter().zip([
        "Started",
        "20 %",
        "FAILED: filesrv03",
        "FAILED: test of ERP",
        "FAILED: test of ERP",
    ]) {
        assert!(body.to_string().contains(title), "{title} is not in {body}");
    }
}

#[tokio::test]
async fn a_newer_event_edits_in_place_of_those_before_it() {
    let (bench, peer) = (Bench::start().await, Peer::start(service("slack")).await);
    endpoint(&bench, &peer, "slack").await;
    let first = append(&bench, EventType::SessionStarted, 1, None).await;
    bench.settled(first, DeliveryState::Delivered).await;
    let mut last = first;
    for sequence in 2..=6 {
        last = append(&bench, EventType::SessionProgressed, sequence, None).await;
    }
    bench.advance(Duration::from_secs(6));
    bench.settled(last, DeliveryState::Delivered).await;
    let texts: Vec<String> = peer
        .received()
        .iter()
        .map(|sent| sent.json()["text"].to_string())
        .collect();
    assert!(texts.len() <= 3, "at most one edit before the last: {texts:?}");
    assert!(
        texts.last().is_some_and(|text| text.contains("60 %")),
        "{texts:?}"
    );
    // Where nothing was sent, the log of deliveries says what became of the event.
    let all = bench.deliveries().await;
    let silent: Vec<_> = all
        .iter()
        .filter(|one| one.attempts[0].status.is_none())
        .collect();
    assert_eq!(texts.len() + silent.len(), all.len(), "{all:#?}");
    for delivery in &silent {
        assert_eq!(delivery.state, DeliveryState::Delivered);
        let note = delivery.attempts[0].note.as_deref().expect("a note");
        let newer = all
            .iter()
            .find(|one| note.contains(&format!("merged into {}", one.id)));
        assert_ne!(newer.expect(note).id, delivery.id, "{note}");
    }
    assert!(!silent.is_empty());
    assert!(
        all.iter()
            .all(|one| one.attempts[0].note.is_some() == one.attempts[0].status.is_none())
    );
}

#[rstest]
#[case("slack", 200, json!({"ok": false, "error": "message_not_found"}))]
#[case("mattermost", 404, json!({"id": "app.post.get.app_error"}))]
#[case("discord", 404, json!({"code": 10008, "message": "Unknown Message"}))]
#[tokio::test]
async fn a_message_that_is_gone_is_posted_anew(
    #[case] format: &'static str,
    #[case] status: u16,
    #[case] gone: Value,
) {
    let usual = service(format);
    let (bench, peer) = (
        Bench::start().await,
        Peer::start(move |request| {
            match request.line.contains("update") || !request.line.starts_with("POST") {
                true => answer(status, &gone),
                false => usual(request),
            }
        })
        .await,
    );
    endpoint(&bench, &peer, format).await;
    delivered(&bench, EventType::SessionStarted, 1, None).await;
    delivered(&bench, EventType::SessionFinished, 2, Some("success")).await;
    let all = lines(&peer);
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(
        all[2].starts_with("POST") && !all[2].contains("update"),
        "{all:?}"
    );
}

#[rstest]
#[case("ratelimited", AttemptError::Throttled, Health::Degraded)]
#[case("msg_too_long", AttemptError::ServiceError, Health::Degraded)]
#[case("not_in_channel", AttemptError::HttpStatus, Health::Down)]
#[case("token_revoked", AttemptError::HttpStatus, Health::Down)]
#[tokio::test]
async fn slacks_words_decide_what_a_failure_is(
    #[case] word: &'static str,
    #[case] error: AttemptError,
    #[case] health: Health,
) {
    let (bench, peer) = (
        Bench::start().await,
        Peer::start(move |_| answer(200, &json!({"ok": false, "error": word}))).await,
    );
    let id = endpoint(&bench, &peer, "slack").await;
    let event = append(&bench, EventType::SessionStarted, 1, None).await;
    let delivery = bench.attempted(event, 1, DeliveryState::Pending).await;
    assert_eq!(delivery.attempts[0].error, Some(error));
    assert_eq!(bench.get(id).await.health.state(), health);
}

#[tokio::test]
async fn an_end_whose_reply_failed_is_replied_once_on_the_retry() {
    let usual = service("slack");
    let (bench, peer) = (Bench::start().await, Peer::start(service("slack")).await);
    endpoint(&bench, &peer, "slack").await;
    delivered(&bench, EventType::SessionStarted, 1, None).await;
    peer.now(move |request| match request.json().get("thread_ts") {
        Some(_) => Reply::Status(500, ""),
        None => usual(request),
    });
    let end = append(&bench, EventType::SessionFinished, 2, Some("success")).await;
    bench.attempted(end, 1, DeliveryState::Pending).await;
    peer.now(service("slack"));
    bench.advance(Duration::from_secs(10));
    bench.settled(end, DeliveryState::Delivered).await;
    until("the replies", || async { (peer.count() >= 5).then_some(()) }).await;
    let replies = peer
        .received()
        .iter()
        .filter(|sent| sent.json().get("thread_ts").is_some())
        .count();
    assert_eq!(replies, 2, "one that failed, one that was taken");
}
