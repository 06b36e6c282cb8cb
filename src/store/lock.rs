//! One process per SQLite store: two locks that are held while the process lives.
//!
//! The one beside the database is there before the database is. The one on the database's inode holds for all its hard
//! links, too. It is an open file description lock on a byte that SQLite never locks; SQLite's own locks belong to the
//! process, and are lost when any descriptor of the file is closed, so this one stays open until the store is closed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use super::Error;
use super::place::Location;

/// Held while the store is open; the system lets go of it when the process ends, however it ends.
pub struct ProcessLock {
    _beside: File,
    _inode: Option<File>,
}

impl ProcessLock {
    /// Takes the locks of a database; makes an empty file where there is none.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process holds one, [`Error::File`] when a file cannot be made.
    pub(super) fn take(location: &Location) -> Result<Self, Error> {
        Ok(Self {
            _beside: beside(location)?,
            _inode: inode(location)?,
        })
    }
}

fn beside(location: &Location) -> Result<File, Error> {
    let name = location.beside(".lock");
    let unusable = |source| Error::File {
        path: name.display().to_string(),
        source,
    };
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(&name);
    let file = file.map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked {
            store: location.shown(),
            how: "",
        }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// None where the file may only be read, which SQLite says better, or where the file system has no such locks.
fn inode(location: &Location) -> Result<Option<File>, Error> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    // What it holds is for nobody else; SQLite makes its own files beside it with the same rights.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let path: &Path = location.file();
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
            ) && path.exists() =>
        {
            return Ok(None);
        }
        Err(source) => {
            let path = path.display().to_string();
            return Err(Error::File { path, source });
        }
    };
    if is_free(&file) {
        return Ok(Some(file));
    }
    // To close it would let go of the locks that SQLite has on this file, should the holder be this process.
    std::mem::forget(file);
    Err(Error::Locked {
        store: location.shown(),
        how: " under another name (a hard link)",
    })
}

#[cfg(target_os = "linux")]
fn is_free(file: &File) -> bool {
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    let short = |value: libc::c_int| libc::c_short::try_from(value).unwrap_or_default();
    let lock = libc::flock {
        l_type: short(libc::F_WRLCK),
        l_whence: short(libc::SEEK_SET),
        // Far behind what SQLite locks, which lies at 1 GiB, and behind what a database can hold.
        l_start: libc::off_t::MAX - 1,
        l_len: 1,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock)) {
        Ok(_) => true,
        Err(Errno::EAGAIN | Errno::EACCES) => false,
        Err(error) => {
            tracing::debug!(%error, "the file system has no locks by inode; the store is locked by its name alone");
            true
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn is_free(_file: &File) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use crate::clock::SystemClock;
    use crate::store::{Config, Store};

    #[tokio::test]
    async fn what_a_new_store_holds_is_for_nobody_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config {
            url: format!("sqlite://{}", folder.path().join("emgate.db").display()),
            encryption_key_file: None,
        };
        let store = Store::open(&config, SystemClock::shared()).await.expect("opened");
        let mut seen = 0;
        for file in std::fs::read_dir(folder.path()).expect("read") {
            let file = file.expect("a file");
            let name = file.file_name().to_string_lossy().into_owned();
            if name.starts_with("emgate.db") && name != "emgate.db.lock" {
                let mode = file.metadata().expect("known").permissions().mode();
                assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
                seen += 1;
            }
        }
        assert!(seen >= 3, "the database, what is beside it, and the key");
        store.close().await;
    }
}
