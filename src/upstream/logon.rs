//! One logon session at EM: how it is opened, asked whether it lives, and closed.
//!
//! The token is a secret, and so is the session's path (in some builds the token is the id in base64): neither is
//! ever logged, shown by `Debug`, or sent anywhere but to EM. What names a session elsewhere is a [`LogonId`] of our
//! own. Sessions of others are never touched: the only ones closed are those opened here, by their own path.

use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::sync::Semaphore;

use super::config::Account;
use super::documents::{self, Decoded};
use super::error::{Error, Kind};
use super::fields::{EnterpriseManagerDocument, LogonDocument};
use super::limits::Class;
use super::transport::{Answer, Auth, Content, TOKEN, Transport};
use super::{paths, xml};
use crate::domain::id::LogonId;
use crate::domain::logon::SavedLogon;

/// The versions of EM's REST API that this gateway speaks, the newest first. Each has to be among those that
/// `GET /api/` offers.
const VERSIONS: [&str; 3] = ["v1_7", "v1_6", "v1_5"];

/// Two of the manual's examples have the plural.
const LOGON_ROOTS: [&str; 2] = ["LogonSession", "LogonSessions"];

/// A password file larger than this is not a password file.
const LONGEST_PASSWORD: u64 = 64 * 1024;

/// One open logon session. The permits of `slots` bound the requests that use it at the same time.
pub(super) struct Logon {
    pub id: LogonId,
    token: SecretString,
    path: SecretString,
    pub slots: Arc<Semaphore>,
    /// The version of EM's REST API that it was opened with, where that is known.
    pub version: Option<&'static str>,
    /// The moment at which it was first noticed that EM has dropped it.
    pub ended: OnceLock<u64>,
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Alive,
    Dead,
    /// EM could not say; nothing may be concluded.
    Unclear,
}

impl Logon {
    pub fn restore(saved: &SavedLogon, slots: usize) -> Self {
        Self {
            id: saved.id,
            token: saved.token.clone(),
            path: saved.path.clone(),
            slots: Arc::new(Semaphore::new(slots)),
            version: VERSIONS
                .into_iter()
                .find(|known| saved.version.as_deref() == Some(known)),
            ended: OnceLock::new(),
        }
    }

    pub fn save(&self, account: &str) -> SavedLogon {
        SavedLogon {
            id: self.id,
            account: account.to_owned(),
            token: self.token.clone(),
            path: self.path.clone(),
            version: self.version.map(ToOwned::to_owned),
        }
    }

    /// How a request in it shows who asks, for which it was waited so long.
    pub fn auth(&self, waited: Duration) -> Auth<'_> {
        Auth::Token(&self.token, waited)
    }

    /// The cheapest question that a session may always ask: about itself. It also keeps the session alive.
    pub async fn probe(&self, transport: &Transport, account: &str) -> Life {
        let path = self.path.expose_secret();
        match transport
            .read(account, Class::Probe, path, self.auth(Duration::ZERO))
            .await
        {
            Ok(answer) if answer.status.is_success() => Life::Alive,
            Ok(answer) => match answer.status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Life::Dead,
                _ => Life::Unclear,
            },
            Err(_) => Life::Unclear,
        }
    }

    /// Logs off. Fine as well when EM does not know the session any more.
    pub async fn close(&self, transport: &Transport, account: &str) -> Result<(), Error> {
        let path = self.path.expose_secret();
        let answer = transport
            .write(
                account,
                Class::Logoff,
                Method::DELETE,
                path,
                self.auth(Duration::ZERO),
                Content::None,
            )
            .await?;
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(()),
            status if status.is_success() => Ok(()),
            _ => Err(documents::refusal(&answer)),
        }
    }
}

/// Who logs on. The password is read again from its file when EM refuses it.
pub(super) struct Credentials {
    username: String,
    password: Mutex<SecretString>,
    file: Option<PathBuf>,
    /// Whether it is the account of a Cloud Connect tenant.
    of_tenant: bool,
}

impl Credentials {
    pub fn new(account: &Account) -> Self {
        Self {
            username: account.username.clone(),
            password: Mutex::new(account.password.clone()),
            file: account.password_file.clone(),
            of_tenant: account.tenant.is_some(),
        }
    }

    /// The body of the logon: a tenant says that it is one, everybody else sends none
    /// (docs/behaviour.md#how-em-behaves).
    ///
    /// # Errors
    /// [`Kind::NotEncodable`].
    fn body(&self) -> Result<Option<Vec<u8>>, Error> {
        if !self.of_tenant {
            return Ok(None);
        }
        let password = self.password.lock();
        let spec =
            json!({"tenantCredentials": {"username": self.username, "password": password.expose_secret()}});
        let body = xml::body("LoginSpec", &spec);
        body.map(Some)
            .map_err(|reason| Error::before_sending(Kind::NotEncodable { reason }))
    }

    /// The content of the header. EM takes the user name as UTF-8.
    fn basic(&self) -> SecretString {
        let password = self.password.lock();
        let pair = SecretString::from(format!("{}:{}", self.username, password.expose_secret()));
        SecretString::from(format!("Basic {}", STANDARD.encode(pair.expose_secret())))
    }

