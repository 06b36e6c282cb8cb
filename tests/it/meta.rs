//! The gateway itself: probes, metrics, its document, the pages around it, and what every answer carries.

use std::io::Write as _;
use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use emgate::http::config::TlsConfig;
use serde_json::{Value, json};

use crate::support::{Client, TestGateway, client};

#[tokio::test(flavor = "multi_thread")]
async fn readiness_is_degraded_while_em_is_away_unless_asked_strictly() {
    let test = TestGateway::start().await;
    let stranger = test.stranger();
    assert_eq!(
        stranger.get("/healthz").send().await.expect(200).body,
        json!({"status": "ok"})
    );
    let ready = stranger.get("/readyz?strict=true").send().await.expect(200);
    assert_eq!(ready.body["status"], "ready");
    let names: Vec<&str> = ready.body["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .map(|check| {
            assert_eq!(check["status"], "ok", "{check}");
            assert!(check.get("since").is_some(), "{check}");
            check["name"].as_str().expect("a name")
        })
        .collect();
    assert!(
        ["store", "upstream", "webhooks", "clock"]
            .iter()
            .all(|name| names.contains(name)),
        "{names:?}"
    );

    test.fault(json!({"kind": "close", "count": 100_000})).await;
    let degraded = test.until("/readyz", |body| body["status"] == "degraded").await;
    let upstream = degraded["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .find(|check| check["name"] == "upstream");
    let upstream = upstream.expect("the check");
    assert_eq!(upstream["status"], "failed");
    assert!(upstream["since"].is_string(), "{upstream}");
    assert_eq!(upstream["reason"], "Enterprise Manager does not answer");
    stranger.get("/readyz").send().await.expect(200);
    stranger.get("/readyz?strict=true").send().await.expect(503);
    stranger.get("/healthz").send().await.expect(200);
    test.sim_control(reqwest::Method::DELETE, "faults", Value::Null)
        .await;
    test.until("/readyz", |body| body["status"] == "ready").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_refused_credentials_as_the_reason() {
    let test = TestGateway::start().await;
    test.fault(json!({"kind": "status", "status": 401, "count": 1000, "path": "/api/sessionMngr"}))
        .await;
    test.sim_control(reqwest::Method::POST, "expire", Value::Null)
        .await;
    let degraded = test.until("/readyz", |body| body["status"] == "degraded").await;
    let failed: Vec<&Value> = degraded["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .filter(|check| check["status"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1, "{degraded}");
    assert_eq!(failed[0]["name"], "logon");
    assert_eq!(
        failed[0]["reason"],
        "the credentials of an account are refused; the log and the metrics name it"
    );
    assert!(failed[0]["since"].is_string(), "{degraded}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_route() {
    let test = TestGateway::start().await;
    let path = "/api/v1/operations/0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01";
    test.client.get(path).send().await.expect(404);
    let metrics = test.stranger().get("/metrics").send().await.expect(200);
    assert!(
        metrics
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let counted = "emgate_http_requests_total{method=\"GET\",route=\"/api/v1/operations/{operationId}\",status=\"404\"}";
    assert!(metrics.text.contains(counted), "{}", metrics.text);
    assert!(!metrics.text.contains("0199a5c7-12ab"), "ids are no labels");
    assert!(
        metrics
            .text
            .contains("emgate_http_problems_total{code=\"not-found\"}")
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_code_has_a_page_and_a_json_form() {
    let test = TestGateway::start().await;
    for code in emgate::http::codes::Code::ALL {
        let json = test.stranger().get(&code.uri()).send().await.expect(200);
        assert_eq!(json.body["code"], code.as_str());
        assert_eq!(json.body["status"], code.status().as_u16());
        let page = test
            .stranger()
            .get(&code.uri())
            .header("accept", "text/html,*/*;q=0.8")
            .send()
            .await
            .expect(200);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(
            page.header("content-security-policy")
                .starts_with("default-src 'none'")
        );
        assert!(page.text.contains(code.as_str()) && page.text.contains("What to do"));
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_page_loads_nothing_from_elsewhere() {
    let test = TestGateway::start().await;
    let stranger = test.stranger();
    let page = stranger.get("/docs").send().await.expect(200);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"),
        "{policy}"
    );
    let viewer = "/docs/vendor/swagger-ui";
    for (file, media, coding) in [
        ("/docs/init.js".to_owned(), "text/javascript", ""),
        ("/docs/style.css".to_owned(), "text/css", ""),
        (format!("{viewer}-bundle.js"), "text/javascript", "gzip"),
        (format!("{viewer}.css"), "text/css", "gzip"),
    ] {
        assert!(page.text.contains(&format!("\".{file}\"")), "{file}");
        let answer = stranger.get(&file).send().await.expect(200);
        assert!(answer.header("content-type").starts_with(media), "{file}");
        assert_eq!(answer.header("content-encoding"), coding, "{file}");
        let again = stranger.get(&file).header("if-none-match", answer.header("etag"));
        let again = again.send().await.expect(304);
        assert_eq!(again.header("cache-control"), "no-cache", "{file}");
    }
    let again = stranger.get("/docs").header("if-none-match", page.header("etag"));
    let again = again.send().await.expect(304);
    assert_eq!(again.header("content-security-policy"), policy);
    let licences = stranger.get("/docs/vendor/LICENSES").send().await.expect(200);
    assert!(licences.text.contains("SmartBear Software"), "{}", licences.text);
    let document = stranger.get("/openapi.json").send().await.expect(200);
    assert_eq!(document.body["openapi"], "3.1.0");
    let own = emgate::http::document_json().expect("the document");
    assert_eq!(document.text, own);
    let tag = document.header("etag").to_owned();
    stranger
        .get("/openapi.json")
        .header("if-none-match", &tag)
        .send()
        .await
        .expect(304);
    let small = client::plain()
        .get(format!("http://{}/openapi.json", test.addr()))
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(small.headers()["content-encoding"], "gzip");
    assert_eq!(small.headers()["etag"], tag);
    let small = small.bytes().await.unwrap().len();
    assert!(small * 5 < own.len(), "{small} of {} bytes", own.len());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_callers_request_id_and_trace() {
    let test = TestGateway::start().await;
    for path in ["/healthz", "/nothing", "/api/v1/operations"] {
        let request = test.client.get(path).header("x-request-id", "portal-42");
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let answer = request.header("traceparent", trace).send().await;
        assert_eq!(answer.header("x-request-id"), "portal-42");
        assert!(
            answer
                .header("traceparent")
                .starts_with("00-0af7651916cd43dd8448eb211c80319c-")
        );
        let insane = test
            .client
            .get(path)
            .header("x-request-id", "a b\"c")
            .send()
            .await;
        assert_ne!(insane.header("x-request-id"), "a b\"c");
    }
    let secret = test.client.get("/api/v1/operations").send().await;
    assert_eq!(secret.header("cache-control"), "no-store");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_and_options_are_answered() {
    let test = TestGateway::start().await;
    let head = test
        .client
        .request("HEAD", "/api/v1/operations")
        .send()
        .await
        .expect(200);
    assert_eq!(head.text, "");
    assert_eq!(head.header("content-type"), "application/json");
    let missing = test
        .client
        .request("HEAD", "/api/v1/nothing")
        .send()
        .await
        .expect(404);
    assert_eq!(
        (missing.text.as_str(), missing.header("content-type")),
        ("", "application/problem+json")
    );
    let options = test
        .client
        .request("OPTIONS", "/api/v1/operations")
        .send()
        .await
        .expect(204);
    assert_eq!(options.header("allow"), "GET,HEAD");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_may_call_from_the_configured_origins_only() {
    let test = TestGateway::builder()
        .config(|config| config.server.cors_origins = vec!["https://portal.example".to_owned()])
        .start()
        .await;
    let path = "/api/v1/cloud-failover-plans/3f56fa52-c902-4655-9774-2022fde214d2/test";
    let ask = |origin: &str| {
        test.stranger()
            .request("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,idempotency-key,prefer",
            )
    };
    let allowed = ask("https://portal.example").send().await.expect(200);
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        "https://portal.example"
    );
    assert!(
        allowed
            .header("access-control-allow-headers")
            .contains("idempotency-key")
    );
    let refused = ask("https://evil.example").send().await;
    assert_eq!(refused.header("access-control-allow-origin"), "");
    // A problem must be readable for the page, too, or it sees nothing but "network error".
    let problem = test
        .stranger()
        .get("/api/v1/operations")
        .header("origin", "https://portal.example")
        .send()
        .await;
    let problem = problem.expect_problem(401, "unauthenticated");
    assert_eq!(
        problem.header("access-control-allow-origin"),
        "https://portal.example"
    );
    assert!(
        problem
            .header("access-control-expose-headers")
            .contains("x-request-id")
    );
    test.stop().await;

    let test = TestGateway::start().await;
    let none = test
        .client
        .get("/api/v1/operations")
        .header("origin", "https://portal.example")
        .send()
        .await;
    assert_eq!(none.header("access-control-allow-origin"), "");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_are_compressed_for_those_who_ask() {
    let test = TestGateway::start().await;
    let answer = client::plain()
        .get(format!("http://{}/api/v1/event-types", test.addr()))
        .bearer_auth(crate::support::token(
            &json!({"scope": "events:read tenants:all"}),
        ))
        .header("accept-encoding", "gzip")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let bytes = answer.bytes().await.expect("a body");
    assert_eq!(&bytes[..2], [0x1f, 0x8b]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_speaks_tls_by_itself_when_it_has_a_certificate() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let directory = tempfile::tempdir().expect("a directory");
    let (cert, key) = (
        directory.path().join("cert.pem"),
        directory.path().join("key.pem"),
    );
    std::fs::write(&cert, certified.cert.pem()).expect("written");
    std::fs::write(&key, certified.signing_key.serialize_pem()).expect("written");
    let test = TestGateway::builder()
        .config(move |config| {
            config.server.tls = Some(TlsConfig {
                cert_file: cert,
                key_file: key,
                client_ca_file: None,
            })
        })
        .unready()
        .start()
        .await;
    let https = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .tls_certs_only([
            reqwest::Certificate::from_pem(certified.cert.pem().as_bytes()).expect("a certificate")
        ])
        .resolve("localhost", test.addr())
        .no_proxy()
        .build()
        .expect("a client");
    let url = format!("https://localhost:{}/healthz", test.addr().port());
    let answer = https.get(url).send().await.expect("an answer over TLS");
    assert_eq!(answer.status(), 200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_open_requests_finish() {
    let test = TestGateway::builder().sim(|sim| sim.speed = 0.5).start().await;
    let path = format!("/api/v1/cloud-failover-plans/{}/test", crate::support::PLAN);
    let waiting: Client = test.client.clone();
    let waiter = tokio::spawn(async move { waiting.post(&path).header("prefer", "wait=50").send().await });
    test.until("/api/v1/operations", |body| {
        body["items"][0]["state"] == "running"
    })
    .await;
    let begun = Instant::now();
    test.stop().await;
    let answer = waiter.await.expect("the waiter lives").expect(202);
    assert_eq!(answer.body["state"], "running");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_capped_and_reported() {
    let test = TestGateway::builder()
        .sim(|sim| sim.speed = 0.5)
        .config(|config| config.server.request_timeout = Duration::from_secs(6))
        .start()
        .await;
    let path = format!("/api/v1/cloud-failover-plans/{}/test", crate::support::PLAN);
    let begun = Instant::now();
    let answer = test
        .client
        .post(&path)
        .header("prefer", "wait=600")
        .send()
        .await
        .expect(202);
    assert_eq!(answer.header("preference-applied"), "wait=1");
    assert_eq!(
        answer.header("location"),
        answer.body["links"]["self"].as_str().expect("a link")
    );
    assert!(
        (900..5000).contains(&begun.elapsed().as_millis()),
        "{:?}",
        begun.elapsed()
    );
    let link = answer.body["links"]["self"].as_str().expect("a link");
    let ignored = test
        .client
        .get(link)
        .header("prefer", "wait=soon")
        .send()
        .await
        .expect(200);
    assert_eq!(ignored.header("preference-applied"), "");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_cut_off() {
    let builder =
        TestGateway::builder().config(|config| config.server.head_timeout = Duration::from_millis(300));
    let test = builder.start().await;
    let address = test.addr();
    let outcome = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).expect("a connection");
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a limit");
        socket
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
            .expect("written");
        socket.read_to_end(&mut Vec::new())
    });
    // A wait of its own that passes is an error of another kind.
    let end = outcome.await.expect("joined").map_err(|error| error.kind());
    assert!(
        !matches!(end, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
        "{end:?}"
    );
    test.stop().await;
}
