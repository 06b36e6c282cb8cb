//! CloudEvents 1.0 in its structured JSON form; signed like the standard format.
//!
//! Source: the specification at cloudevents.io, version 1.0.2, and its JSON event format.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::shape::Shape;
use super::text::Dialect;
use super::verdict::by_status;
use super::{Outgoing, Row};
use crate::domain::webhook::Format;

pub(super) const ROW: Row = Row {
    format: Format::CloudEvents,
    content_type: "application/cloudevents+json",
    dialect: Dialect::Plain,
    per_second: None,
    query: &[],
    signed: true,
    kept: false,
    shape: Shape::ANY,
    body,
    verdict: by_status,
};

#[derive(Deserialize)]
struct Body<'a> {
    timestamp: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The attributes are in the order of the specification, so that the bytes of an event are always the same.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    #[serde(rename = "type")]
    kind: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    datacontenttype: &'static str,
    data: &'a RawValue,
}

/// `source` is the gateway's address, `subject` the failover's session, or else its operation.
fn body(event: &Outgoing<'_>) -> Option<String> {
    let body: Body<'_> = serde_json::from_str(event.body).ok()?;
    serde_json::to_string(&CloudEvent {
        specversion: "1.0",
        id: event.id,
        source: event.links.api(""),
        kind: event.kind.as_str(),
        time: body.timestamp,
        subject: event.message().failover,
        datacontenttype: "application/json",
        data: body.data,
    })
    .ok()
}
