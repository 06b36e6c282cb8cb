//! EM and the network at their worst: at most one action on the wire, no endless wait, no trust in what comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use emgate::clock::SystemClock;
use emgate::domain::plan::{Action, PlanKind, PlanRef};
use emgate::sim::Options;
use emgate::upstream::{Acted, Config, EmClient, Error, Kind, Whose};
use rcgen::{CertificateParams, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde_json::json;
use tokio::net::TcpListener;

use crate::em_bench::{Bench, Reply, Server, answer, config, plan_id, usual};
use crate::waiting::eventually;

use crate::support::commands::act;

const ACTIONS: &str = "POST /api/cloud/cloudFailoverPlans/";

async fn read(em: &EmClient) -> Result<(), Error> {
    em.plan(PlanKind::Cloud, &plan_id()).await.map(drop)
}

fn plan() -> PlanRef {
    PlanRef {
        id: plan_id(),
        kind: PlanKind::Cloud,
        name: "ABC Company Failover Plan".to_owned(),
        tenant: None,
        backup_server: None,
    }
}

fn room(config: &Config) -> EmClient {
    EmClient::new(config, SystemClock::shared()).expect("a room")
}

/// A room with short patience in front of a server that answers everything but logons with `reply`.
async fn hostile(reply: Reply) -> (Server, EmClient) {
    let server = Server::start(move |request| usual(request).unwrap_or_else(|| reply.clone())).await;
    let mut config = config(&server.url);
    config.request_timeout = Duration::from_millis(300);
    config.connect_timeout = Duration::from_millis(300);
    config.max_response = 64 * 1024;
    let em = room(&config);
    (server, em)
}

#[tokio::test]
async fn an_action_of_unknown_outcome_is_one_post_on_the_wire() {
    let task = "<Task xmlns=\"http://www.veeam.com/ent/v1.0\"><TaskId>task-1</TaskId></Task>";
    let cases: Vec<(&str, Reply)> = vec![
        ("closed without an answer", Reply::Close(Vec::new())),
        ("never answered", Reply::Stall(Vec::new())),
        ("half a status line", Reply::Close(b"HTTP/1.1 20".to_vec())),
        (
            "half a head",
            Reply::Close(b"HTTP/1.1 202 Accepted\r\nContent-Le".to_vec()),
        ),
        (
            "half a body",
            Reply::Close(b"HTTP/1.1 202 Accepted\r\nContent-Length: 99\r\n\r\n<Task".to_vec()),
        ),
        (
            "a body that stalls",
            Reply::Stall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 99\r\n\r\n<Task".to_vec()),
        ),
        ("not HTTP", Reply::Close(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())),
        ("202 without a body", answer("202 Accepted", "", "")),
        ("202 with garbage", answer("202 Accepted", "", "<Task")),
        (
            "202 with another document",
            answer("202 Accepted", "", "<Error Message=\"no\"/>"),
        ),
        (
            "202 without a task id",
            answer("202 Accepted", "", &task.replace("task-1", "")),
        ),
        ("204", Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())),
        ("too large", answer("202 Accepted", "", &"x".repeat(100_000))),
        ("a redirect", answer("302 Found", "Location: /api/other\r\n", "")),
        ("408", answer("408 Request Timeout", "", "<Error/>")),
        ("500", answer("500 Internal Server Error", "", "<Error/>")),
        ("502", answer("502 Bad Gateway", "", "<html>")),
        ("503", answer("503 Service Unavailable", "Retry-After: 1\r\n", "")),
        ("504", answer("504 Gateway Timeout", "", "")),
    ];
    for (name, reply) in cases {
        let (server, em) = hostile(reply).await;
        let error = act(&em, &plan(), Action::Test).await.expect_err(name);
        assert_eq!(error.acted(), Acted::Maybe, "{name}: {error}");
        assert_eq!(server.count(ACTIONS), 1, "{name}");
    }
}

