//! The store's section of the configuration.

use std::path::PathBuf;

/// Where the store is and what seals its secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// `sqlite://FILE`.
    pub url: String,
    /// A file with 32 bytes in base64; one is made beside an SQLite database when absent.
    pub encryption_key_file: Option<PathBuf>,
}
