//! Requests a second by the algorithm of their tokens: each token new, the same token again, and a handler without tokens.
//!
//! Caller and gateway share the machine, so that the figures compare algorithms, not machines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use emgate::clock::{Clock as _, SystemClock};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

use super::idp::{Pair, sign_by};
use super::world::{gateway, ready};
use crate::figures::{Figures, Row};
use crate::process::{self, SECRET};

const REQUESTS: usize = 6_000;
const CONNECTIONS: usize = 8;
const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_mins(5);

pub async fn measure(figures: &mut Figures) {
    let simulator = process::simulator(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let algorithms = [
        ("RS256", Algorithm::RS256),
        ("ES256", Algorithm::ES256),
        ("EdDSA", Algorithm::EdDSA),
    ];
    let mut settings = Vec::new();
    let mut signers = vec![(
        "HS256",
        EncodingKey::from_secret(SECRET.as_bytes()),
        Algorithm::HS256,
    )];
    for (place, (name, algorithm)) in (1..).zip(algorithms) {
        let pair = Pair::new(algorithm);
        let file = directory.path().join(format!("{name}.pem"));
        std::fs::write(&file, &pair.pem).expect("written");
        let key = |key: &str| format!("EMGATE_AUTH__KEYS__{place}__{key}");
        settings.push((key("KIND"), "pem".to_owned()));
        settings.push((key("ALGORITHM"), name.to_owned()));
        settings.push((key("FILE"), file.display().to_string()));
        signers.push((name, pair.private, algorithm));
    }
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let gateway = gateway(&simulator, directory.path(), &settings);
    ready(&gateway).await;
    figures.begin(
        "tokens",
        format!("verified requests a second over {CONNECTIONS} connections, {REQUESTS} a round, GET /api/v1/me, beside GET /healthz without a token"),
    );
    let mut number = 0;
    for (name, key, algorithm) in &signers {
        let (mut cold, mut warm, mut open) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let tokens: Vec<_> = (0..REQUESTS)
                .map(|_| {
                    number += 1;
                    Some(token(name, key, *algorithm, number))
                })
                .collect();
            let one = vec![tokens[0].clone()];
            cold.push(rate(gateway.addr, "/api/v1/me", tokens).await);
            warm.push(rate(gateway.addr, "/api/v1/me", one).await);
            open.push(rate(gateway.addr, "/healthz", vec![None]).await);
        }
        for (what, found) in [("each token new", cold), ("the same token again", warm)] {
            let row = Row::new(format!("{name}, {what}"), "/s", found);
            figures.add(row.beside("/healthz", open.clone()));
        }
    }
}

fn token(name: &str, key: &EncodingKey, algorithm: Algorithm, number: usize) -> String {
    let header = json!({"alg": name, "typ": "JWT"}).to_string();
    let expiry = SystemClock.now().as_second() + 3_600;
    let claims =
        json!({"sub": "bench", "exp": expiry, "jti": number, "scope": "plans:read tenants:all"}).to_string();
    sign_by(key, algorithm, header, claims)
}

/// Requests a second over kept connections, each with the next token in turn.
async fn rate(addr: std::net::SocketAddr, path: &'static str, tokens: Vec<Option<String>>) -> f64 {
    let (tokens, next) = (Arc::new(tokens), Arc::new(AtomicUsize::new(0)));
    let begun = Instant::now();
    let callers: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(call(addr, path, tokens.clone(), next.clone())))
        .collect();
    for caller in callers {
        let done = tokio::time::timeout(LIMIT, caller).await;
        done.expect("in time").expect("no panic");
    }
    REQUESTS as f64 / begun.elapsed().as_secs_f64()
}

async fn call(
    addr: std::net::SocketAddr,
    path: &'static str,
    tokens: Arc<Vec<Option<String>>>,
    next: Arc<AtomicUsize>,
) {
    let stream = tokio::net::TcpStream::connect(addr).await.expect("a connection");
    stream.set_nodelay(true).expect("set");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("a connection");
    tokio::spawn(connection);
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        if place >= REQUESTS {
            return;
        }
        let mut request = hyper::Request::get(path).header("host", "x");
        if let Some(token) = &tokens[place % tokens.len()] {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.into_body().collect().await.expect("a body");
    }
}
