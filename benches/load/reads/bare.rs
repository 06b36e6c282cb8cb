//! What an answer costs without the gateway: an empty handler of the same library in a process of its own, alone and below layers that do
//! nothing, as many as the gateway once had. The bench starts itself anew for it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;

/// The argument that makes the bench such a process.
pub const ARGUMENT: &str = "bare-handlers";

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

pub struct Bare {
    child: Child,
    pub addr: SocketAddr,
}

impl Bare {
    pub fn start() -> Self {
        let own = std::env::current_exe().expect("a path");
        let mut command = Command::new(own);
        let mut child = command
            .arg(ARGUMENT)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
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

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
