//! ServiceNow: a record for event management (`/api/global/em/jsonv2`). User and password come in the URL or as an
//! `Authorization` header of the endpoint's own.
//!
//! Limits: description and additional information 4,000 characters each; the latter is JSON within a text.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::drawing::{Budget, Drawn, fitted};
use super::message::Tone;
use super::shape::Shape;
use super::text::{Dialect, clean};
use super::verdict::by_status;
use super::{Outgoing, Row};
use crate::domain::webhook::Format;

/// Over the whole body, so that both texts stay within theirs.
const BUDGET: Budget = Budget::Units(9_000);
/// The longest description.
const DESCRIPTION: usize = 3_900;

pub(super) const ROW: Row = Row {
    format: Format::ServiceNow,
    content_type: "application/json",
    dialect: Dialect::Plain,
    per_second: Some(5),
    shape: Shape {
        service: "ServiceNow",
        looks_like: "https://….service-now.com/api/global/em/jsonv2",
        hosts: &[],
        path: "/api/global/em/",
        parameters: &[],
    },
    body: |event| Some(body(event)),
    verdict: by_status,
    ..Row::CHAT
};

fn body(event: &Outgoing<'_>) -> String {
    fitted(&event.message(), BUDGET, draw)
}

/// 0 clears, 1 is critical, 5 is for information.
const fn severity(tone: Tone, resolved: bool) -> &'static str {
    match (resolved, tone) {
        (true, _) => "0",
        (false, Tone::Bad) => "1",
        (false, Tone::Warning) => "3",
        (false, Tone::Waiting) => "4",
        (false, Tone::Good | Tone::Info) => "5",
    }
}

fn draw(drawn: &Drawn<'_>) -> Value {
    let message = drawn.message;
    let mut lines = vec![message.title.clone()];
    lines.extend(drawn.reason.clone());
    for (name, reason) in &drawn.failed {
        lines.push(match reason {
            Some(reason) => format!("{name}: {reason}"),
            None => (*name).to_owned(),
        });
    }
    lines.extend(drawn.notes.iter().cloned());
    let mut information: Map<String, Value> = message
        .facts
        .iter()
        .map(|(label, value)| (label.to_lowercase().replace(' ', "_"), value.clone().into()))
        .collect();
    for (label, url) in message.pages.buttons() {
        let name = label.trim_end_matches('…').to_lowercase();
        information.insert(format!("{name}_url"), url.into());
    }
    let at = message
        .at
        .parse::<Timestamp>()
        .map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default();
    let resolved = message.alert.resolved;
    json!({"records": [{
        "source": "emgate",
        "event_class": "emgate",
        "node": message.server.as_deref().unwrap_or("emgate"),
        "resource": message.plan.as_deref().unwrap_or("emgate"),
        "metric_name": message.kind.as_str(),
        "type": "failover",
        "message_key": message.alert.key,
        "severity": severity(message.tone, resolved),
        "resolution_state": if resolved { "Closing" } else { "New" },
        "description": clean_lines(&lines),
        "time_of_event": at,
        "additional_info": Value::Object(information).to_string(),
    }]})
}

fn clean_lines(lines: &[String]) -> String {
    let text = lines.join("\n");
    if text.encode_utf16().count() <= DESCRIPTION {
        return text;
    }
    clean(&text, DESCRIPTION)
}
