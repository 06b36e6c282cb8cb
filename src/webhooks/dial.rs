//! The way to an address that was vetted: dialled, or asked of an HTTP proxy by CONNECT (RFC 9110 section 9.3.6).
//!
//! A proxy resolves nothing, so that what was judged is what is reached; name and certificate are the receiver's, inside.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::head;
use crate::domain::webhook::AttemptError;
use crate::domain::webhook::connection::Proxy;

/// The largest head of a proxy's answer.
const HEAD_LIMIT: usize = 8 * 1024;

/// How long dialling may take, over all addresses of a name.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Each one's share of the time for connecting.
fn share(of: &[SocketAddr]) -> Duration {
    CONNECT_LIMIT / u32::try_from(of.len().max(1)).unwrap_or(1)
}

/// Dials the addresses in turn, each with its share of the time.
pub(super) async fn to(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), AttemptError> {
    for address in addresses {
        if let Ok(Ok(stream)) = timeout(share(addresses), TcpStream::connect(address)).await {
            // Whatever lies between: bytes go only to an address that was vetted.
            return match stream.peer_addr() {
                Ok(peer) if addresses.contains(&peer) => Ok((stream, peer)),
                _ => Err(AttemptError::BlockedAddress),
            };
        }
    }
    Err(AttemptError::Connect)
}

/// Asks a proxy for the addresses in turn, each with its share of the time.
pub(super) async fn through(
    proxy: &Proxy,
    proxies: &[SocketAddr],
    addresses: &[SocketAddr],
) -> Result<(TcpStream, SocketAddr), AttemptError> {
    for address in addresses {
        let asking = async {
            let (stream, _) = to(proxies).await.ok()?;
            connected(stream, proxy, *address).await
        };
        if let Ok(Some(stream)) = timeout(share(addresses), asking).await {
            return Ok((stream, *address));
        }
    }
    Err(AttemptError::Proxy)
}

/// Asks the proxy at the other end to connect to `to`. None when it does not.
async fn connected(mut tcp: TcpStream, proxy: &Proxy, to: SocketAddr) -> Option<TcpStream> {
    let login = proxy.userinfo().map_or_else(String::new, |(user, password)| {
        let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let pair = format!("{}:{}", decoded(user), decoded(password));
        format!("proxy-authorization: Basic {}\r\n", STANDARD.encode(pair))
    });
    let request = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n{login}\r\n");
    tcp.write_all(request.as_bytes()).await.ok()?;
    let mut head = Vec::new();
    // Whoever connects speaks first, so that nothing follows the head.
    let end = loop {
        if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if head.len() >= HEAD_LIMIT || tcp.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    };
    let status = head
        .split(|byte| *byte == b'\n')
        .next()
        .map(<[u8]>::trim_ascii_end);
    let status = status.and_then(head::status);
    if status.is_some_and(|status| (200..=299).contains(&status)) {
        return (head.len() == end).then_some(tcp);
    }
    tracing::info!(status, "the proxy of a webhook did not connect to the receiver");
    None
}
