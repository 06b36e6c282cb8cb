//! The guard of every outgoing delivery: reads URLs, resolves names, refuses what may not be reached.
//!
//! The same judgement is made at registration and at the moment of dialling, over the addresses that are dialled; a
//! name with one forbidden answer is refused whole. Beside the address policy it keeps deliveries from the gateway's
//! own listeners (a loop) and from Enterprise Manager (credentials live there), by address and port.

use parking_lot::RwLock;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use url::Host;

use super::Config;
use super::address::{Class, Policy, canonical};
use crate::domain::webhook::connection::Proxy;
use crate::domain::webhook::target::TargetUrl;

/// How long a name may take to resolve, waiting for a free resolver included.
const RESOLVE_LIMIT: Duration = Duration::from_secs(3);

/// How many names are resolved at once. The system's resolver blocks a thread, and a name server that hangs must not
/// take those that others need.
const RESOLVERS: usize = 32;

/// A place that deliveries may not go to whatever the networks say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeniedTarget {
    /// A listener of the gateway; an unspecified address means every address of this machine.
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
pub enum ResolveError {
    /// The name has no address.
    #[error("the name does not resolve")]
    Unresolved,
    /// The name servers did not answer in time.
    #[error("the name did not resolve in time")]
    TimedOut,
    /// An address that deliveries may not go to.
    #[error("{article} {0} address; {remedy}", article = .0.article(), remedy = .0.remedy())]
    Blocked(Class),
    /// Plain HTTP, which was allowed when the URL was registered and is not any more.
    #[error("plain HTTP, which webhooks.allow_http does not allow")]
    PlainHttp,
    /// The gateway itself, or Enterprise Manager.
    #[error("the gateway's own address or that of Enterprise Manager, which webhooks never reach")]
    SelfOrUpstream,
}

/// Why a URL is not accepted, for people; the URL itself is never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTarget(pub String);

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
        // The permit goes with the lookup, which continues when it is not waited for any more.
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
pub struct EgressPolicy(Arc<Inner>);

struct Inner {
    policy: Policy,
    allow_http: bool,
    forbidden: RwLock<Vec<DeniedTarget>>,
    resolver: Box<dyn Resolve>,
}

impl EgressPolicy {
    /// The guard of a configuration. Listeners are added once they are bound ([`EgressPolicy::forbid`]).
    #[must_use]
    pub fn new(config: &Config, forbidden: Vec<DeniedTarget>) -> Self {
        let resolver = SystemResolver {
            free: Arc::new(Semaphore::new(RESOLVERS)),
        };
        Self::with_resolver(config, forbidden, Box::new(resolver))
    }

    /// The same with another resolver.
    #[must_use]
    pub fn with_resolver(config: &Config, forbidden: Vec<DeniedTarget>, resolver: Box<dyn Resolve>) -> Self {
        Self(Arc::new(Inner {
            policy: Policy::new(config),
            allow_http: config.allow_http,
            forbidden: RwLock::new(forbidden),
            resolver,
        }))
    }

    /// Adds a place that deliveries may not go to.
    pub fn forbid(&self, place: DeniedTarget) {
        self.0.forbidden.write().push(place);
    }

