//! What can go wrong in the store.

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not do it: gone, full, read-only, or too slow.
    #[error("the database did not answer as it should")]
    Database(#[from] sqlx::Error),
    /// The database took too long.
    #[error("the database did not answer in time")]
    TooSlow,
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
    #[error("the store is in use by another process (lock file {path})")]
    Locked {
        /// The lock's file.
        path: String,
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
    /// The URL names no engine that is built in.
    #[error("store.url must be sqlite://FILE or postgres://user@host/database")]
    UnsupportedUrl,
    /// The key that seals secrets is not 32 bytes in base64.
    #[error("the store's encryption key (store.encryption_key_file) must be 32 bytes in base64")]
    BadKey,
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
        "the store was sealed with an encryption key, and {file} is not there; restore it from the place where the \
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

impl Error {
    /// Whether it is about one value that cannot be read, and not about the database: whatever else it holds is there.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unsealable | Self::Corrupt { .. })
    }

    /// The name of the unique or check constraint that refused the write, in the engine's words, if one did.
    pub(in crate::store) fn violates_unique(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}
