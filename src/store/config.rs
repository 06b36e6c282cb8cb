//! The sections `[store]` and `[retention]`, already checked.
//!
//! Read and validated by the program's `config`; a test builds them as literals.

use std::{fmt, path::PathBuf, time::Duration};

/// Where the store is and what seals its secrets.
#[derive(Clone)]
pub struct Config {
    /// `sqlite://FILE`; the file is created when absent and locked by one process.
    pub url: String,
    /// A file with 32 bytes in base64; one is made beside an SQLite database when absent.
    pub encryption_key_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: "sqlite://emgate.db".to_owned(),
            encryption_key_file: None,
        }
    }
}

impl fmt::Debug for Config {
    /// The URL of a database server may carry a password, so only a file's is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = if self.url.starts_with("sqlite:") {
            &self.url
        } else {
            "[redacted]"
        };
        f.debug_struct("Config")
            .field("url", &url)
            .field("encryption_key_file", &self.encryption_key_file)
            .finish()
    }
}

/// `[retention]`: how long ended things are kept.
#[derive(Clone, Debug)]
pub struct Retention {
    /// The event log.
    pub events: Duration,
    /// Webhook deliveries that reached their end.
    pub deliveries: Duration,
    /// Finished operations.
    pub operations: Duration,
    /// The audit log.
    pub audit: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |n: u64| Duration::from_hours(n * 24);
        Self {
            events: days(30),
            deliveries: days(30),
            operations: days(365),
            audit: days(365),
        }
    }
}
