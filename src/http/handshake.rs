//! The TLS handshake of a caller: within a limit, and one that fails is ended so that the caller reads why.
//!
//! In TLS 1.3 a caller has finished its side, and sent its request, before the server has looked at its certificate.
//! A connection that is closed over bytes nobody read is reset, and a reset takes the alert with it that was on its way
//! (RFC 9112, section 9.6). So what still comes is read to its end first.

use std::io;
use std::time::Duration;

use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsConfig;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a caller whose handshake failed has to read the alert and to close.
const LINGER: Duration = Duration::from_secs(1);

/// Speaks TLS on the connections that another acceptor accepts.
#[derive(Clone)]
pub(super) struct Tls<A> {
    pub(super) acceptor: A,
    pub(super) config: RustlsConfig,
}

impl<A, I, S> Accept<I, S> for Tls<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
    A::Stream: AsyncRead + AsyncWrite + Unpin + Send,
    A::Service: Send,
{
    type Stream = TlsStream<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepting = self.acceptor.accept(stream, service);
        let tls = TlsAcceptor::from(self.config.get_inner());
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            match timeout(LIMIT, tls.accept(stream).into_fallible()).await? {
                Ok(stream) => Ok((stream, service)),
                Err((error, stream)) => {
                    // Why it failed is known; that the caller is gone meanwhile changes nothing.
                    let _ = timeout(LINGER, close(stream)).await;
                    Err(error)
                }
            }
        })
    }
}

/// Closes once the other side has, and reads what it still sends.
async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink())
        .await
        .map(drop)
}
