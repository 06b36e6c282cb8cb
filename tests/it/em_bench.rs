//! The test bench of `upstream`: its client against a simulator, or against a server that says, byte
//! by byte, what a test wants it to say.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::waiting::{eventually, slowly};
use emgate::clock::{SharedClock, SystemClock};
use emgate::domain::id::EmId;
use emgate::domain::plan::{Action, PlanKind, PlanRef};
use emgate::sim::{Options, Running, Simulator};
use emgate::upstream::config::Account;
use emgate::upstream::{AcceptedTask, Config, EmClient};
use secrecy::SecretString;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::commands::act;

/// The plan that every simulated EM has.
pub const PLAN: &str = "3f56fa52-c902-4655-9774-2022fde214d2";

/// A configuration for that address with one account, nothing shared or remembered, and short patience.
pub fn config(url: &str) -> Config {
    let defaults = Options::default();
    let account = Account::new("operators", &defaults.user, SecretString::from(defaults.password));
    let mut config = Config::new(url.parse().expect("a URL"), vec![account]);
    config.coalesce = false;
    config.cache_ttl = Duration::ZERO;
    config.request_timeout = Duration::from_secs(20);
    config
}

/// The room against a simulator.
pub struct Bench {
    pub sim: Running,
    pub em: EmClient,
    client: reqwest::Client,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(Options::on_any_port(), |_| {}).await
    }

    pub async fn with(options: Options, change: impl FnOnce(&mut Config)) -> Self {
        Self::at(options, SystemClock::shared(), change).await
    }

    /// Both on `clock`.
    pub async fn at(options: Options, clock: SharedClock, change: impl FnOnce(&mut Config)) -> Self {
        let sim = Simulator::start_at(options, clock.clone())
            .await
            .expect("a simulator");
        let mut config = config(&sim.base_url());
        change(&mut config);
        let em = EmClient::new(&config, clock).expect("a room");
        let client = reqwest::Client::builder()
            .no_proxy()
            .danger_accept_invalid_certs(true)
            .build()
            .expect("a client");
        Self { sim, em, client }
    }

    /// A second room against the same simulator.
    pub fn another(&self, change: impl FnOnce(&mut Config)) -> EmClient {
        let mut config = config(&self.sim.base_url());
        change(&mut config);
        EmClient::new(&config, SystemClock::shared()).expect("a room")
    }

    pub async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let method = method.parse().expect("a method");
        let url = format!("{}/_sim/{path}", self.sim.base_url());
        let request = self.client.request(method, url).body(body.to_string());
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let bytes = answer.bytes().await.expect("a body");
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    }

    pub async fn fault(&self, fault: Value) {
        self.control("POST", "faults", fault).await;
    }

    /// All logon sessions die.
    pub async fn expire(&self) {
        self.control("POST", "expire", Value::Null).await;
    }

    pub async fn stats(&self) -> Stats {
        Stats(self.control("GET", "stats", Value::Null).await)
    }

    /// Waits until so many logon sessions are open.
    pub async fn open_sessions(&self, count: u64) {
        let open = async || self.stats().await.number("activeSessions");
        eventually("as many sessions", open, |open| *open == count).await;
    }

    /// An action on that plan, accepted by EM.
    pub async fn accepted(&self, action: Action) -> AcceptedTask {
        let plan = self.plan().await;
        act(&self.em, &plan, action).await.expect("accepted")
    }

    /// The first plan, as actions want it.
    pub async fn plan(&self) -> PlanRef {
        self.em
            .plan(PlanKind::Cloud, &plan_id())
            .await
            .expect("the plan")
            .reference()
    }
}

pub fn plan_id() -> EmId {
    PLAN.parse().expect("an id")
}

/// What the simulator counted.
#[derive(Debug)]
pub struct Stats(pub Value);

impl Stats {
    pub fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_default()
    }

    /// Requests with that beginning, `GET /api/query` for example.
    pub fn requests(&self, beginning: &str) -> u64 {
        let counts = self.0["requests"].as_object().expect("counts");
        counts
            .iter()
            .filter(|(key, _)| key.starts_with(beginning))
            .filter_map(|(_, n)| n.as_u64())
            .sum()
    }
}

/// One request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    pub line: String,
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn is(&self, beginning: &str) -> bool {
        self.line.starts_with(beginning)
    }
}

/// What a server does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These bytes, then the next request.
    Bytes(Vec<u8>),
    /// These bytes, then nothing, the connection staying open.
    Stall(Vec<u8>),
    /// These bytes, then the end of the connection.
    Close(Vec<u8>),
    /// These bytes one after another, so much time before each, then nothing, the connection staying open.
    Drip(Duration, Vec<Vec<u8>>),
    /// Once the gate is open, another reply.
    When(Gate, Box<Reply>),
}

