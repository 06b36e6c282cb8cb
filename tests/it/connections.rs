//! Connections and their limits: idle ones, heads that stall, answers that take long, and a system without descriptors.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::process::PATIENCE;
use crate::support::world::World;
use crate::support::{TestGateway, client};
use crate::waiting::slowly;

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
const HOUR: Duration = Duration::from_hours(1);

async fn gateway(idle: Duration, head: Duration) -> TestGateway {
    let builder = TestGateway::builder().config(move |config| {
        config.server.idle_timeout = idle;
        config.server.head_timeout = head;
    });
    builder.unready().start().await
}

/// Sends a request and reads its answer, whose body is its end.
async fn exchange(stream: &mut TcpStream) {
    stream.write_all(REQUEST).await.expect("written");
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") && !seen.ends_with(b"ok") && !seen.ends_with(b"ok\n") {
        let count = stream.read_buf(&mut seen).await.expect("an answer");
        assert_ne!(count, 0, "closed: {}", String::from_utf8_lossy(&seen));
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// Waits until the other side closes.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    // A reset is an end as well.
    let _ = end.expect("it is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_at_its_timeout() {
    let idle = Duration::from_millis(1500);
    let test = gateway(idle, Duration::from_millis(200)).await;
    let mut stream = connect(test.addr()).await;
    exchange(&mut stream).await;
    // Far beyond the limit of a head.
    slowly(Duration::from_millis(700)).await;
    exchange(&mut stream).await;
    let begun = Instant::now();
    closed(&mut stream).await;
    assert!(begun.elapsed() > idle / 2, "closed after {:?}", begun.elapsed());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_of_http_2_is_closed_in_time() {
    let idle = Duration::from_millis(1500);
    let test = gateway(idle, Duration::from_millis(200)).await;
    let stream = connect(test.addr()).await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("a connection");
    let connection = tokio::spawn(connection);
    for pause in [700, 0] {
        let request = hyper::Request::get(format!("http://{}/healthz", test.addr()))
            .body(Empty::<Bytes>::new())
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.expect("a body");
        slowly(Duration::from_millis(pause)).await;
    }
    let begun = Instant::now();
    let end = tokio::time::timeout(PATIENCE, connection).await;
    let _ = end.expect("it is closed");
    assert!(begun.elapsed() > idle / 2, "closed after {:?}", begun.elapsed());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_stalls_is_cut_off_on_a_kept_connection() {
    let test = gateway(HOUR, Duration::from_millis(300)).await;
    for first in [0, 1, 3] {
        let mut stream = connect(test.addr()).await;
        for _ in 0..first {
            exchange(&mut stream).await;
        }
        stream.write_all(b"GET /healthz HTT").await.expect("written");
        closed(&mut stream).await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_is_cut_off_on_a_kept_connection() {
    let test = gateway(HOUR, Duration::from_millis(300)).await;
    let mut stream = connect(test.addr()).await;
    exchange(&mut stream).await;
    let (mut reader, mut writer) = stream.into_split();
    let dripping = tokio::spawn(async move {
        let _ = writer.write_all(b"GET /healthz HTTP/1.1\r\n").await;
        while writer.write_all(b"x: y\r\n").await.is_ok() {
            slowly(Duration::from_millis(20)).await;
        }
    });
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut rest)).await;
    let _ = end.expect("it is closed");
    dripping.abort();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_break_after_an_answer_begins_no_head() {
    let test = gateway(HOUR, Duration::from_millis(200)).await;
    let mut stream = connect(test.addr()).await;
    exchange(&mut stream).await;
    stream.write_all(b"\r\n").await.expect("written");
    slowly(Duration::from_millis(600)).await;
    exchange(&mut stream).await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_take_longer_than_a_connection_may_be_idle() {
    let test = TestGateway::builder()
        .sim(|sim| sim.speed = 0.5)
        .config(|config| config.server.idle_timeout = Duration::from_millis(100))
        .start()
        .await;
    let path = format!("/api/v1/cloud-failover-plans/{}/test", crate::support::PLAN);
    let request = test.client.post(&path).header("prefer", "wait=1");
    let answer = request.send().await.expect(202);
    assert_eq!(answer.header("preference-applied"), "wait=1");
    test.stop().await;
}

#[tokio::test]
async fn a_gateway_accepts_again_once_descriptors_are_free() {
    let mut world = World::start(&[]).await;
    let id = world.gateway.id().to_string();
    let limit = |soft: &str| {
        let set = Command::new("prlimit")
            .args(["--pid", &id, &format!("--nofile={soft}:")])
            .status();
        assert!(set.expect("prlimit runs").success());
    };
    let open = std::fs::read_dir(format!("/proc/{id}/fd"))
        .expect("its descriptors")
        .count();
    // None of those that are open is free.
    limit(&open.saturating_sub(2).to_string());
    let mut waiting = Vec::new();
    for _ in 0..open {
        waiting.push(TcpStream::connect(world.gateway.addr).await.expect("queued"));
    }
    let message =
        "connections cannot be accepted; if there are too many open files, raise the limit (ulimit -n)";
    let line = world.gateway.wait_for_line(message);
    assert_eq!(line["level"], "ERROR", "{line}");
    assert!(
        line["error"]
            .as_str()
            .is_some_and(|text| text.contains("open files")),
        "{line}"
    );
    limit("1024");
    let mut answer = Vec::new();
    let last = waiting.last_mut().expect("a connection");
    last.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .expect("written");
    last.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    assert!(!world.gateway.log().contains(message), "it is said once a minute");
    drop(waiting);
    world.stop_gateway();
}

#[tokio::test]
async fn a_listener_on_all_addresses_is_reached_over_ipv4_whose_callers_are_named_so() {
    let mut world = World::begin_by(&["env", "EMGATE_SERVER__LISTEN=[::]:0", "EMGATE_LOG=info"], &[]);
    let port = world.gateway.addr.port();
    let url = format!("http://127.0.0.1:{port}/api/v1/operations");
    let answer = client::plain().get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 401);
    let line = world.gateway.wait_for_line("GET /api/v1/operations 401");
    assert_eq!(line["client"], "127.0.0.1", "{line}");
    world.stop_gateway();
}
