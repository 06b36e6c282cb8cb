//! `emgate health`: checks that the gateway on this machine is running; for container health checks, where there is no
//! curl.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use super::{ConfigFile, Failure};
use crate::telemetry::chain;

/// A health check that waits longer is answered by its caller's own limit.
const LIMIT: Duration = Duration::from_secs(2);

/// Arguments of `emgate health`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate health                 asks where the configuration says that the gateway listens
  emgate health --ready         fails also while it is not ready to work")]
pub struct Args {
    /// Query /readyz instead of /healthz
    #[arg(long)]
    pub ready: bool,
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Succeeds when the gateway answers 200.
///
/// # Errors
/// When it does not answer within 2 seconds, or otherwise.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let server = args.config.load()?.server;
    if server.listen.port() == 0 {
        return Err(
            Failure::new("server.listen has port 0, which is another port at each start")
                .hint("give it a port, or ask the one that the log names with `listening`"),
        );
    }
    let scheme = if server.tls.is_some() { "https" } else { "http" };
    let path = if args.ready { "readyz" } else { "healthz" };
    // The certificate is for the name that callers use; here the gateway talks to itself over loopback. In TLS 1.2 the
    // client's certificate is part of the handshake, and so is that it is missing; later the client may be closed
    // before it has read that.
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(LIMIT)
        .tls_version_max(reqwest::tls::Version::TLS_1_2)
        .tls_danger_accept_invalid_certs(true)
        .build()
        .map_err(|error| Failure::caused_by(&error))?;
    let mut refused = Failure::new("there is no address to ask".to_owned());
    for address in reachable(server.listen) {
        let url = format!("{scheme}://{address}/{path}");
        refused = match client.get(&url).send().await {
            Ok(answer) if answer.status() == 200 => return Ok(()),
            Ok(answer) => return Err(Failure::new(format!("{url} answers {}", answer.status()))),
            // Without a certificate of a client there is no more to learn: the gateway lives and speaks TLS.
            Err(error) if !args.ready && asks_for_certificate(&error) => return Ok(()),
            Err(error) => Failure::new(format!("{url} does not answer: {}", chain(&error.without_url())))
                .hint("is the gateway running, with the same configuration?"),
        };
    }
    Err(refused)
}

/// Whether the server ended the handshake because it wants a certificate of the client (`server.tls.client_ca_file`).
fn asks_for_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    let wanted = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
    // What an I/O error was made of is not its source.
    let within = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    error.downcast_ref() == Some(&wanted)
        || within.is_some_and(|error| asks_for_certificate(error))
        || error.source().is_some_and(asks_for_certificate)
}

/// Where a listener on all addresses is reached from here; one on `[::]` by IPv4 as well, which is all it has on a system
/// without IPv6.
fn reachable(listen: SocketAddr) -> Vec<SocketAddr> {
    let addresses: Vec<IpAddr> = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![Ipv4Addr::LOCALHOST.into()],
        IpAddr::V6(ip) if ip.is_unspecified() => vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()],
        ip => vec![ip],
    };
    let port = listen.port();
    addresses
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect()
}
