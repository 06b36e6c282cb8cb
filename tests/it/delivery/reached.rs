//! How a receiver is reached where its endpoint says so: in what time, how often, by which authority, with which certificate,
//! through which proxy.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use emgate::app::Error;
use emgate::domain::webhook::connection::{Connection, Proxy};
use emgate::domain::webhook::target::TargetUrl;
use emgate::domain::webhook::{AttemptError, DeliveryState};
use emgate::webhooks::client::Manner;
use emgate::webhooks::{Client, Config, EgressPolicy};
use rcgen::{CertificateParams, KeyPair};
use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::bench::{Bench, lab, quiet};
use super::peer::{OK, Peer, Reply};
use super::tls::{Loopback, authority, client, server, server_asking};
use crate::support::context::operator;
use crate::waiting::holds;

/// A proxy that answers so; what it was asked.
struct Asked {
    addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Asked {
    /// One that connects, when `answer` says that it did.
    async fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = heads.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.expect("read") == 0 {
                        break;
                    }
                }
                let head = String::from_utf8(head).expect("text");
                let to = head.split(' ').nth(1).expect("a target").to_owned();
                notes.lock().expect("the notes").push(head);
                stream.write_all(answer.as_bytes()).await.expect("written");
                if answer.contains(" 200 ") {
                    let mut onward = TcpStream::connect(to).await.expect("connected");
                    tokio::spawn(async move {
                        // Whoever hangs up first ends it.
                        let _ = copy_bidirectional(&mut stream, &mut onward).await;
                    });
                }
            }
        });
        Self { addr, heads }
    }

    async fn connecting() -> Self {
        Self::answering("HTTP/1.1 200 Connected\r\nvia: x\r\n\r\n").await
    }

    fn url(&self) -> String {
        format!("http://us%40er:pa%3Ass@{}", self.addr)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("the notes").clone()
    }
}

/// A certificate of this authority for the gateway, and its key.
fn identity(authority: &rcgen::CertifiedIssuer<'static, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["gateway.test".to_owned()]).expect("parameters");
    let leaf = params.signed_by(&key, authority).expect("a leaf");
    (leaf.pem(), key.serialize_pem())
}

