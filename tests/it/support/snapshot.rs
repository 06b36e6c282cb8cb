//! Whole answers beside recorded ones (`tests/it/snapshots`), with what differs from run to run redacted.
//!
//! Ids keep their identity: the first id of an answer is `[id 1]` wherever it appears. After a wanted change,
//! `INSTA_UPDATE=always cargo test --test it whole_answers` records anew; review the difference as code.

use serde_json::{Map, Value, json};

use super::client::Answer;
use super::receiver::Received;

/// Members whose values depend on how fast the machine is; a session has as many events as were seen of its progress.
const MEASURED: &[&str] = &[
    "clockSkew",
    "durationMs",
    "nextAttemptAt",
    "phases",
    "remoteAddress",
    "sequence",
];

/// Headers that say nothing of the answer, and those that the client checks in every answer.
const UNSHOWN: &[&str] = &[
    "connection",
    "content-length",
    "content-security-policy",
    "cross-origin-resource-policy",
    "date",
    "host",
    "ratelimit",
    "ratelimit-policy",
    "traceparent",
    "vary",
    "x-content-type-options",
    "x-request-id",
];

/// Compares an answer with the recorded one of this name.
pub fn assert_answer(name: &str, answer: &Answer) {
    let headers = answer.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.to_str().expect("text")));
    let body = if answer.body.is_null() {
        json!(answer.text)
    } else {
        answer.body.clone()
    };
    assert_value(
        name,
        &json!({"status": answer.status, "headers": shown(headers), "body": body}),
    );
}

/// Compares a delivery, as it arrived, with the recorded one of this name.
pub fn assert_delivery(name: &str, received: &Received) {
    let headers = received.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
    assert_value(name, &json!({"headers": shown(headers), "body": received.json}));
}

