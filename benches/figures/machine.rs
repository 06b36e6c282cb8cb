//! Where and with what it was measured: the machine, and the versions of everything in the table.

use std::path::Path;
use std::process::Command;

/// Name, and the command whose output has its version.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("rustc", &["rustc", "--version"]),
    ("nginx", &["sh", "-c", "PATH=$PATH:/usr/sbin nginx -v"]),
    ("Envoy", &[".tools/bin/envoy", "--version"]),
    (
        "PostgreSQL",
        &[
            "sh",
            "-c",
            "$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)/postgres --version",
        ],
    ),
    ("Node", &["node", "--version"]),
    ("Go", &["go", "version"]),
    ("Python", &[".tools/converters-python/bin/python", "--version"]),
];

/// Name, the file of a list of packages, and what its version is behind there.
const LIBRARIES: &[(&str, &str, &str)] = &[
    ("quick-xml", "Cargo.lock", "name = \"quick-xml\""),
    ("hyper", "Cargo.lock", "name = \"hyper\""),
    ("fast-xml-parser", ".tools/converters/.wanted", "fast-xml-parser@"),
    ("xml2js", ".tools/converters/.wanted", "xml2js@"),
    ("xmltodict", ".tools/converters-python/.wanted", "xmltodict=="),
    ("lxml", ".tools/converters-python/.wanted", "lxml=="),
];

/// Processes that ran or waited for a processor in the last minute; 0 where the system does not say.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next();
    first.and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// Processor, cores, memory, kernel.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name).map(str::to_owned));
        line.unwrap_or_default()
            .trim_start_matches([':', '\t', ' '])
            .to_owned()
    };
    let kib = field("/proc/meminfo", "MemTotal");
    let kib: f64 = kib.trim_end_matches(" kB").parse().unwrap_or(f64::NAN);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{}, {cores} cores, {:.1} GB of memory, kernel {}",
        field("/proc/cpuinfo", "model name"),
        kib * 1024.0 / 1e9,
        kernel.trim()
    )
}

/// The revision that is measured; `+` behind it says that files were changed since.
pub fn revision() -> String {
    let revision = output(&["git", "rev-parse", "--short", "HEAD"]);
    let changed = !output(&["git", "status", "--porcelain", "--untracked-files=no"])
        .trim()
        .is_empty();
    format!("{}{}", revision.trim(), if changed { "+" } else { "" })
}

/// Names with their versions; what is not installed is left out.
pub fn versions() -> Vec<(String, String)> {
    let programs = PROGRAMS
        .iter()
        .map(|(name, command)| (*name, version(&output(command))));
    let libraries = LIBRARIES.iter().map(|(name, file, mark)| {
        let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        (*name, version_behind(&text, mark))
    });
    let emgate = std::iter::once(("emgate".to_owned(), revision()));
    let others = programs.chain(libraries);
    emgate
        .chain(others.filter_map(|(name, version)| Some((name.to_owned(), version?))))
        .collect()
}

/// The version behind a mark.
pub fn version_behind(text: &str, mark: &str) -> Option<String> {
    version(text.split_once(mark)?.1)
}

/// The first word that looks like a version.
pub fn version(text: &str) -> Option<String> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '@' | '=' | '(' | ')'));
    let mut versions = words.filter_map(|word| {
        let word = word
            .trim_start_matches(|c: char| c.is_ascii_alphabetic())
            .trim_end_matches(',');
        let is = word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
        is.then(|| word.to_owned())
    });
    versions.next()
}

/// What a command says, wherever it says it; nothing if it cannot be run.
fn output(command: &[&str]) -> String {
    let Some((program, arguments)) = command.split_first() else {
        return String::new();
    };
    let here = root().join(program);
    let program = if here.exists() { here } else { program.into() };
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    )
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
