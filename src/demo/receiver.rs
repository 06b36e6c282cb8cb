//! The webhook receiver: what a reader of the Standard Webhooks text would write.
//!
//! It shares nothing with the gateway's signing: HMAC straight from the cryptography library, over the bytes
//! as they arrived, before anything is parsed.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cli::Failure;

/// How far a delivery's timestamp may lie from this machine's clock, in seconds (Standard Webhooks: five minutes).
const TOLERANCE: u64 = 300;
/// Deliveries that wait to be shown; more are answered 503 and come again.
const WAITING: usize = 64;
const MAX_BODY: usize = 1024 * 1024;

/// One delivery and what the receiver thinks of it.
#[derive(Debug)]
pub struct Received {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`, as far as they were there.
    pub headers: Vec<(&'static str, String)>,
    /// The bytes as they arrived.
    pub body: Bytes,
    /// The age in seconds when the signature is right and the time is now, else what is wrong.
    pub verdict: Result<u64, String>,
}

impl Received {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The event's type, empty when there is none.
    pub fn event_type(&self) -> String {
        self.json()
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    /// The operation that the event names.
    pub fn operation_id(&self) -> Option<String> {
        self.json()
            .pointer("/data/operation/id")
            .and_then(Value::as_str)
            .map(str::to_owned)
    }
}

/// What arrives, in order.
#[derive(Debug)]
pub struct Inbox {
    key: Arc<OnceLock<hmac::Key>>,
    queue: Mutex<mpsc::Receiver<Received>>,
}

impl Inbox {
    /// The secret that deliveries are signed with from now on.
    pub fn expect_secret(&self, secret: &str) -> Result<(), Failure> {
        let key = key(secret)?;
        self.key
            .set(key)
            .map_err(|_| Failure::new("the receiver has a secret already"))
    }

    /// The next delivery, if it is here already.
    pub async fn at_hand(&self) -> Option<Received> {
        self.queue.lock().await.try_recv().ok()
    }

    /// The next delivery; `None` when the receiver has ended.
    pub async fn next(&self) -> Option<Received> {
        self.queue.lock().await.recv().await
    }
}

/// Serves `POST /hook` on that listener until stopped.
pub fn serve(listener: TcpListener, tracker: &TaskTracker, stop: CancellationToken) -> Inbox {
    let (sender, queue) = mpsc::channel(WAITING);
    let key = Arc::new(OnceLock::new());
    let router = Router::new()
        .route("/hook", post(take))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Door {
            key: Arc::clone(&key),
            sender,
        });
    tracker.spawn(async move {
        let serving = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!("the webhook receiver ended: {error}");
        }
    });
    Inbox {
        key,
        queue: Mutex::new(queue),
    }
}

#[derive(Clone)]
struct Door {
    key: Arc<OnceLock<hmac::Key>>,
    sender: mpsc::Sender<Received>,
}

async fn take(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Some(key) = door.key.get() else {
        return StatusCode::SERVICE_UNAVAILABLE;
    };
    let header = |name: &'static str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.map(|value| (name, value.to_owned()))
    };
    let headers: Vec<_> = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .into_iter()
        .filter_map(header)
        .collect();
    let verdict = verify(key, &headers, &body, jsonwebtoken::get_current_timestamp());
    let status = if verdict.is_ok() {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::UNAUTHORIZED
    };
    match door.sender.try_send(Received {
        headers,
        body,
        verdict,
    }) {
        Ok(()) => status,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn key(secret: &str) -> Result<hmac::Key, Failure> {
    let bytes = secret
        .strip_prefix("whsec_")
        .and_then(|encoded| STANDARD.decode(encoded).ok());
    match bytes {
        Some(bytes) if (24..=64).contains(&bytes.len()) => Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
        _ => Err(Failure::new(
            "the webhook secret is not whsec_ and the base64 of 24 to 64 bytes",
        )),
    }
}

/// Checks a delivery as Standard Webhooks 1.0 has it; the age in seconds, or what is wrong.
fn verify(key: &hmac::Key, headers: &[(&'static str, String)], body: &[u8], now: u64) -> Result<u64, String> {
    let header = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| *name == wanted);
        found
            .map(|(_, value)| value.as_str())
            .ok_or_else(|| format!("header {wanted} is missing"))
    };
    let (id, timestamp, signatures) = (
        header("webhook-id")?,
        header("webhook-timestamp")?,
        header("webhook-signature")?,
    );
    let sent: u64 = timestamp
        .parse()
        .map_err(|_| "webhook-timestamp is not a number".to_owned())?;
    let age = now.abs_diff(sent);
    if age > TOLERANCE {
        return Err(format!("the timestamp is {age} s off"));
    }
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let right = signatures
        .split(' ')
        .filter_map(|part| part.strip_prefix("v1,"))
        .filter_map(|signature| STANDARD.decode(signature).ok())
        .any(|signature| hmac::verify(key, &signed, &signature).is_ok());
    if right {
        Ok(age)
    } else {
        Err("no signature matches the body".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const TIME: u64 = 1_649_367_553;
    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

    fn headers(id: &str, signature: &str) -> Vec<(&'static str, String)> {
        vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", TIME.to_string()),
            ("webhook-signature", signature.to_owned()),
        ]
    }

    #[test]
    fn only_the_unchanged_example_passes_verification() {
        let key = key(SECRET).unwrap();
        let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
        let several = format!("v1a,AAAA v1,AAAA {SIGNATURE}");
        assert_eq!(verify(&key, &headers(id, SIGNATURE), BODY, TIME + 7), Ok(7));
        assert_eq!(verify(&key, &headers(id, &several), BODY, TIME), Ok(0));
        for (headers, body, now) in [
            (headers("msg_other", SIGNATURE), BODY, TIME),
            (headers(id, SIGNATURE), b"{}".as_slice(), TIME),
            (headers(id, SIGNATURE), BODY, TIME + TOLERANCE + 1),
            (headers(id, &SIGNATURE.replace("v1,", "v1a,")), BODY, TIME),
            (headers(id, ""), BODY, TIME),
            (headers(id, SIGNATURE).into_iter().take(2).collect(), BODY, TIME),
        ] {
            assert!(verify(&key, &headers, body, now).is_err());
        }
    }

    #[test]
    fn a_secret_of_another_kind_or_length_is_refused() {
        for secret in ["whsk_AAAA", "whsec_short", "whsec_AAAA", "whsec_###"] {
            assert!(key(secret).is_err(), "{secret}");
        }
    }
}
