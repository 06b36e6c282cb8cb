//! How long a connection may be idle, how long the headers of a request may take, and how long an answer may wait for its reader.
//!
//! The parser's own timer runs from the end of one exchange to the headers of the next and cannot distinguish an idle connection,
//! which a proxy in front wants to keep, from headers that arrive byte by byte. Here the stream sees bytes arrive
//! and the service sees requests begin and end, so that each wait has its own limit.

use parking_lot::Mutex;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Response, Version};
use axum_server::accept::Accept;
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tower::Service;

/// The limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Between requests.
    pub(super) idle: Duration,
    /// From the first byte of the headers to their end.
    pub(super) head: Duration,
    /// From a byte of an answer that the caller takes to the next.
    pub(super) write: Duration,
}

/// Watches the connections that another acceptor accepts.
#[derive(Clone)]
pub(super) struct Watching<A> {
    pub(super) acceptor: A,
    pub(super) limits: Limits,
}

impl<A, I, S> Accept<I, S> for Watching<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
{
    type Stream = WatchedStream<A::Stream>;
    type Service = WatchedService<A::Service>;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let (accepting, limits) = (self.acceptor.accept(stream, service), self.limits);
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            let connection = Arc::new(Connection::new(limits));
            let timer = Box::pin(tokio::time::sleep(limits.head));
            let stream = WatchedStream {
                stream,
                timer,
                over: false,
                stalled: None,
                connection: connection.clone(),
                beginning: Beginning::Awaited,
            };
            Ok((stream, WatchedService { service, connection }))
        })
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing, since then.
    Idle(Instant),
    /// The headers of a request have been arriving since then. Only HTTP/1: on HTTP/2 bytes may be an answer to a ping.
    Head(Instant),
    /// So many requests are being answered.
    Busy(usize),
}

/// What stream and service of one connection share.
struct Connection {
    limits: Limits,
    phase: Mutex<(Phase, Version)>,
    /// The reader, which checks its limit again when the phase changes.
    reader: AtomicWaker,
    is_closed: AtomicBool,
}

/// The connection that a request came by; among the request's extensions.
#[derive(Clone)]
pub(super) struct ConnectionHandle(Arc<Connection>);

impl ConnectionHandle {
    /// Closes the connection, whatever it is doing: also one whose other side takes nothing.
    pub(super) fn close(&self) {
        self.0.is_closed.store(true, Ordering::Relaxed);
        self.0.reader.wake();
    }
}

impl Connection {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            phase: Mutex::new((Phase::Idle(Instant::now()), Version::HTTP_11)),
            reader: AtomicWaker::new(),
            is_closed: AtomicBool::new(false),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Phase, &mut Version)) {
        let mut guard = self.phase.lock();
        let (phase, version) = &mut *guard;
        change(phase, version);
    }

    fn bytes_came(&self, bytes: &[u8]) {
        // Some clients end a body with a line break that does not belong to it.
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return;
        }
        self.change(|phase, version| {
            if matches!(phase, Phase::Idle(_)) && *version < Version::HTTP_2 {
                *phase = Phase::Head(Instant::now());
            }
        });
    }

    /// A request begins; it ends when what is returned is dropped.
    fn request(self: &Arc<Self>, version: Version) -> Open {
        self.change(|phase, known| {
            *known = version;
            *phase = match *phase {
                Phase::Busy(open) => Phase::Busy(open + 1),
                Phase::Idle(_) | Phase::Head(_) => Phase::Busy(1),
            };
        });
        Open(self.clone())
    }

    fn deadline(&self) -> Option<Instant> {
        let (phase, _) = *self.phase.lock();
        match phase {
            Phase::Idle(since) => since.checked_add(self.limits.idle),
            Phase::Head(since) => since.checked_add(self.limits.head),
            Phase::Busy(_) => None,
        }
    }
}

