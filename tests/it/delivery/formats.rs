//! Each format over real sockets: what arrives, what the service's answers mean, what a retry sends, what is refused at
//! registration.

use std::time::Duration;

use emgate::clock::Clock as _;
use emgate::domain::webhook::{AttemptError, DeliveryState, DisabledReason, Health};
use rstest::rstest;
use serde_json::{Value, json};

use super::bench::{Bench, quiet, until};
use super::peer::{OK, Peer, Received, Reply};
use crate::support::{TestGateway, plan};
use crate::waiting::holds;

const ENDPOINTS: &str = "/api/v1/webhook-endpoints";

/// Every format, what its endpoint needs, and what its request has: query, content type, whether it is signed, and where
/// its title is.
const FORMATS: &[(&str, &str, &str, bool, &str)] = &[
    ("standard", "", "application/json", true, "/type"),
    ("cloudevents", "", "application/cloudevents+json", true, "/type"),
    ("slack", "", "application/json", false, "/blocks/0/text/text"),
    (
        "teams",
        "",
        "application/json; charset=utf-8",
        false,
        "/attachments/0/content/fallbackText",
    ),
    (
        "mattermost",
        "",
        "application/json",
        false,
        "/attachments/0/title",
    ),
    (
        "discord",
        "?wait=true",
        "application/json; charset=utf-8",
        false,
        "/embeds/0/title",
    ),
    (
        "googlechat",
        "?messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD",
        "application/json; charset=utf-8",
        false,
        "/fallbackText",
    ),
    ("pagerduty", "", "application/json", false, "/payload/summary"),
    (
        "servicenow",
        "",
        "application/json",
        false,
        "/records/0/description",
    ),
];

/// A gateway that may send to this machine.
async fn open_gateway() -> TestGateway {
    gateway_at(None).await
}

async fn gateway_at(public_url: Option<&'static str>) -> TestGateway {
    TestGateway::builder()
        .config(move |config| {
            config.webhooks.allow_private_networks = true;
            config.webhooks.allow_http = true;
            config.server.public_url = public_url.map(|url| url.parse().expect("a URL"));
        })
        .start()
        .await
}

fn settings(url: &str, format: &str) -> Value {
    let mut settings = json!({"url": url, "format": format, "eventTypes": ["failover.session.finished"]});
    if format == "pagerduty" {
        settings["routingKey"] = "R0UTINGKEYR0UTINGKEYR0UTINGKEY01".into();
    }
    settings
}

