//! The one door to the transcoder.

use serde_json::Value;

use crate::domain::links::Links;
use crate::telemetry::{count_unknown, names};
use crate::transcode::{self, Anomalies, AnomalyKind, DamagedRow, Mode};

/// One of EM's documents, with one of these roots (any, when there are none), as JSON (docs/behaviour.md#xml-to-json), and
/// its root.
///
/// # Errors
/// A sentence about what is wrong with it; it quotes names at the most.
pub(super) fn decode(links: &Links, xml: &[u8], roots: &[&str]) -> Result<(&'static str, Vec<u8>), String> {
    let decoded = transcode::decode_below(links.mirror(), xml, roots).map_err(|error| error.to_string())?;
    count(&decoded.anomalies);
    Ok((decoded.root, decoded.json))
}

/// The page of a query for entities called `row`, as [`decode`] would give it without the rows that are damaged, and
/// those. Rows that hold what no document may are there with U+FFFD in place of it.
///
/// # Errors
/// As [`decode`], where more than rows is damaged.
pub(super) fn decode_rows(xml: &[u8], row: &str) -> Result<(Vec<u8>, Vec<DamagedRow>), String> {
    let rows = transcode::decode_rows(xml, row).map_err(|error| error.to_string())?;
    count(&rows.anomalies);
    Ok((rows.json, rows.damaged))
}

/// The document with U+FFFD in place of what none may hold; none where it holds nothing of the kind.
pub(super) fn repaired(xml: &[u8]) -> Option<String> {
    transcode::repaired(xml)
}

fn count(anomalies: &Anomalies) {
    for anomaly in anomalies.iter() {
        let metric = match anomaly.kind {
            AnomalyKind::UnknownName => names::TRANSCODE_UNKNOWN,
            AnomalyKind::UnparsedValue | AnomalyKind::UnknownValue => names::TRANSCODE_UNPARSED,
        };
        count_unknown(metric, anomaly.ty, &anomaly.name);
    }
}

/// The body of a request: a document with that root, in EM's order.
///
/// # Errors
/// A sentence about what EM's schema or XML cannot carry.
pub(super) fn body(root: &str, json: &Value) -> Result<Vec<u8>, String> {
    transcode::encode(json.to_string().as_bytes(), root, Mode::Request).map_err(|error| error.to_string())
}
