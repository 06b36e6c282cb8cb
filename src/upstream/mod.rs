pub mod config;

pub use config::Config;
mod stub;
pub mod types;
pub use stub::*;
pub use types::*;
