//! Faults on the way to EM: no listener, an unknown name, an untrusted certificate, and EM away for a short time.

use futures_util::FutureExt as _;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use std::sync::mpsc::channel;

use super::Scenario;
use super::stage::{self, Asked, Observed};
use crate::em_bench::{Server, answer, usual};
use crate::support::tcp_gate::TcpGate;
use crate::support::{Builder, PLAN, TestGateway};
use crate::upstream_faults::tls;

pub const SCENARIOS: &[Scenario] = &[
    ("refused", || refused().boxed_local()),
    ("refused-action", || refused_action().boxed_local()),
    ("em-restart", || em_restart().boxed_local()),
    ("dns", || dns().boxed_local()),
    ("expired-certificate", || expired_certificate().boxed_local()),
    ("wrong-pin", || wrong_pin().boxed_local()),
];

#[tokio::test(flavor = "multi_thread")]
async fn broken_ways_to_em_are_answered_as_the_table_says() {
    super::compare(&super::together(SCENARIOS).await);
}

/// A gateway whose EM is behind a gate.
async fn behind_a_gate(speed: f64) -> (TestGateway, TcpGate) {
    let (sender, gates) = channel();
    let test = TestGateway::builder()
        .sim(|sim| sim.speed = speed)
        .config(move |config| {
            sender
                .send(TcpGate::before(&mut config.upstream))
                .expect("awaited");
            stage::impatient(&mut config.upstream);
        })
        .start()
        .await;
    (test, gates.recv().expect("a gate"))
}

async fn refused() -> Observed {
    let (test, gate) = behind_a_gate(50.0).await;
    gate.shut().await;
    let mut asked = Asked::about(&test, PLAN);
    asked.read().await;
    asked.act("test").await;
    let seen = asked.end_by_count().await;
    gate.open().await;
    test.stop().await;
    seen
}

/// The read of the plan still finds an open connection; a POST always wants a fresh one.
async fn refused_action() -> Observed {
    let (test, gate) = behind_a_gate(50.0).await;
    let mut asked = Asked::about(&test, PLAN);
    asked.read().await;
    gate.refuse().await;
    asked.act("test").await;
    gate.open().await;
    let seen = asked.end_by_count().await;
    test.stop().await;
    seen
}

/// EM goes away while a failover runs, and comes back without any of its logon sessions.
async fn em_restart() -> Observed {
    let (test, gate) = behind_a_gate(5.0).await;
    let mut asked = Asked::about(&test, PLAN);
    asked.act("test").await;
    gate.shut().await;
    test.sim_control(reqwest::Method::POST, "expire", Value::Null)
        .await;
    asked.read().await;
    test.until("/readyz", |body| body["status"] == "degraded").await;
    gate.open().await;
    let seen = asked.end_by_count().await;
    test.stop().await;
    seen
}

/// Asks a gateway that never saw its EM. `posts`: how many it got all the same.
async fn never_seen(builder: Builder, posts: impl FnOnce() -> usize) -> Observed {
    let test = builder.unready().start().await;
    let mut asked = Asked::about(&test, PLAN);
    asked.read().await;
    asked.act("test").await;
    let seen = asked.end(posts()).await;
    test.stop().await;
    seen
}

async fn dns() -> Observed {
    let builder = TestGateway::builder().config(|config| {
        stage::impatient(&mut config.upstream);
        config.upstream.url = "http://em.example:9398".parse().expect("a URL");
    });
    never_seen(builder, || 0).await
}

/// An authority, and a certificate for 127.0.0.1 that it made and that is good until `year`.
fn certified(year: i32) -> (Certificate, Certificate, KeyPair) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("a certificate");
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
    leaf.not_before = rcgen::date_time_ymd(2020, 1, 1);
    leaf.not_after = rcgen::date_time_ymd(year, 1, 1);
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    (root, leaf, key)
}

/// How often an EM with that certificate is asked anything by a gateway that trusts its authority.
async fn with_certificate(year: i32) -> (usize, Observed) {
    let (root, leaf, key) = certified(year);
    let server = Server::start_with(Some(tls(leaf.der(), &key)), |request| {
        usual(request).unwrap_or_else(|| answer("404 Not Found", "", "<Error/>"))
    })
    .await;
    let url = server.url.parse().expect("a URL");
    let builder = TestGateway::builder().config(move |config| {
        stage::impatient(&mut config.upstream);
        config.upstream.url = url;
        config.upstream.ca_pem = Some(root.pem().into_bytes());
    });
    let seen = never_seen(builder, || server.count("POST /api/cloud")).await;
    (server.seen().len(), seen)
}

async fn expired_certificate() -> Observed {
    let (asked, _) = with_certificate(2120).await;
    assert!(asked > 0, "the same certificate works while it is good");
    let (asked, seen) = with_certificate(2021).await;
    assert_eq!(asked, 0, "not a byte of a request reached it");
    seen
}

async fn wrong_pin() -> Observed {
    let (root, leaf, key) = certified(2120);
    let server = Server::start_with(Some(tls(leaf.der(), &key)), |request| {
        usual(request).unwrap_or_else(|| answer("404 Not Found", "", "<Error/>"))
    })
    .await;
    let url = server.url.parse().expect("a URL");
    let builder = TestGateway::builder().config(move |config| {
        stage::impatient(&mut config.upstream);
        config.upstream.url = url;
        config.upstream.ca_pem = Some(root.pem().into_bytes());
        config.upstream.pin_sha256 = vec![[7; 32]];
    });
    let seen = never_seen(builder, || server.count("POST /api/cloud")).await;
    assert_eq!(server.seen().len(), 0, "not a byte of a request reached it");
    seen
}
