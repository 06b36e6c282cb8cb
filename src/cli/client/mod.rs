//! The commands that are clients of a running gateway: `plan`, `operation`, `events`, `listen` (docs/behaviour.md#command-line).
//!
//! They speak the API like anybody else. Exit codes say how a failover ended, for schedulers that look at nothing else.
//! Tests: `tests/it/client_commands.rs`, which runs them as processes.

pub mod events;
pub mod listen;
pub mod operation;
pub mod plan;
pub(in crate::cli) mod server;
mod sse;
mod wait;

pub use server::ServerArgs;

/// Exit codes beside 0, 1 (failed, no such thing, no server) and 2 (usage).
mod exit {
    /// The failover ended with a warning.
    pub(super) const WARNING: u8 = 3;
    /// How the failover ended is not known.
    pub(super) const UNKNOWN: u8 = 4;
    /// The gateway refused the request, or a policy or a person the operation.
    pub(super) const REFUSED: u8 = 5;
    /// The end was not seen: the time was over, the command was interrupted, or the gateway tells no more; the work goes on.
    pub(super) const GOES_ON: u8 = 6;
}
