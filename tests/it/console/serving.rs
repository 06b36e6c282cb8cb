//! The page and its files: addresses, caching, compression, and what a browser is told that they may do.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::{TestGateway, plan};

/// The addresses that the page has its files at.
fn files(page: &Answer) -> Vec<String> {
    let parts = page.text.split('"');
    let found = parts.filter(|part| part.contains("/console/v-"));
    found.map(ToOwned::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_of_the_console_is_its_page() {
    let test = TestGateway::start().await;
    let stranger = test.stranger();
    let page = stranger.get("/console/").send().await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(page.header("cache-control"), "no-cache");
    for view in [
        "failovers/3f56fa52-c902-4655-9774-2022fde214d2",
        "plans",
        "approvals?state=x",
    ] {
        let deep = stranger.get(&format!("/console/{view}")).send().await.expect(200);
        assert_eq!(deep.text, page.text, "{view}");
    }
    let without_slash = stranger.get("/console").send().await.expect(308);
    assert_eq!(without_slash.header("location"), "/console/");
    let root = stranger.get("/").send().await.expect(307);
    assert_eq!(root.header("location"), "/console/");
    let written = stranger.post("/console/plans").send().await;
    written.expect_problem(405, "method-not-allowed");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_may_run_its_own_scripts_and_nothing_else() {
    let test = TestGateway::start().await;
    let page = test.stranger().get("/console/").send().await.expect(200);
    let tag = page.header("etag").to_owned();
    let known = test.stranger().get("/console/").header("if-none-match", &tag);
    let known = known.send().await.expect(304);
    for answer in [&page, &known] {
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.split("; ").any(|one| one == part), "{part}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_page_is_kept_for_ever_under_its_version() {
    let test = TestGateway::start().await;
    let stranger = test.stranger();
    let page = stranger.get("/console/").send().await.expect(200);
    let files = files(&page);
    assert!(files.len() >= 2, "{}", page.text);
    for path in &files {
        let plain = stranger.get(path).send().await.expect(200);
        assert_eq!(
            plain.header("cache-control"),
            "public, max-age=31536000, immutable"
        );
        assert_eq!(plain.header("content-encoding"), "");
        let packed = stranger.get(path).header("accept-encoding", "gzip, br");
        let packed = packed.into_inner().send().await.expect("an answer");
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        assert_eq!(packed.headers()["vary"], "accept-encoding");
        let length = packed.bytes().await.expect("a body").len();
        assert!(length > 0, "{path}");
    }
    test.stop().await;
}

#[rstest]
#[case::of_another_version("v-0123456789abcdef/main.js")]
#[case::without_a_version("main.js")]
#[case::that_is_not_there("v-{version}/nothing.js")]
#[case::above_the_folder("v-{version}/../main.js")]
#[case::coded_above("v-{version}/..%2Findex.html")]
#[case::of_the_page_itself("v-{version}/index.html")]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_is_never_the_page(#[case] path: &str) {
    let test = TestGateway::start().await;
    let stranger = test.stranger();
    let page = stranger.get("/console/").send().await.expect(200);
    let first = files(&page).first().cloned().expect("a file");
    let version = first.split('/').nth(2).and_then(|part| part.strip_prefix("v-"));
    let path = path.replace("{version}", version.expect("a version"));
    let answer = stranger.get(&format!("/console/{path}")).send().await;
    answer.expect_problem(404, "not-found");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_console_the_root_leads_to_the_documentation() {
    let test = TestGateway::builder().config(|config| config.server.console.enabled = false);
    let test = test.start().await;
    let root = test.stranger().get("/").send().await.expect(307);
    assert_eq!(root.header("location"), "/docs");
    for path in ["/console", "/console/", "/console/plans", "/console/v-1/main.js"] {
        test.stranger().get(path).refused(404, "not-found").await;
    }
    test.stop().await;
}

#[rstest]
#[case(true)]
#[case(false)]
#[tokio::test(flavor = "multi_thread")]
async fn links_lead_to_the_console_where_there_is_one(#[case] enabled: bool) {
    let test = TestGateway::builder().config(move |config| {
        config.server.console.enabled = enabled;
        config.server.public_url = Some("https://dr.example/emgate/".parse().expect("a URL"));
    });
    let test = test.start().await;
    let asked = test.client.post(&plan("/test")).send().await.expect(202);
    let page = format!(
        "https://dr.example/emgate/console/failovers/{}",
        asked.body["id"].as_str().expect("an id")
    );
    let expected = if enabled { json!(page) } else { Value::Null };
    assert_eq!(asked.body["links"]["console"], expected);

    let endpoint = json!({"url": "https://portal.example/hook"});
    let made = test.client.post("/api/v1/webhook-endpoints").json(&endpoint);
    let made = made.send().await.expect(201);
    let preview = format!(
        "/api/v1/webhook-endpoints/{}/preview",
        made.body["id"].as_str().expect("an id")
    );
    let template = json!({"template": "{{ link.open }} {{ link.approve }}", "contentType": "text/plain"});
    let formats = emgate::domain::webhook::Format::ALL
        .iter()
        .map(|format| format.as_str());
    let formats = formats.filter(|format| !["standard", "cloudevents"].contains(format));
    for event in [
        "failover.session.finished",
        "failover.approval.requested",
        "recovery.test.overdue",
    ] {
        for mut wanted in formats
            .clone()
            .map(|format| json!({"format": format}))
            .chain([template.clone()])
        {
            wanted["eventType"] = event.into();
            let shown = test.client.post(&preview).json(&wanted).send().await.expect(200);
            let leads = shown.text.contains("/console/");
            assert_eq!(leads, enabled, "{wanted}: {}", shown.text);
        }
    }
    test.stop().await;
}