fn ok_in_words() -> Reply {
    Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok".to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_gets_the_end_of_a_failover_as_its_service_wants_it() {
    let test = gateway_at(Some("https://dr.example/emgate")).await;
    let peer = Peer::start(|_| ok_in_words()).await;
    let mut secrets = std::collections::HashMap::new();
    for (format, ..) in FORMATS {
        let url = format!("http://{}/{format}", peer.addr);
        let made = test
            .client
            .post(ENDPOINTS)
            .json(&settings(&url, format))
            .send()
            .await
            .expect(201);
        secrets.insert(
            *format,
            made.body["secret"].as_str().expect("a secret").to_owned(),
        );
    }
    test.client.post(&plan("/test")).send().await.expect(202);
    holds("every format has its message", || peer.count() == FORMATS.len()).await;
    for (format, query, content_type, signed, title) in FORMATS {
        let of_format = |received: &&Received| received.line.starts_with(&format!("POST /{format}"));
        let all = peer.received();
        let received = all.iter().find(of_format).expect("a message");
        assert!(
            received.line.starts_with(&format!("POST /{format}{query} ")),
            "{}",
            received.line
        );
        assert_eq!(received.headers["content-type"], *content_type, "{format}");
        if *signed {
            received.verify(&secrets[format]);
        } else {
            assert!(!received.headers.contains_key("webhook-signature"), "{format}");
        }
        let body = received.json();
        let text = body.pointer(title).and_then(Value::as_str).expect(title);
        if *signed {
            assert_eq!(text, "failover.session.finished");
        } else {
            assert!(
                text.contains("Success: test of ABC Company Failover Plan"),
                "{format}: {text}"
            );
            let whole = String::from_utf8(received.body.clone()).expect("text");
            assert!(
                whole.contains("https://dr.example/emgate/console/failovers/"),
                "{whole}"
            );
        }
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_events_have_the_attributes_of_version_1_0() {
    let test = gateway_at(Some("https://dr.example/emgate")).await;
    let peer = Peer::answering(OK).await;
    let made = test
        .client
        .post(ENDPOINTS)
        .json(&settings(&peer.url(), "cloudevents"))
        .send()
        .await
        .expect(201);
    test.client.post(&plan("/test")).send().await.expect(202);
    holds("the event has arrived", || peer.count() == 1).await;
    let received = peer.received().remove(0);
    received.verify(made.body["secret"].as_str().expect("a secret"));
    let event = received.json();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["id"], received.id());
    assert_eq!(event["source"], "https://dr.example/emgate/api/v1");
    assert_eq!(event["type"], "failover.session.finished");
    assert_eq!(event["subject"], event["data"]["session"]["id"]);
    let logged = test.client.get("/api/v1/events").send().await.expect(200);
    let items = logged.body["items"].as_array().expect("items");
    let item = items
        .iter()
        .find(|item| item["id"] == event["id"])
        .expect("in the log");
    assert_eq!(
        (&item["timestamp"], &item["data"]),
        (&event["time"], &event["data"])
    );
    test.stop().await;
}

#[tokio::test]
async fn a_retry_sends_the_text_of_the_first_attempt() {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Status(500, "")).await,
    );
    let slack = bench
        .endpoint_with(
            &peer.url(),
            json!({"format": "slack", "template": "{\"text\": \"one\"}", "rate": 1000}),
        )
        .await;
    let event = bench.event().await;
    bench.attempted(event, 1, DeliveryState::Pending).await;
    peer.now(|_| ok_in_words());
    bench
        .patch(slack.id, json!({"template": "{\"text\": \"two\"}"}))
        .await;
    bench.settled(event, DeliveryState::Delivered).await;
    let bodies: Vec<Value> = peer.received().iter().map(Received::json).collect();
    assert_eq!(bodies, [json!({"text": "one"}), json!({"text": "one"})]);
    let next = bench.event().await;
    bench.settled(next, DeliveryState::Delivered).await;
    assert_eq!(peer.received()[2].json(), json!({"text": "two"}));
}

#[tokio::test]
async fn an_answer_other_than_ok_is_delivered_with_a_warning() {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Status(200, "")).await,
    );
    bench.endpoint_with(&peer.url(), json!({"format": "slack"})).await;
    let event = bench.event().await;
    let delivered = bench.settled(event, DeliveryState::Delivered).await;
    let warned = until("the warning", || async {
        bench.delivery_of(event).await.attempts.remove(0).warning
    })
    .await;
    assert!(warned.contains("did not answer ok"), "{warned}");
    assert_eq!(delivered.attempts[0].error, None);
}

