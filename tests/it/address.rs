//! Where webhooks may go, at each of the three checks: registration, callback, and the dial itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use emgate::app::Error;
use emgate::app::webhooks::Webhooks;
use emgate::clock::SystemClock;
use emgate::domain::webhook::AttemptError;
use emgate::domain::webhook::target::TargetUrl;
use emgate::store::{self, Store};
use emgate::webhooks::egress::Resolve;
use emgate::webhooks::{Client, Config, DeniedTarget, EgressPolicy};

use crate::support::context::operator;

/// Spellings of hosts that no configuration but a list may open, and most not even that.
const CLOSED: &[&str] = &[
    // loopback
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7F.1",
    "0177.0.0.1",
    "017700000001",
    "0177.0.1",
    "127.0x0.0x0.1",
    "①②⑦.⓪.⓪.①",
    "１２７.０.０.１",
    "127。0。0。1",
    "127．0．0．1",
    "%31%32%37.0.0.1",
    "%6c%6f%63%61%6c%68%6f%73%74",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "loop.test",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:7f00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
    "[::ffff:0:127.0.0.1]",
    "[2001:0:7f00:1::]",
    "[2001::80ff:fffe]",
    "[2001:db8::5efe:7f00:1]",
    // unspecified
    "0.0.0.0",
    "0",
    "0x0",
    "00.0",
    "0.0",
    "[::]",
    "[0::0]",
    "[::ffff:0.0.0.0]",
    "[::0.0.0.0]",
    "zero.test",
    // private
    "10.0.0.1",
    "10.1",
    "10.255.255.255",
    "0xa000001",
    "0x0a.0.0.1",
    "012.0.0.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.255",
    "0xac100001",
    "192.168.0.1",
    "192.168.1",
    "192.168.257",
    "3232235521",
    "0xC0A80001",
    "0300.0250.0.1",
    "[::ffff:10.0.0.1]",
    "[::ffff:c0a8:1]",
    "[64:ff9b::10.0.0.1]",
    "[2002:a00:1::]",
    "[fc00::1]",
    "[fd12:3456:789a::1]",
    "[fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]",
    "inside.test",
    // shared, link-local, metadata
    "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254",
    "169.254.0.1",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "[fe80::1]",
    "[febf::1]",
    "100.100.100.200",
    "168.63.129.16",
    "0xa83f8110",
    "[::ffff:168.63.129.16]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[fd00:0ec2:0:0:0:0:0:254]",
    "192.0.0.192",
    "metadata.test",
    // multicast, broadcast, reserved, documentation
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "0xffffffff",
    "4294967295",
    "240.0.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "[ff02::1]",
    "[ff0e::1]",
    "[100::1]",
    "[2001::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[fec0::1]",
    "[4000::1]",
    "[5f00::1]",
    "[1::1]",
    "[2600::5efe:a9fe:a9fe]",
    // names with one bad answer among good ones
    "mixed.test",
    "wrapped.test",
];

/// Hosts that every webhook may go to.
const OPEN: &[&str] = &[
    "93.184.216.34",
    "[2606:2800:220:1:248:1893:25c8:1946]",
    "public.test",
    "PUBLIC.test.",
    "172.15.0.1",
    "172.32.0.1",
    "11.0.0.1",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.1.1",
    "192.167.1.1",
    "168.63.129.17",
    "100.63.255.255",
    "100.128.0.1",
    "[64:ff9b::5db8:d822]",
    "[2001:4860::8888]",
];

