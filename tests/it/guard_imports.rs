//! The walls of the house: which room may import which, and which crates stay in one room.
//!
//! Reads every `crate::…` path under `src` (comments aside) and holds it against the table below, which is the table
//! of ARCHITECTURE.md.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Room, and the rooms it may import besides itself. The rows up to `http` stand in ARCHITECTURE.md as well.
const MAY_IMPORT: &[(&str, &str)] = &[
    ("text", ""),
    // Of the clock only the reckoning with moments; checked apart.
    ("domain", "text clock"),
    ("catalogue", "text"),
    ("clock", ""),
    ("telemetry", ""),
    ("api_types", "domain text"),
    ("transcode", "catalogue text"),
    ("runtime", "clock telemetry"),
    ("upstream", "domain catalogue transcode runtime clock telemetry"),
    ("store", "domain runtime clock telemetry"),
    (
        "watcher",
        "domain api_types upstream store runtime clock telemetry",
    ),
    ("webhooks", "domain api_types store runtime clock telemetry"),
    ("mirror", "domain catalogue text"),
    (
        "app",
        "domain api_types catalogue mirror transcode upstream store webhooks runtime clock telemetry text",
    ),
    ("json", "domain text"),
    ("auth", "domain json runtime clock telemetry"),
    (
        "http",
        "domain api_types catalogue mirror app json auth runtime clock telemetry text",
    ),
    // Of the rooms it may see their `config` and nothing else; checked apart.
    ("config", "auth http upstream store watcher webhooks telemetry"),
    ("sim", "clock catalogue text"),
    (
        "bootstrap",
        "domain api_types catalogue transcode upstream store watcher webhooks app auth http config runtime clock telemetry",
    ),
    (
        "cli",
        "domain auth config bootstrap catalogue transcode http clock telemetry",
    ),
    ("demo", "config bootstrap sim cli telemetry"),
    ("main", "cli demo sim telemetry"),
];

/// A crate, and the rooms that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("jsonwebtoken", &["auth", "demo"]),
    ("quick_xml", &["transcode", "sim"]),
    ("axum", &["http", "bootstrap", "demo"]),
];

/// Crates that bring waiting, wires or documents, of which the domain knows nothing (derives of serde are values' own).
const NOT_IN_DOMAIN: &[&str] = &["serde_json", "tokio", "reqwest", "http", "tracing", "metrics"];

struct Source {
    /// Below `src`.
    path: PathBuf,
    /// Without comments.
    text: String,
}

impl Source {
    /// `src/http/routes/plans.rs` belongs to `http`.
    fn room(&self) -> String {
        let first = self.path.iter().next().unwrap();
        Path::new(first)
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    }

