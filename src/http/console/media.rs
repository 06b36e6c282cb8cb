//! Which files of `web/console` are served, and as what. `build.rs` reads it too: what is not served is not in the program.

/// The page, of which every address of the console is a view.
pub const INDEX: &str = "index.html";

/// The media types of the files that are served, by the ends of their names. What ends otherwise (hashes, types for
/// the check) is not served.
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
pub fn media_type(path: &str) -> Option<&'static str> {
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
