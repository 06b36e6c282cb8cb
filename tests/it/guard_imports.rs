//! The imports between rooms: which room may import which, and which crates stay in one room.
//!
//! Holds every path under `src` that leads into another room, however it is written, against the table below, which is
//! the table of ARCHITECTURE.md.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::rust_source::{Import, Source, Tree};

/// Room, and the rooms it may import besides itself. The rows up to `http` are in ARCHITECTURE.md as well.
const MAY_IMPORT: &[(&str, &str)] = &[
    ("text", ""),
    // Of the clock only the reckoning with moments; checked apart.
    ("domain", "text clock"),
    ("catalogue", "text"),
    ("clock", ""),
    ("telemetry", "text"),
    ("api_types", "domain text"),
    ("transcode", "catalogue text"),
    ("runtime", "clock telemetry"),
    (
        "upstream",
        "domain catalogue transcode runtime clock telemetry text",
    ),
    ("store", "domain runtime clock telemetry text"),
    (
        "watcher",
        "domain api_types upstream store runtime clock telemetry",
    ),
    ("webhooks", "domain api_types store runtime clock telemetry text"),
    ("mirror", "domain catalogue text"),
    ("reports", "json"),
    ("survey", "catalogue transcode upstream text"),
    (
        "app",
        "domain api_types catalogue mirror transcode upstream store webhooks reports runtime clock telemetry text",
    ),
    ("json", "domain text"),
    ("auth", "domain json runtime clock telemetry"),
    (
        "http",
        "domain api_types catalogue mirror app json auth runtime clock telemetry text",
    ),
    // Of the rooms it may see their `config` and nothing else; checked apart.
    (
        "config",
        "app auth http upstream store watcher webhooks telemetry",
    ),
    ("sim", "clock catalogue text"),
    (
        "bootstrap",
        "domain api_types catalogue transcode upstream survey store watcher webhooks app auth http config runtime clock telemetry",
    ),
    (
        "cli",
        "domain auth config bootstrap catalogue transcode reports http clock telemetry text",
    ),
    ("demo", "config bootstrap sim cli clock telemetry text"),
    ("main", "cli demo sim telemetry"),
];

/// A crate, and the rooms that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("jsonwebtoken", &["auth", "demo"]),
    ("quick_xml", &["transcode", "survey", "sim"]),
    ("axum", &["http", "bootstrap", "demo"]),
];

/// Crates that bring waiting, wires or documents, of which the domain knows nothing (derives of serde are values' own).
const NOT_IN_DOMAIN: &[&str] = &["serde_json", "tokio", "reqwest", "http", "tracing", "metrics"];

fn allowed(room: &str) -> Option<BTreeSet<&'static str>> {
    let (_, rooms) = MAY_IMPORT.iter().find(|(name, _)| *name == room)?;
    Some(rooms.split_whitespace().collect())
}

/// The room that a path leads into, unless it stays in its own.
fn other_room(tree: &Tree, source: &Source, import: &Import) -> Option<String> {
    let target = tree.target(import)?;
    // An item of the crate's root, such as a macro, has no room.
    let room = target.module.first()?;
    (room != source.room()).then(|| room.clone())
}

/// Imports against the table, a line each.
fn upward(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in &tree.sources {
        let Some(rooms) = allowed(source.room()) else {
            continue;
        };
        for import in &source.imports {
            if let Some(room) = other_room(tree, source, import)
                && !rooms.contains(room.as_str())
            {
                wrong.push(format!(
                    "src/{}: `{}` imports `{}`",
                    source.path.display(),
                    source.room(),
                    import.text()
                ));
            }
        }
    }
    wrong
}

/// Imports that hide which room they lead into, a line each.
fn hidden(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in tree.sources.iter().filter(|source| source.room() != "lib") {
        for import in &source.imports {
            let climbs = import.parts.iter().filter(|part| *part == "super").count();
            let leaves = climbs >= import.module.len();
            let target = tree.target(import);
            let is_root = import.name.is_some()
                && target.is_some_and(|target| {
                    target.module.is_empty() && (target.item.is_empty() || target.item == ["*"])
                });
            if leaves || is_root {
                wrong.push(format!("src/{}: `{}`", source.path.display(), import.text()));
            }
        }
    }
    wrong
}

