//! Whole bodies beside what they were: each format for each of the samples. After a wanted change,
//! `INSTA_UPDATE=always cargo test --lib formats` records them anew.

use serde_json::Value;

use super::samples::{links, options, samples};
use super::{FORMATS, Outgoing, render};
use crate::domain::event::EventType;
use crate::domain::webhook::Format;

#[test]
fn bodies_are_what_they_were() {
    for row in FORMATS.iter().filter(|row| row.format != Format::Standard) {
        for sample in samples() {
            let value: Value = serde_json::from_str(&sample.rendered(row)).expect("JSON");
            let pretty = serde_json::to_string_pretty(&value).expect("JSON");
            insta::assert_snapshot!(format!("{}_{}", row.format.as_str(), sample.name), pretty);
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
