//! Sessions of the console, and logins on their way to one: two kinds of rows that stand for a secret until a time. What a
//! browser holds is known by its digest alone, and the secret is sealed, so that whoever reads the store can use neither.

use jiff::Timestamp;
use secrecy::SecretString;
use sqlx::AssertSqlSafe;

use super::row::{Columns as _, micros};
use super::{Error, Store, Tx};

/// A kind of rows.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    table: &'static str,
    /// The column that says whose a row is.
    whose: &'static str,
    /// The sealed column.
    secret: &'static str,
    /// What the secret is sealed for.
    purpose: &'static str,
    /// Whether the rows of each are counted by themselves.
    is_limited_each: bool,
}

/// Sessions: whose it is, and the token that it stands for.
pub const SESSIONS: Kind = Kind {
    table: "console_sessions",
    whose: "owner",
    secret: "token",
    purpose: "console_sessions.token",
    is_limited_each: true,
};

/// Logins that were begun at an identity provider: the browser that began it, and what its end is held against.
pub const LOGINS: Kind = Kind {
    table: "console_logins",
    whose: "browser",
    secret: "secrets",
    purpose: "console_logins.secrets",
    is_limited_each: false,
};

/// A row as it is kept.
pub struct NewRow<'s> {
    /// The digest of what names it.
    pub hash: &'s str,
    /// Whose it is: the same text for the same one.
    pub whose: &'s str,
    /// What it stands for.
    pub secret: &'s SecretString,
    /// When it stops to count.
    pub expires_at: Timestamp,
}

impl Tx {
    /// Keeps a row. Of more than `most` the oldest end: of those whose it is, or of all, by its kind.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn add_console_row(&mut self, kind: Kind, new: &NewRow<'_>, most: i64) -> Result<(), Error> {
        let Kind {
            table, whose, secret, ..
        } = kind;
        let sealed = self.sealer().seal(kind.purpose, new.secret)?;
        let now = micros(self.clock().now());
        sqlx::query(AssertSqlSafe(format!(
            "insert into {table} (hash, {whose}, {secret}, created_at, expires_at) values ($1, $2, $3, $4, $5)"
        )))
        .bind(new.hash.to_owned())
        .bind(new.whose.to_owned())
        .bind(sealed)
        .bind(now)
        .bind(micros(new.expires_at))
        .execute(self.connection())
        .await?;
        let (counted, each) = match kind.is_limited_each {
            true => (format!("{whose} = $3"), Some(new.whose.to_owned())),
            false => ("true".to_owned(), None),
        };
        let surplus = sqlx::query(AssertSqlSafe(format!(
            "delete from {table} where hash <> $1 and hash in (select hash from {table} where {counted} \
             order by created_at desc, hash limit 1000 offset $2)"
        )));
        let surplus = surplus.bind(new.hash.to_owned()).bind(most);
        let surplus = match each {
            Some(each) => surplus.bind(each),
            None => surplus,
        };
        surplus.execute(self.connection()).await?;
        self.note_writing();
        Ok(())
    }

    /// Ends a row; whether there was one.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn end_console_row(&mut self, kind: Kind, hash: &str) -> Result<bool, Error> {
        let table = kind.table;
        let ended = sqlx::query(AssertSqlSafe(format!("delete from {table} where hash = $1")))
            .bind(hash.to_owned())
            .execute(self.connection())
            .await?;
        self.note_writing();
        Ok(ended.rows_affected() > 0)
    }

    /// Takes a row away and returns what it stands for, if it is this one's; of several who ask at once, one gets it. It is gone
    /// for everybody.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn take_console_row(
        &mut self,
        kind: Kind,
        hash: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<SecretString>, Error> {
        let Kind {
            table, whose, secret, ..
        } = kind;
        let row = sqlx::query(AssertSqlSafe(format!(
            "delete from {table} where hash = $1 and expires_at > $2 returning {whose}, {secret}"
        )))
        .bind(hash.to_owned())
        .bind(micros(now))
        .fetch_optional(self.connection())
        .await?;
        self.note_writing();
        let Some(row) = row else { return Ok(None) };
        if row.text(whose)? != by {
            return Ok(None);
        }
        let secret = self.sealer().open_sealed(kind.purpose, &row.text(secret)?)?;
        Ok(Some(secret))
    }
}

impl Store {
    /// What a row stands for, while it counts.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn console_secret(
        &self,
        kind: Kind,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<SecretString>, Error> {
        let Kind { table, secret, .. } = kind;
        let row = sqlx::query(AssertSqlSafe(format!(
            "select {secret} from {table} where hash = $1 and expires_at > $2"
        )))
        .bind(hash.to_owned())
        .bind(micros(now))
        .fetch_optional(self.reader())
        .await?;
        row.map(|row| self.sealer().open_sealed(kind.purpose, &row.text(secret)?))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::clock::{Clock as _, ManualClock, later};
    use crate::store::config::Retention;
    use crate::store::retention::Pruner;
    use crate::store::testing::{pass, temporary_with};

    const HOUR: Duration = Duration::from_hours(1);

    async fn stage() -> (Store, std::sync::Arc<ManualClock>) {
        let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().expect("a moment"));
        (temporary_with(clock.clone()).await, clock)
    }

