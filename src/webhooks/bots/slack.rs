//! Slack's Web API: `chat.postMessage` and `chat.update`. A failure is 200 with `ok: false` and a word.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Answer, Call, Method, Posted, Reading, Service, Step, TargetUrl, Verdict, below, by_status, with,
};
use crate::domain::webhook::AttemptError;

pub(super) const SERVICE: Service = Service { call, read };

/// Words after which nothing will be taken until somebody changes something.
const REFUSALS: &[(&str, &str)] = &[
    ("account_inactive", "the bot's account is gone"),
    (
        "channel_not_found",
        "the channel does not exist, or the bot does not see it",
    ),
    ("ekm_access_denied", "an administrator has suspended posting"),
    ("invalid_auth", "the token is not valid"),
    ("is_archived", "the channel is archived"),
    ("missing_scope", "the token lacks the scope chat:write"),
    ("no_permission", "the workspace does not allow the bot to post"),
    ("not_authed", "the token is missing"),
    ("not_in_channel", "the bot is not in the channel: invite it"),
    ("org_login_required", "the workspace is being moved"),
    (
        "restricted_action",
        "the workspace does not allow the bot to post there",
    ),
    ("token_expired", "the token has expired"),
    ("token_revoked", "the token was revoked"),
];

/// Words for a message that is gone or cannot be edited any more.
const GONE: &[&str] = &[
    "message_not_found",
    "cant_update_message",
    "edit_window_closed",
    "thread_not_found",
];

fn call(target: &TargetUrl, channel: &str, drawn: Value, step: Step<'_>) -> Option<Call> {
    let ends = ["/chat.postMessage", "/chat.update"];
    let in_channel = |posted: &Posted| posted.channel.clone().unwrap_or_else(|| channel.to_owned());
    let (path, members) = match step {
        Step::Post => ("/chat.postMessage", vec![("channel", json!(channel))]),
        Step::Edit(posted) => (
            "/chat.update",
            vec![("channel", json!(in_channel(posted))), ("ts", json!(posted.id))],
        ),
        Step::Reply { to, loud } => (
            "/chat.postMessage",
            vec![
                ("channel", json!(in_channel(to))),
                ("thread_ts", json!(to.id)),
                ("reply_broadcast", json!(loud)),
            ],
        ),
    };
    Some(Call {
        method: Method::POST,
        target: below(target, &ends, path)?,
        body: with(drawn, &members),
    })
}

fn read(answer: &Answer, _step: Step<'_>, now: Timestamp) -> Reading {
    if !(200..300).contains(&answer.status) {
        return Reading::Not(by_status(answer, now));
    }
    let body: Value = answer
        .text
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if body.get("ok") == Some(&Value::Bool(true)) {
        return Reading::Done(text("ts").map(|id| Posted {
            id: id.to_owned(),
            channel: text("channel").map(ToOwned::to_owned),
        }));
    }
    let word = text("error").unwrap_or_default();
    if GONE.contains(&word) {
        return Reading::Gone;
    }
    if matches!(word, "ratelimited" | "rate_limited" | "message_limit_exceeded") {
        return Reading::Not(Verdict::Throttled);
    }
    Reading::Not(match REFUSALS.iter().find(|(known, _)| *known == word) {
        Some((_, why)) => Verdict::Refused(why),
        None => Verdict::Failed(AttemptError::ServiceError),
    })
}
