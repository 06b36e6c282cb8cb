//! What `emgate audit verify` does: walks the chain of a store, or of an export, from its beginning to its end.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use crate::clock::SystemClock;
use crate::config::Config;
pub use crate::store::Error as StoreError;
pub use crate::store::audit::chain::{Anchor, Walked};
use crate::store::audit::chain::{Break, Walk};
use crate::store::{self, Store};

/// How many rows are read at a time.
const ROWS: i64 = 500;

/// The longest line of an export; a row has a few hundred bytes.
const LINE_LIMIT: u64 = 1 << 20;

/// Why a chain was not verified.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chain does not hold.
    #[error("the chain is broken at {place}: {source}")]
    Broken {
        /// Where.
        place: String,
        /// What is wrong there.
        source: Break,
    },
    /// A row of the store cannot be read.
    #[error("the chain is broken after row {0}: the row that follows cannot be read")]
    Unreadable(i64),
    /// The store cannot be used.
    #[error("the store cannot be read")]
    Store(#[source] store::Error),
    /// The file cannot be used.
    #[error("{file} cannot be read")]
    File {
        /// Its name.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file has no line.
    #[error("{0} holds no audit row; is it the answer of GET /api/v1/audit/export?")]
    Empty(String),
}

impl Error {
    /// Whether there is a chain, and it does not hold.
    #[must_use]
    pub const fn is_break(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Unreadable(_))
    }
}

/// Walks the chain of the store that `config` names.
///
/// # Errors
/// The first break, or why the store cannot be read.
pub async fn verify_store(config: &Config) -> Result<Walked, Error> {
    let opened = Store::open_unregistered(&config.store, SystemClock::shared()).await;
    let store = opened.map_err(Error::Store)?;
    let walked = walk_store(&store).await;
    store.close_unregistered().await;
    walked
}

async fn walk_store(store: &Store) -> Result<Walked, Error> {
    let mut walk = Walk::new(Some(store.audit_key()));
    // The end first, so that what is written meanwhile is not missed at the end.
    let head = store.audit_head().await.map_err(Error::Store)?;
    let mut last = 0;
    if let Some((sequence, line)) = store.audit_anchor_line().await.map_err(Error::Store)? {
        walk.line(&line).map_err(broken("the anchor".to_owned()))?;
        last = sequence;
    }
    let mut row = 0u64;
    while last < head.sequence {
        let lines = match store.audit_lines(last, ROWS).await {
            Err(store::Error::Corrupt { .. }) => {
                // One by one, to find the row.
                match store.audit_lines(last, 1).await {
                    Err(store::Error::Corrupt { .. }) => return Err(Error::Unreadable(last)),
                    other => other.map_err(Error::Store)?,
                }
            }
            other => other.map_err(Error::Store)?,
        };
        if lines.is_empty() {
            break;
        }
        for (sequence, line) in lines.into_iter().take_while(|(found, _)| *found <= head.sequence) {
            row += 1;
            walk.line(&line)
                .map_err(broken(format!("row number {row} of the store")))?;
            last = sequence;
        }
    }
    walk.end(Some(&head)).map_err(broken("its end".to_owned()))
}

/// Walks the chain of an export.
///
/// # Errors
/// The first break, or why the file cannot be read.
pub fn verify_file(path: &Path) -> Result<Walked, Error> {
    let file = path.display().to_string();
    let unreadable = |source| Error::File {
        file: file.clone(),
        source,
    };
    let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
    let (mut walk, mut line, mut number) = (Walk::default(), Vec::new(), 0u64);
    loop {
        line.clear();
        let length = reader
            .by_ref()
            .take(LINE_LIMIT)
            .read_until(b'\n', &mut line)
            .map_err(unreadable)?;
        if length == 0 {
            break;
        }
        number += 1;
        let broken = || broken(format!("line {number}"));
        let text = match line.split_last() {
            Some((b'\n', text)) => std::str::from_utf8(text).map_err(|_| broken()(Break::Form))?,
            // Cut off, or longer than any row.
            Some(_) | None => return Err(broken()(Break::Form)),
        };
        walk.line(text).map_err(broken())?;
    }
    if number == 0 {
        return Err(Error::Empty(file));
    }
    walk.end(None).map_err(broken("its end".to_owned()))
}

fn broken(place: String) -> impl FnOnce(Break) -> Error {
    move |source| Error::Broken { place, source }
}
