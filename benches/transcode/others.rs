//! The converters that others use, each in its own runtime on the same document: loaded once, warmed up, by the median.
//!
//! What is not installed is said to be missing; `scripts/tools.sh converters` installs all.

use std::path::Path;
use std::process::Command;

/// Name, and the command behind the repository's root.
pub type Other = (&'static str, &'static [&'static str]);

pub const OTHERS: &[Other] = &[
    (
        "fast-xml-parser (Node)",
        &["node", "benches/transcode/others/convert.cjs", "fast-xml-parser"],
    ),
    (
        "xml2js (Node)",
        &["node", "benches/transcode/others/convert.cjs", "xml2js"],
    ),
    (
        "xmltodict (Python)",
        &[
            ".tools/converters-python/bin/python",
            "benches/transcode/others/convert.py",
            "xmltodict",
        ],
    ),
    (
        "lxml (Python)",
        &[
            ".tools/converters-python/bin/python",
            "benches/transcode/others/convert.py",
            "lxml",
        ],
    ),
    ("mxj (Go)", &[".tools/bin/convert-mxj"]),
];

/// The seconds that each needs for `xml`; none of what is missing.
pub fn seconds_of(others: &[Other], xml: &str) -> Vec<Option<f64>> {
    let path = std::env::temp_dir().join(format!("emgate-bench-{}.xml", std::process::id()));
    std::fs::write(&path, xml).expect("written");
    let found = others
        .iter()
        .map(|(_, command)| seconds(command, &path))
        .collect();
    let _ = std::fs::remove_file(&path);
    found
}

/// The median seconds of one conversion, as the converter's runtime measured it.
fn seconds(command: &[&str], path: &Path) -> Option<f64> {
    let (program, arguments) = command.split_first()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = if program.contains('/') {
        root.join(program)
    } else {
        program.into()
    };
    let output = Command::new(program)
        .args(arguments)
        .arg(path)
        .current_dir(root)
        .output()
        .ok()?;
    std::str::from_utf8(&output.stdout).ok()?.trim().parse().ok()
}
