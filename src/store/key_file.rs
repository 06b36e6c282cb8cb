//! The file that the store's key lies in: there whole, for its owner alone, or not there at all.
//!
//! A kill or a power failure in the middle leaves a part beside it, which the next start replaces. Versions before wrote the file
//! itself, and left it empty.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::Error;

/// Whether there is no key in the file: it does not exist, or it is empty.
pub(super) fn is_vacant(file: &Path) -> Result<bool, Error> {
    match file.metadata() {
        Ok(metadata) => Ok(metadata.len() == 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(source) => Err(unusable(file, source)),
    }
}

/// Writes a vacant file. Whoever does has the lock of the store that the key is for, so that nobody else does meanwhile.
pub(super) fn write_whole(file: &Path, text: &str) -> Result<(), Error> {
    if !is_vacant(file)? {
        return Err(unusable(file, ErrorKind::AlreadyExists.into()));
    }
    let part = part_of(file);
    let written = removed(&part)
        .and_then(|()| write_private(&part, text))
        .and_then(|()| std::fs::rename(&part, file))
        .and_then(|()| sync_folder(file));
    written.map_err(|source| {
        let _ = removed(&part);
        unusable(file, source)
    })
}

pub(super) fn unusable(file: &Path, source: std::io::Error) -> Error {
    let path = file.display().to_string();
    Error::File { path, source }
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.to_owned().into_os_string();
    name.push(".part");
    name.into()
}

fn write_private(part: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_folder(file: &Path) -> std::io::Result<()> {
    match file.parent() {
        // Elsewhere a folder cannot be opened.
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

fn removed(file: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_vacant_file_is_written_whole_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        for before in [None, Some(0o644)] {
            if let Some(mode) = before {
                std::fs::write(&file, "").expect("an empty file");
                std::fs::set_permissions(&file, Permissions::from_mode(mode)).expect("set");
            }
            // What a kill has left.
            std::fs::write(part_of(&file), "half").expect("a part");
            assert!(is_vacant(&file).expect("known"));
            write_whole(&file, "a key").expect("written");
            assert!(!is_vacant(&file).expect("known"));
            assert_eq!(std::fs::read_to_string(&file).expect("read"), "a key");
            let mode = file.metadata().expect("known").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{before:?}");
            assert!(!part_of(&file).exists());
            std::fs::remove_file(&file).expect("removed");
        }
    }

    #[test]
    fn a_key_that_is_there_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        std::fs::write(&file, "another's").expect("a key");
        let Err(Error::File { path, source }) = write_whole(&file, "a key") else {
            panic!("it was replaced")
        };
        assert_eq!(source.kind(), ErrorKind::AlreadyExists);
        assert!(path.ends_with("key"), "{path}");
        assert_eq!(std::fs::read_to_string(&file).expect("read"), "another's");
        assert!(!part_of(&file).exists());
    }
}