/// Where a crate is named, a line each: `of` says whether that room may.
fn crate_names(tree: &Tree, name: &str, of: impl Fn(&str) -> bool) -> Vec<String> {
    let foreign = tree.sources.iter().filter(|source| !of(source.room()));
    let imports = foreign.flat_map(|source| source.imports.iter().map(move |import| (source, import)));
    imports
        .filter(|(_, import)| import.parts[0] == name && tree.target(import).is_none())
        .map(|(source, import)| format!("src/{}: `{}`", source.path.display(), import.text()))
        .collect()
}

#[test]
fn every_room_is_in_the_table() {
    for source in &Tree::of_the_program().sources {
        let room = source.room();
        assert!(
            room == "lib" || allowed(room).is_some(),
            "src/{} opens a new room `{room}`. Put the code into the room whose question it answers (ARCHITECTURE.md), \
             or, when a room is really missing, give it a row in MAY_IMPORT and in ARCHITECTURE.md.",
            source.path.display(),
        );
    }
}

#[test]
fn imports_go_downward_only() {
    let wrong = upward(Tree::of_the_program());
    assert!(
        wrong.is_empty(),
        "{}\nA room imports downward only. What needs two rooms belongs above both (app, watcher, webhooks, bootstrap); \
         a rule without waiting belongs into domain. Change the table only together with ARCHITECTURE.md, when the \
         order of the rooms itself changes.",
        wrong.join("\n"),
    );
}

#[test]
fn every_import_names_the_room_it_leads_into() {
    let wrong = hidden(Tree::of_the_program());
    assert!(
        wrong.is_empty(),
        "{}\nName the room: `crate::room::…`, not by `super` from within another and not by the crate's root as a whole.",
        wrong.join("\n"),
    );
}

#[test]
fn the_domain_reads_no_clock() {
    let tree = Tree::of_the_program();
    for source in tree.sources.iter().filter(|source| source.room() == "domain") {
        for import in &source.imports {
            let text = import.text();
            assert!(
                !text.starts_with("crate::clock") || text == "crate::clock::later",
                "src/{}: `{text}`. Moments come into the domain as values; of the clock's room it uses `later` alone.",
                source.path.display(),
            );
        }
    }
}

#[test]
fn config_imports_only_the_configuration_of_a_room() {
    let tree = Tree::of_the_program();
    for source in tree.sources.iter().filter(|source| source.room() == "config") {
        for import in &source.imports {
            let Some(room) = other_room(tree, source, import) else {
                continue;
            };
            if room == "telemetry" {
                continue;
            }
            let target = tree.target(import).expect("it leads into a room");
            let second = target.module.get(1).or(target.item.first());
            // `use crate::{http, store}` names the rooms to write `http::config::Config` below.
            assert!(
                second.is_none_or(|part| part == "config" || part == "Config"),
                "src/{}: `{}`. The configuration fills the rooms' `config.rs` and knows nothing else of them.",
                source.path.display(),
                import.text(),
            );
        }
    }
}

#[test]
fn some_crates_stay_in_their_room() {
    let tree = Tree::of_the_program();
    for (name, rooms) in CRATES {
        let wrong = crate_names(tree, name, |room| rooms.contains(&room));
        assert!(
            wrong.is_empty(),
            "{}\n`{name}` belongs to {rooms:?} alone: ask that room for a verb instead.",
            wrong.join("\n"),
        );
    }
    for name in NOT_IN_DOMAIN {
        let wrong = crate_names(tree, name, |room| room != "domain");
        assert!(
            wrong.is_empty(),
            "{}\nThe domain holds rules without I/O, waiting or formats; JSON is made in api_types.",
            wrong.join("\n"),
        );
    }
}

