//! A document that was taken goes to XML and back unchanged (contract: the round trip holds in document mode).

#![no_main]

use emgate::transcode::{Mode, decode, encode};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(first) = decode(bytes) else { return };
    if !first.anomalies.is_empty() {
        // What the catalogue does not know passes through to JSON but is refused on the way back.
        return;
    }
    let Ok(xml) = encode(&first.json, first.root, Mode::Document) else { return };
    let again = decode(&xml).expect("what we wrote, we read");
    let value = |json: &[u8]| serde_json::from_slice::<Value>(json).expect("JSON");
    assert_eq!(value(&first.json), value(&again.json));
});
