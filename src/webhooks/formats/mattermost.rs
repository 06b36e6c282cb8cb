//! Mattermost: a message attachment for an incoming webhook, or of a bot.
//!
//! Limit: 16,383 characters, beyond which the server splits a message into several.

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
    let escaped = |text: &str| Dialect::Mattermost.escape(text);
    let title = defused(&drawn.title());
    let mut lines = Vec::new();
    if let Some(reason) = &drawn.reason {
        lines.push(format!("> {}\n", escaped(reason)));
    }
    for (name, reason) in &drawn.failed {
        let reason = reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {}", escaped(reason)));
        lines.push(format!("- **{}**{reason}", escaped(name)));
    }
    if !drawn.notes.is_empty() {
        lines.push(String::new());
        lines.extend(drawn.notes.iter().map(|note| escaped(note)));
    }
    let links: Vec<String> = message
        .pages
        .buttons()
        .into_iter()
        .map(|(label, url)| format!("[{label}]({url})"))
        .collect();
    if !links.is_empty() {
        lines.push(format!("\n{}", links.join(" · ")));
    }
    let fields: Vec<Value> = message
        .facts
        .iter()
        .map(|(label, value)| json!({"short": true, "title": label, "value": escaped(value)}))
        .collect();
    json!({"text": "", "attachments": [{
        "fallback": title,
        "color": format!("#{:06X}", message.tone.rgb()),
        "title": title,
        "text": lines.join("\n"),
        "fields": fields,
    }]})
}

fn verdict(answer: &Answer, now: Timestamp) -> Verdict {
    match answer.status {
        404 => Verdict::Refused("the webhook was removed"),
        _ => accepted_by_body(answer, now, &[], HINTS),
    }
}
