//! Whatever names and reasons hold, and however many machines there are: each service's limits, counted as it counts, valid
//! JSON, and nothing from outside that a service would read as more than text.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::samples::{links, options};
use super::{FORMATS, Outgoing, render};
use crate::domain::event::EventType;
use crate::domain::webhook::Format;

/// Text of any characters, of what services read signs in, or very long.
fn any_text() -> BoxedStrategy<String> {
    prop_oneof![
        3 => proptest::collection::vec(any::<char>(), 0..200).prop_map(|letters| letters.into_iter().collect()),
        2 => proptest::collection::vec(
            prop::sample::select(vec![
                "@everyone", "<!channel>", "<at>a</at>", "<users/all>", "\u{202e}", "\"", "\\", "&", "<", ">", "*", "_",
                "`", "[x](https://x.example)", "😀", "é", "\u{0}", "\n", "{{ x }}", "&lt;", "~", "|", "#", ":skull:",
            ]),
            0..60,
        )
        .prop_map(|parts| parts.concat()),
        1 => any::<char>().prop_map(|letter| letter.to_string().repeat(4096)),
    ]
    .boxed()
}

/// A body, shown by its beginning where a case fails.
#[derive(Clone)]
struct Case {
    kind: EventType,
    body: String,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let beginning: String = self.body.chars().take(300).collect();
        write!(
            f,
            "{} of {} bytes: {beginning}",
            self.kind.as_str(),
            self.body.len()
        )
    }
}

fn any_body() -> BoxedStrategy<Case> {
    let kinds = prop::sample::select(EventType::ALL.to_vec());
    let counts = prop_oneof![4 => 0_usize..60, 1 => Just(10_000_usize)];
    let texts = proptest::collection::vec(any_text(), 10);
    let results = proptest::collection::vec(
        prop::sample::select(vec![Some("failed"), Some("success"), Some("odd"), None]),
        7,
    );
    (kinds, counts, texts, results)
        .prop_map(|(kind, count, texts, results)| {
            let text = |at: usize| texts[at % texts.len()].clone();
            // Many machines have short names, so that the test reads them in a moment.
            let named = |at: usize| match count {
                0..60 => text(at),
                _ => text(at).chars().take(20).collect(),
            };
            let machines: Vec<Value> = (0..count)
                .map(|at| json!({"name": named(at), "result": results[at % results.len()], "failureMessage": named(at + 1)}))
                .collect();
            let body = json!({"type": kind.as_str(), "timestamp": "2026-02-13T08:00:00Z", "data": {
                "session": {"id": text(0), "planName": text(1), "tenant": {"name": text(2)}, "result": results[0],
                    "backupServer": {"name": text(3)}, "startedAt": "2026-02-13T08:00:00Z",
                    "endedAt": "2026-02-13T08:12:00Z", "failureMessage": text(4), "virtualMachines": machines,
                    "action": "start"},
                "operation": {"id": text(5), "requestedBy": text(6), "reason": text(7), "action": "start",
                    "failure": {"message": text(8)}, "approval": {"required": 2, "given": [], "expiresAt": text(9)}},
                "decision": {"outcome": text(0), "by": text(1), "comment": text(2)},
                "endpoint": {"id": text(3), "description": text(4), "reason": text(5)},
                "account": text(6), "since": text(7), "reason": text(8), "message": text(9),
                "virtualMachine": text(0), "sequence": 1,
            }});
            Case { kind, body: body.to_string() }
        })
        .boxed()
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Every text in a value, with the name of the member it is.
fn texts<'a>(value: &'a Value, name: &'a str, found: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Value::String(text) => found.push((name, text)),
        Value::Array(items) => items.iter().for_each(|item| texts(item, name, found)),
        Value::Object(members) => members.iter().for_each(|(name, item)| texts(item, name, found)),
        _ => {}
    }
}

fn at_most(value: &Value, limit: usize) {
    let text = value.as_str().unwrap_or_default();
    assert!(units(text) <= limit, "{} of {limit}: {text}", units(text));
}

