//! The commands of the binary that are not the demo: their arguments, and how a failure is reported.
//!
//! Each command is a `clap` struct with a `run`. stdout is for output alone; a failure is one clear line on stderr,
//! with a hint where there is one, and exit code 1 (2 when the command itself was wrong). Tests: `tests/cli.rs`, which
//! runs the binary as a process.

pub mod audit;
pub mod check;
pub mod client;
pub mod convert;
pub mod health;
pub mod inspect;
#[cfg(feature = "manual")]
pub mod manual;
pub mod report;
pub mod serve;
pub mod store;
pub mod survey;
pub mod token;

use std::ops::ControlFlow;
use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use crate::{
    config::{self, Config},
    http,
    text::spelled_out,
};

/// Why a command failed, for a person.
#[derive(Debug)]
pub struct Failure {
    /// One clear sentence, without "error:".
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the command line was wrong.
    pub usage: bool,
    /// Another exit code than these two give.
    pub exit: Option<u8>,
}

impl Failure {
    /// A failure of the command's work: exit code 1.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            usage: false,
            exit: None,
        }
    }

    /// The command line was wrong: exit code 2.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            usage: true,
            ..Self::new(message)
        }
    }

    /// An error with its causes, as one line.
    #[must_use]
    pub fn caused_by(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(crate::telemetry::chain(error))
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// 1, 2, or what a command of a client says.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit.unwrap_or(if self.usage { 2 } else { 1 })
    }

    /// Prints it on stderr.
    pub fn report(&self) {
        // What a gateway or a file said is part of some messages.
        let lines: Vec<String> = self.message.lines().map(spelled_out).collect();
        let mut text = format!("error: {}\n", lines.join("\n"));
        if let Some(hint) = &self.hint {
            text.push_str("hint: ");
            text.push_str(hint);
            text.push('\n');
        }
        // If stderr is closed, the failure cannot be reported.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// `--config`, shared by all commands that need the configuration.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ConfigFile {
    /// Configuration file; else `EMGATE_CONFIG`, else ./emgate.toml if present, else the environment alone
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads the configuration from the file and the process's environment.
    ///
    /// # Errors
    /// All faults of the configuration, as one failure.
    #[expect(
        clippy::disallowed_methods,
        reason = "the edge of the process, where the environment becomes an argument"
    )]
    pub fn load(&self) -> Result<Config, Failure> {
        let file = config::locate(self.config.clone(), std::env::var_os("EMGATE_CONFIG"));
        config::load(file.as_deref(), std::env::vars_os()).map_err(|error| {
            let hint = match &file {
                Some(_) => "emgate.default.toml describes every key (emgate check --defaults prints it)",
                None => "no configuration file was found: use --config FILE, EMGATE_CONFIG, or variables EMGATE_…__…",
            };
            Failure::new(error.to_string()).hint(hint)
        })
    }
}

/// `emgate openapi`: prints the OpenAPI document, as it is served and checked in.
///
/// # Errors
/// When stdout cannot be written.
pub fn openapi() -> Result<(), Failure> {
    let document = http::document_json();
    output(document.map_err(|error| Failure::caused_by(&error))?.as_bytes())
}

/// Tells whoever looks on, on stderr, what is no output: progress, a note, what is waited for. Where stderr is closed nobody
/// looks on, and the work continues; `eprintln!` would panic there.
pub fn say(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes output to stdout. A reader that has gone (`| head`) is no failure.
///
/// # Errors
/// When stdout cannot be written for another reason.
pub fn output(bytes: &[u8]) -> Result<(), Failure> {
    stream_output(bytes).map(|_| ())
}

/// The same for output that does not end by itself: it breaks off when its reader has gone.
///
/// # Errors
/// When stdout cannot be written for another reason.
pub fn stream_output(bytes: &[u8]) -> Result<ControlFlow<()>, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Failure::new(format!("cannot write to stdout: {error}"))),
    }
}
