//! `emgate audit verify`: walks the chain of the audit log, in the store or in an export, and names the first break.

use std::path::PathBuf;

use super::{ConfigFile, Failure, output};
use crate::bootstrap::audit::{Error, Walked, verify_file, verify_store};
use crate::telemetry;

/// Arguments of `emgate audit`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate audit verify --config /etc/emgate.toml
  emgate audit verify --file audit.jsonl")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with the audit log.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Verify that no row was changed, removed or added
    Verify(Verify),
}

/// Arguments of `emgate audit verify`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate audit verify --config /etc/emgate.toml     the store; an SQLite store while no gateway runs on it
  curl -H \"Authorization: Bearer $TOKEN\" https://dr.example/api/v1/audit/export > audit.jsonl
  emgate audit verify --file audit.jsonl            an export, also of a running gateway

Exit code 0: the chain is unbroken. 1: it is broken; the first break is named. 2: there is nothing to verify.")]
pub struct Verify {
    /// An export (JSON lines) instead of the store
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Runs the command.
///
/// # Errors
/// The first break with exit code 1, unusable input with 2.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let Command::Verify(verify) = &args.command;
    let walked = match &verify.file {
        Some(file) => verify_file(file),
        None => {
            let config = verify.config.load().map_err(|failure| Failure {
                usage: true,
                ..failure
            })?;
            verify_store(&config).await
        }
    };
    output(told(&walked.map_err(|error| failure(&error))?).as_bytes())
}

fn failure(error: &Error) -> Failure {
    match error {
        Error::Broken { .. } | Error::Unreadable(_) => Failure::new(error.to_string()),
        Error::Store(source) => {
            let failure = Failure::usage(telemetry::chain(error));
            match source {
                crate::bootstrap::audit::StoreError::At { source, .. }
                    if matches!(**source, crate::bootstrap::audit::StoreError::Locked { .. }) =>
                {
                    failure.hint(LOCKED)
                }
                crate::bootstrap::audit::StoreError::Locked { .. } => failure.hint(LOCKED),
                _ => failure,
            }
        }
        Error::File { .. } | Error::Empty(_) => Failure::usage(telemetry::chain(error)),
    }
}

const LOCKED: &str =
    "export it from the running gateway (GET /api/v1/audit/export) and verify the file with --file";

fn told(walked: &Walked) -> String {
    let mut text = match walked.rows {
        0 => "no rows: the audit log is empty\n".to_owned(),
        1 => format!("row {} verified: the chain is unbroken\n", walked.last),
        _ => format!(
            "rows {} to {} verified: the chain is unbroken\n",
            walked.first, walked.last
        ),
    };
    if let Some(anchor) = &walked.anchor {
        text.push_str(&format!(
            "rows up to {} were removed by retention, the last of them at {}; the anchor is signed by key {}\n",
            anchor.sequence, anchor.at, anchor.public_key
        ));
    }
    if walked.begins_inside {
        text.push_str(&format!(
            "what came before row {} is not in the file\n",
            walked.first
        ));
    }
    text
}
