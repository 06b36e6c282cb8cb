//! Teams: an Adaptive Card 1.4 for a Workflows webhook. Text runs hold what comes from outside, since cards read no signs
//! in them.
//!
//! Limit: 28 KB for the whole, counted as UTF-16 unless the request says `charset=utf-8`, so it does.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::drawing::{Budget, Drawn, Fact, fitted};
use super::message::Tone;
use super::shape::Shape;
use super::text::Dialect;
use super::verdict::{Verdict, by_status, said};
use super::{Outgoing, Row};
use crate::domain::webhook::Format;
use crate::webhooks::answer::Answer;

const BUDGET: Budget = Budget::Bytes(24 * 1024);

pub(super) const ROW: Row = Row {
    format: Format::Teams,
    content_type: "application/json; charset=utf-8",
    dialect: Dialect::Teams,
    per_second: Some(1),
    shape: Shape {
        service: "Teams",
        looks_like: "https://….logic.azure.com/workflows/…?…&sig=…, or the same at ….api.powerplatform.com",
        hosts: &["*.logic.azure.com", "*.api.powerplatform.com"],
        path: "/",
        parameters: &["sig"],
    },
    body: |event| Some(body(event)),
    verdict,
    ..Row::CHAT
};

fn body(event: &Outgoing<'_>) -> String {
    fitted(&event.message(), BUDGET, draw)
}

/// The style of the container that holds the title, and the colour of failed machines' names.
const fn style(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Info => "accent",
        Tone::Waiting => "emphasis",
        Tone::Warning => "warning",
        Tone::Bad => "attention",
    }
}

fn draw(drawn: &Drawn<'_>) -> Value {
    let message = drawn.message;
    let title = drawn.title();
    let run = |text: &str| json!({"type": "TextRun", "text": text});
    let bold = |text: &str| json!({"type": "TextRun", "text": text, "weight": "Bolder"});
    let line = |inlines: Vec<Value>| json!({"type": "RichTextBlock", "inlines": inlines, "spacing": "Small"});
    let heading = json!({"type": "RichTextBlock", "inlines": [
        {"type": "TextRun", "text": title, "weight": "Bolder", "size": "Medium"}]});
    let mut body = vec![json!({
        "type": "Container", "style": style(message.tone), "bleed": true, "items": [heading]
    })];
    let fact = |(label, value): &Fact<'_>| line(vec![bold(&format!("{label}: ")), run(value)]);
    body.extend(drawn.facts.iter().map(fact));
    if let Some(reason) = &drawn.reason {
        body.push(line(vec![run(reason)]));
    }
    for (name, reason) in &drawn.failed {
        let mut inlines = vec![json!({
            "type": "TextRun", "text": format!("• {name}"), "weight": "Bolder", "color": "Attention"
        })];
        inlines.extend(reason.as_ref().map(|reason| run(&format!(": {reason}"))));
        body.push(line(inlines));
    }
    for note in &drawn.notes {
        body.push(line(vec![run(note)]));
    }
    body.extend(drawn.request.iter().map(fact));
    let actions: Vec<Value> = message
        .pages
        .buttons()
        .into_iter()
        .map(|(label, url)| json!({"type": "Action.OpenUrl", "title": label, "url": url}))
        .collect();
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": title,
        "msteams": {"width": "Full"},
        "body": body,
    });
    if let (false, Some(card)) = (actions.is_empty(), card.as_object_mut()) {
        card.insert("actions".to_owned(), Value::Array(actions));
    }
    json!({"type": "message", "attachments": [{
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": null,
        "content": card,
    }]})
}

/// Old connectors answer 200 with the fault in words.
fn verdict(answer: &Answer, now: Timestamp) -> Verdict {
    match answer.status {
        401 | 403 | 404 => Verdict::Refused("the workflow is gone, or its owner is"),
        200..=299 if said(answer, "error 429") || said(answer, "throttl") => Verdict::Throttled,
        200..=299 if said(answer, "error") => {
            Verdict::Warned("Teams accepted the message and reported an error")
        }
        _ => by_status(answer, now),
    }
}
