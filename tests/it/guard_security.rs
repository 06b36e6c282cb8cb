//! SECURITY.md and docs/webhook-failures.md: every threat and every case names a test that shows what holds, and every test
//! that is named exists.

use std::fs;
use std::path::{Path, PathBuf};

/// Where a file may be, as it is named.
const BASES: [&str; 4] = ["tests/it", "tests", "src", "src/http"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of the table of threats: what is threatened, and the column that shows it.
fn threats() -> Vec<(String, String)> {
    table("SECURITY.md", "Threats")
}

/// The rows of the table below a heading: the first and the last of their three cells.
fn table(document: &str, heading: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join(document)).expect("the document");
    let (_, table) = text.split_once(&format!("\n## {heading}\n")).expect("the table");
    let table = table.split("\n## ").next().expect("its end");
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(2);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [threat, _, shown] = cells.as_slice() else {
            panic!("not three cells: {row}");
        };
        ((*threat).to_owned(), (*shown).to_owned())
    })
    .collect()
}

/// Whether the file has the test: a function, a row of a table of tests, or a scene of a script.
fn has(file: &str, name: &str) -> bool {
    let paths: Vec<PathBuf> = BASES.iter().map(|base| root().join(base).join(file)).collect();
    paths
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .any(|text| {
            text.contains(&format!("fn {name}("))
                || text.contains(&format!("\n    {name} = "))
                || text.contains(&format!("\"{name}\""))
        })
}

#[test]
fn every_test_that_the_threats_name_exists() {
    assert!(named_tests(threats()) > 40);
}

#[test]
fn every_failure_of_webhooks_names_a_test_that_exists() {
    let cases = table("docs/webhook-failures.md", "Cases");
    assert_eq!(cases.len(), 25);
    for (case, shown) in &cases {
        assert!(shown.contains("::"), "{case}");
    }
    assert!(named_tests(cases) > 40);
}

/// How many tests the rows name, all of which exist.
fn named_tests(rows: Vec<(String, String)>) -> usize {
    let mut missing = Vec::new();
    let mut found = 0;
    for (threat, shown) in rows {
        for named in shown.split('`').filter(|part| part.contains("::")) {
            let (file, name) = named.split_once("::").expect("file and name");
            found += 1;
            if !has(file, name) {
                missing.push(format!("{threat}: {named}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    found
}

#[test]
fn every_threat_is_shown_to_be_held() {
    let threats = threats();
    assert!(threats.len() > 20, "{}", threats.len());
    for (threat, shown) in threats {
        assert!(shown.contains("::") || shown.starts_with("review"), "{threat}");
    }
    assert!(!has("limits.rs", "a_test_that_is_not_there"));
}
