//! Whatever EM has, for the mirror: documents as JSON without knowing their kind, and files as a stream.
//!
//! Documents go through the read cache like every other read. A download holds its slot in the logon session until the
//! last byte, so that the session is not logged off under it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use super::EmClient;
use super::documents::{self, Decoded};
use super::error::{Error, Kind};
use super::limits::Class;
use super::logons::Lease;
use super::reads::Reading;
use super::transport::{Opened, Transport};
use crate::domain::links::Links;

/// One of EM's documents.
#[derive(Debug, Clone)]
pub struct Document {
    /// EM's name for it, such as `EntityReferences`.
    pub root: &'static str,
    /// The JSON of docs/behaviour.md#xml-to-json, without white space.
    pub json: Bytes,
    /// The answer of EM's that it is made of, the same for all who share it; none where it is one caller's alone.
    pub source: Option<Source>,
}

/// An answer of EM's, known by itself alone: two are the same when they are one, whatever they hold.
#[derive(Clone)]
pub struct Source(pub Arc<dyn std::any::Any + Send + Sync>);

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

impl Document {
    /// The same without the links whose path below the mirror is one of those `unwanted`.
    #[must_use]
    pub fn without_links_to(self, links: &Links, unwanted: impl Fn(&str) -> bool) -> Self {
        let Ok(mut value) = serde_json::from_slice::<Value>(&self.json) else {
            return self;
        };
        unlink(&mut value, &|link| {
            let path = link
                .get("href")
                .and_then(|href| links.below_mirror(href.as_str()?));
            path.is_some_and(|path| unwanted(path.split('?').next().unwrap_or_default()))
        });
        Self {
            root: self.root,
            json: Bytes::from(value.to_string()),
            source: self.source,
        }
    }

    /// Whether it is a list without items.
    pub fn is_empty_list(&self) -> bool {
        // An empty list is short; a long document need not be read through to know that it is none.
        const SHORT: usize = 4096;
        if self.json.len() > SHORT {
            return false;
        }
        #[derive(serde::Deserialize)]
        struct List {
            items: Vec<serde::de::IgnoredAny>,
        }
        serde_json::from_slice(&self.json).is_ok_and(|list: List| list.items.is_empty())
    }

    pub(super) fn of(decoded: Arc<Decoded>) -> Self {
        Self {
            root: decoded.root,
            json: decoded.json.clone(),
            source: Some(Source(decoded)),
        }
    }
}

/// Takes links out of all lists of links. What the transcoder wrote is at most 64 levels deep.
fn unlink(value: &mut Value, unwanted: &impl Fn(&Value) -> bool) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::Array(links) if name == "links" => links.retain(|link| !unwanted(link)),
                    member => unlink(member, unwanted),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| unlink(item, unwanted)),
        _ => {}
    }
}

/// A file on its way from EM.
pub struct Download {
    /// Type, length and name, where EM sends them.
    pub headers: HeaderMap,
    body: reqwest::Response,
    lease: Lease,
    pause: Duration,
}

impl Download {
    /// Its bytes as they come. An error means that what came so far is not the whole.
    pub fn bytes(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        futures_util::stream::try_unfold(self, |mut download| async move {
            let chunk = tokio::time::timeout(download.pause, download.body.chunk())
                .await
                .map_err(|_| Error::after_sending(Kind::TimedOut))?
                .map_err(super::transport::failure)?;
            if chunk.is_none() {
                download.lease.pool.mark_alive(&download.lease.logon, 0); // lives, since when is not known
            }
            Ok(chunk.map(|chunk| (chunk, download)))
        })
    }
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").finish_non_exhaustive()
    }
}

/// An answer of EM's as it came.
#[derive(Debug)]
pub struct AsSent {
    /// Its `Content-Type`, where it is text.
    pub content_type: Option<String>,
    /// The bytes of the document.
    pub body: Bytes,
}

impl EmClient {
    /// EM's answer to a read of `target` (path and query below `/api/`) as it came, never out of the memory.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn as_sent(&self, target: &str) -> Result<AsSent, Error> {
        let answer = self.fetch_answer(Class::Page, target).await?;
        let content_type = answer.headers.get(CONTENT_TYPE);
        Ok(AsSent {
            content_type: content_type
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            body: answer.body,
        })
    }

    /// The document at `target` (path and query below `/api/`), which may be the answer to the same read of a moment
    /// ago.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn document(&self, target: &str) -> Result<Document, Error> {
        Ok(Document::of(self.read(Reading::Mirror, target).await?))
    }

    /// The same as EM has it now, whatever was read before.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn document_fresh(&self, target: &str) -> Result<Document, Error> {
        Ok(Document::of(self.ask(Reading::Mirror, target).await?))
    }

    /// The file at `target`.
    ///
    /// # Errors
    /// [`Error`], as long as nothing of it has arrived.
    pub async fn download(&self, target: &str) -> Result<Download, Error> {
        let transport = &self.inner.transport;
        let pool = self.pool()?;
        let latest = Instant::now() + transport.limits.again();
        let mut lease = pool.lease().await?;
        let mut fresh = false;
        loop {
            let opened = transport.open(&pool.account, target, lease.auth()).await?;
            let expired = match opened.response.status() {
                StatusCode::UNAUTHORIZED => true,
                StatusCode::FORBIDDEN => pool.expired_behind_403(&lease).await,
                _ => false,
            };
            if !expired {
                return begun(transport, opened, lease).await;
            }
            let moment = pool.forget(&lease.logon);
            if fresh || Instant::now() >= latest {
                return Err(Error::after_sending(Kind::CredentialsRefused {
                    message: None,
                    retry_after: Duration::from_secs(5),
                }));
            }
            drop(lease);
            lease = pool.lease_alive_since(moment).await?;
            fresh = true;
        }
    }
}

/// A sign-in page or the like: EM names every file that it sends, also one that is HTML.
fn is_page(headers: &HeaderMap) -> bool {
    let html = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"));
    html && !headers.contains_key(CONTENT_DISPOSITION)
}

/// The download of an answer that is a success; of any other, the error that it means.
async fn begun(transport: &Transport, opened: Opened, lease: Lease) -> Result<Download, Error> {
    if !opened.response.status().is_success() {
        let answer = transport.rest(opened).await?;
        return Err(documents::refusal(&answer));
    }
    lease.pool.mark_alive(&lease.logon, 0); // lives, since when is not known
    if is_page(opened.response.headers()) {
        return Err(documents::invalid("an HTML page was sent in place of the file"));
    }
    let mut headers = HeaderMap::new();
    for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_DISPOSITION] {
        if let Some(value) = opened.response.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    Ok(Download {
        headers,
        body: opened.response,
        lease,
        pause: transport.limits.pause(),
    })
}
