//! What the fuzz targets demand, one function each. `make test` demands the same of a checked-in corpus
//! (`tests/it/fuzz_corpus.rs` includes this file), so the two cannot drift.

use emgate::catalogue::{catalogue, filter};
use emgate::transcode::{Mode, decode, decode_stream, encode};

/// Whatever bytes come from EM: no panic, and what is taken is JSON. The two ways in (memory, stream) agree.
pub fn decoding(bytes: &[u8]) {
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
}

/// Whatever a caller sends as the body of a request; the first byte chooses the document. No panic, and what is taken
/// is a document that can be read again.
pub fn encoding(bytes: &[u8]) {
    let Some((choice, json)) = bytes.split_first() else {
        return;
    };
    let roots = catalogue().roots();
    let Some(root) = roots.get(usize::from(*choice) % roots.len()) else {
        return;
    };
    for mode in [Mode::Request, Mode::Document] {
        if let Ok(xml) = encode(json, root.name, mode) {
            let read = decode(&xml).expect("what we wrote, we read");
            assert_eq!(read.root, root.name);
        }
    }
}

/// What we wrote, we read, and write again alike, but for the case of letters: the JSON has relations of links in
/// lowerCamelCase, so one that EM does not have (`PU`) comes back in another case.
pub fn roundtrip(bytes: &[u8]) {
    let Ok(first) = decode(bytes) else { return };
    if !first.anomalies.is_empty() {
        // What the catalogue does not know passes through to JSON but is refused on the way back.
        return;
    }
    let Ok(xml) = encode(&first.json, first.root, Mode::Document) else {
        return;
    };
    let second = decode(&xml).expect("what we wrote, we read");
    let again = encode(&second.json, second.root, Mode::Document).expect("what we read, we write");
    if !xml.eq_ignore_ascii_case(&again) {
        assert_eq!(String::from_utf8(xml), String::from_utf8(again));
    }
}

/// Whatever a caller writes as a filter; the first byte chooses the query. No panic; what is taken is a filter that is
/// taken again as it stands, with every quote closed; what is refused names a position within the text.
pub fn filtering(text: &str) {
    let Some(choice) = text.bytes().next() else { return };
    let queries = catalogue().queries();
    let Some(query) = queries.get(usize::from(choice) % queries.len()) else {
        return;
    };
    // Longer ones may pass the limit of length only before quotes were added.
    let Some(text) = text.get(1..).filter(|text| text.len() <= 1_000) else {
        return;
    };
    match filter::rewrite(catalogue(), query, text) {
        Ok(written) => {
            assert_eq!(written.matches('"').count() % 2, 0, "{text:?} became {written:?}");
            let again = filter::rewrite(catalogue(), query, &written);
            assert_eq!(again.as_deref(), Ok(written.as_str()), "{text:?}");
        }
        Err(error) => {
            assert!(
                (1..=text.chars().count() + 1).contains(&error.position),
                "{text:?}: {error}"
            );
            assert!(!error.message.is_empty());
        }
    }
}

/// Whatever stands in a configuration file and one variable: no panic, and a refusal that names something.
pub fn configuring(text: &str, name: &str, value: &str) {
    if name.contains('\0') || value.contains('\0') {
        return;
    }
    if let Err(error) = emgate::config::parse(text, [(format!("EMGATE_{name}"), value)]) {
        assert!(!error.faults.is_empty());
    }
}