/// Holds a reply back until it is opened.
#[derive(Debug, Clone)]
pub struct Gate(Arc<tokio::sync::Semaphore>);

impl Gate {
    pub fn shut() -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(0)))
    }

    pub fn open(&self) {
        self.0.close();
    }

    async fn pass(&self) {
        // It is only ever closed, which lets everybody through.
        let _ = self.0.acquire().await;
    }
}

/// A client of EM at this URL, by the system's clock.
pub fn em_at(url: &str) -> EmClient {
    EmClient::new(&config(url), SystemClock::shared()).expect("a client")
}

/// Waits for something that is going to be true.
pub async fn until(what: &str, wished: impl AsyncFn() -> bool) {
    eventually(what, async || wished().await, |holds| *holds).await;
}

/// A whole answer with a body of XML.
pub fn answer(status: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(
        format!("HTTP/1.1 {status}\r\nContent-Type: application/xml\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
            .into_bytes(),
    )
}

/// EM's answers to what precedes every request: its versions and a logon.
pub fn usual(request: &Request) -> Option<Reply> {
    const SESSION: &str = "9a9e9e9e-0000-4000-8000-000000000001";
    if request.is("GET /api/ ") {
        let body = "<EnterpriseManager xmlns=\"http://www.veeam.com/ent/v1.0\"><SupportedVersions>\
                    <SupportedVersion Name=\"v1_6\"/><SupportedVersion Name=\"v1_7\"/></SupportedVersions></EnterpriseManager>";
        return Some(answer("200 OK", "", body));
    }
    if request.is("POST /api/sessionMngr/") {
        let body = format!(
            "<LogonSession xmlns=\"http://www.veeam.com/ent/v1.0\"><Links><Link Rel=\"Delete\" Type=\"LogonSession\" \
             Href=\"https://elsewhere.example:1/api/logonSessions/{SESSION}\"/></Links><SessionId>{SESSION}</SessionId>\
             </LogonSession>"
        );
        let headers =
            "X-RestSvcSessionId: dG9rZW4=\r\nSet-Cookie: X-RestSvcSessionId=dG9rZW4=; Path=/api\r\n";
        return Some(answer("201 Created", headers, &body));
    }
    if request.is("GET /api/logonSessions/") {
        return Some(answer(
            "200 OK",
            "",
            "<LogonSession xmlns=\"http://www.veeam.com/ent/v1.0\"/>",
        ));
    }
    request
        .is("DELETE /api/logonSessions/")
        .then(|| Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()))
}

/// A server that records its requests and gives the scripted answers.
pub struct Server {
    pub url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, reply).await
    }

    pub async fn start_with(
        tls: Option<Arc<rustls::ServerConfig>>,
        reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (all, reply) = (seen.clone(), Arc::new(reply));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (seen, reply, tls) = (all.clone(), reply.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(socket, &seen, &*reply).await,
                        Some(tls) => {
                            if let Ok(socket) = tokio_rustls::TlsAcceptor::from(tls).accept(socket).await {
                                serve(socket, &seen, &*reply).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, seen, task }
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("not poisoned").clone()
    }

    pub fn count(&self, beginning: &str) -> usize {
        self.seen().iter().filter(|request| request.is(beginning)).count()
    }
}

async fn serve(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<Request>>,
    reply: &(dyn Fn(&Request) -> Reply + Send + Sync),
) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut socket, &mut buffer).await {
        seen.lock().expect("not poisoned").push(request.clone());
        let mut reply = reply(&request);
        while let Reply::When(gate, next) = reply {
            gate.pass().await;
            reply = *next;
        }
        match reply {
            Reply::When(..) => {}
            Reply::Drip(pause, pieces) => {
                for piece in pieces {
                    slowly(pause).await;
                    if socket.write_all(&piece).await.is_err() {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            }
            Reply::Bytes(bytes) => {
                if socket.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Reply::Stall(bytes) => {
                let _ = socket.write_all(&bytes).await;
                let _ = socket.flush().await;
                std::future::pending::<()>().await;
            }
            Reply::Close(bytes) => {
                let _ = socket.write_all(&bytes).await;
                let _ = socket.shutdown().await;
                return;
            }
        }
    }
}

async fn read(socket: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<Request> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    let mut request = Request {
        line,
        head,
        body: Vec::new(),
    };
    let length: usize = request
        .header("content-length")
        .map_or(0, |text| text.parse().expect("a length"));
    while buffer.len() < end + 4 + length {
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    request.body = buffer[end + 4..end + 4 + length].to_vec();
    buffer.drain(..end + 4 + length);
    Some(request)
}
