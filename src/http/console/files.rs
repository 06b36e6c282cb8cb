//! The files of the console, as they are in the program: one table, which a test compares with the folder `web/console`.

/// A file of the console.
pub(super) struct File {
    /// Its path below `web/console`.
    pub path: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        &[$(File { path: $path, bytes: include_bytes!(concat!("../../../web/console/", $path)) }),+]
    };
}

/// The page, of which every address of the console is a view.
pub(super) const INDEX: &str = "index.html";

/// All files, in the order of their paths.
pub(super) const FILES: &[File] = files![
    "index.html",
    "lib/api.js",
    "lib/base.js",
    "lib/failovers.js",
    "lib/hub.js",
    "lib/live.js",
    "lib/route.js",
    "live-worker.js",
    "main.js",
    "pages.js",
    "pages/approvals.js",
    "pages/board.js",
    "pages/deliveries.js",
    "pages/endpoints.js",
    "pages/failover.js",
    "pages/oversight.js",
    "pages/plans.js",
    "pages/records.js",
    "style.css",
    "ui/health.js",
    "ui/parts.js",
    "ui/shell.js",
    "vendor/LICENSES",
    "vendor/hooks.js",
    "vendor/htm.js",
    "vendor/preact.js",
];

/// The media types of the files that are served, by the ends of their names. What ends otherwise (hashes, types for
/// the check) is not served and not in the table.
const KINDS: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("svg", "image/svg+xml"),
];

/// The licences of the files of others, which go with them.
const LICENCES: &str = "LICENSES";

/// The media type of a file; none for what is not served, and for addresses that are no files.
pub(super) fn media_type(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next()?;
    if name == LICENCES {
        return Some("text/plain; charset=utf-8");
    }
    let (_, end) = name.rsplit_once('.')?;
    KINDS
        .iter()
        .find(|(kind, _)| *kind == end)
        .map(|(_, media)| *media)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn below(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                below(&path, root, found);
            } else {
                let name = path.strip_prefix(root).expect("below").to_string_lossy();
                found.extend(media_type(&name).map(|_| name.into_owned()));
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/console");
        let mut found = Vec::new();
        below(&root, &root, &mut found);
        found.sort();
        let listed: Vec<&str> = FILES.iter().map(|file| file.path).collect();
        assert_eq!(
            listed, found,
            "FILES in src/http/console/files.rs and web/console"
        );
    }
}
