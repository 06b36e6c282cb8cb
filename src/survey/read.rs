//! The reads, one after another at a set pace.
//!
//! An answer that is a failure of EM's is a result like any other. What keeps EM from answering at all ends the survey, which
//! can be taken up again.

use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::entry::{Entry, Outcome};
use super::journal::{Journal, JournalError};
use super::walk::{Read, Walk};
use crate::text::counted;
use crate::upstream::{self, EmClient};

/// How often EM may say that it is overloaded before the survey ends.
const ATTEMPTS: u32 = 5;
/// The pause then, where EM names none, and the longest that is waited.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How EM is read.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The time between the beginnings of two reads.
    pub pace: Duration,
    /// The most pages of each query.
    pub max_pages: u32,
}

/// How far a survey has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// So many reads were done by an earlier run.
    Resumed(usize),
    /// One read was done.
    Done {
        /// How many are.
        done: usize,
        /// How many are known to wait.
        waiting: usize,
        /// The resource, as the catalogue writes its path.
        resource: String,
        milliseconds: f64,
    },
    /// EM is overloaded, and the next attempt waits.
    Waits(Duration),
}

/// Why a survey ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// EM does not answer.
    #[error("the survey stopped after {}", counted(*done, "read"))]
    Upstream {
        /// How many were done.
        done: usize,
        /// Why.
        #[source]
        source: upstream::Error,
    },
    /// What was read cannot be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// All that was read.
#[derive(Debug)]
pub struct Survey {
    pub(super) entries: Vec<Entry>,
    /// Queries that had more pages.
    pub(super) cut: u64,
}

/// Reads all that was not read yet.
///
/// # Errors
/// [`Error`]; what was read until then is in the journal.
pub async fn read_all(
    em: &EmClient,
    journal: &mut Journal,
    options: Options,
    mut tell: impl FnMut(&Progress),
) -> Result<Survey, Error> {
    let mut walk = Walk::new(options.max_pages);
    let mut entries = std::mem::take(&mut journal.entries);
    for entry in &entries {
        walk.note(&entry.read, &entry.paths, entry.paging);
    }
    if !entries.is_empty() {
        tell(&Progress::Resumed(entries.len()));
    }
    let mut pace = tokio::time::interval(options.pace);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while let Some(read) = walk.next() {
        pace.tick().await;
        let mut entry = read_one(em, &read, &mut tell)
            .await
            .map_err(|source| Error::Upstream {
                done: entries.len(),
                source,
            })?;
        entry.paths = walk.note(&read, &entry.paths, entry.paging);
        journal.append(&entry)?;
        tell(&Progress::Done {
            done: entries.len() + 1,
            waiting: walk.waiting(),
            resource: read.resource,
            milliseconds: entry.milliseconds,
        });
        entries.push(entry);
    }
    Ok(Survey {
        entries,
        cut: walk.cut,
    })
}

async fn read_one(
    em: &EmClient,
    read: &Read,
    tell: &mut impl FnMut(&Progress),
) -> Result<Entry, upstream::Error> {
    let mut attempt = 1;
    loop {
        let begun = Instant::now();
        let answer = em.as_sent(&read.target).await;
        let took = begun.elapsed();
        let failed = |outcome| Ok(Entry::new(read, outcome, took));
        return match answer {
            Ok(answer) => Ok(Entry::of_answer(read, &answer, took)),
            Err(error) => match error.kind() {
                upstream::Kind::Refused { status, .. } | upstream::Kind::Failed { status, .. } => {
                    failed(Outcome::Status(*status))
                }
                upstream::Kind::TooLarge { .. } => failed(Outcome::TooLarge),
                upstream::Kind::TimedOut => failed(Outcome::TimedOut),
                upstream::Kind::Overloaded { retry_after, .. } if attempt < ATTEMPTS => {
                    let pause = retry_after.unwrap_or(PAUSE).min(LONGEST_PAUSE);
                    tell(&Progress::Waits(pause));
                    tokio::time::sleep(pause).await;
                    attempt += 1;
                    continue;
                }
                _ => Err(error),
            },
        };
    }
}
