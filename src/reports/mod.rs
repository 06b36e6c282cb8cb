//! From a report to what is handed over: its canonical form and digest, the page and the table that show it, and whether a
//! file of either kind is what was signed (docs/behaviour.md#reports).
//!
//! Pure: a report comes in as the JSON that was stored, and everything follows from it, so that a file is verified with
//! nothing else at hand. Tests: beside the files, `tests/it/evidence`, `tests/reports`.

pub mod csv;
pub mod html;
pub mod integrity;
pub mod verify;
mod view;

use serde_json::Value;

/// Why a report cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not JSON, or no report.
    #[error("the report cannot be read")]
    Unreadable,
    /// The page could not be made.
    #[error("the report's page could not be made")]
    Page(#[from] minijinja::Error),
    /// The table could not be made.
    #[error("the report's table could not be made")]
    Table,
}

/// How a report is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The report itself.
    Json,
    /// A page that needs nothing else.
    Html,
    /// A row for each machine.
    Csv,
}

impl Format {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Json, Self::Html, Self::Csv];

    /// Its word in `?format=`, which is also the ending of its file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
            Self::Csv => "csv",
        }
    }

    /// Its media type, without parameters.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Html => "text/html",
            Self::Csv => "text/csv",
        }
    }
}

/// A report as bytes of that format. `body` is its JSON as it was stored.
///
/// # Errors
/// [`Error`].
pub fn render(format: Format, body: &str) -> Result<Vec<u8>, Error> {
    let read = || serde_json::from_str::<Value>(body).map_err(|_| Error::Unreadable);
    match format {
        Format::Json => Ok(body.as_bytes().to_vec()),
        Format::Html => Ok(html::page(&read()?)?.into_bytes()),
        Format::Csv => csv::table(&read()?),
    }
}

/// The name of a report's file without its ending: `emgate-test-<plan>-<UTC date>-<id8>`, in ASCII.
#[must_use]
pub fn file_stem(report: &Value) -> String {
    let text = |pointer: &str| {
        report
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let action = match text("/execution/action") {
        "" => "failover",
        action => action,
    };
    let mut plan = String::new();
    for letter in text("/plan/name").chars() {
        if letter.is_ascii_alphanumeric() {
            plan.push(letter.to_ascii_lowercase());
        } else if !plan.is_empty() && !plan.ends_with('-') {
            plan.push('-');
        }
        if plan.len() >= 60 {
            break;
        }
    }
    let plan = match plan.trim_matches('-') {
        "" => "plan",
        plan => plan,
    };
    let date = text("/summary/facts/test_date")
        .get(..10)
        .unwrap_or("undated")
        .to_owned();
    let id = match text("/execution/operationId") {
        "" => text("/execution/sessionId"),
        id => id,
    };
    format!(
        "emgate-{action}-{plan}-{date}-{}",
        id.get(..8).unwrap_or("00000000")
    )
}