#[tokio::test]
async fn a_definite_refusal_is_distinguished_from_an_unknown_outcome() {
    for status in [
        "400 Bad Request",
        "404 Not Found",
        "405 No",
        "409 Conflict",
        "415 No",
        "429 Slow Down",
    ] {
        let (server, em) = hostile(answer(status, "", "<Error Message=\"no\"/>")).await;
        let error = act(&em, &plan(), Action::Test).await.expect_err("refused");
        assert_eq!(error.acted(), Acted::No, "{status}");
        assert_eq!(error.message(), Some("no"), "{status}");
        assert_eq!(server.count(ACTIONS), 1, "{status}");
    }
}

#[tokio::test]
async fn what_the_simulator_can_do_to_an_action_never_makes_it_two() {
    for (kind, acted) in [
        ("close", 0),
        ("hang", 0),
        ("garbage", 0),
        ("truncate", 1),
        ("executeThenClose", 1),
    ] {
        let bench = Bench::with(
            Options {
                speed: 1000.0,
                ..Options::on_any_port()
            },
            |config| {
                config.request_timeout = Duration::from_millis(500);
                config.connect_timeout = Duration::from_millis(500);
            },
        )
        .await;
        let plan = bench.plan().await;
        bench
            .fault(json!({"kind": kind, "method": "POST", "path": "/api/cloud"}))
            .await;
        let error = act(&bench.em, &plan, Action::Test).await.expect_err(kind);
        assert_eq!(error.acted(), Acted::Maybe, "{kind}");
        assert_eq!(bench.stats().await.requests(ACTIONS), 1, "{kind}");
        // At that speed an action shows its session at once, so that one read shows whether there was one.
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut sessions = bench
            .em
            .sessions_since(None)
            .await
            .expect("sessions")
            .sessions
            .len();
        while sessions < acted && Instant::now() < deadline {
            sessions = bench
                .em
                .sessions_since(None)
                .await
                .expect("sessions")
                .sessions
                .len();
        }
        assert_eq!(sessions, acted, "{kind}");
    }
}

#[tokio::test]
async fn a_connection_that_could_not_be_opened_means_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let em = room(&config(&url));
    let error = act(&em, &plan(), Action::Test).await.expect_err("nobody there");
    assert!(matches!(error.kind(), Kind::Unreachable { .. }), "{error:?}");
    assert_eq!((error.acted(), error.whose()), (Acted::No, Whose::Upstream));
    assert!(!em.health().up);
}

#[tokio::test]
async fn a_logon_of_unknown_outcome_means_that_the_action_was_not_sent() {
    let server = Server::start(|request| {
        if request.is("POST /api/sessionMngr/") {
            return Reply::Close(Vec::new());
        }
        usual(request).unwrap_or_else(|| answer("500 No", "", ""))
    })
    .await;
    let em = room(&config(&server.url));
    let error = act(&em, &plan(), Action::Test).await.expect_err("no logon");
    assert_eq!(error.acted(), Acted::No, "{error:?}");
    assert_eq!(
        (server.count("POST /api/sessionMngr/"), server.count(ACTIONS)),
        (1, 0)
    );
}

#[tokio::test]
async fn after_a_401_an_action_is_sent_once_more() {
    let (server, em) = hostile(answer("401 Unauthorized", "", "<Error Message=\"who?\"/>")).await;
    let error = act(&em, &plan(), Action::Test).await.expect_err("refused");
    assert_eq!(error.acted(), Acted::No);
    assert!(
        matches!(error.kind(), Kind::CredentialsRefused { .. }),
        "{error:?}"
    );
    assert_eq!(server.count(ACTIONS), 2);
    assert_eq!(server.count("POST /api/sessionMngr/"), 2);
}