#[tokio::test]
async fn an_endpoints_own_authority_is_trusted_for_that_endpoint_alone() {
    let (bench, ours) = (Bench::start().await, authority());
    let url = format!("https://{}/hook", server(&ours, "127.0.0.1", |_| {}).await);
    bench
        .endpoint_with(&url, json!({"caCertificate": ours.pem()}))
        .await;
    let event = bench.event().await;
    bench.settled(event, DeliveryState::Delivered).await;
    let other = bench.endpoint(&url).await;
    let event = bench.event().await;
    let failed = super::bench::until("the other to fail", || async {
        let all = bench.deliveries().await.into_iter();
        let mut own = all.filter(|delivery| delivery.event == event && delivery.endpoint == Some(other.id));
        own.next()
            .filter(|delivery| delivery.state == DeliveryState::Pending && delivery.attempts.len() == 1)
    })
    .await;
    assert_eq!(failed.attempts[0].error, Some(AttemptError::TlsUntrusted));
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_certificate_gets_the_endpoints() {
    let (bench, ours) = (Bench::start().await, authority());
    let url = format!("https://{}/hook", server_asking(&ours, "127.0.0.1").await);
    let endpoint = bench
        .endpoint_with(&url, json!({"caCertificate": ours.pem()}))
        .await;
    let event = bench.event().await;
    let refused = bench.attempted(event, 1, DeliveryState::Pending).await;
    assert!(
        refused.attempts[0].error.is_some(),
        "nothing identifies the gateway"
    );
    let (certificate, key) = identity(&ours);
    let patch = json!({"clientCertificate": {"certificate": certificate, "privateKey": key}});
    bench.patch(endpoint.id, patch).await;
    bench.settled(event, DeliveryState::Delivered).await;
    // The masked key of a read, sent back beside a new certificate for the same key.
    let patch = json!({"clientCertificate": {"certificate": certificate, "privateKey": "***"}});
    bench.patch(endpoint.id, patch).await;
    let event = bench.event().await;
    bench.settled(event, DeliveryState::Delivered).await;
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_address_and_the_receiver_gets_the_request() {
    let (bench, peer, proxy) = (
        Bench::start().await,
        Peer::answering(OK).await,
        Asked::connecting().await,
    );
    let endpoint = bench
        .endpoint_with(&peer.url(), json!({"proxy": proxy.url()}))
        .await;
    let event = bench.event().await;
    let delivery = bench.settled(event, DeliveryState::Delivered).await;
    let addr = peer.addr;
    assert_eq!(
        proxy.heads(),
        [format!(
            "CONNECT {addr} HTTP/1.1\r\nhost: {addr}\r\nproxy-authorization: Basic dXNAZXI6cGE6c3M=\r\n\r\n"
        )]
    );
    let request = peer.received().remove(0);
    request.verify(&endpoint.secret);
    assert!(!request.headers.contains_key("proxy-authorization"));
    assert_eq!(delivery.attempts[0].exchange.remote, Some(addr), "the receiver's");
    let shown = emgate::api_types::webhooks::WebhookEndpoint::from(&bench.get(endpoint.id).await);
    assert_eq!(shown.proxy, Some(format!("http://***@{}", proxy.addr)));
}

#[tokio::test]
async fn a_name_is_resolved_here_and_checked_inside_the_tunnel() {
    let (ours, proxy) = (authority(), Asked::connecting().await);
    let receiver = server(&ours, "receiver.test", |_| {}).await;
    let connection = Connection {
        proxy: Proxy::parse(&proxy.url()).ok(),
        ..Connection::default()
    };
    for (host, result) in [
        ("receiver.test", Ok(204)),
        ("other.test", Err(AttemptError::TlsName)),
    ] {
        let url = format!("https://{host}:{}/hook", receiver.port());
        let target = TargetUrl::parse(&url, false).expect("a URL");
        let manner = Manner::post(&connection);
        let body = bytes::Bytes::from_static(b"{}");
        let report = client(&ours)
            .send(manner, &target, http::HeaderMap::new(), body)
            .await;
        assert_eq!(report.result.map(|answer| answer.status), result, "{host}");
    }
    for head in proxy.heads() {
        assert!(head.starts_with(&format!("CONNECT {receiver} ")), "{head}");
        assert!(!head.contains(".test"), "{head}");
    }
}

#[tokio::test]
async fn the_proxy_of_the_configuration_serves_endpoints_without_their_own() {
    let (common, own) = (Asked::connecting().await, Asked::connecting().await);
    let mut config = lab();
    config.proxy = Proxy::parse(&common.url()).ok();
    let bench = Bench::idle(config).await;
    bench.dispatch();
    let peer = Peer::answering(OK).await;
    bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    bench.settled(event, DeliveryState::Delivered).await;
    bench
        .endpoint_with(&peer.url(), json!({"proxy": own.url()}))
        .await;
    bench.event().await;
    holds("three requests", || peer.count() == 3).await;
    assert_eq!((common.heads().len(), own.heads().len()), (2, 1));
}

#[rstest]
#[case("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")]
#[case("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")]
#[case("HTTP/1.1 200\r\n\r\ngarbage")]
#[case("nonsense\r\n\r\n")]
#[tokio::test]
async fn a_proxy_that_does_not_connect_is_an_error_of_its_own(#[case] answer: &'static str) {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    let proxy = Asked::answering(answer).await;
    bench
        .endpoint_with(&peer.url(), json!({"proxy": proxy.url()}))
        .await;
    let event = bench.event().await;
    let failed = bench.attempted(event, 1, DeliveryState::Pending).await;
    assert_eq!(failed.attempts[0].error, Some(AttemptError::Proxy));
    assert_eq!((failed.attempts[0].status, peer.count()), (None, 0));
}

#[tokio::test]
async fn no_proxy_is_asked_for_a_forbidden_address_and_none_is_at_one() {
    let proxy = Asked::connecting().await;
    let strict = Config::default();
    let guard = EgressPolicy::with_resolver(&strict, Vec::new(), Box::new(Loopback));
    let config = Config {
        proxy: Proxy::parse(&proxy.url()).ok(),
        ..strict.clone()
    };
    let target = TargetUrl::parse("https://receiver.test/hook", false).expect("a URL");
    let report = Client::of(guard, &config)
        .post(&target, http::HeaderMap::new(), bytes::Bytes::new())
        .await;
    assert_eq!(
        report.result.map(|answer| answer.status),
        Err(AttemptError::BlockedAddress)
    );
    assert!(proxy.heads().is_empty());

    let bench = Bench::idle(strict).await;
    for url in [
        "http://10.0.0.1:3128",
        "http://127.0.0.1:3128",
        "http://169.254.169.254",
    ] {
        let wanted = json!({"url": "https://receiver.example/", "proxy": url});
        let wanted = serde_json::from_value(wanted).expect("a wish");
        let Err(Error::Invalid(faults)) = bench.verbs.create(&operator(), wanted).await else {
            panic!("{url} was accepted")
        };
        assert_eq!(faults[0].pointer, "/proxy", "{url}");
    }
}

#[tokio::test]
async fn an_endpoints_time_limit_takes_the_place_of_the_configurations() {
    let mut config = lab();
    config.timeout = Duration::from_secs(600);
    let bench = Bench::idle(config).await;
    bench.dispatch();
    let peer = Peer::answering(Reply::Stall(Vec::new())).await;
    bench.endpoint_with(&peer.url(), json!({"timeout": 1})).await;
    let event = bench.event().await;
    let failed = bench.attempted(event, 1, DeliveryState::Pending).await;
    assert_eq!(failed.attempts[0].error, Some(AttemptError::Timeout));
}

#[tokio::test]
async fn deliveries_beyond_an_endpoints_rate_wait_and_none_fails() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    let limits = json!({"rate": 2, "maxConcurrency": 32});
    bench.endpoint_with(&peer.url(), limits).await;
    for _ in 0..5 {
        bench.event().await;
    }
    for sent in [2, 3, 4, 5] {
        holds(&format!("{sent} requests"), || peer.count() == sent).await;
        quiet(&bench).await;
        assert_eq!(peer.count(), sent, "no more than the rate lets out");
        bench.advance(Duration::from_millis(500));
    }
    holds("all are delivered", || peer.count() == 5).await;
    for delivery in bench.deliveries().await {
        assert!(delivery.attempts.iter().all(|attempt| attempt.error.is_none()));
    }
}

#[rstest]
#[case(json!({"timeout": 0}), "/timeout")]
#[case(json!({"timeout": 61}), "/timeout")]
#[case(json!({"rate": 0}), "/rate")]
#[case(json!({"rate": 1001}), "/rate")]
#[case(json!({"caCertificate": "nothing"}), "/caCertificate")]
#[case(json!({"caCertificate": ""}), "/caCertificate")]
#[case(json!({"clientCertificate": {}}), "/clientCertificate/certificate")]
#[case(json!({"clientCertificate": {"certificate": "x", "privateKey": "***"}}), "/clientCertificate/certificate")]
#[case(json!({"proxy": "https://proxy.example"}), "/proxy")]
#[case(json!({"proxy": "http://***@proxy.example"}), "/proxy")]
#[tokio::test]
async fn each_fault_of_how_a_receiver_is_reached_has_its_pointer(
    #[case] mut wanted: serde_json::Value,
    #[case] pointer: &str,
) {
    let bench = Bench::idle(lab()).await;
    wanted["url"] = json!("https://receiver.example/");
    let wanted = serde_json::from_value(wanted).expect("a wish");
    let Err(Error::Invalid(faults)) = bench.verbs.create(&operator(), wanted).await else {
        panic!("accepted")
    };
    assert_eq!(faults[0].pointer, pointer, "{faults:?}");
}
