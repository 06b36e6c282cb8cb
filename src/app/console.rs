//! Sessions of the console: what a browser holds in the place of a token (docs/behaviour.md#console).
//!
//! It is 32 random bytes. The store keeps their SHA-256 with the token, sealed, so that any replica takes them, that a token of
//! any length fits, and that an end counts everywhere at once: each request asks the store.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::audit::Told;
use super::tickets::{LENGTH, digest, random_text};
use super::{App, Error, OpContext};
use crate::clock::later;
use crate::domain::audit::AuditAction;
use crate::store::console::{LOGINS, NewRow, SESSIONS};

/// The path that rows of the audit log name.
const PATH: &str = "/console/session";
/// Sessions of one subject at a time; one more ends the oldest.
const MOST: i64 = 20;
/// How long a login at an identity provider may take.
pub const LOGIN_LASTS: Duration = Duration::from_mins(10);
/// Logins that may be on their way at a time; one more gives up the oldest.
const MOST_LOGINS: i64 = 1000;

/// A session of the console by the digest of what the browser holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConsoleKey(String);

impl ConsoleKey {
    /// The session that a browser's text names; none where it is not of our making.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        (text.len() == LENGTH).then(|| Self(digest(text)))
    }
}

/// A login that was just begun.
#[derive(Debug)]
pub struct NewLogin {
    /// What names it there and back.
    pub state: SecretString,
    /// What the browser holds that began it.
    pub browser: SecretString,
}

impl App {
    /// Opens a session of the console for the caller, in which it stands for the token until that expires. Returns what the
    /// browser is to hold.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn open_console_session(
        &self,
        context: &OpContext,
        token: &SecretString,
        how: &'static str,
        before: Option<&ConsoleKey>,
    ) -> Result<SecretString, Error> {
        let caller = &context.caller;
        let held = random_text(self.clock.as_ref());
        // Without a subject there is nothing but the token that two logins have in common.
        let owner = match &caller.name {
            Some(name) => digest(&format!(
                "{}\n{name}",
                caller.issuer.as_deref().unwrap_or_default()
            )),
            None => digest(token.expose_secret()),
        };
        let mut tx = self.store.begin().await?;
        if let Some(ConsoleKey(before)) = before {
            tx.end_console_row(SESSIONS, before).await?;
        }
        let new = NewRow {
            hash: &digest(held.expose_secret()),
            whose: &owner,
            secret: token,
            expires_at: caller.expires_at,
        };
        tx.add_console_row(SESSIONS, &new, MOST).await?;
        tx.audit(
            context,
            AuditAction::ConsoleLogin,
            Told::of(PATH.to_owned()).with("by", how),
        );
        tx.commit().await?;
        Ok(held)
    }

    /// Ends a session of the console, for all replicas.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn end_console_session(&self, context: &OpContext, key: &ConsoleKey) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        if tx.end_console_row(SESSIONS, &key.0).await? {
            tx.audit(context, AuditAction::ConsoleLogout, Told::of(PATH.to_owned()));
            tx.commit().await?;
        }
        Ok(())
    }

    /// The token that a session of the console stands for; none when it has ended.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn console_token(&self, key: &ConsoleKey) -> Result<Option<SecretString>, Error> {
        let now = self.now();
        Ok(self.store.console_secret(SESSIONS, &key.0, now).await?)
    }

    /// Begins a login at an identity provider, which is ended with `secrets`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn begin_console_login(&self, secrets: &SecretString) -> Result<NewLogin, Error> {
        let clock = self.clock.as_ref();
        let new = NewLogin {
            state: random_text(clock),
            browser: random_text(clock),
        };
        let mut tx = self.store.begin().await?;
        let kept = NewRow {
            hash: &digest(new.state.expose_secret()),
            whose: &digest(new.browser.expose_secret()),
            secret: secrets,
            expires_at: later(self.now(), LOGIN_LASTS),
        };
        tx.add_console_row(LOGINS, &kept, MOST_LOGINS).await?;
        tx.commit().await?;
        Ok(new)
    }

    /// What the login of this state is ended with, if this browser began it. It counts once, whoever asks.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn take_console_login(
        &self,
        state: &str,
        browser: &str,
    ) -> Result<Option<SecretString>, Error> {
        if state.len() != LENGTH {
            return Ok(None);
        }
        let mut tx = self.store.begin().await?;
        let taken = tx
            .take_console_row(LOGINS, &digest(state), &digest(browser), self.now())
            .await?;
        tx.commit().await?;
        Ok(taken)
    }

    /// A text that nobody guesses.
    #[must_use]
    pub fn random_text(&self) -> String {
        random_text(self.clock.as_ref()).expose_secret().to_owned()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
