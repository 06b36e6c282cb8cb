//! Looks at EM, writes what changed.

pub mod config;
pub mod follow;
pub mod observe;
