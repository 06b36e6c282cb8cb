//! The listening socket: its address, with IPv4 where the system has no IPv6, and a log line when connections cannot be accepted.

use parking_lot::Mutex;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the system may hold until they are accepted.
const BACKLOG: i32 = 1024;
/// How often the same failure is logged.
const LOG_PERIOD: Duration = Duration::from_mins(1);

/// Listens on an address. `[::]` is every address of this machine, IPv4 included, or IPv4 alone where there is no IPv6.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    bind_by(address, open)
}

fn bind_by<L>(address: SocketAddr, open: impl Fn(SocketAddr) -> io::Result<L>) -> io::Result<L> {
    let source = match open(address) {
        Ok(listener) => return Ok(listener),
        Err(source) => source,
    };
    // What a kernel without IPv6 says differs by system; what says nothing about IPv6 does not.
    let is_about_ipv6 = !matches!(source.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied);
    if address.is_ipv6() && address.ip().is_unspecified() && is_about_ipv6 {
        let ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        if let Ok(listener) = open(ipv4) {
            tracing::warn!(
                configured = %address,
                error = %source,
                "this system has no IPv6; listening on every IPv4 address instead"
            );
            return Ok(listener);
        }
    }
    Err(source)
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // The system's default may be either (net.ipv6.bindv6only).
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for the last connections of the process before it. On Windows the option means more.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Why connections are not accepted, logged at most once a minute.
#[derive(Debug, Default)]
pub(super) struct AcceptLog(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    silent: u64,
}

impl AcceptLog {
    /// The system gave no connection.
    pub(super) fn failed(&self, error: &io::Error) {
        // A caller that is gone before it was accepted is no failure of the gateway.
        if matches!(
            error.kind(),
            ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
        ) {
            return;
        }
        if let Some(silent) = self.is_due(Instant::now()) {
            tracing::error!(
                error = %error,
                attempts = silent + 1,
                "connections cannot be accepted; if there are too many open files, raise the limit (ulimit -n)"
            );
        }
    }

    /// A connection was closed because there are `most` already.
    pub(super) fn full(&self, most: usize) {
        if let Some(silent) = self.is_due(Instant::now()) {
            tracing::error!(
                most,
                connections = silent + 1,
                "connections are closed at once: too many are open"
            );
        }
    }

    /// How often it was not logged since the last line, when the next line is due.
    fn is_due(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        if state
            .last
            .is_some_and(|last| now.duration_since(last) < LOG_PERIOD)
        {
            state.silent += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const ANY: &str = "[::]:8080";

    fn bound(address: &str, refused: ErrorKind) -> io::Result<SocketAddr> {
        let address: SocketAddr = address.parse().expect("an address");
        bind_by(address, |tried| {
            if tried == address {
                Err(refused.into())
            } else {
                Ok(tried)
            }
        })
    }

    #[rstest]
    #[case(ErrorKind::AddrNotAvailable)]
    #[case(ErrorKind::Unsupported)]
    #[case(ErrorKind::Other)]
    fn without_ipv6_every_ipv4_address_is_used(#[case] refused: ErrorKind) {
        let bound = bound(ANY, refused).expect("a listener");
        assert_eq!(bound.to_string(), "0.0.0.0:8080");
    }

    #[rstest]
    #[case(ANY, ErrorKind::AddrInUse)]
    #[case(ANY, ErrorKind::PermissionDenied)]
    #[case("[::1]:8080", ErrorKind::AddrNotAvailable)]
    #[case("0.0.0.0:8080", ErrorKind::AddrNotAvailable)]
    fn a_refused_address_is_not_replaced(#[case] address: &str, #[case] refused: ErrorKind) {
        assert!(bound(address, refused).is_err());
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_over_ipv4() {
        let listener = open("[::]:0".parse().expect("an address"));
        let Ok(listener) = listener else {
            // No IPv6 here, which the fallback is for.
            return;
        };
        let port = listener.local_addr().expect("an address").port();
        let caller = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        assert!(caller.is_ok(), "{caller:?}");
    }

    #[test]
    fn a_failure_is_logged_once_a_minute() {
        let (log, now) = (AcceptLog::default(), Instant::now());
        assert_eq!(log.is_due(now), Some(0));
        assert_eq!((log.is_due(now), log.is_due(now)), (None, None));
        assert_eq!(log.is_due(now + LOG_PERIOD), Some(2));
        assert_eq!(log.is_due(now + LOG_PERIOD), None);
    }
}
