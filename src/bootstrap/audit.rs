//! What `emgate audit verify` does: walks the chain of a store, or of an export, from its beginning to its end.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use crate::clock::SystemClock;
use crate::config::Config;
pub use crate::store::Error as StoreError;
pub use crate::store::audit::chain::{Anchor, Walked};
use crate::store::audit::chain::{Break, Link, Walk};
use crate::store::{self, Store};

/// How many rows are read at a time.
const ROWS: i64 = 500;

/// How often a store is walked at the most, when its beginning moves each time.
const WALKS: usize = 5;

/// The place of a break that is at no row.
const END: &str = "its end";

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

/// Walks again where retention moved the beginning meanwhile, which looks like a break.
async fn walk_store(store: &Store) -> Result<Walked, Error> {
    let anchor = async || {
        let anchor = store.audit_anchor_line().await.map_err(Error::Store)?;
        Ok(anchor.map(|(_, line)| line))
    };
    let mut begins = anchor().await?;
    for _ in 1..WALKS {
        let walked = walk_from(store, begins.as_deref()).await;
        let now = anchor().await?;
        if now == begins || !walked.as_ref().is_err_and(Error::is_break) {
            return walked;
        }
        begins = now;
    }
    walk_from(store, begins.as_deref()).await
}

async fn walk_from(store: &Store, anchor: Option<&str>) -> Result<Walked, Error> {
    let mut walk = Walk::of_store(store.audit_key());
    // The end first, so that what is written meanwhile is not missed at the end.
    let head = recorded_end(store).await?;
    if let Some(line) = anchor {
        walk.line(line).map_err(broken("the anchor".to_owned()))?;
    }
    // All rows, so that none is unnoticed before the beginning.
    let (mut after, mut row) = (i64::MIN, 0u64);
    let beyond = 'rows: loop {
        let lines = lines(store, after, &walk).await?;
        if lines.is_empty() {
            break None;
        }
        for (sequence, line) in lines {
            if sequence > head.sequence {
                break 'rows Some(sequence);
            }
            row += 1;
            walk.line(&line)
                .map_err(broken(format!("row number {row} of the store")))?;
            after = sequence;
        }
    };
    let walked = walk.end(Some(&head)).map_err(broken(END.to_owned()))?;
    // What was written meanwhile moved the end with it.
    let head = recorded_end(store).await?.sequence;
    match beyond {
        Some(found) if found > head => Err(broken(END.to_owned())(Break::Added { found, head })),
        Some(_) | None => Ok(walked),
    }
}

/// The last row that the store recorded.
async fn recorded_end(store: &Store) -> Result<Link, Error> {
    match store.recorded_audit_head().await {
        Ok(Some(head)) => Ok(head),
        Ok(None) | Err(store::Error::Corrupt { .. }) => Err(broken(END.to_owned())(Break::Headless)),
        Err(error) => Err(Error::Store(error)),
    }
}

/// The next lines, or the one that is next where some of them cannot be read.
async fn lines(store: &Store, after: i64, walk: &Walk) -> Result<Vec<(i64, String)>, Error> {
    for rows in [ROWS, 1] {
        match store.audit_lines(after, rows).await {
            Err(store::Error::Corrupt { .. }) => {}
            other => return other.map_err(Error::Store),
        }
    }
    Err(Error::Unreadable(walk.last()))
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
    walk.end(None).map_err(broken(END.to_owned()))
}