#[tokio::test]
async fn a_template_that_fails_at_sending_is_replaced_with_a_warning() {
    let (bench, peer) = (Bench::start().await, Peer::start(|_| ok_in_words()).await);
    let template = "{\"text\":\n  \"{{ event.data.session.planName }}\"}";
    bench
        .endpoint_with(&peer.url(), json!({"format": "slack", "template": template}))
        .await;
    let event = bench.event().await;
    bench.settled(event, DeliveryState::Delivered).await;
    let body = peer.received().remove(0).json();
    assert_eq!(
        body["blocks"][0]["text"]["text"],
        "❌ UNAVAILABLE: Enterprise Manager"
    );
    let warned = until("the warning", || async {
        bench.delivery_of(event).await.attempts.remove(0).warning
    })
    .await;
    assert!(
        warned.contains("the template failed") && warned.contains("line 2, column 17"),
        "{warned}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_shows_the_template_of_its_endpoint() {
    let (test, peer) = (open_gateway().await, Peer::start(|_| ok_in_words()).await);
    let template =
        "{\"text\": {{ event.data.session.planName | tojson }}, \"kind\": {{ event.type | tojson }}}";
    let wanted = json!({"url": peer.url(), "format": "slack", "template": template,
        "eventTypes": ["failover.session.finished"]});
    let made = test.client.post(ENDPOINTS).json(&wanted).send().await.expect(201);
    let link = made.header("location").to_owned();
    test.client.post(&format!("{link}/test")).send().await.expect(202);
    let received = until("the message", || async { peer.received().pop() }).await;
    let body = received.json();
    assert_eq!(body["kind"], "webhook.test");
    assert!(
        body["text"].as_str().is_some_and(|name| !name.is_empty()),
        "{body}"
    );
    test.stop().await;
}

#[rstest]
#[case("slack", 404, "no_service", "the webhook was removed")]
#[case("discord", 401, "", "the webhook was removed")]
#[case("teams", 403, "", "the workflow is gone, or its owner is")]
#[case("mattermost", 404, "", "the webhook was removed")]
#[tokio::test]
async fn a_webhook_that_was_removed_is_tried_once_an_hour_and_announced(
    #[case] format: &str,
    #[case] status: u16,
    #[case] text: &'static str,
    #[case] why: &str,
) {
    let head = format!(
        "HTTP/1.1 {status} No\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Bytes(head.into_bytes())).await,
    );
    let witness = Peer::answering(OK).await;
    let removed = bench
        .endpoint_with(
            &peer.url(),
            json!({"format": format, "eventTypes": ["upstream.unavailable"], "rate": 1000}),
        )
        .await;
    bench
        .endpoint_with(
            &witness.url(),
            json!({"eventTypes": ["webhook.endpoint.failing"]}),
        )
        .await;
    let event = bench.event().await;
    bench.attempted(event, 1, DeliveryState::Pending).await;
    holds("the others are told", || witness.count() == 1).await;
    let news = witness.received().remove(0).json();
    let reason = news["data"]["endpoint"]["reason"].as_str().expect("a reason");
    assert!(reason.contains(why), "{reason}");
    let endpoint = bench.get(removed.id).await;
    assert_eq!(endpoint.health.state(), Health::Down);
    for _ in 0..3 {
        bench.event().await;
    }
    bench.advance(Duration::from_mins(59));
    quiet(&bench).await;
    assert_eq!(peer.count(), 1, "nothing goes out within the hour");
    let now = bench.clock.now();
    assert!(endpoint.health.next_probe_at.is_some_and(|at| at > now));
    peer.now(|_| ok_in_words());
    bench.advance(Duration::from_mins(2));
    holds("what waited has gone out", || peer.count() == 5).await;
}

#[tokio::test]
async fn an_archived_channel_disables_its_endpoint_and_says_so() {
    let archived =
        b"HTTP/1.1 410 Gone\r\ncontent-type: text/plain\r\ncontent-length: 19\r\n\r\nchannel_is_archived"
            .to_vec();
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Bytes(archived)).await,
    );
    let witness = Peer::answering(OK).await;
    let slack = bench.endpoint_with(&peer.url(), json!({"format": "slack"})).await;
    bench
        .endpoint_with(
            &witness.url(),
            json!({"eventTypes": ["webhook.endpoint.disabled"]}),
        )
        .await;
    let event = bench.event().await;
    bench.attempted(event, 1, DeliveryState::Held).await;
    assert_eq!(
        bench.get(slack.id).await.disabled_reason,
        Some(DisabledReason::Gone)
    );
    holds("the others are told", || witness.count() == 1).await;
    let news = witness.received().remove(0).json();
    assert_eq!(
        news["data"]["endpoint"]["reason"],
        "it answered 410 Gone: the channel is archived"
    );
}