#[tokio::test]
async fn no_wait_is_endless() {
    for reply in [
        Reply::Stall(Vec::new()),
        Reply::Stall(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<C".to_vec()),
    ] {
        let (_server, em) = hostile(reply).await;
        let began = Instant::now();
        let error = read(&em).await.expect_err("too slow");
        assert_eq!(error.kind(), &Kind::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn reading_stops_at_the_cap_with_or_without_a_length() {
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..3 {
        chunked.extend_from_slice(chunk.as_bytes());
    }
    let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n<".to_vec();
    // Neither answer ever ends: a cap that is checked on whole bodies only would run into the deadline.
    for reply in [Reply::Stall(chunked), Reply::Stall(announced)] {
        let (_server, em) = hostile(reply).await;
        let error = read(&em).await.expect_err("too large");
        assert_eq!(error.kind(), &Kind::TooLarge { limit: 64 * 1024 });
    }
}

#[tokio::test]
async fn documents_that_cannot_be_trusted_are_refused_whole() {
    let bench = Bench::new().await;
    for kind in ["garbage", "html", "entityBomb", "deepNesting"] {
        bench.fault(json!({"kind": kind, "path": "/api/cloud"})).await;
        let error = read(&bench.em).await.expect_err(kind);
        assert!(
            matches!(error.kind(), Kind::InvalidResponse { .. }),
            "{kind}: {error:?}"
        );
    }
    let (_server, em) = hostile(answer(
        "200 OK",
        "",
        "<Task xmlns=\"http://www.veeam.com/ent/v1.0\"/>",
    ))
    .await;
    let error = read(&em).await.expect_err("another document");
    assert!(matches!(error.kind(), Kind::InvalidResponse { .. }), "{error:?}");
}

#[tokio::test]
async fn a_read_is_repeated_after_a_broken_connection_only() {
    let bench = Bench::new().await;
    read(&bench.em).await.expect("a plan");
    bench
        .fault(json!({"kind": "close", "count": 2, "path": "/api/cloud"}))
        .await;
    read(&bench.em).await.expect("the third attempt");
    let before = bench.stats().await.requests("GET /api/cloud");
    bench
        .fault(json!({"kind": "status", "status": 500, "path": "/api/cloud"}))
        .await;
    let error = read(&bench.em).await.expect_err("EM failed");
    assert_eq!(error.status(), Some(500));
    assert_eq!(bench.stats().await.requests("GET /api/cloud"), before + 1);
}

#[tokio::test]
async fn a_busy_em_says_when_it_may_be_asked_again() {
    let bench = Bench::new().await;
    bench
        .fault(json!({"kind": "status", "status": 503, "retryAfter": 7, "path": "/api/cloud"}))
        .await;
    let error = read(&bench.em).await.expect_err("busy");
    assert!(
        matches!(error.kind(), Kind::Overloaded { status: 503, .. }),
        "{error:?}"
    );
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

/// Header lines that no strict parser takes and that say nothing about the body's length.
const ODD_LINES: &[(&str, &[u8])] = &[
    ("a control byte", b"Set-Cookie: a=b\x01c\r\n"),
    ("DEL", b"X: a\x7fb\r\n"),
    ("no colon", b"nonsense\r\n"),
    ("a space before the colon", b"X : y\r\n"),
    ("a space in a name", b"X y: z\r\n"),
    ("a folded line", b"X: y\r\n z\r\n"),
    ("an empty name", b": y\r\n"),
    ("a name that is not ASCII", b"Gr\xc3\xb6\xc3\x9fe: y\r\n"),
    ("a value that is not ASCII", b"X: gr\xf6\xff\r\n"),
    ("a bare line feed", b"X: y\n"),
];

#[tokio::test]
async fn em_is_understood_beside_malformed_header_lines() {
    let body = "<Error xmlns=\"http://www.veeam.com/ent/v1.0\" Message=\"there is no such plan\"/>";
    let many: Vec<u8> = (0..100)
        .flat_map(|number| format!("X-{number} y\r\n").into_bytes())
        .collect();
    let length = format!("Content-Length : {}\r\n\r\n", body.len());
    let lines = ODD_LINES
        .iter()
        .copied()
        .chain([("a hundred of them", many.as_slice())]);
    for (what, line) in lines {
        for place in ["first", "last"] {
            let kind = &b"Content-Type: application/xml\r\n"[..];
            let (before, after) = if place == "first" {
                (line, kind)
            } else {
                (kind, line)
            };
            let bytes = [
                b"HTTP/1.1 404 Gr\xf6\xdfe\r\n",
                before,
                after,
                length.as_bytes(),
                body.as_bytes(),
            ]
            .concat();
            let (server, em) = hostile(Reply::Bytes(bytes)).await;
            let error = read(&em).await.expect_err(what);
            assert_eq!(error.status(), Some(404), "{what}, {place}: {error:?}");
            assert_eq!(error.message(), Some("there is no such plan"), "{what}, {place}");
            assert_eq!(server.count("GET /api/cloud"), 1, "{what}, {place}");
        }
    }
}

#[tokio::test]
async fn an_action_is_answered_beside_malformed_header_lines() {
    let task = "<Task xmlns=\"http://www.veeam.com/ent/v1.0\"><TaskId>task-1</TaskId></Task>";
    for (what, line) in ODD_LINES {
        let head = format!(
            "Content-Type: application/xml\r\nContent-Length: {}\r\n\r\n",
            task.len()
        );
        let bytes = [
            b"HTTP/1.1 202 Accepted\r\n",
            *line,
            head.as_bytes(),
            task.as_bytes(),
        ]
        .concat();
        let (server, em) = hostile(Reply::Bytes(bytes)).await;
        let accepted = act(&em, &plan(), Action::Test).await.expect(what);
        assert_eq!(accepted.task.0.as_str(), "task-1", "{what}");
        assert_eq!(server.count(ACTIONS), 1, "{what}");
    }
}

#[tokio::test]
async fn an_answer_whose_lengths_contradict_each_other_is_no_answer() {
    let head = "HTTP/1.1 404 No\r\nContent-Length: 8\r\nContent-Length: 4\r\n\r\n<Error/>";
    let (_server, em) = hostile(Reply::Close(head.as_bytes().to_vec())).await;
    let error = read(&em).await.expect_err("nobody knows where it ends");
    assert!(matches!(error.kind(), Kind::ConnectionLost { .. }), "{error:?}");
}

#[tokio::test]
async fn em_says_as_a_date_when_it_may_be_asked_again() {
    let date =
        |seconds: u64| httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(seconds));
    let at = |text: &str| {
        let Ok(date) = httpdate::parse_http_date(text) else {
            panic!("a date")
        };
        date
    };
    // EM's clock is a day ahead of ours: its own date is what the other is relative to.
    let (theirs, later) = (
        date(86_400),
        httpdate::fmt_http_date(at(&date(86_400)) + Duration::from_secs(90)),
    );
    let cases = [
        (format!("Date: {theirs}\r\nRetry-After: {later}\r\n"), 90..=90),
        (format!("Retry-After: {}\r\n", date(90)), 60..=90),
        (
            format!("Date: nonsense\r\nRetry-After: {}\r\n", date(90)),
            60..=90,
        ),
        (format!("Date: {theirs}\r\nRetry-After: {}\r\n", date(60)), 1..=1),
        ("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(), 1..=1),
        (
            "Retry-After: Sunday, 06-Nov-94 08:49:37 GMT\r\n".to_owned(),
            1..=1,
        ),
        ("Retry-After: Sun Nov  6 08:49:37 1994\r\n".to_owned(), 1..=1),
        ("Retry-After: 0\r\n".to_owned(), 1..=1),
        ("Retry-After: 99999999999999999999999\r\n".to_owned(), 3600..=3600),
        (format!("Retry-After: {}\r\n", date(500_000)), 3600..=3600),
        ("Retry-After:  7 \r\n".to_owned(), 7..=7),
    ];
    for (headers, expected) in cases {
        for status in ["503 Service Unavailable", "429 Too Many Requests"] {
            let (_server, em) = hostile(answer(status, &headers, "")).await;
            let error = read(&em).await.expect_err("busy");
            let wait = error.retry_after().map(|wait| wait.as_secs());
            assert!(
                wait.is_some_and(|wait| expected.contains(&wait)),
                "{headers}: {wait:?}"
            );
        }
    }
}

#[tokio::test]
async fn quotes_of_em_never_hold_a_stack_trace() {
    let trace = "   at Simulated.Secret.Place()";
    let body = format!(
        "<Error xmlns=\"http://www.veeam.com/ent/v1.0\" Status=\"InternalServerError\" StatusCode=\"500\" \
         Message=\"{}\"><FirstChanceExceptionMessage>x</FirstChanceExceptionMessage><StackTrace>{trace}</StackTrace></Error>",
        "ä".repeat(4000)
    );
    let (_server, em) = hostile(answer("500 No", "", &body)).await;
    let error = read(&em).await.expect_err("EM failed");
    let message = error.public_message();
    assert!(
        message.starts_with('ä') && message.len() < 1100,
        "{}",
        message.len()
    );
    assert!(!format!("{error} {error:?}").contains("Simulated"));
}

#[tokio::test]
async fn the_circuit_opens_while_em_does_not_answer() {
    let bench = Bench::with(Options::on_any_port(), |config| {
        config.request_timeout = Duration::from_millis(100);
        config.connect_timeout = Duration::from_millis(100);
    })
    .await;
    read(&bench.em).await.expect("a plan");
    bench
        .fault(json!({"kind": "hang", "count": 1000, "path": "/api"}))
        .await;
    for _ in 0..5 {
        read(&bench.em).await.expect_err("too slow");
    }
    let asked = bench.stats().await.requests("GET /api/cloud");
    let error = read(&bench.em).await.expect_err("not asked");
    assert!(matches!(error.kind(), Kind::CircuitOpen { .. }), "{error:?}");
    assert_eq!(error.acted(), Acted::No);
    assert_eq!(bench.stats().await.requests("GET /api/cloud"), asked);
    assert!(!bench.em.health().up);

    bench.control("DELETE", "faults", json!(null)).await;
    eventually("EM is asked again", async || read(&bench.em).await, Result::is_ok)
        .await
        .expect("a plan");
    assert!(bench.em.health().up);
}

#[tokio::test]
async fn neither_redirects_nor_hrefs_lead_the_gateway_elsewhere() {
    let elsewhere = Server::start(|_| answer("200 OK", "", "<Error/>")).await;
    let location = format!("Location: {}/api/\r\n", elsewhere.url);
    let (_server, em) = hostile(answer("307 Temporary Redirect", &location, "")).await;
    let error = read(&em).await.expect_err("a redirect is no answer");
    assert_eq!(error.status(), Some(307));

    // The delete link of its logon sessions, and every other href, names the other server.
    let href_base = format!("{}/api", elsewhere.url);
    let bench = Bench::with(
        Options {
            href_base,
            ..Options::on_any_port()
        },
        |_| {},
    )
    .await;
    let accepted = bench.accepted(Action::Test).await;
    bench
        .em
        .task(accepted.logon, &accepted.task)
        .await
        .expect("a task");
    assert!(bench.em.shutdown(Duration::from_secs(10)).await);
    let stats = bench.stats().await;
    assert_eq!((stats.number("activeSessions"), stats.number("logoffs")), (0, 1));
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn a_self_signed_em_is_trusted_by_pin_by_its_certificate_or_by_order_only() {
    let bench = Bench::with(
        Options {
            tls: true,
            ..Options::on_any_port()
        },
        |config| {
            config.connect_timeout = Duration::from_secs(10);
        },
    )
    .await;
    let error = read(&bench.em).await.expect_err("nobody vouches for it");
    assert!(matches!(error.kind(), Kind::Unreachable { .. }), "{error:?}");
    assert_eq!(error.acted(), Acted::No);

    let pin = bench.sim.pin().expect("a pin").to_owned();
    let bytes: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&pin.replace(':', "")[at * 2..at * 2 + 2], 16).expect("hex"))
        .collect();
    let pin: [u8; 32] = bytes.try_into().expect("32 bytes");
    let pem = bench
        .sim
        .certificate_pem()
        .expect("a certificate")
        .as_bytes()
        .to_vec();
    let pinned = bench.another(|config| config.pin_sha256 = vec![[7; 32], pin]);
    read(&pinned).await.expect("the pin vouches for it");
    let known = bench.another(|config| config.ca_pem = Some(pem.clone()));
    read(&known).await.expect("its own certificate vouches for it");
    let any = bench.another(|config| config.accept_invalid_certs = true);
    read(&any).await.expect("nobody has to vouch for it");
    let other = bench.another(|config| {
        config.pin_sha256 = vec![[7; 32]];
        config.ca_pem = Some(pem.clone());
        config.accept_invalid_certs = true;
    });
    read(&other)
        .await
        .expect_err("a pin that does not fit beats all else");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_described_with_the_pin_to_configure() {
    let (certificate, key) = odd_certificate();
    let server = Server::start_with(Some(tls(&certificate, &key)), |_| answer("200 OK", "", "")).await;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate);
    let pin: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let pin = pin.concat();
    for (pins, why) in [
        (vec![[7; 32]], "does not fit upstream.pin_sha256"),
        (Vec::new(), "is not trusted"),
    ] {
        let mut config = config(&server.url);
        config.pin_sha256 = pins;
        let error = read(&room(&config)).await.expect_err("not trusted");
        let text = error.to_string();
        for part in [
            why,
            "subject CN=em.lab.example",
            "issuer CN=em.lab.example",
            "expiry 4096-01-01T00:00:00Z",
            "at Enterprise Manager itself",
            &format!("SHA-256 {pin}"),
            &format!("pin_sha256 = [\"{pin}\"]"),
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        assert!(matches!(error.kind(), Kind::Unreachable { .. }), "{error:?}");
        assert_eq!(error.acted(), Acted::No);
    }
    assert_eq!(server.seen().len(), 0);
}

/// What `openssl req -x509` makes: a common name only, and marked as an authority.
fn odd_certificate() -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params
        .distinguished_name
        .push(DnType::CommonName, "em.lab.example");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    (
        params.self_signed(&key).expect("a certificate").der().clone(),
        key,
    )
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A server that shows `certificate` and signs with `key`, fitting or not.
pub fn tls(certificate: &CertificateDer<'static>, key: &KeyPair) -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signer = provider.key_provider.load_private_key(key).expect("a signer");
    let shown = CertifiedKey::new(vec![certificate.clone()], signer);
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(shown))));
    Arc::new(config)
}

#[tokio::test]
async fn a_certificate_without_names_works_only_when_it_is_the_pinned_one() {
    let (certificate, key) = odd_certificate();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate);
    let pin: [u8; 32] = digest.as_ref().try_into().expect("32 bytes");
    let usual_or_404 = |request: &crate::em_bench::Request| {
        usual(request).unwrap_or_else(|| answer("404 Not Found", "", "<Error/>"))
    };

    let honest = Server::start_with(Some(tls(&certificate, &key)), usual_or_404).await;
    let mut pinned = config(&honest.url);
    pinned.pin_sha256 = vec![pin];
    let error = read(&room(&pinned)).await.expect_err("there is no such plan");
    assert!(error.is_not_found(), "{error:?}");

    // An impostor has the certificate, which is public, and not the key.
    let thief = KeyPair::generate().expect("a key");
    let impostor = Server::start_with(Some(tls(&certificate, &thief)), usual_or_404).await;
    for mode in ["pin", "any", "ca"] {
        let mut config = config(&impostor.url);
        match mode {
            "pin" => config.pin_sha256 = vec![pin],
            "any" => config.accept_invalid_certs = true,
            _ => {
                let pem = rcgen_pem(&certificate);
                config.ca_pem = Some(pem.into_bytes());
            }
        }
        let error = read(&room(&config)).await.expect_err("an impostor");
        assert!(
            matches!(error.kind(), Kind::Unreachable { .. }),
            "{mode}: {error:?}"
        );
    }
    assert_eq!(impostor.seen().len(), 0, "not a byte of a request reached it");
}

fn rcgen_pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("ASCII"))
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

#[tokio::test]
async fn an_em_client_needs_an_account_and_a_readable_ca_file() {
    let mut none = config("http://em.example");
    none.accounts.clear();
    assert!(EmClient::new(&none, SystemClock::shared()).is_err());
    for pem in [
        &b"nothing"[..],
        b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    ] {
        let mut broken = config("https://em.example");
        broken.ca_pem = Some(pem.to_vec());
        assert!(EmClient::new(&broken, SystemClock::shared()).is_err());
    }
}
