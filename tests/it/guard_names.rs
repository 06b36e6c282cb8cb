//! The names of tests: each is one promise, short enough to be read in a list of failures.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The most characters of a name.
const LONGEST: usize = 80;

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

/// Every test of the repository: file and name.
fn all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = ["src", "tests", "benches"].map(|name| root.join(name)).into();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let mut names = Vec::new();
                tests_in(fs::read_to_string(&path).unwrap().parse().unwrap(), &mut names);
                let shown = path.strip_prefix(root).unwrap().display().to_string();
                found.extend(names.into_iter().map(|name| (shown.clone(), name)));
            }
        }
    }
    assert!(found.len() > 500, "the guard looks in the wrong place");
    found
}

#[test]
fn names_of_tests_are_short() {
    let long: Vec<String> = all()
        .into_iter()
        .filter(|(_, name)| name.len() > LONGEST)
        .map(|(file, name)| format!("{file}: {name} ({} characters)", name.len()))
        .collect();
    assert!(
        long.is_empty(),
        "{}\nA name has at most {LONGEST} characters: one promise, subject first. What needs an `and` is two tests.",
        long.join("\n"),
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
