//! What was read, a line for each read, in a file beside the report: a survey that was interrupted goes on behind the last.
//!
//! It has addresses of things in it, stays on the machine, and is removed when the report is written.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::Entry;

/// The form of the file; another one is not read.
const VERSION: u32 = 1;

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A survey was interrupted, and nobody said what to do with it.
    #[error("{} holds what an interrupted survey has read", .0.display())]
    Interrupted(PathBuf),
    /// It is of another EM, or of another version of the program.
    #[error("{} is of another survey", .0.display())]
    Other(PathBuf),
    /// There is nothing to go on with.
    #[error("there is no {}: nothing was interrupted there", .0.display())]
    Missing(PathBuf),
    /// The file cannot be used.
    #[error("{} cannot be used", path.display())]
    File {
        /// Its name.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// What a journal begins with.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    version: u32,
    /// The program's version, because what is read depends on its catalogue.
    emgate: String,
    /// Where EM is.
    address: String,
}

/// The open file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// What an earlier run has read, in its order.
    pub(super) entries: Vec<Entry>,
    /// How many reads this run has added.
    added: usize,
}

impl Journal {
    /// Begins a journal beside that report, or goes on with the one that is there.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(report: &Path, address: &str, resume: bool) -> Result<Self, JournalError> {
        let mut path = report.as_os_str().to_owned();
        path.push(".journal");
        let path = PathBuf::from(path);
        let head = Head {
            version: VERSION,
            emgate: env!("CARGO_PKG_VERSION").to_owned(),
            address: address.to_owned(),
        };
        let unusable = |source| JournalError::File {
            path: path.clone(),
            source,
        };
        if path.exists() && !resume {
            return Err(JournalError::Interrupted(path));
        }
        if !path.exists() && resume {
            return Err(JournalError::Missing(path));
        }
        let known = if resume {
            read(&path).map_err(unusable)?
        } else {
            None
        };
        let (entries, length) = match known {
            Some((found, entries, length)) if found == head => (entries, length),
            Some(_) => return Err(JournalError::Other(path)),
            None => (Vec::new(), 0),
        };
        let file = private(&path).map_err(unusable)?;
        // A line that a kill has cut is written again.
        file.set_len(length).map_err(unusable)?;
        let mut journal = Self {
            path: path.clone(),
            file,
            entries,
            added: 0,
        };
        if length == 0 {
            journal.write(&head).map_err(unusable)?;
        }
        Ok(journal)
    }

    /// Writes a read down; once this is done it is not read again.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        self.added += 1;
        self.write(entry).map_err(|source| JournalError::File {
            path: self.path.clone(),
            source,
        })
    }

    /// Whether nothing was read, so that there is nothing to go on with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.added == 0
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }

    /// Removes the file: the report is written.
    ///
    /// # Errors
    /// [`JournalError::File`].
    pub fn remove(self) -> Result<(), JournalError> {
        std::fs::remove_file(&self.path).map_err(|source| JournalError::File {
            path: self.path,
            source,
        })
    }
}

/// A file that is written at its end and that nobody else can read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The head, the whole lines and their length in bytes; none where there is not even a head.
fn read(path: &Path) -> io::Result<Option<(Head, Vec<Entry>, u64)>> {
    let mut lines = BufReader::new(File::open(path)?);
    let (mut head, mut entries, mut length) = (None, Vec::new(), 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = lines.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(head.map(|head| (head, entries, length)));
        }
        if head.is_none() {
            head = Some(serde_json::from_slice(&line)?);
        } else {
            entries.push(serde_json::from_slice(&line)?);
        }
        length += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_goes_on_behind_its_last_whole_line_and_for_its_own_em_alone() {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("report.json");
        let open = |address: &str, resume| Journal::open(&report, address, resume);
        let mut journal = open("https://em.example", false).unwrap();
        journal.append(&Entry::for_tests("jobs")).unwrap();
        journal.file.write_all(b"{\"target\":\"ha").unwrap();
        drop(journal);
        assert!(matches!(
            open("https://em.example", false),
            Err(JournalError::Interrupted(_))
        ));
        assert!(matches!(
            open("https://other.example", true),
            Err(JournalError::Other(_))
        ));
        let mut journal = open("https://em.example", true).unwrap();
        assert_eq!(journal.entries.len(), 1);
        journal.append(&Entry::for_tests("backups")).unwrap();
        drop(journal);
        let journal = open("https://em.example", true).unwrap();
        let targets: Vec<&str> = journal
            .entries
            .iter()
            .map(|entry| entry.read.target.as_str())
            .collect();
        assert_eq!(targets, ["jobs", "backups"]);
        journal.remove().unwrap();
        assert!(open("https://em.example", false).is_ok());
    }
}