#[tokio::test]
async fn a_connector_that_is_throttled_in_words_gets_the_message_later() {
    let text = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429";
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Bytes(head.into_bytes())).await,
    );
    bench.endpoint_with(&peer.url(), json!({"format": "teams"})).await;
    let event = bench.event().await;
    let delivery = bench.attempted(event, 1, DeliveryState::Pending).await;
    assert_eq!(delivery.attempts[0].error, Some(AttemptError::Throttled));
    peer.now(|_| Reply::Status(202, ""));
    bench.advance(Duration::from_secs(75));
    bench.settled(event, DeliveryState::Delivered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_rendered_with_examples_before_it_is_accepted() {
    let test = open_gateway().await;
    let with = |template: &str, types: &[&str]| {
        json!({"url": "https://hooks.slack.com/services/T0/B0/x", "format": "slack", "template": template,
               "eventTypes": types})
    };
    let good = r#"{"text": "{{ event.data.session.planName }} {{ link.open }}"}"#;
    let one = ["failover.session.finished"];
    test.client
        .post(ENDPOINTS)
        .json(&with(good, &one))
        .send()
        .await
        .expect(201);
    for (template, types, detail) in [
        (
            "{\"text\":\n  \"{{ nothing }}\"}",
            &one[..],
            "line 2, column 7: undefined value",
        ),
        ("{% if %}", &one, "line 1, column 7: syntax error"),
        ("not JSON", &one, "the result is not JSON"),
        (
            good,
            &["upstream.unavailable"],
            "(with the example of upstream.unavailable)",
        ),
    ] {
        let refused = test.client.post(ENDPOINTS).json(&with(template, types));
        let refused = refused.refused(422, "invalid-request").await;
        assert_eq!(refused.pointers(), ["/template"]);
        assert!(refused.text.contains(detail), "{}", refused.text);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_another_shape_is_a_warning_in_the_answer() {
    let test = open_gateway().await;
    let odd = json!({"url": "https://chat.example/hooks/abc", "format": "slack"});
    let made = test.client.post(ENDPOINTS).json(&odd).send().await.expect(201);
    assert_eq!(made.body["warnings"][0]["pointer"], "/url");
    assert!(
        !made.text.contains("/hooks/abc"),
        "the address is a credential: {}",
        made.text
    );
    let link = made.header("location").to_owned();
    let patched = test
        .client
        .request("PATCH", &link)
        .header("content-type", "application/merge-patch+json")
        .body(r#"{"format": "mattermost"}"#)
        .send()
        .await
        .expect(200);
    assert_eq!(patched.body["warnings"], json!([]));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_format_takes_is_checked_masked_and_kept() {
    let test = open_gateway().await;
    for (settings, pointers) in [
        (json!({"format": "pagerduty"}), vec!["/routingKey"]),
        (json!({"format": "teams", "routingKey": "k"}), vec!["/routingKey"]),
        (
            json!({"format": "teams", "bot": {"token": "t", "channel": "c"}}),
            vec!["/bot"],
        ),
        (
            json!({"format": "slack", "bot": {}}),
            vec!["/bot/token", "/bot/channel"],
        ),
        (
            json!({"format": "mattermost", "bot": {"token": "t", "channel": "c"}}),
            vec!["/bot/channel", "/bot/channelId"],
        ),
        (json!({"contentType": "text/plain"}), vec!["/contentType"]),
        (
            json!({"template": "", "contentType": "x"}),
            vec!["/template", "/contentType"],
        ),
        (json!({"format": "smoke"}), vec!["/format"]),
    ] {
        let mut wanted = settings.clone();
        wanted["url"] = "https://r.example/".into();
        let refused = test
            .client
            .post(ENDPOINTS)
            .json(&wanted)
            .refused(422, "invalid-request")
            .await;
        assert_eq!(refused.pointers(), pointers, "{settings}");
    }
    let bot = json!({"url": "https://slack.com/api/", "format": "slack",
                     "bot": {"token": "xoxb-very-secret", "channel": "C123"}});
    let made = test.client.post(ENDPOINTS).json(&bot).send().await.expect(201);
    assert_eq!(made.body["bot"], json!({"token": "***", "channel": "C123"}));
    assert_eq!(made.body["warnings"], json!([]));
    assert!(!made.text.contains("very-secret"));
    let link = made.header("location").to_owned();
    let patch = |body: Value| {
        let patch = test.client.request("PATCH", &link);
        patch
            .header("content-type", "application/merge-patch+json")
            .body(body.to_string())
            .send()
    };
    let kept = patch(json!({"bot": {"token": "***", "channel": "C9"}}))
        .await
        .expect(200);
    assert_eq!(kept.body["bot"], json!({"token": "***", "channel": "C9"}));
    let changed = patch(json!({"format": "teams"})).await.expect(200);
    assert_eq!(changed.body["bot"], Value::Null, "the bot belonged to Slack");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_what_would_be_sent_and_sends_nothing() {
    let test = open_gateway().await;
    let peer = Peer::answering(OK).await;
    let made = test
        .client
        .post(ENDPOINTS)
        .json(&settings(&peer.url(), "pagerduty"))
        .send()
        .await
        .expect(201);
    let link = format!("{}/preview", made.header("location"));
    let shown = async |wanted: Value| {
        test.client
            .post(&link)
            .json(&wanted)
            .send()
            .await
            .expect(200)
            .body
    };
    let own = test.client.post(&link).send().await.expect(200).body;
    let body: Value = serde_json::from_str(own["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(
        (&body["routing_key"], &body["event_action"]),
        (&json!("***"), &json!("resolve"))
    );
    let teams = shown(json!({"eventType": "failover.approval.requested", "format": "teams"})).await;
    assert_eq!(teams["contentType"], "application/json; charset=utf-8");
    let text = teams["body"].as_str().expect("a body");
    assert!(text.contains("Waits for approval"), "{text}");
    let text = json!({"template": "{{ event.type }}", "contentType": "text/plain"});
    let text = shown(text).await;
    assert_eq!(
        (&text["contentType"], &text["body"]),
        (&json!("text/plain"), &json!("failover.session.finished"))
    );
    let standard = shown(json!({"format": "standard", "template": "{{ event.type|tojson }}"})).await;
    assert_eq!(standard["body"], "\"failover.session.finished\"");
    for (wanted, pointer) in [
        (json!({"eventType": "nothing"}), "/eventType"),
        (json!({"format": "nothing"}), "/format"),
        (json!({"template": "{{ x }}"}), "/template"),
    ] {
        let refused = test
            .client
            .post(&link)
            .json(&wanted)
            .refused(422, "invalid-request")
            .await;
        assert_eq!(refused.pointers(), [pointer]);
    }
    let nobody = test.client_with(&["webhooks:read"]);
    nobody.post(&link).send().await.expect(200);
    test.client_with(&["plans:read"])
        .post(&link)
        .refused(403, "insufficient-scope")
        .await;
    assert_eq!(peer.count(), 0);
    test.stop().await;
}

/// The requests of docs/formats.md, wherever they stand: from `{"url"` to the brace that closes it.
fn documented_requests() -> Vec<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md");
    let page = std::fs::read_to_string(path).expect("the page");
    // A part that everybody has otherwise is an ellipsis there.
    let page = page.replace('…', "x");
    let read = |(at, _): (usize, &str)| {
        let mut values = serde_json::Deserializer::from_str(&page[at..]).into_iter::<Value>();
        values.next().expect("a value").expect("a request is JSON")
    };
    page.match_indices("{\"url\"").map(read).collect()
}

#[tokio::test]
async fn every_request_in_the_documentation_makes_an_endpoint_without_warnings() {
    let bench = Bench::idle(emgate::webhooks::Config::default()).await;
    let requests = documented_requests();
    let named = |format: &str| requests.iter().any(|request| request["format"] == format);
    for (format, ..) in FORMATS.iter().skip(2) {
        assert!(named(format), "docs/formats.md shows no request for {format}");
    }
    for request in &requests {
        let wanted = serde_json::from_value(request.clone()).expect("settings");
        let made = bench
            .verbs
            .create(&crate::support::context::operator(), wanted)
            .await;
        let made = made.unwrap_or_else(|fault| panic!("{request}: {fault:?}"));
        assert!(made.warnings.is_empty(), "{request}: {:?}", made.warnings);
    }
}

#[tokio::test]
async fn a_chat_service_gets_no_more_a_second_than_it_takes() {
    let (bench, peer) = (Bench::start().await, Peer::start(|_| ok_in_words()).await);
    bench.endpoint_with(&peer.url(), json!({"format": "slack"})).await;
    for _ in 0..3 {
        bench.event().await;
    }
    for sent in 1..=3 {
        holds("the next message", || peer.count() == sent).await;
        quiet(&bench).await;
        assert_eq!(peer.count(), sent, "one a second");
        bench.advance(Duration::from_secs(1));
    }
}
