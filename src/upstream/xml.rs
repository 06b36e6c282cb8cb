//! The one door to the transcoder.

use serde_json::Value;

use crate::telemetry::{count_unknown, names};
use crate::transcode::{self, AnomalyKind, Mode};

/// One of EM's documents, with one of these roots (any, when there are none), as JSON (docs/behaviour.md#xml-to-json), and
/// its root.
///
/// # Errors
/// A sentence about what is wrong with it; it quotes names at the most.
pub(super) fn decode(xml: &[u8], roots: &[&str]) -> Result<(&'static str, Vec<u8>), String> {
    let decoded = if roots.is_empty() {
        transcode::decode(xml)
    } else {
        transcode::decode_expecting(xml, roots)
    };
    let decoded = decoded.map_err(|error| error.to_string())?;
    for anomaly in decoded.anomalies.iter() {
        let metric = match anomaly.kind {
            AnomalyKind::UnknownName => names::TRANSCODE_UNKNOWN,
            AnomalyKind::UnparsedValue | AnomalyKind::UnknownValue => names::TRANSCODE_UNPARSED,
        };
        count_unknown(metric, anomaly.ty, &anomaly.name);
    }
    Ok((decoded.root, decoded.json))
}

/// The body of a request: a document with that root, in EM's order.
///
/// # Errors
/// A sentence about what EM's schema or XML cannot carry.
pub(super) fn body(root: &str, json: &Value) -> Result<Vec<u8>, String> {
    transcode::encode(json.to_string().as_bytes(), root, Mode::Request).map_err(|error| error.to_string())
}
