//! How tests are written: a name is one promise, short enough to be read in a list of failures, and time passes in one
//! place, so that every wait has a condition and a deadline.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The most characters of a name.
const LONGEST: usize = 80;

/// Where tests may sleep: the helpers for waiting, and a process that has no other module. Chaos is about time passing.
const MAY_SLEEP: &[&str] = &[
    "tests/support/waiting.rs",
    "tests/support/process.rs",
    "tests/chaos/",
];

/// The tests of a file, also those within modules and macros.
fn tests_in(tokens: TokenStream, found: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut is_test = false;
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1);
        match (token, next) {
            (TokenTree::Punct(hash), Some(TokenTree::Group(attribute))) if hash.as_char() == '#' => {
                // `test`, `tokio::test(…)`, `rstest`, `rstest::rstest`
                let path = attribute.stream().into_iter().take_while(|part| match part {
                    TokenTree::Ident(_) => true,
                    TokenTree::Punct(colon) => colon.as_char() == ':',
                    TokenTree::Group(_) | TokenTree::Literal(_) => false,
                });
                let last = path.last().map(|word| word.to_string()).unwrap_or_default();
                is_test |= ["test", "rstest"].contains(&last.as_str());
            }
            (TokenTree::Ident(word), Some(TokenTree::Ident(name))) if word == "fn" => {
                if is_test {
                    found.push(name.to_string());
                }
                is_test = false;
            }
            (TokenTree::Group(group), _) if group.delimiter() != Delimiter::Bracket => {
                tests_in(group.stream(), found);
            }
            _ => {}
        }
    }
}

/// Every source below these folders: path and text.
fn sources(below: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = below.iter().map(|name| root.join(name)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let shown = path.strip_prefix(root).unwrap().display().to_string();
                found.push((shown, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 50, "the guard looks in the wrong place");
    found
}

#[test]
fn names_of_tests_are_short() {
    let mut long = Vec::new();
    for (file, text) in sources(&["src", "tests", "benches"]) {
        let mut names = Vec::new();
        tests_in(text.parse().unwrap(), &mut names);
        let names = names.iter().filter(|name| name.len() > LONGEST);
        long.extend(names.map(|name| format!("{file}: {name} ({} characters)", name.len())));
    }
    assert!(
        long.is_empty(),
        "{}\nA name has at most {LONGEST} characters: one promise, subject first. What needs an `and` is two tests.",
        long.join("\n"),
    );
}

#[test]
fn tests_wait_in_one_place() {
    // Not in one piece, or this file would be found.
    let sleep = ["sleep", "("].concat();
    let mut found = Vec::new();
    for (file, text) in sources(&["tests"]) {
        let may_sleep = MAY_SLEEP.iter().any(|known| file.starts_with(known));
        let calls = text.lines().filter(|line| line.contains(&sleep));
        let calls = calls.filter(|_| !may_sleep);
        found.extend(calls.map(|line| format!("{file}: {}", line.trim())));
    }
    assert!(
        found.is_empty(),
        "{}\nWait for a condition by `waiting::eventually` or `holds`; a double that is slow on purpose calls `slowly`.",
        found.join("\n"),
    );
}

#[test]
fn tests_are_found_wherever_they_are() {
    let text = "#[test] fn a() {} #[tokio::test(flavor = \"multi_thread\")] async fn b() {} \
                #[rstest] #[case::x(1)] fn c(#[case] x: u8) {} mod m { #[test] #[should_panic] pub fn d() { fn no() {} } } \
                proptest! { #[test] fn e(x in 0..1) {} } #[cfg(test)] fn helper() {} // #[test] fn comment() {}";
    let mut found = Vec::new();
    tests_in(text.parse().unwrap(), &mut found);
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
}
