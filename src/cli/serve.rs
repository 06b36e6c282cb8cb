//! `emgate serve`: the gateway as a process, until SIGTERM or SIGINT.

use super::{ConfigFile, Failure};
use crate::bootstrap;

/// Runs the gateway until it is asked to stop.
///
/// # Errors
/// The configuration's faults, a part that cannot be started, or a failure while it ran.
pub async fn run(file: ConfigFile) -> Result<(), Failure> {
    let config = file.load()?;
    bootstrap::serve(config).await.map_err(|error| {
        let hint = error.hint();
        Failure::caused_by(&error).hint(hint.unwrap_or("emgate check tests every part and says what to do"))
    })
}
