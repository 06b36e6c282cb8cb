//! The guard of every outgoing delivery: reads URLs, resolves names, refuses what may not be reached.
//!
//! The same judgement stands at registration and at the moment of dialling, over the addresses that are dialled; a
//! name with one forbidden answer is refused whole. Beside the address policy it keeps deliveries from the gateway's
//! own listeners (a loop) and from Enterprise Manager (credentials live there), by address and port.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use url::Host;

use super::Config;
use super::address::{Class, Policy, plain};
use crate::domain::webhook::target::TargetUrl;

/// How long a name may take to resolve, waiting for a free resolver included.
const RESOLVE_LIMIT: Duration = Duration::from_secs(3);

/// How many names are resolved at once. The system's resolver blocks a thread, and a name server that hangs must not
/// take those that others need.
const RESOLVERS: usize = 32;

/// A place that deliveries may not go to whatever the networks say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forbidden {
    /// A listener of the gateway; an unspecified address stands for every address of this machine.
    Listener(SocketAddr),
    /// A server by name or address, resolved whenever it is compared.
    Server {
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// Why there is no address to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// The name has no address.
    #[error("the name does not resolve")]
    Unresolved,
    /// The name servers did not answer in time.
    #[error("the name did not resolve in time")]
    TimedOut,
    /// An address that deliveries may not go to.
    #[error("a {} address; webhooks may not reach it unless webhooks.allow_networks lists its network", .0.word())]
    Closed(Class),
    /// Plain HTTP, which was allowed when the URL was taken and is not any more.
    #[error("plain HTTP, which webhooks.allow_http does not allow")]
    Plain,
    /// The gateway itself, or Enterprise Manager.
    #[error("the gateway's own address or that of Enterprise Manager, which webhooks never reach")]
    Own,
}

/// Why a URL is not accepted, for people; the URL itself is never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unacceptable(pub String);

/// Looks names up.
#[async_trait::async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of a name.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver: hosts file, search domains and all, as administrators expect.
struct SystemResolver {
    free: Arc<Semaphore>,
}

#[async_trait::async_trait]
impl Resolve for SystemResolver {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let free = self
            .free
            .clone()
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let host = host.to_owned();
        // The permit goes with the lookup, which goes on when nobody waits for it any more.
        let lookup = tokio::task::spawn_blocking(move || {
            let _held = free;
            (host.as_str(), 0)
                .to_socket_addrs()
                .map(Iterator::collect::<Vec<_>>)
        });
        let found = lookup.await.map_err(io::Error::other)??;
        Ok(found.iter().map(SocketAddr::ip).collect())
    }
}

/// Judges targets; clones share it.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    policy: Policy,
    allow_http: bool,
    forbidden: RwLock<Vec<Forbidden>>,
    resolver: Box<dyn Resolve>,
}

impl Guard {
    /// The guard of a configuration. Listeners are added once they are bound ([`Guard::forbid`]).
    #[must_use]
    pub fn new(config: &Config, forbidden: Vec<Forbidden>) -> Self {
        let resolver = SystemResolver {
            free: Arc::new(Semaphore::new(RESOLVERS)),
        };
        Self::with_resolver(config, forbidden, Box::new(resolver))
    }

    /// The same with another resolver.
    #[must_use]
    pub fn with_resolver(config: &Config, forbidden: Vec<Forbidden>, resolver: Box<dyn Resolve>) -> Self {
        Self(Arc::new(Inner {
            policy: Policy::new(config),
            allow_http: config.allow_http,
            forbidden: RwLock::new(forbidden),
            resolver,
        }))
    }

    /// Adds a place that deliveries may not go to.
    pub fn forbid(&self, place: Forbidden) {
        self.0
            .forbidden
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(place);
    }

