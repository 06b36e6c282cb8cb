//! `docs/upstream-faults.md`, row by row: every row has a scenario, every scenario a row, and what the row says is
//! what was seen at a real gateway.

mod answers;
mod stage;
mod table;

use std::collections::BTreeSet;

use stage::Observed;

/// The scenarios of all chapters.
fn keys() -> Vec<&'static str> {
    [answers::keys()].concat()
}

#[test]
fn every_row_has_a_scenario_and_every_scenario_a_row() {
    let rows: BTreeSet<String> = table::read().into_keys().collect();
    let scenarios: BTreeSet<String> = keys().into_iter().map(str::to_owned).collect();
    assert_eq!(rows, scenarios);
    assert_eq!(keys().len(), scenarios.len(), "a scenario stands there twice");
    assert!(rows.len() >= 30, "{} rows", rows.len());
}

/// Fails with everything that the table says otherwise than it was seen.
fn compare(seen: Vec<(&'static str, Observed)>) {
    let rows = table::read();
    let lies: Vec<String> = seen
        .iter()
        .flat_map(|(key, seen)| {
            rows.get(*key).map_or_else(
                || vec![format!("`{key}` has no row: {seen:?}")],
                |row| row.lies(seen),
            )
        })
        .collect();
    assert!(
        lies.is_empty(),
        "docs/upstream-faults.md is not true:\n{}",
        lies.join("\n")
    );
}
