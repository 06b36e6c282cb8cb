//! One process per SQLite store: a lock file beside the database, held while the process lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::Error;

/// Held while the store is open; the system lets go of it when the process ends, however it ends.
pub struct ProcessLock(#[expect(dead_code, reason = "held, never read")] File);

impl ProcessLock {
    /// Takes the lock of the database at `path`.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process holds it, [`Error::File`] when the file cannot be made.
    pub fn take(path: &Path) -> Result<Self, Error> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let shown = Path::new(&name).display().to_string();
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&name)
            .map_err(|source| Error::File {
                path: shown.clone(),
                source,
            })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { path: shown }),
            Err(TryLockError::Error(source)) => Err(Error::File { path: shown, source }),
        }
    }
}
