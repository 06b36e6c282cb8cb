//! Pairs of keys, tokens and a provider for tests: one pair for each family, made once.

use std::sync::{Arc, LazyLock};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

use super::tests::pair;

static RSA: LazyLock<EncodingKey> = LazyLock::new(|| pair(Algorithm::RS256).0);
static P256: LazyLock<EncodingKey> = LazyLock::new(|| pair(Algorithm::ES256).0);
static P384: LazyLock<EncodingKey> = LazyLock::new(|| pair(Algorithm::ES384).0);
static EDWARDS: LazyLock<EncodingKey> = LazyLock::new(|| pair(Algorithm::EdDSA).0);

fn private(algorithm: Algorithm) -> &'static EncodingKey {
    match algorithm {
        Algorithm::ES256 => &P256,
        Algorithm::ES384 => &P384,
        Algorithm::EdDSA => &EDWARDS,
        _ => &RSA,
    }
}

/// The public key of the algorithm's pair.
pub(super) fn jwk(algorithm: Algorithm, id: Option<&str>) -> Value {
    let jwk = Jwk::from_encoding_key(private(algorithm), algorithm).expect("a public key");
    let mut jwk = serde_json::to_value(jwk).expect("JSON");
    if let Some(id) = id {
        jwk["kid"] = json!(id);
    }
    jwk
}

/// A token signed by the algorithm's pair.
pub(super) fn signed(algorithm: Algorithm, id: Option<&str>, claims: &Value) -> String {
    let header = Header {
        kid: id.map(ToOwned::to_owned),
        ..Header::new(algorithm)
    };
    jsonwebtoken::encode(&header, claims, private(algorithm)).expect("signing works")
}

/// A provider on loopback that answers each path as it is told to, and remembers who asked for what.
#[derive(Clone)]
pub(super) struct Provider {
    pub base: String,
    inner: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    answers: Vec<(String, Vec<u8>)>,
    asked: Vec<String>,
}

impl Provider {
    /// # Panics
    /// When no port is free.
    #[expect(
        clippy::disallowed_methods,
        reason = "the provider ends with the test's runtime"
    )]
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let inner = Arc::<Mutex<Script>>::default();
        let script = inner.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let answer = {
                    let mut script = script.lock();
                    script.asked.push(path.clone());
                    script.answers.iter().find(|(known, _)| *known == path).cloned()
                };
                let missing = || b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
                let answer = answer.map_or_else(missing, |(_, answer)| answer);
                let _ = stream.write_all(&answer).await;
            }
        });
        Self { base, inner }
    }

    /// Answers `path` with these bytes from now on.
    pub fn raw(&self, path: &str, answer: impl Into<Vec<u8>>) {
        let mut script = self.inner.lock();
        script.answers.retain(|(known, _)| known != path);
        script.answers.push((path.to_owned(), answer.into()));
    }

    /// Answers `path` with 200 and this body from now on.
    pub fn body(&self, path: &str, headers: &str, body: &str) {
        let head = format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        self.raw(path, head + body);
    }

    /// Publishes these keys at `/keys` from now on.
    pub fn keys(&self, keys: &[Value]) {
        self.body("/keys", "", &json!({ "keys": keys }).to_string());
    }

    /// How often `path` was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.inner.lock().asked.iter().filter(|one| *one == path).count()
    }

    pub fn url(&self, path: &str) -> Url {
        format!("{}{path}", self.base).parse().expect("a URL")
    }
}
