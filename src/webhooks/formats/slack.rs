//! Slack: a message for an incoming webhook, or of a bot. Rich text holds what comes from outside, since Slack reads no
//! signs in it; only the line for notifications is its mrkdwn, escaped.
//!
//! Limits: 50 blocks, a header of 150 characters, and about 13,200 characters over all blocks, whatever the manual says
//! (slackapi/bolt-js issue 2509).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::drawing::{Budget, Drawn, Fact, fitted};
use super::shape::Shape;
use super::text::Dialect;
use super::verdict::{Hint, Verdict, accepted_by_body};
use super::{Outgoing, Row};
use crate::domain::webhook::Format;
use crate::webhooks::answer::Answer;

/// Below what Slack takes, counted over the whole body.
const BUDGET: Budget = Budget::Units(12_000);

/// What Slack says when nobody will ever get anything at this address.
const HINTS: &[Hint] = &[
    ("channel_is_archived", "the channel is archived"),
    ("channel_not_found", "the channel does not exist any more"),
    (
        "action_prohibited",
        "the workspace does not allow this webhook to post",
    ),
    ("no_service", "the webhook was removed"),
    ("no_team", "the workspace does not exist any more"),
    ("invalid_token", "the webhook's address is not valid"),
];

/// What the address of Slack's API looks like, for bots.
pub(super) const API: Shape = Shape {
    service: "Slack's API",
    looks_like: "https://slack.com/api/",
    hosts: &["slack.com", "slack-gov.com"],
    path: "/api",
    parameters: &[],
};

pub(super) const ROW: Row = Row {
    format: Format::Slack,
    content_type: "application/json",
    dialect: Dialect::Slack,
    per_second: Some(1),
    shape: Shape {
        service: "Slack",
        looks_like: "https://hooks.slack.com/services/…",
        hosts: &["hooks.slack.com", "hooks.slack-gov.com"],
        path: "/services/",
        parameters: &[],
    },
    body: |event| Some(body(event)),
    verdict,
    ..Row::CHAT
};

fn body(event: &Outgoing<'_>) -> String {
    fitted(&event.message(), BUDGET, draw)
}

/// The message as Slack's API takes it.
pub(super) fn draw(drawn: &Drawn<'_>) -> Value {
    let message = drawn.message;
    let title = drawn.title();
    let text = |text: &str| json!({"type": "text", "text": text});
    let bold = |text: &str| json!({"type": "text", "text": text, "style": {"bold": true}});
    let section = |elements: Vec<Value>| json!({"type": "rich_text_section", "elements": elements});
    let mut parts = Vec::new();
    let lines = |facts: &[Fact<'_>]| -> Vec<Value> {
        let line = |(label, value): &Fact<'_>| [bold(&format!("{label}: ")), text(&format!("{value}\n"))];
        facts.iter().flat_map(line).collect()
    };
    if !drawn.facts.is_empty() {
        parts.push(section(lines(&drawn.facts)));
    }
    if let Some(reason) = &drawn.reason {
        parts.push(json!({"type": "rich_text_quote", "elements": [text(reason)]}));
    }
    if !drawn.failed.is_empty() {
        let items: Vec<Value> = drawn
            .failed
            .iter()
            .map(|(name, reason)| {
                let mut elements = vec![bold(name)];
                elements.extend(reason.as_ref().map(|reason| text(&format!(": {reason}"))));
                section(elements)
            })
            .collect();
        parts.push(json!({"type": "rich_text_list", "style": "bullet", "elements": items}));
    }
    let mut rest: Vec<Value> = drawn
        .notes
        .iter()
        .map(|note| text(&format!("{note}\n")))
        .collect();
    rest.extend(lines(&drawn.request));
    if !rest.is_empty() {
        parts.push(section(rest));
    }
    let mut links = Vec::new();
    for (label, url) in message.pages.buttons() {
        if !links.is_empty() {
            links.push(text("  ·  "));
        }
        links.push(json!({"type": "link", "url": url, "text": label}));
    }
    if !links.is_empty() {
        parts.push(section(links));
    }
    // Without `emoji` a name such as `:skull:` stays a name.
    let header = json!({"type": "header", "text": {"type": "plain_text", "text": title, "emoji": false}});
    let mut blocks = vec![header];
    if !parts.is_empty() {
        blocks.push(json!({"type": "rich_text", "elements": parts}));
    }
    json!({"text": Dialect::Slack.escape(&title), "blocks": blocks, "unfurl_links": false})
}

fn verdict(answer: &Answer, now: Timestamp) -> Verdict {
    accepted_by_body(answer, now, &[403, 404], HINTS)
}
