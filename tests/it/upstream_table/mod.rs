//! `docs/upstream-faults.md`, row by row: every row has a scenario, every scenario a row, and what the row says is
//! what was seen at a real gateway.

mod answers;
mod logons;
mod runs;
mod stage;
mod table;
mod ways;

use std::collections::BTreeSet;

use futures_util::future::{LocalBoxFuture, join_all};
use stage::Observed;

/// A row's key and what is done for it, with a gateway of its own.
type Scenario = (&'static str, fn() -> LocalBoxFuture<'static, Observed>);

/// The scenarios of all chapters.
fn keys() -> Vec<&'static str> {
    let own = [ways::SCENARIOS, logons::SCENARIOS, runs::SCENARIOS].concat();
    answers::keys()
        .into_iter()
        .chain(own.into_iter().map(|(key, _)| key))
        .collect()
}

#[test]
fn rows_and_scenarios_match() {
    let rows: BTreeSet<String> = table::read().into_keys().collect();
    let scenarios: BTreeSet<String> = keys().into_iter().map(str::to_owned).collect();
    assert_eq!(rows, scenarios);
    assert_eq!(keys().len(), scenarios.len(), "a scenario stands there twice");
    assert!(rows.len() >= 30, "{} rows", rows.len());
}

/// Fails with everything that the table says otherwise than it was seen.
fn compare(seen: &[(&'static str, Observed)]) {
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

/// What each of the scenarios saw, all at the same time.
async fn together(scenarios: &'static [Scenario]) -> Vec<(&'static str, Observed)> {
    join_all(
        scenarios
            .iter()
            .map(|(key, scenario)| async move { (*key, scenario().await) }),
    )
    .await
}
