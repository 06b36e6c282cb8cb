//! Logon sessions at EM that tasks of unfinished operations live in: kept sealed, so that the next start, or another
//! replica, goes on following those tasks (contract section 7, Restarts).

use secrecy::SecretString;

use super::row::{Columns as _, micros};
use super::{Error, Store, Tx};
use crate::domain::id::LogonId;

const TOKEN: &str = "upstream_logons.token";
const PATH: &str = "upstream_logons.path";

/// A logon session that was kept.
pub struct StoredLogon {
    /// The gateway's own name for it.
    pub id: LogonId,
    /// The account it belongs to.
    pub account: String,
    /// EM's token.
    pub token: SecretString,
    /// The path by which it is closed.
    pub path: SecretString,
}

impl Tx {
    /// Keeps a logon session; keeping it twice is keeping it once.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn keep_logon(&mut self, logon: &StoredLogon) -> Result<(), Error> {
        let sealer = self.sealer();
        let now = micros(self.clock().now());
        sqlx::query(
            "insert into upstream_logons (id, account, token, path, created_at) values ($1, $2, $3, $4, $5) \
             on conflict (id) do nothing",
        )
        .bind(logon.id.to_string())
        .bind(logon.account.clone())
        .bind(sealer.seal(TOKEN, &logon.token)?)
        .bind(sealer.seal(PATH, &logon.path)?)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Forgets the logon sessions that no unfinished operation needs.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn forget_unneeded_logons(&mut self) -> Result<(), Error> {
        sqlx::query(
            "delete from upstream_logons where id not in (select task_logon from operations \
             where state in ('submitting', 'running', 'unknown') and task_logon is not null)",
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

impl Store {
    /// The logon sessions that were kept. One that cannot be opened with the key at hand is left out: the tasks in
    /// it count as lost, and their sessions decide.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn kept_logons(&self) -> Result<Vec<StoredLogon>, Error> {
        let rows =
            sqlx::query("select id, account, token, path from upstream_logons order by created_at, id")
                .fetch_all(self.reader())
                .await?;
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows {
            let opened = (self.sealer().open_sealed(TOKEN, &row.text("token")?))
                .and_then(|token| Ok((token, self.sealer().open_sealed(PATH, &row.text("path")?)?)));
            match opened {
                Ok((token, path)) => {
                    kept.push(StoredLogon {
                        id: row.parsed("id")?,
                        account: row.text("account")?,
                        token,
                        path,
                    });
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a kept logon session is lost"
                    );
                }
            }
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::store::testing::temporary;

    #[tokio::test]
    async fn a_kept_logon_is_sealed_and_comes_back_until_nobody_needs_it() {
        let store = temporary().await;
        let logon = StoredLogon {
            id: LogonId(SystemClock.id()),
            account: "operators".into(),
            token: "a token of EM".into(),
            path: "logonSessions/1".into(),
        };
        let mut tx = store.begin().await.expect("begun");
        tx.keep_logon(&logon).await.expect("kept");
        tx.keep_logon(&logon).await.expect("kept again");
        tx.commit().await.expect("committed");
        let row = sqlx::query("select token from upstream_logons")
            .fetch_one(store.reader())
            .await
            .expect("a row");
        // The whole token: two letters of it turn up in base64 by chance.
        assert!(!row.text("token").expect("text").contains("a token of EM"));
        let kept = store.kept_logons().await.expect("read");
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].token.expose_secret(), "a token of EM");
        let mut tx = store.begin().await.expect("begun");
        tx.forget_unneeded_logons().await.expect("forgotten");
        tx.commit().await.expect("committed");
        assert!(store.kept_logons().await.expect("read").is_empty());
    }
}
