//! `emgate serve`: the gateway as a process, until SIGTERM or SIGINT.

use super::{ConfigFile, Failure};
use crate::bootstrap::{self, ServiceManager};
use crate::telemetry;

/// Runs the gateway until it is asked to stop.
///
/// # Errors
/// The configuration's faults, a part that cannot be started, or a failure while it ran.
pub async fn run(file: ConfigFile) -> Result<(), Failure> {
    let config = file.load()?;
    let _traces = traces();
    bootstrap::serve(config, service_manager())
        .await
        .map_err(|error| {
            let hint = error.hint();
            Failure::caused_by(&error)
                .hint(hint.unwrap_or("emgate check tests every part and says what to do"))
        })
}

/// Traces, as OpenTelemetry's own variables want them.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge of the process, where the environment becomes an argument"
)]
fn traces() -> telemetry::traces::Traces {
    telemetry::traces::start(|name| std::env::var(name).ok())
}

/// What systemd says in the environment. The variables stay there: no other program is started that could take them for
/// its own.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge of the process, where the environment becomes an argument"
)]
fn service_manager() -> ServiceManager {
    #[cfg(target_os = "linux")]
    let watchdog = sd_notify::watchdog_enabled();
    #[cfg(not(target_os = "linux"))]
    let watchdog = None;
    ServiceManager::new(std::env::var_os("NOTIFY_SOCKET").as_deref(), watchdog)
}
