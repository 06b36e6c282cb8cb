//! Mattermost: a message attachment for an incoming webhook, or of a bot.
//!
//! Limit: 16,383 characters, beyond which the server splits a message into several. Fields would stand below the machines, so
//! the text has it all.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::drawing::{Budget, Drawn, fitted};
use super::shape::Shape;
use super::text::{Dialect, defused};
use super::verdict::{Hint, Verdict, accepted_by_body};
use super::{Outgoing, Row};
use crate::domain::webhook::Format;
use crate::webhooks::answer::Answer;

const BUDGET: Budget = Budget::Units(15_000);

const HINTS: &[Hint] = &[
    ("archived", "the channel is archived"),
    ("deleted", "the channel was deleted"),
];

pub(super) const ROW: Row = Row {
    format: Format::Mattermost,
    content_type: "application/json",
    dialect: Dialect::Mattermost,
    per_second: Some(5),
    shape: Shape {
        service: "Mattermost",
        looks_like: "https://chat.example/hooks/…",
        hosts: &[],
        path: "/hooks/",
        parameters: &[],
    },
    body: |event| Some(body(event)),
    verdict,
    ..Row::CHAT
};

fn body(event: &Outgoing<'_>) -> String {
    fitted(&event.message(), BUDGET, draw)
}

/// The attachments of a message.
pub(super) fn draw(drawn: &Drawn<'_>) -> Value {
    let message = drawn.message;
    let title = defused(&drawn.title());
    let mut parts = drawn.markdown(Dialect::Mattermost, "-");
    let links: Vec<String> = message
        .pages
        .buttons()
        .into_iter()
        .map(|(label, url)| format!("[{label}]({url})"))
        .collect();
    if !links.is_empty() {
        parts.push(links.join(" · "));
    }
    json!({"text": "", "attachments": [{
        "fallback": title,
        "color": format!("#{:06X}", message.tone.rgb()),
        "title": title,
        "text": parts.join("\n\n"),
    }]})
}

fn verdict(answer: &Answer, now: Timestamp) -> Verdict {
    match answer.status {
        404 => Verdict::Refused("the webhook was removed"),
        _ => accepted_by_body(answer, now, &[], HINTS),
    }
}
