//! Which key the store is sealed with, and the proof that the key at hand is that one.
//!
//! The first start seals a canary into `meta`; every later one has to open it. A gateway with another key would go on
//! as if all were well and deliver nothing, so it does not start. A key is made for a database without secrets only.

use std::path::{Path, PathBuf};

use sqlx::{AnyConnection, AnyPool};

use super::place::Place;
use super::row::Columns as _;
use super::seal::Sealer;
use super::{Config, Error, key_file};
use crate::clock::Clock;
use secrecy::SecretString;

/// The canary's row in `meta`, and what it is sealed for.
const ROW: &str = "seal";
const PURPOSE: &str = "meta.seal";
const WORD: &str = "canary";

/// What an operator writes in the canary's place whose key is lost for good: the key at hand, or a new one, counts
/// from then on.
const LOST: &str = "lost";

/// Columns that are sealed for their own name, to judge by where there is no canary yet.
const SEALED: &[(&str, &str)] = &[
    ("webhook_endpoints", "url"),
    ("webhook_callbacks", "url"),
    ("upstream_logons", "token"),
];

/// How many values of a column are tried.
const SAMPLE: i64 = 50;

/// Where the key lies, and whether it may be made there.
pub(super) struct Keyring {
    file: PathBuf,
    own: bool,
}

impl Keyring {
    /// The file that the configuration names, or the one beside the SQLite file.
    pub(super) fn new(config: &Config, place: &Place) -> Result<Self, Error> {
        if let Some(file) = config.encryption_key_file.clone() {
            return Ok(Self { file, own: false });
        }
        match place {
            Place::File(location) => Ok(Self {
                file: location.beside(".key"),
                own: true,
            }),
            // Replicas share a key that they were given; only a file of one's own has a place for one made here.
            Place::Server(_) => Err(Error::KeyMissing),
        }
    }

    /// Reads the key, or makes it where nothing is sealed yet, and proves it with the canary.
    pub(super) async fn open(&self, pool: &AnyPool, clock: &dyn Clock) -> Result<Sealer, Error> {
        let mut connection = pool.acquire().await?;
        let canary = canary(&mut connection).await?;
        let sealed = sealed(&mut connection).await?;
        let lost = canary.as_deref() == Some(LOST);
        let sealer = if self.own && key_file::is_vacant(&self.file)? {
            if !lost && (canary.is_some() || !sealed.is_empty()) {
                return Err(Error::KeyGone { file: self.shown() });
            }
            Sealer::make(&self.file, clock)?
        } else {
            if self.own && canary.is_none() && sealed.is_empty() {
                tracing::warn!(
                    file = self.shown(),
                    "the store is empty, and its key is older; if it was restored, its write-ahead log is missing"
                );
            }
            Sealer::read(&self.file)?
        };
        let opens = |(purpose, text): &(String, String)| sealer.open_sealed(purpose, text).is_ok();
        if canary.is_none() && !sealed.is_empty() && !sealed.iter().any(opens) {
            return Err(Error::WrongKey { file: self.shown() });
        }
        if lost {
            tracing::warn!(
                "the store's key was declared lost; secrets that were sealed with it cannot be opened any more"
            );
        }
        if let Some(known) = canary.filter(|_| !lost) {
            return self.proven(sealer, &known);
        }
        // Of replicas that start together one writes it; the others find it.
        sqlx::query(
            "insert into meta (key, value) values ($1, $2) \
             on conflict (key) do update set value = excluded.value where meta.value = $3",
        )
        .bind(ROW)
        .bind(sealer.seal(PURPOSE, &SecretString::from(WORD))?)
        .bind(LOST)
        .execute(&mut *connection)
        .await?;
        let written = self::canary(&mut connection).await?.unwrap_or_default();
        self.proven(sealer, &written)
    }

    fn proven(&self, sealer: Sealer, canary: &str) -> Result<Sealer, Error> {
        match sealer.open_sealed(PURPOSE, canary) {
            Ok(_) => Ok(sealer),
            Err(_) => Err(Error::WrongKey { file: self.shown() }),
        }
    }

    /// The key's file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    fn shown(&self) -> String {
        self.file.display().to_string()
    }
}

async fn canary(connection: &mut AnyConnection) -> Result<Option<String>, Error> {
    let row = sqlx::query("select value from meta where key = $1")
        .bind(ROW)
        .fetch_optional(connection)
        .await?;
    row.map(|row| row.text("value")).transpose()
}