/// The service's own limits.
fn holds(format: Format, body: &str, value: &Value) {
    match format {
        Format::Slack => {
            let blocks = value["blocks"].as_array().expect("blocks");
            assert!(blocks.len() <= 45, "{} blocks", blocks.len());
            at_most(&blocks[0]["text"]["text"], 150);
            assert!(units(body) <= 13_200, "{} units", units(body));
            assert!(
                blocks
                    .iter()
                    .all(|block| !block.to_string().contains(r#""text":"""#)),
                "{body}"
            );
        }
        Format::Teams => assert!(
            body.len() <= 28 * 1024 && 2 * units(body) <= 60_000,
            "{} bytes",
            body.len()
        ),
        Format::Mattermost => assert!(units(body) <= 16_383, "{} units", units(body)),
        Format::Discord => {
            let embed = &value["embeds"][0];
            at_most(&embed["title"], 256);
            at_most(&embed["description"], 4096);
            let mut all = Vec::new();
            texts(embed, "", &mut all);
            assert!(all.iter().map(|(_, text)| units(text)).sum::<usize>() <= 6_000);
            assert_eq!(value["allowed_mentions"], json!({"parse": []}));
        }
        Format::GoogleChat => assert!(body.len() <= 32_000, "{} bytes", body.len()),
        Format::PagerDuty => {
            at_most(&value["payload"]["summary"], 1024);
            at_most(&value["dedup_key"], 255);
            assert!(body.len() <= 512 * 1024);
        }
        Format::ServiceNow => {
            let record = &value["records"][0];
            at_most(&record["description"], 4000);
            at_most(&record["additional_info"], 4000);
            let info = record["additional_info"].as_str().expect("a text");
            assert!(serde_json::from_str::<Value>(info).expect("JSON").is_object());
        }
        Format::Standard | Format::CloudEvents => {}
    }
}

/// Nothing from outside is more than text.
fn is_text_only(format: Format, value: &Value) {
    let mut all = Vec::new();
    texts(value, "", &mut all);
    for (name, text) in all {
        assert!(
            !text.contains('\u{202e}') && !text.contains('\u{0}'),
            "{name}: {text}"
        );
        let entity_cut = text
            .rsplit_once('&')
            .is_some_and(|(_, rest)| !rest.contains(';') && matches!(format, Format::GoogleChat));
        match (format, name) {
            // What Slack reads signs in.
            (Format::Slack, "text") if text.contains("<!") => {
                // Within rich text and plain text it reads none.
            }
            (Format::Mattermost, "text" | "value" | "title" | "fallback") => {
                assert!(
                    !text.contains("@everyone") && !text.contains("<!channel"),
                    "{text}"
                );
            }
            (Format::Discord, "title" | "value" | "description") => {
                assert!(!text.contains("@everyone"), "{text}");
            }
            (Format::GoogleChat, "text") => {
                assert!(
                    !text.contains("<users/") && !text.contains("<at>") && !entity_cut,
                    "{text}"
                );
            }
            _ => {}
        }
    }
    if format == Format::Slack {
        let fallback = value["text"].as_str().expect("a text");
        assert!(!fallback.contains('<') && !fallback.contains('>'), "{fallback}");
        let entities = fallback.match_indices('&').all(|(at, _)| {
            ["&amp;", "&lt;", "&gt;"]
                .iter()
                .any(|entity| fallback[at..].starts_with(entity))
        });
        assert!(entities, "{fallback}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        max_shrink_iters: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_body_is_valid_and_within_the_services_limits(case in any_body()) {
        let links = links();
        for row in FORMATS.iter().filter(|row| row.kept) {
            let options = options(row.format);
            let event = Outgoing { id: "evt_1", kind: case.kind, body: &case.body, options: &options, links: &links };
            let rendered = render(row, &event).expect("rendered");
            let value: Value = serde_json::from_str(&rendered.body).expect("JSON");
            holds(row.format, &rendered.body, &value);
            is_text_only(row.format, &value);
        }
    }

    #[test]
    fn title_and_links_stay_however_much_is_cut(case in any_body()) {
        let links = links();
        for row in FORMATS.iter().filter(|row| row.kept) {
            let options = options(row.format);
            let event = Outgoing { id: "evt_1", kind: case.kind, body: &case.body, options: &options, links: &links };
            let message = event.message();
            prop_assert!(units(&message.title) <= 147, "{}", message.title);
            let rendered = render(row, &event).expect("rendered").body;
            for (_, address) in message.pages.buttons() {
                prop_assert!(rendered.contains(address), "{address} is not in the {:?}", row.format);
            }
        }
    }
}
