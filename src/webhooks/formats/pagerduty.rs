//! PagerDuty: an event of the Events API v2. The session is the key that joins what opens an incident with what closes it.
//!
//! Limits: summary 1,024 characters, key 255, the whole 512 KB.

use serde_json::{Map, Value, json};

use super::drawing::{Budget, Drawn, fitted};
use super::message::Tone;
use super::shape::Shape;
use super::text::Dialect;
use super::verdict::by_status;
use super::{Outgoing, Row};
use crate::domain::event::EventType;
use crate::domain::webhook::Format;

const BUDGET: Budget = Budget::Bytes(64 * 1024);

pub(super) const ROW: Row = Row {
    format: Format::PagerDuty,
    content_type: "application/json",
    dialect: Dialect::Plain,
    per_second: Some(2),
    shape: Shape {
        service: "PagerDuty",
        looks_like: "https://events.pagerduty.com/v2/enqueue",
        hosts: &["events.pagerduty.com", "events.eu.pagerduty.com"],
        path: "/v2/enqueue",
        parameters: &[],
    },
    body,
    verdict: by_status,
    ..Row::CHAT
};

fn body(event: &Outgoing<'_>) -> Option<String> {
    let key = event.options.routing_key()?;
    Some(fitted(&event.message(), BUDGET, |drawn| draw(drawn, key)))
}

/// What a failover that is real and failed is worth differs from a test's.
const fn severity(tone: Tone, kind: EventType) -> &'static str {
    match (tone, kind) {
        (Tone::Bad, EventType::MachineFinished) => "error",
        (Tone::Bad, _) => "critical",
        (Tone::Warning, _) => "warning",
        (Tone::Good | Tone::Info | Tone::Waiting, _) => "info",
    }
}

fn draw(drawn: &Drawn<'_>, key: &str) -> Value {
    let message = drawn.message;
    let mut details: Map<String, Value> = message
        .facts
        .iter()
        .map(|(label, value)| ((*label).to_owned(), value.clone().into()))
        .collect();
    if let Some(reason) = &drawn.reason {
        details.insert("Reason".to_owned(), reason.clone().into());
    }
    if !drawn.failed.is_empty() {
        let failed: Map<String, Value> = drawn
            .failed
            .iter()
            .map(|(name, reason)| ((*name).to_owned(), reason.clone().into()))
            .collect();
        details.insert("Failed machines".to_owned(), Value::Object(failed));
    }
    if !drawn.notes.is_empty() {
        details.insert("More".to_owned(), drawn.notes.join("; ").into());
    }
    let links: Vec<Value> = message
        .pages
        .buttons()
        .into_iter()
        .map(|(label, url)| json!({"href": url, "text": label}))
        .collect();
    let mut payload = json!({
        "summary": message.title,
        "source": message.server.as_deref().unwrap_or("emgate"),
        "severity": severity(message.tone, message.kind),
        "component": message.plan,
        "class": message.kind.as_str(),
        "custom_details": details,
    });
    if let (false, Some(payload)) = (message.at.is_empty(), payload.as_object_mut()) {
        payload.insert("timestamp".to_owned(), message.at.clone().into());
    }
    json!({
        "routing_key": key,
        "event_action": if message.alert.resolved { "resolve" } else { "trigger" },
        "dedup_key": message.alert.key,
        "client": "emgate",
        "payload": payload,
        "links": links,
    })
}
