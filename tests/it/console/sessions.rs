//! The console's cookie: what it opens, from where, for how long, and that its end counts everywhere at once.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::client::{Answer, Request};
use crate::support::postgres::database;
use crate::support::sse::Stream;
use crate::support::{Client, TestGateway, plan, token};

const SESSION: &str = "/console/session";

/// A browser that is logged in: it has the cookie and no token.
pub struct Browser {
    client: Client,
    origin: String,
    pub cookie: String,
}

impl Browser {
    /// Logs in with a token.
    pub async fn log_in(test: &TestGateway, token: &str) -> Self {
        let answer = test
            .stranger()
            .post(SESSION)
            .json(&json!({"token": token}))
            .send()
            .await
            .expect(200);
        Self::of(test, &answer)
    }

    /// One that has this cookie.
    pub fn with(test: &TestGateway, cookie: &str) -> Self {
        Self {
            client: test.stranger(),
            origin: format!("http://{}", test.addr()),
            cookie: cookie.to_owned(),
        }
    }

    /// The browser that got this answer.
    pub fn of(test: &TestGateway, answer: &Answer) -> Self {
        let set = answer.header("set-cookie");
        Self {
            client: test.stranger(),
            origin: format!("http://{}", test.addr()),
            cookie: set.split(';').next().expect("a cookie").to_owned(),
        }
    }

    /// The same browser at another replica.
    pub fn at(&self, test: &TestGateway) -> Self {
        Self {
            client: test.stranger(),
            origin: format!("http://{}", test.addr()),
            cookie: self.cookie.clone(),
        }
    }

    /// A request with the cookie alone.
    pub fn bare(&self, method: &str, path: &str) -> Request {
        self.client.request(method, path).header("cookie", &self.cookie)
    }

    /// A request as the page makes it.
    pub fn ask(&self, method: &str, path: &str) -> Request {
        self.bare(method, path)
            .header("origin", &self.origin)
            .header("x-emgate-console", "1")
    }

    pub fn get(&self, path: &str) -> Request {
        self.ask("GET", path)
    }
}

