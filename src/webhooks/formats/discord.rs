//! Discord: an embed by a webhook, with `wait=true`, since without it Discord answers 204 even to what it cannot save.
//!
//! Limits: title 256, description 4,096. Fields would stand below the machines, so the description has it all. Refused requests
//! count: ten thousand in ten minutes ban the address, so a webhook that is gone is left alone.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::drawing::{Budget, Drawn, fitted};
use super::shape::Shape;
use super::text::Dialect;
use super::verdict::{Verdict, by_status};
use super::{Outgoing, Row};
use crate::domain::webhook::Format;
use crate::webhooks::answer::Answer;

/// Over the whole body, of which the description is all but a title and 150 characters.
const BUDGET: Budget = Budget::Units(4_200);

pub(super) const ROW: Row = Row {
    format: Format::Discord,
    content_type: "application/json; charset=utf-8",
    dialect: Dialect::Discord,
    per_second: Some(2),
    query: &[("wait", "true")],
    shape: Shape {
        service: "Discord",
        looks_like: "https://discord.com/api/webhooks/…/…",
        hosts: &["discord.com", "*.discord.com", "discordapp.com"],
        path: "/api/webhooks/",
        parameters: &[],
    },
    body: |event| Some(body(event)),
    verdict,
    ..Row::CHAT
};

fn body(event: &Outgoing<'_>) -> String {
    fitted(&event.message(), BUDGET, draw)
}

/// The message as Discord's webhooks take it, new or edited.
pub(super) fn draw(drawn: &Drawn<'_>) -> Value {
    let message = drawn.message;
    let mut lines = drawn.markdown(Dialect::Discord, "•");
    let buttons = message.pages.buttons();
    let links: Vec<String> = buttons
        .iter()
        .map(|(label, url)| format!("[{label}](<{url}>)"))
        .collect();
    if !links.is_empty() {
        lines.push(links.join(" · "));
    }
    let mut embed = json!({
        "title": short_title(drawn),
        "color": message.tone.rgb(),
    });
    if let Some(embed) = embed.as_object_mut() {
        if !lines.is_empty() {
            embed.insert("description".to_owned(), lines.join("\n").into());
        }
        if message.at.parse::<Timestamp>().is_ok() {
            embed.insert("timestamp".to_owned(), message.at.clone().into());
        }
    }
    json!({"embeds": [embed], "allowed_mentions": {"parse": []}})
}

/// Escaped while it fits, since escaping may double it and Discord takes 256.
fn short_title(drawn: &Drawn<'_>) -> String {
    let escaped = Dialect::Discord.escape(&drawn.title());
    if escaped.encode_utf16().count() <= 256 {
        return escaped;
    }
    super::text::defused(&drawn.title())
}

fn verdict(answer: &Answer, now: Timestamp) -> Verdict {
    match answer.status {
        401 | 403 | 404 => Verdict::Refused("the webhook was removed"),
        _ => by_status(answer, now),
    }
}
