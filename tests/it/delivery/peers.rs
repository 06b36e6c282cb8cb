//! Receivers that misbehave: each ends as the class of error that the documentation names, within its limits.

use std::time::{Duration, Instant};

use emgate::clock::Clock as _;
use emgate::domain::webhook::{Attempt, AttemptError, DeliveryState};

use super::bench::Bench;
use super::peer::{Peer, Reply};
use crate::waiting::holds;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n";

/// One delivery to a receiver that answers so; its first attempt.
async fn attempt(reply: Reply) -> (Attempt, DeliveryState, Duration) {
    let (bench, peer) = (Bench::start().await, Peer::answering(reply).await);
    bench.endpoint(&peer.url()).await;
    let start = Instant::now();
    let event = bench.event().await;
    let delivery = super::bench::until("the attempt's end", || async {
        Some(bench.delivery_of(event).await)
            .filter(|delivery| delivery.state != DeliveryState::Sending && !delivery.attempts.is_empty())
    })
    .await;
    assert_eq!(peer.count(), 1, "nothing is sent twice unseen");
    (delivery.attempts[0].clone(), delivery.state, start.elapsed())
}

#[tokio::test]
async fn each_fault_of_a_receiver_has_its_class() {
    let many = |line: &str, count: usize| {
        let mut bytes = HEAD.to_vec();
        for number in 0..count {
            bytes.extend_from_slice(format!("x-{number}: {line}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    };
    for (what, reply, error) in [
        ("never answers", Reply::Stall(Vec::new()), AttemptError::Timeout),
        (
            "stalls within the status line",
            Reply::Stall(b"HTTP/1.1 20".to_vec()),
            AttemptError::Timeout,
        ),
        (
            "stalls within the head",
            Reply::Stall(HEAD.to_vec()),
            AttemptError::Timeout,
        ),
        (
            "drips its head",
            Reply::Drip(b"", many("y", 90)),
            AttemptError::Timeout,
        ),
        (
            "hangs up without a word",
            Reply::Bytes(Vec::new()),
            AttemptError::Reset,
        ),
        (
            "hangs up within the head",
            Reply::Bytes(HEAD.to_vec()),
            AttemptError::Reset,
        ),
        ("resets the connection", Reply::Reset, AttemptError::Reset),
        (
            "speaks no HTTP",
            Reply::Bytes(b"220 mail.example ESMTP\r\n\r\n".to_vec()),
            AttemptError::Protocol,
        ),
        (
            "has a bad status",
            Reply::Bytes(b"HTTP/1.1 9999 X\r\n\r\n".to_vec()),
            AttemptError::Protocol,
        ),
        (
            "has a status line without end",
            Reply::Flood(b"HTTP/1.1 200 ".to_vec(), b"y".repeat(1000)),
            AttemptError::HeadersTooLarge,
        ),
        (
            "says 100 for ever",
            Reply::Flood(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100)),
            AttemptError::Timeout,
        ),
    ] {
        let (attempt, state, took) = attempt(reply).await;
        assert_eq!(attempt.error, Some(error), "{what}");
        assert_eq!((attempt.status, state), (None, DeliveryState::Pending), "{what}");
        assert!(took < Duration::from_secs(5), "{what}: {took:?}");
    }
}

#[tokio::test]
async fn statuses_that_are_no_success_are_failures() {
    for status in [100, 101, 199, 300, 304, 400, 404, 408, 418, 500, 503, 599, 999] {
        let reply = Reply::Bytes(format!("HTTP/1.1 {status} Word\r\ncontent-length: 0\r\n\r\n").into_bytes());
        let (attempt, state, _) = attempt(reply).await;
        assert!(attempt.error.is_some(), "{status}");
        assert_eq!(state, DeliveryState::Pending, "{status}");
    }
}

#[tokio::test]
async fn success_is_decided_at_the_status_line_whatever_the_body_does() {
    let body = |length: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\nhello")
    };
    for (what, reply, response) in [
        ("any 2xx", Reply::Status(299, ""), None),
        (
            "a stalled body",
            Reply::Stall(body("100").into_bytes()),
            Some("hello"),
        ),
        (
            "a body cut short",
            Reply::Bytes(body("100").into_bytes()),
            Some("hello"),
        ),
        (
            "a dripping body",
            Reply::Drip(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", b"hello".to_vec()),
            Some("hello"),
        ),
        (
            "garbage in chunks",
            Reply::Bytes(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzzz\r\n".to_vec()),
            None,
        ),
        (
            "a binary body",
            Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n\x89PNG".to_vec()),
            None,
        ),
    ] {
        let (attempt, state, _) = attempt(reply).await;
        assert_eq!((attempt.error, state), (None, DeliveryState::Delivered), "{what}");
        assert_eq!(attempt.response.as_deref(), response, "{what}");
    }
}

/// Heads that no strict parser takes, after the status line.
fn odd_heads() -> Vec<(&'static str, Vec<u8>)> {
    let many = |line: &str, count: usize| {
        let lines = (0..count).map(|number| format!("x-{number}{line}\r\n"));
        lines.collect::<String>().into_bytes()
    };
    let end = |mut lines: Vec<u8>| {
        lines.extend_from_slice(b"\r\n");
        lines
    };
    let lines = |text: &[u8]| end(text.to_vec());
    vec![
        ("a control byte", lines(b"set-cookie: a=b\x01c\r\n")),
        ("a NUL", lines(b"x: a\x00b\r\n")),
        ("a NUL in a name", lines(b"x\x00y: a\r\n")),
        ("DEL", lines(b"x: a\x7fb\r\n")),
        ("a carriage return alone", lines(b"x: a\rb\r\n")),
        ("no colon", lines(b"nonsense\r\n")),
        ("a space before the colon", lines(b"x : y\r\n")),
        ("a space in a name", lines(b"x y: z\r\n")),
        ("a folded line", lines(b"x: y\r\n z\r\n")),
        ("a leading space", lines(b" x: y\r\n")),
        ("an empty name", lines(b": y\r\n")),
        ("a name that is not ASCII", lines("größe: y\r\n".as_bytes())),
        ("a value that is not ASCII", lines(b"x: gr\xf6\xc3\xb6\xff\r\n")),
        (
            "a very long line",
            end(many(&format!(": {}", "y".repeat(20_000)), 1)),
        ),
        ("too many fields", end(many(": y", 150))),
        ("a hundred malformed lines", end(many(" y", 100))),
        (
            "too many long fields",
            end(many(&format!(": {}", "y".repeat(1000)), 40)),
        ),
        ("bare line feeds", b"x: y\nz: a\x02\n\n".to_vec()),
        (
            "lengths that contradict each other",
            lines(b"content-length: 1\r\ncontent-length: 2\r\n"),
        ),
        ("a length that is no number", lines(b"content-length: many\r\n")),
        ("a negative length", lines(b"content-length: -1\r\n")),
        (
            "an unknown coding",
            lines(b"transfer-encoding: odd\r\ncontent-length: 0\r\n"),
        ),
    ]
}

#[tokio::test]
async fn malformed_header_lines_do_not_undo_a_success() {
    for (what, lines) in odd_heads() {
        let (attempt, state, _) = attempt(Reply::Bytes([HEAD, &lines].concat())).await;
        assert_eq!(
            (attempt.error, attempt.status, state),
            (None, Some(200), DeliveryState::Delivered),
            "{what}"
        );
    }
}

#[tokio::test]
async fn malformed_header_lines_do_not_hide_the_status_of_a_failure() {
    for (what, lines) in odd_heads() {
        let head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 422 No\r\n";
        let (attempt, state, _) = attempt(Reply::Bytes([&head[..], &lines].concat())).await;
        assert_eq!(
            (attempt.error, attempt.status, state),
            (Some(AttemptError::HttpStatus), Some(422), DeliveryState::Pending),
            "{what}"
        );
    }
}

#[tokio::test]
async fn odd_status_lines_are_read() {
    for line in [
        &b"HTTP/1.1 200\r\n"[..],
        b"HTTP/1.1 200 \r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 200 Gr\xf6\xdfe\r\n",
        b"HTTP/1.1 200 O\x01K\r\n",
        b"HTTP/1.1 200 O\x00K\r\n",
        b"HTTP/1.1 200 OK\n",
    ] {
        let what = line.escape_ascii();
        let (attempt, state, _) = attempt(Reply::Bytes([line, b"\r\n"].concat())).await;
        assert_eq!((attempt.error, state), (None, DeliveryState::Delivered), "{what}");
    }
}

#[tokio::test]
async fn a_pause_is_read_beside_malformed_header_lines() {
    for line in [&b"x: a\x00b\r\n"[..], b"x: a\x01b\r\n", b"x\r\n"] {
        let head = [
            b"HTTP/1.1 429 No\r\n",
            line,
            b"Retry-After : 120\r\nContent-Length: 0\r\n\r\n",
        ]
        .concat();
        let (bench, peer) = (Bench::start().await, Peer::answering(Reply::Bytes(head)).await);
        let endpoint = bench.endpoint(&peer.url()).await;
        let event = bench.event().await;
        bench.attempted(event, 1, DeliveryState::Pending).await;
        let paused = bench.get(endpoint.id).await.health.paused_until;
        let pause = paused.map(|until| until.duration_since(bench.clock.now()).as_secs());
        assert_eq!(pause, Some(120), "{}", line.escape_ascii());
    }
}

#[tokio::test]
async fn a_body_of_10_gigabytes_costs_a_kilobyte() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 10737418240\r\n\r\n".to_vec();
    let (attempt, state, took) = attempt(Reply::Flood(head, vec![b'a'; 65536])).await;
    assert_eq!(state, DeliveryState::Delivered);
    assert_eq!(attempt.response.map(|text| text.len()), Some(1024));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn what_is_compressed_is_not_unpacked() {
    let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: gzip\r\n\r\n".to_vec();
    bytes.extend_from_slice(&[0x1f, 0x8b, 8, 0]);
    let (attempt, _, _) = attempt(Reply::Bytes(bytes)).await;
    let response = attempt.response.expect("a beginning");
    assert!(
        response.starts_with('\u{fffd}') && response.chars().count() == 4,
        "{response:?}"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Peer::answering(super::peer::OK).await;
    let location = format!("location: http://user:word@{}/stolen?token=x\r\n", other.addr);
    let (bench, peer) = (
        Bench::start().await,
        Peer::start({
            let location: &'static str = Box::leak(location.into_boxed_str());
            move |_| Reply::Status(307, location)
        })
        .await,
    );
    bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    let delivery = bench.attempted(event, 1, DeliveryState::Pending).await;
    let attempt = &delivery.attempts[0];
    assert_eq!(
        (attempt.status, attempt.error),
        (Some(307), Some(AttemptError::Redirect))
    );
    assert_eq!(
        attempt.location,
        Some(format!("http://***@{}/stolen?token=***", other.addr))
    );
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn a_receiver_that_cannot_be_reached_is_a_failed_connection_or_a_dns_error() {
    let bench = Bench::start().await;
    let gone = Peer::answering(super::peer::OK).await.url();
    bench.endpoint(&gone).await;
    let event = bench.event().await;
    let delivery = bench.attempted(event, 1, DeliveryState::Pending).await;
    assert_eq!(delivery.attempts[0].error, Some(AttemptError::Connect));
    let other = Bench::start().await;
    other.endpoint("http://no-such-host.invalid/hook").await;
    let event = other.event().await;
    let delivery = other.attempted(event, 1, DeliveryState::Pending).await;
    assert_eq!(delivery.attempts[0].error, Some(AttemptError::Dns));
}

#[tokio::test]
async fn a_connection_that_the_receiver_would_keep_is_used_once() {
    let kept = b"HTTP/1.1 204 No Content\r\nconnection: keep-alive\r\nkeep-alive: timeout=60\r\n\r\n";
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Stall(kept.to_vec())).await,
    );
    bench.endpoint(&peer.url()).await;
    for sent in 1..=3 {
        let event = bench.event().await;
        let delivery = bench.settled(event, DeliveryState::Delivered).await;
        assert_eq!(delivery.attempts.len(), 1);
        assert_eq!(delivery.attempts[0].exchange.reused, Some(false));
        // On a connection that it keeps the receiver would have read, and not have counted, a second request.
        assert_eq!(peer.count(), sent);
        holds("the sender hangs up", || peer.open() == 0).await;
    }
}
