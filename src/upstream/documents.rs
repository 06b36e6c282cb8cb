//! EM's documents as the gateway reads them: decoded to the mirror's JSON, of which `fields` are read; and what an answer means
//! that is no success.
//!
//! A document of another kind than was asked for is refused; of a page, damaged rows are left out and told apart.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::damage::Damaged;
use super::error::{Error, Kind, shorten};
use super::fields::{ErrorDocument, QueryDocument, id};
use super::transport::Answer;
use super::xml;
use crate::domain::links::Links;

/// Documents larger than this are decoded beside the event loop.
const BIG: usize = 128 * 1024;

/// A decoded document.
pub(super) struct Decoded {
    /// EM's name for it.
    pub root: &'static str,
    /// The JSON of docs/behaviour.md#xml-to-json.
    pub json: Bytes,
    /// What of it is damaged: rows of a page that are not in the JSON, or are with characters replaced.
    pub damaged: Vec<Damaged>,
    /// What was made of it for all who read it.
    pub made: Made,
}

/// What was made of a document, once and for all who get it from the read cache: it is remembered as long as the document.
#[derive(Default)]
pub(super) struct Made(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Decoded {
    /// What `make` makes of the document, at the first time; later the same.
    ///
    /// # Errors
    /// Those of `make`; nothing is remembered then.
    pub fn made<T: Send + Sync + 'static>(
        &self,
        make: impl FnOnce(&Self) -> Result<T, Error>,
    ) -> Result<Arc<T>, Error> {
        let known = |made: &Arc<dyn Any + Send + Sync>| made.clone().downcast::<T>().ok();
        if let Some(known) = self.made.0.get().and_then(known) {
            return Ok(known);
        }
        let made = Arc::new(make(self)?);
        // Of two who made it at once, both take the first one's; what is made of a document is of one type.
        let first = self.made.0.get_or_init(|| made.clone());
        Ok(known(first).unwrap_or(made))
    }

    /// The fields of it that the gateway reads.
    ///
    /// # Errors
    /// [`Kind::InvalidResponse`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.json).map_err(|_| invalid("it is not the document that was asked for"))
    }

    /// The rows of a page, and those that are damaged.
    ///
    /// # Errors
    /// [`Kind::InvalidResponse`]; rows that are not of the type asked for are damaged ones.
    pub fn rows<T: DeserializeOwned>(&self) -> Result<(QueryDocument<T>, Vec<Damaged>), Error> {
        let mut damaged = self.damaged.clone();
        if let Ok(document) = serde_json::from_slice(&self.json) {
            return Ok((document, damaged));
        }
        let QueryDocument { items, page } = self.read::<QueryDocument<Value>>()?;
        let mut read = Vec::with_capacity(items.len());
        for item in items {
            match T::deserialize(&item) {
                Ok(row) => read.push(row),
                Err(_) => damaged.push(Damaged {
                    ids: ["id", "uid"]
                        .iter()
                        .find_map(|name| id(item.get(name)?.as_str()))
                        .into_iter()
                        .collect(),
                    created: None,
                    reason: "it is not a record of the type that was asked for".to_owned(),
                    repaired: false,
                }),
            }
        }
        Ok((QueryDocument { items: read, page }, damaged))
    }
}

pub(super) fn invalid(reason: impl Into<String>) -> Error {
    Error::after_sending(Kind::InvalidResponse {
        reason: reason.into(),
    })
}

/// XML with one of these roots to JSON.
///
/// # Errors
/// [`Kind::InvalidResponse`] when it is not such a document, or not one that can be trusted.
pub(super) async fn decode(body: Bytes, roots: &'static [&'static str]) -> Result<Decoded, Error> {
    decode_for_callers(&Links::default(), body, roots).await
}

/// The same, with EM's own addresses as callers of the gateway see them.
///
/// # Errors
/// As [`decode`].
pub(super) async fn decode_for_callers(
    links: &Links,
    body: Bytes,
    roots: &'static [&'static str],
) -> Result<Decoded, Error> {
    let (size, links) = (body.len(), links.clone());
    aside(size, move || {
        let (root, json) = xml::decode(&links, &body, roots)?;
        Ok(Decoded {
            root,
            json: json.into(),
            damaged: Vec::new(),
            made: Made::default(),
        })
    })
    .await
}

