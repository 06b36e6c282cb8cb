//! Whole bodies beside what they were: each format for each of the samples. After a wanted change,
//! `INSTA_UPDATE=always cargo test --lib formats` records them anew.

use serde_json::Value;

use super::samples::{links, options, samples};
use super::{FORMATS, Outgoing, of, render};
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

#[test]
fn a_failover_that_was_over_when_first_seen_is_told_so_with_ems_own_times() {
    let mut samples = samples().into_iter();
    let over = samples.find(|sample| sample.name == "over").expect("the sample");
    for row in FORMATS.iter().filter(|row| row.kept) {
        let body = over.rendered(row);
        assert!(body.contains("Already ended: test of "), "{body}");
        assert!(
            !body.contains("Duration"),
            "that is for the event of its end: {body}"
        );
        assert!(!body.contains("not ended"), "{body}");
    }
    let slack = over.rendered(of(Format::Slack).expect("a row"));
    for told in ["2026-02-13 08:00 UTC", "2026-02-13 08:12 UTC"] {
        assert!(slack.contains(told), "{told}: {slack}");
    }
    // Nobody is called for what had succeeded before it was seen.
    let pager: Value =
        serde_json::from_str(&over.rendered(of(Format::PagerDuty).expect("a row"))).expect("JSON");
    assert_eq!(pager["event_action"], "resolve");
    // What Enterprise Manager does not say is not made up.
    let without = over.body.replace("\"2026-02-13T08:00:02Z\"", "null");
    let timeless = super::samples::Sample {
        body: without,
        ..over
    };
    let slack = timeless.rendered(of(Format::Slack).expect("a row"));
    assert!(!slack.contains("Started") && slack.contains("Ended: "), "{slack}");
}

#[test]
fn a_machine_that_succeeded_is_told_without_the_reason_of_its_session() {
    let mut samples = samples().into_iter();
    let machine = samples.find(|sample| sample.name == "machine-good");
    let machine = machine.expect("the sample");
    for row in FORMATS.iter().filter(|row| row.kept) {
        let body = machine.rendered(row);
        assert!(body.contains("Success: filesrv03"), "{body}");
        assert!(!body.contains("not enough memory"), "{body}");
        assert!(!body.contains("12 min"), "the session's duration: {body}");
        assert!(body.contains("3 min 10 s"), "its own: {body}");
    }
}
