//! Compresses the OpenAPI document for the program that serves it: a quarter of a megabyte instead of nearly four.

use std::fs::File;
use std::io::{Error, copy};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

const DOCUMENT: &str = "openapi/emgate.v1.json";

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]
fn main() -> Result<(), Error> {
    println!("cargo::rerun-if-changed={DOCUMENT}");
    let folder = std::env::var_os("OUT_DIR").ok_or_else(|| Error::other("cargo names no OUT_DIR"))?;
    let compressed = File::create(Path::new(&folder).join("openapi.json.gz"))?;
    let mut encoder = GzEncoder::new(compressed, Compression::default());
    copy(&mut File::open(DOCUMENT)?, &mut encoder)?;
    encoder.finish()?;
    Ok(())
}
