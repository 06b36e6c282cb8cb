//! A client that checks every answer: request id, trace context, headers, content type, and the shape of problems. So every
//! test tests these too.

use std::net::SocketAddr;
use std::panic::Location;
use std::sync::OnceLock;
use std::time::Duration;

use emgate::http::codes::Code;
use emgate::http::headers;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// Asks one gateway, with or without a token.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// A request being put together.
pub struct Request {
    inner: reqwest::RequestBuilder,
    is_head: bool,
}

/// An answer that passed the checks.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as JSON; null when it is none.
    pub body: Value,
    /// Its body.
    pub text: String,
}

/// A client with a time limit and without redirects, for single questions. It is made once, because reading the
/// system's certificates takes longer than most questions, and keeps no connection, because tests end their runtimes.
pub fn plain() -> reqwest::Client {
    static ONE: OnceLock<reqwest::Client> = OnceLock::new();
    ONE.get_or_init(|| {
        let builder = builder().pool_max_idle_per_host(0);
        builder.build().expect("a client")
    })
    .clone()
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(60))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
}

impl Client {
    pub fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self {
            http: builder().build().expect("a client"),
            base: format!("http://{address}"),
            token,
        }
    }

    /// The same with another token, or none. Connections are shared, and the system's certificates not read again.
    pub fn with_token(&self, token: Option<String>) -> Self {
        Self {
            token,
            ..self.clone()
        }
    }

    pub fn request(&self, method: &str, path: &str) -> Request {
        let method: reqwest::Method = method.parse().expect("a method");
        let is_head = method == reqwest::Method::HEAD;
        let mut inner = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            inner = inner.bearer_auth(token);
        }
        Request { inner, is_head }
    }

    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    pub fn post(&self, path: &str) -> Request {
        self.request("POST", path)
    }
}

impl Request {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.inner = self.inner.header(name, value);
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.inner = self.inner.body(body);
        self
    }

    /// The request itself, for whoever reads the answer piece by piece.
    pub fn into_inner(self) -> reqwest::RequestBuilder {
        self.inner
    }

    /// Sends it and expects a problem of this status and code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &'static str) -> impl Future<Output = Answer> {
        let asked_at = Location::caller();
        async move {
            let answer = self.send().await;
            assert_eq!(
                (answer.status, answer.body["code"].as_str()),
                (status, Some(code)),
                "asked at {asked_at}: {}",
                answer.text
            );
            answer
        }
    }

    /// Sends it and checks what every answer has to be.
    pub async fn send(self) -> Answer {
        let response = self.inner.send().await.expect("an answer");
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.expect("a whole answer");
        let answer = Answer {
            status,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            headers,
            text,
        };
        answer.check(self.is_head);
        answer
    }
}

impl Answer {
    /// A header's text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        let name: HeaderName = name.parse().expect("a header's name");
        self.headers
            .get(name)
            .map_or("", |value| HeaderValue::to_str(value).expect("text"))
    }

    /// Asserts the status, with the whole answer in the message.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Asserts status and code of a problem.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!(
            (self.status, self.body["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.text
        );
        self
    }

    /// The pointers of a problem's faults.
    pub fn pointers(&self) -> Vec<&str> {
        let faults = self.body["errors"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        faults
            .iter()
            .map(|fault| fault["pointer"].as_str().expect("a pointer"))
            .collect()
    }

    fn check(&self, is_head: bool) {
        let id = self.header("x-request-id");
        assert!(!id.is_empty(), "{} without x-request-id", self.status);
        assert_eq!(
            self.header("traceparent").len(),
            55,
            "{}",
            self.header("traceparent")
        );
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        assert_eq!(self.header("cross-origin-resource-policy"), "same-origin");
        let policy = self.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert_eq!(self.header("server"), "", "a banner");
        for name in self.headers.keys().filter(|name| !headers::is_transport(name)) {
            assert!(
                headers::is_readable(name),
                "{name} is sent and not listed in src/http/headers.rs: a page could not read it"
            );
        }
        let kind = self.header("content-type");
        if self.status >= 400 && !is_head && kind != "application/json" {
            assert_eq!(kind, "application/problem+json", "{}: {}", self.status, self.text);
            self.check_problem(id);
        } else if !self.text.is_empty() && kind.starts_with("application/json") {
            assert!(!self.body.is_null(), "not JSON: {}", self.text);
        }
        if self.status == 401 || (self.status == 403 && self.body["code"] == "insufficient-scope") {
            assert!(
                self.header("www-authenticate")
                    .starts_with("Bearer realm=\"emgate\"")
            );
        }
        if self.status == 503 && kind == "application/problem+json" {
            let seconds: u64 = self
                .header("retry-after")
                .parse()
                .expect("Retry-After in seconds");
            assert!(seconds > 0);
        }
    }

    fn check_problem(&self, id: &str) {
        let body = &self.body;
        let code = body["code"].as_str().unwrap_or_default();
        let known: Code = code
            .parse()
            .unwrap_or_else(|_| panic!("`{code}` is no code: {}", self.text));
        assert_eq!(known.status().as_u16(), self.status, "{}", self.text);
        assert_eq!(body["status"], self.status);
        assert_eq!(body["type"], format!("/problems/{code}"));
        assert_eq!(body["title"], known.title());
        assert_eq!(body["requestId"], id);
        assert!(
            body["instance"]
                .as_str()
                .is_some_and(|path| path.starts_with('/')),
            "{}",
            self.text
        );
        let detail = body["detail"].as_str().unwrap_or_default();
        assert!(!detail.is_empty(), "{}", self.text);
        for word in ["Error {", "sqlx", "reqwest", "hyper", "src/", ".rs:", "127.0.0.1"] {
            assert!(
                !self.text.contains(word),
                "a problem tells too much ({word}): {}",
                self.text
            );
        }
    }
}
