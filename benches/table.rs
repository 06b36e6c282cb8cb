//! One table of all that `make bench` measured, with the machine and the versions, and the same as JSON in `target/bench.json`.
//!
//! The other benches ran before and left their figures below `target/bench` (`scripts/bench.sh`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement that meets the unexpected shall end loudly"
)]

#[path = "figures/mod.rs"]
#[allow(dead_code, reason = "the benches that measure use the rest")]
mod figures;

use figures::{Figures, Group, Row, lines, machine, text};
use serde_json::json;

/// Those that leave figures, in the table's order.
const PROGRAMS: [&str; 2] = ["load", "transcode"];

fn main() {
    let mut all: Vec<Figures> = PROGRAMS.into_iter().filter_map(Figures::read).collect();
    all.extend(footprint());
    let loads = || all.iter().map(|figures| figures.load);
    let begun = loads().next().map_or(f64::NAN, |load| load.0);
    let ended = loads().next_back().map_or(f64::NAN, |load| load.1);
    let versions = machine::versions();
    let named: Vec<String> = versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    println!("machine   {}", machine::machine());
    println!("load      {begun:.1} when it began, {ended:.1} when it ended");
    println!("versions  {}", named.join(", "));
    println!("medians (least to most) of interleaved rounds; shares are of each round\n");
    print!("{}", text::table(&all));
    let rows: Vec<&Row> = all.iter().flat_map(|figures| &figures.rows).collect();
    let met = |wanted: bool| rows.iter().filter(|row| row.is_met() == Some(wanted)).count();
    println!("\n{} goals are met, {} are not", met(true), met(false));
    let document = json!({
        "machine": machine::machine(),
        "load": { "begun": begun, "ended": ended },
        "versions": versions.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "rows": rows.iter().map(|row| judged(row)).collect::<Vec<_>>(),
    });
    let path = figures::folder().with_extension("json");
    std::fs::write(&path, serde_json::to_vec_pretty(&document).expect("JSON")).expect("written");
    println!("{} has the same with the values of all rounds", path.display());
}

/// A row with what the table makes of it.
fn judged(row: &Row) -> serde_json::Value {
    let mut value = serde_json::to_value(row).expect("JSON");
    value["median"] = json!(row.spread().median);
    value["share"] = json!(row.share().map(|share| share.median));
    value["goal"] = json!(row.goal());
    value["met"] = json!(row.is_met());
    value
}

/// The bench of the footprint says its figures in lines, which `make bench` keeps.
fn footprint() -> Option<Figures> {
    let said = std::fs::read_to_string(figures::folder().join("footprint.txt")).ok()?;
    let group = Group {
        name: "footprint".to_owned(),
        about: "what the gateway costs when nothing happens".to_owned(),
    };
    let rows = said.lines().filter_map(lines::row).map(|mut row| {
        row.group.clone_from(&group.name);
        row
    });
    Some(Figures {
        rows: rows.collect(),
        groups: vec![group],
        load: (machine::load(), machine::load()),
        ..Figures::default()
    })
}
