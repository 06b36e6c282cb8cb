//! Callers that hold on to what they get: slow heads and bodies, answers that are not taken, and frames of HTTP/2 that cost the
//! server more than the caller.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::process::PATIENCE;
use crate::support::{TestGateway, plan};
use crate::waiting::{holds, slowly};

const HOUR: Duration = Duration::from_hours(1);

async fn gateway(request: Duration, head: Duration) -> TestGateway {
    let builder = TestGateway::builder().config(move |config| {
        config.server.request_timeout = request;
        config.server.head_timeout = head;
    });
    builder.unready().start().await
}

/// What comes until the other side closes.
async fn to_the_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut seen = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut seen)).await;
    // A reset is an end as well.
    let _ = end.expect("it is closed");
    seen
}

/// Sends a byte of a body now and then, as long as somebody takes it.
fn drip(mut half: tokio::net::tcp::OwnedWriteHalf) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while half.write_all(b" ").await.is_ok() {
            slowly(Duration::from_millis(20)).await;
        }
    })
}

fn post(path: &str, token: Option<&str>) -> String {
    let token = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n{token}\
         content-length: 100000\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_does_not_hold_a_connection_with_a_body_that_drips() {
    let test = gateway(HOUR, HOUR).await;
    let stream = TcpStream::connect(test.addr()).await.expect("a connection");
    let (mut reader, mut writer) = stream.into_split();
    writer
        .write_all(post(&plan("/test"), None).as_bytes())
        .await
        .expect("written");
    let dripping = drip(writer);
    let mut answer = Vec::new();
    let end = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut answer)).await;
    let _ = end.expect("it is closed, whatever else is waited for an hour");
    assert!(answer.starts_with(b"HTTP/1.1 401"), "{}", answer.escape_ascii());
    dripping.abort();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_the_time_of_a_request_for_its_body() {
    let test = gateway(Duration::from_secs(1), HOUR).await;
    let token =
        crate::support::token(&serde_json::json!({"sub": "ann", "scope": "webhooks:write tenants:all"}));
    let stream = TcpStream::connect(test.addr()).await.expect("a connection");
    let (mut reader, mut writer) = stream.into_split();
    let head = post("/api/v1/webhook-endpoints", Some(&token));
    writer.write_all(head.as_bytes()).await.expect("written");
    let dripping = drip(writer);
    let mut answer = Vec::new();
    let end = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut answer)).await;
    let _ = end.expect("it is closed");
    assert!(answer.starts_with(b"HTTP/1.1 503"), "{}", answer.escape_ascii());
    dripping.abort();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_head_that_never_ends_is_cut_off() {
    let test = gateway(HOUR, Duration::from_millis(300)).await;
    for start in [
        "",
        "GET",
        "GET / HTTP/1.1\r\nhost: x\r\nx: ",
        "PRI * HTTP/2.0\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(test.addr()).await.expect("a connection");
        stream.write_all(start.as_bytes()).await.expect("written");
        to_the_end(&mut stream).await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused() {
    let test = gateway(HOUR, HOUR).await;
    let mut stream = TcpStream::connect(test.addr()).await.expect("a connection");
    let head = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "y".repeat(200_000)
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let answer = to_the_end(&mut stream).await;
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
        "{}",
        answer.escape_ascii()
    );
    test.stop().await;
}

/// The state of the server's side of a connection, as the kernel numbers it; 1 is open.
fn server_side(server: SocketAddr, client: SocketAddr) -> Option<u8> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let port = |field: &str| u16::from_str_radix(field.rsplit(':').next()?, 16).ok();
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it =
            port(fields.get(1)?) == Some(server.port()) && port(fields.get(2)?) == Some(client.port());
        is_it.then(|| u8::from_str_radix(fields.get(3)?, 16).ok())?
    })
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_takes_no_answer_is_disconnected() {
    let test = gateway(Duration::from_secs(1), HOUR).await;
    let mut stream = TcpStream::connect(test.addr()).await.expect("a connection");
    let client = stream.local_addr().expect("an address");
    // More answers than any buffer holds.
    let request = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50);
    stream.write_all(request.as_bytes()).await.expect("written");
    holds("the server closes", || {
        server_side(test.addr(), client) != Some(1)
    })
    .await;
    test.stop().await;
}

