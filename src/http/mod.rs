pub mod config;

pub use config::{AuthConfig, Config};