/// One record as [`decode`] gives it, with U+FFFD in place of what no document may hold.
///
/// # Errors
/// As [`decode`].
pub(super) async fn decode_record(body: Bytes, roots: &'static [&'static str]) -> Result<Decoded, Error> {
    let size = body.len();
    aside(size, move || {
        let (decoded, damaged) = match xml::decode(&Links::default(), &body, roots) {
            Ok(decoded) => (decoded, Vec::new()),
            Err(reason) => {
                let text = xml::repaired(&body).ok_or_else(|| reason.clone())?;
                let decoded =
                    xml::decode(&Links::default(), text.as_bytes(), roots).map_err(|_| reason.clone())?;
                let damaged = Damaged {
                    ids: Vec::new(),
                    created: None,
                    reason,
                    repaired: true,
                };
                (decoded, vec![damaged])
            }
        };
        let (root, json) = decoded;
        Ok(Decoded {
            root,
            json: json.into(),
            damaged,
            made: Made::default(),
        })
    })
    .await
}

/// The page of a query for entities of that type. Damaged rows are left out and reported.
///
/// # Errors
/// [`Kind::InvalidResponse`] when more than rows is damaged: a page that was cut never counts as a whole one.
pub(super) async fn decode_rows(body: Bytes, row: &'static str) -> Result<Decoded, Error> {
    let size = body.len();
    aside(size, move || {
        let (json, rows) = xml::decode_rows(&body, row)?;
        let damaged = rows.into_iter().map(|row| Damaged {
            ids: row.ids.iter().filter_map(|text| id(Some(text))).collect(),
            created: row.created,
            reason: row.reason.to_string(),
            repaired: row.repaired,
        });
        Ok(Decoded {
            root: "QueryResult",
            json: json.into(),
            damaged: damaged.collect(),
            made: Made::default(),
        })
    })
    .await
}

/// Decodes what is big beside the event loop.
async fn aside(
    size: usize,
    decode: impl FnOnce() -> Result<Decoded, String> + Send + 'static,
) -> Result<Decoded, Error> {
    let decoded = if size > BIG {
        tokio::task::spawn_blocking(decode)
            .await
            .map_err(|_| invalid("decoding it broke off"))?
    } else {
        decode()
    };
    decoded.map_err(|mut reason| {
        shorten(&mut reason);
        invalid(reason)
    })
}

/// XML of any kind to JSON for callers; an error document is none that a success may come with.
///
/// # Errors
/// As [`decode`].
pub(super) async fn decode_any(links: &Links, body: Bytes) -> Result<Decoded, Error> {
    let decoded = decode_for_callers(links, body, &[]).await?;
    if decoded.root == "Error" {
        return Err(invalid("it is an error document under a status of success"));
    }
    Ok(decoded)
}

/// An answer that is a success, or the error that it means.
///
/// # Errors
/// Any status but 2xx.
pub(super) fn accept(answer: Answer) -> Result<Answer, Error> {
    if answer.status.is_success() {
        Ok(answer)
    } else {
        Err(refusal(&answer))
    }
}

/// What a status that is not a success means. A 401 is handled where logons are known.
pub(super) fn refusal(answer: &Answer) -> Error {
    let message = message(answer);
    let status = answer.status.as_u16();
    Error::after_sending(match answer.status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Kind::Overloaded {
            status,
            message,
            retry_after: answer.retry_after(),
        },
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
            Kind::Refused { status, message }
        }
        _ => Kind::Failed { status, message },
    })
}

/// The message of EM's error document, where there is one. The stack trace stays where it is.
pub(super) fn message(answer: &Answer) -> Option<String> {
    if answer.body.len() > BIG {
        return None;
    }
    let (_, json) = xml::decode(&Links::default(), &answer.body, &["Error"]).ok()?;
    let error: ErrorDocument = serde_json::from_slice(&json).ok()?;
    let text = [error.message, error.first_chance_exception_message];
    let mut text = text.into_iter().flatten().find(|text| !text.trim().is_empty())?;
    shorten(&mut text);
    Some(text)
}