fn broken(place: String) -> impl FnOnce(Break) -> Error {
    move |source| Error::Broken { place, source }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::audit::{Actor, AuditAction, AuditEntry, Details};
    use crate::store::config::Retention;
    use crate::store::retention::Pruner;
    use crate::store::testing::{change, pass, temporary_with};

    async fn append(store: &Store, rows: usize) {
        let mut tx = store.begin().await.expect("begun");
        for _ in 0..rows {
            tx.append_audit(AuditEntry {
                actor: Actor::default(),
                action: AuditAction::EndpointCreate,
                target: None,
                tenant: None,
                operation: None,
                request_id: None,
                ended: None,
                details: Details::default(),
            });
        }
        tx.commit().await.expect("committed");
    }

    fn pruner(store: &Store) -> Pruner {
        let retention = Retention {
            audit: Duration::from_hours(36),
            ..Retention::default()
        };
        Pruner::new(store.clone(), &retention)
    }

    /// A store with the rows 1 to 5, or, where the first two were removed by retention, 3 to 5 and an anchor.
    async fn five_rows(anchored: bool) -> Store {
        let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().expect("a moment"));
        let store = temporary_with(clock.clone()).await;
        for count in [2, 3] {
            append(&store, count).await;
            pass(&store, &clock, Duration::from_hours(24));
        }
        if anchored {
            let pruner = pruner(&store);
            while pruner.step().await.expect("a step") {}
        }
        store
    }

    #[tokio::test]
    async fn a_store_is_walked_from_its_first_row_or_its_anchor() {
        let walked = walk_store(&five_rows(false).await).await.expect("unbroken");
        assert_eq!((walked.first, walked.last, walked.anchor), (1, 5, None));
        let walked = walk_store(&five_rows(true).await).await.expect("unbroken");
        let anchor = walked.anchor.map(|anchor| anchor.sequence);
        assert_eq!((walked.first, walked.last, anchor), (3, 5, Some(2)));
    }

    #[rstest::rstest]
    #[case::the_first(
        false,
        "delete from audit where sequence <= 1",
        "begins with row 2, and no anchor"
    )]
    #[case::the_first_four(false, "delete from audit where sequence <= 4", "rows 1 to 4 are missing")]
    #[case::all(false, "delete from audit", "rows 1 to 5 are missing")]
    #[case::the_last(false, "delete from audit where sequence = 5", "row 5 is missing")]
    #[case::one_put_behind(false, "update audit set sequence = 9 where sequence = 5", "row 5 is missing")]
    #[case::one_added(
        false,
        "update audit_head set sequence = 4, hash = (select hash from audit where sequence = 4)",
        "row 5 follows row 4, which the store recorded as its last"
    )]
    #[case::the_record_of_the_last(
        false,
        "delete from audit_head",
        "record of its last row (table audit_head) was removed"
    )]
    #[case::behind_the_anchor(true, "delete from audit where sequence = 3", "row 3 is missing")]
    #[case::all_behind_the_anchor(true, "delete from audit", "rows 3 to 5 are missing")]
    #[case::the_anchor(true, "delete from audit_anchor", "begins with row 3, and no anchor")]
    #[case::a_forged_anchor(
        true,
        "update audit_anchor set sequence = 3, hash = (select hash from audit where sequence = 3)",
        "the anchor for the rows up to 3 was changed"
    )]
    #[case::one_before_the_anchor(
        true,
        "update audit set sequence = 1 where sequence = 3",
        "row 1 was changed"
    )]
    #[tokio::test]
    async fn what_was_removed_or_added_at_either_end_of_a_store_is_a_break(
        #[case] anchored: bool,
        #[case] statement: &'static str,
        #[case] expected: &str,
    ) {
        let store = five_rows(anchored).await;
        change(&store, statement).await;
        let error = walk_store(&store).await.expect_err("a break");
        assert!(error.is_break(), "{error}");
        let told = crate::telemetry::chain(&error);
        assert!(told.contains(expected), "{told}");
    }

    #[tokio::test]
    async fn retention_at_work_is_no_break() {
        let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().expect("a moment"));
        let store = temporary_with(clock.clone()).await;
        let pruner = pruner(&store);
        let working = async {
            for _ in 0..40 {
                append(&store, 20).await;
                pass(&store, &clock, Duration::from_hours(24));
                while pruner.step().await.expect("a step") {}
            }
        };
        let looking = async {
            loop {
                walk_store(&store).await.expect("unbroken");
            }
        };
        tokio::select! {
            () = working => {}
            () = looking => {}
        }
    }
}
