//! What can go wrong in the store.

use super::engine_codes::by_code;

const FOLDER: &str = "does the folder exist, and may this user write there?";

/// Why the database takes no writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room left.
    Full,
    /// It may be read only.
    ReadOnly,
    /// The disk, or the system below it, fails.
    Disk,
}

impl Refusal {
    /// What the engine's own code says: SQLite's primary result code, PostgreSQL's SQLSTATE.
    pub(in crate::store) fn of(error: &sqlx::Error) -> Option<Self> {
        let sqlx::Error::Database(error) = error else {
            return None;
        };
        match error.code()?.as_ref() {
            "53100" => Some(Self::Full),
            "25006" => Some(Self::ReadOnly),
            // The extended codes of SQLite have four digits at the most, SQLSTATE has five characters.
            code if code.len() < 5 => match code.parse::<u32>().ok()? & 0xff {
                13 => Some(Self::Full),
                8 => Some(Self::ReadOnly),
                10 | 14 => Some(Self::Disk),
                _ => None,
            },
            _ => None,
        }
    }

    /// The reason, for people.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Full => "its disk is full",
            Self::ReadOnly => "it is read-only",
            Self::Disk => "its disk or folder fails",
        }
    }
}

/// Why a path cannot be the store's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFault {
    /// A folder.
    Folder,
    /// A device, a pipe or a socket.
    Special,
    /// A symbolic link to nothing.
    Dangling,
    /// Its path is not text.
    NotUtf8,
}

impl FileFault {
    pub(in crate::store) fn of(self, path: &std::path::Path) -> Error {
        Error::NoDatabase {
            path: path.display().to_string(),
            fault: self,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Folder => "a folder",
            Self::Special => "no regular file",
            Self::Dangling => "a symbolic link to a file that does not exist",
            Self::NotUtf8 => "a path that is not UTF-8",
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Folder => "name a file in it, for example sqlite:///var/lib/emgate/emgate.db",
            Self::Special => "name a regular file, or one that does not exist yet",
            Self::Dangling => "is a volume missing? to create a new database, name the file itself",
            Self::NotUtf8 => "set store.url to a file whose folders have names in UTF-8",
        }
    }
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not do it.
    #[error("the database did not answer as it should")]
    Database(#[source] sqlx::Error),
    /// The database takes no writes.
    #[error("the store cannot be written to: {}", refusal.reason())]
    Refused {
        /// Why.
        refusal: Refusal,
        /// The database's words.
        #[source]
        source: sqlx::Error,
    },
    /// The database took too long.
    #[error("the database did not answer in time")]
    TooSlow,
    /// The database's file could not be put to use.
    #[error("cannot use the database {path}")]
    At {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Box<Self>,
    },
    /// The database is well, and cannot hold a value that it was given.
    #[error("the database cannot hold a value that it was given")]
    RefusedValue {
        /// The database's words, if it came to that.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// Its tables could not be brought up to date.
    #[error("the store's tables could not be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A newer program wrote it.
    #[error(
        "the store was written by a newer emgate (it holds migration {version}); run that version or newer"
    )]
    Newer {
        /// The migration that this program does not know.
        version: i64,
    },
    /// Another process has it.
    #[error("the store {store} is in use by another process{how}")]
    Locked {
        /// The file, and the name that led to it.
        store: String,
        /// By which name the other process has it, where that is known.
        how: &'static str,
    },
    /// The database is not one that the store can work on.
    #[error("{fault}")]
    Unfit {
        /// What is wrong with it.
        fault: String,
        /// What to do about it.
        remedy: &'static str,
        /// The database's words, where they say more.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// The URL leads to something that cannot be a database.
    #[error("store.url leads to {path}, which is {}", fault.words())]
    NoDatabase {
        /// What it leads to.
        path: String,
        /// Why it cannot be one.
        fault: FileFault,
    },
    /// A file beside the database could not be used.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The URL names no database that can be used.
    #[error("store.url {0}")]
    Url(&'static str),
    /// The key that seals secrets is not 32 bytes in base64.
    #[error("the store's encryption key in {file} is not 32 bytes in base64")]
    BadKey {
        /// The file.
        file: String,
    },
    /// A shared database needs a key that all replicas have.
    #[error(
        "a PostgreSQL store needs store.encryption_key_file: 32 bytes in base64, the same for every replica"
    )]
    KeyMissing,
    /// The key at hand is not the one that the store was sealed with.
    #[error(
        "the store was sealed with another encryption key than the one in {file}; put the right one there, or name its \
         file in store.encryption_key_file. If it is lost for good, run on the database \
         \"insert into meta (key, value) values ('seal', 'lost') on conflict (key) do update set value = 'lost'\": the \
         next start goes on with the key in {file}, and webhook endpoints made until now are disabled and have to be \
         made anew"
    )]
    WrongKey {
        /// The file with the key at hand.
        file: String,
    },
    /// The store holds secrets, and the key they were sealed with is not there.
    #[error(
        "the store was sealed with an encryption key, and {file} is not there or is empty; restore it from the place where the \
         database came from, or name its file in store.encryption_key_file. If it is lost for good, run on the \
         database \"insert into meta (key, value) values ('seal', 'lost') on conflict (key) do update set value = \
         'lost'\": the next start makes a new key, and webhook endpoints made until now are disabled and have to be \
         made anew"
    )]
    KeyGone {
        /// Where it should be.
        file: String,
    },
    /// A sealed secret does not open with the key at hand.
    #[error("a secret in the store cannot be opened with the encryption key at hand")]
    Unsealable,
    /// A row holds what this program never writes.
    #[error("the store holds an unreadable value in {what}")]
    Corrupt {
        /// The column.
        what: &'static str,
    },
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        if let Some((fault, remedy)) = by_code(&source) {
            return Self::Unfit {
                fault: fault.to_owned(),
                remedy,
                source: Some(source),
            };
        }
        if is_about_text(&source) {
            let source = Some(source);
            return Self::RefusedValue { source };
        }
        match (Refusal::of(&source), &source) {
            (Some(refusal), _) => Self::Refused { refusal, source },
            (None, sqlx::Error::PoolTimedOut) => Self::TooSlow,
            (None, sqlx::Error::Io(error)) if error.kind() == std::io::ErrorKind::TimedOut => Self::TooSlow,
            (None, _) => Self::Database(source),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError as M;
        match error {
            M::VersionMissing(version) => Self::Newer { version },
            M::Execute(source) | M::ExecuteMigration(source, _)
                if Refusal::of(&source).is_some() || by_code(&source).is_some() =>
            {
                source.into()
            }
            other => Self::Migration(other),
        }
    }
}

