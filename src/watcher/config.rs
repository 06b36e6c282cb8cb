//! The section `[watch]`, already checked: how often EM is observed.

use std::time::Duration;

/// `[watch]` of the configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// From observation to observation while a failover is active.
    pub interval: Duration,
    /// From observation to observation otherwise.
    pub idle_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            idle_interval: Duration::from_secs(15),
        }
    }
}
