//! Integration tests: one binary, its modules listed with a line each.
