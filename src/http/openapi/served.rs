//! The document as it is served: compressed as it is in the program, and plain for callers who take no gzip.

use std::sync::OnceLock;

use axum::body::Bytes;
use flate2::Compression;

use crate::domain::links::Links;
use crate::http::extract::entity_tag;
use crate::http::layers::{gzipped, inflated};

/// The checked-in file, compressed by `build.rs`: part of the program's text and so never in memory unless read.
const COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.gz"));

/// What the document says of where the gateway is, as it is written in the file.
const SERVERS: &str = "\"servers\": [\n    {\n      \"url\": \"/\"\n    }\n  ]";

/// The checked-in file, with the public URL as its server where there is one.
pub(in crate::http) struct Document {
    gzip: Bytes,
    /// Made when the first caller takes nothing else, and kept, so that all such callers share it.
    plain: OnceLock<Bytes>,
    tag: String,
}

impl Document {
    /// The document of the gateway that these links lead to.
    pub fn of(links: &Links) -> Self {
        let gzip = match links.base() {
            None => Bytes::from_static(COMPRESSED),
            Some(base) => {
                let url = serde_json::Value::from(base);
                let servers = SERVERS.replace("\"/\"", &url.to_string());
                let document = checked_in().replacen(SERVERS, &servers, 1);
                gzipped(&document.into(), Compression::default())
            }
        };
        Self {
            // Weak: it names the compressed form and the plain one.
            tag: format!("W/{}", entity_tag(&gzip)),
            gzip,
            plain: OnceLock::new(),
        }
    }

    /// Its entity tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Its bytes in gzip.
    pub fn gzip(&self) -> Bytes {
        self.gzip.clone()
    }

    /// Its bytes.
    pub fn plain(&self) -> Bytes {
        self.plain.get_or_init(|| inflated(&self.gzip).into()).clone()
    }
}

/// The text of the checked-in file.
pub(in crate::http) fn checked_in() -> String {
    // Of bytes that are the program's own; a test reads them.
    String::from_utf8(inflated(COMPRESSED)).unwrap_or_default()
}
