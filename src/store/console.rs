//! Sessions of the console, and logins on their way to one. What a browser holds is known by its digest alone, and the token
//! that it stands for is sealed, so that whoever reads the store can use neither.

use jiff::Timestamp;
use secrecy::SecretString;

use super::row::{Columns as _, micros};
use super::{Error, Store, Tx};

const TOKEN: &str = "console_sessions.token";
const SECRETS: &str = "console_logins.secrets";

/// A session of the console as it is kept.
pub struct NewConsoleSession<'s> {
    /// The digest of what the browser holds.
    pub hash: &'s str,
    /// Whose it is: the same text for the same subject.
    pub owner: &'s str,
    /// The token that it stands for.
    pub token: &'s SecretString,
    /// When that expires.
    pub expires_at: Timestamp,
}

/// A login that was begun at an identity provider.
pub struct NewConsoleLogin<'s> {
    /// The digest of its state.
    pub hash: &'s str,
    /// The digest of what binds it to one browser.
    pub browser: &'s str,
    /// What its end is held against.
    pub secrets: &'s SecretString,
    /// When it stops to count.
    pub expires_at: Timestamp,
}

impl Tx {
    /// Keeps a session of the console. Of more than `most` of one owner the oldest end.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn add_console_session(&mut self, new: &NewConsoleSession<'_>, most: i64) -> Result<(), Error> {
        let sealed = self.sealer().seal(TOKEN, new.token)?;
        let now = micros(self.clock().now());
        sqlx::query(
            "insert into console_sessions (hash, owner, token, created_at, expires_at) values ($1, $2, $3, $4, $5)",
        )
        .bind(new.hash.to_owned())
        .bind(new.owner.to_owned())
        .bind(sealed)
        .bind(now)
        .bind(micros(new.expires_at))
        .execute(self.connection())
        .await?;
        sqlx::query(
            "delete from console_sessions where owner = $1 and hash <> $2 and hash not in (select hash from \
             console_sessions where owner = $1 order by created_at desc, hash limit $3)",
        )
        .bind(new.owner.to_owned())
        .bind(new.hash.to_owned())
        .bind(most)
        .execute(self.connection())
        .await?;
        self.note_writing();
        Ok(())
    }

    /// Ends a session of the console; whether there was one.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn end_console_session(&mut self, hash: &str) -> Result<bool, Error> {
        let ended = sqlx::query("delete from console_sessions where hash = $1")
            .bind(hash.to_owned())
            .execute(self.connection())
            .await?;
        self.note_writing();
        Ok(ended.rows_affected() > 0)
    }

    /// Keeps a login that was begun. Of more than `most` the oldest are given up.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn add_console_login(&mut self, new: &NewConsoleLogin<'_>, most: i64) -> Result<(), Error> {
        let sealed = self.sealer().seal(SECRETS, new.secrets)?;
        let now = micros(self.clock().now());
        sqlx::query(
            "insert into console_logins (hash, browser, secrets, created_at, expires_at) values ($1, $2, $3, $4, $5)",
        )
        .bind(new.hash.to_owned())
        .bind(new.browser.to_owned())
        .bind(sealed)
        .bind(now)
        .bind(micros(new.expires_at))
        .execute(self.connection())
        .await?;
        sqlx::query(
            "delete from console_logins where hash in (select hash from console_logins \
             order by expires_at desc, hash limit 1000 offset $1)",
        )
        .bind(most)
        .execute(self.connection())
        .await?;
        self.note_writing();
        Ok(())
    }

    /// Takes a login away and returns what its end is held against, if this browser began it; of several who ask at once, one
    /// gets it. It is gone for every browser.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn take_console_login(
        &mut self,
        hash: &str,
        browser: &str,
        now: Timestamp,
    ) -> Result<Option<SecretString>, Error> {
        let row = sqlx::query(
            "delete from console_logins where hash = $1 and expires_at > $2 returning browser, secrets",
        )
        .bind(hash.to_owned())
        .bind(micros(now))
        .fetch_optional(self.connection())
        .await?;
        self.note_writing();
        let Some(row) = row else { return Ok(None) };
        if row.text("browser")? != browser {
            return Ok(None);
        }
        let secrets = self.sealer().open_sealed(SECRETS, &row.text("secrets")?)?;
        Ok(Some(secrets))
    }
}

impl Store {
    /// The token that a session of the console stands for, while there is one.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn console_token(&self, hash: &str, now: Timestamp) -> Result<Option<SecretString>, Error> {
        let row = sqlx::query("select token from console_sessions where hash = $1 and expires_at > $2")
            .bind(hash.to_owned())
            .bind(micros(now))
            .fetch_optional(self.reader())
            .await?;
        row.map(|row| self.sealer().open_sealed(TOKEN, &row.text("token")?))
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
        let new = NewConsoleSession {
            hash,
            owner,
            token: &token,
            expires_at,
        };
        tx.add_console_session(&new, 3).await.expect("kept");
        tx.commit().await.expect("committed");
    }

    async fn token(store: &Store, hash: &str, now: Timestamp) -> Option<String> {
        let found = store.console_token(hash, now).await.expect("asked");
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
            assert_eq!(tx.end_console_session(&hash('a')).await.expect("ended"), ended);
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
            let new = NewConsoleLogin {
                hash: &hash('a'),
                browser,
                secrets: &secrets,
                expires_at: later(now, HOUR),
            };
            tx.add_console_login(&new, 10).await.expect("kept");
            tx.commit().await.expect("committed");
            for expected in [expected, None] {
                let mut tx = store.begin().await.expect("begun");
                let taken = tx
                    .take_console_login(&hash('a'), "mine", now)
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
            let new = NewConsoleLogin {
                hash: &hash(letter),
                browser: "mine",
                secrets: &secrets,
                expires_at: later(clock.now(), HOUR),
            };
            tx.add_console_login(&new, 2).await.expect("kept");
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
