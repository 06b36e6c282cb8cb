//! The corpus under `tests/fixtures/fuzz`, through the same checks as the fuzz targets: cut, hostile, deep and strange
//! input, and whatever fuzzing found. A new finding is a new file there.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/checks.rs"]
mod checks;

/// Every file of a target's corpus; each target has some.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/fuzz")
        .join(target);
    let mut found: Vec<_> = fs::read_dir(&folder)
        .expect("a corpus")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), fs::read(&path).expect("a file")))
        .collect();
    found.sort();
    assert!(found.len() >= 8, "{target} has lost its corpus");
    found
}

/// Runs `check` over a corpus and returns the files that fail.
fn replay(target: &str, check: impl Fn(&[u8])) {
    for (path, bytes) in corpus(target) {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&bytes)));
        assert!(outcome.is_ok(), "{} fails, see above", path.display());
    }
}

#[test]
fn fuzz_targets_and_corpora_match() {
    let names = |folder: &str| -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("fuzz/fuzz_targets"), names("tests/fixtures/fuzz"));
}

#[test]
fn whatever_comes_from_em_becomes_json_or_is_refused() {
    replay("decode", checks::decoding);
}

#[test]
fn whatever_a_caller_sends_becomes_a_document_or_is_refused() {
    replay("encode", checks::encoding);
}

#[test]
fn a_written_document_round_trips() {
    replay("roundtrip", checks::roundtrip);
}

#[test]
fn any_filter_is_rewritten_stably_or_refused_by_position() {
    replay("filter", |bytes| {
        checks::filtering(&String::from_utf8_lossy(bytes))
    });
}

#[test]
fn any_configuration_is_accepted_or_refused_by_name() {
    replay("config", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let mut parts = text
            .split("---\n")
            .map(|part| part.strip_suffix('\n').unwrap_or(part));
        let mut next = || parts.next().unwrap_or_default();
        checks::configuring(next(), next(), next());
    });
}
