//! Whether a file is the report that was signed: JSON or page, with the key at hand and nothing else.
//!
//! Every byte counts. The text of the report must be what the gateway writes, so that no change goes unnoticed, not even one
//! that means the same; a page of the same version is made again from the report in it and compared, also where the text of
//! the report in it may be another.

use serde_json::Value;

use super::{html, integrity};
use crate::json;

/// A key to verify with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id; none where only the key itself is known.
    pub id: Option<String>,
    /// The public key, 32 bytes in base64.
    pub public_key: String,
}

/// What of a file is not what was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is neither JSON nor a page with a report in it.
    #[error("form: the file is neither a report as JSON nor a page with one in it")]
    NoReport,
    /// The report's text was changed, though it may mean the same.
    #[error(
        "form: the report's text is not byte for byte what the gateway wrote; if it was only formatted anew, --reformatted verifies its content"
    )]
    Form,
    /// The JSON means one thing to one reader and another to the next.
    #[error("form: {0} of the report is given more than once, or has a character that it may not have")]
    Ambiguous(String),
    /// The page around the report was changed.
    #[error("page: what the page shows is not what the report in it says")]
    Page,
    /// The page is by another template.
    #[error(
        "page: it was made by a template of the operator's and cannot be compared; --reformatted verifies the report in it alone"
    )]
    Template,
    /// The content was changed.
    #[error("digest: the report was changed, its digest is {found}")]
    Digest {
        /// The digest of the content.
        found: String,
    },
    /// The key is not among those at hand.
    #[error("key: the report names the key {0}, which is not the one to verify with")]
    Key(String),
    /// The signature is not that of the key.
    #[error("signature: it is not that of the key {0} over the digest")]
    Signature(String),
    /// A row of the audit log was changed.
    #[error("audit: row {0} was changed, its hash is not that of its content")]
    AuditRow(i64),
    /// The rows of the audit log are not those that the report names.
    #[error("audit: the rows are not in order, or not those from {from:?} to {to:?}")]
    AuditRange {
        /// The first row that is named.
        from: Option<i64>,
        /// The last.
        to: Option<i64>,
    },
}

/// What a file was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The report's id.
    pub id: String,
    /// The revision.
    pub revision: i64,
    /// Its digest.
    pub digest: String,
    /// The key that signed.
    pub key_id: String,
    /// The name of the plan, if it is known.
    pub plan: Option<String>,
    /// The verdict.
    pub verdict: String,
    /// How many rows of the audit log are in it.
    pub audit_rows: usize,
    /// What the page around the report is.
    pub page: Page,
}

/// What is known of the page around a verified report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// There is none: the file is the report itself.
    None,
    /// It shows what the report says.
    Compared,
    /// Another version made it, which may make another page of the same report. It was not compared.
    OtherVersion,
    /// A template of the operator's made it. It was not compared.
    Template,
}

/// Verifies a file. `reformatted`: its text may be another one with the same content.
///
/// # Errors
/// All faults that were found.
pub fn verify(file: &[u8], keys: &[Key], reformatted: bool) -> Result<Verified, Vec<Fault>> {
    let Ok(text) = std::str::from_utf8(file) else {
        return Err(vec![Fault::NoReport]);
    };
    let parts = html::parted(text);
    let data = parts.map_or(text, |(_, data, _)| data);
    let report = json::parse(data.as_bytes()).map_err(|error| vec![unread(error)])?;
    let mut faults = Vec::new();
    let written = match parts {
        Some(_) => html::data(&report),
        None => serde_json::to_string(&report).ok(),
    };
    if written.as_deref() != Some(data) && !reformatted {
        faults.push(Fault::Form);
    }
    let page = match parts {
        None => Page::None,
        Some((before, ..)) if html::is_foreign(before) => {
            if !reformatted {
                faults.push(Fault::Template);
            }
            Page::Template
        }
        Some(_) if text_at(&report, "/report/generator") != html::GENERATOR => Page::OtherVersion,
        Some((before, _, after)) => {
            let made = html::page(&report).unwrap_or_default();
            if html::parted(&made).is_none_or(|(first, _, last)| (first, last) != (before, after)) {
                faults.push(Fault::Page);
            }
            Page::Compared
        }
    };
    let Some(digest) = integrity::digest(&report) else {
        return Err(vec![Fault::NoReport]);
    };
    let found = integrity::digest_text(&digest);
    if found != text_at(&report, "/integrity/digest") {
        faults.push(Fault::Digest { found: found.clone() });
    }
    let key_id = text_at(&report, "/integrity/keyId").to_owned();
    let fitting: Vec<&Key> = keys
        .iter()
        .filter(|key| key.id.as_ref().is_none_or(|id| *id == key_id))
        .collect();
    if fitting.is_empty() {
        faults.push(Fault::Key(key_id.clone()));
    } else {
        let signature = text_at(&report, "/integrity/signature");
        if !fitting
            .iter()
            .any(|key| integrity::is_signed(&key.public_key, &digest, signature))
        {
            faults.push(Fault::Signature(key_id.clone()));
        }
    }
    let audit_rows = audit(&report, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Verified {
        id: text_at(&report, "/report/id").to_owned(),
        revision: report
            .pointer("/report/revision")
            .and_then(Value::as_i64)
            .unwrap_or_default(),
        digest: found,
        key_id,
        plan: report
            .pointer("/plan/name")
            .and_then(Value::as_str)
            .map(ToOwned::to_owned),
        verdict: text_at(&report, "/summary/verdict").to_owned(),
        audit_rows,
        page,
    })
}

/// What is wrong with a text that is not accepted as JSON.
fn unread(error: json::Error) -> Fault {
    let json::Error::Faults(faults) = error else {
        return Fault::NoReport;
    };
    let places: Vec<String> = faults.into_iter().map(|fault| fault.pointer).collect();
    Fault::Ambiguous(places.join(", "))
}

/// Checks the rows of the audit log: each has the hash of its content, they are in order, and where one follows another
/// directly, it names its hash. How many there are.
fn audit(report: &Value, faults: &mut Vec<Fault>) -> usize {
    let rows: &[Value] = report
        .pointer("/provenance/audit")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice);
    let number = |row: &Value| row.get("sequence").and_then(Value::as_i64);
    for row in rows {
        let hash = row.get("hash").and_then(Value::as_str);
        if hash.is_none() || integrity::audit_hash(row).as_deref() != hash {
            faults.push(Fault::AuditRow(number(row).unwrap_or_default()));
        }
    }
    let named = |pointer: &str| report.pointer(pointer).and_then(Value::as_i64);
    let (from, to) = (named("/integrity/auditFrom"), named("/integrity/auditTo"));
    let in_order = rows.iter().zip(rows.iter().skip(1)).all(|(one, next)| {
        let follows = number(one).and_then(|one| one.checked_add(1)) == number(next);
        number(one) < number(next) && (!follows || one.get("hash") == next.get("previousHash"))
    });
    if !in_order || rows.first().and_then(number) != from || rows.last().and_then(number) != to {
        faults.push(Fault::AuditRange { from, to });
    }
    rows.len()
}

fn text_at<'v>(report: &'v Value, pointer: &str) -> &'v str {
    report
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
