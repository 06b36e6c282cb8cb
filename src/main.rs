//! The binary: parses the command line, starts logging, runs one command, and turns its failure into one clear line,
//! a hint and the exit code.

use std::process::ExitCode;

#[cfg(feature = "manual")]
use clap::CommandFactory as _;
use clap::{Parser, Subcommand};
use emgate::{
    cli::{self, Failure},
    telemetry,
};

#[cfg(all(feature = "jemalloc", target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A modern JSON gateway in front of Veeam Backup Enterprise Manager.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
#[command(after_help = "Examples:
  emgate demo --fast                                see it work; nothing else is needed
  emgate check --config emgate.toml                 is everything in place?
  emgate serve --config emgate.toml                 the gateway
  emgate plan test NAME --wait                      test a failover plan, the exit code tells how it ended
  emgate token --subject portal --scope all         a token to try the API with

Logging goes to stderr; EMGATE_LOG sets what is logged, for example EMGATE_LOG=emgate=debug,info.")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show a failover on this machine: simulator, gateway and a receiver that verifies the webhook
    #[cfg(feature = "demo")]
    Demo(emgate::demo::Options),
    /// Run a simulated Enterprise Manager to develop and test against
    #[cfg(feature = "demo")]
    Simulate(emgate::sim::Options),
    /// Verify the audit log
    Audit(cli::audit::Args),
    /// Check what `serve` needs: configuration, listener, store, and a real logon with every account
    Check(cli::check::Args),
    /// Print the completions of a shell
    #[cfg(feature = "manual")]
    Completions(cli::manual::CompletionsArgs),
    /// Convert one of Enterprise Manager's documents between XML and the JSON of the API
    Convert(cli::convert::Args),
    /// Print the event log of a running gateway, and follow it
    Events(cli::client::events::Args),
    /// Check that the gateway on this machine is running
    Health(cli::health::Args),
    /// Forward events to a receiver on this machine, signed as webhooks
    Listen(cli::client::listen::Args),
    /// Write the manual pages of this program
    #[cfg(feature = "manual")]
    Man(cli::manual::ManArgs),
    /// Show, await or cancel an operation of a running gateway
    Operation(cli::client::operation::Args),
    /// Print the OpenAPI document of the API
    #[command(after_help = "Examples:
  emgate openapi > emgate.v1.json
  emgate openapi | npx openapi-typescript -o emgate.d.ts")]
    Openapi,
    /// List, show, test, start and undo failover plans through a running gateway
    Plan(cli::client::plan::Args),
    /// Verify recovery reports
    Report(cli::report::Args),
    /// Copy the store into another one
    Store(cli::store::Args),
    /// Read a real Enterprise Manager once, and report where it differs from what this program knows of it
    Survey(cli::survey::Args),
    /// Run the gateway until SIGTERM or SIGINT
    #[command(after_help = "Examples:
  emgate serve                              ./emgate.toml if present, else the environment alone
  emgate serve --config /etc/emgate.toml")]
    Serve(cli::ConfigFile),
    /// Sign a token that the configured gateway accepts, or inspect one
    Token(cli::token::Args),
}

impl Command {
    /// What is logged when `EMGATE_LOG` is not set: commands that keep running log their work, commands that answer
    /// and end do not.
    fn default_log(&self) -> &'static str {
        match self {
            #[cfg(feature = "demo")]
            Self::Demo(_) => "warn",
            #[cfg(feature = "demo")]
            Self::Simulate(_) => "info",
            // PostgreSQL notes with each start that the table of migrations is there already.
            Self::Serve(_) => "info,sqlx::postgres::notice=warn",
            #[cfg(feature = "manual")]
            Self::Completions(_) | Self::Man(_) => "error",
            // What a library logs of a server is in the failure that the command prints.
            Self::Events(_) | Self::Listen(_) | Self::Operation(_) | Self::Plan(_) => "emgate=error",
            Self::Audit(_)
            | Self::Check(_)
            | Self::Convert(_)
            | Self::Health(_)
            | Self::Openapi
            | Self::Report(_)
            | Self::Store(_)
            | Self::Survey(_)
            | Self::Token(_) => "error",
        }
    }
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    let done = start_logs(command.default_log()).and_then(|logs| {
        let done = run(command);
        drop(logs);
        done
    });
    match done {
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
        Command::Simulate(options) => block_on(emgate::sim::run(options))?.map_err(|error| match error {
            emgate::sim::Error::Option(fault) => Failure::usage(fault),
            other => Failure::caused_by(&other),
        }),
        Command::Audit(args) => block_on(cli::audit::run(&args))?,
        Command::Check(args) => block_on(cli::check::run(&args))?,
        #[cfg(feature = "manual")]
        Command::Completions(args) => cli::manual::completions(&args, CommandLine::command()),
        Command::Convert(args) => cli::convert::run(&args),
        Command::Events(args) => block_on(cli::client::events::run(&args))?,
        Command::Listen(args) => block_on(cli::client::listen::run(&args))?,
        #[cfg(feature = "manual")]
        Command::Man(args) => cli::manual::man(&args, CommandLine::command()),
        Command::Operation(args) => block_on(cli::client::operation::run(&args))?,
        Command::Plan(args) => block_on(cli::client::plan::run(&args))?,
        Command::Health(args) => block_on(cli::health::run(&args))?,
        Command::Openapi => cli::openapi(),
        Command::Report(args) => block_on(cli::report::run(&args))?,
        Command::Store(args) => block_on(cli::store::run(&args))?,
        Command::Survey(args) => block_on(cli::survey::run(&args))?,
        Command::Serve(file) => block_on(cli::serve::run(file))?,
        Command::Token(args) => block_on(cli::token::run(&args))?,
    }
}

/// Runs an asynchronous command on a runtime of its own.
fn block_on<F: Future>(work: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    Ok(runtime.block_on(work))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the edge of the process, where the environment becomes an argument"
)]
fn start_logs(default: &str) -> Result<telemetry::Logs, Failure> {
    let filter = std::env::var("EMGATE_LOG").ok();
    telemetry::init(filter.as_deref(), default).map_err(|error| Failure::caused_by(&error))
}