struct Names(HashMap<&'static str, Vec<IpAddr>>);

fn names() -> Box<dyn Resolve> {
    let table = [
        ("loop.test", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("zero.test", "0.0.0.0"),
        ("inside.test", "10.1.2.3"),
        ("metadata.test", "169.254.169.254"),
        ("mixed.test", "93.184.216.34 10.0.0.1"),
        ("wrapped.test", "2606:2800:220:1::1 ::ffff:127.0.0.1"),
        ("public.test", "93.184.216.34 2606:2800:220:1::1"),
        ("em.test", "93.184.216.34"),
        ("alias-of-em.test", "93.184.216.34"),
    ];
    let parsed = table.map(|(name, all)| {
        (
            name,
            all.split(' ')
                .map(|one| one.parse().expect("an address"))
                .collect(),
        )
    });
    Box::new(Names(parsed.into()))
}

#[async_trait::async_trait]
impl Resolve for Names {
    async fn lookup(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.0
            .get(host.as_str())
            .cloned()
            .ok_or_else(|| std::io::Error::other("no such name"))
    }
}

fn config(private: bool) -> Config {
    Config {
        allow_http: true,
        allow_private_networks: private,
        timeout: Duration::from_secs(2),
        ..Config::default()
    }
}

fn guard(private: bool) -> EgressPolicy {
    EgressPolicy::with_resolver(&config(private), Vec::new(), names())
}

async fn verbs(guard: EgressPolicy) -> (Webhooks, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let at = store::Config {
        url: format!("sqlite://{}", directory.path().join("emgate.db").display()),
        encryption_key_file: None,
    };
    let store = Store::open(&at, SystemClock::shared()).await.expect("a store");
    (Webhooks::new(store, guard, SystemClock::shared()), directory)
}

fn pointers(error: Error) -> Vec<String> {
    match error {
        Error::Invalid(faults) => faults.into_iter().map(|fault| fault.pointer).collect(),
        other => panic!("{other:?}"),
    }
}

async fn dialled(guard: EgressPolicy, url: &str) -> AttemptError {
    // A URL that came into the store before the rules were what they are.
    let target = TargetUrl::stored(url).expect("a URL");
    let client = Client::new(guard, Duration::from_secs(2));
    let report = client
        .post(&target, http::HeaderMap::new(), bytes::Bytes::new())
        .await;
    assert_eq!(report.exchange.remote, None, "{url}: no connection was made");
    report.result.expect_err("refused")
}

#[tokio::test]
async fn every_spelling_of_a_closed_address_is_refused() {
    assert!(CLOSED.len() >= 100, "{}", CLOSED.len());
    let (verbs, _directory) = verbs(guard(false)).await;
    for host in CLOSED {
        for url in [format!("https://{host}/hook"), format!("http://{host}:8080/")] {
            let wanted = serde_json::from_value(serde_json::json!({"url": url})).expect("a wish");
            let refused = verbs.create(&operator(), wanted).await.expect_err(&url);
            assert_eq!(pointers(refused), ["/url"], "{url}");
            let refused = verbs.callback(&operator(), &url, None).await.expect_err(&url);
            assert_eq!(pointers(refused), ["/callback/url"], "{url}");
            assert_eq!(
                dialled(guard(false), &url).await,
                AttemptError::BlockedAddress,
                "{url}"
            );
        }
    }
}

#[tokio::test]
async fn public_addresses_and_unresolved_names_pass() {
    for host in OPEN.iter().chain(&["not-yet.test"]) {
        let url = format!("https://{host}/hook");
        assert!(guard(false).check(&url).await.is_ok(), "{url}");
    }
}

#[tokio::test]
async fn the_lab_switch_opens_loopback_and_private_addresses_only() {
    for host in [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "[::1]",
        "[fd12::1]",
        "inside.test",
        "mixed.test",
        "localhost",
    ] {
        assert!(
            guard(true).check(&format!("http://{host}/")).await.is_ok(),
            "{host}"
        );
    }
    for host in [
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "0.0.0.0",
        "[::]",
        "224.0.0.1",
        "255.255.255.255",
        "[ff02::1]",
        "[fe80::1]",
        "metadata.test",
        "zero.test",
        "[::ffff:169.254.169.254]",
    ] {
        assert!(
            guard(true).check(&format!("http://{host}/")).await.is_err(),
            "{host}"
        );
    }
}

#[tokio::test]
async fn neither_the_gateway_nor_em_can_be_a_receiver() {
    let forbidden = vec![
        DeniedTarget::Listener("0.0.0.0:8080".parse().expect("an address")),
        DeniedTarget::Listener("[::1]:8081".parse().expect("an address")),
        DeniedTarget::Server {
            host: "EM.test".into(),
            port: 9398,
        },
        DeniedTarget::Server {
            host: "10.9.9.9".into(),
            port: 9398,
        },
    ];
    let guard = EgressPolicy::with_resolver(&config(true), forbidden, names());
    for url in [
        "http://127.0.0.1:8080/",
        "http://127.7.7.7:8080/",
        "http://localhost:8080/",
        "http://[::ffff:127.0.0.1]:8080/",
        "http://2130706433:8080/",
        "http://[::1]:8081/",
        "https://em.test:9398/api",
        "https://EM.TEST.:9398/",
        "https://93.184.216.34:9398/",
        "https://alias-of-em.test:9398/",
        "https://[::ffff:93.184.216.34]:9398/",
        "https://10.9.9.9:9398/",
        "https://0xa090909:9398/",
    ] {
        assert!(guard.check(url).await.is_err(), "{url}");
        assert_eq!(
            dialled(guard.clone(), url).await,
            AttemptError::BlockedAddress,
            "{url}"
        );
    }
    for url in [
        "http://127.0.0.1:8082/",
        "http://127.0.0.1:8081/",
        "https://em.test/",
        "https://93.184.216.34/",
        "https://10.9.9.9:9399/",
    ] {
        assert!(guard.check(url).await.is_ok(), "{url}");
    }
}

#[tokio::test]
async fn plain_http_that_was_allowed_once_is_refused_at_the_dial() {
    let strict = Config {
        allow_http: false,
        ..config(true)
    };
    let guard = EgressPolicy::with_resolver(&strict, Vec::new(), names());
    assert!(guard.check("http://public.test/").await.is_err());
    assert_eq!(
        dialled(guard, "http://public.test/").await,
        AttemptError::BlockedAddress
    );
}

/// A name server that gives another answer each time.
struct Rebinding(AtomicUsize, Mutex<Vec<IpAddr>>);

#[async_trait::async_trait]
impl Resolve for Rebinding {
    async fn lookup(&self, _host: &str) -> std::io::Result<Vec<IpAddr>> {
        let turn = self.0.fetch_add(1, Ordering::SeqCst);
        let answers = self.1.lock().expect("the answers");
        Ok(vec![answers[turn % answers.len()]])
    }
}

#[tokio::test]
async fn a_name_that_changes_its_address_after_registration_is_refused_at_the_dial() {
    let answers = ["93.184.216.34", "127.0.0.1"]
        .map(|text| text.parse().expect("an address"))
        .to_vec();
    let resolver = Box::new(Rebinding(AtomicUsize::new(0), Mutex::new(answers)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let guard = EgressPolicy::with_resolver(&config(false), Vec::new(), resolver);
    let url = format!("http://rebind.test:{port}/");
    assert!(guard.check(&url).await.is_ok(), "the first answer is public");
    assert_eq!(dialled(guard, &url).await, AttemptError::BlockedAddress);
    let accepted = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(accepted.is_err(), "no connection");
}

/// A name server that never answers.
struct Silent;

#[async_trait::async_trait]
impl Resolve for Silent {
    async fn lookup(&self, _host: &str) -> std::io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_name_server_that_hangs_refuses_no_url() {
    let guard = EgressPolicy::with_resolver(&config(false), Vec::new(), Box::new(Silent));
    let start = std::time::Instant::now();
    assert!(guard.check("https://receiver.test/").await.is_ok());
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(dialled(guard, "https://receiver.test/").await, AttemptError::Dns);
}

#[tokio::test]
async fn a_refusal_never_repeats_the_url() {
    let (verbs, _directory) = verbs(guard(false)).await;
    let url = "https://user:hush@10.0.0.1/hook?token=hush";
    let wanted =
        serde_json::from_value(serde_json::json!({"url": url, "format": "slack", "maxConcurrency": 0}))
            .expect("a wish");
    let Err(Error::Invalid(faults)) = verbs.create(&operator(), wanted).await else {
        panic!("accepted")
    };
    let text = format!("{faults:?}");
    assert!(
        text.contains("private address") && text.contains("/maxConcurrency"),
        "{text}"
    );
    assert!(!text.contains("hush") && !text.contains("10.0.0.1"), "{text}");
    assert_eq!(faults.len(), 2, "all at once");
}

#[test]
fn what_is_forbidden_later_is_forbidden_for_every_clone() {
    let one = guard(true);
    let other = one.clone();
    one.forbid(DeniedTarget::Listener(
        "127.0.0.1:8080".parse().expect("an address"),
    ));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    assert!(runtime.block_on(other.check("http://127.0.0.1:8080/")).is_err());
}