    async fn add(store: &Store, hash: &str, owner: &str, expires_at: Timestamp) {
        let token = SecretString::from(format!("token of {hash}"));
        let mut tx = store.begin().await.expect("begun");
        let new = NewRow {
            hash,
            whose: owner,
            secret: &token,
            expires_at,
        };
        tx.add_console_row(SESSIONS, &new, 3).await.expect("kept");
        tx.commit().await.expect("committed");
    }

    async fn token(store: &Store, hash: &str, now: Timestamp) -> Option<String> {
        let found = store.console_secret(SESSIONS, hash, now).await.expect("asked");
        found.map(|token| token.expose_secret().to_owned())
    }

    fn hash(letter: char) -> String {
        letter.to_string().repeat(64)
    }

    #[tokio::test]
    async fn a_console_session_counts_until_it_ends_or_expires() {
        let (store, clock) = stage().await;
        let end = later(clock.now(), HOUR);
        add(&store, &hash('a'), "ann", end).await;
        assert_eq!(
            token(&store, &hash('a'), clock.now()).await,
            Some(format!("token of {}", hash('a')))
        );
        assert_eq!(token(&store, &hash('b'), clock.now()).await, None);
        assert_eq!(token(&store, &hash('a'), end).await, None);
        for ended in [true, false] {
            let mut tx = store.begin().await.expect("begun");
            let found = tx.end_console_row(SESSIONS, &hash('a')).await;
            assert_eq!(found.expect("ended"), ended);
            tx.commit().await.expect("committed");
        }
        assert_eq!(token(&store, &hash('a'), clock.now()).await, None);
    }

    #[tokio::test]
    async fn the_oldest_console_sessions_of_a_subject_end_first() {
        let (store, clock) = stage().await;
        add(&store, &hash('z'), "bob", later(clock.now(), HOUR)).await;
        for letter in 'a'..='e' {
            clock.advance(Duration::from_secs(1));
            add(&store, &hash(letter), "ann", later(clock.now(), HOUR)).await;
        }
        let mut left = String::new();
        for letter in ('a'..='e').chain(['z']) {
            if token(&store, &hash(letter), clock.now()).await.is_some() {
                left.push(letter);
            }
        }
        assert_eq!(left, "cdez");
    }

    #[tokio::test]
    async fn the_token_of_a_console_session_is_sealed() {
        let (store, clock) = stage().await;
        add(&store, &hash('a'), "ann", later(clock.now(), HOUR)).await;
        let kept: String = sqlx::query_scalar("select token from console_sessions")
            .fetch_one(store.reader())
            .await
            .expect("read");
        assert!(!kept.contains("token"), "{kept}");
    }

    #[tokio::test]
    async fn a_console_login_is_taken_once_by_the_browser_that_began_it() {
        let (store, clock) = stage().await;
        let (now, secrets) = (clock.now(), SecretString::from("a verifier"));
        for (browser, expected) in [("mine", Some("a verifier")), ("another", None)] {
            let mut tx = store.begin().await.expect("begun");
            let new = NewRow {
                hash: &hash('a'),
                whose: browser,
                secret: &secrets,
                expires_at: later(now, HOUR),
            };
            tx.add_console_row(LOGINS, &new, 10).await.expect("kept");
            tx.commit().await.expect("committed");
            for expected in [expected, None] {
                let mut tx = store.begin().await.expect("begun");
                let taken = tx
                    .take_console_row(LOGINS, &hash('a'), "mine", now)
                    .await
                    .expect("asked");
                tx.commit().await.expect("committed");
                assert_eq!(taken.as_ref().map(ExposeSecret::expose_secret), expected);
            }
        }
    }

    #[tokio::test]
    async fn no_more_console_logins_are_pending_than_the_limit() {
        let (store, clock) = stage().await;
        let secrets = SecretString::from("a verifier");
        for letter in 'a'..='f' {
            clock.advance(Duration::from_secs(1));
            let mut tx = store.begin().await.expect("begun");
            let new = NewRow {
                hash: &hash(letter),
                whose: &hash(letter),
                secret: &secrets,
                expires_at: later(clock.now(), HOUR),
            };
            tx.add_console_row(LOGINS, &new, 2).await.expect("kept");
            tx.commit().await.expect("committed");
        }
        let left: Vec<String> = sqlx::query_scalar("select hash from console_logins order by hash")
            .fetch_all(store.reader())
            .await
            .expect("read");
        assert_eq!(left, [hash('e'), hash('f')]);
    }

    #[tokio::test]
    async fn expired_console_sessions_are_removed() {
        let (store, clock) = stage().await;
        add(&store, &hash('a'), "ann", later(clock.now(), HOUR)).await;
        add(&store, &hash('b'), "ann", later(clock.now(), 3 * HOUR)).await;
        pass(&store, &clock, 2 * HOUR);
        let pruner = Pruner::new(store.clone(), &Retention::default());
        pruner.step().await.expect("a step");
        let left: Vec<String> = sqlx::query_scalar("select hash from console_sessions")
            .fetch_all(store.reader())
            .await
            .expect("read");
        assert_eq!(left, [hash('b')]);
    }
}
