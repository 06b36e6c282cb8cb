//! Where the database is: the one file behind whatever name, link or spelling leads to it, or a server.
//!
//! The URL is read once. Lock, key, database and what SQLite keeps beside it all go by the resolved path, so that two
//! names of one file cannot be taken for two files.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyPool, ConnectOptions as _, Connection as _, Executor as _};

use super::Error;
use super::config::Database;
use super::engine::{
    Engine, PRAGMAS, Pools, REQUEST_CONNECTIONS, REQUEST_READERS, WORKER_CONNECTIONS, WORKER_READERS,
    postgres_pool, sqlite_pool,
};
use super::error::FileFault;

/// What a path may not hold as it is in the URL that the driver reads.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_');

/// Which database it is, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(Location),
    Server(String),
}

/// A file, and the name that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    /// As the URL spells it.
    asked: PathBuf,
    /// Absolute, without links.
    file: PathBuf,
}

impl Location {
    /// Follows links and spellings. The file itself need not be there yet.
    fn resolve(asked: PathBuf) -> Result<Self, Error> {
        let file = match asked.canonicalize() {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => to_be_made(&asked)?,
            Err(source) => return Err(unusable(&asked, source)),
        };
        if let Ok(metadata) = file.metadata()
            && !metadata.is_file()
        {
            let fault = if metadata.is_dir() {
                FileFault::Folder
            } else {
                FileFault::Special
            };
            return Err(fault.of(&asked));
        }
        Ok(Self { asked, file })
    }

    /// The resolved path.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// A file beside it: the same name with an ending.
    pub(super) fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.file.clone().into_os_string();
        name.push(ending);
        name.into()
    }

    /// For people: the file, and the name that led to it where that is another.
    pub(super) fn shown(&self) -> String {
        let file = self.file.display();
        if self.asked == self.file {
            return file.to_string();
        }
        format!("{file} (named {} in store.url)", self.asked.display())
    }
}

/// Where a file that is not there yet will be.
fn to_be_made(asked: &Path) -> Result<PathBuf, Error> {
    if asked.symlink_metadata().is_ok() {
        return Err(FileFault::Dangling.of(asked));
    }
    let folder = match asked.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    let name = asked.file_name().ok_or_else(|| FileFault::Folder.of(asked))?;
    let folder = folder.canonicalize().map_err(|source| unusable(folder, source))?;
    Ok(folder.join(name))
}

fn unusable(path: &Path, source: std::io::Error) -> Error {
    let path = path.display().to_string();
    Error::File { path, source }
}

impl Place {
    /// Reads the URL and finds the file that it leads to.
    pub(super) fn find(url: &str) -> Result<Self, Error> {
        match Database::parse(url).map_err(Error::Url)? {
            Database::File(asked) => Ok(Self::File(Location::resolve(asked)?)),
            Database::Server => Ok(Self::Server(url.to_owned())),
        }
    }

    pub(super) const fn engine(&self) -> Engine {
        match self {
            Self::File(_) => Engine::Sqlite,
            Self::Server(_) => Engine::Postgres,
        }
    }

    /// What could not be done with it, named where the name tells no secret.
    pub(super) fn named(&self, error: Error) -> Error {
        match self {
            Self::File(location) => Error::At {
                path: location.shown(),
                source: Box::new(error),
            },
            Self::Server(_) => error,
        }
    }

    fn options(&self) -> Result<AnyConnectOptions, Error> {
        let url = match self {
            Self::File(location) => {
                let path = location.file().to_str();
                let path = path.ok_or_else(|| FileFault::NotUtf8.of(location.file()))?;
                format!("sqlite://{}?mode=rwc", utf8_percent_encode(path, ESCAPED))
            }
            Self::Server(url) => url.clone(),
        };
        Ok(AnyConnectOptions::from_str(&url)?)
    }

    /// The connection pools: those of requests, and those of workers.
    pub(super) async fn connect(&self) -> Result<(Pools, Pools), Error> {
        let options = self.options()?;
        match self.engine() {
            Engine::Sqlite => {
                // The pool goes on trying where a connection cannot be set up, and forgets why.
                let mut first = options.connect().await?;
                first.execute(sqlx::raw_sql(PRAGMAS)).await?;
                // One writer at a time: a pool of one queues them fairly, where many would only meet SQLITE_BUSY.
                let write = sqlite_pool(None).connect_with(options.clone()).await?;
                let of = |readers: u32| Pools {
                    write: write.clone(),
                    read: sqlite_pool(Some(readers)).connect_lazy_with(options.clone()),
                };
                let pools = (of(REQUEST_READERS), of(WORKER_READERS));
                first.close().await?;
                Ok(pools)
            }
            Engine::Postgres => {
                let requests = postgres_pool(REQUEST_CONNECTIONS)
                    .connect_with(options.clone())
                    .await?;
                let workers = postgres_pool(WORKER_CONNECTIONS).connect_lazy_with(options);
                let of = |pool: AnyPool| Pools {
                    write: pool.clone(),
                    read: pool,
                };
                Ok((of(requests), of(workers)))
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn located(path: &Path) -> Result<Location, Error> {
        Location::resolve(path.to_owned())
    }

    #[test]
    fn every_name_of_a_file_leads_to_one_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("its path");
        std::fs::create_dir(folder.join("data")).expect("a folder");
        symlink("data", folder.join("link")).expect("a link to the folder");
        let names = [
            "data/emgate.db",
            "data/./emgate.db",
            "link/emgate.db",
            "link/../data/emgate.db",
        ];
        let check = |names: &[&str]| {
            for name in names {
                let location = located(&folder.join(name)).expect(name);
                assert_eq!(location.file(), folder.join("data/emgate.db"), "{name}");
                assert_eq!(
                    location.beside(".key"),
                    folder.join("data/emgate.db.key"),
                    "{name}"
                );
            }
        };
        check(&names);
        std::fs::write(folder.join("data/emgate.db"), "").expect("a file");
        symlink("data/emgate.db", folder.join("other.db")).expect("a link to the file");
        symlink("other.db", folder.join("another.db")).expect("a link to the link");
        check(&names);
        check(&["other.db", "another.db"]);
    }

    #[test]
    fn what_cannot_be_a_database_is_refused_with_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        symlink("nothing", folder.join("dangling")).expect("a link");
        for (name, words) in [
            ("dangling", "a symbolic link to a file that does not exist"),
            (".", "a folder"),
            ("/dev/null", "no regular file"),
        ] {
            let error = located(&folder.join(name)).expect_err(name);
            let said = error.to_string();
            assert!(said.contains(words) && said.contains(name), "{said}");
            assert!(error.hint().is_some(), "{said}");
        }
        let error = located(&folder.join("nowhere/emgate.db")).expect_err("no such folder");
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