/// A connection of HTTP/2 by hand: frames as RFC 9113 writes them.
struct Frames(TcpStream);

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
/// `:method GET`, `:scheme http`, `:path /`, and the authority `x` (RFC 7541 appendix A).
const GET_ROOT: &[u8] = &[0x82, 0x86, 0x84, 0x41, 0x01, b'x'];

impl Frames {
    async fn open(test: &TestGateway) -> Self {
        let mut stream = TcpStream::connect(test.addr()).await.expect("a connection");
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .expect("written");
        let mut frames = Self(stream);
        assert!(frames.send(SETTINGS, 0, 0, &[]).await);
        frames
    }

    /// Whether the other side still takes frames.
    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.write_all(&[&head, payload].concat()).await.is_ok()
    }

    /// The next frame: kind, stream, payload; none when the connection has ended.
    async fn next(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let reading = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.ok()?;
            Some((head[3], stream, payload))
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("a frame or the end")
    }

    /// The error that the other side ends the connection with; none when it just ends.
    async fn ended(&mut self) -> Option<u8> {
        let mut reason = None;
        while let Some((kind, _, payload)) = self.next().await {
            if kind == GO_AWAY {
                reason = payload.get(7).copied();
            }
        }
        reason
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_at_once_end_their_connection() {
    const ENHANCE_YOUR_CALM: u8 = 0xb;
    let test = gateway(HOUR, HOUR).await;
    let mut frames = Frames::open(&test).await;
    for number in 0..5_000 {
        let stream = 2 * number + 1;
        let taken = frames
            .send(HEADERS, END_HEADERS | END_STREAM, stream, GET_ROOT)
            .await
            && frames.send(RESET, 0, stream, &[0, 0, 0, 8]).await;
        if !taken {
            break;
        }
    }
    let reason = frames.ended().await;
    assert!(
        reason.is_none_or(|reason| reason == ENHANCE_YOUR_CALM),
        "{reason:?}"
    );
    test.stranger().get("/healthz").send().await.expect(200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_an_end_end_their_connection() {
    let test = gateway(HOUR, HOUR).await;
    let mut frames = Frames::open(&test).await;
    // A literal header `a` of 16,000 bytes, not indexed, again and again.
    let header = [&[0, 1, b'a', 0x7f, 0x81, 0x7c][..], &[b'b'; 16_000]].concat();
    let mut taken = frames.send(HEADERS, END_STREAM, 1, GET_ROOT).await;
    let mut sent = 0;
    while taken && sent < 10_000 {
        taken = frames.send(CONTINUATION, 0, 1, &header).await;
        sent += 1;
    }
    assert!(sent < 10_000, "160 MB of headers were taken");
    frames.ended().await;
    test.stranger().get("/healthz").send().await.expect(200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_http_2_says_how_many_streams_and_headers_it_takes() {
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    const MAX_HEADER_LIST_SIZE: u16 = 6;
    let test = gateway(HOUR, HOUR).await;
    let mut frames = Frames::open(&test).await;
    let payload = loop {
        let (kind, _, payload) = frames.next().await.expect("a frame");
        if kind == SETTINGS && !payload.is_empty() {
            break payload;
        }
    };
    let settings: Vec<(u16, u32)> = payload
        .chunks(6)
        .map(|one| {
            let value = u32::from_be_bytes([one[2], one[3], one[4], one[5]]);
            (u16::from_be_bytes([one[0], one[1]]), value)
        })
        .collect();
    assert!(settings.contains(&(MAX_CONCURRENT_STREAMS, 128)), "{settings:?}");
    assert!(settings.contains(&(MAX_HEADER_LIST_SIZE, 65_536)), "{settings:?}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_names_the_server_or_its_version() {
    let test = gateway(HOUR, HOUR).await;
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/api/v1/me",
        "/problems/plan-busy",
        "/docs",
        "/nothing",
    ] {
        let url = format!("http://{}{path}", test.addr());
        let answer = crate::support::client::plain()
            .get(url)
            .send()
            .await
            .expect("an answer");
        let headers = format!("{:?}", answer.headers()).to_lowercase();
        for banner in [
            "\"server\"",
            "x-powered-by",
            "via\"",
            env!("CARGO_PKG_VERSION"),
            "hyper",
            "axum",
        ] {
            assert!(!headers.contains(banner), "{path}: {banner} in {headers}");
        }
    }
    test.stop().await;
}
