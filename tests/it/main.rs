//! Integration tests: one binary, its modules listed with a line each.

mod config; // file, environment, defaults, faults
