//! Every document that EM has, none left to chance: there and back, spelled in other ways, and through the binary.

use std::path::Path;
use std::process::Command;

use emgate::catalogue::{Root, catalogue};
use serde_json::Value;

use crate::transcode_decode::value;
use crate::transcode_generate::document;
use crate::transcode_properties::{spelled_otherwise, there_and_back};

/// Different documents of each root.
const EACH: u64 = 12;

#[test]
fn every_root_goes_there_and_back_and_its_spelling_does_not_matter() {
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
fn the_binary_converts_every_root_in_both_directions() {
    let folder = tempfile::tempdir().unwrap();
    for root in catalogue().roots() {
        let xml = folder.path().join("document.xml");
        let json = folder.path().join("document.json");
        let text = document(root, 7).plain();
        std::fs::write(&xml, &text).unwrap();
        let there = convert(root, &[&xml]);
        std::fs::write(&json, &there).unwrap();
        let back = convert(root, &[Path::new("--type"), Path::new(root.name), &json]);
        assert_eq!(
            serde_json::from_slice::<Value>(&there).unwrap(),
            value(text.as_bytes())
        );
        assert_eq!(value(&back), value(text.as_bytes()), "{}", root.name);
    }
}

/// What `emgate convert` writes.
fn convert(root: Root, arguments: &[&Path]) -> Vec<u8> {
    let run = Command::new(env!("CARGO_BIN_EXE_emgate"))
        .arg("convert")
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{}: {said}", root.name);
    run.stdout
}
