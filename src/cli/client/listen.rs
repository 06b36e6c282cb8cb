//! `emgate listen`: forwards events to a receiver on this machine, signed as webhooks are, so that a receiver can be developed
//! without an address that the gateway reaches.
//!
//! It reads a stream of its own: no endpoint is made, and nothing is left behind. An event is forwarded once; what becomes
//! of it is printed.

use std::ops::ControlFlow;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::events::{WantedArgs, follow};
use super::server::{Server, ServerArgs, error_text};
use crate::cli::{Failure, output, say, stream_output};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::webhook::endpoint::SigningSecret;

/// How long the receiver may take for an answer.
const LIMIT: Duration = Duration::from_secs(15);

/// Arguments of `emgate listen`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate listen --forward-to http://127.0.0.1:3000/webhook
  emgate listen --forward-to http://127.0.0.1:3000/webhook --type failover.session.finished --after start")]
pub struct Args {
    /// The receiver's address
    #[arg(long, value_name = "URL", value_parser = receiver)]
    pub forward_to: reqwest::Url,
    /// What signs the requests (whsec_…); made and printed when absent
    #[arg(
        long,
        value_name = "SECRET",
        env = "EMGATE_WEBHOOK_SECRET",
        hide_env_values = true
    )]
    pub secret: Option<SecretString>,
    #[command(flatten)]
    pub wanted: WantedArgs,
    #[command(flatten)]
    pub server: ServerArgs,
}

fn receiver(text: &str) -> Result<reqwest::Url, String> {
    let url: Option<reqwest::Url> = text.parse().ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| "is no address; for example http://127.0.0.1:3000/webhook".to_owned())
}

/// An event as the log has it; its data stays the bytes that webhooks have.
#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    data: Box<RawValue>,
}

/// Runs the command.
///
/// # Errors
/// What went wrong, with its exit code. Ctrl-C is the ordinary end.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let server = Server::new(&args.server)?;
    let secret = match &args.secret {
        Some(text) => SigningSecret::parse(text.expose_secret()).map_err(Failure::usage)?,
        None => {
            let mut key = [0; 32];
            SystemClock.random(&mut key);
            SigningSecret::from_key(&key)
        }
    };
    let is_json = server.json;
    if args.secret.is_none() {
        let text = secret.text();
        let text = text.expose_secret();
        let line = if is_json {
            json!({ "secret": text }).to_string()
        } else {
            format!("signed with {text}")
        };
        output(format!("{line}\n").as_bytes())?;
    }
    let http = reqwest::Client::builder()
        .timeout(LIMIT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("emgate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Failure::caused_by(&error))?;
    let forwarding = follow(&server, &args.wanted, async |event: String| {
        let Ok(event) = serde_json::from_str::<Event>(&event) else {
            say("an event that cannot be read was left out");
            return Ok(ControlFlow::Continue(()));
        };
        let outcome = forward(&http, args.forward_to.clone(), &secret, &event).await;
        let line = if is_json {
            let (status, error) = (outcome.as_ref().ok(), outcome.as_ref().err());
            json!({"id": event.id, "type": event.kind, "status": status, "error": error}).to_string()
        } else {
            let outcome = outcome.map_or_else(|error| error, |status| status.to_string());
            format!("{outcome}  {}  {}", event.kind, event.id)
        };
        stream_output(format!("{line}\n").as_bytes())
    });
    tokio::select! {
        forwarded = forwarding => forwarded,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Sends an event as a webhook, and returns the status of the answer, or why there is none.
async fn forward(
    http: &reqwest::Client,
    url: reqwest::Url,
    secret: &SigningSecret,
    event: &Event,
) -> Result<u16, String> {
    let body = format!(
        r#"{{"type":"{}","timestamp":"{}","data":{}}}"#,
        event.kind, event.timestamp, event.data
    );
    let now = SystemClock.now().as_second();
    let request = http
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", &event.id)
        .header("webhook-timestamp", now.to_string())
        .header(
            "webhook-signature",
            signature(secret, &event.id, now, &body).unwrap_or_default(),
        )
        .body(body);
    match request.send().await {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) if error.is_timeout() => Err("no answer in time".to_owned()),
        Err(error) => Err(format!("not sent ({})", error_text(&error))),
    }
}

/// Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`.
fn signature(secret: &SigningSecret, id: &str, timestamp: i64, body: &str) -> Option<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.key()?);
    let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    Some(format!("v1,{}", STANDARD.encode(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forwarded_is_signed_as_the_specification_says() {
        let secret = SigningSecret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").expect("a secret");
        let body = r#"{"email":"test@example.com","username":"test_user"}"#;
        let signed = signature(&secret, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body);
        assert_eq!(
            signed.as_deref(),
            Some("v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=")
        );
    }
}
