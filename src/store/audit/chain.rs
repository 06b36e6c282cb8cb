//! The chain: the canonical form of a row (RFC 8785), its hash, and the walk that finds the first break.
//!
//! A row is hashed without its member `hash`, and names the hash of the row before it. The walk takes rows and anchors as
//! the lines of an export, and each line must be the canonical form byte for byte, so that no change goes unnoticed.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What the first row names as the hash before it.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A row as it is told and hashed. The members' order is the canonical form's business.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub sequence: i64,
    /// RFC 3339 with six digits of a second, which both engines keep.
    pub at: String,
    pub actor: Actor,
    pub action: String,
    pub target: Option<String>,
    pub tenant: Option<Tenant>,
    pub operation_id: Option<String>,
    pub request_id: Option<String>,
    pub outcome: String,
    pub status: Option<i64>,
    pub details: Value,
    pub previous_hash: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Actor {
    pub issuer: Option<String>,
    pub subject: Option<String>,
    pub token_id: Option<String>,
    pub address: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Tenant {
    pub id: Option<String>,
    pub name: Option<String>,
}

/// A moment as rows and anchors tell it.
pub(super) fn shown(at: Timestamp) -> String {
    format!("{at:.6}")
}

impl Row {
    /// Gives it the hash of its other members.
    pub(super) fn seal(&mut self) -> Result<(), serde_json::Error> {
        self.hash = String::new();
        self.hash = sha256(&serde_json_canonicalizer::to_vec(self)?);
        Ok(())
    }

    /// Its canonical form, hash included: a line of the export.
    pub(super) fn line(&self) -> Result<String, serde_json::Error> {
        serde_json_canonicalizer::to_string(self)
    }
}

/// SHA-256 in lower-case hex.
fn sha256(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in digest(&SHA256, bytes).as_ref() {
        hex.push_str(&format!("{byte:02x}"));
    }
    hex
}

/// A place in the chain: the number and the hash of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The row's number; 0 before the first.
    pub sequence: i64,
    /// Its hash.
    pub hash: String,
}

impl Link {
    /// The place before the first row.
    #[must_use]
    pub fn genesis() -> Self {
        Self {
            sequence: 0,
            hash: GENESIS.to_owned(),
        }
    }
}

/// What stands for the rows that were removed: the last of them, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Anchor {
    /// The number of the last row that was removed.
    pub sequence: i64,
    /// Its hash.
    pub hash: String,
    /// When it was removed.
    pub at: String,
    /// The key that signs, 32 bytes in base64.
    pub public_key: String,
    /// Ed25519 over the canonical form of the other members, 64 bytes in base64.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub signature: String,
}

impl Anchor {
    /// Signs the place of the last row that is removed.
    pub(super) fn signed(last: Link, at: Timestamp, key: &Ed25519KeyPair) -> Result<Self, serde_json::Error> {
        let mut anchor = Self {
            sequence: last.sequence,
            hash: last.hash,
            at: shown(at),
            public_key: STANDARD.encode(key.public_key().as_ref()),
            signature: String::new(),
        };
        let message = serde_json_canonicalizer::to_vec(&anchor)?;
        anchor.signature = STANDARD.encode(key.sign(&message).as_ref());
        Ok(anchor)
    }

    /// Its line in an export.
    pub(super) fn line(&self) -> Result<String, serde_json::Error> {
        serde_json_canonicalizer::to_string(&serde_json::json!({ "anchor": self }))
    }
}

/// Where a chain does not hold, and what is wrong there.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Break {
    /// A line is no row in its canonical form.
    #[error("it is not an audit row in the form that was exported (RFC 8785)")]
    Form,
    /// A row's hash is not that of its content.
    #[error("row {0} was changed: its hash is not that of its content")]
    Changed(i64),
    /// A row is not the one that follows.
    #[error("row {found} follows row {last}: {}", missing(*last, *found))]
    Gap {
        /// The row before.
        last: i64,
        /// The row found.
        found: i64,
    },
    /// A store's rows begin with one that is neither the first nor the one after its anchor.
    #[error("the chain begins with row {found}, and no anchor stands for what came before: {}", missing(0, *found))]
    Beginning {
        /// The row found.
        found: i64,
    },
    /// A row names another hash than that of the row before it.
    #[error("row {0} does not continue the chain: its previousHash is not the hash of the row before it")]
    Unlinked(i64),
    /// The signature of an anchor is not that of its key.
    #[error("the anchor for the rows up to {0} was changed: its signature does not fit")]
    AnchorChanged(i64),
    /// An anchor was signed by another key than the store's.
    #[error("the anchor for the rows up to {0} was signed with another key than this store's")]
    AnchorKey(i64),
    /// An anchor stands behind rows.
    #[error("an anchor follows row {0}, and belongs before all rows")]
    AnchorPlace(i64),
    /// Rows are missing at the end.
    #[error("the chain ends with row {last}, and the store recorded row {head} as its last: {}", missing(*last, head + 1))]
    End {
        /// The last row found.
        last: i64,
        /// The last row that was written.
        head: i64,
    },
    /// A row follows the last that was written.
    #[error("row {found} follows row {head}, which the store recorded as its last: it was added")]
    Added {
        /// The row found.
        found: i64,
        /// The last row that was written.
        head: i64,
    },
    /// The record of the last row is gone, or no record.
    #[error("the store's record of its last row (table audit_head) was removed or cannot be read")]
    Headless,
    /// The last row is not the one that was written.
    #[error("row {0} is not the one that the store recorded as its last: its hash differs")]
    Head(i64),
}

