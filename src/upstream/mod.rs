pub mod config;

pub use config::Config;
pub mod types;
