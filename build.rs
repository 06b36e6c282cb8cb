//! Takes from the OpenAPI document what the program needs of it when it runs: the document compressed (a quarter of a megabyte
//! instead of nearly four), and the names of each route's operation and query parameters.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Error, Write as _};
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

const DOCUMENT: &str = "openapi/emgate.v1.json";

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
    let mut encoder = GzEncoder::new(
        File::create(folder.join("openapi.json.gz"))?,
        Compression::default(),
    );
    encoder.write_all(document.as_bytes())?;
    encoder.finish()?;
    fs::write(
        folder.join("operations.rs"),
        operations(&serde_json::from_str(&document)?),
    )
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
