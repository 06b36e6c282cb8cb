//! What `emgate survey` does: a client of EM with the first account, a journal, the reads, and the logging off.

pub use crate::survey::{Error, JournalError, Options, Progress, Report, Schema, SchemaError};

use std::path::Path;

use super::LOGOFF;
use crate::clock::SystemClock;
use crate::survey::{Journal, compare_schema, read_all};
pub use crate::upstream::Config as UpstreamConfig;
use crate::upstream::{EmClient, SetupError};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The client of EM.
    #[error("Enterprise Manager cannot be asked")]
    Setup(#[from] SetupError),
    /// The reads, or the journal.
    #[error(transparent)]
    Survey(#[from] Error),
    /// Somebody stopped it.
    #[error("the survey was interrupted")]
    Interrupted,
}

/// A survey that was finished; its journal is there until the report is written.
pub struct Finished {
    pub report: Report,
    pub journal: Journal,
}

/// Reads EM and makes the report that is to be written to `file`.
///
/// # Errors
/// [`Fault`]; what was read until then is in the journal beside `file`.
pub async fn survey(
    config: &UpstreamConfig,
    file: &Path,
    options: Options,
    resume: bool,
    schema: Option<&Schema>,
    tell: impl FnMut(&Progress),
) -> Result<Finished, Fault> {
    super::install_tls_provider();
    let mut config = config.clone();
    // The others are tenants', who see less.
    config.accounts.truncate(1);
    let em = EmClient::new(&config, SystemClock::shared())?;
    let mut journal = Journal::open(file, &em.address(), resume).map_err(Error::from)?;
    let read = tokio::select! {
        read = read_all(&em, &mut journal, options, tell) => read.map_err(Fault::from),
        _ = tokio::signal::ctrl_c() => Err(Fault::Interrupted),
    };
    let version = em.api_version();
    em.shutdown(LOGOFF).await;
    match read {
        Ok(read) => Ok(Finished {
            report: Report::new(&read, version, schema.map(compare_schema)),
            journal,
        }),
        Err(fault) => {
            if journal.is_empty() {
                journal.remove().map_err(Error::from)?;
            }
            Err(fault)
        }
    }
}