/// Makes an answer about something that is at work comparable: what it shows depends on the moment it was asked for.
pub fn at_work(value: &mut Value) {
    let as_it_goes = |value: &mut Value| *value = json!("[as it goes]");
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match name.as_str() {
                    "progress" | "task" => as_it_goes(member),
                    "virtualMachines" => {
                        let machines = member.as_array_mut().expect("machines");
                        for machine in machines {
                            for name in ["state", "result", "endedAt"] {
                                as_it_goes(&mut machine[name]);
                            }
                            at_work(machine);
                        }
                    }
                    _ => at_work(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(at_work),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Compares a part of an answer with the recorded one of this name.
pub fn assert_value(name: &str, value: &Value) {
    let mut value = value.clone();
    Redactions::default().apply(&mut value);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_json_snapshot!(name, value));
}

/// Headers by name.
fn shown<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Map<String, Value> {
    let mut shown: Vec<(&str, &str)> = headers.filter(|(name, _)| !UNSHOWN.contains(name)).collect();
    shown.sort_unstable();
    shown
        .into_iter()
        .map(|(name, value)| {
            let value = match name {
                "etag" if value.starts_with('"') => "[tag]",
                "webhook-signature" => "[signature]",
                "webhook-timestamp" => "[seconds]",
                "user-agent" => "[name and version]",
                _ => value,
            };
            (name.to_owned(), json!(value))
        })
        .collect()
}

/// What was redacted so far.
#[derive(Default)]
struct Redactions {
    ids: Vec<String>,
}

impl Redactions {
    fn apply(&mut self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if MEASURED.contains(&name.as_str()) && !member.is_null() {
                        *member = json!("[measured]");
                    }
                    self.apply(member);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Value::String(text) => *text = self.redacted(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn redacted(&mut self, text: &str) -> String {
        let mut redacted = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let (length, word) = if let Some(id) = rest.get(..36).filter(|id| is_uuid(id)) {
                (36, self.id(id))
            } else if let Some(length) = time_length(rest) {
                (length, "[time]".to_owned())
            } else if let Some(length) = run(rest, "127.0.0.1:", |c| c.is_ascii_digit()) {
                (length, "[address]".to_owned())
            } else if let Some(length) =
                run(rest, "whsec_", |c| c.is_ascii_alphanumeric() || "+/=".contains(c))
            {
                (length, "[secret]".to_owned())
            } else if let Some(length) = run(rest, "sha-256:", |c| c.is_ascii_hexdigit()) {
                (length, "[digest]".to_owned())
            } else if let Some(length) = run(rest, "rk_", |c| c.is_ascii_hexdigit()) {
                (length, "[key]".to_owned())
            } else if let Some(length) =
                run(rest, "cursor=", |c| c.is_ascii_alphanumeric() || "-_".contains(c))
            {
                (length, "cursor=[cursor]".to_owned())
            } else {
                (first.len_utf8(), first.to_string())
            };
            redacted += &word;
            rest = &rest[length..];
        }
        redacted
    }

    fn id(&mut self, id: &str) -> String {
        let id = id.to_lowercase();
        let at = self.ids.iter().position(|known| *known == id);
        let at = at.unwrap_or_else(|| {
            self.ids.push(id);
            self.ids.len() - 1
        });
        format!("[id {}]", at + 1)
    }
}

fn is_uuid(text: &str) -> bool {
    text.char_indices().all(|(at, c)| match at {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    })
}

/// How times begin: as RFC 3339 has it, and in names of restore points, files and mounts. `0` is a digit, `_` one or a
/// space, `A` and `a` are letters.
const TIMES: &[&str] = &[
    "0000-00-00T00:00:00",
    "0000-00-00 00:00:00",
    "0000-00-00T000000",
    "Aaa _0 0000 _0:00AA",
    "Aaa _0 0000  00:00AA",
];

/// The length of the time that the text begins with.
fn time_length(text: &str) -> Option<usize> {
    let fits = |shape: &&&str| {
        text.len() >= shape.len()
            && text
                .bytes()
                .zip(shape.bytes())
                .all(|(byte, wanted)| match wanted {
                    b'0' => byte.is_ascii_digit(),
                    b'_' => byte.is_ascii_digit() || byte == b' ',
                    b'A' => byte.is_ascii_uppercase(),
                    b'a' => byte.is_ascii_lowercase(),
                    _ => byte == wanted,
                })
    };
    let shape = TIMES.iter().find(fits)?;
    let end = |c: char| !(c.is_ascii_digit() || "Z+-:".contains(c));
    let fraction = text[shape.len()..].strip_prefix('.');
    let fraction = fraction.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let begin = shape.len() + usize::from(fraction.is_some());
    Some(text[begin..].find(end).map_or(text.len(), |at| begin + at))
}

/// The length of `start` and the characters after it, when the text begins so.
fn run(text: &str, start: &str, goes_on: impl Fn(char) -> bool) -> Option<usize> {
    let rest = text.strip_prefix(start)?;
    let length = rest.find(|c| !goes_on(c)).unwrap_or(rest.len());
    (length > 0).then_some(start.len() + length)
}

#[test]
fn redactions_keep_the_identity_of_ids() {
    let mut value = json!({
        "id": "ep_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
        "self": "/x/EP_0199A5C7-12AB-7CC0-8A11-6B0F2F9D4E01?n=2",
        "other": "3f56fa52-c902-4655-9774-2022fde214d2 at 2026-01-02T03:04:05.123456Z, über 127.0.0.1:8080",
        "point": "filesrv03@2026-11-27 07:49:51",
        "file": "Backup Job 472026-08-15T205717.vib",
        "mount": "Aug  5 2026 10:59PM",
        "night": "Aug 15 2026  10:05PM",
        "secret": "whsec_abc+/=",
        "next": "/api/v1/events?cursor=a-b_c&pageSize=1",
        "durationMs": 17,
        "count": 17,
    });
    Redactions::default().apply(&mut value);
    let expected = json!({
        "id": "ep_[id 1]",
        "self": "/x/EP_[id 1]?n=2",
        "other": "[id 2] at [time], über [address]",
        "point": "filesrv03@[time]",
        "file": "Backup Job 47[time].vib",
        "mount": "[time]",
        "night": "[time]",
        "secret": "[secret]",
        "next": "/api/v1/events?cursor=[cursor]&pageSize=1",
        "durationMs": "[measured]",
        "count": 17,
    });
    assert_eq!(value, expected);
}
