//! The examples of docs/formats.md: each is what the program writes, so that a reader sees what a receiver gets.
//!
//! A block of JSON stands below a line `<!-- example: FORMAT SAMPLE -->`, with a sample of `samples`, or below
//! `<!-- example: template -->`, which renders the request above it. Requests are tried in `tests/it/delivery/formats.rs`.
//! After a wanted change, `EMGATE_RECORD_EXAMPLES=1 cargo test --lib formats::documentation` writes them anew.

use std::path::Path;

use serde_json::Value;

use super::samples::{links, samples};
use super::{FORMATS, Outgoing, of, render};
use crate::domain::webhook::Format;
use crate::domain::webhook::options::FormatOptions;

/// How wide an example may be.
const WIDTH: usize = 130;

/// JSON on as few lines as fit the page.
fn compact(value: &Value, indent: usize, taken: usize) -> String {
    let inner = " ".repeat(indent + 2);
    let parts: Vec<String> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let name = format!("{}: ", Value::from(name.as_str()));
                format!("{name}{}", compact(value, indent + 2, name.len() + 1))
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| compact(item, indent + 2, 1)).collect(),
        _ => return value.to_string(),
    };
    let (open, close) = if value.is_object() { ("{", "}") } else { ("[", "]") };
    let short = format!("{open}{}{close}", parts.join(", "));
    if !short.contains('\n') && indent + taken + short.chars().count() <= WIDTH {
        return short;
    }
    let lines = parts.join(&format!(",\n{inner}"));
    format!("{open}\n{inner}{lines}\n{}{close}", " ".repeat(indent))
}

/// The example of this name; `request` is the last request above it.
fn example(name: &str, request: Option<&Value>) -> String {
    let all = samples();
    let sample = |name: &str| all.iter().find(|sample| sample.name == name).expect("a sample");
    let body = match name.split_once(' ') {
        Some((format, name)) => {
            let row = FORMATS.iter().find(|row| row.format.as_str() == format);
            sample(name).rendered(row.expect("a format"))
        }
        None => {
            let options = FormatOptions {
                template: request.and_then(|request| Some(request["template"].as_str()?.to_owned())),
                ..FormatOptions::default()
            };
            assert!(
                options.template.is_some(),
                "there is no template above the example"
            );
            let (sample, links) = (sample("failed"), links());
            let event = Outgoing {
                id: "evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c000e",
                kind: sample.kind,
                body: &sample.body,
                options: &options,
                links: &links,
            };
            let rendered = render(of(Format::Slack).expect("a row"), &event).expect("rendered");
            assert_eq!(rendered.warning, None);
            rendered.body
        }
    };
    compact(&serde_json::from_str(&body).expect("JSON"), 0, 0)
}

/// The page with every example as it should be, and how many there are. A block of JSON that is neither an example nor a
/// request fails.
fn written_anew(page: &str) -> (String, usize) {
    let (mut out, mut count) = (String::new(), 0);
    let mut name: Option<String> = None;
    let mut request = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if let Some(rest) = line.strip_prefix("<!-- example: ") {
            name = Some(rest.trim_end_matches(" -->").to_owned());
        }
        if line == "```json" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let shown = block.join("\n");
            let text = match name.take() {
                Some(name) => {
                    count += 1;
                    example(&name, request.as_ref())
                }
                None => {
                    let value: Value = serde_json::from_str(&shown).expect("a request is JSON");
                    assert!(value["url"].is_string(), "neither example nor request: {shown}");
                    request = Some(value);
                    shown
                }
            };
            out.push_str(&format!("{text}\n```\n"));
        }
    }
    (out, count)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever changes a message records it")]
fn every_example_in_the_documentation_is_what_is_sent() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let (anew, count) = written_anew(&page);
    for row in FORMATS.iter().filter(|row| row.format != Format::Standard) {
        let name = format!("<!-- example: {} ", row.format.as_str());
        assert!(
            page.contains(&name),
            "docs/formats.md has no example of {}",
            row.format.as_str()
        );
    }
    assert!(count >= 9, "{count} examples");
    if std::env::var_os("EMGATE_RECORD_EXAMPLES").is_some() {
        std::fs::write(&path, &anew).expect("written");
        return;
    }
    assert!(
        page == anew,
        "docs/formats.md is stale: EMGATE_RECORD_EXAMPLES=1 cargo test --lib formats::documentation"
    );
}

#[test]
fn the_table_in_the_documentation_has_every_rate_and_signature() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md");
    let page = std::fs::read_to_string(path).expect("the page");
    for row in FORMATS {
        let rate = row
            .per_second
            .map_or("none".to_owned(), |rate| format!("{rate}/s"));
        let end = format!("| {rate} | {} |", if row.signed { "yes" } else { "no" });
        let begin = format!("| `{}` |", row.format.as_str());
        let found = page
            .lines()
            .any(|line| line.starts_with(&begin) && line.ends_with(&end));
        assert!(found, "docs/formats.md lacks {begin} … {end}");
    }
}