fn missing(last: i64, found: i64) -> String {
    match found - last - 1 {
        0 => "its order is wrong".to_owned(),
        1 => format!("row {} is missing", last + 1),
        many if many > 0 => format!("rows {} to {} are missing", last + 1, found - 1),
        _ => "a row is repeated, or the order is wrong".to_owned(),
    }
}

/// What a walk found to be in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walked {
    /// How many rows.
    pub rows: u64,
    /// The number of the first; 0 without rows.
    pub first: i64,
    /// The number of the last row, or of the last that was removed.
    pub last: i64,
    /// What the walk began with, where rows were removed.
    pub anchor: Option<Anchor>,
    /// Whether what came before the first row is not known: neither the beginning nor an anchor was there.
    pub begins_inside: bool,
}

/// The walk along a chain, row by row.
#[derive(Debug, Default)]
pub struct Walk {
    last: Option<Link>,
    walked: Walked,
    own_key: Option<String>,
}

impl Walk {
    /// The walk along a whole store: it begins with the first row, or behind an anchor that was signed by this key. That of
    /// an export, which [`Walk::default`] is, may begin inside, and takes anchors by the key that they name.
    #[must_use]
    pub fn of_store(own_key: String) -> Self {
        Self {
            own_key: Some(own_key),
            ..Self::default()
        }
    }

    /// The number of the last row so far, or of the last that was removed; 0 before the first.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.walked.last
    }

    /// Takes the next line.
    ///
    /// # Errors
    /// The break, if the chain does not hold here.
    pub fn line(&mut self, line: &str) -> Result<(), Break> {
        let value: Value = serde_json::from_str(line).map_err(|_| Break::Form)?;
        let canonical = serde_json_canonicalizer::to_string(&value).map_err(|_| Break::Form)?;
        let Value::Object(mut members) = value else {
            return Err(Break::Form);
        };
        if canonical != line {
            return Err(Break::Form);
        }
        if let (Some(anchor), 1) = (members.remove("anchor"), members.len() + 1) {
            return self.anchor(anchor);
        }
        let hash = text(members.remove("hash").as_ref())?;
        let found = Link {
            sequence: members
                .get("sequence")
                .and_then(Value::as_i64)
                .ok_or(Break::Form)?,
            hash,
        };
        let previous = text(members.get("previousHash"))?;
        let content = serde_json_canonicalizer::to_vec(&members).map_err(|_| Break::Form)?;
        if sha256(&content) != found.hash {
            return Err(Break::Changed(found.sequence));
        }
        self.follow(found, &previous)
    }

    fn follow(&mut self, found: Link, previous: &str) -> Result<(), Break> {
        let last = match self.last.take() {
            Some(last) => last,
            None if found.sequence == 1 => Link::genesis(),
            None if self.own_key.is_some() => {
                return Err(Break::Beginning {
                    found: found.sequence,
                });
            }
            None => {
                self.walked.begins_inside = true;
                Link {
                    sequence: found.sequence - 1,
                    hash: previous.to_owned(),
                }
            }
        };
        if last.sequence.checked_add(1) != Some(found.sequence) {
            return Err(Break::Gap {
                last: last.sequence,
                found: found.sequence,
            });
        }
        if last.hash != previous {
            return Err(Break::Unlinked(found.sequence));
        }
        if self.walked.rows == 0 {
            self.walked.first = found.sequence;
        }
        self.walked.rows += 1;
        self.walked.last = found.sequence;
        self.last = Some(found);
        Ok(())
    }

    fn anchor(&mut self, value: Value) -> Result<(), Break> {
        let Value::Object(mut members) = value else {
            return Err(Break::Form);
        };
        let signature = text(members.remove("signature").as_ref())?;
        let anchor = Anchor {
            sequence: members
                .get("sequence")
                .and_then(Value::as_i64)
                .ok_or(Break::Form)?,
            hash: text(members.get("hash"))?,
            at: text(members.get("at"))?,
            public_key: text(members.get("publicKey"))?,
            signature,
        };
        if let Some(last) = &self.last {
            return Err(Break::AnchorPlace(last.sequence));
        }
        let message = serde_json_canonicalizer::to_vec(&members).map_err(|_| Break::Form)?;
        let changed = || Break::AnchorChanged(anchor.sequence);
        let key = STANDARD.decode(&anchor.public_key).map_err(|_| changed())?;
        let signature = STANDARD.decode(&anchor.signature).map_err(|_| changed())?;
        let verified = UnparsedPublicKey::new(&ED25519, &key).verify(&message, &signature);
        verified.map_err(|_| changed())?;
        if self.own_key.as_ref().is_some_and(|own| *own != anchor.public_key) {
            return Err(Break::AnchorKey(anchor.sequence));
        }
        self.walked.last = anchor.sequence;
        self.last = Some(Link {
            sequence: anchor.sequence,
            hash: anchor.hash.clone(),
        });
        self.walked.anchor = Some(anchor);
        Ok(())
    }

    /// Ends the walk; `head` is the last row that was written, where that is known.
    ///
    /// # Errors
    /// The break at the end.
    pub fn end(self, head: Option<&Link>) -> Result<Walked, Break> {
        let last = self.last.unwrap_or_else(Link::genesis);
        match head {
            Some(head) if head.sequence != last.sequence => Err(Break::End {
                last: last.sequence,
                head: head.sequence,
            }),
            Some(head) if head.hash != last.hash => Err(Break::Head(last.sequence)),
            Some(_) | None => Ok(self.walked),
        }
    }
}

fn text(member: Option<&Value>) -> Result<String, Break> {
    let text = member.and_then(Value::as_str);
    text.map(ToOwned::to_owned).ok_or(Break::Form)
}

/// A line as the JSON that it is.
pub(super) fn raw(line: String) -> Result<Box<RawValue>, serde_json::Error> {
    RawValue::from_string(line)
}