/// Some of what is sealed, each with its purpose.
async fn sealed(connection: &mut AnyConnection) -> Result<Vec<(String, String)>, Error> {
    let mut found = Vec::new();
    for (table, column) in SEALED {
        let sql = format!("select {column} as sealed from {table} order by created_at desc limit {SAMPLE}");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(&mut *connection)
            .await?;
        for row in rows {
            found.push((format!("{table}.{column}"), row.text("sealed")?));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use url::Url;

    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::id::OperationId;
    use crate::store::Store;
    use crate::store::testing::{folder, temporary_config};

    async fn open(config: &Config) -> Result<Store, Error> {
        Store::open(config, SystemClock::shared()).await
    }

    /// A store's configuration with a key of its own in a file that is named.
    async fn config() -> Config {
        let mut config = temporary_config().await;
        config.encryption_key_file = Some(folder().join("key"));
        write(&config, 1);
        config
    }

    fn write(config: &Config, byte: u8) {
        let file = config.encryption_key_file.as_ref().expect("a file");
        std::fs::write(file, STANDARD.encode([byte; 32])).expect("written");
    }

    async fn seal_something(store: &Store) {
        let url = Url::parse("https://receiver.example/").expect("a URL");
        let mut tx = store.begin().await.expect("begun");
        let id = OperationId::new(SystemClock.id());
        tx.add_callback(id, &url, &"whsec_x".into()).await.expect("added");
        tx.commit().await.expect("committed");
    }

    async fn meta(config: &Config, statement: &'static str) {
        let pool = AnyPool::connect(&config.url).await.expect("connected");
        sqlx::query(statement).execute(&pool).await.expect("written");
        pool.close().await;
    }

    #[tokio::test]
    async fn a_store_opens_with_its_own_key_only_even_before_anything_was_sealed() {
        let config = config().await;
        open(&config).await.expect("a fresh store").close().await;
        write(&config, 2);
        let Err(error) = open(&config).await else {
            panic!("another key opens it")
        };
        assert!(matches!(error, Error::WrongKey { .. }), "{error:?}");
        assert!(error.to_string().contains("store.encryption_key_file"), "{error}");
        write(&config, 1);
        open(&config).await.expect("its own key again").close().await;
    }

    #[tokio::test]
    async fn the_key_of_a_store_without_a_canary_must_open_a_sealed_secret() {
        let config = config().await;
        let store = open(&config).await.expect("a fresh store");
        seal_something(&store).await;
        store.close().await;
        drop(store);
        meta(&config, "delete from meta where key = 'seal'").await;
        write(&config, 2);
        assert!(matches!(open(&config).await, Err(Error::WrongKey { .. })));
        write(&config, 1);
        open(&config).await.expect("its own key").close().await;
        write(&config, 2);
        assert!(matches!(open(&config).await, Err(Error::WrongKey { .. })));
    }

    #[tokio::test]
    async fn a_store_whose_key_was_declared_lost_accepts_the_present_one() {
        let config = config().await;
        let store = open(&config).await.expect("a fresh store");
        seal_something(&store).await;
        store.close().await;
        drop(store);
        write(&config, 2);
        meta(&config, "update meta set value = 'lost' where key = 'seal'").await;
        open(&config).await.expect("declared lost").close().await;
        open(&config).await.expect("and for good").close().await;
        write(&config, 1);
        assert!(matches!(open(&config).await, Err(Error::WrongKey { .. })));
    }

    /// A store in a file, and where its own key is made.
    fn of_a_file(folder: &Path) -> (Config, PathBuf) {
        let database = folder.join("emgate.db");
        let config = Config {
            url: format!("sqlite://{}", database.display()),
            encryption_key_file: None,
        };
        (config, folder.join("emgate.db.key"))
    }

    #[tokio::test]
    async fn no_key_is_made_for_a_file_that_was_sealed_with_another() {
        let directory = tempfile::tempdir().expect("a directory");
        let (config, key) = of_a_file(directory.path());
        open(&config).await.expect("a fresh store").close().await;
        let text = std::fs::read_to_string(&key).expect("a key was made");
        std::fs::remove_file(&key).expect("removed");
        for is_there in [false, true] {
            if is_there {
                std::fs::write(&key, "").expect("emptied");
            }
            let Err(error) = open(&config).await else {
                panic!("a key was made")
            };
            assert!(matches!(error, Error::KeyGone { .. }), "{error:?}");
            assert!(error.to_string().contains("emgate.db.key"), "{error}");
            assert_eq!(key.exists(), is_there);
        }
        std::fs::write(&key, text).expect("put back");
        open(&config).await.expect("as before").close().await;
    }

    #[tokio::test]
    async fn a_first_start_that_left_an_empty_key_is_made_good_by_the_next() {
        let directory = tempfile::tempdir().expect("a directory");
        let (config, key) = of_a_file(directory.path());
        std::fs::write(&key, "").expect("an empty file");
        open(&config).await.expect("a fresh store").close().await;
        assert_ne!(std::fs::read(&key).expect("a key"), b"");
        open(&config).await.expect("the same key").close().await;
    }
}
