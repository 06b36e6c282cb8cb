//! Operations: what is printed of them, the wait for their end, and the exit code that it gives.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::exit;
use super::server::{Server, Upstream};
use crate::cli::{Failure, output, say};
use crate::config;
use crate::text::spelled_out;

/// How long the gateway is asked to hold one answer.
const HOLD: &str = "wait=30";
/// How long to wait where nothing is said.
const LONGEST: Duration = Duration::from_hours(24);

/// Whether to wait, and how long.
#[derive(clap::Args, Clone, Debug)]
pub struct WaitArgs {
    /// Wait until the operation ends; the exit code tells how
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub timeout: TimeoutArgs,
}

/// How long to wait.
#[derive(clap::Args, Clone, Debug)]
pub struct TimeoutArgs {
    /// How long to wait at most, 24h when absent; the operation goes on after that (exit code 6)
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub timeout: Option<Duration>,
}

impl TimeoutArgs {
    /// Until when.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout.unwrap_or(LONGEST)
    }
}

impl WaitArgs {
    /// Says that a bound on the wait bounds nothing where there is no wait.
    pub(super) fn note_unused(&self) {
        if self.timeout.timeout.is_some() && !self.wait {
            say(
                "--timeout bounds the wait of --wait; without --wait this command ends as soon as the gateway has answered",
            );
        }
    }
}

/// A text member of a document, at a JSON pointer.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// Prints an operation: as JSON, or as one line.
///
/// # Errors
/// When stdout cannot be written.
pub(super) fn print(server: &Server, operation: &Value) -> Result<(), Failure> {
    if server.json {
        return output(format!("{operation:#}\n").as_bytes());
    }
    output(format!("{}\n", line(operation)).as_bytes())
}

fn line(operation: &Value) -> String {
    let what = text(operation, "/plan/name").or_else(|| text(operation, "/target"));
    let state = text(operation, "/state").unwrap_or("unknown");
    let result = text(operation, "/result").unwrap_or(state);
    let mut line = format!(
        "{} of {}: {result} (operation {})",
        text(operation, "/action").unwrap_or("action"),
        what.map_or_else(|| "nothing".to_owned(), spelled_out),
        text(operation, "/id").unwrap_or("unknown"),
    );
    if let Some(message) = text(operation, "/failure/message") {
        line.push_str(&format!("\n  {}", spelled_out(message)));
    }
    line
}

/// Waits for the end of an operation, prints it, and returns how it ended. `is_known` says that the gateway has told of the operation
/// before: then nothing that goes wrong says how it ended.
///
/// # Errors
/// Every end but success, that the end was not seen, and that the command was interrupted: each with its exit code.
pub(super) async fn until_end(
    server: &Server,
    id: &str,
    deadline: Instant,
    is_known: bool,
) -> Result<(), Failure> {
    let ended = tokio::select! {
        ended = follow(server, id, deadline, is_known) => ended?,
        _ = tokio::signal::ctrl_c() => return Err(goes_on("interrupted", id)),
    };
    print(server, &ended)?;
    end_of(&ended)
}

async fn follow(server: &Server, id: &str, deadline: Instant, mut is_known: bool) -> Result<Value, Failure> {
    let path = format!("/operations/{id}");
    let mut shown = String::new();
    let mut is_away = false;
    loop {
        // Told at each change, not at each look.
        let looked = tokio::time::timeout_at(deadline, server.upstream()).await;
        match looked.ok().flatten() {
            Some(Upstream::Away { since }) if !is_away => {
                let since = since.map_or_else(String::new, |since| format!(" since {since}"));
                say(&format!(
                    "Enterprise Manager does not answer the gateway{since}; how the operation ends is known once it does"
                ));
                is_away = true;
            }
            Some(Upstream::Answers) if is_away => {
                say("Enterprise Manager answers the gateway again");
                is_away = false;
            }
            Some(Upstream::Away { .. } | Upstream::Answers) | None => {}
        }
        let asked = server.persist(Method::GET, &path, deadline, |request| {
            request.header("prefer", HOLD)
        });
        let answer = match tokio::time::timeout_at(deadline, asked).await {
            Ok(Ok(answer)) => answer,
            // The token expired, or the gateway did not come back: neither says how the operation ends.
            Ok(Err(failure)) if is_known => return Err(goes_on(&failure.message, id)),
            Ok(Err(failure)) => return Err(failure),
            Err(_) => return Err(goes_on("the time is over", id)),
        };
        is_known = true;
        let operation = answer.body;
        let state = text(&operation, "/state").unwrap_or_default().to_owned();
        if matches!(state.as_str(), "finished" | "unknown") {
            return Ok(operation);
        }
        let progress = operation
            .get("progress")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        let now = format!("{state}, {progress} %");
        if !server.json && now != shown {
            say(&now);
            shown = now;
        }
    }
}

fn goes_on(why: &str, id: &str) -> Failure {
    let mut failure = Failure::new(format!(
        "{why} before the operation was seen to end; it goes on if it has not"
    ))
    .hint(format!(
        "emgate operation wait {id}, or emgate operation cancel {id}"
    ));
    failure.exit = Some(exit::GOES_ON);
    failure
}

/// How an operation ended, as an exit code.
fn end_of(operation: &Value) -> Result<(), Failure> {
    let refused = text(operation, "/failure/source") == Some("policy");
    let (code, how) = match (text(operation, "/state"), text(operation, "/result")) {
        (Some("finished"), Some("success")) => return Ok(()),
        (Some("finished"), Some("warning")) => (exit::WARNING, "ended with a warning"),
        (Some("finished"), Some("cancelled")) if refused => (exit::REFUSED, "was refused"),
        (Some("finished"), Some("cancelled")) => (1, "was cancelled"),
        (Some("finished"), Some("failed")) => (1, "failed"),
        _ => (exit::UNKNOWN, "has ended, and it is not known how"),
    };
    let mut failure = Failure::new(format!("the operation {how}"));
    failure.exit = Some(code);
    Err(failure)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"state": "finished", "result": "success"}), 0)]
    #[case(json!({"state": "finished", "result": "warning"}), 3)]
    #[case(json!({"state": "finished", "result": "failed"}), 1)]
    #[case(json!({"state": "finished", "result": "cancelled"}), 1)]
    #[case(json!({"state": "finished", "result": "cancelled", "failure": {"source": "policy"}}), 5)]
    #[case(json!({"state": "unknown", "result": null}), 4)]
    #[case(json!({"state": "finished", "result": null}), 4)]
    #[case(json!({"state": "finished", "result": "aWordOfALaterRelease"}), 4)]
    fn the_exit_code_tells_how_an_operation_ended(#[case] operation: Value, #[case] code: u8) {
        let ended = end_of(&operation);
        assert_eq!(ended.err().map_or(0, |failure| failure.exit_code()), code);
    }

    #[test]
    fn a_name_or_a_reason_writes_no_line_of_its_own() {
        let operation = json!({
            "id": "0199", "action": "test", "result": "failed",
            "plan": {"name": "a\nb.json: verified: \u{202e}"},
            "failure": {"message": "no\rok"},
        });
        let shown = "test of a\\nb.json: verified: \\u{202e}: failed (operation 0199)\n  no\\rok";
        assert_eq!(line(&operation), shown);
    }
}
