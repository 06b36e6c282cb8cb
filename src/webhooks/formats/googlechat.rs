//! Google Chat: a card for a space's webhook, in one thread per failover.
//!
//! Limit: 32,000 bytes for the whole.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::drawing::{Budget, Drawn, Fact, fitted};
use super::shape::Shape;
use super::text::{Dialect, defused};
use super::verdict::{Verdict, by_status};
use super::{Outgoing, Row};
use crate::domain::webhook::Format;
use crate::webhooks::answer::Answer;

const BUDGET: Budget = Budget::Bytes(30_000);

pub(super) const ROW: Row = Row {
    format: Format::GoogleChat,
    content_type: "application/json; charset=utf-8",
    dialect: Dialect::GoogleChat,
    per_second: Some(1),
    query: &[("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD")],
    shape: Shape {
        service: "Google Chat",
        looks_like: "https://chat.googleapis.com/v1/spaces/…/messages?key=…&token=…",
        hosts: &["chat.googleapis.com"],
        path: "/v1/spaces/",
        parameters: &["key", "token"],
    },
    body: |event| Some(body(event)),
    verdict,
    ..Row::CHAT
};

fn body(event: &Outgoing<'_>) -> String {
    let id = event.id;
    fitted(&event.message(), BUDGET, |drawn| draw(drawn, id))
}

fn draw(drawn: &Drawn<'_>, event: &str) -> Value {
    let message = drawn.message;
    let escaped = |text: &str| Dialect::GoogleChat.escape(text);
    let title = defused(&drawn.title());
    let fact = |(label, value): &Fact<'_>| json!({"decoratedText": {"topLabel": label, "text": escaped(value), "wrapText": true}});
    // A card's own header shows two lines at most.
    let heading = format!("<b>{}</b>", escaped(&drawn.title()));
    let mut widgets = vec![json!({"textParagraph": {"text": heading}})];
    widgets.extend(drawn.facts.iter().map(fact));
    let mut lines = Vec::new();
    if let Some(reason) = &drawn.reason {
        lines.push(format!("<i>{}</i>", escaped(reason)));
    }
    for (name, reason) in &drawn.failed {
        let reason = reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {}", escaped(reason)));
        lines.push(format!("• <b>{}</b>{reason}", escaped(name)));
    }
    lines.extend(drawn.notes.iter().map(|note| escaped(note)));
    if !lines.is_empty() {
        widgets.push(json!({"textParagraph": {"text": lines.join("<br>")}}));
    }
    widgets.extend(drawn.request.iter().map(fact));
    let buttons: Vec<Value> = message
        .pages
        .buttons()
        .into_iter()
        .map(|(label, url)| json!({"text": label, "onClick": {"openLink": {"url": url}}}))
        .collect();
    if !buttons.is_empty() {
        widgets.push(json!({"buttonList": {"buttons": buttons}}));
    }
    let thread = message.failover.as_deref().unwrap_or(event);
    json!({
        "fallbackText": title,
        "cardsV2": [{"cardId": event, "card": {"sections": [{"widgets": widgets}]}}],
        "thread": {"threadKey": thread},
    })
}

fn verdict(answer: &Answer, now: Timestamp) -> Verdict {
    match answer.status {
        401 | 403 | 404 => Verdict::Refused("the webhook was removed, or the space is gone"),
        _ => by_status(answer, now),
    }
}
