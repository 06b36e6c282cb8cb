//! Recovery evidence: what a failover's times mean, and how they compare with what was wanted (docs/behaviour.md#evidence).
//!
//! Pure. A figure says by whose clock it was measured (`clocks`), and a figure that is absent says why (`measure`). `run`
//! is what is known of one failover, `judge` what follows from it, `trend` how it compares with those before. `asked`, `entry` and
//! `objectives` are what is kept of it; `schedule` says when a test is due, by a `cron`.

pub mod asked;
pub mod clocks;
pub mod cron;
pub mod entry;
pub mod finding;
pub mod hold;
pub mod judge;
pub mod measure;
pub mod objectives;
pub mod run;
pub mod schedule;
pub mod trend;

#[cfg(test)]
mod tests;
