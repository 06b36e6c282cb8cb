//! A server between gateway and simulator: gives the scripted answers, forwards all other requests, and records them.
//!
//! For answers that the simulator cannot give (odd documents, files, statuses); logons and plans stay the simulator's.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::waiting::slowly;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;

/// A scripted answer.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// The connection breaks after the body, before the length it announced is reached.
    pub cut: bool,
}

impl Reply {
    pub fn xml(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), "application/xml".to_owned())],
            body: Bytes::copy_from_slice(body.as_bytes()),
            cut: false,
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A recorded request.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

struct Inner {
    /// One for all requests, since making a client takes longer than a request.
    client: reqwest::Client,
    behind: OnceLock<url::Url>,
    replies: Mutex<Vec<(String, Reply)>>,
    twists: Mutex<Vec<(String, Twist)>>,
    interludes: Mutex<Vec<Interlude>>,
    seen: Mutex<Vec<Seen>>,
}

/// Work that runs once, before the n-th request that begins so is forwarded.
struct Interlude {
    request: String,
    left: usize,
    work: BoxFuture<'static, ()>,
}

/// Changes a real answer on its way back.
pub type Twist = fn(Reply) -> Response;

/// The server; clones share it.
#[derive(Clone)]
pub struct ScriptedServer {
    inner: Arc<Inner>,
    address: std::net::SocketAddr,
}

impl ScriptedServer {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let inner = Arc::new(Inner {
            client: super::client::plain(),
            behind: OnceLock::new(),
            replies: Mutex::default(),
            twists: Mutex::default(),
            interludes: Mutex::default(),
            seen: Mutex::default(),
        });
        let app = axum::Router::new().fallback(answer).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { inner, address }
    }

    /// Puts this server between the gateway of `config` and its EM.
    pub fn put_before(&self, config: &mut emgate::upstream::Config) {
        config.url = self.before_em(config.url.clone());
    }

    /// Puts this server before an EM; where a gateway finds it then.
    pub fn before_em(&self, em: url::Url) -> url::Url {
        self.inner
            .behind
            .set(em)
            .expect("one gateway for each scripted server");
        format!("http://{}", self.address).parse().expect("a URL")
    }

    /// Answers `request` (`GET /api/x?y=z`) from now on; `*` at its end matches anything.
    pub fn answers(&self, request: &str, reply: Reply) {
        let mut replies = self.inner.replies.lock().expect("unpoisoned");
        replies.retain(|(known, _)| known != request);
        replies.push((request.to_owned(), reply));
    }

    /// Forwards `request` and returns the answer changed by `twist`: EM acted, whatever its caller receives.
    pub fn twists(&self, request: &str, twist: Twist) {
        let mut twists = self.inner.twists.lock().expect("unpoisoned");
        twists.push((request.to_owned(), twist));
    }

    /// Runs `work` before the `number`th request from now on that begins so is forwarded.
    pub fn before(&self, request: &str, number: usize, work: impl Future<Output = ()> + Send + 'static) {
        let mut interludes = self.inner.interludes.lock().expect("unpoisoned");
        interludes.push(Interlude {
            request: request.to_owned(),
            left: number,
            work: Box::pin(work),
        });
    }

    /// Forwards every request from now on.
    pub fn forwards_all(&self) {
        self.inner.replies.lock().expect("unpoisoned").clear();
        self.inner.twists.lock().expect("unpoisoned").clear();
    }

    /// The recorded requests that begin so.
    pub fn seen(&self, request: &str) -> Vec<Seen> {
        let seen = self.inner.seen.lock().expect("unpoisoned");
        seen.iter()
            .filter(|seen| format!("{} {}", seen.method, seen.target).starts_with(request))
            .cloned()
            .collect()
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let target = parts
        .uri
        .path_and_query()
        .map_or_else(String::new, ToString::to_string);
    let line = format!("{} {target}", parts.method);
    inner.seen.lock().expect("unpoisoned").push(Seen {
        method: parts.method.to_string(),
        target: target.clone(),
        headers: parts.headers.clone(),
        body: body.clone(),
    });
    for work in due(&inner, &line) {
        work.await;
    }
    if let Some(reply) = scripted_for(&inner.replies, &line) {
        return response_of(reply);
    }
    let answer = forward(&inner, &parts, &target, body).await;
    match scripted_for(&inner.twists, &line) {
        Some(twist) => twist(answer),
        None => response_of(answer),
    }
}

/// The work that is due before this request.
fn due(inner: &Inner, line: &str) -> Vec<BoxFuture<'static, ()>> {
    let mut interludes = inner.interludes.lock().expect("unpoisoned");
    for interlude in interludes.iter_mut().filter(|own| line.starts_with(&own.request)) {
        interlude.left = interlude.left.saturating_sub(1);
    }
    let due = interludes.extract_if(.., |interlude| interlude.left == 0);
    due.map(|interlude| interlude.work).collect()
}

/// The script of the first request that matches.
fn scripted_for<T: Clone>(scripts: &Mutex<Vec<(String, T)>>, line: &str) -> Option<T> {
    let scripts = scripts.lock().expect("unpoisoned");
    let fits = |(request, _): &&(String, T)| match request.strip_suffix('*') {
        Some(start) => line.starts_with(start),
        None => line == *request,
    };
    scripts.iter().find(fits).map(|(_, script)| script.clone())
}

/// The reply on the wire.
pub fn response_of(reply: Reply) -> Response {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    let body = if reply.cut {
        // Apart, so that the beginning is on the wire before the end fails.
        let broken = async {
            slowly(Duration::from_millis(100)).await;
            Err(std::io::Error::other("cut"))
        };
        let begun = futures_util::stream::iter([Ok(reply.body)]);
        Body::from_stream(begun.chain(futures_util::stream::once(broken)))
    } else {
        Body::from(reply.body)
    };
    response.body(body).expect("a response")
}

async fn forward(inner: &Inner, parts: &axum::http::request::Parts, target: &str, body: Bytes) -> Reply {
    let base = inner.behind.get().expect("a server behind");
    let url = base.join(target).expect("a URL");
    let mut headers = parts.headers.clone();
    headers.remove("host");
    let sent = inner
        .client
        .request(parts.method.clone(), url)
        .headers(headers)
        .body(body)
        .send();
    let Ok(answer) = sent.await else {
        return Reply::xml(502, "");
    };
    let headers = answer.headers().iter();
    let headers =
        headers.filter(|(name, _)| !["transfer-encoding", "content-length"].contains(&name.as_str()));
    Reply {
        status: answer.status().as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
            .collect(),
        body: answer.bytes().await.expect("a whole answer"),
        cut: false,
    }
}
