//! The binary: parses the command line, starts logging, runs one command, and turns its failure into one clear line,
//! a hint and the exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use emgate::{
    cli::{self, Failure},
    telemetry,
};

/// A modern JSON gateway in front of Veeam Backup Enterprise Manager.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
#[command(after_help = "Examples:
  emgate demo                                       the main job on this machine, nothing else needed
  emgate serve --config emgate.toml                 the gateway
  emgate token --subject portal --scope all         a token to try the API with

Logging goes to stderr; EMGATE_LOG sets what is logged, for example EMGATE_LOG=emgate=debug,info.")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the main job on this machine, with nothing else installed
    #[cfg(feature = "demo")]
    Demo(emgate::demo::Options),
    /// Run a double of Enterprise Manager to develop and test against
    #[cfg(feature = "demo")]
    Simulate(emgate::sim::Options),
    /// Convert one of Enterprise Manager's XML documents to the JSON of the API
    Convert(cli::convert::Args),
    /// Ask the gateway on this machine whether it lives
    Health(cli::health::Args),
    /// Run the gateway until SIGTERM or SIGINT
    #[command(after_help = "Examples:
  emgate serve                              ./emgate.toml if present, else the environment alone
  emgate serve --config /etc/emgate.toml")]
    Serve(cli::ConfigFile),
    /// Make a token that the configured gateway believes
    Token(cli::token::Args),
}

impl Command {
    /// What is logged when nobody says otherwise.
    fn usual_logs(&self) -> &'static str {
        match self {
            // Its picture on the terminal is not to be torn by the log of a gateway that does well.
            #[cfg(feature = "demo")]
            Self::Demo(_) => "warn",
            _ => "info",
        }
    }
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    match start_logs(command.usual_logs()).and_then(|()| run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        #[cfg(feature = "demo")]
        Command::Demo(options) => block_on(emgate::demo::run(options))?,
        #[cfg(feature = "demo")]
        Command::Simulate(options) => {
            block_on(emgate::sim::run(options))?.map_err(|error| Failure::caused_by(&error))
        }
        Command::Convert(args) => cli::convert::run(&args),
        Command::Health(args) => block_on(cli::health::run(&args))?,
        Command::Serve(file) => block_on(cli::serve::run(file))?,
        Command::Token(args) => cli::token::run(&args),
    }
}

/// Runs a command that waits for things, on a runtime of its own.
fn block_on<F: Future>(work: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    Ok(runtime.block_on(work))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the edge of the process, where the environment becomes an argument"
)]
fn start_logs(usual: &str) -> Result<(), Failure> {
    let filter = std::env::var("EMGATE_LOG").ok();
    telemetry::init_logs(filter.as_deref(), usual).map_err(|error| Failure::caused_by(&error))
}
