//! The gateway under load, as a process before the simulator: how soon an end is reported, what two thousand failovers cost,
//! what damaged records cost the others, what the chain of the audit log costs, how a hundred thousand waiting deliveries go
//! out after a restart, how many go out a second and how soon, what thousands of streams cost, how many tokens are
//! verified, how many reads are answered beside nginx, and what recovery reports and their programme cost.
//!
//! `cargo bench --bench load`, or with the names of some: `-- prompt many damaged audit backlog deliveries latency streams tokens reads reports`. Everything is printed and nothing asserted; every wait has a limit.

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

mod audit;
mod backlog;
#[path = "../../tests/it/support/context.rs"]
mod context;
mod damaged;
mod deliveries;
#[path = "../../tests/it/support/idp.rs"]
#[expect(dead_code, reason = "tests publish keys and change them as well")]
mod idp;
mod latency;
mod many;
#[path = "../../tests/support/postgres.rs"]
#[expect(dead_code, reason = "tests stop, freeze and kill it as well")]
mod postgres;
#[path = "../process.rs"]
mod process;
mod prompt;
mod reads;
mod reports;
mod stores;
mod streams;
mod tokens;
#[path = "../../tests/support/waiting.rs"]
#[expect(dead_code, reason = "tests have doubles that are slow")]
mod waiting;
mod world;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let wanted: Vec<String> = std::env::args()
            .skip(1)
            .filter(|word| !word.starts_with('-'))
            .collect();
        if wanted.iter().any(|word| word == reads::bare::ARGUMENT) {
            return reads::bare::serve().await;
        }
        let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
        if is_wanted("prompt") {
            prompt::measure().await;
        }
        if is_wanted("many") {
            many::measure().await;
        }
        if is_wanted("damaged") {
            damaged::measure().await;
        }
        if is_wanted("audit") {
            audit::measure().await;
        }
        if is_wanted("backlog") {
            backlog::measure().await;
        }
        if is_wanted("deliveries") {
            deliveries::measure().await;
        }
        if is_wanted("latency") {
            latency::measure().await;
        }
        if is_wanted("streams") {
            streams::measure().await;
        }
        if is_wanted("tokens") {
            tokens::measure().await;
        }
        if is_wanted("reads") {
            reads::measure().await;
        }
        if is_wanted("reports") {
            reports::measure().await;
        }
    });
}
