//! `emgate check`: checks what `serve` needs (configuration, listener, store, every account's logon) and prints a
//! line for each.

use super::{ConfigFile, Failure, output};
use crate::{
    bootstrap::check::{Fault, Step, check},
    config,
    text::counted,
};

/// Arguments of `emgate check`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate check --config /etc/emgate.toml
  emgate check --defaults > emgate.toml       every key with its default and meaning, to start from

The store is opened as `serve` would open it: created when absent, its tables brought up to date.")]
pub struct Args {
    /// Print every key with its default, meaning and reason instead
    #[arg(long, conflicts_with = "config")]
    pub defaults: bool,
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Checks everything and prints the results.
///
/// # Errors
/// When a step fails; stdout names the failed steps.
pub async fn run(args: &Args) -> Result<(), Failure> {
    if args.defaults {
        return output(config::DEFAULTS.as_bytes());
    }
    let config = args.config.load()?;
    let mut tally = Tally::default();
    let accounts = config.upstream.accounts.len();
    let read = format!("is in order ({})", counted(accounts, "account"));
    tally.add(Step {
        name: "configuration".to_owned(),
        outcome: Ok(read),
    });
    if config.upstream.accept_invalid_certs {
        tally.warn(
            "configuration",
            "upstream.accept_invalid_certs is on: anyone on the network path can read EM's password",
        );
    }
    for warning in config.warnings() {
        tally.warn("configuration", &warning);
    }
    check(&config, |step| tally.add(step)).await;
    tally.written?;
    match tally.failed {
        0 => Ok(()),
        failed => Err(Failure::new(format!("{failed} of {} steps failed", tally.steps))
            .hint("the lines above say which and what to do")),
    }
}

/// What was tried so far. If stdout cannot be written, the checks continue without output.
struct Tally {
    steps: usize,
    failed: usize,
    written: Result<(), Failure>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            steps: 0,
            failed: 0,
            written: Ok(()),
        }
    }
}

impl Tally {
    fn add(&mut self, step: Step) {
        self.steps += 1;
        match step.outcome {
            Ok(found) => self.line("ok", &step.name, &found),
            Err(Fault { message, hint }) => {
                self.failed += 1;
                self.line("FAILED", &step.name, &message);
                if let Some(hint) = hint {
                    self.line("", "", hint);
                }
            }
        }
    }

    fn warn(&mut self, name: &str, words: &str) {
        self.line("warn", name, words);
    }

    fn line(&mut self, mark: &str, name: &str, words: &str) {
        if self.written.is_ok() {
            self.written = output(format!("{mark:<6}  {name:<14}  {words}\n").as_bytes());
        }
    }
}
