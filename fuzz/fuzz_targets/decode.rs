//! Whatever bytes come from EM: no panic, and what is taken is JSON. The two ways in (memory, stream) agree.

#![no_main]

use emgate::transcode::{decode, decode_stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = decode(bytes);
    let mut streamed = Vec::new();
    let stream = decode_stream(bytes, &mut streamed);
    if let Ok(decoded) = whole {
        let json: serde_json::Value = serde_json::from_slice(&decoded.json).expect("what is taken is JSON");
        assert!(json.is_object());
        if stream.is_ok() {
            assert_eq!(streamed, decoded.json);
        }
    }
});
