//! Integration tests: one binary, its modules listed with a line each.

mod config; // file, environment, defaults, faults
#[cfg(feature = "demo")]
mod simulator; // the simulator over TCP: right clients are served, wrong ones fail
