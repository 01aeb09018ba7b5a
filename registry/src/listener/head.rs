//! A bound on how long a peer may take to send the head of a request, without a timer for each request.
//!
//! hyper can do it with a timer that is made and dropped for each request; that took a fifth of the throughput of
//! small requests. Here the socket and the service note where a connection stands in one byte, and one slow tick for
//! each connection looks at it: a head that is there at two ticks in a row, unfinished, has taken too long.
//!
//! Connections that wait between requests are left alone, and so are those of HTTP/2, which has pings of its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How often a connection is looked at. A head may take from one to two of these.
pub(super) const TICK: Duration = Duration::from_secs(15);

/// Between requests, or sending a response.
const IDLE: u8 = 0;
/// Receiving a head since the last tick; also a connection that has just been opened.
const HEAD: u8 = 1;
/// Receiving the same head since before the last tick.
const SLOW_HEAD: u8 = 2;
/// The head was received; what comes in is the body.
const BUSY: u8 = 3;
/// HTTP/2: never slow.
const EXEMPT: u8 = 4;

/// How HTTP/2 begins.
const HTTP2_PREFACE: &[u8] = b"PRI";

/// Where a connection stands.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<AtomicU8>);

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(HEAD)))
    }

    /// Looks at the connection. Returns whether its head has taken too long.
    pub(super) fn tick(&self) -> bool {
        match self
            .0
            .compare_exchange(HEAD, SLOW_HEAD, Ordering::Relaxed, Ordering::Relaxed)
        {
            Ok(_) => false,
            Err(state) => state == SLOW_HEAD,
        }
    }

    fn is(&self, state: u8) -> bool {
        self.0.load(Ordering::Relaxed) == state
    }

    fn received(&self, bytes: &[u8]) {
        if self.is(IDLE) {
            self.0.store(HEAD, Ordering::Relaxed);
        } else if self.is(HEAD) && bytes.starts_with(HTTP2_PREFACE) {
            self.0.store(EXEMPT, Ordering::Relaxed);
        }
    }

    fn called(&self) {
        if !self.is(EXEMPT) {
            self.0.store(BUSY, Ordering::Relaxed);
        }
    }

    fn sent(&self) {
        if self.is(BUSY) {
            self.0.store(IDLE, Ordering::Relaxed);
        }
    }
}

/// A socket that notes what comes in and goes out.
#[derive(Debug)]
pub(super) struct Noted<S> {
    pub(super) stream: S,
    pub(super) progress: Progress,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.progress.received(&buffer.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.progress.sent();
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.progress.sent();
        Pin::new(&mut this.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// A service that notes that a head was received.
#[derive(Debug, Clone)]
pub(super) struct Called<S> {
    pub(super) service: S,
    pub(super) progress: Progress,
}

impl<S: Service<Request<Body>>> Service<Request<Incoming>> for Called<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: Request<Incoming>) -> S::Future {
        self.progress.called();
        self.service.call(request.map(Body::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_head_that_stays_unfinished_is_slow() {
        let progress = Progress::new();
        // Opened, and silent.
        assert!(!progress.tick());
        assert!(progress.tick());
        // The head comes at last, then a slow body, then the answer, then silence between requests.
        progress.received(b"GET / HTTP/1.1\r\n\r\n");
        progress.called();
        assert!(!progress.tick() && !progress.tick());
        progress.received(b"body");
        assert!(!progress.tick() && !progress.tick());
        progress.sent();
        assert!(!progress.tick() && !progress.tick());
        // The next head begins and does not end, byte by byte.
        progress.received(b"G");
        assert!(!progress.tick());
        progress.received(b"E");
        assert!(progress.tick());
    }

    #[test]
    fn http2_is_never_slow() {
        let progress = Progress::new();
        progress.received(b"PRI * HTTP/2.0\r\n");
        progress.called();
        progress.sent();
        progress.received(b"ping");
        assert!(!progress.tick() && !progress.tick());
    }
}