/// A request that is being answered.
struct Open(Arc<Connection>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.change(|phase, _| {
            *phase = match *phase {
                Phase::Busy(open) if open > 1 => Phase::Busy(open - 1),
                _ => Phase::Idle(Instant::now()),
            };
        });
        self.0.reader.wake();
    }
}

/// A connection's stream: ends when a limit is over.
pub(super) struct WatchedStream<S> {
    stream: S,
    timer: Pin<Box<Sleep>>,
    over: bool,
    /// Runs while the caller takes nothing of an answer.
    stalled: Option<Pin<Box<Sleep>>>,
    connection: Arc<Connection>,
    beginning: Beginning,
}

/// What HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first bytes of a connection. The server reads up to 24 to find out its version, takes a read without bytes for
/// HTTP/1, and would put what it has read before the head of the first request: the head's buffer would grow to twice
/// its size, 16 KiB for as long as the connection lives. So the bytes of HTTP/1 are held back until the head is read.
#[derive(Debug)]
enum Beginning {
    Awaited,
    Held(Bytes),
    Over,
}

impl Beginning {
    /// The first bytes that came: taken back out of `buf`, and held, when they are not those of HTTP/2.
    fn came(buf: &mut ReadBuf<'_>, before: usize) -> Self {
        let came = buf.filled().get(before..).unwrap_or_default();
        if PREFACE.starts_with(came) {
            return Self::Over;
        }
        let held = Bytes::copy_from_slice(came);
        buf.set_filled(before);
        Self::Held(held)
    }
}

impl<S> WatchedStream<S> {
    /// What writing came to; an error when the caller has taken nothing for too long.
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if self.connection.is_closed.load(Ordering::Relaxed) {
            return Poll::Ready(Err(too_slow()));
        }
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.connection.limits.write;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        stalled.as_mut().poll(cx).map(|()| Err(too_slow()))
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the caller does not take the answer")
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(Ok(()));
        }
        if this.connection.is_closed.load(Ordering::Relaxed) {
            return Poll::Ready(Err(too_slow()));
        }
        let before = buf.filled().len();
        if let Beginning::Held(held) = &mut this.beginning {
            buf.put_slice(&held.split_to(held.len().min(buf.remaining())));
            if held.is_empty() {
                this.beginning = Beginning::Over;
                // The rest of the head is there in most cases; what fails now fails at the next read as well.
                let _ = Pin::new(&mut this.stream).poll_read(cx, buf);
            }
            this.connection
                .bytes_came(buf.filled().get(before..).unwrap_or_default());
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(cx, buf) {
            this.connection
                .bytes_came(buf.filled().get(before..).unwrap_or_default());
            if matches!(this.beginning, Beginning::Awaited) {
                this.beginning = Beginning::came(buf, before);
            }
            return Poll::Ready(result);
        }
        this.connection.reader.register(cx.waker());
        let Some(deadline) = this.connection.deadline() else {
            return Poll::Pending;
        };
        if this.timer.deadline() != deadline {
            this.timer.as_mut().reset(deadline);
        }
        this.timer.as_mut().poll(cx).map(|()| {
            // The end of the stream, as if the caller had closed it: the server closes in order.
            this.over = true;
            Ok(())
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.written(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.written(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut_down = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.written(cx, shut_down)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A connection's service: notes when requests begin and end.
#[derive(Clone)]
pub(super) struct WatchedService<S> {
    service: S,
    connection: Arc<Connection>,
}

impl<S, B, R> Service<Request<B>> for WatchedService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<WatchedBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let open = self.connection.request(request.version());
        let handle = ConnectionHandle(self.connection.clone());
        request.extensions_mut().insert(handle);
        let answering = self.service.call(request);
        Box::pin(async move {
            let response = answering.await?;
            Ok(response.map(|body| WatchedBody { body, _open: open }))
        })
    }
}

/// An answer's body: its request is open as long as it is.
pub(super) struct WatchedBody<B> {
    body: B,
    _open: Open,
}

impl<B: Body<Data = Bytes> + Unpin> Body for WatchedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