#[test]
fn the_map_shows_the_same_table() {
    let map = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let map = fs::read_to_string(map).unwrap();
    let (_, section) = map.split_once("## Who may import whom").unwrap();
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with("| ---"))
        .skip(1);
    let mut shown = 0;
    for row in rows.take_while(|line| line.starts_with('|')) {
        let mut cells = row.trim_matches('|').split('|');
        let words = |cell: &str| -> BTreeSet<String> {
            let words = cell.split(|c: char| !c.is_alphanumeric() && c != '_');
            words
                .filter(|word| allowed(word).is_some())
                .map(str::to_owned)
                .collect()
        };
        let (rooms, imports) = (words(cells.next().unwrap()), words(cells.next().unwrap()));
        for room in rooms {
            let table: BTreeSet<String> = allowed(&room).unwrap().into_iter().map(str::to_owned).collect();
            assert_eq!(
                imports, table,
                "ARCHITECTURE.md and MAY_IMPORT differ about `{room}`"
            );
            shown += 1;
        }
    }
    assert!(shown >= 13, "ARCHITECTURE.md shows {shown} rooms");
}

/// A made-up crate whose room `domain` holds this.
fn with_domain(text: &str) -> Tree {
    Tree::of(&[
        ("lib.rs", "mod app; mod domain; mod store;"),
        ("app.rs", "pub struct App;"),
        ("domain/mod.rs", text),
        ("store.rs", "pub struct Store;"),
    ])
}

#[rstest::rstest]
#[case::plain("use crate::app::App;")]
#[case::nested("use crate::{store::{Store}, domain::x};")]
#[case::of_a_room_alone("use crate::app;")]
#[case::for_others("pub(crate) use crate::app::App;")]
#[case::in_code("fn f() { crate::app::App::new() }")]
#[case::in_a_macro("fn f() { json!({ \"a\": crate::app::App }) }")]
#[case::in_an_attribute("#[derive(crate::app::Derived)] struct S;")]
#[case::in_a_name_for_serde("struct S { #[serde(default = \"crate::app::default\")] x: u8 }")]
#[case::behind_an_address("const A: &str = \"http://a.example\"; use crate::app::App;")]
#[case::in_tests("#[cfg(test)] mod tests { use crate::app::App; }")]
#[case::by_super("mod inner { use super::super::app::App; }")]
#[case::as_a_crate("use emgate::app::App;")]
fn an_import_upward_is_found(#[case] text: &str) {
    assert_eq!(upward(&with_domain(text)).len(), 1, "{text}");
}

#[rstest::rstest]
#[case::own_items("use crate::domain::X; use self::y::Z; use std::app::App;")]
#[case::comments("// use crate::app::App;\n/* crate::app::App */ /// [`crate::app::App`]\nstruct S;")]
#[case::texts("const A: &str = \"use crate::app::App\";")]
fn no_import_is_seen_where_there_is_none(#[case] text: &str) {
    assert_eq!(upward(&with_domain(text)), [] as [String; 0]);
}

#[rstest::rstest]
#[case::by_super("use super::app::App;")]
#[case::by_super_from_within("mod inner { use super::super::app::App; }")]
#[case::root_under_a_name("use crate as all;")]
#[case::root_as_a_whole("use crate::*;")]
fn an_import_that_hides_its_room_is_found(#[case] text: &str) {
    assert_eq!(hidden(&with_domain(text)).len(), 1, "{text}");
}

#[rstest::rstest]
#[case::plain("use sqlx::Row;")]
#[case::alone("use sqlx;")]
#[case::in_a_group("use {std::fmt, sqlx::{Row as _}};")]
#[case::rooted("fn f() { ::sqlx::query(\"\") }")]
#[case::derived("#[derive(sqlx::FromRow)] struct S;")]
fn a_crate_is_found_outside_of_its_room(#[case] text: &str) {
    assert_eq!(
        crate_names(&with_domain(text), "sqlx", |room| room == "store").len(),
        1
    );
    assert_eq!(
        crate_names(&with_domain(text), "sqlx", |room| room == "domain").len(),
        0
    );
}
