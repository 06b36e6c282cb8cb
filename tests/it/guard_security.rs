//! SECURITY.md: every threat names a test that shows what holds it, and every test that is named exists.

use std::fs;
use std::path::{Path, PathBuf};

/// Where a file may be, as it is named.
const BASES: [&str; 4] = ["tests/it", "tests", "src", "src/http"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of the table of threats: what is threatened, and the column that shows it.
fn threats() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("SECURITY.md")).expect("the document");
    let (_, table) = text.split_once("\n## Threats\n").expect("the table");
    let (table, _) = table.split_once("\n## ").expect("its end");
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
    let mut missing = Vec::new();
    let mut found = 0;
    for (threat, shown) in threats() {
        for named in shown.split('`').filter(|part| part.contains("::")) {
            let (file, name) = named.split_once("::").expect("file and name");
            found += 1;
            if !has(file, name) {
                missing.push(format!("{threat}: {named}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(found > 40, "{found}");
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
