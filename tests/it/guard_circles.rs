//! No circle between the files of a room, so that each file can be read before those that use it.
//!
//! A file depends on the files whose items it names, also by way of what another module re-exports. A file may
//! use what its parent module holds: parent and children are one thing. Tests
//! are not counted, nor are methods, whose file no path names. Between rooms `guard_imports.rs` holds the order.

use std::collections::{BTreeMap, BTreeSet};

use crate::rust_source::Tree;

/// Files that may form a circle, and why.
const ALLOWED: &[(&[&str], &str)] = &[
    (
        &[
            "src/transcode/decode.rs",
            "src/transcode/frame.rs",
            "src/transcode/leaf.rs",
            "src/transcode/page.rs",
            "src/transcode/start.rs",
            "src/transcode/state.rs",
            "src/transcode/unknown.rs",
        ],
        "an element holds elements: reading one file's kind of element comes back to reading any",
    ),
    (
        &["src/transcode/encode.rs", "src/transcode/listing.rs"],
        "a value holds lists of values: writing a list comes back to writing any value",
    ),
];

/// A circle: its files, and each import from one to another of them.
#[derive(Debug)]
struct Circle {
    files: BTreeSet<String>,
    imports: Vec<String>,
}

/// Each import from one file to another, children's of their parents aside: from, to, the path as written.
fn dependencies(tree: &Tree) -> BTreeMap<(usize, usize), BTreeSet<String>> {
    let place: BTreeMap<_, _> = tree
        .sources
        .iter()
        .enumerate()
        .map(|(at, source)| (&source.path, at))
        .collect();
    let mut found: BTreeMap<(usize, usize), BTreeSet<String>> = BTreeMap::new();
    for (from, source) in tree.sources.iter().enumerate() {
        for import in source.imports.iter().filter(|import| !import.in_tests) {
            let Some(target) = tree.home(import) else {
                continue;
            };
            // A module named alone is where other paths begin, which count by themselves.
            if target.item.is_empty() {
                continue;
            }
            let other = tree.file_of(&target.module);
            let is_parent = source.module.starts_with(&other.module);
            if !is_parent {
                let edge = found.entry((from, place[&other.path])).or_default();
                edge.insert(import.text());
            }
        }
    }
    found
}

/// The circles, largest first.
fn circles(tree: &Tree) -> Vec<Circle> {
    let edges = dependencies(tree);
    let reached: Vec<BTreeSet<usize>> = (0..tree.sources.len())
        .map(|start| {
            let (mut seen, mut left) = (BTreeSet::new(), vec![start]);
            while let Some(at) = left.pop() {
                let next = edges.range((at, 0)..(at + 1, 0)).map(|((_, to), _)| *to);
                left.extend(next.filter(|to| seen.insert(*to)));
            }
            seen
        })
        .collect();
    let name = |at: usize| format!("src/{}", tree.sources[at].path.display());
    let mut known = BTreeSet::new();
    let mut found = Vec::new();
    for start in 0..tree.sources.len() {
        let members: BTreeSet<usize> = reached[start]
            .iter()
            .copied()
            .filter(|other| reached[*other].contains(&start))
            .collect();
        if members.is_empty() || !known.insert(members.clone()) {
            continue;
        }
        let within = edges
            .iter()
            .filter(|((from, to), _)| members.contains(from) && members.contains(to));
        found.push(Circle {
            files: members.iter().map(|at| name(*at)).collect(),
            imports: within
                .map(|((from, to), paths)| {
                    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
                    format!("{} -> {} by `{}`", name(*from), name(*to), paths.join("`, `"))
                })
                .collect(),
        });
    }
    found.sort_by_key(|circle| std::cmp::Reverse(circle.files.len()));
    found
}

/// Whether all files of the circle are among these.
fn is_within(circle: &Circle, files: &[&str]) -> bool {
    circle.files.iter().all(|file| files.contains(&file.as_str()))
}

