//! Paths and headings that comments and documents cite exist.
//!
//! A reader follows `tests/it/address.rs` or `docs/behaviour.md#joining` at the moment of need; a citation that leads
//! nowhere is worse than none.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where sources and documents are.
const READ: &[&str] = &[
    "src",
    "tests",
    "benches",
    "fuzz/fuzz_targets",
    "docs",
    "scripts",
    "helm",
    "web",
    "openapi",
];

/// Files at the top.
const TOP: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "Cargo.toml",
    "Makefile",
    "Dockerfile",
    "clippy.toml",
    "deny.toml",
    "rustfmt.toml",
    ".ci/run",
    ".config/nextest.toml",
];

/// A path may be written from any of these.
const BASES: &[&str] = &["", "src", "tests", "tests/it"];

/// Endings by which a word without a slash counts as a file's name.
const FILES: &[&str] = &[".rs", ".md", ".sh", ".mjs", ".sql"];

/// Examples in texts about paths, which name no file of ours.
const EXAMPLES: &[&str] = &["src/http.rs", "src/http/routes/plans.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// How a comment begins in a file of that name; everything counts where it is empty.
fn comment_mark(file: &Path) -> Option<&'static str> {
    let ending = file.extension().and_then(|ending| ending.to_str());
    match ending {
        Some("md") => Some(""),
        Some("rs" | "mjs" | "ts" | "js") => Some("//"),
        Some("sql") => Some("--"),
        Some("sh" | "py" | "toml" | "yaml" | "yml") => Some("#"),
        Some(_) => None,
        None => (!file.starts_with(root().join("tests/fixtures"))).then_some("#"),
    }
}

/// The comment of a line, also one behind code; an address in a text is none.
fn comment<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    if line.trim_start().starts_with(mark) {
        return Some(line);
    }
    let (_, behind) = line.split_once(&format!(" {mark} "))?;
    Some(behind)
}

/// Every line in which something may be cited: all of a document, the comments of a source.
fn citing_lines() -> Vec<(PathBuf, usize, String)> {
    let mut files: Vec<PathBuf> = TOP.iter().map(|name| root().join(name)).collect();
    for folder in READ {
        files_below(&root().join(folder), &mut files);
    }
    let mut lines = Vec::new();
    for file in files {
        let Some(mark) = comment_mark(&file) else { continue };
        let text = fs::read_to_string(&file).unwrap();
        let shown = file.strip_prefix(root()).unwrap();
        for (number, line) in text.lines().enumerate() {
            if let Some(words) = comment(line, mark) {
                lines.push((shown.to_owned(), number + 1, words.to_owned()));
            }
        }
    }
    assert!(lines.len() > 2000, "the guard looks in the wrong place");
    lines
}

fn exists(cited: &str, beside: &Path) -> bool {
    let cited = cited.trim_end_matches(['/', '.']);
    let bases = BASES.iter().map(|base| root().join(base));
    bases
        .chain([root().join(beside.parent().unwrap())])
        .any(|base| base.join(cited).exists() || base.join(format!("{cited}.rs")).exists())
}

/// What is between backticks and has the form of a path of ours.
fn cited_paths<'a>(line: &'a str, tops: &BTreeSet<String>) -> Vec<&'a str> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| {
            word.chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        })
        .filter(|word| match word.split_once('/') {
            Some((first, _)) => tops.contains(first),
            None => FILES
                .iter()
                .any(|ending| word.ends_with(ending) && word.len() > ending.len()),
        })
        .filter(|word| !EXAMPLES.contains(word))
        .collect()
}

/// The anchors of a document, as GitHub makes them of its headings.
fn anchors(document: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(document).unwrap_or_default();
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let kept = line.trim_start_matches('#').trim().to_lowercase();
            kept.chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// `docs/behaviour.md#joining`, and `#actions` after it: the document and the anchor of each.
fn cited_anchors(line: &str, beside: &Path) -> Vec<(PathBuf, String)> {
    let mut document: Option<PathBuf> = None;
    let mut found = Vec::new();
    for word in line.split([' ', '(', ')', ',', ';', '`', '·', '|']) {
        let Some((page, anchor)) = word.split_once('#') else {
            continue;
        };
        if Path::new(page).extension().is_some_and(|ending| ending == "md") {
            let from_root = root().join(page);
            let from_here = root().join(beside.parent().unwrap()).join(page);
            document = Some(if from_root.exists() { from_root } else { from_here });
        } else if !page.is_empty() {
            continue;
        } else if beside.extension().is_some_and(|ending| ending == "md") {
            document = Some(root().join(beside));
        }
        let anchor = anchor.trim_end_matches(['.', ':']);
        if let Some(document) = &document
            && anchor.chars().next().is_some_and(|c| c.is_ascii_lowercase())
        {
            found.push((document.clone(), anchor.to_owned()));
        }
    }
    found
}

#[test]
fn cited_paths_exist() {
    let mut tops: BTreeSet<String> = [
        "src", "tests", "docs", "benches", "scripts", "openapi", "helm", "fuzz", "web",
    ]
    .map(str::to_owned)
    .into();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tops.insert(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    let mut everything = Vec::new();
    for folder in READ {
        files_below(&root().join(folder), &mut everything);
    }
    let names: BTreeSet<String> = everything
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .chain(TOP.iter().map(|name| (*name).to_owned()))
        .collect();
    let mut dangling = Vec::new();
    for (file, number, line) in citing_lines() {
        for cited in cited_paths(&line, &tops) {
            let found = exists(cited, &file) || (!cited.contains('/') && names.contains(cited));
            if !found {
                dangling.push(format!("{}:{number}: `{cited}`", file.display()));
            }
        }
    }
    assert!(
        dangling.is_empty(),
        "these paths lead nowhere:\n{}",
        dangling.join("\n")
    );
}

#[test]
fn cited_headings_exist() {
    let mut dangling = Vec::new();
    for (file, number, line) in citing_lines() {
        for (document, anchor) in cited_anchors(&line, &file) {
            if !anchors(&document).contains(&anchor) {
                dangling.push(format!(
                    "{}:{number}: {}#{anchor}",
                    file.display(),
                    document.display()
                ));
            }
        }
    }
    assert!(
        dangling.is_empty(),
        "these headings do not exist:\n{}",
        dangling.join("\n")
    );
}

#[test]
fn comments_are_recognised_also_behind_code() {
    assert_eq!(comment("    // one", "//"), Some("    // one"));
    assert_eq!(comment("mod a; // see `main.rs`", "//"), Some("see `main.rs`"));
    assert_eq!(comment("let a = \"http://a.example\";", "//"), None);
    assert_eq!(comment_mark(Path::new("a/b.py")), Some("#"));
    assert_eq!(comment_mark(Path::new("a/b.xml")), None);
}

#[test]
fn citations_are_recognised() {
    let tops = BTreeSet::from(["tests".to_owned()]);
    assert_eq!(
        cited_paths(
            "see `tests/it/gone.rs`, `gone.md`, `Rel`, `text/plain` and `.md`",
            &tops
        ),
        ["tests/it/gone.rs", "gone.md"]
    );
    let anchors: Vec<String> =
        cited_anchors("(docs/behaviour.md#joining, #actions)", Path::new("src/lib.rs"))
            .into_iter()
            .map(|(_, anchor)| anchor)
            .collect();
    assert_eq!(anchors, ["joining", "actions"]);
}
