//! `emgate operation`: shows an operation, waits for its end, or stops it.

use reqwest::Method;
use tokio::time::Instant;

use super::server::{Server, ServerArgs};
use super::wait::{TimeoutArgs, print, until_end};
use crate::cli::Failure;
use crate::domain::id::OperationId;

/// Arguments of `emgate operation`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate operation show 0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01
  emgate operation wait 0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01 --timeout 2h
  emgate operation cancel 0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01

Exit code of wait: 0 success, 3 warning, 1 failed, 4 unknown, 5 refused, 6 the end was not seen (the failover goes on).")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What is done with an operation.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Show an operation
    Show(ShowArgs),
    /// Wait until an operation ends
    Wait(WaitForArgs),
    /// Ask for an operation to be stopped
    Cancel(ShowArgs),
}

/// Arguments of `emgate operation show` and `cancel`.
#[derive(clap::Args, Clone, Debug)]
pub struct ShowArgs {
    /// The operation's id
    pub id: OperationId,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `emgate operation wait`.
#[derive(clap::Args, Clone, Debug)]
pub struct WaitForArgs {
    /// The operation's id
    pub id: OperationId,
    #[command(flatten)]
    pub timeout: TimeoutArgs,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Runs the command.
///
/// # Errors
/// What went wrong, or how the operation ended, with its exit code.
pub async fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Show(args) => {
            let server = Server::new(&args.server)?;
            let operation = server.get(&format!("/operations/{}", args.id)).await?;
            print(&server, &operation)
        }
        Command::Wait(args) => {
            let server = Server::new(&args.server)?;
            let deadline = args.timeout.deadline();
            until_end(&server, &args.id.to_string(), deadline, false).await
        }
        Command::Cancel(args) => {
            let server = Server::new(&args.server)?;
            let path = format!("/operations/{}/cancel", args.id);
            // Cancelling twice is harmless, but it is not repeated here: who stops a failover looks at the answer.
            let answer = server.persist(Method::POST, &path, Instant::now(), |request| request);
            print(&server, &answer.await?.body)
        }
    }
}
