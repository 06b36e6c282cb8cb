//! What came of one read: a line of the journal, and what the report adds up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sums::{Finding, Kind, Sums};
use super::walk::Read;
use super::{form, observe};
use crate::transcode::{self, AnomalyKind, DecodeError};
use crate::upstream::AsSent;

/// Media types that are told; what else is sent could be anything.
const MEDIA_TYPES: [&str; 4] = [
    "text/html",
    "text/plain",
    "application/json",
    "application/octet-stream",
];

/// How one read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Outcome {
    /// A document that could be transcoded.
    Read,
    /// An answer that could not.
    NotReadable,
    /// Another status of HTTP than one of success.
    Status(u16),
    /// More than `upstream.max_response`.
    TooLarge,
    TimedOut,
}

/// One read and what came of it: a line of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(flatten)]
    pub read: Read,
    pub outcome: Outcome,
    pub milliseconds: f64,
    pub bytes: u64,
    pub sums: Sums,
    /// What the transcoder itself did not know: names, values, values of enumerations.
    pub anomalies: [u64; 3],
    /// Paths that are read for it.
    pub paths: Vec<String>,
    /// Which page it was, and of how many.
    pub paging: Option<(u64, u64)>,
}

impl Entry {
    /// Of a read that no document came of.
    pub(super) fn new(read: &Read, outcome: Outcome, took: Duration) -> Self {
        let mut sums = Sums::default();
        let served = !matches!(outcome, Outcome::Status(status) if status != 401 && status != 403);
        if read.standing && !served {
            let detail = match outcome {
                Outcome::Status(status) => format!("status {status}"),
                _ => String::new(),
            };
            sums.find(finding(Kind::NotServed, &read.resource, detail), 1);
        }
        Self {
            read: read.clone(),
            outcome,
            milliseconds: took.as_secs_f64() * 1000.0,
            bytes: 0,
            sums,
            anomalies: [0; 3],
            paths: Vec::new(),
            paging: None,
        }
    }

    /// Of a document, which is looked at and transcoded.
    pub(super) fn of_answer(read: &Read, answer: &AsSent, took: Duration) -> Self {
        let observed = observe::document(&answer.body);
        let (decoded, refused) = match transcode::decode(&answer.body) {
            Ok(decoded) => (Some(decoded), None),
            Err(error) => (None, Some(error)),
        };
        let outcome = if refused.is_none() {
            Outcome::Read
        } else {
            Outcome::NotReadable
        };
        let mut entry = Self {
            bytes: answer.body.len() as u64,
            paths: observed.paths,
            paging: observed.page,
            sums: observed.sums,
            ..Self::new(read, outcome, took)
        };
        if let Some(error) = refused {
            entry.sums.find(
                finding(Kind::NotReadable, &read.resource, why(&error).to_owned()),
                1,
            );
        }
        for anomaly in decoded.iter().flat_map(|decoded| decoded.anomalies.iter()) {
            let place = match anomaly.kind {
                AnomalyKind::UnknownName => 0,
                AnomalyKind::UnparsedValue => 1,
                AnomalyKind::UnknownValue => 2,
            };
            if let Some(count) = entry.anomalies.get_mut(place) {
                *count += anomaly.count;
            }
        }
        let media = answer
            .content_type
            .as_deref()
            .map(|text| text.split(';').next().unwrap_or("").trim());
        let is_xml = media.is_some_and(|media| media.to_ascii_lowercase().ends_with("xml"));
        if !is_xml {
            let detail = media.map_or_else(
                || "none".to_owned(),
                |media| {
                    let known = MEDIA_TYPES.iter().find(|known| known.eq_ignore_ascii_case(media));
                    known.map_or_else(|| form::of_value(media), |known| (*known).to_owned())
                },
            );
            entry
                .sums
                .find(finding(Kind::OtherContentType, &read.resource, detail), 1);
        }
        entry
    }

    #[cfg(test)]
    pub(super) fn for_tests(target: &str) -> Self {
        let read = Read {
            target: target.to_owned(),
            resource: format!("/{target}"),
            form: super::walk::AnswerForm::Only,
            standing: true,
            page: None,
        };
        Self::new(&read, Outcome::Read, Duration::from_millis(5))
    }
}

fn finding(kind: Kind, resource: &str, detail: String) -> Finding {
    Finding {
        kind,
        ty: resource.to_owned(),
        field: String::new(),
        detail,
    }
}

/// Why a document was refused, without the names that its error quotes.
const fn why(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::Empty => "it is empty",
        DecodeError::Malformed { .. } => "it is not well-formed",
        DecodeError::Truncated { .. } => "it ends in the middle",
        DecodeError::Dtd { .. } => "it has a DTD",
        DecodeError::Entity { .. } => "it has an entity that is not declared",
        DecodeError::Character { .. } => "it has a character that XML does not allow",
        DecodeError::TooDeep { .. } => "it nests too deep",
        DecodeError::TooLarge { .. } => "it is too large",
        DecodeError::Encoding { .. } => "its encoding is not read",
        DecodeError::UnknownRoot { .. } | DecodeError::UnexpectedRoot { .. } => {
            "its document element is unknown"
        }
        DecodeError::Repeated { .. } => "an element is there again",
        DecodeError::LateClash { .. } => "names clash",
        DecodeError::Io(_) => "it could not be read",
    }
}