    /// Reads the file again; true when it holds another password than the one in use.
    pub async fn reread(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let too_long = tokio::fs::metadata(file)
            .await
            .is_ok_and(|facts| facts.len() > LONGEST_PASSWORD);
        if too_long {
            return false;
        }
        let Ok(text) = tokio::fs::read_to_string(file).await.map(SecretString::from) else {
            tracing::warn!(
                file = %file.display(),
                "the password file of an Enterprise Manager account cannot be read as UTF-8 text"
            );
            return false;
        };
        let new = text.expose_secret().trim_end_matches(['\r', '\n']);
        if new.starts_with('\u{feff}') {
            tracing::warn!(
                file = %file.display(),
                "the password file of an Enterprise Manager account begins with a byte order mark and is not used; \
                 save it as UTF-8 without BOM"
            );
            return false;
        }
        let mut password = self.password.lock();
        let changed = !new.is_empty() && new != password.expose_secret();
        if changed {
            *password = SecretString::from(new.to_owned());
        }
        changed
    }
}

/// The newest version of the REST API that EM offers and the gateway speaks.
///
/// # Errors
/// EM cannot be asked, or offers none of them.
pub(super) async fn negotiate(transport: &Transport, account: &str) -> Result<&'static str, Error> {
    let answer = documents::accept(transport.read(account, Class::Logon, "", Auth::Nobody).await?)?;
    let offered = documents::decode(answer.body, &["EnterpriseManager"])
        .await?
        .read::<EnterpriseManagerDocument>()?;
    let offered: Vec<String> = offered
        .supported_versions
        .into_iter()
        .filter_map(|version| version.name)
        .collect();
    let common = VERSIONS
        .into_iter()
        .find(|known| offered.iter().any(|name| name.eq_ignore_ascii_case(known)));
    common.ok_or_else(|| {
        let mut offered = offered.join(", ");
        super::error::shorten(&mut offered);
        Error::before_sending(Kind::InvalidResponse {
            reason: format!("it offers none of the REST versions 1.5 to 1.7, but: {offered}"),
        })
    })
}

/// Logs on once.
///
/// # Errors
/// [`Kind::CredentialsRefused`] with a `retry_after` of zero when EM says no; all else as it comes.
pub(super) async fn open(
    transport: &Transport,
    account: &str,
    credentials: &Credentials,
    version: &'static str,
    id: LogonId,
    slots: usize,
) -> Result<Logon, Error> {
    let (basic, body) = (credentials.basic(), credentials.body()?);
    let target = format!("sessionMngr/?v={version}");
    let answer = transport
        .write(
            account,
            Class::Logon,
            Method::POST,
            &target,
            Auth::Basic(&basic),
            body.as_ref().map_or(Content::None, |body| Content::Xml(body)),
        )
        .await?;
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let message = documents::message(&answer);
            return Err(Error::after_sending(Kind::CredentialsRefused {
                message,
                retry_after: Duration::ZERO,
            }));
        }
        _ => return Err(documents::refusal(&answer)),
    }
    let unusable = |reason: &str| {
        Error::after_sending(Kind::InvalidResponse {
            reason: reason.to_owned(),
        })
    };
    let token = answer
        .headers
        .get(TOKEN)
        .and_then(|value| value.to_str().ok())
        .filter(|token| !token.is_empty())
        .map(|token| SecretString::from(token.to_owned()))
        .ok_or_else(|| unusable("a logon without a token"))?;
    let path = own_path(&answer, &token).await.ok_or_else(|| {
        tracing::warn!(
            account,
            "Enterprise Manager opened a logon session without saying how to close it"
        );
        unusable("a logon session that cannot be closed")
    })?;
    Ok(Logon {
        id,
        token,
        path,
        slots: Arc::new(Semaphore::new(slots)),
        version: Some(version),
        ended: OnceLock::new(),
    })
}

/// Where the session is closed: the Delete link, else by its id; the token is the id in base64 where nothing else
/// can be read, so that even then no session is left behind.
async fn own_path(answer: &Answer, token: &SecretString) -> Option<SecretString> {
    let document = documents::decode(answer.body.clone(), &LOGON_ROOTS)
        .await
        .and_then(|decoded: Decoded| decoded.read());
    let document: LogonDocument = document.unwrap_or_default();
    let by_link = document
        .links
        .iter()
        .find(|link| link.is("delete"))
        .and_then(|link| link.href.as_deref())
        .and_then(paths::below_api)
        .filter(|path| paths::is_logon_session(path));
    let by_id = || {
        let id = document.session_id.clone().or_else(|| {
            let bytes = STANDARD.decode(token.expose_secret()).ok()?;
            String::from_utf8(bytes).ok()
        })?;
        let id: uuid::Uuid = id.trim().parse().ok()?;
        Some(format!("logonSessions/{id}"))
    };
    by_link.or_else(by_id).map(SecretString::from)
}
