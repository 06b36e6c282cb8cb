//! Takes from the OpenAPI document what the program needs of it when it runs: the document compressed (a quarter of a megabyte
//! instead of nearly four), the names of each route's operation and query parameters, and the schemas of events. And makes of
//! `web/console` what browsers are sent: modules joined into scripts, compressed.

#[path = "src/http/console/bundle.rs"]
mod bundle;
#[path = "src/http/console/media.rs"]
mod media;
#[path = "src/http/openapi/reachable.rs"]
mod reachable;

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Error, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use reachable::reachable;
use serde_json::Value;

const DOCUMENT: &str = "openapi/emgate.v1.json";
const CONSOLE: &str = "web/console";

/// What the document's references to its schemas begin with.
const COMPONENTS: &str = "#/components/schemas/";

/// Its paths have one handler, which finds its way by the catalogue.
const MIRROR: &str = "/api/v1/em";

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]
fn main() -> Result<(), Error> {
    println!("cargo::rerun-if-changed={DOCUMENT}");
    let folder = env::var_os("OUT_DIR").ok_or_else(|| Error::other("cargo names no OUT_DIR"))?;
    let folder = PathBuf::from(folder);
    let document = fs::read_to_string(DOCUMENT)?;
    write_gzip(&folder.join("openapi.json.gz"), &document)?;
    let document = serde_json::from_str(&document)?;
    fs::write(folder.join("operations.rs"), operations(&document))?;
    fs::write(folder.join("event_schemas.json"), event_schemas(&document)?)?;
    println!("cargo::rerun-if-changed={CONSOLE}");
    fs::write(folder.join("console.rs"), console(&folder)?)
}

fn write_gzip(file: &Path, text: &str) -> Result<(), Error> {
    let mut encoder = GzEncoder::new(File::create(file)?, Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish().map(drop)
}

/// The files of the console that are sent, but for its page: as a Rust array of `http::console::files::File`, whose bytes are
/// below `folder`.
fn console(folder: &Path) -> Result<String, Error> {
    let mut files = Vec::new();
    read_served(Path::new(CONSOLE), &mut files)?;
    files.sort();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let is_module = |path: &str| media::media_type(path).is_some_and(|media| media.contains("javascript"));
    let (modules, others): (Vec<_>, Vec<_>) = files.iter().partition(|(path, _)| is_module(path));
    let scripts = bundle::scripts(&modules).map_err(Error::other)?;
    let scripts = scripts.iter().map(|(path, text)| (*path, text.as_str()));
    let mut rows = String::from("&[\n");
    for (path, text) in scripts.chain(others) {
        if path == media::INDEX {
            continue;
        }
        let name = format!("{}.gz", path.replace('/', "-"));
        write_gzip(&folder.join(&name), text)?;
        let _ = writeln!(
            rows,
            "File {{ path: {path:?}, gzip: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\")) }},"
        );
    }
    rows.push(']');
    Ok(rows)
}

/// The paths below the console's folder and texts of all files in `folder` that are served.
fn read_served(folder: &Path, found: &mut Vec<(String, String)>) -> Result<(), Error> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_served(&path, found)?;
            continue;
        }
        let name = path.strip_prefix(CONSOLE).map_err(Error::other)?;
        let name = name.to_string_lossy();
        if media::media_type(&name).is_some() {
            found.push((name.into_owned(), fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// The document's operations but those of the mirror, as a Rust array of `http::routing::Documented`.
fn operations(document: &Value) -> String {
    let mut rows = String::from("&[\n");
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        if path.starts_with(MIRROR) {
            continue;
        }
        for (method, operation) in item.as_object().into_iter().flatten() {
            let name = operation
                .get("operationId")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let parameters = operation
                .get("parameters")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let queries: Vec<&str> = parameters
                .filter(|parameter| parameter.get("in").and_then(Value::as_str) == Some("query"))
                .filter_map(|parameter| parameter.get("name").and_then(Value::as_str))
                .collect();
            let method = method[..1].to_ascii_uppercase() + &method[1..];
            let _ = writeln!(
                rows,
                "Documented {{ path: {path:?}, method: HttpMethod::{method}, name: {name:?}, queries: &{queries:?} }},"
            );
        }
    }
    rows.push(']');
    rows
}

/// The schemas of events, whose names end so, and all that they refer to, by name; they refer to each other as the definitions of
/// one schema do. Without the examples of what they refer to, since an event type has one of its own.
fn event_schemas(document: &Value) -> Result<String, Error> {
    let all = document.pointer("/components/schemas").and_then(Value::as_object);
    let all = all.ok_or_else(|| Error::other("the document has no schemas"))?;
    let events = all.keys().filter(|name| name.ends_with("Event"));
    let mut found = reachable(all, events.cloned().collect(), COMPONENTS);
    for schema in found.values_mut().filter_map(Value::as_object_mut) {
        schema.shift_remove("example");
    }
    Ok(serde_json::to_string(&found)?.replace(COMPONENTS, "#/$defs/"))
}
