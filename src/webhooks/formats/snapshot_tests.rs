//! Whole bodies beside what they were: each format for a good, a failed and an approval event. After a wanted change,
//! `INSTA_UPDATE=always cargo test --lib formats` records them anew.

use serde_json::{Value, json};

use super::{FORMATS, Outgoing, render};
use crate::domain::event::EventType;
use crate::domain::links::Links;
use crate::domain::webhook::Format;
use crate::domain::webhook::options::FormatOptions;

/// A session's event, with the result of each machine.
fn session(kind: EventType, result: Option<&str>, machines: &[(&str, &str, Option<&str>)]) -> Value {
    let machines: Vec<Value> = machines
        .iter()
        .map(|(name, result, reason)| json!({"name": name, "state": "stopped", "result": result, "failureMessage": reason}))
        .collect();
    json!({"type": kind.as_str(), "timestamp": "2026-02-13T08:01:54Z", "data": {
        "session": {
            "id": "a986d473-0248-4884-9832-17ec982ee393", "planName": "ABC Company Failover Plan",
            "tenant": {"id": "8d0e5d4c-7a8b-4a52-9df3-2c1f5ad1ee02", "name": "ABC Company"},
            "backupServer": {"id": "4ceb4e03-d23d-4c4e-be05-21580b260243", "name": "backup01.example"},
            "state": "stopped", "result": result, "progress": 100,
            "startedAt": "2026-02-13T08:00:02Z", "endedAt": "2026-02-13T08:12:07Z",
            "failureMessage": null, "virtualMachines": machines, "action": "test",
        },
        "operation": {"id": "019c55e5-9d00-7a1c-9f60-2f3f1d0c0001", "action": "test", "state": "finished",
            "result": result, "requestedBy": "portal", "reason": null},
        "sequence": 4,
    }})
}

fn approval() -> Value {
    json!({"type": "failover.approval.requested", "timestamp": "2026-02-13T08:00:00Z", "data": {
        "session": null, "sequence": 1,
        "operation": {"id": "019c55e5-9d00-7a1c-9f60-2f3f1d0c0001", "action": "start", "state": "awaitingApproval",
            "result": null, "requestedBy": "portal", "reason": "the site has no power",
            "plan": {"name": "ABC Company Failover Plan", "tenant": {"name": "ABC Company"}},
            "approval": {"required": 1, "given": [], "expiresAt": "2026-02-13T12:00:00Z"}},
    }})
}

/// An event by its name here.
pub(super) fn events() -> Vec<(&'static str, EventType, Value)> {
    let ended = EventType::SessionFinished;
    let good = session(
        ended,
        Some("success"),
        &[("filesrv03", "success", None), ("filesrv04", "success", None)],
    );
    let failed = session(
        ended,
        Some("failed"),
        &[
            ("filesrv03", "success", None),
            (
                "@everyone",
                "failed",
                Some("<!channel> *no* free address in <at>pool</at> \"B\" & [x](https://x.example)"),
            ),
        ],
    );
    vec![
        ("good", ended, good),
        ("failed", ended, failed),
        ("approval", EventType::ApprovalRequested, approval()),
    ]
}

/// The links of a gateway with a public address.
pub(super) fn links() -> Links {
    let url = "https://dr.example/emgate".parse().expect("a URL");
    Links::below(Some(&url))
}

/// What a format needs to be rendered.
pub(super) fn options(format: Format) -> FormatOptions {
    FormatOptions {
        routing_key: (format == Format::PagerDuty).then(|| "R0UTINGKEYR0UTINGKEYR0UTINGKEY01".into()),
        ..FormatOptions::default()
    }
}

#[test]
fn bodies_are_what_they_were() {
    let links = links();
    for row in FORMATS.iter().filter(|row| row.format != Format::Standard) {
        for (name, kind, body) in events() {
            let options = options(row.format);
            let body = body.to_string();
            let event = Outgoing {
                id: "evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c000e",
                kind,
                body: &body,
                options: &options,
                links: &links,
            };
            let rendered = render(row, &event).expect("rendered");
            let value: Value = serde_json::from_str(&rendered.body).expect("JSON");
            let pretty = serde_json::to_string_pretty(&value).expect("JSON");
            insta::assert_snapshot!(format!("{}_{name}", row.format.as_str()), pretty);
        }
    }
}

#[test]
fn every_event_type_has_a_message_in_every_format() {
    let links = links();
    for kind in EventType::ALL {
        // The least that a body can be, and one that is none.
        for body in [
            format!(
                r#"{{"type":"{}","timestamp":"2026-02-13T08:00:00Z","data":{{}}}}"#,
                kind.as_str()
            ),
            "x".to_owned(),
        ] {
            for row in FORMATS.iter().filter(|row| row.kept) {
                let options = options(row.format);
                let event = Outgoing {
                    id: "evt_1",
                    kind: *kind,
                    body: &body,
                    options: &options,
                    links: &links,
                };
                let rendered = render(row, &event).expect("rendered").body;
                let _: Value = serde_json::from_str(&rendered).expect("JSON");
                assert!(rendered.contains(": ") || rendered.contains("test"), "{rendered}");
            }
        }
    }
}