#[test]
fn files_of_a_room_form_no_circle() {
    let listed: Vec<&[&str]> = ALLOWED.iter().map(|(files, _)| *files).collect();
    let new: Vec<String> = circles(Tree::of_the_program())
        .into_iter()
        .filter(|circle| !listed.iter().any(|files| is_within(circle, files)))
        .map(|circle| {
            let files: Vec<String> = circle.files.into_iter().collect();
            format!(
                "a circle of {} files: {}\n  {}",
                files.len(),
                files.join(", "),
                circle.imports.join("\n  ")
            )
        })
        .collect();
    assert!(
        new.is_empty(),
        "{}\nMove what two of them share into a file that imports neither, or the smaller use to the side that is \
         imported; the import with the fewest names is the first to look at.",
        new.join("\n"),
    );
}

#[test]
fn every_listed_circle_is_still_one() {
    let found = circles(Tree::of_the_program());
    let allowed = ALLOWED.iter().map(|(files, _)| *files);
    let mut gone: Vec<&str> = Vec::new();
    for files in allowed {
        let left: BTreeSet<&str> = found
            .iter()
            .filter(|circle| is_within(circle, files))
            .flat_map(|circle| circle.files.iter().map(String::as_str))
            .collect();
        gone.extend(files.iter().copied().filter(|file| !left.contains(file)));
    }
    assert!(
        gone.is_empty(),
        "{gone:#?}\nare in no circle any more: take them from ALLOWED, so that they stay out."
    );
}

/// The circles of a made-up crate, each as its files.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    circles(&Tree::of(files))
        .into_iter()
        .map(|circle| circle.files.into_iter().collect::<Vec<_>>().join(" "))
        .collect()
}

#[rstest::rstest]
#[case::two_files(&[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", "fn f() { crate::a::A::new() }")], &["src/a.rs src/b.rs"])]
#[case::three_files(
    &[("lib.rs", "mod r;"), ("r.rs", "mod a; mod b; mod c;"), ("r/a.rs", "use super::b::B;"), ("r/b.rs", "use super::{c::{C}};"), ("r/c.rs", "x!(super::a::A);")],
    &["src/r/a.rs src/r/b.rs src/r/c.rs"]
)]
#[case::by_a_reexport(
    &[("lib.rs", "mod r;"), ("r.rs", "mod a; mod b; pub use a::A; pub(crate) use self::b::B as Other;"), ("r/a.rs", "use super::Other;"), ("r/b.rs", "use crate::r::A;")],
    &["src/r/a.rs src/r/b.rs"]
)]
#[case::by_a_glob_of_the_parent(
    &[("lib.rs", "mod a; mod b; use b::B;"), ("a.rs", "use super::*; fn f() { B::new() }"), ("b.rs", "use crate::a::A;")],
    &["src/a.rs src/b.rs"]
)]
#[case::by_a_module_that_was_imported(
    &[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b; fn f() { b::go() }"), ("b.rs", "use crate::a as other; fn go() { other::f() }")],
    &["src/a.rs src/b.rs"]
)]
#[case::through_the_children_of_a_sibling(
    &[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b/mod.rs", "mod c; pub struct B(c::C);"), ("b/c.rs", "use crate::a::A;")],
    &["src/a.rs src/b/c.rs src/b/mod.rs"]
)]
#[case::a_parent_and_its_children(
    &[("lib.rs", "mod r;"), ("r/mod.rs", "mod a; mod b; pub struct R(a::A, b::B);"), ("r/a.rs", "use super::R;"), ("r/b.rs", "use super::{R, a::A};")],
    &[]
)]
#[case::a_module_named_alone(
    &[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b; const X: b::c::C = 1;"), ("b/mod.rs", "mod c; use crate::a::A;"), ("b/c.rs", "pub struct C;")],
    &[]
)]
#[case::tests_alone(
    &[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", "#[cfg(test)] mod tests { use crate::a::A; } #[cfg(test)] mod more;"), ("b/more.rs", "use crate::a::A;")],
    &[]
)]
#[case::comments_and_strings(
    &[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", "// use crate::a::A;\nconst X: &str = \"see crate::a::A\";")],
    &[]
)]
fn circles_are_found(#[case] files: &[(&str, &str)], #[case] expected: &[&str]) {
    assert_eq!(circles_of(files), expected);
}