/// Whether the database cannot hold a text: a character that it or its encoding lacks, or more than there is room for.
fn is_about_text(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let code = error.code();
    matches!(code.as_deref(), Some("22021" | "22P05" | "22001" | "18"))
}

impl Error {
    /// Whether the database took offence at one row and is well otherwise: a constraint, or a value it cannot hold.
    #[must_use]
    pub fn is_about_the_row(&self) -> bool {
        use sqlx::error::ErrorKind;
        let Self::Database(sqlx::Error::Database(error)) = self else {
            return matches!(self, Self::Corrupt { .. } | Self::RefusedValue { .. });
        };
        matches!(
            error.kind(),
            ErrorKind::UniqueViolation
                | ErrorKind::ForeignKeyViolation
                | ErrorKind::NotNullViolation
                | ErrorKind::CheckViolation
        ) || error
            .code()
            // PostgreSQL's class of data exceptions; SQLite's codes are shorter.
            .is_some_and(|code| code.len() == 5 && code.starts_with("22"))
    }

    /// Whether it is about one value that cannot be read, and not about the database: whatever else it holds is there.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unsealable | Self::Corrupt { .. })
    }

    /// What to do about it, for people; none where the error itself says so, or only its causes can.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::At { source, .. } => match &**source {
                Self::Database(_) => Some(FOLDER),
                source => source.hint(),
            },
            Self::Unfit { remedy, .. } => Some(remedy),
            Self::Refused { refusal, .. } => Some(match refusal {
                Refusal::Full => "free space on the store's disk, or set store.url to a file on another disk",
                Refusal::ReadOnly => {
                    "make the file, its folder and its disk writable for this user (or the database server \
                     writable), or set store.url to a file in another place"
                }
                Refusal::Disk => {
                    "does the folder exist, may this user write there, and is the disk healthy? the system log may show the cause"
                }
            }),
            Self::Locked { .. } => {
                Some("a running gateway uses it; stop that gateway first, or use another store")
            }
            Self::File { .. } => Some(FOLDER),
            Self::Database(_) => Some("does the database server answer, and is store.url right?"),
            Self::TooSlow => Some("does the database server answer, and is the disk healthy?"),
            Self::BadKey { .. } => Some(
                "put the key there that the store was sealed with, or name its file in store.encryption_key_file; a new \
                 store takes a new one: openssl rand -base64 32",
            ),
            Self::NoDatabase { fault, .. } => Some(fault.remedy()),
            Self::Migration(_)
            | Self::Newer { .. }
            | Self::Url(_)
            | Self::KeyMissing
            | Self::WrongKey { .. }
            | Self::KeyGone { .. }
            | Self::RefusedValue { .. }
            | Self::Unsealable
            | Self::Corrupt { .. } => None,
        }
    }

    /// The name of the unique or check constraint that refused the write, in the engine's words, if one did.
    pub(in crate::store) fn violates_unique(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}
