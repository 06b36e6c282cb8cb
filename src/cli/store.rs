//! `emgate store copy`: the way from one store to another, from a file to a server above all. Progress goes to stderr.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{ConfigFile, Failure, output, say};
use crate::bootstrap::store_copy::{Config, Error, Progress, copy};
use crate::telemetry;
use crate::text::counted;

/// A line for each table is enough, unless there is nothing to see for so long.
const TELL_AGAIN: Duration = Duration::from_secs(5);

/// Arguments of `emgate store`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate store copy --config /etc/emgate/emgate.toml --to postgres://emgate@db.example/emgate")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with stores.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Copy everything into an empty store, and compare the two row by row
    Copy(Copy),
}

/// Arguments of `emgate store copy`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate store copy --config /etc/emgate/emgate.toml --to postgres://emgate@db.example/emgate
  PGPASSWORD=… emgate store copy --to postgres://emgate@db.example/emgate     the password from the environment

Stop every gateway on both stores first. A copy that was interrupted goes on when the command is run again, and one that was
complete says so; until it is finished no gateway starts on the new store. Both stores have the same encryption key.

Exit code 0: every row is there and the same. 1: one is not, or a store failed. 2: the command cannot begin.")]
pub struct Copy {
    /// The URL of the new store
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// The file with the encryption key, where it is not where the old store has it
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Runs the command.
///
/// # Errors
/// What differs or failed with exit code 1, what cannot begin with 2.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let Command::Copy(args) = &args.command;
    let config = args.config.load().map_err(|failure| Failure {
        usage: true,
        ..failure
    })?;
    let new = Config {
        url: args.to.clone(),
        encryption_key_file: args.key_file.clone(),
    };
    let mut last = Instant::now();
    let tell = |progress| {
        if is_news(&progress) || last.elapsed() >= TELL_AGAIN {
            last = Instant::now();
            say(&line(&progress));
        }
    };
    let key = copy(&config.store, &new, tell).await;
    let key = key.map_err(|error| failure(&error))?;
    let told = format!(
        "the new store holds every row of the old one\nstart the gateway with store.url set to it and \
         store.encryption_key_file = \"{}\"\n",
        key.display()
    );
    output(told.as_bytes())
}

fn line(progress: &Progress) -> String {
    match progress {
        Progress::Resumed { table, rows } => format!("goes on in {table}, after {}", counted(*rows, "row")),
        Progress::Copied { table, rows } => format!("{table}: {} copied so far", counted(*rows, "row")),
        Progress::Compared { table, rows, done } => {
            let end = if *done {
                "copied and the same"
            } else {
                "compared so far"
            };
            format!("{table}: {} {end}", counted(*rows, "row"))
        }
        Progress::Complete => "the copy was complete; nothing was left to do".to_owned(),
    }
}

/// Whether it is told however short the time since the last line.
const fn is_news(progress: &Progress) -> bool {
    matches!(
        progress,
        Progress::Resumed { .. } | Progress::Compared { done: true, .. } | Progress::Complete
    )
}

fn failure(error: &Error) -> Failure {
    let text = telemetry::chain(error);
    match error {
        Error::Differs { .. } | Error::Count { .. } => Failure::new(text).hint(
            "something else wrote to one of the stores; empty the new one, stop what uses them, and begin again",
        ),
        Error::Unopened { source, .. } => hinted(Failure::usage(text), source.hint()),
        Error::Store { source, .. } => hinted(Failure::new(text), source.hint()),
        Error::Same => Failure::usage(text).hint("--to takes the URL of another database"),
        Error::InUse { .. } => Failure::usage(text).hint("stop every gateway first, and wait ten seconds"),
        Error::NotEmpty(_) => Failure::usage(text).hint("make an empty database for it"),
        Error::OtherColumns(_) => {
            Failure::usage(text).hint("make an empty database for it, and let nobody change its tables")
        }
    }
}

fn hinted(failure: Failure, hint: Option<&'static str>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
