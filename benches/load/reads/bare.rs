//! What an answer costs without the gateway, in a process of its own: an empty handler of the same library, alone and below layers that do
//! nothing, as many as the gateway once had; and a proxy of the same two libraries that passes on what a server answers. The bench
//! starts itself anew for it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;

/// The argument that makes the bench such a process.
pub const ARGUMENT: &str = "bare-handlers";
/// Where the server is whose answers are passed on.
const BEFORE: &str = "BARE_BEFORE";

/// The rows of the table: what they are called, and where they are.
pub const ROWS: [(&str, &str); 3] = [
    ("empty handler", "/0"),
    ("empty handler, 1 layer", "/1"),
    ("empty handler, 12 layers", "/12"),
];

/// Serves until it is killed.
pub async fn serve() {
    let mut router = Router::new().route("/0", get(empty));
    for count in [1, 12] {
        let mut one: Router = Router::new().route(&format!("/{count}"), get(empty));
        for _ in 0..count {
            one = one.layer(from_fn(nothing));
        }
        router = router.merge(one);
    }
    if let Ok(server) = std::env::var(BEFORE) {
        let client = reqwest::Client::builder().http1_only().no_proxy();
        let client = client.build().expect("a client");
        router = router.merge(Router::new().fallback(pass_on).with_state((client, server)));
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    axum::serve(listener, router).await.expect("served");
}

async fn empty() -> &'static str {
    "{}"
}

async fn nothing(request: Request, next: Next) -> Response {
    next.run(request).await
}

/// With the header that EM wants to see, and nothing else that a gateway would do.
async fn pass_on(State((client, server)): State<(reqwest::Client, String)>, request: Request) -> Response {
    let mut passed = client.get(format!("http://{server}{}", request.uri()));
    if let Some(session) = request.headers().get("x-restsvcsessionid") {
        passed = passed.header("x-restsvcsessionid", session);
    }
    let answer = passed.send().await.expect("an answer");
    http::Response::from(answer).map(Body::new)
}

pub struct Bare {
    child: Child,
    pub addr: SocketAddr,
}

impl Bare {
    pub fn start() -> Self {
        Self::by(&mut command())
    }

    /// The proxy before a server.
    pub fn before(server: SocketAddr) -> Self {
        Self::by(command().env(BEFORE, server.to_string()))
    }

    fn by(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let addr = line.trim().parse().expect("an address");
        Self { child, addr }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

fn command() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.arg(ARGUMENT);
    command
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
