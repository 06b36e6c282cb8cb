//! The converters that others use, each in its own runtime on the same document: loaded once, warmed up, by the median.
//!
//! What is not installed is said to be missing; `scripts/tools.sh converters` installs all.

use std::path::Path;
use std::process::Command;

/// Name, and the command behind the repository's root.
const OTHERS: &[(&str, &[&str])] = &[
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

/// Prints how the others do on `xml`, beside our `ours` seconds.
pub fn compare(xml: &str, ours: f64) {
    let path = std::env::temp_dir().join(format!("emgate-bench-{}.xml", std::process::id()));
    if std::fs::write(&path, xml).is_err() {
        return eprintln!("  the document cannot be written for the others");
    }
    let mut best = f64::INFINITY;
    for (name, command) in OTHERS {
        match seconds(command, &path) {
            Some(seconds) => {
                best = best.min(seconds);
                println!(
                    "  {name:<24}{:8.1} MB/s   ours is {:.0} times as fast",
                    xml.len() as f64 / 1e6 / seconds,
                    seconds / ours
                );
            }
            None => println!("  {name:<24} missing: scripts/tools.sh converters"),
        }
    }
    if best.is_finite() {
        println!(
            "  {:<24}{:.1} times the best of the others",
            "XML to JSON",
            best / ours
        );
    }
    let _ = std::fs::remove_file(&path);
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
