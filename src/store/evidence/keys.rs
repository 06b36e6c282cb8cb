//! The keys that sign reports: one in use, made when it is first needed, the same for all replicas.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::any::AnyRow;

use crate::store::row::{Columns as _, micros};
use crate::store::{Error, Store};

const COLUMN: &str = "report_keys.seed";
const CORRUPT: Error = Error::Corrupt { what: COLUMN };

/// A key as everybody may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportKey {
    /// Its id.
    pub id: String,
    /// The public key, 32 bytes in base64.
    pub public_key: String,
    /// From when on it signs.
    pub not_before: Timestamp,
    /// Until when it signed; none while it is in use.
    pub not_after: Option<Timestamp>,
}

impl Store {
    /// All keys, the newest first. Makes one where there is none in use.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn report_keys(&self) -> Result<Vec<ReportKey>, Error> {
        let keys = self.keys().await?;
        if keys.iter().any(|key| key.not_after.is_none()) {
            return Ok(keys);
        }
        self.make_report_key().await?;
        self.keys().await
    }

    async fn keys(&self) -> Result<Vec<ReportKey>, Error> {
        let rows = sqlx::query(
            "select id, public_key, not_before, not_after from report_keys order by not_before desc, id",
        )
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(key_from).collect()
    }

    async fn make_report_key(&self) -> Result<(), Error> {
        let mut seed = [0u8; 32];
        self.clock().random(&mut seed);
        let text = SecretString::from(STANDARD.encode(seed));
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| CORRUPT)?;
        let public = pair.public_key().as_ref().to_vec();
        let name = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &public);
        let id = name
            .as_ref()
            .iter()
            .take(8)
            .fold("rk_".to_owned(), |id, byte| id + &format!("{byte:02x}"));
        let mut tx = self.begin().await?;
        let sealed = tx.sealer().seal(COLUMN, &text)?;
        tx.note_writing();
        // Of several replicas that do this at once, one makes it.
        sqlx::query(
            "insert into report_keys (id, public_key, seed, not_before, not_after, in_use) \
             values ($1, $2, $3, $4, null, 1) on conflict do nothing",
        )
        .bind(id)
        .bind(STANDARD.encode(public))
        .bind(sealed)
        .bind(micros(self.clock().now()))
        .execute(tx.connection())
        .await?;
        tx.commit().await
    }

    /// The key that signs from now on. One that cannot be opened, since the store's key was declared lost, is retired for a new one.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn signing_key(&self) -> Result<ReportKey, Error> {
        for _ in 0..2 {
            let keys = self.report_keys().await?;
            let Some(key) = keys.into_iter().find(|key| key.not_after.is_none()) else {
                continue;
            };
            match self.sign_report(&key, b"").await {
                Ok(_) => return Ok(key),
                Err(Error::Unsealable) => self.retire_report_key(&key).await?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Unsealable)
    }

    async fn retire_report_key(&self, key: &ReportKey) -> Result<(), Error> {
        tracing::warn!(
            key = key.id,
            "the key that signs reports cannot be opened and is replaced by a new one"
        );
        let mut tx = self.begin().await?;
        tx.note_writing();
        sqlx::query("update report_keys set in_use = null, not_after = $2 where id = $1 and in_use = 1")
            .bind(key.id.clone())
            .bind(micros(self.clock().now()))
            .execute(tx.connection())
            .await?;
        tx.commit().await
    }

    /// Signs with that key; the signature in base64.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn sign_report(&self, key: &ReportKey, message: &[u8]) -> Result<String, Error> {
        let row = sqlx::query("select seed from report_keys where id = $1")
            .bind(key.id.clone())
            .fetch_one(self.reader())
            .await?;
        let seed = self.sealer().open_sealed(COLUMN, &row.text("seed")?)?;
        let seed = STANDARD.decode(seed.expose_secret()).map_err(|_| CORRUPT)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| CORRUPT)?;
        Ok(STANDARD.encode(pair.sign(message).as_ref()))
    }
}

fn key_from(row: &AnyRow) -> Result<ReportKey, Error> {
    Ok(ReportKey {
        id: row.text("id")?,
        public_key: row.text("public_key")?,
        not_before: row.at("not_before")?,
        not_after: row.opt_at("not_after")?,
    })
}
