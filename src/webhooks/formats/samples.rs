//! Events whose messages are compared with what they were, shown in docs/formats.md, judged by the services' own checkers
//! and looked at as pictures. For tests alone.
//!
//! `EMGATE_WRITE_MESSAGES=folder cargo test --lib formats` writes the message of each into that folder, a file for each
//! format and sample (`scripts/chat.sh`).

use serde_json::{Value, json};

use super::{FORMATS, Outgoing, Row, render};
use crate::domain::event::EventType;
use crate::domain::links::Links;
use crate::domain::webhook::Format;
use crate::domain::webhook::options::FormatOptions;

/// An event by its name here.
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) kind: EventType,
    pub(super) body: String,
}

impl Sample {
    fn new(name: impl Into<String>, kind: EventType, body: &Value) -> Self {
        Self {
            name: name.into(),
            kind,
            body: body.to_string(),
        }
    }

    /// Its message in a format.
    pub(super) fn rendered(&self, row: &Row) -> String {
        let (links, options) = (links(), options(row.format));
        let event = Outgoing {
            id: "evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c000e",
            kind: self.kind,
            body: &self.body,
            options: &options,
            links: &links,
        };
        render(row, &event).expect("rendered").body
    }
}

/// A machine with its result, and why it failed.
fn machine(name: &str, result: Option<&str>, reason: Option<&str>) -> Value {
    let state = if result.is_some() { "stopped" } else { "working" };
    json!({"name": name, "state": state, "result": result, "failureMessage": reason})
}

/// A session's event with its machines.
fn session(kind: EventType, action: &str, result: Option<&str>, machines: &[Value]) -> Value {
    let ended = result.map(|_| "2026-02-13T08:12:07Z");
    json!({"type": kind.as_str(), "timestamp": "2026-02-13T08:12:09Z", "data": {
        "session": {
            "id": "a986d473-0248-4884-9832-17ec982ee393", "planName": "ABC Company Failover Plan",
            "tenant": {"id": "8d0e5d4c-7a8b-4a52-9df3-2c1f5ad1ee02", "name": "ABC Company"},
            "backupServer": {"id": "4ceb4e03-d23d-4c4e-be05-21580b260243", "name": "backup01.example"},
            "state": if result.is_some() { "stopped" } else { "working" }, "result": result,
            "progress": if result.is_some() { 100 } else { 60 },
            "startedAt": "2026-02-13T08:00:02Z", "endedAt": ended,
            "failureMessage": null, "virtualMachines": machines, "action": action,
        },
        "operation": {"id": "019c55e5-9d00-7a1c-9f60-2f3f1d0c0001", "action": action,
            "state": if result.is_some() { "finished" } else { "running" },
            "result": result, "requestedBy": "portal", "reason": null},
        "sequence": 4,
    }})
}

/// An end with the target of its recovery time; it took 12 min 5 s.
fn with_target(mut body: Value, rto_seconds: u32) -> Value {
    body["data"]["objectives"] = json!({"rtoSeconds": rto_seconds});
    body
}

fn report() -> Value {
    let mut body = session(EventType::ReportReady, "test", Some("success"), &[]);
    body["data"]["report"] = json!({
        "id": "rpt_019c55e5-9d00-7a1c-9f60-2f3f1d0c0016", "revision": 1, "kind": "test", "verdict": "failed",
        "digest": format!("sha-256:{}", "0".repeat(64)), "keyId": "2026-02-13-1a2b",
        "link": "/api/v1/operations/019c55e5-9d00-7a1c-9f60-2f3f1d0c0001/report",
    });
    body
}

