//! The gateway under load, as a process before the simulator: how soon an end is told, what two thousand failovers cost,
//! and how a hundred thousand waiting deliveries go out after a restart.
//!
//! `cargo bench --bench load`. Everything is printed and nothing asserted; every wait has a limit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement that meets the unexpected shall end loudly"
)]

mod backlog;
mod many;
#[path = "../process.rs"]
mod process;
mod prompt;
mod world;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        prompt::measure().await;
        many::measure().await;
        backlog::measure().await;
    });
}