    /// Reads the URL of a receiver and checks where it points. A name that does not resolve is accepted: it may
    /// resolve later, and is checked whenever it is dialled.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn check(&self, text: &str) -> Result<TargetUrl, InvalidTarget> {
        let target =
            TargetUrl::parse(text, self.0.allow_http).map_err(|detail| InvalidTarget(detail.to_owned()))?;
        match self.addresses(&target).await {
            Ok(_) | Err(ResolveError::Unresolved | ResolveError::TimedOut) => Ok(target),
            Err(
                refused @ (ResolveError::Blocked(_) | ResolveError::PlainHttp | ResolveError::SelfOrUpstream),
            ) => Err(InvalidTarget(format!("the URL points to {refused}"))),
        }
    }

    /// The addresses to dial, each of them checked.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn addresses(&self, target: &TargetUrl) -> Result<Vec<SocketAddr>, ResolveError> {
        if !target.is_tls() && !self.0.allow_http {
            return Err(ResolveError::PlainHttp);
        }
        self.vetted(target.host(), target.port()).await
    }

    /// Reads the URL of an endpoint's own proxy and checks where it points, as [`EgressPolicy::check`] does: whoever makes an
    /// endpoint chooses it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn check_proxy(&self, text: &str) -> Result<Proxy, InvalidTarget> {
        let proxy = Proxy::parse(text).map_err(|detail| InvalidTarget(detail.to_owned()))?;
        match self.vetted(proxy.host(), proxy.port()).await {
            Ok(_) | Err(ResolveError::Unresolved | ResolveError::TimedOut) => Ok(proxy),
            Err(refused) => Err(InvalidTarget(format!("the proxy is at {refused}"))),
        }
    }

    /// The addresses of a proxy. That of the configuration is the operator's choice and is not judged.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn proxy_addresses(
        &self,
        proxy: &Proxy,
        is_configured: bool,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        if !is_configured {
            return self.vetted(proxy.host(), proxy.port()).await;
        }
        let addresses = self.all_of(proxy.host()).await?.into_iter();
        Ok(addresses
            .map(|address| SocketAddr::new(address, proxy.port()))
            .collect())
    }

    /// The addresses of a host, each of them checked.
    async fn vetted(&self, host: Host<&str>, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
        let denied_on_port = self.denied_on_port(port);
        let name = match host {
            Host::Domain(name) => Some(name.trim_end_matches('.')),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        };
        let named = |place: &DeniedTarget| match place {
            DeniedTarget::Server { host, .. } => {
                name.is_some_and(|name| name.eq_ignore_ascii_case(host.trim_end_matches('.')))
            }
            DeniedTarget::Listener(_) => false,
        };
        if denied_on_port.iter().any(named) {
            return Err(ResolveError::SelfOrUpstream);
        }
        let addresses = self.all_of(host).await?;
        for address in &addresses {
            self.0.policy.judge(*address).map_err(ResolveError::Blocked)?;
        }
        for place in &denied_on_port {
            if self.is_at(place, &addresses).await {
                return Err(ResolveError::SelfOrUpstream);
            }
        }
        Ok(addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .collect())
    }

    /// The forbidden places at a port.
    fn denied_on_port(&self, port: u16) -> Vec<DeniedTarget> {
        let forbidden = self.0.forbidden.read();
        let at_port = |place: &&DeniedTarget| match place {
            DeniedTarget::Listener(listener) => listener.port() == port,
            DeniedTarget::Server { port: theirs, .. } => *theirs == port,
        };
        forbidden.iter().filter(at_port).cloned().collect()
    }

    async fn all_of(&self, host: Host<&str>) -> Result<Vec<IpAddr>, ResolveError> {
        match host {
            Host::Ipv4(address) => Ok(vec![IpAddr::V4(address)]),
            Host::Ipv6(address) => Ok(vec![IpAddr::V6(address)]),
            Host::Domain(name) => self.resolve(name).await,
        }
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        match tokio::time::timeout(RESOLVE_LIMIT, self.0.resolver.lookup(name)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(_) => Err(ResolveError::Unresolved),
            Err(_) => Err(ResolveError::TimedOut),
        }
    }

    /// Whether a forbidden place, whose port is known to be the same, is at one of the addresses.
    async fn is_at(&self, place: &DeniedTarget, addresses: &[IpAddr]) -> bool {
        let same = |theirs: IpAddr| {
            addresses
                .iter()
                .any(|address| canonical(*address) == canonical(theirs))
        };
        match place {
            DeniedTarget::Listener(listener) if listener.ip().is_unspecified() => addresses
                .iter()
                .any(|address| is_this_machine(canonical(*address))),
            DeniedTarget::Listener(listener) => same(listener.ip()),
            DeniedTarget::Server { host, .. } => {
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
