//! Logon sessions at EM that tasks of unfinished operations live in: kept sealed, so that the next start, or another
//! replica, continues to follow those tasks (docs/behaviour.md#restarts).

use super::readable::LOGONS;
use super::row::{Columns as _, micros};
use super::{Error, Store, Tx, UPSTREAM};
use crate::domain::id::LogonId;
use crate::domain::logon::SavedLogon;

const TOKEN: &str = "upstream_logons.token";
const PATH: &str = "upstream_logons.path";

impl Tx {
    /// Keeps a logon session; keeping it twice is keeping it once. It is not removed until this transaction has ended.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn keep_logon(&mut self, logon: &SavedLogon) -> Result<(), Error> {
        let sealer = self.sealer();
        let (now, owner) = (micros(self.clock().now()), self.replica().to_owned());
        sqlx::query(
            "insert into upstream_logons (id, account, token, path, created_at, owner, upstream_id, api_version) \
             values ($1, $2, $3, $4, $5, $6, $7, $8) \
             on conflict (id) do update set owner = upstream_logons.owner",
        )
        .bind(logon.id.to_string())
        .bind(logon.account.clone())
        .bind(sealer.seal(TOKEN, &logon.token)?)
        .bind(sealer.seal(PATH, &logon.path)?)
        .bind(now)
        .bind(owner)
        .bind(UPSTREAM)
        .bind(logon.version.clone())
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Forgets the logon sessions that no unfinished operation needs. To be called after operations were locked.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn forget_unneeded_logons(&mut self) -> Result<(), Error> {
        // Whoever keeps one at this moment is waited for: only a statement that begins afterwards sees its operation.
        let lock = format!(
            "select id from upstream_logons order by id{}",
            self.engine().for_update()
        );
        sqlx::query(sqlx::AssertSqlSafe(lock))
            .fetch_all(self.connection())
            .await?;
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
    /// The logon sessions that another process kept, earlier ones on this store included. One that cannot be opened with the key at hand is left out: the tasks in
    /// it count as lost, and their sessions decide.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn kept_logons(&self) -> Result<Vec<SavedLogon>, Error> {
        let rows = sqlx::query(
            "select id, account, token, path, api_version from upstream_logons \
                 where upstream_id = $2 and coalesce(owner, '') <> $1 order by created_at, id",
        )
        .bind(self.replica().to_owned())
        .bind(UPSTREAM)
        .fetch_all(self.reader())
        .await?;
        self.read_rows(LOGONS, &rows, |row| {
            Ok(SavedLogon {
                id: row.parsed("id")?,
                account: row.text("account")?,
                token: self.sealer().open_sealed(TOKEN, &row.text("token")?)?,
                path: self.sealer().open_sealed(PATH, &row.text("path")?)?,
                version: row.opt_text("api_version")?,
            })
        })
    }

    /// Makes a kept logon session this process' own, which then closes it in the end. False while its replica lives.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn take_logon(&self, id: LogonId) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        let taken = sqlx::query(
            "update upstream_logons set owner = $1 \
             where id = $2 and (owner is null or owner not in (select id from replicas))",
        )
        .bind(self.replica().to_owned())
        .bind(id.to_string())
        .execute(tx.connection())
        .await?
        .rows_affected();
        tx.commit().await?;
        Ok(taken > 0)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::store::testing::temporary;

    #[tokio::test]
    async fn a_kept_logon_is_read_back_while_a_task_needs_it() {
        let store = temporary().await;
        let logon = SavedLogon {
            id: LogonId(SystemClock.id()),
            account: "operators".into(),
            token: "a token of EM".into(),
            path: "logonSessions/1".into(),
            version: Some("v1_7".to_owned()),
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
        assert!(
            store.kept_logons().await.expect("read").is_empty(),
            "its own is known to the process"
        );
        let mut tx = store.begin().await.expect("begun");
        for sql in [
            "insert into replicas (id, started_at, beat_at) values ('another', 1, 1)",
            "update upstream_logons set owner = 'another'",
        ] {
            sqlx::query(sql).execute(tx.connection()).await.expect("written");
        }
        tx.commit().await.expect("committed");
        let kept = store.kept_logons().await.expect("read");
        assert_eq!(kept.len(), 1);
        assert!(
            !store.take_logon(logon.id).await.expect("asked"),
            "its replica lives"
        );
        let mut tx = store.begin().await.expect("begun");
        tx.remove_replica("another").await.expect("removed");
        tx.commit().await.expect("committed");
        assert!(store.take_logon(logon.id).await.expect("taken"));
        assert!(
            store.kept_logons().await.expect("read").is_empty(),
            "it is its own now"
        );
        assert_eq!(kept[0].token.expose_secret(), "a token of EM");
        assert_eq!(kept[0].version, logon.version);
        let rows = async || {
            let row = sqlx::query("select count(*) as kept from upstream_logons")
                .fetch_one(store.reader())
                .await;
            row.expect("a row").int("kept").expect("a number")
        };
        assert_eq!(rows().await, 1);
        let mut tx = store.begin().await.expect("begun");
        tx.forget_unneeded_logons().await.expect("forgotten");
        tx.commit().await.expect("committed");
        assert_eq!(rows().await, 0);
    }
}