fn overdue() -> Value {
    json!({"type": "recovery.test.overdue", "timestamp": "2026-02-13T08:00:00Z", "data": {
        "plan": {"id": "6c2f3a36-3bfa-4f2f-9c41-7c1d5ae3aa01", "kind": "cloud", "name": "ABC Company Failover Plan",
            "tenant": {"name": "ABC Company"}},
        "lastTestAt": "2025-01-10T03:00:00Z", "testEveryDays": 365, "owner": "ann",
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

/// A machine that failed while the others go on.
fn machine_ended() -> Value {
    let failed = [machine("filesrv04", Some("failed"), Some(REASONS[0]))];
    let mut body = session(EventType::MachineFinished, "start", None, &failed);
    body["data"]["virtualMachine"] = "filesrv04".into();
    body["data"]["machines"] = json!({"total": 12, "ended": 7, "failed": 1});
    body
}

/// A machine that succeeded in a session that failed, and was over when it was first seen.
fn machine_of_a_failure() -> Value {
    let good = [machine("filesrv03", Some("success"), None)];
    let mut body = session(EventType::MachineFinished, "start", Some("failed"), &good);
    body["data"]["virtualMachine"] = "filesrv03".into();
    body["data"]["machines"] = json!({"total": 2, "ended": 2, "failed": 1});
    body["data"]["session"]["failureMessage"] = REASONS[1].into();
    body["data"]["operation"]["failure"] = json!({"message": REASONS[1], "source": "session"});
    let own = &mut body["data"]["session"]["virtualMachines"][0];
    own["startedAt"] = "2026-02-13T08:00:02Z".into();
    own["endedAt"] = "2026-02-13T08:03:12Z".into();
    body
}

/// What Enterprise Manager says of machines that fail.
const REASONS: [&str; 5] = [
    "no free address in the pool DR-Net",
    "Failed to power on: the host esx02.example has not enough memory",
    "Restore point is locked by another task",
    "Replica is being processed by the job Nightly replication of the production site, which has to end first",
    "Timed out waiting for VMware Tools to start (300 s)",
];

/// So many machines that failed, each named and with one of the reasons.
fn failed_machines(count: usize) -> Vec<Value> {
    let names = ["filesrv", "sqlnode", "webfront", "app-backend-prod-eu-", "dc"];
    (0..count)
        .map(|at| {
            let name = format!("{}{:02}", names[at % names.len()], at + 1);
            machine(&name, Some("failed"), Some(REASONS[at % REASONS.len()]))
        })
        .collect()
}

/// The samples, each with a snapshot in every format.
pub(super) fn samples() -> Vec<Sample> {
    let ended = EventType::SessionFinished;
    let good = ["filesrv03", "filesrv04"].map(|name| machine(name, Some("success"), None));
    let failed = [
        machine("filesrv03", Some("success"), None),
        machine("filesrv04", Some("failed"), Some(REASONS[0])),
    ];
    let hostile = [
        machine("filesrv03", Some("success"), None),
        machine(
            "@everyone",
            Some("failed"),
            Some("<!channel> *no* free address in <at>pool</at> \"B\" & [x](https://x.example)"),
        ),
    ];
    let mut many = failed_machines(20);
    many.extend((1..=6).map(|at| machine(&format!("print{at:02}"), Some("success"), None)));
    let mut running = failed_machines(2);
    running.extend((1..=6).map(|at| machine(&format!("print{at:02}"), Some("success"), None)));
    running.extend((1..=4).map(|at| machine(&format!("mail{at:02}"), None, None)));
    let (started, progressed) = (EventType::SessionStarted, EventType::SessionProgressed);
    vec![
        Sample::new("good", ended, &session(ended, "test", Some("success"), &good)),
        Sample::new("failed", ended, &session(ended, "test", Some("failed"), &failed)),
        Sample::new(
            "hostile",
            ended,
            &session(ended, "test", Some("failed"), &hostile),
        ),
        Sample::new("many", ended, &session(ended, "start", Some("failed"), &many)),
        Sample::new(
            "progress",
            progressed,
            &session(progressed, "start", None, &running),
        ),
        Sample::new("over", started, &session(started, "test", Some("success"), &good)),
        Sample::new("machine", EventType::MachineFinished, &machine_ended()),
        Sample::new(
            "machine-good",
            EventType::MachineFinished,
            &machine_of_a_failure(),
        ),
        Sample::new("approval", EventType::ApprovalRequested, &approval()),
        Sample::new(
            "late",
            ended,
            &with_target(session(ended, "start", Some("success"), &good), 600),
        ),
        Sample::new("report", EventType::ReportReady, &report()),
        Sample::new("overdue", EventType::TestOverdue, &overdue()),
    ]
}

/// What a service may read as more than a name, or not at all.
const HOSTILE: [&str; 12] = [
    "@everyone",
    "<!channel> <@U012AB3CD> <https://x.example|x>",
    "<at>all</at><br><script>alert(1)</script>",
    ":skull: *b* _i_ ~s~ `c` ```x```",
    "[x](https://x.example) ![](https://x.example/p.png)",
    "{{DATE(2026-02-13T08:00:00Z,SHORT)}} ${name} \\n",
    "| a | b |\n|---|---|\n# h\n> q\n- l\n1. n",
    "\u{202e}gpj.exe\u{200b}\u{feff}",
    "",
    "\u{0}\u{7}\r\n\t",
    "👩‍💻👨‍👩‍👧‍👦 é 日本語 \u{1f1e9}\u{1f1ea}",
    "\"quoted\" \\ back & &amp; &lt; 'single'",
];

/// The ends of what can happen: no machine to ten thousand, with plain names and with hostile ones, and long ones.
pub(super) fn extremes() -> Vec<Sample> {
    let ended = EventType::SessionFinished;
    let mut all = Vec::new();
    for count in [0, 1, 20, 1_000, 10_000] {
        let plain = failed_machines(count);
        let hostile: Vec<Value> = (0..count)
            .map(|at| {
                let result = ["failed", "success", "warning"][at % 3];
                let (name, reason) = (HOSTILE[at % 12], HOSTILE[(at + 5) % 12]);
                machine(name, Some(result), Some(reason))
            })
            .collect();
        all.push(Sample::new(
            format!("{count}-machines"),
            ended,
            &session(ended, "start", Some("failed"), &plain),
        ));
        all.push(Sample::new(
            format!("{count}-hostile-machines"),
            ended,
            &session(ended, "start", Some("failed"), &hostile),
        ));
    }
    for (at, text) in HOSTILE.iter().enumerate() {
        let long = text.repeat(400);
        for (length, text) in [("short", *text), ("long", long.as_str())] {
            let mut body = session(
                ended,
                "start",
                Some("failed"),
                &[machine(text, Some("failed"), Some(text))],
            );
            let session = &mut body["data"]["session"];
            session["planName"] = text.into();
            session["tenant"]["name"] = text.into();
            session["failureMessage"] = text.into();
            let operation = &mut body["data"]["operation"];
            operation["requestedBy"] = text.into();
            operation["reason"] = text.into();
            all.push(Sample::new(format!("hostile-text-{at}-{length}"), ended, &body));
        }
    }
    for kind in EventType::ALL {
        let least = json!({"type": kind.as_str(), "timestamp": "2026-02-13T08:00:00Z", "data": {}});
        all.push(Sample::new(format!("least-{}", kind.as_str()), *kind, &least));
    }
    all
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
#[expect(
    clippy::disallowed_methods,
    reason = "a script says where the messages are written"
)]
fn every_sample_and_extreme_is_valid_json_in_every_format() {
    let folder = std::env::var_os("EMGATE_WRITE_MESSAGES").map(std::path::PathBuf::from);
    for sample in samples().into_iter().chain(extremes()) {
        for row in FORMATS.iter().filter(|row| row.kept) {
            let body = sample.rendered(row);
            let _: Value = serde_json::from_str(&body).expect("JSON");
            if let Some(folder) = &folder {
                let name = format!("{}_{}.json", row.format.as_str(), sample.name);
                std::fs::write(folder.join(name), &body).expect("written");
            }
        }
    }
}
