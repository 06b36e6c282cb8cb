//! The sections `[store]` and `[retention]`, already checked.
//!
//! Read and validated by the program's `config`; a test builds them as literals.

use std::{fmt, path::PathBuf, time::Duration};

/// What `store.url` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A file of SQLite, as the URL spells it.
    File(PathBuf),
    /// A server of PostgreSQL.
    Server,
}

impl Database {
    /// Reads the URL: `sqlite://FILE`, percent-encoded, or `postgres://USER@HOST/DATABASE`.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it: it may carry a password.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        const NEITHER: &str = "must be \"sqlite://FILE\" or \"postgres://USER@HOST/DATABASE\"";
        let (scheme, rest) = url.split_once(':').ok_or(NEITHER)?;
        if !scheme.eq_ignore_ascii_case("sqlite") {
            return match url::Url::parse(url) {
                Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") && url.has_host() => {
                    if cfg!(feature = "postgres") {
                        Ok(Self::Server)
                    } else {
                        Err(
                            "names PostgreSQL, which this program was built without (Cargo feature \"postgres\")",
                        )
                    }
                }
                _ => Err(NEITHER),
            };
        }
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.contains(['?', '#']) {
            return Err("takes a file name and nothing more: no ? and no #");
        }
        let path = percent_encoding::percent_decode_str(path).decode_utf8();
        let path = path.map_err(|_| "must be UTF-8 once it is percent-decoded")?;
        match &*path {
            "" => Err(
                "names no file; write it like \"sqlite://emgate.db\" or \"sqlite:///var/lib/emgate/emgate.db\"",
            ),
            path if path.starts_with(':') => Err("must be a file: the store is what survives a crash"),
            path if path.ends_with('/') => Err("names a folder; it must name a file in it"),
            path if path.contains('\0') => Err("has the character U+0000, which no file name can hold"),
            path => Ok(Self::File(path.into())),
        }
    }
}

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
        let url = match Database::parse(&self.url) {
            Ok(Database::File(_)) => &self.url,
            Ok(Database::Server) | Err(_) => "[redacted]",
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
    /// Recovery reports.
    pub reports: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |n: u64| Duration::from_hours(n * 24);
        Self {
            events: days(30),
            deliveries: days(30),
            operations: days(365),
            audit: days(365),
            reports: days(7 * 365),
        }
    }
}