    /// How many modules deep: `src/http/mod.rs` and `src/http.rs` are 1, `src/http/config.rs` is 2.
    fn depth(&self) -> usize {
        let parts = self.path.iter().count();
        if self.path.ends_with("mod.rs") {
            parts - 1
        } else {
            parts
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let without_comments = text.lines().map(|line| line.split("//").next().unwrap_or(line));
                let text = without_comments.collect::<Vec<_>>().join("\n");
                found.push(Source {
                    path: path.strip_prefix(&root).unwrap().to_owned(),
                    text,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 20, "the guard looks in the wrong place");
    found
}

/// The paths that begin with `prefix` (`crate::`), groups taken apart one level: `crate::{a::B, c}` gives `a::B`, `c`.
fn paths(text: &str, prefix: &str) -> Vec<String> {
    let path = |from: &str| -> String {
        from.chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
            .collect()
    };
    let mut found = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
            continue;
        }
        let rest = &text[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(path(rest));
            continue;
        };
        let (mut depth, mut start) = (1, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => start = true,
                c if start && !c.is_whitespace() => {
                    found.push(path(&group[at..]));
                    start = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

fn imported_by(source: &Source) -> Vec<String> {
    paths(
        &source.text,
        if source.room() == "main" {
            "emgate::"
        } else {
            "crate::"
        },
    )
}

fn allowed(room: &str) -> Option<BTreeSet<&'static str>> {
    let (_, rooms) = MAY_IMPORT.iter().find(|(name, _)| *name == room)?;
    Some(rooms.split_whitespace().collect())
}

#[test]
fn every_room_stands_in_the_table() {
    for source in sources() {
        let room = source.room();
        assert!(
            room == "lib" || allowed(&room).is_some(),
            "src/{} opens a new room `{room}`. Put the code into the room whose question it answers (ARCHITECTURE.md), \
             or, when a room is really missing, give it a row in MAY_IMPORT and in ARCHITECTURE.md.",
            source.path.display(),
        );
    }
}

#[test]
fn imports_go_downward_only() {
    let mut wrong = Vec::new();
    for source in sources() {
        let room = source.room();
        let Some(rooms) = allowed(&room) else { continue };
        for path in imported_by(&source) {
            let target = path.split("::").next().unwrap_or_default();
            // A macro or an item of the crate's root has no room.
            let is_room = allowed(target).is_some();
            if is_room && target != room && !rooms.contains(target) {
                wrong.push(format!(
                    "src/{}: `{room}` imports `{path}`",
                    source.path.display()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nA room imports downward only. What needs two rooms belongs above both (app, watcher, webhooks, bootstrap); \
         a rule without waiting belongs into domain. Change the table only together with ARCHITECTURE.md, when the \
         house itself changes.",
        wrong.join("\n"),
    );
}

#[test]
fn config_sees_of_a_room_its_configuration_only() {
    for source in sources().iter().filter(|source| source.room() == "config") {
        for path in imported_by(source) {
            let mut parts = path.split("::");
            let room = parts.next().unwrap_or_default();
            if ["config", "telemetry"].contains(&room) {
                continue;
            }
            // `use crate::{http, store}` names the rooms to write `http::config::Config` below.
            let second = parts.next().filter(|part| !part.is_empty());
            assert!(
                second.is_none_or(|part| part == "config" || part == "Config"),
                "src/{}: `{path}`. The configuration fills the rooms' `config.rs` and knows nothing else of them.",
                source.path.display(),
            );
        }
    }
}

#[test]
fn the_domain_reads_no_clock() {
    for source in sources().iter().filter(|source| source.room() == "domain") {
        for path in imported_by(source) {
            assert!(
                !path.starts_with("clock") || path == "clock::later",
                "src/{}: `{path}`. Moments come into the domain as values; of the clock's room it uses `later` alone.",
                source.path.display(),
            );
        }
    }
}

#[test]
fn nobody_climbs_out_of_a_room_by_super() {
    for source in sources() {
        let inline = source
            .text
            .lines()
            .position(|line| line.contains("mod ") && line.ends_with('{'));
        let inline = inline.unwrap_or(usize::MAX);
        for (number, line) in source.text.lines().enumerate() {
            // Within an inline module one `super::` more stays inside.
            let depth = source.depth() + usize::from(number > inline);
            let climb = "super::".repeat(depth);
            assert!(
                !line.contains(&climb),
                "src/{}:{} leaves its room by `{climb}`. Write `crate::…`, so that the import can be seen and judged.",
                source.path.display(),
                number + 1,
            );
        }
    }
}

#[test]
fn some_crates_stay_in_their_room() {
    for source in sources() {
        let room = source.room();
        for (name, rooms) in CRATES {
            assert!(
                rooms.contains(&room.as_str()) || paths(&source.text, &format!("{name}::")).is_empty(),
                "src/{} names `{name}`, which belongs to {rooms:?} alone: ask that room for a verb instead.",
                source.path.display(),
            );
        }
        for name in NOT_IN_DOMAIN {
            assert!(
                room != "domain" || paths(&source.text, &format!("{name}::")).is_empty(),
                "src/{} names `{name}`. The domain holds rules without I/O, waiting or formats; JSON is made in api_types.",
                source.path.display(),
            );
        }
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

#[test]
fn the_guard_sees_groups_nesting_and_paths_in_code() {
    let text = "use crate::{store::{self, Store}, http};\nlet x = crate::clock::now();\nuse other_crate::y;";
    assert_eq!(paths(text, "crate::"), ["store::", "http", "clock::now"]);
}