    /// Reads the URL of a receiver and judges where it points. A name that does not resolve is accepted: it may
    /// tomorrow, and is judged whenever it is dialled.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn check(&self, text: &str) -> Result<TargetUrl, Unacceptable> {
        let target =
            TargetUrl::parse(text, self.0.allow_http).map_err(|detail| Unacceptable(detail.to_owned()))?;
        match self.addresses(&target).await {
            Ok(_) | Err(NoAddress::Unresolved | NoAddress::TimedOut) => Ok(target),
            Err(refused @ (NoAddress::Closed(_) | NoAddress::Plain | NoAddress::Own)) => {
                Err(Unacceptable(format!("the URL points to {refused}")))
            }
        }
    }

    /// The addresses to dial, each of them judged.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn addresses(&self, target: &TargetUrl) -> Result<Vec<SocketAddr>, NoAddress> {
        if !target.is_tls() && !self.0.allow_http {
            return Err(NoAddress::Plain);
        }
        let port = target.port();
        let rivals = self.rivals(port);
        let name = match target.host() {
            Host::Domain(name) => Some(name.trim_end_matches('.')),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        };
        let named = |place: &Forbidden| match place {
            Forbidden::Server { host, .. } => {
                name.is_some_and(|name| name.eq_ignore_ascii_case(host.trim_end_matches('.')))
            }
            Forbidden::Listener(_) => false,
        };
        if rivals.iter().any(named) {
            return Err(NoAddress::Own);
        }
        let addresses = match target.host() {
            Host::Ipv4(address) => vec![IpAddr::V4(address)],
            Host::Ipv6(address) => vec![IpAddr::V6(address)],
            Host::Domain(name) => self.resolve(name).await?,
        };
        for address in &addresses {
            self.0.policy.judge(*address).map_err(NoAddress::Closed)?;
        }
        for place in &rivals {
            if self.is_at(place, &addresses).await {
                return Err(NoAddress::Own);
            }
        }
        Ok(addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .collect())
    }

    /// The forbidden places at a port.
    fn rivals(&self, port: u16) -> Vec<Forbidden> {
        let forbidden = self.0.forbidden.read().unwrap_or_else(PoisonError::into_inner);
        let at_port = |place: &&Forbidden| match place {
            Forbidden::Listener(listener) => listener.port() == port,
            Forbidden::Server { port: theirs, .. } => *theirs == port,
        };
        forbidden.iter().filter(at_port).cloned().collect()
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, NoAddress> {
        match tokio::time::timeout(RESOLVE_LIMIT, self.0.resolver.lookup(name)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(_) => Err(NoAddress::Unresolved),
            Err(_) => Err(NoAddress::TimedOut),
        }
    }

    /// Whether a forbidden place, whose port is known to be the same, is at one of the addresses.
    async fn is_at(&self, place: &Forbidden, addresses: &[IpAddr]) -> bool {
        let same = |theirs: IpAddr| addresses.iter().any(|address| plain(*address) == plain(theirs));
        match place {
            Forbidden::Listener(listener) if listener.ip().is_unspecified() => {
                addresses.iter().any(|address| is_this_machine(plain(*address)))
            }
            Forbidden::Listener(listener) => same(listener.ip()),
            Forbidden::Server { host, .. } => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                match bare.parse::<IpAddr>() {
                    Ok(address) => same(address),
                    Err(_) => self.resolve(host).await.unwrap_or_default().into_iter().any(same),
                }
            }
        }
    }
}

/// Whether an address is one of this machine's: the system would send to it from itself. Nothing is sent.
fn is_this_machine(address: IpAddr) -> bool {
    let from = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    address.is_loopback()
        || UdpSocket::bind(from)
            .and_then(|socket| {
                socket.connect((address, 9))?;
                socket.local_addr()
            })
            .is_ok_and(|local| local.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_each_of_its_addresses() {
        assert!(is_this_machine(IpAddr::from([127, 0, 0, 1])));
        assert!(is_this_machine(IpAddr::from([127, 9, 9, 9])));
        assert!(!is_this_machine(IpAddr::from([192, 0, 2, 1])));
    }
}
