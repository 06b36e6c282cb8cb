//! Every document that EM has, in both directions, spelled in other ways, and through the binary.

use std::path::Path;
use std::process::Command;

use emgate::catalogue::{Root, catalogue};
use emgate::transcode::{Options, convert};
use serde_json::Value;

use crate::transcode_decode::value;
use crate::transcode_generate::document;
use crate::transcode_properties::{spelled_otherwise, there_and_back};

/// Different documents of each root.
const EACH: u64 = 12;

#[test]
fn every_root_round_trips_in_any_spelling() {
    let roots = catalogue().roots();
    assert!(roots.len() > 200, "{} roots", roots.len());
    for root in roots {
        for seed in 0..EACH {
            there_and_back(root, seed).unwrap_or_else(|why| panic!("{} {seed}: {why}", root.name));
            spelled_otherwise(root, seed, seed + 1)
                .unwrap_or_else(|why| panic!("{} {seed}: {why}", root.name));
        }
    }
}

#[test]
fn every_root_is_converted_in_both_directions() {
    for root in catalogue().roots() {
        let text = document(root, 7).plain();
        let (mut there, mut back) = (Vec::new(), Vec::new());
        convert(text.as_bytes(), &mut there, Options::default()).unwrap();
        let of_type = Options {
            root: Some(root.name),
            ..Options::default()
        };
        convert(there.as_slice(), &mut back, of_type).unwrap();
        let meant = value(text.as_bytes());
        assert_eq!(serde_json::from_slice::<Value>(&there).unwrap(), meant);
        assert_eq!(value(&back), meant, "{}", root.name);
    }
}

/// A process takes longer to start than to convert, and does nothing else than the library; so it converts some.
#[test]
fn the_binary_converts_in_both_directions() {
    let folder = tempfile::tempdir().unwrap();
    for root in catalogue().roots().into_iter().step_by(16) {
        let xml = folder.path().join("document.xml");
        let json = folder.path().join("document.json");
        let text = document(root, 7).plain();
        std::fs::write(&xml, &text).unwrap();
        let there = by_binary(root, &[&xml]);
        std::fs::write(&json, &there).unwrap();
        let back = by_binary(root, &[Path::new("--type"), Path::new(root.name), &json]);
        assert_eq!(
            serde_json::from_slice::<Value>(&there).unwrap(),
            value(text.as_bytes())
        );
        assert_eq!(value(&back), value(text.as_bytes()), "{}", root.name);
    }
}

/// What `emgate convert` writes.
fn by_binary(root: Root, arguments: &[&Path]) -> Vec<u8> {
    let run = Command::new(env!("CARGO_BIN_EXE_emgate"))
        .arg("convert")
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{}: {said}", root.name);
    run.stdout
}
