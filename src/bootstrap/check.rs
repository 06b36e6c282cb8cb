//! What `emgate check` does: each part that `serve` needs is started for real, one after the other.
//!
//! A part that fails stops none of the others, so that one run reports all failures. Nothing is left behind: every
//! logon session is logged off, the store is closed.

use std::net::TcpListener;
use std::time::Duration;

use crate::{
    auth,
    clock::{SharedClock, SystemClock},
    config::Config,
    http,
    store::{self, Store, config::Database},
    upstream::{self, EmClient, Kind},
};

/// How long logging off may take.
const LOGOFF: Duration = Duration::from_secs(5);

/// One part that was tried.
#[derive(Debug)]
pub struct Step {
    /// Its name: `listener`, `store`, `issuer https://idp.example`, `em operators`.
    pub name: String,
    /// What was found, or why it does not work.
    pub outcome: Result<String, Fault>,
}

/// Why a part does not work, for a person.
#[derive(Debug)]
pub struct Fault {
    /// One sentence with its causes.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

/// Checks every part, and calls `done` after each.
pub async fn check(config: &Config, mut done: impl FnMut(Step)) {
    super::install_tls_provider();
    let clock = SystemClock::shared();
    done(Step {
        name: "listener".to_owned(),
        outcome: listener(http::bind(&config.server)),
    });
    if let Some(bound) = http::bind_metrics(&config.server).transpose() {
        done(Step {
            name: "listener of metrics".to_owned(),
            outcome: listener(bound),
        });
    }
    done(Step {
        name: "store".to_owned(),
        outcome: store(&config.store, clock.clone()).await,
    });
    for issuer in &config.auth.issuers {
        done(Step {
            name: format!("issuer {}", issuer.issuer),
            outcome: auth::probe(issuer).await.map_err(|error| fault(&error, None)),
        });
    }
    // One account at a time: the second is tried although the first is refused.
    for account in &config.upstream.accounts {
        let one = upstream::Config {
            accounts: vec![account.clone()],
            ..config.upstream.clone()
        };
        done(Step {
            name: format!("em {}", account.name),
            outcome: logon(&one, clock.clone()).await,
        });
    }
}

fn listener(bound: Result<TcpListener, http::ServerError>) -> Result<String, Fault> {
    let bound = bound.and_then(|listener| Ok(listener.local_addr()?));
    let addr = bound.map_err(|error| {
        fault(
            &error,
            Some("is another gateway running, or is the port reserved?"),
        )
    })?;
    Ok(format!("{addr} is free"))
}

async fn store(config: &store::Config, clock: SharedClock) -> Result<String, Fault> {
    Store::examine(config, clock)
        .await
        .map_err(|error| fault(&error, error.hint()))?;
    // The address of a database server may carry a password.
    let place = match config.url.rsplit_once('@') {
        Some((_, place)) if Database::parse(&config.url) == Ok(Database::Server) => place,
        Some(_) | None => config.url.as_str(),
    };
    Ok(format!("{place} opens and is up to date"))
}

async fn logon(config: &upstream::Config, clock: SharedClock) -> Result<String, Fault> {
    let em = EmClient::new(config, clock).map_err(|error| fault(&error, None))?;
    let checked = em.check().await;
    let logged_off = em.shutdown(LOGOFF).await;
    let checked = checked.map_err(|(_, error)| fault(&error, hint(error.kind())))?;
    if !logged_off {
        let message = "logged on, but EM did not accept the logoff".to_owned();
        return Err(Fault {
            message,
            hint: Some("the session ends by itself after 15 minutes"),
        });
    }
    let version = checked
        .first()
        .map_or_else(String::new, |account| format!(" with {}", account.version));
    Ok(format!("logged on to {}{version}, and off again", config.url))
}

fn hint(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Unreachable { .. } => Some(
            "is upstream.url right, its port open from here, and its certificate trusted (upstream.ca_file, or \
             upstream.pin_sha256 for a self-signed one)?",
        ),
        Kind::CredentialsRefused { .. } => {
            Some("are username and password right, and has the account a role in Enterprise Manager?")
        }
        Kind::InvalidResponse { .. } | Kind::Failed { .. } | Kind::Refused { .. } => {
            Some("is upstream.url that of Enterprise Manager's REST API (by default port 9398)?")
        }
        Kind::TimedOut | Kind::ConnectionLost { .. } => Some("is a proxy or a firewall in between?"),
        Kind::Overloaded { .. } => {
            Some("Enterprise Manager is overloaded, or all its logon sessions are in use")
        }
        Kind::NoFreeLogon
        | Kind::DeadlinePassed
        | Kind::TooLarge { .. }
        | Kind::CircuitOpen { .. }
        | Kind::ShuttingDown
        | Kind::NotEncodable { .. } => None,
    }
}

/// An error with its causes in one line.
fn fault(error: &(dyn std::error::Error + 'static), hint: Option<&'static str>) -> Fault {
    Fault {
        message: crate::telemetry::chain(error),
        hint,
    }
}