fn operator() -> String {
    token(
        &json!({"sub": "ann", "scope": "plans:read plans:test operations:read events:read audit:read tenants:all"}),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_token_becomes_a_cookie_that_no_script_reads() {
    let test = TestGateway::start().await;
    let login = test.stranger().post(SESSION).json(&json!({"token": operator()}));
    let login = login.send().await.expect(200);
    let cookie = login.header("set-cookie");
    for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.split("; ").any(|one| one == part), "{part}: {cookie}");
    }
    assert!(
        cookie.starts_with("__Host-emgate=") && !cookie.contains("Domain"),
        "{cookie}"
    );
    assert!(cookie.len() < 200, "no token is in it: {cookie}");
    assert_eq!(login.header("cache-control"), "no-store");
    assert_eq!(login.body["subject"], "ann");
    assert_eq!(login.body["tenant"], Value::Null);
    assert!(login.body["expiresAt"].is_string(), "{}", login.text);
    let browser = Browser::of(&test, &login);
    let who = browser.get(SESSION).send().await.expect(200);
    assert_eq!(who.body, login.body);
    test.stranger().get(SESSION).refused(401, "unauthenticated").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_cookie_the_api_answers_as_with_the_token() {
    let test = TestGateway::start().await;
    let claims =
        json!({"sub": "ann", "scope": "plans:read sessions:read events:read", "tenants": ["ABC Company"]});
    let bearer = test.client_as(&claims);
    let browser = Browser::log_in(&test, &token(&claims)).await;
    for path in [
        "/api/v1",
        "/api/v1/me",
        "/api/v1/cloud-failover-plans",
        "/api/v1/failover-sessions",
        "/api/v1/events?pageSize=5",
        "/api/v1/operations",
        "/api/v1/em/jobs",
        "/api/v1/nothing",
    ] {
        let by_token = bearer.get(path).send().await;
        let by_cookie = browser.get(path).send().await;
        assert_eq!(by_cookie.status, by_token.status, "{path}");
        let without_request = |answer: &Answer| {
            let mut body = answer.body.clone();
            for member in ["requestId", "expiresAt"] {
                body.as_object_mut().map(|body| body.remove(member));
            }
            body
        };
        assert_eq!(without_request(&by_cookie), without_request(&by_token), "{path}");
        assert_eq!(
            by_cookie.header("ratelimit-policy"),
            by_token.header("ratelimit-policy")
        );
    }
    let who = browser.get(SESSION).send().await.expect(200);
    assert_eq!(who.body["tenant"], "ABC Company");
    let stream = Stream::open(browser.bare("GET", "/api/v1/events/stream").into_inner()).await;
    drop(stream);
    test.stop().await;
}

#[rstest]
#[case::without_the_header(Some("own"), None)]
#[case::with_another_header(Some("own"), Some("0"))]
#[case::without_an_origin(None, Some("1"))]
#[case::from_a_foreign_origin(Some("https://evil.example"), Some("1"))]
#[case::from_a_hidden_origin(Some("null"), Some("1"))]
#[tokio::test(flavor = "multi_thread")]
async fn a_write_by_cookie_has_to_come_from_the_page(
    #[case] origin: Option<&str>,
    #[case] mark: Option<&str>,
) {
    let test = TestGateway::start().await;
    let browser = Browser::log_in(&test, &operator()).await;
    for (method, path) in [("POST", plan("/test")), ("DELETE", SESSION.to_owned())] {
        let mut request = browser.bare(method, &path);
        if let Some(origin) = origin {
            let origin = if origin == "own" { &browser.origin } else { origin };
            request = request.header("origin", origin);
        }
        if let Some(mark) = mark {
            request = request.header("x-emgate-console", mark);
        }
        request.refused(403, "cross-site").await;
    }
    let operations = test.client.get("/api/v1/operations").send().await.expect(200);
    assert_eq!(operations.body["items"], json!([]), "nothing was done");
    browser.get(SESSION).send().await.expect(200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_by_cookie_is_told_of_as_the_consoles() {
    let test = TestGateway::start().await;
    let browser = Browser::log_in(&test, &operator()).await;
    let tested = browser.ask("POST", &plan("/test")).send().await.expect(202);
    assert_eq!(tested.body["requestedBy"], "ann");
    browser
        .bare("POST", &plan("/test"))
        .refused(403, "cross-site")
        .await;
    browser.ask("DELETE", SESSION).send().await.expect(204);
    let audit = test
        .client
        .get("/api/v1/audit?actor=ann")
        .send()
        .await
        .expect(200);
    let told: Vec<(&str, &str)> = audit.body["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|row| {
            let channel = row["details"]["channel"].as_str().unwrap_or("none");
            (row["action"].as_str().expect("an action"), channel)
        })
        .collect();
    let expected = [
        ("console.login", "console"),
        ("plan.test", "console"),
        ("request.forbidden", "console"),
        ("console.logout", "console"),
    ];
    assert_eq!(told, expected);
    let by_token = test
        .client
        .get("/api/v1/audit?actor=tester")
        .send()
        .await
        .expect(200);
    assert_eq!(by_token.body["items"], json!([]), "reads leave no row");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_beside_the_cookie_is_the_one_that_counts() {
    let test = TestGateway::start().await;
    let browser = Browser::log_in(&test, &operator()).await;
    let both = test.client.get("/api/v1/me").header("cookie", &browser.cookie);
    assert_eq!(both.send().await.expect(200).body["subject"], "tester");
    let bad = test.client.with_token(Some("nonsense".to_owned()));
    let bad = bad.get("/api/v1/me").header("cookie", &browser.cookie);
    bad.refused(401, "unauthenticated").await;
    // A token needs no proof of where a request comes from.
    let write = test.client.post(&plan("/test")).header("cookie", &browser.cookie);
    write.send().await.expect(202);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_the_cookie_and_its_streams() {
    let test = TestGateway::start().await;
    let browser = Browser::log_in(&test, &operator()).await;
    let mut stream = Stream::open(browser.bare("GET", "/api/v1/events/stream").into_inner()).await;
    browser.get("/api/v1/me").send().await.expect(200);
    let out = browser.ask("DELETE", SESSION).send().await.expect(204);
    assert!(
        out.header("set-cookie").ends_with("Max-Age=0"),
        "{}",
        out.header("set-cookie")
    );
    let dead = browser.get("/api/v1/me").send().await;
    let dead = dead.expect_problem(401, "unauthenticated");
    assert!(
        dead.body["detail"]
            .as_str()
            .is_some_and(|text| text.contains("log in again"))
    );
    let last = stream.rest().await.pop().expect("a last word");
    assert_eq!(last.event.as_deref(), Some("unauthorized"));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_counts_on_every_replica_at_once() {
    let database = database().await;
    let start = async || {
        let (url, key_file) = (database.url.clone(), database.key_file.clone());
        let builder = TestGateway::builder().config(move |config| {
            config.store = emgate::store::config::Config {
                url,
                encryption_key_file: Some(key_file),
            };
        });
        builder.start().await
    };
    let (one, other) = (start().await, start().await);
    let browser = Browser::log_in(&one, &operator()).await;
    let there = browser.at(&other);
    there.get("/api/v1/me").send().await.expect(200);
    browser.ask("DELETE", SESSION).send().await.expect(204);
    there.get("/api/v1/me").refused(401, "unauthenticated").await;
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_token() {
    let test = TestGateway::start().await;
    let stranger = test.stranger();
    for bad in ["", "nonsense", &token(&json!({"sub": "ann", "exp": 1}))] {
        let login = stranger.post(SESSION).json(&json!({"token": bad}));
        let refused = login.refused(401, "unauthenticated").await;
        assert_eq!(refused.header("set-cookie"), "");
    }
    let soon = crate::support::seconds_now() + 3;
    // Beyond the leeway a session outlives its token by nothing: the store's row ends with it.
    let browser = Browser::log_in(&test, &token(&json!({"sub": "ann", "exp": soon}))).await;
    browser.get(SESSION).send().await.expect(200);
    crate::waiting::eventually(
        "the end",
        async || browser.get(SESSION).send().await.status,
        |status| *status == 401,
    )
    .await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_login_of_a_browser_ends_the_one_before() {
    let test = TestGateway::start().await;
    let first = Browser::log_in(&test, &operator()).await;
    let again = test.stranger().post(SESSION).header("cookie", &first.cookie);
    let again = again.json(&json!({"token": operator()})).send().await.expect(200);
    let second = Browser::of(&test, &again);
    assert_ne!(first.cookie, second.cookie);
    second.get(SESSION).send().await.expect(200);
    first.get(SESSION).refused(401, "unauthenticated").await;
    test.stop().await;
}

#[rstest]
#[case::plain("http://gw.example:8080", "gw.example:8080", 403, "tls-required")]
#[case::plain_by_address("http://192.0.2.7:8080", "192.0.2.7:8080", 403, "tls-required")]
#[case::of_another_page("https://evil.example", "gw.example", 403, "cross-site")]
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_browsers_would_forget_is_refused_with_the_reason(
    #[case] origin: &str,
    #[case] host: &str,
    #[case] status: u16,
    #[case] code: &'static str,
) {
    let test = TestGateway::start().await;
    let login = test.stranger().post(SESSION).header("host", host);
    let login = login.header("origin", origin).json(&json!({"token": operator()}));
    let refused = login.refused(status, code).await;
    assert_eq!(refused.header("set-cookie"), "");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_with_tls_the_public_address_is_the_pages() {
    let test = TestGateway::builder().config(|config| {
        config.server.public_url = Some("https://dr.example/emgate/".parse().expect("a URL"));
    });
    let test = test.start().await;
    let page = test.stranger().get("/console/").send().await.expect(200);
    assert!(page.text.contains("\"/emgate/console/v-"), "{}", page.text);
    let login = test.stranger().post(SESSION).header("host", "emgate:8080");
    let login = login
        .header("origin", "https://dr.example")
        .json(&json!({"token": operator()}));
    let browser = Browser::of(&test, &login.send().await.expect(200));
    let write = browser.bare("DELETE", SESSION).header("host", "emgate:8080");
    let write = write
        .header("origin", "https://dr.example")
        .header("x-emgate-console", "1");
    write.send().await.expect(204);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_console_its_cookie_is_nothing() {
    let with = TestGateway::start().await;
    let browser = Browser::log_in(&with, &operator()).await;
    let without = TestGateway::builder().config(|config| config.server.console.enabled = false);
    let without = without.start().await;
    let there = browser.at(&without);
    let refused = there.get("/api/v1/me").refused(401, "unauthenticated").await;
    assert!(refused.text.contains("Authorization"), "{}", refused.text);
    there.get(SESSION).refused(404, "not-found").await;
    with.stop().await;
    without.stop().await;
}
